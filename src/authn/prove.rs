//! What a client gave, looked up and checked: one way for every door.

use std::sync::Arc;
use std::time::SystemTime;

use super::{ANY_USER, Directory, DirectoryError, Issuers, PREFIX, Proven, Purpose, Refusal, Shown, Vouched, check, hash};

/// What a credential is to prove.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The name that was given beside it.
    pub user: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// Whether a principal may be made for a JWT, where its issuer's settings allow it.
    pub create: bool,
}

/// Checks what a client gave. Whatever it is, it is hashed, looked up and checked: malformed or unknown, the work is the same.
/// So is a JWT that was not taken; how long its signature took says only what its bearer knows. Nobody is made for a login that fails.
pub async fn prove(
    given: &[u8],
    asked: Asked<'_>,
    directory: &dyn Directory,
    issuers: &Issuers,
) -> Result<Result<Proven, Refusal>, DirectoryError> {
    let hash = hash(given);
    let decide = |found| check(found, asked.user, asked.purpose, SystemTime::now());
    if !issuers.take(given) {
        return Ok(decide(directory.credential(hash).await?));
    }
    match issuers.verify(given, SystemTime::now()).await {
        Ok(vouched) => {
            let welcome = *asked.user == *vouched.name || asked.user == ANY_USER;
            let vouched = Vouched { create: vouched.create && asked.create && welcome, ..vouched };
            let found = directory.vouched(&vouched).await?;
            let proven = if found.is_none() { Err(Refusal::NoPrincipal) } else { decide(found) };
            Ok(proven.map(|mut proven| {
                proven.may_act = vouched.may_act.map(Arc::from);
                proven
            }))
        }
        Err(refusal) => directory.credential(hash).await.map(|_| Err(Refusal::from(refusal))),
    }
}

/// Checks the credential whose password a client has shown that it knows; `None`: it knows none, and the work is the same.
pub async fn prove_password(
    token: Option<&str>,
    asked: Asked<'_>,
    directory: &dyn Directory,
) -> Result<Result<Proven, Refusal>, DirectoryError> {
    let found = directory.password(token).await?;
    Ok(if found.is_none() { Err(Refusal::Password) } else { check(found, asked.user, asked.purpose, SystemTime::now()) })
}

/// Checks a certificate that the TLS handshake has found good.
pub async fn prove_certificate(
    shown: &Shown,
    asked: Asked<'_>,
    directory: &dyn Directory,
) -> Result<Result<Proven, Refusal>, DirectoryError> {
    let Some(name) = shown.name_for(asked.user) else { return Ok(Err(Refusal::Certificate)) };
    let found = directory.vouched(&shown.vouched(name)).await?;
    Ok(if found.is_none() { Err(Refusal::NoPrincipal) } else { check(found, asked.user, asked.purpose, SystemTime::now()) })
}

/// The principal that has shown its token acts for somebody: named, or by that one's own token. It needs the right to, by a grant or by
/// what the token says (RFC 8693 section 4.4). A refusal is for the log: its client would learn who exists, and which tokens are good.
pub async fn act(
    proven: Proven,
    person: &str,
    purpose: Purpose,
    directory: &dyn Directory,
    issuers: &Issuers,
) -> Result<Result<Proven, Refusal>, DirectoryError> {
    let (shown, allowed) = if person.starts_with(PREFIX) || issuers.take(person.as_bytes()) {
        let asked = Asked { user: ANY_USER, purpose, create: false };
        match prove(person.as_bytes(), asked, directory, issuers).await? {
            Ok(shown) => {
                let allowed = shown.may_act.as_deref() == Some(&*proven.name);
                (Some(shown), allowed)
            }
            Err(refusal) => return Ok(Err(refusal)),
        }
    } else {
        (None, false)
    };
    let name = shown.as_ref().map_or_else(|| Arc::from(person), |shown| Arc::clone(&shown.name));
    let consent = shown.as_ref().map(|shown| Arc::clone(&shown.token));
    let found = directory.acts(proven.principal, &name, consent.as_deref(), allowed).await?;
    Ok(found.map(|found| proven.acting_for((found, &name), shown, allowed)).ok_or(Refusal::NotActing))
}
