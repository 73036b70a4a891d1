//! Runs tasks, each so that its failure undoes it alone.

use std::collections::HashMap;

use super::plan::Task;
use crate::name::quote_literal;
use crate::policy::Oid;
use crate::store::StoreError;
use crate::upstream::{OwnerChannel, OwnerError};

/// Runs every task; gives what failed, by relation. Many go at once, and one by one when that fails.
pub(super) async fn apply(channel: &mut dyn OwnerChannel, tasks: &[Task]) -> Result<HashMap<Oid, OwnerError>, StoreError> {
    let mut failures = HashMap::new();
    for chunk in tasks.chunks(CHUNK) {
        let together: Vec<&str> = chunk.iter().map(|t| t.sql.as_str()).collect();
        if attempt(channel, &together.join(";\n")).await?.is_none() {
            continue;
        }
        let mut again = Vec::new();
        for task in chunk {
            if attempt(channel, &task.sql).await?.is_some() {
                again.push(task);
            }
        }
        // What stood in the way of one may have been moved by another.
        for task in again {
            if let Some(error) = attempt(channel, &task.sql).await? {
                tracing::warn!(relation = task.relation, code = %error.code, "upstream refused: {}", error.message);
                failures.entry(task.relation).or_insert(error);
            }
        }
    }
    Ok(failures)
}

async fn attempt(channel: &mut dyn OwnerChannel, sql: &str) -> Result<Option<OwnerError>, StoreError> {
    let rows = channel.fetch(&format!("SELECT pgusher.attempt({}) AS failure", quote_literal(sql).trim_start())).await?;
    let Some(failure) = rows.pointer("/0/failure").filter(|f| !f.is_null()) else { return Ok(None) };
    let text = |key: &str| failure.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Ok(Some(OwnerError { code: text("code"), message: text("message") }))
}

const CHUNK: usize = 100;
