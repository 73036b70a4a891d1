//! Groups 2.0: administrators make groups, list them, change who is in them, and drop them. Names are principals' names.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::fault::Fault;
use crate::error::{GovernError, Report};
use crate::governance::{Command, Member, MemberChange, unfit};
use crate::policy::{PolicySnapshot, Principal, PrincipalId, PrincipalKind};

/// The calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupCall {
    /// `create`
    Create,
    /// `list`
    List,
    /// `add-member`
    AddMember,
    /// `list-members`
    ListMembers,
    /// `list-parents`
    ListParents,
    /// `remove-member`
    RemoveMember,
    /// `delete`
    Delete,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    group_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Membership {
    parent_name: String,
    user_name: Option<String>,
    group_name: Option<String>,
}

/// Carries out a call.
pub(super) async fn carry_out(call: &Call, group: GroupCall) -> Result<Answer, Fault> {
    call.admin()?;
    match group {
        GroupCall::Create => create(call).await,
        GroupCall::List => Ok(Answer::ok(json!({"group_names": names(groups(call.policies()))}))),
        GroupCall::AddMember => change(call, MemberChange::Add).await,
        GroupCall::ListMembers => list_members(call),
        GroupCall::ListParents => list_parents(call),
        GroupCall::RemoveMember => change(call, MemberChange::Drop).await,
        GroupCall::Delete => {
            let Group { group_name } = call.body()?;
            call.one(Command::DropPrincipal { kind: PrincipalKind::Group, name: group_name, if_exists: false }).await?;
            Ok(Answer::ok(json!({})))
        }
    }
}

async fn create(call: &Call) -> Result<Answer, Fault> {
    let Group { group_name } = call.body()?;
    if let Some(why) = unfit(&group_name) {
        return Err(Fault::Invalid(why));
    }
    let name = group_name.clone();
    call.one(Command::CreatePrincipal { kind: PrincipalKind::Group, name, if_not_exists: false, members: Vec::new() }).await?;
    Ok(Answer::ok(json!({"group_name": group_name})))
}

async fn change(call: &Call, change: MemberChange) -> Result<Answer, Fault> {
    let Membership { parent_name, user_name, group_name } = call.body()?;
    let wanted = one_of(user_name, group_name)?;
    call.planned(move |policies| {
        let member = principal(policies, &wanted)?;
        let member = Member { kind: member.kind, name: member.name.to_string() };
        Ok(vec![Command::AlterGroup { group: parent_name, change, members: vec![member] }])
    })
    .await?;
    Ok(Answer::ok(json!({})))
}

fn list_members(call: &Call) -> Result<Answer, Fault> {
    let name = call.query.get("group_name")?.ok_or_else(|| Fault::Invalid("group_name is missing".to_owned()))?;
    let policies = call.policies();
    let group = principal(policies, &Wanted::Group(name.to_owned()))?;
    let mut members: Vec<&Principal> = members_of(policies, group.id);
    members.sort_by_key(|member| (member.kind == PrincipalKind::Group, member.name.clone()));
    let shown: Vec<Value> = members
        .into_iter()
        .map(|member| match member.kind {
            PrincipalKind::Group => json!({"group_name": member.name}),
            PrincipalKind::User | PrincipalKind::ServicePrincipal => json!({"user_name": member.name}),
        })
        .collect();
    Ok(Answer::ok(json!({"members": shown})))
}

fn list_parents(call: &Call) -> Result<Answer, Fault> {
    let given = |name| call.query.get(name).map(|value| value.map(str::to_owned));
    let wanted = one_of(given("user_name")?, given("group_name")?)?;
    let member = principal(call.policies(), &wanted)?;
    Ok(Answer::ok(json!({"group_names": names(parents_of(call.policies(), member.id).into_iter())})))
}

/// The direct members of a group; everybody but groups is in `users`.
pub(super) fn members_of(policies: &PolicySnapshot, group: PrincipalId) -> Vec<&Principal> {
    let recorded = policies.members(group).iter().filter_map(|id| policies.principal(*id));
    if Some(group) == policies.users() {
        policies.principals().filter(|principal| principal.kind != PrincipalKind::Group).collect()
    } else {
        recorded.collect()
    }
}

/// The groups that a principal is in directly, `users` among them.
pub(super) fn parents_of(policies: &PolicySnapshot, member: PrincipalId) -> Vec<&Principal> {
    let everybody = policies.users().filter(|users| *users != member);
    policies.parents(member).iter().copied().chain(everybody).filter_map(|id| policies.principal(id)).collect()
}

fn groups(policies: &PolicySnapshot) -> impl Iterator<Item = &Principal> {
    policies.principals().filter(|principal| principal.kind == PrincipalKind::Group)
}

fn names<'a>(principals: impl Iterator<Item = &'a Principal>) -> Vec<&'a str> {
    let mut names: Vec<&str> = principals.map(|principal| &*principal.name).collect();
    names.sort_unstable();
    names
}

/// A principal as this API names it: a user's name may be a service principal's.
enum Wanted {
    User(String),
    Group(String),
}

fn one_of(user: Option<String>, group: Option<String>) -> Result<Wanted, Fault> {
    match (user, group) {
        (Some(user), None) => Ok(Wanted::User(user)),
        (None, Some(group)) => Ok(Wanted::Group(group)),
        (None, None) | (Some(_), Some(_)) => Err(Fault::Invalid("give either user_name or group_name".to_owned())),
    }
}

fn principal<'a>(policies: &'a PolicySnapshot, wanted: &Wanted) -> Result<&'a Principal, Report> {
    let (name, group) = match wanted {
        Wanted::User(name) => (name, false),
        Wanted::Group(name) => (name, true),
    };
    let found = policies.principal_named(name).filter(|found| (found.kind == PrincipalKind::Group) == group);
    let kind = Some(if group { PrincipalKind::Group } else { PrincipalKind::User });
    found.ok_or_else(|| (&GovernError::UndefinedPrincipal { kind, name: name.clone() }).into())
}
