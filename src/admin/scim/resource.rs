//! Principals as SCIM's resources.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::groups::{members_of, parents_of};
use super::ScimKind;
use crate::policy::{PolicySnapshot, Principal, PrincipalId, PrincipalKind, Subject};

/// A principal.
pub(super) fn of(policies: &PolicySnapshot, principal: &Principal) -> Value {
    match principal.kind {
        PrincipalKind::User | PrincipalKind::ServicePrincipal => holder(policies, principal, &policies.groups_of(principal.id)),
        PrincipalKind::Group => group(policies, principal),
    }
}

/// Who calls, with the groups that count in this call; a service principal has a user's attributes, too.
pub(super) fn me(policies: &PolicySnapshot, principal: &Principal, subject: &Subject) -> Value {
    let mut shown = holder(policies, principal, &subject.groups);
    shown["userName"] = json!(principal.name);
    shown
}

fn holder(policies: &PolicySnapshot, principal: &Principal, groups: &HashSet<PrincipalId>) -> Value {
    let direct: HashSet<PrincipalId> = parents_of(policies, principal.id).into_iter().map(|group| group.id).collect();
    let mut groups: Vec<&Principal> = groups.iter().filter_map(|id| policies.principal(*id)).collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    let one = |group: &&Principal| {
        let kind = if direct.contains(&group.id) { "direct" } else { "indirect" };
        json!({"value": group.id.0.to_string(), "display": group.name, "type": kind, "$ref": reference(group)})
    };
    let mut shown = base(principal);
    shown["active"] = json!(principal.enabled);
    shown["groups"] = groups.iter().map(one).collect();
    let attribute = if principal.kind == PrincipalKind::User { "userName" } else { "applicationId" };
    shown[attribute] = json!(principal.name);
    shown
}

fn group(policies: &PolicySnapshot, group: &Principal) -> Value {
    let sorted = |mut found: Vec<&Principal>| {
        found.sort_by_key(|principal| principal.id);
        let one = |found: &&Principal| json!({"value": found.id.0.to_string(), "display": found.name, "$ref": reference(found)});
        found.iter().map(one).collect::<Value>()
    };
    let mut shown = base(group);
    shown["members"] = sorted(members_of(policies, group.id));
    shown["groups"] = sorted(parents_of(policies, group.id));
    shown["meta"] = json!({"resourceType": "WorkspaceGroup"});
    shown
}

fn base(principal: &Principal) -> Value {
    let word = ScimKind::of(principal.kind).word();
    json!({
        "schemas": [format!("urn:ietf:params:scim:schemas:core:2.0:{word}")],
        "id": principal.id.0.to_string(),
        "displayName": principal.name,
    })
}

fn reference(principal: &Principal) -> String {
    format!("{}s/{}", ScimKind::of(principal.kind).word(), principal.id.0)
}
