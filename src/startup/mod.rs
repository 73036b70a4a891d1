//! From accept to a principal: a line of types, each made of the one before it and used up by the next.
//!
//! `Accepted` → `Negotiated` (encryption settled, startup packet read) → [`Authenticated`] (token checked, parameters read).
//!
//! In: a socket. Out: [`Authenticated`], which nothing else makes, or the line's other ends: a cancel request that was passed on, or a
//! [`StartupError`](crate::error::edge::StartupError) that the client has been told of. Never: a parameter of the client's applied, a
//! token read over an open network, or memory taken by a length that a client declared.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::BytesMut;

use crate::event::SessionId;
use crate::policy::PrincipalId;
use crate::wire::ClientStream;

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
    /// With admin rights.
    pub admin: bool,
    /// The token's id.
    pub token: Arc<str>,
    /// When the token ends.
    pub expires: Option<SystemTime>,
    /// Startup parameters by PostgreSQL's spelling of their names, `options` taken apart; `user` and `database` left out.
    pub parameters: BTreeMap<String, String>,
    /// The database.
    pub database: Arc<str>,
    /// The minor of protocol 3 to speak.
    pub minor: u16,
    /// Where from; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// The session's number.
    pub session: SessionId,
}
