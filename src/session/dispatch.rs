//! Frontend messages by state. Every message is named in every state: what is ignored is ignored on purpose.

use std::sync::Arc;

use super::run::Session;
use super::state::State;
use crate::error::session::{Refusal, SessionError};
use crate::wire::FrontendTag;

impl Session {
    /// Handles a whole frame.
    pub(super) async fn handle(&mut self, tag: FrontendTag, body: &[u8]) -> Result<(), SessionError> {
        match self.state {
            State::Ready | State::Extended(_) => self.on_message_of_client(tag, body).await,
            State::Discarding(_) => self.on_skipped(tag).await,
            State::CopyIn(_) => {
                self.copy_frame(tag, body.len(), body);
                Ok(())
            }
            State::Simple | State::Closed => Err(SessionError::Broken("a frame in a state that takes none")),
        }
    }

    async fn on_message_of_client(&mut self, tag: FrontendTag, body: &[u8]) -> Result<(), SessionError> {
        match tag {
            FrontendTag::Query => self.on_query(body).await,
            FrontendTag::Parse => self.on_parse(body).await,
            FrontendTag::Bind => self.on_bind(body, body.len()).await.map(|_| ()),
            FrontendTag::Describe => self.on_describe(body).await,
            FrontendTag::Execute => self.on_execute(body).await,
            FrontendTag::Close => self.on_close(body).await,
            FrontendTag::Flush => {
                self.on_flush();
                Ok(())
            }
            FrontendTag::Sync => self.on_sync().await,
            FrontendTag::FunctionCall => self.on_function_call().await,
            FrontendTag::Terminate => {
                self.state = State::Closed;
                Ok(())
            }
            // "Accept but ignore these messages, per protocol spec; we probably got here because a frontend is still sending
            // after receipt of a COPY failure" (`PostgresMain`).
            FrontendTag::CopyData | FrontendTag::CopyDone | FrontendTag::CopyFail => Ok(()),
            FrontendTag::Password => Err(SessionError::UnknownTag(tag.byte())),
        }
    }

    async fn on_skipped(&mut self, tag: FrontendTag) -> Result<(), SessionError> {
        match tag {
            FrontendTag::Sync => self.on_sync().await,
            FrontendTag::Terminate => {
                self.state = State::Closed;
                Ok(())
            }
            FrontendTag::Query
            | FrontendTag::Parse
            | FrontendTag::Bind
            | FrontendTag::Describe
            | FrontendTag::Execute
            | FrontendTag::Close
            | FrontendTag::Flush
            | FrontendTag::CopyData
            | FrontendTag::CopyDone
            | FrontendTag::CopyFail
            | FrontendTag::FunctionCall => Ok(()),
            FrontendTag::Password => Err(SessionError::UnknownTag(tag.byte())),
        }
    }

    /// FunctionCall goes round SQL, and so round analysis: never relayed.
    pub(super) async fn on_function_call(&mut self) -> Result<(), SessionError> {
        self.quiesce().await?;
        if !matches!(self.state, State::Discarding(_) | State::Closed) {
            let now = self.moment();
            self.refuse_query(Refusal::FunctionCall, Arc::from(""), now);
        }
        Ok(())
    }
}
