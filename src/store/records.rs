//! Records of the audit trail in a table: written by COPY over a connection of their own, and never changed.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;

use super::StoreError;
use super::channel::{Control, owner_error};
use crate::upstream::{Account, Upstream};

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The proxy.
    pub instance: String,
    /// Its number.
    pub sequence: i64,
    /// When it happened, as records write it.
    pub time: String,
    /// What it is a record of.
    pub event: String,
    /// Who.
    pub principal: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// The SQLSTATE.
    pub sqlstate: Option<String>,
    /// The line.
    pub record: String,
}

/// The table of records.
pub struct Records {
    upstream: Upstream,
    account: Account,
    control: Option<Control>,
}

impl Records {
    /// Connects when there is something to write.
    pub fn new(upstream: Upstream, account: Account) -> Self {
        Self { upstream, account, control: None }
    }

    /// Appends records that follow one another. What an attempt before this one wrote without hearing so is left out.
    pub async fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let mut control = match self.control.take() {
            Some(control) if !control.lost() => control,
            Some(_) | None => Control::connect(&self.upstream, &self.account).await?,
        };
        copy(&mut control, records).await?;
        self.control = Some(control);
        Ok(())
    }
}

async fn copy(control: &mut Control, records: &[Record]) -> Result<(), StoreError> {
    let Some(first) = records.first() else { return Ok(()) };
    let owned = control.begin().await?;
    let transaction = owned.transaction();
    let last = transaction.query_one(LAST, &[&first.instance]).await.map_err(|error| owner_error(&error))?;
    let last: i64 = last.try_get(0).map_err(|error| owner_error(&error))?;
    let mut rows = BytesMut::new();
    for record in records.iter().filter(|record| record.sequence > last) {
        row(&mut rows, record);
    }
    let sink = transaction.copy_in::<_, Bytes>(COPY).await.map_err(|error| owner_error(&error))?;
    let mut sink = std::pin::pin!(sink);
    sink.send(rows.freeze()).await.map_err(|error| owner_error(&error))?;
    sink.finish().await.map_err(|error| owner_error(&error))?;
    owned.commit().await
}

fn row(out: &mut BytesMut, record: &Record) {
    let Record { instance, sequence, time, event, principal, outcome, sqlstate, record } = record;
    let sequence = sequence.to_string();
    let fields = [
        Some(instance),
        Some(&sequence),
        Some(time),
        Some(event),
        principal.as_ref(),
        outcome.as_ref(),
        sqlstate.as_ref(),
        Some(record),
    ];
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            out.put_u8(b'\t');
        }
        match field {
            Some(text) => text.bytes().for_each(|byte| match byte {
                b'\\' => out.put_slice(b"\\\\"),
                b'\t' => out.put_slice(b"\\t"),
                b'\n' => out.put_slice(b"\\n"),
                b'\r' => out.put_slice(b"\\r"),
                // PostgreSQL's text has no such character.
                0 => {}
                byte => out.put_u8(byte),
            }),
            None => out.put_slice(b"\\N"),
        }
    }
    out.put_u8(b'\n');
}

const LAST: &str = "SELECT coalesce(pg_catalog.max(a.sequence), 0) FROM pgusher.audit AS a WHERE a.instance = $1";

const COPY: &str = "COPY pgusher.audit (instance, sequence, time, event, principal, outcome, sqlstate, record) FROM STDIN";
