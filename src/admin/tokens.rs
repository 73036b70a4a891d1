//! Token 2.0: one's own tokens; and token management: everybody's, for administrators.

use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::fault::Fault;
use crate::governance::{Command, TokensOf};
use crate::policy::{PrincipalId, PrincipalKind};
use crate::session::Reply;
use crate::store::Done;

/// The calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenCall {
    /// One's own, `create`.
    Create,
    /// One's own, `list`.
    List,
    /// One's own, `delete`.
    Delete,
    /// Everybody's.
    ListAll,
    /// Anybody's, by id.
    Get(String),
    /// Anybody's, by id.
    Revoke(String),
    /// For a service principal.
    CreateFor,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    comment: Option<String>,
    lifetime_seconds: Option<i64>,
    #[serde(default)]
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedFor {
    application_id: String,
    comment: Option<String>,
    lifetime_seconds: Option<i64>,
    #[serde(default)]
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    token_id: String,
}

/// Carries out a call.
pub(super) async fn carry_out(call: &Call, token: TokenCall) -> Result<Answer, Fault> {
    match token {
        TokenCall::Create => create(call, None, call.body()?).await,
        TokenCall::List => {
            let live = shown(call, TokensOf::Own).await?.into_iter().filter(Shown::is_live);
            Ok(Answer::ok(json!({"token_infos": live.map(|token| token.info()).collect::<Vec<_>>()})))
        }
        TokenCall::Delete => {
            let Named { token_id } = call.body()?;
            let own = shown(call, TokensOf::Own).await?;
            revoke(call, own, token_id).await
        }
        TokenCall::ListAll => {
            call.admin()?;
            list_all(call).await
        }
        TokenCall::Get(id) => {
            call.admin()?;
            let found = shown(call, TokensOf::All).await?.into_iter().find(|token| token.id == id && !token.is_revoked());
            let found = found.ok_or_else(|| missing(&id))?;
            Ok(Answer::ok(json!({"token_info": found.managed_info(call)})))
        }
        TokenCall::Revoke(id) => {
            call.admin()?;
            let all = shown(call, TokensOf::All).await?;
            revoke(call, all, id).await
        }
        TokenCall::CreateFor => {
            call.admin()?;
            let WantedFor { application_id, comment, lifetime_seconds, scopes } = call.body()?;
            let named = call.policies().principal_named(&application_id);
            if named.is_none_or(|found| found.kind != PrincipalKind::ServicePrincipal) {
                return Err(Fault::Missing(format!("service principal \"{application_id}\" does not exist")));
            }
            create(call, Some(application_id), Wanted { comment, lifetime_seconds, scopes }).await
        }
    }
}

async fn create(call: &Call, principal: Option<String>, wanted: Wanted) -> Result<Answer, Fault> {
    let Wanted { comment, lifetime_seconds, scopes } = wanted;
    if comment.as_deref().is_some_and(|comment| comment.len() > LONGEST_COMMENT || comment.chars().any(char::is_control)) {
        return Err(Fault::Invalid(format!("comment is longer than {LONGEST_COMMENT} bytes, or holds control characters")));
    }
    let seconds = |seconds: i64| match u64::try_from(seconds) {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err(Fault::Invalid("lifetime_seconds must be more than 0".to_owned())),
    };
    let lifetime = lifetime_seconds.map(seconds).transpose()?;
    let command = Command::CreateToken { principal, comment: comment.clone(), lifetime, scopes };
    let made = call.one(command).await?;
    let row = rows(&made).next();
    let field = |at: usize| row.and_then(|row| row.get(at)?.clone());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let info = json!({
        "token_id": field(0),
        "creation_time": now.as_secs() * 1000,
        "expiry_time": milliseconds(field(2).as_deref()),
        "comment": comment.unwrap_or_default(),
    });
    Ok(Answer::ok(json!({"token_value": field(1), "token_info": info})))
}

const LONGEST_COMMENT: usize = 1024;

async fn list_all(call: &Call) -> Result<Answer, Fault> {
    let by_name = call.query.get("created_by_username")?;
    let by_id = call.query.number("created_by_id")?.map(PrincipalId);
    let all = shown(call, TokensOf::All).await?;
    let wanted = |token: &Shown| {
        let holder = call.policies().principal_named(&token.principal).map(|found| found.id);
        !token.is_revoked() && by_name.is_none_or(|name| name == token.principal) && by_id.is_none_or(|id| Some(id) == holder)
    };
    let infos: Vec<Value> = all.iter().filter(|token| wanted(token)).map(|token| token.managed_info(call)).collect();
    Ok(Answer::ok(json!({"token_infos": infos})))
}

/// Revokes one of these; any other, and one that is revoked already, does not exist.
async fn revoke(call: &Call, of: Vec<Shown>, id: String) -> Result<Answer, Fault> {
    if !of.iter().any(|token| token.id == id && !token.is_revoked()) {
        return Err(missing(&id));
    }
    call.one(Command::RevokeToken { id }).await?;
    Ok(Answer(StatusCode::OK, Some(json!({}))))
}

fn missing(id: &str) -> Fault {
    Fault::Missing(format!("token \"{id}\" does not exist"))
}

/// A row of SHOW TOKENS.
struct Shown {
    id: String,
    principal: String,
    comment: String,
    created: Option<String>,
    expires: Option<String>,
    used: Option<String>,
    state: String,
}

impl Shown {
    fn is_live(&self) -> bool {
        self.state == "live"
    }

    fn is_revoked(&self) -> bool {
        self.state == "revoked"
    }

    fn info(&self) -> Value {
        json!({
            "token_id": self.id,
            "creation_time": milliseconds(self.created.as_deref()),
            "expiry_time": milliseconds(self.expires.as_deref()),
            "comment": self.comment,
        })
    }

    fn managed_info(&self, call: &Call) -> Value {
        let mut info = self.info();
        info["created_by_username"] = json!(self.principal);
        if let Some(holder) = call.policies().principal_named(&self.principal) {
            info["created_by_id"] = json!(holder.id.0);
            info["owner_id"] = json!(holder.id.0);
        }
        if self.used.is_some() {
            info["last_used_day"] = json!(milliseconds(self.used.as_deref()));
        }
        info
    }
}

async fn shown(call: &Call, whose: TokensOf) -> Result<Vec<Shown>, Fault> {
    let done = call.one(Command::ShowTokens { whose }).await?;
    let read = |row: &Vec<Option<String>>| {
        let [id, principal, comment, _scopes, created, expires, used, state] = <[_; 8]>::try_from(row.clone()).ok()?;
        Some(Shown { id: id?, principal: principal?, comment: comment.unwrap_or_default(), created, expires, used, state: state? })
    };
    Ok(rows(&done).filter_map(read).collect())
}

fn rows(done: &Done) -> impl Iterator<Item = &Vec<Option<String>>> {
    done.iter().flat_map(|(_, Reply { rows, .. })| rows)
}

/// `2026-01-31T12:00:00Z` as milliseconds since 1970; -1 for no time at all.
fn milliseconds(moment: Option<&str>) -> i64 {
    let read = |text: &str| {
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        // Days since 1970 by the Gregorian calendar, years begun in March.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
            - 1
            - 719_468;
        Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
    };
    moment.and_then(read).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_milliseconds_and_none_is_minus_one() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-22T08:00:00Z", 1_795_334_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(milliseconds(Some(text)), seconds * 1000, "{text}");
        }
        assert_eq!(milliseconds(None), -1);
    }
}
