//! What a JWT claims, read strictly: a claim of another type than its own is refused, not overlooked.
//!
//! Source: RFC 7519 section 4.1, RFC 8693 sections 4.1 (`act`) and 4.4 (`may_act`), OpenID Connect Core section 5.1 (`email_verified`).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::JwtRefusal as Refusal;
use crate::authn::TokenHash;
use crate::config::Issuer;

/// What an issuer vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The SHA-256 of what was signed: what is kept of the token. Its signature does not count: an ECDSA signature has a twin.
    pub hash: TokenHash,
    /// The issuer.
    pub issuer: Arc<str>,
    /// The principal's name.
    pub name: Arc<str>,
    /// The groups it names; those that do not exist here say nothing.
    pub groups: Vec<String>,
    /// Who acts for the principal, the latest first.
    pub actors: Vec<String>,
    /// Who may act for the principal with this token, by the token itself.
    pub may_act: Option<String>,
    /// When the token ends, the clock's tolerance included.
    pub expires: SystemTime,
    /// Whether a principal that does not exist is to be made.
    pub create: bool,
}

/// The longest name of a principal in characters, of a chain of actors, and the most groups.
const LONGEST_NAME: usize = 255;
const MOST_ACTORS: usize = 8;
const MOST_GROUPS: usize = 1000;

/// Whether the claims are for us and good now, and whom they name.
pub(super) fn vouched(issuer: &Issuer, claims: &Map<String, Value>, hash: TokenHash, now: SystemTime) -> Result<Vouched, Refusal> {
    // A token that is good only with a proof of possession, and a notice of a logout.
    if claims.contains_key("cnf") || claims.contains_key("events") {
        return Err(Refusal::Kind);
    }
    if !audiences(claims)?.iter().any(|audience| issuer.audiences.iter().any(|ours| ours == audience)) {
        return Err(Refusal::Audience);
    }
    let expires = moment(claims, "exp")?.ok_or(Refusal::Claim("exp"))?.checked_add(issuer.clock_skew);
    let expires = expires.ok_or(Refusal::Claim("exp"))?;
    if expires <= now {
        return Err(Refusal::Expired);
    }
    if expires.duration_since(now).is_ok_and(|left| left > issuer.max_lifetime) {
        return Err(Refusal::TooLong);
    }
    let soon = now.checked_add(issuer.clock_skew).ok_or(Refusal::Claim("nbf"))?;
    for (claim, refusal) in [("nbf", Refusal::NotYet), ("iat", Refusal::NotYet)] {
        if moment(claims, claim)?.is_some_and(|from| from > soon) {
            return Err(refusal);
        }
    }
    let name = name(issuer, claims)?;
    let create =
        issuer.create_principals && is_plain(&name) && (issuer.create_domains.is_empty() || is_of(&name, &issuer.create_domains));
    Ok(Vouched {
        hash,
        issuer: Arc::from(issuer.issuer.as_str()),
        groups: groups(issuer, claims)?,
        actors: actors(claims)?,
        may_act: may_act(issuer, claims)?,
        name: Arc::from(name),
        expires,
        create,
    })
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(many)) => many.iter().map(|one| one.as_str().ok_or(Refusal::Claim("aud"))).collect(),
        Some(_) => Err(Refusal::Claim("aud")),
        None => Err(Refusal::Audience),
    }
}

/// A NumericDate: seconds since 1970, perhaps with a fraction.
fn moment(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<SystemTime>, Refusal> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let seconds = value.as_f64().ok_or(Refusal::Claim(claim))?;
    let after = Duration::try_from_secs_f64(seconds).map_err(|_| Refusal::Claim(claim))?;
    SystemTime::UNIX_EPOCH.checked_add(after).map(Some).ok_or(Refusal::Claim(claim))
}

/// The first of the configured claims that is there. An e-mail address that the issuer has not verified is anybody's.
fn name(issuer: &Issuer, claims: &Map<String, Value>) -> Result<String, Refusal> {
    let found = issuer.principal_claims.iter().find_map(|claim| claims.get(claim).map(|value| (claim, value)));
    let (claim, value) = found.ok_or(Refusal::NoName)?;
    let name = value.as_str().ok_or(Refusal::NoName)?;
    // Said to be unverified, it counts for nothing; nor does another claim in its place.
    let verified = match claims.get("email_verified") {
        Some(verified) => verified == true || verified == "true",
        None => !issuer.verified_email || claim != "email",
    };
    if !verified && issuer.principal_claims.iter().any(|claim| claim == "email") {
        return Err(Refusal::UnverifiedEmail);
    }
    if name.trim() != name || name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Refusal::NoName);
    }
    // The word means "whoever it is".
    if name == super::super::ANY_USER {
        return Err(Refusal::NoName);
    }
    if !issuer.domains.is_empty() && !is_of(name, &issuer.domains) {
        return Err(Refusal::Domain);
    }
    Ok(name.to_owned())
}

/// Names that look like others are not made: letters of other alphabets, characters that do not show.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_graphic())
}

/// Domains are compared without regard to case, as DNS does.
fn is_of(name: &str, domains: &[String]) -> bool {
    name.rsplit_once('@').is_some_and(|(_, domain)| domains.iter().any(|one| one.eq_ignore_ascii_case(domain)))
}

fn groups(issuer: &Issuer, claims: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let Some(claim) = issuer.groups_claim.as_deref() else { return Ok(Vec::new()) };
    let wrong = Refusal::Claim("groups");
    let found = claims.get(claim).or_else(|| {
        // A JSON pointer (RFC 6901) into the claims.
        let mut steps = claim.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        let first = claims.get(&steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step.as_str()))
    });
    let names = match found {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().map(|one| one.as_str().map(str::to_owned).ok_or(wrong)).collect::<Result<Vec<_>, _>>()?
        }
        Some(_) => return Err(wrong),
    };
    if names.len() > MOST_GROUPS || names.iter().any(|name| name.contains('\0')) { Err(wrong) } else { Ok(names) }
}

/// Who may act for whom the token names: one party, of the same issuer, by its `sub`.
fn may_act(issuer: &Issuer, claims: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    let Some(party) = claims.get("may_act") else { return Ok(None) };
    let party = party.as_object().ok_or(Refusal::Claim("may_act"))?;
    match party.get("iss") {
        None => {}
        Some(Value::String(of)) if *of == issuer.issuer => {}
        Some(Value::String(_)) => return Ok(None),
        Some(_) => return Err(Refusal::Claim("may_act")),
    }
    let name = party.get("sub").and_then(Value::as_str).filter(|name| !name.is_empty() && !name.contains('\0'));
    Ok(Some(name.ok_or(Refusal::Claim("may_act"))?.to_owned()))
}

/// The chain of `act`: who acts now, for whom that one acted before.
fn actors(claims: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let mut chain = Vec::new();
    let mut next = claims.get("act");
    while let Some(actor) = next {
        let name = actor.get("sub").and_then(Value::as_str).filter(|name| !name.is_empty() && !name.chars().any(char::is_control));
        chain.push(name.ok_or(Refusal::Claim("act"))?.to_owned());
        if chain.len() > MOST_ACTORS {
            return Err(Refusal::Claim("act"));
        }
        next = actor.get("act");
    }
    Ok(chain)
}
