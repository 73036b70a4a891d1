//! Messages for which nothing has to be waited.
//!
//! A prepared statement that is run again is three or four of them, a text of a shape that is known is one. They are handled on the spot, without a
//! future for each, which would be moved several times and costs more than the handling. Whatever is not certain to be such a message is left to
//! [`super::extended`] and [`super::simple`], as if it had not been looked at: nothing is refused here.

use std::sync::Arc;

use super::expected::Completion;
use super::prepared::{Body, Prepared};
use super::run::Session;
use super::simple::is_performed;
use super::state::{Batch, State};
use crate::sql::Effect;
use crate::upstream::housekeeping::RESERVED;
use crate::wire::frontend::Target;
use crate::wire::{FrontendTag, frontend};

impl Session {
    /// Handles a whole frame, if nothing has to be waited for. Whether it did.
    pub(super) fn handle_at_once(&mut self, tag: FrontendTag, body: &[u8]) -> bool {
        if !matches!(self.state, State::Ready | State::Extended(Batch { opened: false, .. })) {
            return false;
        }
        match tag {
            FrontendTag::Bind => self.bind_at_once(body),
            FrontendTag::Describe => self.describe_at_once(body),
            FrontendTag::Execute => self.execute_at_once(body),
            FrontendTag::Sync => self.sync_at_once(),
            FrontendTag::Query => self.query_at_once(body),
            FrontendTag::Parse
            | FrontendTag::Close
            | FrontendTag::Flush
            | FrontendTag::CopyData
            | FrontendTag::CopyDone
            | FrontendTag::CopyFail
            | FrontendTag::FunctionCall
            | FrontendTag::Password
            | FrontendTag::Terminate => false,
        }
    }

    /// Of a text that was analysed before, or one that differs in literals only.
    fn query_at_once(&mut self, body: &[u8]) -> bool {
        let Ok(text) = frontend::query(body) else { return false };
        if !matches!(self.state, State::Ready) || !self.expected.is_empty() || !self.is_ready() {
            return false;
        }
        let Some(script) = self.known(text) else { return false };
        let started = self.moment();
        self.names.forget("");
        self.send_together(script, started);
        true
    }

    fn bind_at_once(&mut self, body: &[u8]) -> bool {
        let Ok(Some((portal, statement, rest))) = frontend::bind_names(body) else { return false };
        if portal.starts_with(RESERVED) || !self.is_ready() || self.names.is_open(statement) {
            return false;
        }
        let Some(prepared) = self.names.prepared(statement).cloned() else { return false };
        let Some(script) = self.sent_as_it_is(&prepared) else { return false };
        let Some(known) = self.known_at_once(statement, &prepared) else { return false };
        self.enter_batch();
        self.touch(&script);
        self.pass_bind(body, body.len(), rest, portal, prepared, known.as_deref());
        true
    }

    /// Of a portal: drivers ask for what they are about to execute.
    fn describe_at_once(&mut self, body: &[u8]) -> bool {
        let Ok((Target::Portal, name)) = frontend::target(body) else { return false };
        if !self.is_ready() || self.names.is_portal_open(name) {
            return false;
        }
        let Some(portal) = self.names.portal(name) else { return false };
        let prepared = portal.prepared.clone();
        let Some(script) = self.sent_as_it_is(&prepared) else { return false };
        self.enter_batch();
        self.touch(&script);
        self.pass_describe(body, Some(&prepared), None);
        true
    }

    fn execute_at_once(&mut self, body: &[u8]) -> bool {
        let Ok((name, _)) = frontend::execute(body) else { return false };
        if !self.is_ready() || self.names.is_portal_open(name) {
            return false;
        }
        let Some(portal) = self.names.portal(name) else { return false };
        let Some(script) = self.sent_as_it_is(&portal.prepared) else { return false };
        let parameters = portal.parameters.clone();
        let started = self.moment();
        self.enter_batch();
        self.pass_execute(body, Some(script), parameters, started, Completion::Plain);
        true
    }

    /// Whether there is a connection, and a footing to stand on that nothing has to be done for.
    pub(super) fn is_ready(&mut self) -> bool {
        self.environment.events.admit() && self.borrow_at_once() && matches!(self.stands(), Ok(true))
    }

    /// The script of a statement that is sent as it was analysed, and feeds nothing.
    fn sent_as_it_is(&self, prepared: &Prepared) -> Option<Arc<super::script::Script>> {
        let Body::Sql(script) = &prepared.body else { return None };
        let still = prepared.epoch == self.epoch && !prepared.refers();
        let feeds = script.parts.iter().any(|part| matches!(part.rewritten.effect(), Effect::CopyIn));
        (still && !feeds && !is_performed(script)).then(|| script.clone())
    }
}
