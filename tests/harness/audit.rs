//! A shop with an audit trail, and the records in it.

use std::path::PathBuf;

use serde_json::Value;

use super::{Mechanism, Shop};

/// A shop whose proxy writes records to a file.
pub struct Audited {
    /// The shop.
    pub shop: Shop,
    /// The file of records.
    pub file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Audited {
    /// Starts one; `more` are further lines of the section `[audit]`.
    pub fn shop(mechanism: Mechanism, more: &str) -> Audited {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let file = directory.path().join("audit.jsonl");
        let shop = Shop::configured(mechanism, &settings(&file, more));
        Audited { shop, file, _directory: directory }
    }

    /// Every record, those of files that were put aside too.
    pub fn records(&self) -> Vec<Value> {
        records(&self.file)
    }

    /// The one record of a statement that has this in its text.
    pub fn of(&self, text: &str) -> Value {
        let found = self.all(text);
        assert_eq!(found.len(), 1, "records of {text}: {found:#?}");
        found[0].clone()
    }

    /// The records of statements that have this in their text.
    pub fn all(&self, text: &str) -> Vec<Value> {
        let said =
            |record: &Value| record["event"] == "statement" && record["statement"].as_str().is_some_and(|s| s.contains(text));
        self.records().into_iter().filter(said).collect()
    }

    /// The records of an event.
    pub fn events(&self, event: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["event"] == event).collect()
    }
}

/// The section `[audit]` for a file.
pub fn settings(file: &std::path::Path, more: &str) -> String {
    format!("[audit]\nfile = \"{}\"\n{more}\n", file.display())
}

/// Every record of a trail.
pub fn records(file: &std::path::Path) -> Vec<Value> {
    let files = pgusher::audit::verify::files(file).expect("a readable directory");
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).expect("a readable file")).collect();
    // Half a line is still being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
