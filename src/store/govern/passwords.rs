//! Passwords for SCRAM: kept as tokens are, with a verifier; one for each principal.

use super::tokens::{Made, Wanted, allowed, holder, insert, none_is_wider, not_acting, withdraw};
use super::{Ground, Rows};
use crate::authn::Token;
use crate::authn::scram::Verifier;
use crate::error::{GovernError, StoreError};
use crate::governance::NewPassword;
use crate::policy::PrincipalKind;
use crate::upstream::OwnerChannel;

const COMMENT: &str = "password (SCRAM-SHA-256)";
const OTHERS: &str = "set passwords of others";

/// Sets a principal's password, or takes it away. Sessions by the one before end.
pub(super) async fn set(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    (kind, password): (PrincipalKind, &NewPassword),
    wanted: Wanted<'_>,
) -> Result<Rows, GovernError> {
    let name = wanted.principal.unwrap_or_default();
    let terms = match password {
        NewPassword::None => {
            not_acting(ground)?;
            holder(ground, Some(name), OTHERS)?;
            None
        }
        NewPassword::Verifier(_) | NewPassword::Generated => Some(allowed(ground, &wanted, OTHERS)?.1),
    };
    let of = ground.principal_of(kind, name)?;
    let before = format!("t.principal = {} AND t.verifier IS NOT NULL AND t.revoked_at IS NULL", of.id.0);
    none_is_wider(ground, channel, &before).await?;
    withdraw(channel, &before).await?;
    let Some(terms) = terms else { return Ok(Rows::new()) };
    // What only its verifier is known of has a token, too, that nobody knows.
    let token = Token::mint();
    let (verifier, shown) = match password {
        NewPassword::Verifier(verifier) => (verifier.clone(), None),
        NewPassword::Generated | NewPassword::None => {
            let verifier = Verifier::of(token.expose());
            (verifier.ok_or_else(|| StoreError::Malformed("a verifier of ours".to_owned()))?, Some(token.expose().to_owned()))
        }
    };
    let verifier = Some(verifier.text());
    let made = Made { id: "scram-".to_owned(), hash: token.hash(), verifier, comment: Some(COMMENT), of, terms };
    let (id, expires) = insert(ground, channel, made).await?;
    Ok(if shown.is_some() { vec![vec![Some(id), shown, expires]] } else { Rows::new() })
}
