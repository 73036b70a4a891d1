//! The loop: frames of the client in, frames of upstream out, and what is kept between them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use super::cache::Cache;
use super::client_names::ClientNames;
use super::environment::Environment;
use super::exchange::{Exchange, Waiting};
use super::expected::Expected;
use super::govern::Replies;
use super::pooling::Pooling;
use super::prepared::Names;
use super::record::Tally;
use super::settings::PathTracker;
use super::state::State;
use crate::catalog::{Footing, SearchPath, Temporaries};
use crate::error::session::{Refusal, SessionError};
use crate::event::Identity;
use crate::policy::{Bearing, PolicySnapshot, PrincipalId, Subject};
use crate::sql::Touched;
use crate::upstream::Attachment;
use crate::upstream::send::Passing;
use crate::wire::backend::Status;
use crate::wire::frame::{HEADER, Header};
use crate::wire::{FrameError, FrontendTag, frontend};

/// Who a session is.
pub(super) struct Who {
    pub(super) principal: PrincipalId,
    pub(super) name: Arc<str>,
    pub(super) token: Arc<str>,
    /// What its token makes of it.
    pub(super) bearing: Bearing,
    /// Logged in upstream as an administrator.
    pub(super) admin: bool,
    /// The upstream backend's process id.
    pub(super) process_id: i32,
    /// The process id that the client was given.
    pub(super) shown_process_id: i32,
    /// By which upstream knows it.
    pub(super) attachment: Arc<Attachment>,
}

impl Who {
    /// Whom decisions are made for by these policies; `None`: nobody any more. A token that is narrowed gives no admin rights, whatever its
    /// principal's are.
    pub(super) fn subject(&self, policies: &PolicySnapshot) -> Option<Subject> {
        let subject = policies.subject_bearing(self.principal, &self.bearing)?;
        if subject.admin || !self.admin { Some(Subject { admin: self.admin, ..subject }) } else { None }
    }
}

/// An open session.
pub(super) struct Session {
    pub(super) environment: Arc<Environment>,
    pub(super) who: Who,
    pub(super) exchange: Exchange,
    pub(super) state: State,
    /// What every record of it says.
    pub(super) identity: Arc<Identity>,
    /// Rows and bytes since the last record.
    pub(super) tally: Tally,
    /// As of the last ReadyForQuery.
    pub(super) status: Status,
    pub(super) expected: VecDeque<Expected>,
    pub(super) names: Names,
    pub(super) path: PathTracker,
    pub(super) footing: Arc<Footing>,
    /// The footing without the session's temporary objects.
    pub(super) shared: Arc<Footing>,
    /// The session's temporary objects.
    pub(super) temporaries: Arc<Temporaries>,
    /// The footing is that of the open transaction, not the published one.
    pub(super) private: bool,
    /// The version of the policies that was published when that was taken.
    pub(super) beneath: i64,
    /// What the open transaction did to policies or catalog was in part rolled back.
    pub(super) outdated: bool,
    /// Its part in sharing connections; `None`: it has one of its own.
    pub(super) pooling: Option<Pooling>,
    pub(super) client_names: ClientNames,
    pub(super) subject: Subject,
    /// Counts changes of footing, subject and search path: what was analysed in an older epoch is analysed again.
    pub(super) epoch: u64,
    pub(super) cache: Cache,
    /// The epoch that the cache is of.
    pub(super) cache_epoch: u64,
    pub(super) replies: Replies,
    /// What the open transaction has touched.
    pub(super) touched: Touched,
    /// Policies or catalog were changed in the open transaction.
    pub(super) dirty: bool,
    /// The same, and it is committed: to be published before the client may go on.
    pub(super) unpublished: bool,
    /// The identity is gone (DISCARD) and must be given again.
    pub(super) detached: bool,
    /// A warning about the block that we began is not shown.
    pub(super) quiet: bool,
    /// An error is to be replaced by this one.
    pub(super) instead: Option<Refusal>,
    /// Upstream skips to a Sync that was not sent yet.
    pub(super) skipping: bool,
    /// Upstream is in the implicit transaction of a batch that a Query ends instead of a Sync.
    pub(super) unsynced: bool,
    /// Upstream goes on with the implicit transaction of a batch behind a Query, up to the next Sync (PostgreSQL 18).
    pub(super) lingering: bool,
    /// The search path that upstream told of since it was last ready (PostgreSQL 18 does when it changes).
    pub(super) told_path: Option<SearchPath>,
    /// The open transaction began with a membership that has ended.
    pub(super) outlived: bool,
    /// A function made upstream write for a session that only reads.
    pub(super) loosened: bool,
    /// The principal's groups are others now than when upstream made its plans.
    pub(super) stale_plans: bool,
    /// A statement that was prepared again has other columns than the client was told.
    pub(super) changed: bool,
    /// Counts errors of upstream.
    pub(super) failures: u64,
    /// Inside a transaction block, as far as answers have come.
    pub(super) block: bool,
    /// Something in flight changes what the next statement means.
    pub(super) barrier: bool,
    /// A ReadyForQuery that is held back until we have done our part.
    pub(super) held_ready: Option<Status>,
    /// A CopyDone that is held back.
    pub(super) copy_done: bool,
    /// A CommandComplete that is held back.
    pub(super) held_complete: BytesMut,
    /// What is left of a frame that is relayed in pieces: from upstream, from the client.
    pub(super) upstream_rest: Rest,
    pub(super) client_rest: Rest,
    /// Upstream's own last words were relayed.
    pub(super) told_fatal: bool,
    /// The next frame of the client is incomplete.
    hungry: bool,
    /// The time, once it was asked for since something was last waited for.
    moment: Option<Instant>,
    /// The footing was looked at since something was last waited for.
    pub(super) stood: bool,
}

/// What is left of a frame that is handled in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    None,
    /// So many bytes to relay.
    Relay(usize),
    /// So many bytes to drop.
    Drop(usize),
}

/// What a session starts with.
pub(super) struct Start {
    pub(super) environment: Arc<Environment>,
    pub(super) who: Who,
    pub(super) identity: Arc<Identity>,
    pub(super) exchange: Exchange,
    pub(super) path: PathTracker,
    pub(super) footing: Arc<Footing>,
    pub(super) subject: Subject,
    pub(super) pooling: Option<Pooling>,
}

impl Session {
    pub(super) fn new(start: Start) -> Self {
        let Start { environment, who, identity, exchange, path, footing, subject, pooling } = start;
        Self {
            environment,
            who,
            identity,
            tally: Tally::default(),
            exchange,
            state: State::Ready,
            status: Status::Idle,
            expected: VecDeque::new(),
            names: Names::default(),
            path,
            shared: footing.clone(),
            footing,
            temporaries: Temporaries::none(),
            private: false,
            beneath: 0,
            outdated: false,
            cache_epoch: 0,
            subject,
            epoch: 0,
            cache: Cache::default(),
            pooling,
            client_names: ClientNames::default(),
            replies: Replies::default(),
            touched: Touched::default(),
            dirty: false,
            unpublished: false,
            detached: false,
            quiet: false,
            instead: None,
            skipping: false,
            unsynced: false,
            lingering: false,
            told_path: None,
            outlived: false,
            loosened: false,
            stale_plans: false,
            changed: false,
            failures: 0,
            block: false,
            barrier: false,
            held_ready: None,
            copy_done: false,
            held_complete: BytesMut::new(),
            upstream_rest: Rest::None,
            client_rest: Rest::None,
            told_fatal: false,
            hungry: false,
            moment: None,
            stood: false,
        }
    }

    /// Serves the client until it says goodbye.
    pub(super) async fn serve(&mut self) -> Result<(), SessionError> {
        // What need not be waited for is done without a future: making one copies it, for every message.
        loop {
            while let Some(status) = self.take_answers()? {
                Box::pin(self.before_ready(status)).await?;
            }
            while let Some(frame) = self.next_frame()? {
                if !self.take_frame(frame).await? {
                    break;
                }
            }
            if self.over() {
                return Ok(());
            }
            if self.may_give_back() && self.give_back().await? {
                // Frames of the client may have come meanwhile.
                continue;
            }
            self.io().await?;
        }
    }

    /// Waits until upstream owes nothing. Frames of the client are taken only for a COPY that it feeds.
    pub(super) async fn quiesce(&mut self) -> Result<(), SessionError> {
        // Most messages need not wait, and carry no place for it.
        if self.expected.is_empty() { Ok(()) } else { Box::pin(self.drain()).await }
    }

    async fn drain(&mut self) -> Result<(), SessionError> {
        if !self.expected.back().is_some_and(Expected::ready) {
            self.exchange.link.flush();
        }
        loop {
            while let Some(status) = self.take_answers()? {
                Box::pin(self.before_ready(status)).await?;
            }
            if matches!(self.state, State::CopyIn(_)) {
                self.take_copy_frames()?;
            }
            if self.expected.is_empty() || matches!(self.state, State::Closed) {
                return Ok(());
            }
            self.io().await?;
        }
    }

    async fn io(&mut self) -> Result<(), SessionError> {
        let waiting = match (&self.state, self.status) {
            (State::Ready, Status::Idle) if self.expected.is_empty() => Waiting::Idle,
            (State::Ready | State::Extended(_) | State::Discarding(_), _) if self.expected.is_empty() => Waiting::InTransaction,
            (State::Ready | State::Simple | State::Extended(_) | State::Discarding(_) | State::CopyIn(_) | State::Closed, _) => {
                Waiting::Busy
            }
        };
        let hungry = std::mem::take(&mut self.hungry);
        let done = self.exchange.io(hungry, waiting).await;
        self.waited();
        done
    }

    /// The time of what is being done: read once for all that came together.
    pub(super) fn moment(&mut self) -> Instant {
        *self.moment.get_or_insert_with(Instant::now)
    }

    /// Something was waited for: the clock is to be read again, and the footing to be asked for.
    pub(super) fn waited(&mut self) {
        self.moment = None;
        self.stood = false;
    }

    fn over(&self) -> bool {
        // A batch that nothing will end is given up; what was ended before it runs to its end.
        let unfinished = matches!(self.state, State::Extended(_) | State::Discarding(_) | State::CopyIn(_));
        let owed = |expected: &Expected| !unfinished || expected.ready();
        matches!(self.state, State::Closed) || (self.exchange.ended && self.hungry && !self.expected.iter().any(owed))
    }

    /// Relays what upstream answered, as far as our part is not called for: then that is with this status.
    fn take_answers(&mut self) -> Result<Option<Status>, SessionError> {
        self.relay()?;
        Ok(self.held_ready.take())
    }

    /// Handles a frame of the client. Says no while too little of it is here.
    async fn take_frame(&mut self, frame: Frame) -> Result<bool, SessionError> {
        match frame {
            Frame::Whole(tag, whole) => self.handle(tag, whole.get(HEADER..).unwrap_or_default()).await.map(|()| true),
            Frame::Large(tag, header) => {
                let begun = Box::pin(self.take_large(tag, header)).await?;
                self.hungry |= !begun;
                Ok(begun)
            }
        }
    }

    /// The next of the client's frames that is not handled at once, if it is here and may be handled now.
    fn next_frame(&mut self) -> Result<Option<Frame>, SessionError> {
        loop {
            if !self.may_take() || !self.take_rest() {
                return Ok(None);
            }
            let Some((tag, header)) = self.next_header()? else { return Ok(None) };
            if self.too_long(tag, header) {
                self.refuse_long(tag, header);
                continue;
            }
            if header.body > WHOLE && matches!(tag, FrontendTag::Bind | FrontendTag::CopyData | FrontendTag::FunctionCall) {
                return Ok(Some(Frame::Large(tag, header)));
            }
            if self.exchange.inbox.len() < header.whole() {
                self.hungry = true;
                return Ok(None);
            }
            let frame = self.exchange.inbox.split_to(header.whole());
            if !self.handle_at_once(tag, frame.get(HEADER..).unwrap_or_default()) {
                return Ok(Some(Frame::Whole(tag, frame)));
            }
        }
    }

    fn may_take(&self) -> bool {
        match self.state {
            State::Simple | State::Closed => false,
            State::Ready | State::Extended(_) | State::Discarding(_) | State::CopyIn(_) => {
                !self.exchange.full() && self.expected.len() < MOST_EXPECTED
            }
        }
    }

    /// Moves more of a frame that is handled in pieces; whether that is done with.
    pub(super) fn take_rest(&mut self) -> bool {
        let inbox = &mut self.exchange.inbox;
        self.client_rest = match self.client_rest {
            Rest::None => return true,
            Rest::Relay(left) => {
                let piece = inbox.split_to(left.min(inbox.len()));
                match self.exchange.link.pass_more(&piece) {
                    0 => Rest::None,
                    left => Rest::Relay(left),
                }
            }
            Rest::Drop(left) => {
                let count = left.min(inbox.len());
                drop(inbox.split_to(count));
                if left == count { Rest::None } else { Rest::Drop(left - count) }
            }
        };
        let done = self.client_rest == Rest::None;
        self.hungry |= !done;
        done
    }

    /// The next frame's tag and header; `None` while it is incomplete.
    pub(super) fn next_header(&mut self) -> Result<Option<(FrontendTag, Header)>, SessionError> {
        // The tag comes first: PostgreSQL complains of it before it reads a length.
        let Some(byte) = self.exchange.inbox.first().copied() else {
            self.hungry = true;
            return Ok(None);
        };
        let tag = FrontendTag::from_byte(byte).filter(|tag| *tag != FrontendTag::Password);
        let tag = tag.ok_or(SessionError::UnknownTag(byte))?;
        match Header::peek(&self.exchange.inbox)? {
            Some(header) if header.body > tag.limit() => Err(SessionError::Frame(FrameError::Length)),
            Some(header) => Ok(Some((tag, header))),
            None => {
                self.hungry = true;
                Ok(None)
            }
        }
    }

    /// The next frame of the client is not here as a whole.
    pub(super) fn wants_more(&mut self) {
        self.hungry = true;
    }

    /// So much of the client's frame is still to be passed on.
    pub(super) fn keep_passing(&mut self, left: usize) {
        self.client_rest = if left == 0 { Rest::None } else { Rest::Relay(left) };
    }

    /// A text beyond the limit of analysis is not even read.
    fn too_long(&self, tag: FrontendTag, header: Header) -> bool {
        let slack = match tag {
            FrontendTag::Query => 1,
            FrontendTag::Parse => PARSE_SLACK,
            FrontendTag::Bind
            | FrontendTag::Describe
            | FrontendTag::Execute
            | FrontendTag::Close
            | FrontendTag::Flush
            | FrontendTag::Sync
            | FrontendTag::CopyData
            | FrontendTag::CopyDone
            | FrontendTag::CopyFail
            | FrontendTag::FunctionCall
            | FrontendTag::Password
            | FrontendTag::Terminate => return false,
        };
        header.body > self.environment.limits.statement_bytes + slack
    }

    fn refuse_long(&mut self, tag: FrontendTag, header: Header) {
        drop(self.exchange.inbox.split_to(HEADER));
        self.client_rest = Rest::Drop(header.body);
        let limit = self.environment.limits.statement_bytes;
        let refusal = Refusal::Parse(crate::sql::ParseError::TooLong { bytes: header.body, limit });
        match (&self.state, tag) {
            (State::Discarding(_), _) => {}
            (State::CopyIn(_), tag) => self.copy_violation(tag),
            (State::Ready | State::Extended(_) | State::Simple | State::Closed, FrontendTag::Query) => {
                let now = self.moment();
                self.refuse_query(refusal, Arc::from(""), now);
            }
            (State::Ready | State::Extended(_) | State::Simple | State::Closed, _) => {
                let now = self.moment();
                self.refuse_message(refusal, Arc::from(""), now);
            }
        }
    }

    /// Begins a frame that is too large to wait for: its head is understood, the rest follows in pieces. Says no while the head
    /// is incomplete.
    async fn take_large(&mut self, tag: FrontendTag, header: Header) -> Result<bool, SessionError> {
        let here = self.exchange.inbox.len().min(header.whole());
        if tag == FrontendTag::Bind && matches!(self.state, State::Ready | State::Extended(_)) {
            let head = self.exchange.inbox.get(HEADER..here).unwrap_or_default();
            match frontend::bind_names(head) {
                Ok(None) if head.len() < WHOLE => return Ok(false),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Err(SessionError::Frame(FrameError::Format)),
            }
        }
        let piece = self.exchange.inbox.split_to(here);
        let body = piece.get(HEADER..).unwrap_or_default();
        let left = header.whole() - here;
        let relayed = match (&self.state, tag) {
            (State::CopyIn(_), FrontendTag::CopyData) => {
                self.exchange.link.pass(Passing::CopyData, header.body, body);
                true
            }
            (State::CopyIn(_), _) => {
                self.copy_violation(tag);
                false
            }
            (State::Ready | State::Extended(_), FrontendTag::Bind) => self.on_bind(body, header.body).await?,
            (State::Ready | State::Extended(_), FrontendTag::FunctionCall) => {
                self.on_function_call().await?;
                false
            }
            (State::Ready | State::Extended(_) | State::Discarding(_) | State::Simple | State::Closed, _) => false,
        };
        self.client_rest = match left {
            0 => Rest::None,
            left if relayed => Rest::Relay(left),
            left => Rest::Drop(left),
        };
        Ok(true)
    }
}

/// A frame of the client for which something may have to be waited for.
enum Frame {
    /// All of it is here.
    Whole(FrontendTag, BytesMut),
    /// It is too large to wait for.
    Large(FrontendTag, Header),
}

/// A frame up to this many bytes is handled when it is here as a whole.
const WHOLE: usize = 32 * 1024;

/// What a Parse may have beside its text: a name and 65,535 parameter types.
const PARSE_SLACK: usize = 300 * 1024;

/// So many answers may be outstanding before the client has to wait.
const MOST_EXPECTED: usize = 4096;
