//! Tokens: made, listed, revoked.

use std::time::Duration;

use serde::Deserialize;

use super::{Ground, OPERATOR, Rows, fetch, moment};
use crate::authn::{ADMIN_SCOPE, READING_SCOPE, SQL_SCOPE, Token, TokenHash};
use crate::error::{GovernError, Object};
use crate::governance::TokensOf;
use crate::name::quote_literal;
use crate::policy::{Principal, PrincipalKind};
use crate::upstream::OwnerChannel;

/// A token to be made.
pub(super) struct Wanted<'a> {
    /// Whose; the subject's when absent.
    pub(super) principal: Option<&'a str>,
    /// A remark.
    pub(super) comment: Option<&'a str>,
    /// How long it is good.
    pub(super) lifetime: Option<Duration>,
    /// What it is narrowed to.
    pub(super) scopes: &'a [String],
}

/// The scopes that are enforced; a token may not be given one that would promise more than is kept.
const SCOPES: [&str; 3] = [SQL_SCOPE, READING_SCOPE, ADMIN_SCOPE];

const OTHERS: &str = "list tokens of others";

#[derive(Deserialize)]
struct TokenRow {
    id: String,
    principal: String,
    comment: Option<String>,
    scopes: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    state: String,
}

pub(super) async fn create(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, wanted: Wanted<'_>) -> Result<Rows, GovernError> {
    let (principal, terms) = allowed(ground, &wanted, "create tokens of others")?;
    let token = Token::mint();
    insert(
        ground,
        channel,
        Made { id: String::new(), hash: token.hash(), verifier: None, comment: wanted.comment, of: principal, terms },
    )
    .await
    .map(|(id, expires)| vec![vec![Some(id), Some(token.expose().to_owned()), expires]])
}

/// How long a credential is to be good, and for what, as SQL.
pub(super) struct TermsOf {
    seconds: u64,
    scopes: String,
}

/// Whose credential it is to be and on which terms, if the subject may make it.
pub(super) fn allowed<'a>(
    ground: &'a Ground<'_>,
    wanted: &Wanted<'_>,
    what: &str,
) -> Result<(&'a Principal, TermsOf), GovernError> {
    not_acting(ground)?;
    if ground.subject.bearing.vouched {
        return Err(GovernError::VouchedToken);
    }
    let principal = holder(ground, wanted.principal, what)?;
    let scopes = scopes(ground, wanted.scopes)?;
    let lifetime = wanted.lifetime.unwrap_or(ground.terms.default_lifetime);
    if lifetime > ground.terms.max_lifetime {
        return Err(GovernError::InvalidValue {
            what: "token lifetime is too long".to_owned(),
            hint: Some(format!("The longest lifetime is {} days.", ground.terms.max_lifetime.as_secs() / (24 * 3600))),
        });
    }
    Ok((principal, TermsOf { seconds: lifetime.as_secs(), scopes }))
}

/// A credential to be written.
pub(super) struct Made<'a> {
    /// What its id begins with.
    pub(super) id: String,
    /// The hash of the token that it is.
    pub(super) hash: TokenHash,
    /// Its verifier, where SCRAM takes it.
    pub(super) verifier: Option<String>,
    /// A remark.
    pub(super) comment: Option<&'a str>,
    /// Whose.
    pub(super) of: &'a Principal,
    /// On which terms.
    pub(super) terms: TermsOf,
}

/// Writes one; its id, and when it ends.
pub(super) async fn insert(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    made: Made<'_>,
) -> Result<(String, Option<String>), GovernError> {
    let Made { id, hash, verifier, comment, of, terms } = made;
    let id = id + &hex::encode(rand::random::<[u8; 8]>());
    let text = |value: Option<&str>| value.map_or_else(|| "NULL".to_owned(), quote_literal);
    let sql = format!(
        "INSERT INTO pgusher.token (id, hash, verifier, principal, comment, scopes, created_by, expires_at) VALUES \
         ('{id}', pg_catalog.decode('{}', 'hex'), {}, {}, {}, {}, {}, pg_catalog.now() + interval '{} seconds')",
        hex::encode(hash),
        text(verifier.as_deref()),
        of.id.0,
        text(comment),
        terms.scopes,
        ground.author(),
        terms.seconds
    );
    channel.execute(&sql).await?;
    let made = listed(channel, &format!("t.id = '{id}'")).await?;
    Ok((id, made.into_iter().next().and_then(|row| row.expires_at)))
}

pub(super) async fn show(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, whose: &TokensOf) -> Result<Rows, GovernError> {
    not_acting(ground)?;
    let of = |name| Ok::<_, GovernError>(format!("t.principal = {}", holder(ground, name, OTHERS)?.id.0));
    let condition = match whose {
        TokensOf::Own if ground.subject.principal == OPERATOR => "true".to_owned(),
        TokensOf::Own => of(None)?,
        TokensOf::Principal(name) => of(Some(name))?,
        TokensOf::All => {
            ground.admin(OTHERS)?;
            "true".to_owned()
        }
    };
    let rows = listed(channel, &condition).await?;
    let row = |row: TokenRow| {
        let [id, principal, scopes, created, state] = [row.id, row.principal, row.scopes, row.created_at, row.state].map(Some);
        vec![id, principal, row.comment, scopes, created, row.expires_at, row.last_used_at, state]
    };
    Ok(rows.into_iter().map(row).collect())
}

/// A token of somebody else is as unknown as a missing one, but to administrators.
pub(super) async fn revoke(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, id: &str) -> Result<(), GovernError> {
    not_acting(ground)?;
    let id_text = quote_literal(id);
    let mine = if ground.subject.admin { String::new() } else { format!(" AND t.principal = {}", ground.subject.principal.0) };
    if listed(channel, &format!("t.id = {id_text}{mine}")).await?.is_empty() {
        return Err(GovernError::Undefined { object: Object::Other, what: format!("token \"{id}\" does not exist") });
    }
    let chosen = format!("t.id = {id_text}");
    none_is_wider(ground, channel, &chosen).await?;
    withdraw(channel, &chosen).await
}

/// Whoever holds a narrowed token of somebody's does not lock that one out.
pub(super) async fn none_is_wider(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, chosen: &str) -> Result<(), GovernError> {
    let wider = format!("{chosen} AND (t.scopes = '{{}}' OR 'admin' = ANY (t.scopes))");
    if ground.narrowed && !listed(channel, &wider).await?.is_empty() { Err(GovernError::WiderToken) } else { Ok(()) }
}

/// Revokes those that are chosen and live.
pub(super) async fn withdraw(channel: &mut dyn OwnerChannel, chosen: &str) -> Result<(), GovernError> {
    let sql =
        format!("UPDATE pgusher.token AS t SET revoked_at = pg_catalog.clock_timestamp() WHERE {chosen} AND t.revoked_at IS NULL");
    Ok(channel.execute(&sql).await?)
}

/// Whoever acts for somebody neither lists nor makes nor revokes that one's tokens.
pub(super) fn not_acting(ground: &Ground<'_>) -> Result<(), GovernError> {
    if ground.subject.bearing.acted { Err(GovernError::OthersTokens) } else { Ok(()) }
}

/// Whose tokens it is about: one's own, or for administrators anybody's but a group's.
pub(super) fn holder<'a>(ground: &'a Ground<'_>, name: Option<&str>, what: &str) -> Result<&'a Principal, GovernError> {
    let own = name.is_none_or(|name| name == &*ground.subject.name) && ground.subject.principal != OPERATOR;
    if own {
        return ground.footing.policies.principal(ground.subject.principal).ok_or(GovernError::SubjectGone);
    }
    ground.admin(what)?;
    let Some(name) = name else {
        return Err(GovernError::InvalidValue {
            what: "the operator has no tokens".to_owned(),
            hint: Some("Name the principal: CREATE TOKEN FOR …".to_owned()),
        });
    };
    let principal = ground.principal(name)?;
    match principal.kind {
        PrincipalKind::User | PrincipalKind::ServicePrincipal => Ok(principal),
        PrincipalKind::Group => {
            Err(GovernError::WrongPrincipalKind { name: name.to_owned(), wanted: PrincipalKind::User, found: principal.kind })
        }
    }
}

fn scopes(ground: &Ground<'_>, wanted: &[String]) -> Result<String, GovernError> {
    if let Some(scope) = wanted.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
        let what = format!("token scope \"{scope}\" is not supported");
        let hint = match scope.as_str() {
            "data" => "It is for an HTTP API of rows, which there is not. The scopes are sql, sql:read and admin.",
            _ => "The scopes are sql, sql:read and admin.",
        };
        return Err(GovernError::Unsupported { what, hint: Some(hint) });
    }
    if ground.narrowed && (wanted.is_empty() || wanted.iter().any(|scope| scope == ADMIN_SCOPE)) {
        return Err(GovernError::NarrowedToken);
    }
    let items = wanted.iter().map(|scope| quote_literal(scope)).collect::<Vec<_>>().join(", ");
    Ok(format!("ARRAY[{items}]::pg_catalog.text[]"))
}

async fn listed(channel: &mut dyn OwnerChannel, condition: &str) -> Result<Vec<TokenRow>, GovernError> {
    let moment = |column: &str| format!("{} AS {column}", moment(&format!("t.{column}")));
    let sql = format!(
        "SELECT t.id, p.name AS principal, t.comment, pg_catalog.array_to_string(t.scopes, ', ') AS scopes, {}, {}, {}, \
         CASE WHEN t.revoked_at IS NOT NULL THEN 'revoked' WHEN t.expires_at <= pg_catalog.clock_timestamp() THEN 'expired' \
         WHEN NOT p.enabled THEN 'disabled' ELSE 'live' END AS state \
         FROM pgusher.token AS t JOIN pgusher.principal AS p ON p.id = t.principal WHERE {condition} ORDER BY p.name, t.created_at, t.id",
        moment("created_at"),
        moment("expires_at"),
        moment("last_used_at")
    );
    fetch(channel, &sql).await
}
