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
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::housekeeping::{FAIL, Housekeeping, REFUSED, STEP};
use crate::sql::{Effect, Fill, Owned, Rewritten};
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
    stream: UpstreamStream,
    outgoing: BytesMut,
    /// What was read and not yet taken.
    pub incoming: BytesMut,
    /// Bytes still missing of a frame that is passed on in pieces. INVARIANT: while it is not 0, nothing else is written.
    open: usize,
    unflushed: bool,
    broken: bool,
}

impl Link {
    /// A link over a stream that is past startup.
    pub fn new(stream: UpstreamStream, read_ahead: BytesMut) -> Self {
        Self { stream, outgoing: BytesMut::new(), incoming: read_ahead, open: 0, unflushed: false, broken: false }
    }

    /// Sends statements as one Query, [`JOINT`] between them.
    pub fn query<'r>(&mut self, statements: impl ExactSizeIterator<Item = &'r Rewritten>) {
        let out = self.door();
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

    /// Prepares the empty statement.
    pub fn parse_empty(&mut self, name: &str, types: &[u8]) {
        write_parse(self.door(), name, "", types);
    }

    /// Sends a statement of ours.
    pub fn housekeeping(&mut self, statement: &Housekeeping<'_>, end: End) {
        let out = self.door();
        statement.write(out);
        match end {
            End::Sync => write_sync(out),
            End::Flush => write_flush(out),
        }
    }

    /// Prepares a statement under our name, binds and executes it. Answers: CloseComplete twice, ParseComplete, BindComplete,
    /// RowDescription or NoData when `describe`d, and those of the statement.
    pub fn step(&mut self, statement: &Rewritten, describe: bool) {
        let out = self.door();
        write_step(out, statement.text(), describe);
    }

    /// Sends a statement of ours that stands for one of the client's; what ends it follows. Answers: CloseComplete twice,
    /// ParseComplete, BindComplete, a row and CommandComplete.
    pub fn stand_in(&mut self, statement: &Housekeeping<'_>) {
        statement.write(self.door());
    }

    /// Like [`Link::step`], with what fills a table that a statement made; says no when nothing does.
    pub fn fill_step(&mut self, statement: &Rewritten) -> bool {
        let Effect::AsOwner(Owned { fill: Some(Fill::Insert(fill)), .. }) = statement.effect() else { return false };
        write_step(self.door(), fill, false);
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
        write_step(self.door(), text, false);
        true
    }

    /// Sends a Parse that fails: an open transaction is then failed, and the batch is skipped up to its Sync.
    pub fn fail(&mut self) {
        write_parse(self.door(), REFUSED, FAIL, &[]);
    }

    /// Closes a prepared statement.
    pub fn close(&mut self, name: &str) {
        write_close(self.door(), Target::Statement, name);
    }

    /// Sends Sync.
    pub fn sync(&mut self) {
        write_sync(self.door());
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
        let out = self.door();
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
        &mut self.outgoing
    }

    /// Writes what waits. Ready when all of it is with the kernel.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Err(io::Error::other("a frame inside a frame")));
        }
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more into `incoming`; 0 when upstream has closed.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.incoming.reserve(room);
        pin!(self.stream.read_buf(&mut self.incoming)).poll(cx)
    }

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.incoming.is_empty() && self.incoming.capacity() > IDLE_BYTES {
            self.incoming = BytesMut::new();
        }
        if self.outgoing.is_empty() && self.outgoing.capacity() > IDLE_BYTES {
            self.outgoing = BytesMut::new();
        }
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
    frontend::write_bind(out, STEP, STEP, &[]);
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
