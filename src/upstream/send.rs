//! The only door to upstream.
//!
//! SQL goes in as [`Rewritten`] or [`Housekeeping`]; there is no third way. Beside them pass the client's own frames that hold no
//! SQL and refer to statements that went through the door.
//!
//! A `Rewritten` cannot be made outside the pipeline:
//!
//! ```compile_fail
//! use pgusher::sql::Rewritten;
//! let forged = Rewritten { text: "DROP TABLE t".into() };
//! ```
//!
//! and what is no `Rewritten` is not sent:
//!
//! ```compile_fail
//! fn send(link: &mut pgusher::upstream::send::Link) {
//!     link.parse("", "DROP TABLE t", &[]);
//! }
//! ```

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread::ThreadId;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::housekeeping::{FAIL, Housekeeping, REFUSED, STEP};
use super::turn::{Beginning, Begun, Opening};
use crate::sql::{Effect, Fill, Owned, Rewritten};
use crate::wire::frame::give_back;
use crate::wire::frontend::{
    Target, write_close, write_copy_fail, write_flush, write_parse, write_query, write_sync, write_terminate,
};
use crate::wire::{Header, UpstreamStream, frontend};

/// The client's frames that may pass: none of them holds SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// Bind
    Bind,
    /// Describe
    Describe,
    /// Execute
    Execute,
    /// Close
    Close,
    /// CopyData
    CopyData,
    /// CopyDone
    CopyDone,
    /// CopyFail
    CopyFail,
}

impl Passing {
    fn tag(self) -> u8 {
        match self {
            Self::Bind => b'B',
            Self::Describe => b'D',
            Self::Execute => b'E',
            Self::Close => b'C',
            Self::CopyData => b'd',
            Self::CopyDone => b'c',
            Self::CopyFail => b'f',
        }
    }
}

/// The texts of COPY FROM STDIN into a governed table, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// CREATE TEMPORARY TABLE
    Create,
    /// COPY
    Copy,
    /// INSERT
    Insert,
    /// DROP
    Drop,
}

/// A connection to upstream: the stream, what is to be written, what was read.
#[derive(Debug)]
pub struct Link {
    /// `None`: there is no connection at the moment.
    stream: Option<UpstreamStream>,
    outgoing: BytesMut,
    /// What was read and not yet taken.
    pub incoming: BytesMut,
    /// Bytes still missing of a frame that is passed on in pieces. INVARIANT: while it is not 0, nothing else is written.
    open: usize,
    unflushed: bool,
    broken: bool,
    beginning: Beginning,
    /// The thread that is woken when something comes.
    thread: ThreadId,
}

impl Link {
    /// A link over a stream that is past startup.
    pub fn new(stream: UpstreamStream, read_ahead: BytesMut) -> Self {
        Self { stream: Some(stream), incoming: read_ahead, ..Self::parked() }
    }

    /// A link without a connection: nothing comes, and nothing can be sent.
    pub fn parked() -> Self {
        Self {
            stream: None,
            outgoing: BytesMut::new(),
            incoming: BytesMut::new(),
            open: 0,
            unflushed: false,
            broken: false,
            beginning: Beginning::over(),
            thread: std::thread::current().id(),
        }
    }

    /// Whether nothing is on its way in either direction.
    pub fn is_quiet(&self) -> bool {
        self.outgoing.is_empty() && self.incoming.is_empty() && self.open == 0 && !self.broken && !self.unflushed
    }

    /// Whether upstream has closed, or said something that nobody has asked for. To be asked of a quiet link.
    pub fn is_disturbed(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        let mut byte = [0u8; 1];
        let mut buffer = tokio::io::ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        !self.incoming.is_empty() || Pin::new(stream).poll_read(&mut cx, &mut buffer).is_ready()
    }

    /// Whoever writes and reads from now on does so on this thread.
    pub(super) fn move_here(&mut self) -> io::Result<()> {
        let here = std::thread::current().id();
        if let Some(stream) = &mut self.stream
            && self.thread != here
        {
            stream.move_here()?;
            self.thread = here;
        }
        Ok(())
    }

    /// Whether a turn is prepared of which nothing was sent yet.
    pub(super) fn has_turn_to_begin(&self) -> bool {
        self.beginning.is_asked()
    }

    /// What begins the turn of which nothing was sent yet.
    #[cfg(test)]
    pub(super) fn turn_to_begin(&self) -> &[u8] {
        self.beginning.frames()
    }

    /// Forgets a turn of which nothing was sent yet; says whether there was one.
    pub(super) fn forget_turn(&mut self) -> bool {
        let asked = self.has_turn_to_begin();
        if asked {
            self.beginning = Beginning::over();
        }
        asked
    }

    /// By what the next turn is taken, where upstream has told.
    pub(super) fn coupon(&self) -> Option<i64> {
        self.beginning.coupon()
    }

    /// Begins another session's turn: its frames go out before anything else does.
    pub(super) fn begin_turn(&mut self, opening: Opening) {
        self.beginning.ask(opening);
    }

    /// Whether a turn was canceled that was being taken in the transaction of a statement: the connection can be used no more.
    pub(super) fn has_canceled_turn(&self) -> bool {
        self.beginning.is_canceled()
    }

    /// What is executed next only reads, and PostgreSQL would begin a transaction with it: a turn that goes out with it may be taken in that.
    pub fn join_turn(&mut self) {
        self.beginning.join(&mut self.outgoing);
    }

    /// Tells when upstream runs what the session itself sends, where its turn has to begin before.
    pub fn begun(&self) -> Option<Arc<Begun>> {
        self.beginning.begun()
    }

    /// Sends statements as one Query, [`JOINT`] between them.
    pub fn query<'r>(&mut self, statements: impl ExactSizeIterator<Item = &'r Rewritten>) {
        let out = self.runs();
        if statements.len() == 1 {
            statements.for_each(|statement| write_query(out, statement.text()));
            return;
        }
        let mut text = String::new();
        for (index, statement) in statements.enumerate() {
            if index > 0 {
                text.push_str(JOINT);
            }
            text.push_str(statement.text());
        }
        write_query(out, &text);
    }

    /// Prepares a statement; `types` are the count and oids of the client's Parse.
    pub fn parse(&mut self, name: &str, statement: &Rewritten, types: &[u8]) {
        write_parse(self.door(), name, statement.text(), types);
    }

    /// Passes on a client's Bind for a statement that upstream has under another name: `body` is what is here of it, `rest` where what
    /// follows both names begins. The rest of it follows by [`Link::pass_more`].
    pub fn bind_renamed(&mut self, length: usize, body: &[u8], rest: usize, portal: &str, statement: &str) {
        let names = portal.len() + statement.len() + 2;
        self.pass(Passing::Bind, (length + names).saturating_sub(rest), portal.as_bytes());
        for piece in [&[0], statement.as_bytes(), &[0], body.get(rest..).unwrap_or_default()] {
            self.pass_more(piece);
        }
    }

    /// Describes a prepared statement by its name upstream.
    pub fn describe(&mut self, statement: &str) {
        frontend::write_describe(self.door(), Target::Statement, statement);
    }

    /// Prepares the empty statement.
    pub fn parse_empty(&mut self, name: &str, types: &[u8]) {
        write_parse(self.door(), name, "", types);
    }

    /// Prepares the empty statement under our own name. PostgreSQL 18 takes a Sync that follows a Query at once for the end of the batch's
    /// transaction without ending it: the next statement fails by an internal error (`finish_xact_command` sees no command begun).
    pub fn nothing(&mut self) {
        self.close(STEP);
        self.parse_empty(STEP, &[]);
    }

    /// Sends a statement of ours.
    pub fn housekeeping(&mut self, statement: &Housekeeping<'_>, end: End) {
        statement.write(self.runs());
        match end {
            End::Sync => self.sync(),
            End::Flush => self.flush(),
        }
    }

    /// Prepares a statement under our name, binds and executes it. Answers: CloseComplete twice, ParseComplete, BindComplete,
    /// RowDescription or NoData when `describe`d, and those of the statement.
    pub fn step(&mut self, statement: &Rewritten, describe: bool) {
        let out = self.runs();
        write_step(out, statement.text(), describe);
    }

    /// Sends a statement of ours that stands for one of the client's; what ends it follows. Answers: CloseComplete twice,
    /// ParseComplete, BindComplete, a row and CommandComplete.
    pub fn stand_in(&mut self, statement: &Housekeeping<'_>) {
        statement.write(self.runs());
    }

    /// Like [`Link::step`], with what fills a table that a statement made; says no when nothing does.
    pub fn fill_step(&mut self, statement: &Rewritten) -> bool {
        let Effect::AsOwner(Owned { fill: Some(Fill::Insert(fill)), .. }) = statement.effect() else { return false };
        write_step(self.runs(), fill, false);
        true
    }

    /// The same with one step of a COPY into a governed table; says no when the statement is none.
    pub fn copy_step(&mut self, statement: &Rewritten, step: CopyStep) -> bool {
        let Effect::CopyInGoverned(steps) = statement.effect() else { return false };
        let text = match step {
            CopyStep::Create => &steps.create,
            CopyStep::Copy => &steps.copy,
            CopyStep::Insert => &steps.insert,
            CopyStep::Drop => &steps.drop,
        };
        write_step(self.runs(), text, false);
        true
    }

    /// Sends a Parse that fails: an open transaction is then failed, and the batch is skipped up to its Sync.
    pub fn fail(&mut self) {
        write_parse(self.runs(), REFUSED, FAIL, &[]);
    }

    /// Closes a prepared statement.
    pub fn close(&mut self, name: &str) {
        write_close(self.door(), Target::Statement, name);
    }

    /// Sends Sync.
    pub fn sync(&mut self) {
        write_sync(self.door());
        self.beginning.synced(self.outgoing.len());
    }

    /// Sends Flush.
    pub fn flush(&mut self) {
        write_flush(self.door());
    }

    /// Makes a COPY from the client fail.
    pub fn copy_fail(&mut self, reason: &str) {
        write_copy_fail(self.door(), reason);
    }

    /// Says goodbye.
    pub fn terminate(&mut self) {
        write_terminate(self.door());
    }

    /// Passes on a client's frame: its length, and as much of its body as is here. The rest follows by [`Link::pass_more`].
    pub fn pass(&mut self, what: Passing, length: usize, body: &[u8]) {
        let out = if what == Passing::Execute { self.runs() } else { self.door() };
        Header { tag: what.tag(), body: length }.write(out);
        self.open = length;
        self.pass_more(body);
    }

    /// Passes on more of the frame's body; never more than its length said. Gives what is still missing.
    pub fn pass_more(&mut self, body: &[u8]) -> usize {
        let taken = body.get(..body.len().min(self.open)).unwrap_or_default();
        self.outgoing.put_slice(taken);
        self.open -= taken.len();
        self.open
    }

    /// Bytes that wait to be written.
    pub fn backlog(&self) -> usize {
        self.outgoing.len()
    }

    fn door(&mut self) -> &mut BytesMut {
        // A frame inside another's body would let the rest of that body be read as frames: such a link is never written again.
        self.broken |= self.open > 0;
        self.beginning.send(&mut self.outgoing);
        &mut self.outgoing
    }

    /// The same for what upstream runs.
    fn runs(&mut self) -> &mut BytesMut {
        self.door();
        self.beginning.part();
        &mut self.outgoing
    }

    /// Writes what waits. Ready when all of it is with the kernel, but for what waits for a turn.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Err(io::Error::other("a frame inside a frame")));
        }
        let mut left = self.beginning.may_go(self.outgoing.len());
        if self.beginning.is_canceled() && left < self.outgoing.len() {
            return Poll::Ready(Err(io::Error::other("a batch behind a turn that was canceled")));
        }
        if left == 0 && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(io::Error::other("no upstream connection"))) };
        while left > 0 {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, self.outgoing.get(..left).unwrap_or_default()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
            self.beginning.gone(written);
            left -= written;
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more into `incoming`, so many bytes at most; 0 when upstream has closed.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Pending };
        loop {
            self.incoming.reserve(room);
            let mut limited = (&mut self.incoming).limit(room);
            let count = ready!(pin!(stream.read_buf(&mut limited)).poll(cx))?;
            if count == 0 || self.beginning.is_past() {
                return Poll::Ready(Ok(count));
            }
            // What waited for the turn is never sent.
            self.beginning.take(&mut self.incoming).inspect_err(|_| self.broken = true)?;
            if !self.incoming.is_empty() && self.beginning.is_past() {
                return Poll::Ready(Ok(self.incoming.len()));
            }
        }
    }

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&mut self) {
        give_back(&mut self.incoming, IDLE_BYTES);
        give_back(&mut self.outgoing, IDLE_BYTES);
    }

    /// Writes what waits and closes.
    pub async fn close_stream(mut self) -> io::Result<()> {
        self.terminate();
        std::future::poll_fn(|cx| self.poll_write(cx)).await
    }
}

fn write_step(out: &mut BytesMut, text: &str, describe: bool) {
    write_close(out, Target::Statement, STEP);
    write_close(out, Target::Portal, STEP);
    write_parse(out, STEP, text, &[]);
    frontend::write_bind(out, STEP, STEP, std::iter::empty());
    if describe {
        frontend::write_describe(out, Target::Portal, STEP);
    }
    frontend::write_execute(out, STEP, 0);
}

/// What ends a message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Sync: it also ends an implicit transaction.
    Sync,
    /// Flush: an implicit transaction stays open.
    Flush,
}

/// Stands between statements of one Query: a line comment at the end of the one must not reach the other.
pub const JOINT: &str = "\n;";

/// What an idle link may keep.
const IDLE_BYTES: usize = 4096;
