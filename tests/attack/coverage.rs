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
        let named: Vec<&str> = cells[2].split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
        assert!(!named.is_empty(), "class {} names no test", cells[0]);
        for name in named {
            let (module, test) = name.rsplit_once("::").expect("a path");
            let (base, path) = match module.strip_prefix("src::") {
                Some(path) => ("src", path),
                None => ("tests", module),
            };
            let path = format!("{base}/{}.rs", path.replace("::", "/"));
            let source =
                std::fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("class {}: {path}: {error}", cells[0]));
            assert!(source.contains(&format!("fn {test}(")), "class {}: {path} has no test {test}", cells[0]);
        }
    }
}
