//! Tables in documents that say what a test has seen.

/// The table in `docs/NAME.md` that the tests of this filter make is this one; with `PGUSHER_WRITE_DOCS` it becomes it.
pub fn table_of(name: &str, filter: &str, table: &str) {
    let file = format!("{}/docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
    let first = format!("<!-- Made by a test: PGUSHER_WRITE_DOCS=1 cargo test --test all {filter} -->\n");
    let text = std::fs::read_to_string(&file).expect("the document is there");
    let (before, rest) = text.split_once(&first).expect("the table's beginning");
    let (_, after) = rest.split_once(LAST).expect("the table's end");
    let fresh = format!("{before}{first}{table}{LAST}{after}");
    if std::env::var_os("PGUSHER_WRITE_DOCS").is_some() {
        std::fs::write(&file, fresh).expect("the document can be written");
    } else {
        assert_eq!(text, fresh, "docs/{name}.md is not what was seen: run with PGUSHER_WRITE_DOCS=1");
    }
}

const LAST: &str = "<!-- end of what a test made -->\n";
