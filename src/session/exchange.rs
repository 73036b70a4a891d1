//! The bytes of a session: both streams with their buffers, and the clock. Knows nothing of messages.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::environment::IdleLimits;
use crate::error::session::SessionError;
use crate::event::{Receipts, Unwritten};
use crate::upstream::send::Link;
use crate::wire::ClientStream;
use crate::wire::frame::give_back;

/// What a session waits for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// For upstream (and the client).
    Busy,
    /// For the client, outside a transaction.
    Idle,
    /// For the client, inside a transaction.
    InTransaction,
}

/// What must wait for a record.
struct Hold {
    /// From how many bytes written in all.
    from: u64,
    /// The record's receipt.
    receipt: u64,
    /// What stands before it ends with a whole frame.
    whole: bool,
}

/// Both streams of a session.
pub(super) struct Exchange {
    client: ClientStream,
    /// Read from the client and not yet taken.
    pub(super) inbox: BytesMut,
    /// To be written to the client.
    pub(super) outbox: BytesMut,
    unflushed: bool,
    /// What of the outbox must wait until something is on record: in order.
    holds: VecDeque<Hold>,
    /// How many bytes were written in all.
    written: u64,
    /// The receipts of the session's records.
    pub(super) receipts: Receipts,
    /// The upstream side.
    pub(super) link: Link,
    /// The client sends no more.
    pub(super) ended: bool,
    /// The room for a read from upstream, and from the client.
    read_room: usize,
    client_room: usize,
    clock: Clock,
}

impl Exchange {
    pub(super) fn new(client: ClientStream, read_ahead: BytesMut, link: Link, clock: Clock, receipts: Receipts) -> Self {
        Self {
            client,
            inbox: read_ahead,
            outbox: BytesMut::new(),
            unflushed: false,
            holds: VecDeque::new(),
            written: 0,
            receipts,
            link,
            ended: false,
            read_room: READ_LEAST,
            client_room: READ_LEAST,
            clock,
        }
    }

    /// What is put into the outbox from now on waits until everything that was recorded is durable. `whole`: the outbox ends with a
    /// whole frame.
    pub(super) fn hold(&mut self, whole: bool) {
        if self.receipts.outstanding() {
            self.holds.push_back(Hold { from: self.written + self.outbox.len() as u64, receipt: self.receipts.issued(), whole });
        }
    }

    /// Drops what waits for records that are not coming. Whether something else may be said in its place.
    pub(super) fn abandon(&mut self) -> bool {
        let Some(Hold { from, whole, .. }) = self.holds.front() else { return true };
        let whole = *whole;
        self.outbox.truncate(usize::try_from(from - self.written).unwrap_or(usize::MAX));
        self.holds.clear();
        whole
    }

    /// How much of the outbox may be written.
    fn released(&mut self, cx: &mut Context<'_>) -> io::Result<usize> {
        while let Some(Hold { from, receipt, .. }) = self.holds.front() {
            match self.receipts.poll(cx, *receipt) {
                Poll::Ready(Ok(())) => {
                    self.holds.pop_front();
                }
                Poll::Ready(Err(Unwritten)) => return Err(io::Error::other(Unwritten)),
                Poll::Pending => return Ok(usize::try_from(from - self.written).unwrap_or(usize::MAX).min(self.outbox.len())),
            }
        }
        Ok(self.outbox.len())
    }

    /// Whether more must be written before more is made.
    pub(super) fn full(&self) -> bool {
        self.outbox.len() >= HIGH_WATER || self.link.backlog() >= HIGH_WATER
    }

    /// Writes what waits in both directions and reads what comes; returns as soon as anything came or a blocked write went on.
    /// `hungry`: the next frame of the client is incomplete, so its bytes are wanted whatever is already here.
    pub(super) async fn io(&mut self, hungry: bool, waiting: Waiting) -> Result<(), SessionError> {
        self.clock.note();
        std::future::poll_fn(|cx| self.poll(cx, hungry, waiting)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, hungry: bool, waiting: Waiting) -> Poll<Result<(), SessionError>> {
        let was_full = self.full();
        let mut moved = false;
        if let Poll::Ready(Err(cause)) = self.poll_outbox(cx) {
            return Poll::Ready(Err(client_lost(cause)));
        }
        if let Poll::Ready(Err(cause)) = self.link.poll_write(cx) {
            // Upstream may have said why before it closed: what it said is read first.
            if self.outbox.len() >= HIGH_WATER || !matches!(self.poll_link(cx), Poll::Ready(Ok(true))) {
                return Poll::Ready(Err(SessionError::UpstreamLost(cause)));
            }
            return Poll::Ready(Ok(()));
        }
        if !self.ended && self.link.backlog() < HIGH_WATER && (hungry || self.inbox.len() < HIGH_WATER) {
            match self.poll_client(cx) {
                Poll::Ready(Ok(0)) => {
                    self.ended = true;
                    self.clock.client_gone();
                    moved = true;
                }
                Poll::Ready(Ok(count)) => {
                    self.client_room = wider(self.client_room, count, FROM_CLIENT);
                    moved = true;
                }
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(SessionError::ClientGone(cause))),
                Poll::Pending => {}
            }
        }
        if self.outbox.len() < HIGH_WATER {
            match self.poll_link(cx) {
                Poll::Ready(Ok(_)) => moved = true,
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(SessionError::UpstreamLost(cause))),
                Poll::Pending => {}
            }
        }
        if moved || (was_full && !self.full()) {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(over) = self.clock.poll(cx, waiting) {
            return Poll::Ready(Err(over));
        }
        if waiting != Waiting::Busy {
            self.shrink();
        }
        Poll::Pending
    }

    /// For a session that has no connection to upstream yet: writes what waits for the client and reads what comes, until the client is
    /// gone. One that has more to say than is read ahead is not seen to go.
    pub(super) async fn until_gone(&mut self) -> SessionError {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Err(cause)) = self.poll_outbox(cx) {
                return Poll::Ready(client_lost(cause));
            }
            while !self.ended && self.inbox.len() < HIGH_WATER {
                match ready!(self.poll_client(cx)) {
                    Ok(0) => self.ended = true,
                    Ok(_) => {}
                    Err(cause) => return Poll::Ready(SessionError::ClientGone(cause)),
                }
            }
            if self.ended { Poll::Ready(SessionError::ClientGone(io::ErrorKind::UnexpectedEof.into())) } else { Poll::Pending }
        })
        .await
    }

    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.client_room > READ_LEAST || !self.inbox.is_empty() {
            self.inbox.reserve(self.client_room);
            return pin!(self.client.read_buf(&mut self.inbox)).poll(cx);
        }
        // While nothing comes, an idle client takes no room.
        let mut room = [const { MaybeUninit::uninit() }; READ_LEAST];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.client).poll_read(cx, &mut read))?;
        self.inbox.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    fn poll_link(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.link.poll_read(cx, self.read_room) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Ok(count)) => {
                let most = if self.client.is_tls() { TLS_RECORD } else { READ_LEAST };
                self.read_room = wider(self.read_room, count, most);
                Poll::Ready(Ok(true))
            }
            Poll::Ready(Err(cause)) => Poll::Ready(Err(cause)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_outbox(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let released = self.released(cx)?;
            if released == 0 {
                break;
            }
            let out = self.outbox.get(..released).unwrap_or_default();
            match Pin::new(&mut self.client).poll_write(cx, out) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    self.outbox.advance(written);
                    self.written += written as u64;
                    self.unflushed = true;
                }
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.client).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.outbox.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// An idle connection keeps little memory.
    fn shrink(&mut self) {
        give_back(&mut self.inbox, KEPT);
        give_back(&mut self.outbox, KEPT);
        self.read_room = READ_LEAST;
        self.client_room = READ_LEAST;
        self.link.shrink();
    }

    /// Writes what waits for the client, but not for ever, and closes.
    pub(super) async fn farewell(&mut self) {
        let write = async {
            if std::future::poll_fn(|cx| self.poll_outbox(cx)).await.is_ok() {
                let _ = std::future::poll_fn(|cx| Pin::new(&mut self.client).poll_shutdown(cx)).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, write).await;
    }

    /// Says goodbye to upstream, but not for long.
    pub(super) async fn part(mut self) {
        self.link.terminate();
        let _ = tokio::time::timeout(FAREWELL, std::future::poll_fn(|cx| self.link.poll_write(cx))).await;
    }
}

/// Nothing more can be written to the client: its socket says so, or something could not be recorded.
fn client_lost(cause: io::Error) -> SessionError {
    let unwritten = cause.get_ref().is_some_and(|inner| inner.is::<Unwritten>());
    if unwritten { SessionError::Unrecorded } else { SessionError::ClientGone(cause) }
}

/// What comes in large pieces is read in larger ones.
fn wider(room: usize, count: usize, most: usize) -> usize {
    if count >= room { (room * 2).min(most) } else { room }
}

/// When a session must end by itself.
pub(super) struct Clock {
    expires: Option<Instant>,
    limits: IdleLimits,
    since: Instant,
    /// When what still runs for a client that is gone is canceled.
    gone: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl Clock {
    pub(super) fn new(expires: Option<Instant>, limits: IdleLimits) -> Self {
        let now = Instant::now();
        let first = expires.unwrap_or(now + FAR).min(now + FAR);
        let first = [limits.session, limits.transaction].into_iter().flatten().fold(first, |first, limit| first.min(now + limit));
        Self { expires, limits, since: now, gone: None, alarm: Box::pin(tokio::time::sleep_until(first)) }
    }

    fn note(&mut self) {
        if self.limits != IdleLimits::default() {
            self.since = Instant::now();
        }
    }

    /// The client closed without goodbye. What it sent may come to its end, as in PostgreSQL; but it does not hold an upstream
    /// connection for long.
    fn client_gone(&mut self) {
        let at = Instant::now() + GRACE;
        self.gone = Some(at);
        self.alarm.as_mut().reset(at);
    }

    fn poll(&mut self, cx: &mut Context<'_>, waiting: Waiting) -> Poll<SessionError> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if self.expires.is_some_and(|at| at <= now) {
                return Poll::Ready(SessionError::Expired);
            }
            if self.gone.is_some_and(|at| at <= now) {
                return Poll::Ready(SessionError::ClientGone(io::ErrorKind::UnexpectedEof.into()));
            }
            let (limit, over) = match waiting {
                Waiting::Busy => (None, SessionError::Idle),
                Waiting::Idle => (self.limits.session, SessionError::Idle),
                Waiting::InTransaction => (self.limits.transaction, SessionError::IdleInTransaction),
            };
            if limit.is_some_and(|limit| self.since + limit <= now) {
                return Poll::Ready(over);
            }
            // The state may change before the alarm: every limit that could come to apply is looked at again in time.
            let applies = limit.map(|limit| self.since + limit);
            let others = [self.limits.session, self.limits.transaction].into_iter().flatten().map(|limit| now + limit);
            let next = others.chain(applies).chain(self.expires).chain(self.gone).fold(now + FAR, Instant::min);
            self.alarm.as_mut().reset(next);
        }
        Poll::Pending
    }
}

/// How much may wait to be written before nothing more is read for it.
const HIGH_WATER: usize = 64 * 1024;

/// The room for a read, at first. From upstream it stays that: with larger pieces we sleep more often, and who sends has to wake us
/// (docs/performance.md, "Streams").
const READ_LEAST: usize = 4096;

/// The room for a read from upstream, at most, for a client whose answers are encrypted (RFC 8446, 5.1: the plain text of a record).
const TLS_RECORD: usize = 16 * 1024;

/// The room for a read from the client, at most.
const FROM_CLIENT: usize = 64 * 1024;

/// How much room for what an idle client says is kept.
const KEPT: usize = 512;

/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long statements of a client that is gone may still run.
const GRACE: Duration = Duration::from_secs(5);

/// Longer than any limit.
const FAR: Duration = Duration::from_secs(24 * 3600);
