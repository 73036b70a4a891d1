//! What a client gave, looked up and checked: one way for every door.

use std::time::SystemTime;

use super::{Directory, DirectoryError, Issuers, Proven, Purpose, Refusal, Vouched, check, hash};

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
            let welcome = *asked.user == *vouched.name || asked.user == super::ANY_USER;
            let vouched = Vouched { create: vouched.create && asked.create && welcome, ..vouched };
            let found = directory.vouched(&vouched).await?;
            Ok(if found.is_none() { Err(Refusal::NoPrincipal) } else { decide(found) })
        }
        Err(refusal) => directory.credential(hash).await.map(|_| Err(Refusal::from(refusal))),
    }
}
