//! SHOW AUDIT: the table of records, for administrators.

use serde::Deserialize;

use super::{Ground, Rows, fetch};
use crate::error::GovernError;
use crate::name::quote_literal;
use crate::upstream::OwnerChannel;

#[derive(Deserialize)]
struct AuditRow {
    time: String,
    instance: String,
    sequence: i64,
    event: String,
    principal: Option<String>,
    outcome: Option<String>,
    sqlstate: Option<String>,
    record: String,
}

/// The last records, the latest first.
pub(super) async fn show(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, of: Option<&str>) -> Result<Rows, GovernError> {
    ground.admin("read the audit trail")?;
    let condition = of.map_or_else(|| "true".to_owned(), |name| format!("a.principal = {}", quote_literal(name)));
    let sql = format!(
        "SELECT pg_catalog.to_char(a.time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS time, a.instance, a.sequence, \
         a.event, a.principal, a.outcome, a.sqlstate, a.record FROM pgusher.audit AS a WHERE {condition} \
         ORDER BY a.time DESC, a.sequence DESC LIMIT {MOST}"
    );
    let rows: Vec<AuditRow> = fetch(channel, &sql).await?;
    let row = |row: AuditRow| {
        let AuditRow { time, instance, sequence, event, principal, outcome, sqlstate, record } = row;
        vec![Some(time), Some(instance), Some(sequence.to_string()), Some(event), principal, outcome, sqlstate, Some(record)]
    };
    Ok(rows.into_iter().map(row).collect())
}

/// So many are shown.
const MOST: u32 = 1000;
