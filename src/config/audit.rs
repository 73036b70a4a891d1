//! The settings of the audit trail.

use std::path::{Path, PathBuf};

use super::written::Written;

/// The audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The file of records.
    pub file: Option<PathBuf>,
    /// The size at which it is put aside; 0 never.
    pub rotate_bytes: u64,
    /// How many of those are kept; 0 for all.
    pub rotate_keep: usize,
    /// Whether records go to standard output.
    pub stdout: bool,
    /// Whether records go to a table of the database, too.
    pub table: bool,
    /// When a client may hear of the end of its statement.
    pub durability: AuditDurability,
    /// What happens while records cannot be written.
    pub on_failure: AuditFailure,
    /// Whether texts keep their literals.
    pub literals: bool,
    /// Whether the values of parameters are recorded.
    pub parameters: bool,
    /// The key of the hash chain.
    pub key_file: Option<PathBuf>,
}

impl Audit {
    /// Whether records are kept anywhere but in the log.
    pub fn is_on(&self) -> bool {
        self.file.is_some() || self.stdout
    }
}

/// When a client may hear of the end of its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditDurability {
    /// At once.
    Buffered,
    /// When the operating system has the record.
    Written,
    /// When the disk has it.
    Synced,
}

/// What happens to statements while records cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFailure {
    /// They are refused.
    Refuse,
    /// They go on.
    Continue,
}

/// Reads them; `None` when a mistake left a gap.
pub(super) fn audit(written: &mut Written, base: &Path) -> Option<Audit> {
    let file = written.path("audit.file", base);
    let rotate_bytes = written.integer("audit.rotate_bytes", 0..=i64::MAX).and_then(|bytes| u64::try_from(bytes).ok());
    let rotate_keep = written.count("audit.rotate_keep", 0..=1_000_000);
    let stdout = written.flag("audit.stdout");
    let table = written.flag("audit.table");
    let durability = written.choice(
        "audit.durability",
        &[("buffered", AuditDurability::Buffered), ("written", AuditDurability::Written), ("synced", AuditDurability::Synced)],
    );
    let on_failure = written.choice("audit.on_failure", &[("refuse", AuditFailure::Refuse), ("continue", AuditFailure::Continue)]);
    let literals = written.flag("audit.literals");
    let parameters = written.flag("audit.parameters");
    let key_file = written.path("audit.key_file", base);
    if literals == Some(false) && parameters == Some(true) {
        written.mistake("audit.parameters", "needs audit.literals = true");
    }
    if table == Some(true) && file.is_none() && stdout == Some(false) {
        written.mistake("audit.table", "needs audit.file or audit.stdout: the table follows them");
    }
    Some(Audit {
        file,
        rotate_bytes: rotate_bytes?,
        rotate_keep: rotate_keep?,
        stdout: stdout?,
        table: table?,
        durability: durability?,
        on_failure: on_failure?,
        literals: literals?,
        parameters: parameters?,
        key_file,
    })
}
