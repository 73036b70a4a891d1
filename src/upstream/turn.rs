//! How a session takes its turn on a shared connection, seen from the bytes.
//!
//! In: the answers to what `write_turn` wrote. Out: how far the turn has come. Never: an answer of these to the session, or a second batch
//! of a session on its way before its turn has begun: an error makes upstream skip to the next Sync only.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use bytes::{BufMut, BytesMut};
use tokio::sync::Notify;

use crate::wire::frame::HEADER;
use crate::wire::{BackendTag, Header, backend};

/// How far a session is with taking its turn.
#[derive(Debug)]
pub(super) enum Turn {
    /// These frames are to be sent.
    Asked(BytesMut),
    /// They were sent; their answers are not for the session.
    Sent,
    /// Only the Describe behind the Sync is to be answered.
    Guarded,
    /// It has it.
    Taken,
}

/// A turn, and what waits for it.
#[derive(Debug)]
pub(super) struct Beginning {
    turn: Turn,
    /// From here on what is to be written waits until the turn is taken.
    held: Option<usize>,
    /// Whether upstream runs the session's own statements: until then a cancel would be one of its turn.
    begun: Option<Arc<Begun>>,
    /// By what the next turn is taken, as this one has told.
    coupon: Option<i64>,
    /// Transactions write by default, as far as is known.
    writes: Option<Arc<AtomicBool>>,
}

impl Beginning {
    /// Of a connection that nobody has to take.
    pub(super) fn over() -> Self {
        Self { turn: Turn::Taken, held: None, begun: None, coupon: None, writes: None }
    }

    /// Begins a turn with these frames, which rely on it that transactions write by default where that is given; if they do not, it is
    /// corrected.
    pub(super) fn ask(&mut self, frames: BytesMut, writes: Option<Arc<AtomicBool>>) {
        self.turn = Turn::Asked(frames);
        (self.coupon, self.writes) = (None, writes);
        self.begun.get_or_insert_default().is_now(NOT_YET);
    }

    #[cfg(test)]
    pub(super) fn frames(&self) -> &[u8] {
        match &self.turn {
            Turn::Asked(frames) => frames,
            Turn::Sent | Turn::Guarded | Turn::Taken => &[],
        }
    }

    /// Whether nothing of a turn was sent yet.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.turn, Turn::Asked(_))
    }

    /// By what the next turn is taken, where that is known.
    pub(super) fn coupon(&self) -> Option<i64> {
        self.coupon
    }

    /// Whether there is no turn to take.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.turn, Turn::Taken)
    }

    /// Whether the session's own statements run.
    pub(super) fn begun(&self) -> Option<Arc<Begun>> {
        self.begun.clone()
    }

    /// Something of the session is about to be written: what begins its turn comes first.
    pub(super) fn send(&mut self, outgoing: &mut BytesMut) {
        if let Turn::Asked(frames) = &mut self.turn {
            outgoing.put_slice(frames);
            self.turn = Turn::Sent;
        }
    }

    /// A Sync was written, which ends so many bytes: what follows must not be sent before the turn is known to have begun.
    pub(super) fn synced(&mut self, bytes: usize) {
        if !self.is_over() {
            self.held.get_or_insert(bytes);
        }
    }

    /// How many of so many bytes may be written now.
    pub(super) fn may_go(&self, bytes: usize) -> usize {
        self.held.map_or(bytes, |held| held.min(bytes))
    }

    /// So many bytes were written.
    pub(super) fn gone(&mut self, bytes: usize) {
        if let Some(held) = &mut self.held {
            *held -= bytes.min(*held);
        }
    }

    /// Takes what has come of the answers.
    pub(super) fn take(&mut self, incoming: &mut BytesMut) -> io::Result<()> {
        let taken = self.turn.take(incoming, &mut self.coupon);
        if let Err(error) = &taken
            && error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<TurnRefused>())
                .is_some_and(|refused| refused.code == READ_ONLY)
        {
            self.writes.take().inspect(|writes| writes.store(false, Ordering::Relaxed));
        }
        if taken.is_ok() && self.is_over() {
            self.held = None;
        }
        if let (Some(begun), Turn::Guarded | Turn::Taken) = (&self.begun, &self.turn) {
            begun.is_now(BEGUN);
        }
        taken
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if let Some(begun) = &self.begun {
            begun.is_now(GONE);
        }
    }
}

/// Whether a connection runs what its session sends, seen by others.
#[derive(Debug, Default)]
pub struct Begun {
    /// [`NOT_YET`], [`BEGUN`] or [`GONE`].
    state: AtomicU8,
    changed: Notify,
}

impl Begun {
    fn is_now(&self, state: u8) {
        if self.state.swap(state, Ordering::SeqCst) != state && state != NOT_YET {
            self.changed.notify_waiters();
        }
    }

    /// Whether it does now.
    pub(super) fn is(&self) -> bool {
        self.state.load(Ordering::SeqCst) == BEGUN
    }

    /// Waits until it does; says no where the connection is gone before.
    pub(super) async fn wait(&self) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Told of what comes between the look and the wait.
            changed.as_mut().enable();
            match self.state.load(Ordering::SeqCst) {
                NOT_YET => changed.await,
                state => return state == BEGUN,
            }
        }
    }
}

const NOT_YET: u8 = 0;
const BEGUN: u8 = 1;
const GONE: u8 = 2;

impl Turn {
    fn take(&mut self, incoming: &mut BytesMut, coupon: &mut Option<i64>) -> io::Result<()> {
        let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "unexpected message");
        while !matches!(self, Self::Taken) {
            let Some(header) = Header::peek(incoming).map_err(|_| nonsense())? else { return Ok(()) };
            if header.body > TURN_BYTES {
                return Err(nonsense());
            }
            if incoming.len() < header.whole() {
                return Ok(());
            }
            let frame = incoming.split_to(header.whole());
            let body = frame.get(HEADER..).unwrap_or_default();
            *self = match (std::mem::replace(self, Self::Taken), BackendTag::from_byte(header.tag).ok_or_else(nonsense)?) {
                (_, BackendTag::ErrorResponse) => return Err(io::Error::other(TurnRefused::read(body))),
                (Self::Sent, BackendTag::ReadyForQuery) => Self::Guarded,
                (Self::Guarded, BackendTag::NoData) => Self::Taken,
                // The first row is that of what takes the turn.
                (Self::Sent, BackendTag::DataRow) if coupon.is_none() => {
                    *coupon = Some(number(body).ok_or_else(nonsense)?);
                    Self::Sent
                }
                // What upstream tells of settings the client knows: they are its own.
                (
                    now @ (Self::Sent | Self::Guarded),
                    BackendTag::ParseComplete
                    | BackendTag::BindComplete
                    | BackendTag::CloseComplete
                    | BackendTag::DataRow
                    | BackendTag::CommandComplete
                    | BackendTag::ParameterDescription
                    | BackendTag::NoticeResponse
                    | BackendTag::ParameterStatus,
                ) => now,
                _ => return Err(nonsense()),
            };
        }
        Ok(())
    }
}

/// The number in the first column of a DataRow.
fn number(body: &[u8]) -> Option<i64> {
    let columns = backend::columns(body).ok()?;
    std::str::from_utf8(columns.first().copied()??).ok()?.parse().ok()
}

/// Upstream did not let a session have its turn.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({code})")]
pub struct TurnRefused {
    /// Its SQLSTATE.
    pub code: String,
    /// Its message.
    pub message: String,
}

impl TurnRefused {
    fn read(body: &[u8]) -> Self {
        let fields = backend::fields(body).unwrap_or_default();
        let field = |kind| fields.iter().find(|(k, _)| *k == kind).map(|(_, text)| text.clone()).unwrap_or_default();
        Self { code: field(b'C'), message: field(b'M') }
    }
}

/// What PostgreSQL says of sequences that are set in a transaction that only reads.
const READ_ONLY: &str = "25006";

/// No answer to what begins a turn is longer.
const TURN_BYTES: usize = 64 * 1024;
