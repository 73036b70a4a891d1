//! SCIM 2.0 (RFC 7643, RFC 7644): users, service principals and groups for administrators, and oneself for everybody.
//!
//! An id is a principal's number. What is kept of a principal is its name, its kind, whether it is enabled, and memberships: what
//! else is sent is not kept, and what would be a right is refused. Names stay: row filters and column masks say them.

mod filter;
mod patch;
mod resource;

use axum::http::StatusCode;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use tokio_postgres::error::SqlState;

use super::call::{Answer, Call};
use super::fault::Fault;
use crate::error::Report;
use crate::governance::{Command, Member, unfit};
use crate::policy::{PolicySnapshot, Principal, PrincipalId, PrincipalKind};
use filter::Filter;
use patch::{Change, Patch};

/// The calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScimCall {
    /// Who calls.
    Me,
    /// All of a kind, or those that a filter lets through, in pages.
    List(ScimKind),
    /// Makes one.
    Create(ScimKind),
    /// One.
    Get(ScimKind, PrincipalId),
    /// PUT.
    Replace(ScimKind, PrincipalId),
    /// PATCH.
    Patch(ScimKind, PrincipalId),
    /// DELETE.
    Delete(ScimKind, PrincipalId),
}

/// The kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScimKind {
    /// Users.
    User,
    /// Service principals.
    ServicePrincipal,
    /// Groups.
    Group,
}

impl ScimKind {
    /// By the word in a path.
    pub(super) fn named(word: &str) -> Option<Self> {
        match word {
            "Users" => Some(Self::User),
            "ServicePrincipals" => Some(Self::ServicePrincipal),
            "Groups" => Some(Self::Group),
            _ => None,
        }
    }

    fn of(kind: PrincipalKind) -> Self {
        match kind {
            PrincipalKind::User => Self::User,
            PrincipalKind::ServicePrincipal => Self::ServicePrincipal,
            PrincipalKind::Group => Self::Group,
        }
    }

    fn principal(self) -> PrincipalKind {
        match self {
            Self::User => PrincipalKind::User,
            Self::ServicePrincipal => PrincipalKind::ServicePrincipal,
            Self::Group => PrincipalKind::Group,
        }
    }

    /// As SCIM calls one.
    fn word(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ServicePrincipal => "ServicePrincipal",
            Self::Group => "Group",
        }
    }
}

/// An object with the names of its attributes in lower case: their case means nothing (RFC 7643 section 2.1). A name that stands there
/// twice is an error.
struct Folded(Map<String, Value>);

impl<'de> Deserialize<'de> for Folded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Folded;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Folded, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if fields.insert(name.to_ascii_lowercase(), value).is_some() {
                        return Err(A::Error::custom(format!("\"{name}\" stands there twice")));
                    }
                }
                Ok(Folded(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// What is read of a resource that is sent.
#[derive(Deserialize)]
struct Sent {
    #[serde(rename = "username")]
    user_name: Option<String>,
    #[serde(rename = "applicationid")]
    application_id: Option<String>,
    #[serde(rename = "displayname")]
    display_name: Option<String>,
    active: Option<bool>,
    #[serde(default)]
    members: Vec<SentMember>,
    #[serde(default)]
    groups: Vec<Value>,
    #[serde(default)]
    roles: Vec<Value>,
    #[serde(default)]
    entitlements: Vec<Value>,
}

/// A member, by its id.
#[derive(Clone, Debug)]
struct SentMember {
    value: String,
}

impl<'de> Deserialize<'de> for SentMember {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Folded::deserialize(deserializer)?.0.remove("value") {
            Some(Value::String(value)) => Ok(Self { value }),
            Some(_) | None => Err(D::Error::custom("a member's value is missing or no string")),
        }
    }
}

/// Carries out a call.
pub(super) async fn carry_out(call: &Call, scim: ScimCall) -> Result<Answer, Fault> {
    if scim == ScimCall::Me {
        return me(call);
    }
    call.admin()?;
    match scim {
        ScimCall::Me => me(call),
        ScimCall::List(kind) => list(call, kind),
        ScimCall::Create(kind) => create(call, kind).await,
        ScimCall::Get(kind, id) => {
            let found = find(call.policies(), kind, id)?;
            shown(call, StatusCode::OK, resource::of(call.policies(), found))
        }
        ScimCall::Replace(kind, id) => replace(call, kind, id).await,
        ScimCall::Patch(kind, id) => {
            let patch = Patch::read(kind, call.body()?)?;
            change(call, kind, id, patch.0).await
        }
        ScimCall::Delete(kind, id) => {
            call.planned(move |policies| {
                let name = find(policies, kind, id)?.name.to_string();
                Ok(vec![Command::DropPrincipal { kind: kind.principal(), name, if_exists: false }])
            })
            .await?;
            Ok(Answer(StatusCode::NO_CONTENT, None))
        }
    }
}

fn me(call: &Call) -> Result<Answer, Fault> {
    let policies = call.policies();
    let found = policies.principal(call.subject.principal).ok_or(Fault::Unauthenticated)?;
    shown(call, StatusCode::OK, resource::me(policies, found, &call.subject))
}

fn list(call: &Call, kind: ScimKind) -> Result<Answer, Fault> {
    let filter = call.query.get("filter")?.map(Filter::parse).transpose()?;
    let policies = call.policies();
    let of_kind = policies.principals().filter(|found| found.kind == kind.principal());
    let mut found: Vec<&Principal> = of_kind.filter(|found| filter.as_ref().is_none_or(|f| f.lets_through(found))).collect();
    match call.query.get("sortBy")? {
        None | Some("id") => found.sort_by_key(|principal| principal.id),
        Some("userName" | "displayName" | "applicationId") => found.sort_by(|a, b| a.name.cmp(&b.name)),
        Some(other) => return Err(Fault::InvalidScim("invalidPath", format!("cannot sort by \"{other}\""))),
    }
    if call.query.get("sortOrder")? == Some("descending") {
        found.reverse();
    }
    let start = usize::try_from(call.query.number("startIndex")?.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
    let count = usize::try_from(call.query.number("count")?.unwrap_or(PAGE).clamp(0, MOST)).unwrap_or_default();
    let page = found.iter().skip(start - 1).take(count);
    let resources = page.map(|principal| project(call, resource::of(policies, principal))).collect::<Result<Vec<_>, _>>()?;
    Ok(Answer::ok(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": found.len(),
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })))
}

/// How many are listed where nothing is said, and at most.
const PAGE: i64 = 100;
const MOST: i64 = 10_000;

async fn create(call: &Call, kind: ScimKind) -> Result<Answer, Fault> {
    let sent = sent(call)?;
    let name = name(kind, &sent)?.ok_or_else(|| {
        let attribute = if kind == ScimKind::User { "userName" } else { "displayName" };
        Fault::InvalidScim("invalidValue", format!("{attribute} is missing"))
    })?;
    if let Some(why) = unfit(&name) {
        return Err(Fault::InvalidScim("invalidValue", why));
    }
    let (members, disabled, made) = (sent.members, sent.active == Some(false), name.clone());
    call.planned(move |policies| {
        let members = members.iter().map(|sent| member(policies, &sent.value)).collect::<Result<_, _>>()?;
        let kind = kind.principal();
        let mut commands = vec![Command::CreatePrincipal { kind, name: name.clone(), if_not_exists: false, members }];
        if disabled && kind != PrincipalKind::Group {
            commands.push(Command::EnablePrincipal { kind, name, enabled: false });
        }
        Ok(commands)
    })
    .await?;
    let footing = call.renewed()?;
    let found = footing.policies.principal_named(&made).ok_or_else(|| Fault::unavailable(unpublished()))?;
    shown(call, StatusCode::CREATED, resource::of(&footing.policies, found))
}

async fn replace(call: &Call, kind: ScimKind, id: PrincipalId) -> Result<Answer, Fault> {
    let sent = sent(call)?;
    let mut changes: Vec<Change> = name(kind, &sent)?.map(Change::Name).into_iter().collect();
    changes.extend(sent.active.filter(|_| kind != ScimKind::Group).map(Change::Active));
    if kind == ScimKind::Group {
        changes.push(Change::SetMembers(sent.members.into_iter().map(|member| member.value).collect()));
    }
    change(call, kind, id, changes).await
}

/// Carries out changes of one resource and shows it.
async fn change(call: &Call, kind: ScimKind, id: PrincipalId, changes: Vec<Change>) -> Result<Answer, Fault> {
    call.planned(move |policies| patch::commands(policies, find(policies, kind, id)?, &changes)).await?;
    let footing = call.renewed()?;
    let found = find(&footing.policies, kind, id)?;
    shown(call, StatusCode::OK, resource::of(&footing.policies, found))
}

/// What was sent, unless it asks for rights that are not given like that.
fn sent(call: &Call) -> Result<Sent, Fault> {
    let Folded(fields) = call.body()?;
    let sent: Sent = serde_json::from_value(Value::Object(fields))
        .map_err(|error| Fault::InvalidScim("invalidSyntax", format!("the request's body makes no sense: {error}")))?;
    for (values, what, hint) in [
        (&sent.groups, "groups", "change the members of the group instead"),
        (&sent.roles, "roles", "there are none"),
        (&sent.entitlements, "entitlements", "grant privileges instead"),
    ] {
        if !values.is_empty() {
            return Err(Fault::InvalidScim("mutability", format!("{what} cannot be set: {hint}")));
        }
    }
    Ok(sent)
}

/// The name in what was sent. A service principal's application id is its name.
fn name(kind: ScimKind, sent: &Sent) -> Result<Option<String>, Fault> {
    match (kind, &sent.application_id, &sent.display_name) {
        (ScimKind::User, ..) => Ok(sent.user_name.clone()),
        (ScimKind::ServicePrincipal, Some(id), Some(name)) if id != name => {
            Err(Fault::InvalidScim("invalidValue", "applicationId and displayName are the same name here".to_owned()))
        }
        (ScimKind::ServicePrincipal, id, name) => Ok(id.as_ref().or(name.as_ref()).cloned()),
        (ScimKind::Group, _, name) => Ok(name.clone()),
    }
}

fn find(policies: &PolicySnapshot, kind: ScimKind, id: PrincipalId) -> Result<&Principal, Report> {
    let found = policies.principal(id).filter(|found| found.kind == kind.principal());
    found.ok_or_else(|| Report::error(SqlState::UNDEFINED_OBJECT, format!("{} with that id does not exist", kind.word())))
}

/// The principal that an id names, as a member.
fn member(policies: &PolicySnapshot, id: &str) -> Result<Member, Report> {
    let found = number(id).and_then(|id| policies.principal(id));
    let found = found.ok_or_else(|| Report::error(SqlState::INVALID_PARAMETER_VALUE, format!("no member has the id \"{id}\"")))?;
    Ok(Member { kind: found.kind, name: found.name.to_string() })
}

/// The principal's number that an id is: digits, and nothing else.
pub(super) fn number(id: &str) -> Option<PrincipalId> {
    let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if digits { id.parse().ok().map(PrincipalId) } else { None }
}

fn unpublished() -> Report {
    Report::error(SqlState::CANNOT_CONNECT_NOW, "it was made, and cannot be shown yet")
}

fn shown(call: &Call, status: StatusCode, resource: Value) -> Result<Answer, Fault> {
    Ok(Answer(status, Some(project(call, resource)?)))
}

/// Only the attributes that were asked for; `schemas` and `id` always.
fn project(call: &Call, mut resource: Value) -> Result<Value, Fault> {
    let named = |list: &str, attribute: &str| {
        let top = list.split(',').map(|one| one.trim().split('.').next().unwrap_or_default());
        top.into_iter().any(|one| one.eq_ignore_ascii_case(attribute))
    };
    let (wanted, unwanted) = (call.query.get("attributes")?, call.query.get("excludedAttributes")?);
    if let Some(fields) = resource.as_object_mut() {
        fields.retain(|field, _| {
            matches!(field.as_str(), "schemas" | "id")
                || (wanted.is_none_or(|list| named(list, field)) && !unwanted.is_some_and(|list| named(list, field)))
        });
    }
    Ok(resource)
}
