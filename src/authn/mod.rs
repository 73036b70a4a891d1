//! Credential → principal.
//!
//! In: what a client gave (a user name and a token, ours or an issuer's JWT; a certificate; what shows that it knows a password) and the [`Directory`]'s record of it. Out: a [`Proven`] principal, or a
//! [`Refusal`] for the log. Never: a reason that reaches the client, a token kept in the clear, or less work for one reason than
//! for another.

mod certificate;
mod check;
mod jwt;
mod prove;
pub mod scram;
mod throttle;
mod token;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

pub use certificate::Shown;
pub use check::{ADMIN_SCOPE, ANY_USER, Proven, Purpose, READING_SCOPE, Refusal, SQL_SCOPE, check};
pub use jwt::{Issuers, JwtRefusal, KeySetError, SourceError, Vouched};
pub use prove::{Asked, act, prove, prove_certificate, prove_password};
pub use throttle::{Throttle, network};
pub use token::{PREFIX, Token, TokenHash, hash};

use crate::policy::PrincipalId;

/// What the policy store knows of a token and of the principal it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The token's id: shown in logs and to `REVOKE TOKEN`.
    pub token: Arc<str>,
    /// The principal it belongs to.
    pub principal: PrincipalId,
    /// The principal's name.
    pub name: Arc<str>,
    /// Whether the principal may log in.
    pub enabled: bool,
    /// Whether the principal is an admin now.
    pub admin: bool,
    /// When the token ends, if ever.
    pub expires: Option<SystemTime>,
    /// When it was revoked, if it was.
    pub revoked: Option<SystemTime>,
    /// What the token is narrowed to; empty: not narrowed.
    pub scopes: Vec<Arc<str>>,
    /// Groups that its issuer names, and that count as the principal's while the token is used.
    pub claimed: Arc<[PrincipalId]>,
    /// It is an issuer's: a JWT, or a certificate.
    pub vouched: bool,
    /// Who acts for the principal, the latest first.
    pub actors: Vec<Arc<str>>,
    /// The principal was made for this login.
    pub created: bool,
}

#[cfg(test)]
impl Credential {
    /// One that nothing is wrong with, of a principal with this number and name.
    pub(crate) fn good(number: i64, name: &str) -> Self {
        Self {
            token: Arc::from(number.to_string()),
            principal: PrincipalId(number),
            name: Arc::from(name),
            enabled: true,
            admin: false,
            expires: None,
            revoked: None,
            scopes: Vec::new(),
            claimed: Arc::default(),
            vouched: false,
            actors: Vec::new(),
            created: false,
        }
    }
}

/// The directory could not answer. The cause is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DirectoryError(pub String);

/// A look-up under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Option<Credential>, DirectoryError>> + Send + 'a>>;

/// A look for a password's verifier under way.
pub type Knowing<'a> = Pin<Box<dyn Future<Output = Result<scram::Known, DirectoryError>> + Send + 'a>>;

/// A search for a principal under way.
pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Option<PrincipalId>, DirectoryError>> + Send + 'a>>;

/// Where credentials are kept; the policy store implements it. It must do the same work whether or not it finds the token, and must
/// not serve a revoked token or disabled principal from a cache as good, but for [`Directory::recent`].
pub trait Directory: Send + Sync {
    /// The credential whose token has this hash, revoked, expired and disabled ones too.
    fn credential<'a>(&'a self, hash: TokenHash) -> Lookup<'a>;

    /// What [`Directory::credential`] found of late for this hash, where it was good and policies are those of then. It may have been revoked
    /// a moment ago: only for who is told nothing before upstream has attached its session, which locks the token and looks again.
    fn recent(&self, hash: &TokenHash) -> Option<Credential> {
        let _ = hash;
        None
    }

    /// The credential that an issuer's JWT or certificate is from now on: kept, so that it can be listed and revoked like a token. `None`:
    /// there is no principal of that name, and none is to be made. It is found here only, never by [`Directory::credential`]: its
    /// signature is checked every time.
    fn vouched<'a>(&'a self, vouched: &'a Vouched) -> Lookup<'a>;

    /// What SCRAM needs of the principal of that name, if there is such a one, or of nobody: the same work.
    fn known<'a>(&'a self, name: &'a str) -> Knowing<'a>;

    /// The credential of this id, if it has a verifier; `None` is the same work for nothing.
    fn password<'a>(&'a self, token: Option<&'a str>) -> Lookup<'a>;

    /// The principal of that name, if `actor` may act for it: by a grant, or where `consent`, a token of its own, allows it by itself.
    fn acts<'a>(&'a self, actor: PrincipalId, person: &'a str, consent: Option<&'a str>, allowed: bool) -> Found<'a>;
}
