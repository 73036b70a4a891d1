//! COPY FROM STDIN: the client's data passes unread.

use bytes::BytesMut;

use super::expected::Expected;
use super::run::Session;
use super::state::{CopyIn, State, Within};
use crate::error::session::{Refusal, SessionError};
use crate::upstream::send::Passing;
use crate::wire::FrontendTag;
use crate::wire::frame::HEADER;
use crate::wire::frontend::write_sync;

impl Session {
    /// Takes what is here of a COPY's data, while nothing else may be taken.
    pub(super) fn take_copy_frames(&mut self) -> Result<(), SessionError> {
        while matches!(self.state, State::CopyIn(_)) && !self.exchange.full() && self.take_rest() {
            let Some((tag, header)) = self.next_header()? else { return Ok(()) };
            let here = self.exchange.inbox.len().min(header.whole());
            if tag != FrontendTag::CopyData && here < header.whole() {
                self.wants_more();
                return Ok(());
            }
            let piece = self.exchange.inbox.split_to(here);
            let body = piece.get(HEADER..).unwrap_or_default();
            self.copy_frame(tag, header.body, body);
            if tag == FrontendTag::CopyData {
                self.keep_passing(header.whole() - here);
            }
        }
        Ok(())
    }

    /// A frame during COPY; of CopyData the beginning may be enough.
    pub(super) fn copy_frame(&mut self, tag: FrontendTag, length: usize, body: &[u8]) {
        match tag {
            FrontendTag::CopyData => {
                self.copy_synced(false);
                self.exchange.link.pass(Passing::CopyData, length, body);
            }
            FrontendTag::CopyDone => {
                self.exchange.link.pass(Passing::CopyDone, length, body);
                self.copy_over();
            }
            FrontendTag::CopyFail => {
                self.exchange.link.pass(Passing::CopyFail, length, body);
                self.copy_over();
            }
            // Ignored, as PostgreSQL does: drivers send them before they know of the COPY.
            FrontendTag::Flush => {}
            FrontendTag::Sync => self.copy_synced(true),
            FrontendTag::Terminate => self.state = State::Closed,
            FrontendTag::Query
            | FrontendTag::Parse
            | FrontendTag::Bind
            | FrontendTag::Describe
            | FrontendTag::Execute
            | FrontendTag::Close
            | FrontendTag::FunctionCall
            | FrontendTag::Password => self.copy_violation(tag),
        }
    }

    /// A message that has no place in a COPY makes it fail.
    pub(super) fn copy_violation(&mut self, tag: FrontendTag) {
        self.instead = Some(Refusal::DuringCopy(tag.byte()));
        self.exchange.link.copy_fail("unexpected message during COPY from stdin");
        self.copy_over();
    }

    fn copy_synced(&mut self, synced: bool) {
        if let State::CopyIn(copy) = &mut self.state {
            copy.synced = synced;
        }
    }

    /// The COPY has failed. A Sync that came behind its last data is the one that upstream then waits for: the client sends no other.
    pub(super) fn sync_again(&mut self) {
        let mut again = BytesMut::new();
        write_sync(&mut again);
        again.extend_from_slice(&self.exchange.inbox);
        self.exchange.inbox = again;
    }

    fn copy_over(&mut self) {
        // Between Execute and Sync upstream keeps its answer to itself, and the client's Sync waits for that answer.
        if !self.expected.back().is_some_and(Expected::ready) {
            self.exchange.link.flush();
        }
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::CopyIn(CopyIn { within: Within::Simple, .. }) => State::Simple,
            State::CopyIn(CopyIn { within: Within::Extended(batch), .. }) => State::Extended(batch),
            same @ (State::Ready | State::Simple | State::Extended(_) | State::Discarding(_) | State::Closed) => same,
        };
    }
}
