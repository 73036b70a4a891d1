//! Upstream's answers: relayed as raw frames of which only headers are read, matched with what was expected.

use std::sync::Arc;

use bytes::{Buf, BufMut, BytesMut};

use super::errors::{Fields, Setting, as_called, field, sanitise, unwrap};
use super::expected::{Completion, Expected, Running};
use super::origins::translate;
use super::run::{Rest, Session};
use super::script::SEARCH_PATH;
use super::settings;
use super::state::{Batch, CopyIn, State, Within};
use crate::error::Report;
use crate::error::session::SessionError;
use crate::event::{Identity, Outcome};
use crate::wire::BackendTag;
use crate::wire::backend::{self, Status};
use crate::wire::frame::{self, HEADER, Header};
use crate::wire::frontend::Target;

/// What happens with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It goes to the client.
    Show,
    /// It is ours.
    Swallow,
    /// The relay pauses: the frame was taken, and something must be done before the next.
    Pause,
}

impl Session {
    /// Relays what has arrived.
    pub(super) fn relay(&mut self) -> Result<(), SessionError> {
        if self.exchange.link.incoming.is_empty() {
            return Ok(());
        }
        let mut incoming = std::mem::take(&mut self.exchange.link.incoming);
        let result = self.relay_from(&mut incoming);
        self.exchange.link.incoming = incoming;
        result
    }

    fn relay_from(&mut self, incoming: &mut BytesMut) -> Result<(), SessionError> {
        // What lies between `from` and `at` is to be shown, and goes out in one piece.
        let mut from = 0;
        let mut at = 0;
        self.relay_rest(incoming, &mut from, &mut at);
        while self.held_ready.is_none() {
            let Some(header) = Header::peek(incoming.get(at..).unwrap_or_default())? else { break };
            let tag = BackendTag::from_byte(header.tag).ok_or(SessionError::Nonsense(header.tag))?;
            let here = incoming.len() - at;
            // Of what touches governed relations the columns' origins are translated.
            let noted = matches!(self.expected.front(), Some(Expected::Describe { of: Some(_), .. }));
            let whole = tag == BackendTag::RowDescription && (self.touched.filtered || self.touched.masked || noted);
            if tag == BackendTag::PortalSuspended {
                // It ends a statement: what was relayed before it need not wait for the record.
                self.exchange.outbox.extend_from_slice(incoming.get(from..at).unwrap_or_default());
                from = at;
            }
            let verdict = if streamed(tag) && !whole {
                self.on_streamed(tag)?
            } else {
                let wanted = header.whole().min(MESSAGE_BYTES);
                if here < wanted {
                    break;
                }
                let body = incoming.get(at + HEADER..at + wanted).unwrap_or_default();
                // What is made of the frame must come after what was relayed before it.
                self.exchange.outbox.extend_from_slice(incoming.get(from..at).unwrap_or_default());
                from = at;
                self.on_message(tag, body)?
            };
            let taken = header.whole().min(here);
            let left = header.whole() - taken;
            at += taken;
            match verdict {
                Verdict::Show => {
                    let row = matches!(tag, BackendTag::DataRow | BackendTag::CopyData);
                    if row {
                        self.tally.add(header.whole());
                    }
                    if left > 0 {
                        self.upstream_rest = Rest::Relay(left);
                    } else if row {
                        at = self.pass_rows(header.tag, incoming, at)?;
                    }
                }
                Verdict::Swallow | Verdict::Pause => {
                    self.exchange.outbox.extend_from_slice(incoming.get(from..at - taken).unwrap_or_default());
                    from = at;
                    if left > 0 {
                        self.upstream_rest = Rest::Drop(left);
                    }
                }
            }
            // Not before a ReadyForQuery that is held back.
            if self.held_ready.is_none() && matches!(self.expected.front(), Some(Expected::Local { .. })) {
                self.exchange.outbox.extend_from_slice(incoming.get(from..at).unwrap_or_default());
                from = at;
                self.say_what_is_due();
            }
            if left > 0 {
                break;
            }
        }
        if from == 0 && at >= SWAPPED && self.exchange.outbox.is_empty() {
            // Rows are not copied: the buffers change places, and what is here of the next frame goes along.
            self.exchange.outbox.extend_from_slice(incoming.get(at..).unwrap_or_default());
            incoming.truncate(at);
            std::mem::swap(&mut self.exchange.outbox, incoming);
            return Ok(());
        }
        self.exchange.outbox.extend_from_slice(incoming.get(from..at).unwrap_or_default());
        incoming.advance(at);
        Ok(())
    }

    /// Rows behind a row go where it went, as far as they are here as a whole; gives where they end.
    fn pass_rows(&mut self, tag: u8, incoming: &[u8], mut at: usize) -> Result<usize, SessionError> {
        while let Some(header) = Header::peek(incoming.get(at..).unwrap_or_default())? {
            let end = at + header.whole();
            if header.tag != tag || end > incoming.len() {
                break;
            }
            self.tally.add(header.whole());
            at = end;
        }
        Ok(at)
    }

    fn relay_rest(&mut self, incoming: &BytesMut, from: &mut usize, at: &mut usize) {
        self.upstream_rest = match self.upstream_rest {
            Rest::None => Rest::None,
            Rest::Relay(left) => {
                *at = left.min(incoming.len());
                if left == *at { Rest::None } else { Rest::Relay(left - *at) }
            }
            Rest::Drop(left) => {
                *at = left.min(incoming.len());
                *from = *at;
                if left == *at { Rest::None } else { Rest::Drop(left - *at) }
            }
        };
    }

    /// Says what we answer ourselves, as far as it is due.
    pub(super) fn say_what_is_due(&mut self) {
        while let Some(Expected::Local { .. }) = self.expected.front() {
            if let Some(Expected::Local { bytes, confirms, closes }) = self.expected.pop_front() {
                self.exchange.outbox.extend_from_slice(&bytes);
                if confirms {
                    self.names.confirm();
                }
                if let Some(name) = closes {
                    self.names.forget(&name);
                }
            }
        }
    }

    /// Sends Sync: upstream skips no further than this.
    pub(super) fn send_sync(&mut self, shown: bool) {
        if self.lingering {
            self.exchange.link.nothing();
            self.expected.push_back(Expected::Close { shown: false, of: None });
            self.expected.push_back(Expected::Parse { script: None, shown: false, name: None });
        }
        self.exchange.link.sync();
        self.expected.push_back(Expected::Sync { shown });
        self.skipping = false;
        self.unsynced = false;
    }

    /// Says something of our own when everything before it is answered.
    pub(super) fn say(&mut self, confirms: bool, write: impl FnOnce(&mut BytesMut)) {
        if self.expected.is_empty() {
            write(&mut self.exchange.outbox);
            if confirms {
                self.names.confirm();
            }
        } else {
            let mut bytes = BytesMut::new();
            write(&mut bytes);
            self.expected.push_back(Expected::Local { bytes: bytes.freeze(), confirms, closes: None });
        }
    }

    /// Says that a prepared statement is closed which upstream does not know by that name.
    pub(super) fn say_closed(&mut self, name: &str) {
        if self.expected.is_empty() {
            self.names.forget(name);
            backend::write_close_complete(&mut self.exchange.outbox);
        } else {
            let mut bytes = BytesMut::new();
            backend::write_close_complete(&mut bytes);
            self.expected.push_back(Expected::Local { bytes: bytes.freeze(), confirms: false, closes: Some(name.into()) });
            // What names it next is to find it gone.
            self.barrier = true;
        }
    }

    /// A frame whose body does not matter to us.
    fn on_streamed(&mut self, tag: BackendTag) -> Result<Verdict, SessionError> {
        let out_of_place = || Err(SessionError::Nonsense(tag as u8));
        let Some(front) = self.expected.front() else { return out_of_place() };
        let (shown, done) = match (tag, front) {
            (
                BackendTag::DataRow | BackendTag::CopyData | BackendTag::CopyDone,
                Expected::Execute(running) | Expected::Query(running),
            ) => (running.ending.shows(), false),
            (BackendTag::RowDescription | BackendTag::CopyOutResponse, Expected::Query(_)) => (true, false),
            (BackendTag::CopyOutResponse, Expected::Execute(running)) => (running.ending.shows(), false),
            (BackendTag::CopyInResponse, Expected::Query(_) | Expected::Execute(_)) => {
                self.begin_copy();
                return Ok(Verdict::Show);
            }
            (BackendTag::ParameterDescription, Expected::Describe { shown, .. }) => (*shown, false),
            (BackendTag::RowDescription, Expected::Describe { shown, .. }) => (*shown, true),
            (BackendTag::NoData, Expected::Describe { rows_only, shown, .. }) => (*shown && !rows_only, true),
            (BackendTag::ParseComplete, Expected::Parse { shown, name, .. }) => {
                let (shown, name) = (*shown, name.clone());
                if shown {
                    self.names.confirm();
                }
                if let Some(name) = name {
                    self.parse_confirmed(name);
                }
                (shown, true)
            }
            (BackendTag::BindComplete, Expected::Bind { shown, .. }) => {
                let shown = *shown;
                if shown {
                    self.names.confirm_portal();
                }
                (shown, true)
            }
            (BackendTag::CloseComplete, Expected::Close { shown, of }) => {
                match of {
                    Some((Target::Statement, name)) => self.names.forget(name),
                    Some((Target::Portal, name)) => self.names.close_portal(name),
                    None => {}
                }
                (*shown, true)
            }
            (BackendTag::EmptyQueryResponse, Expected::Query(_)) => (true, false),
            (BackendTag::EmptyQueryResponse, Expected::Execute(running)) => (running.ending.shows(), true),
            (BackendTag::PortalSuspended, Expected::Execute(_)) => {
                if let Some(Expected::Execute(running)) = self.expected.pop_front() {
                    self.record(&running, None, Outcome::Allowed, "00000", None);
                }
                return Ok(Verdict::Show);
            }
            _ => return out_of_place(),
        };
        if done {
            self.expected.pop_front();
        }
        if shown && tag == BackendTag::CopyDone {
            self.copy_done = true;
            return Ok(Verdict::Swallow);
        }
        Ok(if shown { Verdict::Show } else { Verdict::Swallow })
    }

    /// A frame that must be understood. A body beyond [`MESSAGE_BYTES`] is cut there.
    fn on_message(&mut self, tag: BackendTag, body: &[u8]) -> Result<Verdict, SessionError> {
        match tag {
            BackendTag::CommandComplete => self.on_complete(body),
            BackendTag::ErrorResponse => self.on_error(body),
            BackendTag::NoticeResponse => Ok(self.on_notice(body)),
            BackendTag::ParameterStatus => {
                let (name, value) = backend::parameter_status(body).map_err(|_| SessionError::Nonsense(b'S'))?;
                if name == "application_name" {
                    self.identity = Arc::new(Identity { application: value.into(), ..(*self.identity).clone() });
                }
                if name == SEARCH_PATH {
                    self.told_path = Some(settings::parse(value));
                }
                self.loosened |= name == "default_transaction_read_only" && value != "on" && self.who.bearing.reading;
                Ok(if HIDDEN_PARAMETERS.contains(&name) { Verdict::Swallow } else { Verdict::Show })
            }
            BackendTag::NotificationResponse => Ok(self.on_notification(body)),
            BackendTag::RowDescription => self.on_row_description(body),
            BackendTag::ReadyForQuery => {
                let status = backend::ready_status(body).map_err(|_| SessionError::Nonsense(b'Z'))?;
                self.on_ready(status)
            }
            BackendTag::ParseComplete
            | BackendTag::BindComplete
            | BackendTag::CloseComplete
            | BackendTag::DataRow
            | BackendTag::CopyInResponse
            | BackendTag::CopyOutResponse
            | BackendTag::EmptyQueryResponse
            | BackendTag::CopyDone
            | BackendTag::CopyData
            | BackendTag::NoData
            | BackendTag::PortalSuspended
            | BackendTag::ParameterDescription => Err(SessionError::Broken("a streamed frame among messages")),
        }
    }

    fn on_row_description(&mut self, body: &[u8]) -> Result<Verdict, SessionError> {
        if let Some(Expected::Describe { of: Some(first), shown, .. }) = self.expected.front() {
            match first.columns.get() {
                Some(columns) if !*shown => self.changed |= *columns != backend::shape(body),
                Some(_) => {}
                None => drop(first.columns.set(backend::shape(body))),
            }
        }
        let verdict = self.on_streamed(BackendTag::RowDescription)?;
        if verdict == Verdict::Show {
            frame::write(&mut self.exchange.outbox, b'T', |out| translate(self.footing.origins(), body, out));
        }
        Ok(Verdict::Swallow)
    }

    fn on_complete(&mut self, body: &[u8]) -> Result<Verdict, SessionError> {
        let tag = backend::command_tag(body).map_err(|_| SessionError::Nonsense(b'C'))?;
        match self.expected.pop_front() {
            Some(Expected::Execute(running)) => {
                let verdict = match running.ending {
                    Completion::Plain | Completion::Inner | Completion::Turn => Verdict::Show,
                    Completion::Held => {
                        backend::write_complete(&mut self.held_complete, tag);
                        Verdict::Swallow
                    }
                    Completion::StoodIn => {
                        backend::write_complete(&mut self.held_complete, running.tag());
                        Verdict::Swallow
                    }
                    Completion::Filled => {
                        let rows = tag.rsplit(' ').next().unwrap_or_default();
                        backend::write_complete(&mut self.held_complete, &format!("SELECT {rows}"));
                        Verdict::Swallow
                    }
                    Completion::Swallowed | Completion::Prelude => Verdict::Swallow,
                };
                self.completed(&running, tag);
                self.say_copy_done();
                Ok(verdict)
            }
            Some(Expected::Query(mut running)) => {
                self.completed(&running, tag);
                self.say_copy_done();
                running.part += 1;
                let held = running.ending == Completion::Held;
                if held {
                    backend::write_complete(&mut self.held_complete, tag);
                }
                self.expected.push_front(Expected::Query(running));
                Ok(if held { Verdict::Swallow } else { Verdict::Show })
            }
            _ => Err(SessionError::Nonsense(b'C')),
        }
    }

    fn on_ready(&mut self, status: Status) -> Result<Verdict, SessionError> {
        let shown = match self.expected.pop_front() {
            Some(Expected::Sync { shown }) => shown,
            Some(Expected::Query(running)) => !matches!(running.ending, Completion::Turn | Completion::Held),
            _ => return Err(SessionError::Nonsense(b'Z')),
        };
        self.transaction_status(status);
        if !shown {
            return Ok(Verdict::Swallow);
        }
        if self.unpublished || self.detached {
            self.held_ready = Some(status);
            return Ok(Verdict::Pause);
        }
        if matches!(self.state, State::Simple) {
            self.state = State::Ready;
        }
        Ok(Verdict::Show)
    }

    fn on_error(&mut self, body: &[u8]) -> Result<Verdict, SessionError> {
        let mut fields = read(body);
        let instead = self.instead.take().map(|refusal| Report::from(&refusal));
        if let Some(Expected::Refused(report)) = self.expected.front() {
            // That it was refused is on record.
            report.write(&mut self.exchange.outbox);
        } else {
            if instead.is_none() {
                self.told_fatal |= field(&fields, b'V').is_some_and(|severity| severity != "ERROR");
                // Who reads the record may be under a mask, too.
                self.sanitise(&mut fields);
            }
            let (code, reason) = match &instead {
                Some(report) => (report.code.code().to_owned(), Some(report.message.as_str().into())),
                None => (field(&fields, b'C').unwrap_or_default().to_owned(), field(&fields, b'M').map(Into::into)),
            };
            if let Some(running) = self.failing() {
                self.record(&running, None, Outcome::Failed, &code, reason);
            }
            self.say_copy_done();
            match instead {
                Some(report) => report.write(&mut self.exchange.outbox),
                None => {
                    backend::write_error(&mut self.exchange.outbox, fields.iter().map(|(kind, text)| (*kind, text.as_str())));
                }
            }
        }
        let running = self.expected.front().and_then(Expected::running);
        let shakes = running.and_then(Running::current).is_some_and(|part| part.shakes);
        self.failed_upstream();
        // A procedure may have committed something before it failed.
        if shakes {
            self.path.shake();
        }
        Ok(Verdict::Swallow)
    }

    fn sanitise(&mut self, fields: &mut Fields) {
        unwrap(fields, self.expected.front().and_then(Expected::stands_in));
        self.client_names.follow(&self.footing);
        let mut waiting = self.expected.iter();
        // What is described or bound is what is executed next.
        let front = waiting.find(|expected| !matches!(expected, Expected::Describe { .. } | Expected::Bind { script: None, .. }));
        let executed = front.and_then(Expected::executes).and_then(|name| self.names.prepared(name.as_str()));
        let sent = match executed.and_then(|prepared| prepared.script()) {
            Some(script) => Some((&**script, Some(0))),
            None => front.and_then(Expected::sent),
        };
        let setting = Setting { touched: self.touched, sent, principal: &self.who.name, names: &self.client_names };
        sanitise(fields, &setting);
        as_called(fields, |known| self.called_by_client(known));
    }

    /// Upstream skips what was sent up to the next Sync.
    fn failed_upstream(&mut self) {
        self.failures += 1;
        self.lingering = false;
        self.held_complete.clear();
        if let Some(pooling) = &mut self.pooling {
            pooling.skipped();
        }
        self.implicit_rollback();
        while let Some(front) = self.expected.front() {
            if front.ready() {
                break;
            }
            match self.expected.pop_front() {
                Some(Expected::Parse { shown, name, .. }) => {
                    self.parse_skipped(name.as_ref());
                    if shown {
                        self.names.give_up();
                    }
                }
                Some(Expected::Local { confirms: true, .. }) => self.names.give_up(),
                Some(Expected::Bind { shown: true, .. }) => self.names.give_up_portal(),
                Some(
                    Expected::Local { confirms: false, .. }
                    | Expected::Bind { shown: false, .. }
                    | Expected::Describe { .. }
                    | Expected::Close { .. }
                    | Expected::Execute(_)
                    | Expected::Query(_)
                    | Expected::Sync { .. }
                    | Expected::Refused(_),
                )
                | None => {}
            }
        }
        self.skipping = self.expected.is_empty();
        if matches!(self.state, State::CopyIn(CopyIn { synced: true, .. })) {
            self.sync_again();
        }
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Extended(batch) if self.skipping => State::Discarding(batch),
            State::CopyIn(CopyIn { within: Within::Extended(batch), .. }) if self.skipping => State::Discarding(batch),
            State::CopyIn(CopyIn { within: Within::Extended(batch), .. }) => State::Extended(batch),
            State::CopyIn(CopyIn { within: Within::Simple, .. }) => State::Simple,
            same @ (State::Ready | State::Simple | State::Extended(_) | State::Discarding(_) | State::Closed) => same,
        };
    }

    fn on_notice(&mut self, body: &[u8]) -> Verdict {
        if matches!(self.expected.front(), Some(Expected::Execute(Running { ending: Completion::Swallowed, .. }))) {
            return Verdict::Swallow;
        }
        let mut fields = read(body);
        // That a transaction is in progress already is what we know and the client need not.
        if self.quiet && field(&fields, b'C') == Some("25001") {
            return Verdict::Swallow;
        }
        self.sanitise(&mut fields);
        backend::write_notice(&mut self.exchange.outbox, fields.iter().map(|(kind, text)| (*kind, text.as_str())));
        Verdict::Swallow
    }

    /// A notification from the session itself carries the process id that the session knows as its own.
    fn on_notification(&mut self, body: &[u8]) -> Verdict {
        match body.split_first_chunk::<4>() {
            Some((sender, rest)) if i32::from_be_bytes(*sender) == self.who.process_id => {
                frame::write(&mut self.exchange.outbox, b'A', |out| {
                    out.put_i32(self.who.shown_process_id);
                    out.put_slice(rest);
                });
                Verdict::Swallow
            }
            Some(_) | None => Verdict::Show,
        }
    }

    fn begin_copy(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Simple => State::CopyIn(CopyIn { within: Within::Simple, synced: false }),
            State::Extended(batch) => State::CopyIn(CopyIn { within: Within::Extended(batch), synced: false }),
            // A Sync was sent behind it: upstream ignores that one, as every Sync during a COPY.
            State::Ready => State::CopyIn(CopyIn { within: Within::Extended(Batch { sent: true, opened: false }), synced: false }),
            same @ (State::Discarding(_) | State::CopyIn(_) | State::Closed) => same,
        };
    }
}

/// The fields of a message, as many as its bytes hold.
fn read(body: &[u8]) -> Fields {
    backend::fields(body).unwrap_or_else(|_| {
        let body = without_part_of_a_character(body);
        // The end of the field that was cut, and of them all.
        backend::fields(&[body, &[0, 0]].concat()).unwrap_or_default()
    })
}

/// What was cut anywhere, without the beginning of a character at its end.
fn without_part_of_a_character(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Err(cut) if cut.error_len().is_none() => &text[..cut.valid_up_to()],
        Ok(_) | Err(_) => text,
    }
}

/// Frames whose bodies do not matter to us, and which may be of any size.
fn streamed(tag: BackendTag) -> bool {
    match tag {
        BackendTag::CommandComplete
        | BackendTag::ErrorResponse
        | BackendTag::NoticeResponse
        | BackendTag::NotificationResponse
        | BackendTag::ParameterStatus
        | BackendTag::ReadyForQuery => false,
        BackendTag::ParseComplete
        | BackendTag::BindComplete
        | BackendTag::CloseComplete
        | BackendTag::DataRow
        | BackendTag::CopyInResponse
        | BackendTag::CopyOutResponse
        | BackendTag::EmptyQueryResponse
        | BackendTag::RowDescription
        | BackendTag::CopyDone
        | BackendTag::CopyData
        | BackendTag::NoData
        | BackendTag::PortalSuspended
        | BackendTag::ParameterDescription => true,
    }
}

/// Parameters that tell of the upstream login, and are answered once and for all when the session is greeted.
pub(super) const HIDDEN_PARAMETERS: [&str; 2] = ["session_authorization", "is_superuser"];

/// More of an error or notice is not kept.
const MESSAGE_BYTES: usize = 256 * 1024;

/// From so many bytes on, buffers change places; fewer are copied.
const SWAPPED: usize = 4096;
