//! How a session takes its turn on a shared connection, seen from the bytes.
//!
//! In: the answers to what `write_turn` wrote. Out: how far the turn has come. Never: an answer of these to the session, or a second batch
//! of a session on its way before its turn has begun: an error makes upstream skip to the next Sync only.
//!
//! What takes a turn runs in a transaction of its own, or in that of the first statement behind it where the client could not tell: then
//! neither has to be ended by a Sync, nor guarded, since an error of the one skips the other. Each Sync is answered at once, and so costs
//! upstream a write and us a read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use tokio::sync::Notify;

use super::housekeeping::framed;
use crate::wire::frame::HEADER;
use crate::wire::{BackendTag, Header, backend};

/// How far a session is with taking its turn.
#[derive(Debug)]
pub(super) enum Turn {
    /// These frames are to be sent.
    Asked(BytesMut),
    /// They were sent; their answers are not for the session.
    Sent,
    /// They were sent without the Sync, and stand in the transaction of what comes behind.
    Joint,
    /// Likewise, and they ran: the portal that they ran in is yet to be closed.
    Closing,
    /// Only the Describe behind the Sync is to be answered.
    Guarded,
    /// It has it.
    Taken,
    /// What stood in the transaction of the session's statement was canceled, and with it the whole batch: nothing may be sent behind that.
    Canceled,
}

/// What begins a turn.
#[derive(Debug)]
pub(super) struct Opening {
    /// The frames. They end with Sync and, behind it, with a Describe that fails unless all before the Sync went well.
    pub(super) frames: BytesMut,
    /// By what the turn after this one is taken.
    pub(super) coming: i64,
    /// They do nothing but take the turn, and so may stand in another transaction.
    pub(super) joins: bool,
    /// Whether transactions write by default, where the frames rely on that; to be corrected if they do not.
    pub(super) writes: Option<Arc<AtomicBool>>,
}

/// A turn, and what waits for it.
#[derive(Debug)]
pub(super) struct Beginning {
    turn: Turn,
    /// From here on what is to be written waits until the turn is taken.
    held: Option<usize>,
    /// Whether upstream runs the session's own statements: until then a cancel would be one of its turn.
    begun: Option<Arc<Begun>>,
    /// By what the turn after this one is taken.
    coming: i64,
    /// The frames of which nothing was written yet may join the next statement's transaction.
    joins: bool,
    /// How many bytes they are.
    length: usize,
    /// Transactions write by default, as far as is known.
    writes: Option<Arc<AtomicBool>>,
}

impl Beginning {
    /// Of a connection that nobody has to take.
    pub(super) fn over() -> Self {
        Self { turn: Turn::Taken, held: None, begun: None, coming: 0, joins: false, length: 0, writes: None }
    }

    /// Begins a turn with these frames.
    pub(super) fn ask(&mut self, Opening { frames, coming, joins, writes }: Opening) {
        (self.coming, self.joins, self.length, self.writes) = (coming, joins, frames.len(), writes);
        self.turn = Turn::Asked(frames);
        self.begun.get_or_insert_default().is_now(NOT_YET);
    }

    #[cfg(test)]
    pub(super) fn frames(&self) -> &[u8] {
        match &self.turn {
            Turn::Asked(frames) => frames,
            Turn::Sent | Turn::Joint | Turn::Closing | Turn::Guarded | Turn::Taken | Turn::Canceled => &[],
        }
    }

    /// Whether nothing of a turn was sent yet.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.turn, Turn::Asked(_))
    }

    /// By what the next turn is taken, where this one was by these frames.
    pub(super) fn coupon(&self) -> Option<i64> {
        (self.is_over() && self.begun.is_some()).then_some(self.coming)
    }

    /// Whether there is no turn to take.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.turn, Turn::Taken)
    }

    /// Whether it was canceled with the session's statement: the connection is nobody's.
    pub(super) fn is_canceled(&self) -> bool {
        matches!(self.turn, Turn::Canceled)
    }

    /// Whether what comes is for the session.
    pub(super) fn is_past(&self) -> bool {
        self.is_over() || self.is_canceled()
    }

    /// Whether the session's own statements run.
    pub(super) fn begun(&self) -> Option<Arc<Begun>> {
        self.begun.clone()
    }

    /// Something of the session is about to be written: what begins its turn comes first.
    pub(super) fn send(&mut self, outgoing: &mut BytesMut) {
        if let Turn::Asked(frames) = &mut self.turn {
            self.joins &= outgoing.is_empty();
            outgoing.put_slice(frames);
            self.turn = Turn::Sent;
        }
    }

    /// What runs next reads, and is the first in its batch: its transaction is as good as one of the turn's own, unless something was written
    /// by now.
    pub(super) fn join(&mut self, outgoing: &mut BytesMut) {
        let (before, behind) = framed();
        let spared = before + behind;
        if let (true, Some(frames)) = (std::mem::take(&mut self.joins), outgoing.get_mut(..self.length))
            && frames.len() >= spared
        {
            frames.copy_within(before..frames.len() - behind, spared);
            outgoing.advance(spared);
            self.turn = Turn::Joint;
            if let Some(begun) = &self.begun {
                begun.is_now(JOINT);
            }
        }
    }

    /// What runs next is for a transaction of its own.
    pub(super) fn part(&mut self) {
        self.joins = false;
    }

    /// A Sync was written, which ends so many bytes: what follows must not be sent before the turn is known to have begun.
    pub(super) fn synced(&mut self, bytes: usize) {
        self.part();
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
        self.part();
        if let Some(held) = &mut self.held {
            *held -= bytes.min(*held);
        }
    }

    /// Takes what has come of the answers.
    pub(super) fn take(&mut self, incoming: &mut BytesMut) -> io::Result<()> {
        let taken = self.turn.take(incoming);
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
        match (&self.begun, &self.turn) {
            (Some(begun), Turn::Guarded | Turn::Taken) => begun.is_now(BEGUN),
            (Some(begun), Turn::Canceled) => begun.is_now(GONE),
            (Some(_), Turn::Asked(_) | Turn::Sent | Turn::Joint | Turn::Closing) | (None, _) => {}
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
    /// [`NOT_YET`], [`JOINT`], [`BEGUN`] or [`GONE`].
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

    /// Waits until it does; says no where the connection is gone before. In the transaction of a statement of the session upstream says only
    /// with that one's answers that it has come so far, which is soon: what is canceled sooner is canceled with the statement.
    pub(super) async fn wait(&self) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Told of what comes between the look and the wait.
            changed.as_mut().enable();
            match self.state.load(Ordering::SeqCst) {
                NOT_YET => changed.await,
                JOINT if tokio::time::timeout(SOON, changed).await.is_err() => return true,
                JOINT => {}
                state => return state == BEGUN,
            }
        }
    }
}

const NOT_YET: u8 = 0;
const BEGUN: u8 = 1;
const GONE: u8 = 2;
const JOINT: u8 = 3;

/// What takes a turn has run by then, unless upstream waits for something.
const SOON: Duration = Duration::from_millis(20);

impl Turn {
    fn take(&mut self, incoming: &mut BytesMut) -> io::Result<()> {
        let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "unexpected message");
        while !matches!(self, Self::Taken | Self::Canceled) {
            let Some(header) = Header::peek(incoming).map_err(|_| nonsense())? else { return Ok(()) };
            if header.body > TURN_BYTES {
                return Err(nonsense());
            }
            if incoming.len() < header.whole() {
                return Ok(());
            }
            let tag = BackendTag::from_byte(header.tag).ok_or_else(nonsense)?;
            if tag == BackendTag::ErrorResponse {
                let refused = TurnRefused::read(incoming.get(HEADER..header.whole()).unwrap_or_default());
                if matches!(self, Self::Joint | Self::Closing) && ITS_OWN.contains(&&*refused.code) {
                    // It is the answer to the session's statement, too.
                    *self = Self::Canceled;
                    return Ok(());
                }
                return Err(io::Error::other(refused));
            }
            incoming.advance(header.whole());
            *self = match (std::mem::replace(self, Self::Taken), tag) {
                (Self::Sent, BackendTag::ReadyForQuery) => Self::Guarded,
                (Self::Joint, BackendTag::CommandComplete) => Self::Closing,
                (Self::Guarded, BackendTag::NoData) | (Self::Closing, BackendTag::CloseComplete) => Self::Taken,
                // What upstream tells of settings the client knows: they are its own.
                (
                    now @ (Self::Sent | Self::Joint | Self::Closing | Self::Guarded),
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

/// What it says of statements that were canceled, or took longer than they may, and of those that waited for a lock longer than that. They
/// say it of the session's statement as much as of what stands before it in its transaction.
const ITS_OWN: [&str; 2] = ["57014", "55P03"];

/// No answer to what begins a turn is longer.
const TURN_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::super::housekeeping::{Handover, Housekeeping, Kept, write_turn};
    use super::*;

    fn opening(joins: bool) -> Opening {
        let turn = Handover { coupon: "1", coming: "2", session: "3", principal: "4", token: "t" };
        let mut frames = BytesMut::new();
        write_turn(&mut frames, &[Housekeeping::TakeNext(turn)], &mut Kept::default());
        Opening { frames, coming: 2, joins, writes: None }
    }

    /// What goes out for a turn and these bytes behind it.
    fn sent(joins: bool, bytes: &[u8], meanwhile: impl Fn(&mut Beginning, usize)) -> (Beginning, BytesMut) {
        let (mut beginning, mut outgoing) = (Beginning::over(), BytesMut::new());
        beginning.ask(opening(joins));
        beginning.send(&mut outgoing);
        outgoing.put_slice(bytes);
        meanwhile(&mut beginning, outgoing.len());
        beginning.join(&mut outgoing);
        (beginning, outgoing)
    }

    #[test]
    fn a_turn_joins_what_is_behind_it_without_its_guard() {
        let (before, behind) = framed();
        let frames = opening(true).frames;
        let step = &frames[before..frames.len() - behind];
        for bytes in [&b""[..], b"Bind", &[7; 1000]] {
            let (beginning, outgoing) = sent(true, bytes, |_, _| {});
            assert_eq!(outgoing, [step, bytes].concat());
            assert!(!beginning.begun().expect("it is asked").is() && beginning.coupon().is_none());
        }
    }

    #[test]
    fn a_turn_stands_by_itself_unless_nothing_ran_was_ended_or_written() {
        let apart: [fn(&mut Beginning, usize); 3] =
            [|beginning, _| beginning.part(), Beginning::synced, |beginning, _| beginning.gone(1)];
        for meanwhile in apart {
            assert_eq!(sent(true, b"Bind", meanwhile).1, [&opening(true).frames[..], b"Bind"].concat());
        }
        assert_eq!(sent(false, b"Bind", |_, _| {}).1, [&opening(false).frames[..], b"Bind"].concat());
    }

    #[test]
    fn what_is_answered_to_a_turn_in_a_query_s_transaction_ends_with_its_command() {
        let (mut beginning, _) = sent(true, b"", |_, _| {});
        let mut incoming = BytesMut::from(&b"2\0\0\0\x04D\0\0\0\x0b\0\x01\0\0\0\x013C\0\0\0\x0dSELECT 1\0"[..]);
        beginning.take(&mut incoming).expect("it is taken");
        // What it ran in has yet to go.
        assert!(!beginning.is_over() && incoming.is_empty());
        incoming.put_slice(b"3\0\0\0\x04");
        beginning.take(&mut incoming).expect("it is taken");
        assert!(beginning.is_over() && incoming.is_empty() && beginning.coupon() == Some(2));
        // What comes then is the session's.
        incoming.put_slice(b"2\0\0\0\x04");
        beginning.take(&mut incoming).expect("it is over");
        assert_eq!(incoming.len(), 5);
    }

    #[test]
    fn a_cancel_is_the_query_s_and_what_else_is_refused_is_nobody_s() {
        let error = |code: &str| BytesMut::from(&[b"E\0\0\0\x0cC", code.as_bytes(), b"\0\0"].concat()[..]);
        let (mut beginning, _) = sent(true, b"", |_, _| {});
        let mut incoming = error("57014");
        beginning.take(&mut incoming).expect("it is the session's");
        assert!(beginning.is_canceled() && !beginning.is_over() && incoming.len() == 13 && beginning.coupon().is_none());
        // The Sync of its batch goes out, and nothing behind that.
        beginning.synced(5);
        assert_eq!((beginning.may_go(5), beginning.may_go(9)), (5, 5));
        beginning.gone(5);
        assert_eq!(beginning.may_go(4), 0);
        assert!(sent(true, b"", |_, _| {}).0.take(&mut error("28000")).is_err());
        // By itself it is not known whose batch it was.
        assert!(sent(false, b"", |_, _| {}).0.take(&mut error("57014")).is_err());
    }
}
