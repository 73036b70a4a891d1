//! The house rules that the compiler does not check: import order, homes of packages, length of files, no doors left open.

use std::path::{Path, PathBuf};

/// The modules in the order in which they may import one another: each only from those before it.
const ORDER: [&str; 19] = [
    "name",
    "config",
    "wire",
    "policy",
    "event",
    "catalog",
    "authn",
    "governance",
    "sql",
    "upstream",
    "error",
    "startup",
    "session",
    "listener",
    "store",
    "audit",
    "metrics",
    "admin",
    "cli",
];

/// Where a package may be named: paths under `src/`.
const HOMES: [(&str, &[&str]); 10] = [
    ("pg_query", &["sql/parse", "sql/resolve", "sql/rewrite", "governance"]),
    ("sqlparser", &["sql/parse", "sql/rewrite", "governance"]),
    ("pgwire", &["wire", "startup"]),
    ("postgres_protocol", &["wire", "upstream", "authn/scram"]),
    ("x509_parser", &["authn/certificate"]),
    ("tokio_postgres", &["store", "catalog/load"]),
    ("rustls", &["listener", "upstream"]),
    ("tokio_rustls", &["listener", "upstream", "wire/stream", "startup"]),
    ("dashmap", &["session", "upstream", "store"]),
    ("hashbrown", &["policy/shards"]),
];

/// SQLSTATEs by name may be used everywhere.
const EVERYWHERE: &str = "tokio_postgres::error::SqlState";

const LONGEST_FILE: usize = 600;

struct Source {
    /// Relative to `src/` (or to the package, for tests).
    path: String,
    text: String,
}

impl Source {
    /// The first part of the path without its ending: the module.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().expect("a path has a part");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn test_only(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The code without comments and without the inline test module.
    fn code(&self) -> String {
        let before_tests = self.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        before_tests.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    }
}

fn sources(root: &str) -> Vec<Source> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut open = vec![base.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("the sources are here") {
            let path: PathBuf = entry.expect("a readable folder").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("sources are UTF-8");
                found.push(Source { path: path.strip_prefix(&base).expect("below the root").to_string_lossy().into_owned(), text });
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {root}");
    found
}

/// The modules named after `crate::` in the code, groups in braces included.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if code[..at].ends_with("pub(in ") {
            continue;
        }
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            found.push(word);
        } else {
            found.push(rest.to_string());
        }
    }
    let first_name = |path: String| path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    found.into_iter().map(first_name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_library_lists_its_modules_in_import_order() {
    let library = sources("src").into_iter().find(|s| s.path == "lib.rs").expect("there is a library");
    let listed: Vec<&str> = library.text.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, ORDER);
}

#[test]
fn a_module_imports_only_from_those_before_it() {
    let rank = |module: &str| ORDER.iter().position(|m| *m == module);
    let mut wrong = Vec::new();
    for source in sources("src").iter().filter(|s| s.path != "lib.rs" && s.path != "main.rs" && !s.test_only()) {
        let own = rank(source.module()).unwrap_or_else(|| panic!("{} belongs to no module of the list", source.path));
        for import in imports(&source.code()) {
            match rank(&import) {
                Some(theirs) if theirs > own => wrong.push(format!("{} imports {import}", source.path)),
                Some(_) => {}
                None => wrong.push(format!("{} imports crate::{import}, which is no module of the list", source.path)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn packages_stay_in_their_homes() {
    let mut wrong = Vec::new();
    for source in sources("src").iter().filter(|s| !s.test_only()) {
        let code = source.code().replace(EVERYWHERE, "");
        for (package, homes) in HOMES {
            let named = code
                .match_indices(&format!("{package}::"))
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if named && !homes.iter().any(|home| source.path.starts_with(home)) {
                wrong.push(format!("{} uses {package}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_one_can_read() {
    let long: Vec<String> = ["src", "tests"]
        .iter()
        .flat_map(|root| sources(root).into_iter().map(move |s| (format!("{root}/{}", s.path), s.text.lines().count())))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| format!("{path} has {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("the manifest is here");
    assert!(manifest.contains("unsafe_code = \"forbid\""), "the lint table forbids unsafe code in every target");
    let library = sources("src").into_iter().find(|s| s.path == "lib.rs").expect("there is a library");
    assert!(library.text.contains("#![forbid(unsafe_code)]"), "so does the library itself");
}

/// The lints themselves are denied in the manifest, and clippy finds the calls.
#[test]
fn no_code_outside_tests_allows_itself_to_panic() {
    let mut wrong = Vec::new();
    for source in sources("src").iter().filter(|s| !s.test_only()) {
        let code = source.code();
        for lint in ["unwrap_used", "expect_used", "clippy::panic", "clippy::todo", "unimplemented"] {
            if code.contains(&format!("allow(clippy::{}", lint.trim_start_matches("clippy::"))) {
                wrong.push(format!("{} allows {lint}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_says_what_it_is() {
    for source in sources("src").iter().filter(|s| s.path.ends_with("mod.rs") && !s.test_only()) {
        assert!(
            source.text.starts_with("//! ") && source.text.lines().next().is_some_and(|l| l.len() > 20),
            "src/{} opens without a description",
            source.path
        );
    }
}
