//! The table of published classes of bypass in `docs/attacks.md` is true: every class is there, and the tests that it names exist.

use std::path::Path;

#[test]
fn every_published_class_of_bypass_has_tests_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/attacks.md")).expect("docs/attacks.md is here");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect::<Vec<_>>())
        .filter(|cells| cells[0].parse::<u32>().is_ok())
        .collect();
    let numbers: Vec<u32> = rows.iter().filter_map(|cells| cells[0].parse().ok()).collect();
    assert_eq!(numbers, (1..=24).collect::<Vec<_>>());
    for cells in rows {
        assert_eq!(cells.len(), 3, "class {}: number, class, tests", cells[0]);
        let named = tests_named(cells[2]);
        assert!(!named.is_empty(), "class {} names no test", cells[0]);
        named.into_iter().for_each(|name| exists(root, name));
    }
}

#[test]
fn every_rule_that_was_taken_out_names_the_tests_that_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/attacks.md")).expect("docs/attacks.md is here");
    let (_, rules) = text.split_once("| rule | tests |").expect("the table of rules");
    let mut count = 0;
    for row in rules.lines().filter_map(|line| line.strip_prefix("| ")) {
        let named = tests_named(row);
        assert!(!named.is_empty(), "no test is named: {row}");
        named.into_iter().for_each(|name| exists(root, name));
        count += 1;
    }
    assert!(count >= 20, "{count} rules");
}

fn tests_named(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect()
}

fn exists(root: &Path, name: &str) {
    let (module, test) = name.rsplit_once("::").expect("a path");
    let (base, path) = match module.strip_prefix("src::") {
        Some(path) => ("src", path),
        None => ("tests", module),
    };
    let path = path.replace("::", "/");
    // Tests at the end of a file stand in its module `tests`.
    let places =
        [format!("{base}/{path}.rs"), format!("{base}/{path}/mod.rs"), format!("{base}/{}.rs", path.trim_end_matches("/tests"))];
    let sources: Vec<String> = places.iter().filter_map(|place| std::fs::read_to_string(root.join(place)).ok()).collect();
    assert!(sources.iter().any(|source| source.contains(&format!("fn {test}("))), "{name}: no such test");
}
