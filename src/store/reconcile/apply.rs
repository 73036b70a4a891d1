//! Runs tasks, each so that its failure undoes it alone.

use std::collections::HashMap;

use super::plan::Task;
use crate::name::quote_literal;
use crate::policy::Oid;
use crate::store::StoreError;
use crate::upstream::{OwnerChannel, OwnerError};

/// How long each task may wait for a lock, as PostgreSQL writes durations: until the first one waited in vain, and from then on. A wait
/// for a table's lock holds up everybody who comes after, and whoever locked one table often locked all of them, like `pg_dump`.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    first: &'static str,
    then: &'static str,
}

impl Patience {
    /// Somebody waits for it to be done.
    pub(super) const COMMAND: Self = Self { first: "3s", then: "3s" };
    /// It is tried again later, and meanwhile the tables are refused.
    pub(super) const REPAIR: Self = Self { first: "1s", then: "100ms" };
}

/// Runs every task; gives what failed, by relation. Many go at once, and one by one when that fails.
pub(super) async fn apply(
    channel: &mut dyn OwnerChannel,
    tasks: &[Task],
    patience: Patience,
) -> Result<HashMap<Oid, OwnerError>, StoreError> {
    let mut attempts = Attempts { channel, patience, waited: false };
    let mut failures = HashMap::new();
    for chunk in tasks.chunks(CHUNK) {
        let together: Vec<&str> = chunk.iter().map(|t| t.sql.as_str()).collect();
        if attempts.attempt(&together.join(";\n")).await?.is_none() {
            continue;
        }
        let mut again = Vec::new();
        for task in chunk {
            if attempts.attempt(&task.sql).await?.is_some() {
                again.push(task);
            }
        }
        // What stood in the way of one may have been moved by another.
        for task in again {
            if let Some(error) = attempts.attempt(&task.sql).await? {
                tracing::warn!(relation = task.relation, code = %error.code, "upstream refused: {}", error.message);
                failures.entry(task.relation).or_insert(error);
            }
        }
    }
    Ok(failures)
}

struct Attempts<'a> {
    channel: &'a mut dyn OwnerChannel,
    patience: Patience,
    /// One did not get its lock in time.
    waited: bool,
}

impl Attempts<'_> {
    async fn attempt(&mut self, sql: &str) -> Result<Option<OwnerError>, StoreError> {
        let patience = if self.waited { self.patience.then } else { self.patience.first };
        let call = format!("SELECT pgusher.attempt({}, '{patience}') AS failure", quote_literal(sql).trim_start());
        let rows = self.channel.fetch(&call).await?;
        let Some(failure) = rows.pointer("/0/failure").filter(|f| !f.is_null()) else { return Ok(None) };
        let text = |key: &str| failure.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let error = OwnerError { code: text("code"), message: text("message") };
        self.waited |= error.code == LOCK_NOT_AVAILABLE;
        Ok(Some(error))
    }
}

const LOCK_NOT_AVAILABLE: &str = "55P03";
const CHUNK: usize = 100;
