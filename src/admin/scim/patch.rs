//! PATCH and PUT: what is to become of a resource → governance commands.
//!
//! Source: RFC 7644 section 3.5.2. Operations apply one after the other; what comes out is compared with what is.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::error::SqlState;

use super::super::fault::Fault;
use super::{ScimKind, SentMember, member};
use crate::error::Report;
use crate::governance::{Command, Member, MemberChange};
use crate::policy::{PolicySnapshot, Principal, PrincipalId, PrincipalKind};

/// A change of a resource. Members are ids as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is called that: true already, or refused.
    Name(String),
    /// It may log in, or not.
    Active(bool),
    /// These are members, too.
    AddMembers(Vec<String>),
    /// These are not.
    DropMembers(Vec<String>),
    /// These are all.
    SetMembers(Vec<String>),
}

/// The operations of a PATCH, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patch(pub(super) Vec<Change>);

/// The message.
#[derive(Deserialize)]
pub(super) struct SentPatch {
    #[serde(rename = "Operations")]
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    op: String,
    path: Option<String>,
    value: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// The most operations.
const MOST: usize = 1000;

impl Patch {
    /// Reads the operations on a resource of a kind.
    pub(super) fn read(kind: ScimKind, sent: SentPatch) -> Result<Self, Fault> {
        if sent.operations.is_empty() || sent.operations.len() > MOST {
            return Err(Fault::InvalidScim("invalidSyntax", format!("a PATCH has 1 to {MOST} operations")));
        }
        let mut changes = Vec::new();
        for Operation { op, path, value } in sent.operations {
            let op = match op.to_ascii_lowercase().as_str() {
                "add" => Op::Add,
                "replace" => Op::Replace,
                "remove" => Op::Remove,
                _ => return Err(Fault::InvalidScim("invalidSyntax", format!("there is no operation \"{op}\""))),
            };
            match (path, value) {
                (Some(path), value) => changes.push(one(kind, op, path.trim(), value)?),
                (None, Some(Value::Object(fields))) if op != Op::Remove => {
                    for (field, value) in fields {
                        changes.push(one(kind, op, &field, Some(value))?);
                    }
                }
                (None, _) => return Err(Fault::InvalidScim("noTarget", "an operation says not what it is about".to_owned())),
            }
        }
        Ok(Self(changes))
    }
}

fn one(kind: ScimKind, op: Op, path: &str, value: Option<Value>) -> Result<Change, Fault> {
    let unknown = || Fault::InvalidScim("invalidPath", format!("\"{path}\" of a {} cannot be changed", kind.word()));
    let attribute = path.split('[').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (kind, attribute.as_str()) {
        (ScimKind::Group, "members") => members(op, path, value),
        (ScimKind::User | ScimKind::ServicePrincipal, "active") if op != Op::Remove => Ok(Change::Active(flag(value)?)),
        (ScimKind::User, "username")
        | (ScimKind::ServicePrincipal, "displayname" | "applicationid")
        | (ScimKind::Group, "displayname")
            if op != Op::Remove =>
        {
            match value {
                Some(Value::String(name)) => Ok(Change::Name(name)),
                _ => Err(invalid("a name is a string")),
            }
        }
        _ => Err(unknown()),
    }
}

fn members(op: Op, path: &str, value: Option<Value>) -> Result<Change, Fault> {
    if let Some((_, filter)) = path.split_once('[') {
        let id = (op == Op::Remove).then(|| selected(filter)).flatten();
        let unknown = || Fault::InvalidScim("invalidPath", "members are taken out by members[value eq \"id\"]".to_owned());
        return id.map(|id| Change::DropMembers(vec![id])).ok_or_else(unknown);
    }
    match (op, value) {
        (Op::Add, Some(value)) => Ok(Change::AddMembers(ids(value)?)),
        (Op::Replace, Some(value)) => Ok(Change::SetMembers(ids(value)?)),
        (Op::Remove, None | Some(Value::Null)) => Ok(Change::SetMembers(Vec::new())),
        (Op::Remove, Some(value)) => Ok(Change::DropMembers(ids(value)?)),
        (Op::Add | Op::Replace, None) => Err(invalid("members are missing")),
    }
}

/// The id in `value eq "id"]`.
fn selected(filter: &str) -> Option<String> {
    let mut words = filter.trim().strip_suffix(']')?.split_whitespace();
    let (attribute, operator, id) = (words.next()?, words.next()?, words.next()?);
    let good = attribute.eq_ignore_ascii_case("value") && operator.eq_ignore_ascii_case("eq") && words.next().is_none();
    good.then(|| id.trim_matches('"').to_owned())
}

fn ids(value: Value) -> Result<Vec<String>, Fault> {
    let list = if value.is_array() { value } else { Value::Array(vec![value]) };
    let members: Vec<SentMember> = serde_json::from_value(list).map_err(|_| invalid("a member is {\"value\": \"id\"}"))?;
    Ok(members.into_iter().map(|member| member.value).collect())
}

/// A boolean; some clients write it as a string.
fn flag(value: Option<Value>) -> Result<bool, Fault> {
    match value {
        Some(Value::Bool(flag)) => Ok(flag),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(invalid("active is true or false")),
    }
}

fn invalid(what: &str) -> Fault {
    Fault::InvalidScim("invalidValue", what.to_owned())
}

/// The commands that make a principal what the changes say.
pub(super) fn commands(policies: &PolicySnapshot, of: &Principal, changes: &[Change]) -> Result<Vec<Command>, Report> {
    let before: BTreeSet<PrincipalId> = policies.members(of.id).iter().copied().collect();
    let (mut after, mut enabled) = (before.clone(), of.enabled);
    let known = |ids: &[String]| {
        let id = |text: &String| {
            let Member { name, .. } = member(policies, text)?;
            Ok(policies.principal_named(&name).map(|found| found.id))
        };
        ids.iter().filter_map(|text| id(text).transpose()).collect::<Result<BTreeSet<_>, Report>>()
    };
    for change in changes {
        match change {
            Change::Name(name) if **name == *of.name => {}
            Change::Name(_) => {
                let what = format!("\"{}\" cannot be renamed", of.name);
                let why = "Grants are its own, but row filters and column masks say its name.";
                return Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, what).detail(why));
            }
            Change::Active(active) => enabled = *active,
            Change::AddMembers(ids) => after.extend(known(ids)?),
            // Who is gone is no member.
            Change::DropMembers(ids) => after.retain(|member| !ids.contains(&member.0.to_string())),
            Change::SetMembers(ids) => after = known(ids)?,
        }
    }
    let mut commands = Vec::new();
    if enabled != of.enabled && of.kind != PrincipalKind::Group {
        commands.push(Command::EnablePrincipal { kind: of.kind, name: of.name.to_string(), enabled });
    }
    for (change, ids) in [(MemberChange::Add, &after - &before), (MemberChange::Drop, &before - &after)] {
        let found = ids.iter().filter_map(|id| policies.principal(*id));
        let members: Vec<Member> = found.map(|found| Member { kind: found.kind, name: found.name.to_string() }).collect();
        if !members.is_empty() {
            commands.push(Command::AlterGroup { group: of.name.to_string(), change, members });
        }
    }
    Ok(commands)
}
