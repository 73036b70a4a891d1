//! The table of records: a task that follows the other sinks, in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::store::records::{Record, Records};
use crate::upstream::{Account, Upstream};

/// Where the table is.
#[derive(Clone, Debug)]
pub struct TableSettings {
    /// The database.
    pub upstream: Upstream,
    /// The control login.
    pub account: Account,
}

/// A table that is written to.
pub(super) struct Table {
    lines: mpsc::Sender<Vec<u8>>,
    failing: Arc<AtomicBool>,
}

impl Table {
    /// Begins to write; must be called inside the runtime. The task ends when the table is dropped and everything is written.
    pub(super) fn start(settings: TableSettings, failing: Arc<AtomicBool>) -> (Self, JoinHandle<()>) {
        let (lines, waiting) = mpsc::channel(BATCHES);
        let task = tokio::spawn(follow(waiting, Records::new(settings.upstream, settings.account), Arc::clone(&failing)));
        (Self { lines, failing }, task)
    }

    /// Hands lines over; blocks while too many wait. `patient`: what cannot be written must not be left out.
    pub(super) fn append(&self, lines: &[u8], patient: bool) {
        if patient || !self.failing.load(Ordering::Relaxed) {
            let _ = self.lines.blocking_send(lines.to_vec());
        } else if self.lines.try_send(lines.to_vec()).is_err() {
            tracing::debug!("audit records are left out of the table");
        }
    }
}

async fn follow(mut waiting: mpsc::Receiver<Vec<u8>>, mut table: Records, failing: Arc<AtomicBool>) {
    while let Some(mut lines) = waiting.recv().await {
        tokio::time::sleep(GATHER).await;
        while lines.len() < BATCH_BYTES
            && let Ok(more) = waiting.try_recv()
        {
            lines.extend_from_slice(&more);
        }
        let records: Vec<Record> = lines.split(|byte| *byte == b'\n').filter_map(record).collect();
        while let Err(error) = table.append(&records).await {
            if !failing.swap(true, Ordering::AcqRel) {
                tracing::error!(%error, "audit records cannot be written to the table");
            }
            if waiting.is_closed() {
                tracing::error!(records = records.len(), "audit records are left out of the table");
                return;
            }
            tokio::time::sleep(PROBE).await;
        }
        if failing.swap(false, Ordering::AcqRel) {
            tracing::warn!("audit records are written to the table again");
        }
    }
}

fn record(line: &[u8]) -> Option<Record> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    Some(Record {
        instance: text("instance")?,
        sequence: value.get("sequence")?.as_i64()?,
        time: text("time")?,
        event: text("event")?,
        principal: text("principal").or_else(|| text("user")),
        outcome: text("outcome"),
        sqlstate: text("sqlstate"),
        record: String::from_utf8(line.to_vec()).ok()?,
    })
}

/// So many batches may wait.
const BATCHES: usize = 64;

/// How much is written at once.
const BATCH_BYTES: usize = 1 << 20;

/// How long records are gathered.
const GATHER: Duration = Duration::from_millis(100);

/// How often it is tried whether records can be written again.
const PROBE: Duration = Duration::from_millis(500);
