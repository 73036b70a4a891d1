//! The check itself: pure, and the same work whatever the outcome.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Credential, JwtRefusal};
use crate::policy::{Acting, Bearing, PrincipalId};

/// The user name that stands for "whoever this token belongs to".
pub const ANY_USER: &str = "token";

/// What a client wants to do with its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Run SQL.
    Sql,
    /// Administrate over HTTP: principals, groups and tokens, its own too.
    Administration,
}

impl Purpose {
    /// The scope that a narrowed token needs for it.
    pub fn scope(self) -> &'static str {
        match self {
            Purpose::Sql => SQL_SCOPE,
            Purpose::Administration => ADMIN_SCOPE,
        }
    }

    /// The scope that is enough for a part of it.
    fn lesser(self) -> Option<&'static str> {
        match self {
            Purpose::Sql => Some(READING_SCOPE),
            Purpose::Administration => None,
        }
    }
}

/// The scope that lets a token run SQL.
pub const SQL_SCOPE: &str = "sql";

/// The scope that lets a token run SQL that only reads.
pub const READING_SCOPE: &str = "sql:read";

/// The scope that lets a token use its principal's admin rights.
pub const ADMIN_SCOPE: &str = "admin";

/// Why a credential was not accepted: for the log and the audit, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// No such token.
    #[error("unknown token")]
    Unknown,
    /// A JWT that was not taken.
    #[error("{0}")]
    Jwt(#[from] JwtRefusal),
    /// A good JWT or certificate of somebody who is no principal.
    #[error("the JWT or certificate names nobody who is known")]
    NoPrincipal,
    /// Not the password, or there is none.
    #[error("the SCRAM proof is wrong, or there is no verifier")]
    Password,
    /// A certificate that cannot be read, or has no name, or several.
    #[error("the certificate has no name of the kind that is asked for, or several")]
    Certificate,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its principal may not log in.
    #[error("the principal is disabled")]
    Disabled,
    /// The user name given is not its principal's.
    #[error("the token belongs to another principal")]
    OtherPrincipal,
    /// It is good, and was made for other uses.
    #[error("the token lacks the scope \"{}\"", .0.scope())]
    Scope(Purpose),
    /// It acts for somebody whom it may not act for, or who does not exist.
    #[error("it may not act for that one, or there is no such one")]
    NotActing,
}

/// A principal that has shown a good token. Only [`check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Who.
    pub principal: PrincipalId,
    /// Its name.
    pub name: Arc<str>,
    /// By which token.
    pub token: Arc<str>,
    /// Until when.
    pub expires: Option<SystemTime>,
    /// With admin rights.
    pub admin: bool,
    /// What the token makes of it.
    pub bearing: Bearing,
    /// Who acts for it, the latest first.
    pub actors: Vec<Arc<str>>,
    /// It was made at this login.
    pub created: bool,
    /// Who may act for it, by its token alone.
    pub may_act: Option<Arc<str>>,
    checked: Checked,
}

/// What only this file can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Checked;

/// Decides whether the credential found for a token (if one was) proves that the client is `user` at the time `now`, for a purpose.
/// Every test is made every time, so that how long it takes says nothing about why it failed.
pub fn check(found: Option<Credential>, user: &str, purpose: Purpose, now: SystemTime) -> Result<Proven, Refusal> {
    let unknown = found.is_none();
    let credential = found.unwrap_or_else(nobody);
    let revoked = credential.revoked.is_some();
    let expired = credential.expires.is_some_and(|expires| expires <= now);
    let disabled = !credential.enabled;
    let other = (user != &*credential.name) & (user != ANY_USER);
    let narrowed = !credential.scopes.is_empty();
    let has = |scope: &str| credential.scopes.iter().any(|s| &**s == scope);
    let (whole, part) = (!narrowed | has(purpose.scope()), purpose.lesser().is_some_and(has));
    let left_aside = narrowed & !has(ADMIN_SCOPE);
    let admin = credential.admin & !left_aside;
    let refusals = [
        (unknown, Refusal::Unknown),
        (revoked, Refusal::Revoked),
        (expired, Refusal::Expired),
        (disabled, Refusal::Disabled),
        (other, Refusal::OtherPrincipal),
        (!whole & !part, Refusal::Scope(purpose)),
    ];
    match refusals.into_iter().find(|(holds, _)| *holds) {
        Some((_, refusal)) => Err(refusal),
        None => Ok(Proven {
            principal: credential.principal,
            name: credential.name,
            token: credential.token,
            expires: credential.expires,
            admin,
            bearing: Bearing {
                claimed: credential.claimed,
                narrowed: left_aside,
                reading: !whole,
                vouched: credential.vouched,
                acted: !credential.actors.is_empty(),
                acting: None,
            },
            actors: credential.actors,
            created: credential.created,
            may_act: None,
            checked: Checked,
        }),
    }
}

impl Proven {
    /// The session of a person for whom this principal acts: the person's rights, but for admin rights, until either token ends.
    pub fn acting_for(self, (person, name): (PrincipalId, &str), shown: Option<Proven>, allowed: bool) -> Proven {
        let Self { principal: actor, name: actor_name, token, expires, bearing, mut actors, .. } = self;
        actors.push(actor_name);
        let (consent, claimed, until, reading) = match shown {
            Some(shown) => {
                actors.extend(shown.actors);
                (Some(shown.token), shown.bearing.claimed, shown.expires, shown.bearing.reading)
            }
            None => (None, Arc::default(), None, false),
        };
        // What either token is only for, the session is only for.
        let reading = reading || bearing.reading;
        let acting = Some(Arc::new(Acting { actor, consent, allowed }));
        Proven {
            principal: person,
            name: Arc::from(name),
            token,
            expires: expires.into_iter().chain(until).min(),
            admin: false,
            bearing: Bearing { claimed, narrowed: true, reading, vouched: true, acted: true, acting },
            actors,
            created: false,
            may_act: None,
            checked: self.checked,
        }
    }
}

/// What stands in for the credential of an unknown token; it passes no test.
fn nobody() -> Credential {
    Credential {
        token: Arc::from(""),
        principal: PrincipalId(0),
        name: Arc::from(""),
        enabled: false,
        admin: false,
        expires: Some(SystemTime::UNIX_EPOCH),
        revoked: Some(SystemTime::UNIX_EPOCH),
        scopes: Vec::new(),
        claimed: Arc::default(),
        vouched: false,
        actors: Vec::new(),
        created: false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn good() -> Credential {
        Credential { admin: true, expires: Some(now() + Duration::from_secs(1)), ..Credential::good(7, "alice@example.com") }
    }

    fn refusal(credential: Credential) -> Refusal {
        check(Some(credential), "alice@example.com", Purpose::Sql, now()).unwrap_err()
    }

    #[test]
    fn a_good_token_proves_its_principal_by_name_or_by_the_word_token() {
        for user in ["alice@example.com", "token"] {
            let proven = check(Some(good()), user, Purpose::Sql, now()).unwrap();
            assert_eq!(
                (proven.principal, &*proven.name, &*proven.token, proven.admin),
                (PrincipalId(7), "alice@example.com", "7", true)
            );
        }
    }

    #[test]
    fn an_unknown_token_is_refused_whatever_the_name() {
        for user in ["alice@example.com", "token", ""] {
            assert_eq!(check(None, user, Purpose::Sql, now()), Err(Refusal::Unknown));
        }
    }

    #[test]
    fn a_revoked_expired_or_disabled_credential_is_refused() {
        assert_eq!(refusal(Credential { revoked: Some(now() + Duration::from_secs(9)), ..good() }), Refusal::Revoked);
        assert_eq!(refusal(Credential { expires: Some(now()), ..good() }), Refusal::Expired);
        assert_eq!(refusal(Credential { enabled: false, ..good() }), Refusal::Disabled);
    }

    #[test]
    fn a_token_without_an_end_does_not_expire() {
        assert!(check(Some(Credential { expires: None, ..good() }), "token", Purpose::Sql, now()).is_ok());
    }

    #[test]
    fn names_are_compared_exactly() {
        for user in ["Alice@example.com", "alice@example.com ", "bob", "", "TOKEN"] {
            assert_eq!(check(Some(good()), user, Purpose::Sql, now()), Err(Refusal::OtherPrincipal));
        }
    }

    #[test]
    fn a_narrowed_token_needs_the_sql_scope_and_keeps_admin_rights_only_by_the_admin_scope() {
        let narrowed = |scopes: &[&str]| Credential { scopes: scopes.iter().map(|s| Arc::from(*s)).collect(), ..good() };
        assert_eq!(refusal(narrowed(&["data"])), Refusal::Scope(Purpose::Sql));
        assert_eq!(refusal(narrowed(&["admin"])), Refusal::Scope(Purpose::Sql));
        assert!(!check(Some(narrowed(&["sql"])), "token", Purpose::Sql, now()).unwrap().admin);
        assert!(check(Some(narrowed(&["sql", "admin"])), "token", Purpose::Sql, now()).unwrap().admin);
    }

    #[test]
    fn a_token_for_reading_is_known_as_one_unless_it_has_the_whole_scope_too() {
        let proven = |scopes: &[&str]| {
            let scopes = scopes.iter().map(|s| Arc::from(*s)).collect();
            check(Some(Credential { scopes, ..good() }), "token", Purpose::Sql, now()).unwrap()
        };
        assert!(proven(&["sql:read"]).bearing.reading && proven(&["admin", "sql:read"]).bearing.reading);
        assert!(!proven(&["sql:read", "sql"]).bearing.reading && !proven(&[]).bearing.reading);
        let (whole, part) = (proven(&[]), proven(&["sql:read"]));
        let person = (PrincipalId(8), "bob");
        assert!(part.clone().acting_for(person, None, true).bearing.reading);
        assert!(whole.clone().acting_for(person, Some(part), true).bearing.reading, "the person's own token says it");
        assert!(!whole.clone().acting_for(person, Some(whole), true).bearing.reading);
    }

    #[test]
    fn a_narrowed_token_administrates_only_by_the_admin_scope_and_is_told_so_only_when_it_is_good() {
        let narrowed = |scopes: &[&str]| Credential { scopes: scopes.iter().map(|s| Arc::from(*s)).collect(), ..good() };
        let asked = |credential| check(Some(credential), ANY_USER, Purpose::Administration, now());
        let lacking = Refusal::Scope(Purpose::Administration);
        assert_eq!(asked(narrowed(&["sql"])), Err(lacking));
        assert_eq!(lacking.to_string(), "the token lacks the scope \"admin\"");
        assert!(asked(narrowed(&["admin"])).unwrap().admin);
        assert!(asked(good()).unwrap().admin);
        let revoked = Credential { revoked: Some(now()), ..narrowed(&["sql"]) };
        assert_eq!(asked(revoked), Err(Refusal::Revoked));
    }
}
