//! From accept to a principal: a line of types, each made of the one before it and used up by the next.
//!
//! [`Accepted`] → `Negotiated` (encryption settled, startup packet read) → [`Authenticated`] (credential checked, parameters read).
//!
//! In: a socket. Out: [`Authenticated`], which nothing else makes, or the line's other ends: a cancel request that was passed on, or a
//! [`StartupError`] that the client has been told of. Never: a parameter of the client's applied, a
//! token read over an open network, or memory taken by a length that a client declared.

mod ask;
mod authenticate;
mod bearer;
mod intake;
mod negotiate;
mod packet;
mod parameters;
mod sasl;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;
use tokio_rustls::TlsAcceptor;

use self::intake::Failure;
use self::negotiate::Asked;
use crate::authn::{ANY_USER, Directory, Issuers, Throttle};
use crate::config::{CertificateName, CertificateRole, PoolMode, SaslLogin};
use crate::error::edge::{Method, StartupError};
use crate::event::{Event, Events, Identity, Receipts, SessionId};
use crate::policy::{Bearing, PrincipalId};
use crate::upstream::Registry;
use crate::wire::ClientStream;

/// Whether TLS is demanded where a cleartext token would not cross a network anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsDemand {
    /// Loopback TCP may go without.
    #[default]
    Prefer,
    /// All TCP must be encrypted.
    Require,
}

/// What startups go by.
#[derive(Clone)]
pub struct Rules {
    /// The one database served here.
    pub database: Arc<str>,
    /// TLS, if there is a certificate.
    pub tls: Option<Tls>,
    /// Where TLS is demanded.
    pub demand: TlsDemand,
    /// Whose JWTs are taken.
    pub issuers: Arc<Issuers>,
    /// Whether tokens are asked for by SASL OAUTHBEARER.
    pub bearer: Bearer,
    /// Whether passwords are asked for by SASL SCRAM-SHA-256.
    pub scram: SaslLogin,
    /// What clients' certificates are good for, and where in them the principal's name is; `None`: for nothing.
    pub certificates: Option<(CertificateRole, CertificateName)>,
    /// How long a client may take from connecting to having shown its token.
    pub timeout: Duration,
}

/// TLS towards clients.
#[derive(Clone)]
pub struct Tls {
    /// What makes the handshake.
    pub acceptor: TlsAcceptor,
    /// What SCRAM can bind to, if it can.
    pub end_point: Option<Arc<[u8]>>,
}

/// SASL OAUTHBEARER.
#[derive(Clone, Debug, Default)]
pub struct Bearer {
    /// When it is used.
    pub login: SaslLogin,
    /// What a client without a good token is told: a JSON object of RFC 7628 section 3.2.2. `None`: there is no issuer, and no OAUTHBEARER.
    pub discovery: Option<Arc<str>>,
}

/// Whether there is room for a client. Those who find none are still told so properly, and may still cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is.
    Open,
    /// All connections are taken.
    Full,
    /// We are shutting down.
    Draining,
}

/// A client that has connected and said nothing yet.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, tuned.
    pub stream: ClientStream,
    /// Where from; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// The session's number.
    pub session: SessionId,
    /// Whether there is room.
    pub admission: Admission,
}

/// A client whose token was good. What it set at startup is in `parameters`, checked against the list of what may be set, and
/// not applied to anything yet.
#[derive(Debug)]
pub struct Authenticated {
    /// The socket.
    pub stream: ClientStream,
    /// Bytes that came behind the password.
    pub read_ahead: BytesMut,
    /// Who.
    pub principal: PrincipalId,
    /// Its name.
    pub name: Arc<str>,
    /// The user name that the client gave.
    pub user: Arc<str>,
    /// How it was asked who it is.
    pub by: Method,
    /// With admin rights.
    pub admin: bool,
    /// What its token makes of it.
    pub bearing: Bearing,
    /// Who acts for it, the latest first.
    pub actors: Vec<Arc<str>>,
    /// It was made at this login.
    pub created: bool,
    /// The token's id.
    pub token: Arc<str>,
    /// When the token ends.
    pub expires: Option<SystemTime>,
    /// Startup parameters by PostgreSQL's spelling of their names, `options` taken apart; `user` and `database` left out.
    pub parameters: BTreeMap<String, String>,
    /// For how long it wants an upstream connection, if it says so.
    pub pool_mode: Option<PoolMode>,
    /// The database.
    pub database: Arc<str>,
    /// The minor of protocol 3 to speak.
    pub minor: u16,
    /// Where from; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// The session's number.
    pub session: SessionId,
    /// What every record of the session says.
    pub identity: Arc<Identity>,
    /// The receipts of its records.
    pub receipts: Receipts,
}

/// Carries a client from its first byte to a checked token. `None`: it was served (a cancel request) or turned away, and has been
/// told; the events say why. Whoever shows bad tokens again and again is told ever later, and nobody else is.
pub async fn run(
    accepted: Accepted,
    rules: &Rules,
    registry: &Registry,
    (directory, throttle): (&dyn Directory, &Throttle),
    events: &Events,
) -> Option<Authenticated> {
    let (session, address) = (accepted.session, accepted.address);
    match tokio::time::timeout(rules.timeout, line(accepted, rules, registry, directory, events)).await {
        Ok(Ok(Some(authenticated))) => {
            let who = Arc::clone(&authenticated.identity);
            events.emit_for(Event::LoggedIn { who, created: authenticated.created }, &authenticated.receipts);
            Some(authenticated)
        }
        Ok(Ok(None)) => None,
        Ok(Err(failure)) => {
            note(events, (session, address), &failure.error, failure.user.as_ref()).await;
            if let StartupError::Refused { user, .. } = &failure.error {
                // Nobody is called by the word that stands for anybody.
                let name = Some(&**user).filter(|name| *name != ANY_USER);
                tokio::time::sleep(throttle.failed(address, name, Instant::now())).await;
            }
            failure.tell().await;
            None
        }
        Err(_) => {
            note(events, (session, address), &StartupError::TooSlow, None).await;
            None
        }
    }
}

/// The line itself.
async fn line(
    accepted: Accepted,
    rules: &Rules,
    registry: &Registry,
    directory: &dyn Directory,
    events: &Events,
) -> Result<Option<Authenticated>, Failure> {
    match accepted.negotiate(rules).await? {
        Asked::Session(negotiated) => negotiated.authenticate(rules, directory).await.map(Some),
        Asked::Cancel { process_id, secret } => {
            if let Err(error) = registry.cancel(process_id, &secret).await {
                events.emit(Event::Trouble { part: "cancel", message: Arc::from(error.to_string()) });
            }
            Ok(None)
        }
    }
}

/// Records why a client was turned away. One that merely left (a health check, a client that will ask for its password first) is no news.
async fn note(events: &Events, (session, address): (SessionId, Option<IpAddr>), error: &StartupError, user: Option<&Arc<str>>) {
    if matches!(error, StartupError::Gone(_)) {
        return;
    }
    let user = user.map_or_else(|| Arc::from(""), Arc::clone);
    let receipts = Receipts::default();
    events.emit_for(Event::LoginRefused { session, address, user, reason: Arc::from(error.to_string()) }, &receipts);
    // It is turned away all the same when that cannot be written.
    let _ = receipts.all().await;
}

#[cfg(test)]
mod tests;
