//! Conversations with upstream about ourselves: identity, and statements with the rights of `pgusher_owner`.
//!
//! In: [`Housekeeping`]. Out: its rows or its error. Never while the client awaits an answer of upstream: the caller has drained.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

use super::housekeeping::Housekeeping;
use super::send::{End, Link};
use super::{BoxFuture, OwnerChannel, OwnerError};
use crate::policy::{Bearing, Oid, PrincipalId};
use crate::sql::Executor;
use crate::wire::backend::{self, BackendTag, Status};
use crate::wire::frame::{HEADER, Header};

/// The key that `pgusher.attach` and `pgusher.execute` check signatures with.
#[derive(Clone)]
pub struct SigningKey(Arc<[u8]>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// A key as read from `pgusher.key`.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// HMAC-SHA256 of some texts one after the other, in hexadecimal.
    fn sign(&self, texts: &[&str]) -> String {
        // Any length of key is taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        texts.iter().for_each(|text| mac.update(text.as_bytes()));
        hex::encode(mac.finalize().into_bytes())
    }

    /// The payload and signature of an attach by a proxy; `session` is given when the session has its row already.
    #[allow(clippy::too_many_arguments, reason = "each is one field of the claim")]
    pub fn attach(
        &self,
        proxy: i64,
        process_id: i32,
        session: Option<i64>,
        principal: PrincipalId,
        token: &str,
        bearing: &Bearing,
        actors: &[Arc<str>],
    ) -> (String, String) {
        let acting = bearing.acting.as_deref();
        let payload = text_of(&AttachClaim {
            pid: process_id,
            nonce: nonce(),
            until: until(),
            session,
            principal: principal.0,
            token,
            proxy,
            claimed: &bearing.claimed,
            actors,
            actor: acting.map(|acting| acting.actor.0),
            consent: acting.and_then(|acting| acting.consent.as_deref()),
            allowed: acting.is_some_and(|acting| acting.allowed),
        });
        let signature = self.sign(&["attach:", &payload]);
        (payload, signature)
    }

    /// The payload and signature by which a session takes its turn on a backend of which no turn is known. `coupon`: by what the next turn is
    /// taken. `seed`: where `random()` is to begin, if what the session before has drawn from sequences is to be forgotten, too, and its
    /// advisory locks released; else empty.
    pub fn take(
        &self,
        process_id: i32,
        coupon: i64,
        session: i64,
        principal: PrincipalId,
        token: &str,
        seed: &str,
    ) -> (String, String) {
        let (nonce, until) = (nonce(), until());
        let payload = text_of(&TakeClaim { pid: process_id, nonce, until, coupon, session, principal: principal.0, token, seed });
        let signature = self.sign(&["take:", &payload]);
        (payload, signature)
    }

    /// The payload and signature of a definition. `settled`: what runs by itself looks names up in PostgreSQL's own schema only. `on`: the
    /// relations that it defines or maintains, with the names they have in it.
    pub fn define(&self, process_id: i32, by: Executor, statement: &str, settled: bool, on: &[(Oid, String)]) -> (String, String) {
        let payload =
            serde_json::json!({"pid": process_id, "nonce": nonce(), "until": until(), "settled": settled, "on": on}).to_string();
        let purpose = match by {
            Executor::Ddl => "define:",
            Executor::Owner => "maintain:",
        };
        let signature = self.sign(&[purpose, &payload, ":", statement]);
        (payload, signature)
    }

    /// The payload and signature of an execute.
    fn execute(&self, process_id: i32, statement: &str, fetch: bool) -> (String, String) {
        let payload = serde_json::json!({"pid": process_id, "nonce": nonce(), "until": until()}).to_string();
        let signature = self.sign(&["execute:", &payload, ":", if fetch { "true" } else { "false" }, ":", statement]);
        (payload, signature)
    }
}

/// What an attach says, as `pgusher.attach` reads it.
#[derive(Serialize)]
struct AttachClaim<'a> {
    pid: i32,
    nonce: String,
    until: u64,
    session: Option<i64>,
    principal: i64,
    token: &'a str,
    proxy: i64,
    claimed: &'a [PrincipalId],
    actors: &'a [Arc<str>],
    actor: Option<i64>,
    consent: Option<&'a str>,
    allowed: bool,
}

/// What a turn says, as `pgusher.take` reads it.
#[derive(Serialize)]
struct TakeClaim<'a> {
    pid: i32,
    nonce: String,
    until: u64,
    coupon: i64,
    session: i64,
    principal: i64,
    token: &'a str,
    seed: &'a str,
}

/// As JSON. Nothing in a claim cannot be that; a text that upstream does not take as one would be refused there.
fn text_of(claim: &impl Serialize) -> String {
    serde_json::to_string(claim).unwrap_or_default()
}

fn nonce() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

fn until() -> u64 {
    (SystemTime::now() + SIGNATURE_LIFETIME).duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What a statement of ours answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The rows' values as text.
    pub rows: Vec<Vec<Option<String>>>,
    /// The transaction status after it.
    pub status: Status,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ConverseError {
    /// Upstream reported an error.
    #[error("{error}")]
    Refused {
        /// It.
        error: OwnerError,
        /// The transaction status after it.
        status: Status,
    },
    /// The connection is gone, or upstream speaks nonsense.
    #[error("upstream connection: {0}")]
    Lost(#[from] io::Error),
}

/// Sends a statement of ours and reads its answers, up to ReadyForQuery when it is ended by Sync. Ended by Flush, an error leaves
/// upstream skipping to the next Sync; the status is then that of before. Notifications and parameters that come meanwhile are handed to
/// `aside` as whole frames; notices about our own statements are nobody's business. Not to be dropped midway.
pub async fn converse(
    link: &mut Link,
    statement: &Housekeeping<'_>,
    end: End,
    before: Status,
    aside: &mut (dyn FnMut(BackendTag, &[u8]) + Send),
) -> Result<Answer, ConverseError> {
    link.housekeeping(statement, end);
    let mut rows = Vec::new();
    let mut refused: Option<OwnerError> = None;
    loop {
        let frame = next_frame(link).await?;
        let body = frame.get(HEADER..).unwrap_or_default();
        let tag = frame.first().copied().and_then(BackendTag::from_byte).ok_or_else(nonsense)?;
        match tag {
            BackendTag::DataRow => {
                let columns = backend::columns(body).map_err(|_| nonsense())?;
                rows.push(columns.into_iter().map(|c| c.map(|c| String::from_utf8_lossy(c).into_owned())).collect());
            }
            BackendTag::ErrorResponse => {
                let error = owner_error(body)?;
                match end {
                    End::Sync => refused = Some(error),
                    End::Flush => return Err(ConverseError::Refused { error, status: before }),
                }
            }
            BackendTag::CommandComplete if end == End::Flush => return Ok(Answer { rows, status: before }),
            BackendTag::NotificationResponse | BackendTag::ParameterStatus => aside(tag, &frame),
            BackendTag::ReadyForQuery => {
                let status = backend::ready_status(body).map_err(|_| nonsense())?;
                return match refused {
                    Some(error) => Err(ConverseError::Refused { error, status }),
                    None => Ok(Answer { rows, status }),
                };
            }
            BackendTag::ParseComplete
            | BackendTag::BindComplete
            | BackendTag::CloseComplete
            | BackendTag::CommandComplete
            | BackendTag::EmptyQueryResponse
            | BackendTag::NoticeResponse
            | BackendTag::RowDescription
            | BackendTag::NoData
            | BackendTag::PortalSuspended
            | BackendTag::ParameterDescription => {}
            BackendTag::CopyInResponse | BackendTag::CopyOutResponse | BackendTag::CopyDone | BackendTag::CopyData => {
                return Err(nonsense().into());
            }
        }
    }
}

async fn next_frame(link: &mut Link) -> io::Result<BytesMut> {
    loop {
        if let Some(header) = Header::peek(&link.incoming).map_err(|_| nonsense())? {
            if header.body > ANSWER_BYTES {
                return Err(nonsense());
            }
            if link.incoming.len() >= header.whole() {
                return Ok(link.incoming.split_to(header.whole()));
            }
        }
        std::future::poll_fn(|cx| link.poll_write(cx)).await?;
        let read = std::future::poll_fn(|cx| link.poll_read(cx, READ_BYTES)).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn owner_error(body: &[u8]) -> io::Result<OwnerError> {
    let fields = backend::fields(body).map_err(|_| nonsense())?;
    let field = |kind| fields.iter().find(|(k, _)| *k == kind).map(|(_, text)| text.clone()).unwrap_or_default();
    Ok(OwnerError { code: field(b'C'), message: field(b'M') })
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "unexpected message")
}

/// The owner channel over a session's own connection.
pub struct SessionOwner<'a> {
    /// The connection.
    pub link: &'a mut Link,
    /// Its process id.
    pub process_id: i32,
    /// The key to sign with.
    pub key: SigningKey,
    /// Takes frames that come in between.
    pub aside: &'a mut (dyn FnMut(BackendTag, &[u8]) + Send),
    /// The connection's end, when it ended meanwhile.
    pub lost: &'a mut Option<io::Error>,
}

impl SessionOwner<'_> {
    async fn run(&mut self, statement: &str, fetch: bool) -> Result<Option<String>, OwnerError> {
        let (payload, signature) = self.key.execute(self.process_id, statement, fetch);
        let housekeeping = Housekeeping::Execute { payload: &payload, statement, fetch, signature: &signature };
        match converse(self.link, &housekeeping, End::Sync, Status::Transaction, self.aside).await {
            Ok(mut answer) => Ok(answer.rows.pop().and_then(|mut row| row.pop()).flatten()),
            Err(ConverseError::Refused { error, .. }) => Err(error),
            Err(ConverseError::Lost(cause)) => {
                *self.lost = Some(cause);
                Err(OwnerError { code: "08006".to_owned(), message: "the upstream connection was lost".to_owned() })
            }
        }
    }
}

impl OwnerChannel for SessionOwner<'_> {
    fn execute<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), OwnerError>> {
        Box::pin(async move { self.run(sql, false).await.map(|_| ()) })
    }

    fn fetch<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<serde_json::Value, OwnerError>> {
        Box::pin(async move {
            let text = self.run(sql, true).await?.unwrap_or_else(|| "[]".to_owned());
            serde_json::from_str(&text).map_err(|cause| OwnerError { code: "XX000".to_owned(), message: cause.to_string() })
        })
    }
}

/// How long a signature may be used.
const SIGNATURE_LIFETIME: Duration = Duration::from_secs(60);

/// The most bytes of one answer to ourselves.
const ANSWER_BYTES: usize = 256 << 20;

const READ_BYTES: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_purpose_and_payload() {
        let key = SigningKey::new(b"key");
        assert_eq!(
            key.sign(&["The quick brown fox ", "jumps over the lazy dog"]),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        );
    }

    #[test]
    fn no_two_payloads_are_the_same() {
        let key = SigningKey::new(b"key");
        assert_ne!(
            key.attach(1, 1, None, PrincipalId(1), "t", &Bearing::default(), &[]).0,
            key.attach(1, 1, None, PrincipalId(1), "t", &Bearing::default(), &[]).0
        );
    }
}
