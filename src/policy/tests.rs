use std::sync::Arc;

use super::*;

const OWNER: PrincipalId = PrincipalId(3);
const MANAGER: PrincipalId = PrincipalId(4);
const WRITER: PrincipalId = PrincipalId(5);
const NOBODY: PrincipalId = PrincipalId(6);
const ADMIN: PrincipalId = PrincipalId(7);
const TEAM: PrincipalId = PrincipalId(8);
const MEMBER: PrincipalId = PrincipalId(9);
const TABLE: Securable = Securable::Relation(100);
const SCHEMA: Oid = 2200;

fn policies() -> PolicySnapshot {
    let principal = |id: PrincipalId, name: &str, kind| Principal { id, name: name.into(), kind, enabled: true };
    let people = [(OWNER, "o"), (MANAGER, "m"), (WRITER, "w"), (NOBODY, "n"), (ADMIN, "a"), (MEMBER, "g")];
    let mut principals: Vec<Principal> = people.iter().map(|(id, name)| principal(*id, name, PrincipalKind::User)).collect();
    principals.push(principal(PrincipalId(2), "admins", PrincipalKind::Group));
    principals.push(principal(TEAM, "team", PrincipalKind::Group));
    PolicySnapshot::new(
        1,
        PolicyParts {
            principals,
            memberships: vec![(PrincipalId(2), ADMIN), (TEAM, MEMBER)],
            grants: vec![
                Grant { principal: MANAGER, privilege: Privilege::Manage, securable: Securable::Schema(SCHEMA) },
                Grant { principal: WRITER, privilege: Privilege::Modify, securable: TABLE },
                Grant { principal: NOBODY, privilege: Privilege::AllPrivileges, securable: Securable::Relation(101) },
            ],
            owners: vec![(TABLE, OWNER), (Securable::Relation(102), TEAM)],
            ..PolicyParts::default()
        },
    )
}

fn may(who: PrincipalId, level: Level, privilege: Privilege, securable: Securable) -> bool {
    let policies = policies();
    let requirement = Requirement {
        holder: Holder::Session,
        privilege,
        level,
        securable,
        schema: Some(SCHEMA),
        label: Arc::from("t"),
        noun: "table",
        columns: Vec::new(),
    };
    decide(&policies, &policies.subject(who).unwrap(), &[requirement]).is_ok()
}

#[test]
fn each_level_lets_through_whom_it_says() {
    let of = |level| [OWNER, WRITER, MANAGER, ADMIN, NOBODY].map(|who| may(who, level, Privilege::Modify, TABLE));
    assert_eq!(of(Level::Privilege), [true, true, false, true, false]);
    assert_eq!(of(Level::OrManage), [true, true, true, true, false]);
    assert_eq!(of(Level::Ownership), [true, false, false, true, false]);
}

#[test]
fn all_privileges_are_neither_manage_nor_ownership() {
    let other = Securable::Relation(101);
    assert!(may(NOBODY, Level::OrManage, Privilege::Modify, other));
    assert!(!may(NOBODY, Level::OrManage, Privilege::Manage, other));
    assert!(!may(NOBODY, Level::Ownership, Privilege::Modify, other));
}

#[test]
fn a_groups_members_own_what_it_owns() {
    assert!(may(MEMBER, Level::Ownership, Privilege::Modify, Securable::Relation(102)));
    assert!(!may(OWNER, Level::Ownership, Privilege::Modify, Securable::Relation(102)));
}

/// A view reads with what its owner holds now, not with what it held once.
#[test]
fn a_view_reads_with_its_owners_grants_as_they_are() {
    let parts = |owner: PrincipalId| PolicyParts { owners: vec![(Securable::Relation(200), owner)], ..PolicyParts::default() };
    let of = |policies: &PolicySnapshot| {
        let requirement = Requirement {
            holder: Holder::OwnerOfView(200),
            privilege: Privilege::Modify,
            level: Level::Privilege,
            securable: TABLE,
            schema: Some(SCHEMA),
            label: Arc::from("t"),
            noun: "table",
            columns: Vec::new(),
        };
        let anybody =
            Subject { principal: NOBODY, name: "n".into(), groups: Arc::default(), bearing: Bearing::default(), admin: false };
        decide(policies, &anybody, &[requirement]).is_ok()
    };
    let owned_by = |parts: PolicyParts, enabled: bool| {
        let user = |id: PrincipalId| Principal { id, name: format!("{}", id.0).into(), kind: PrincipalKind::User, enabled };
        let grants = vec![Grant { principal: WRITER, privilege: Privilege::Modify, securable: TABLE }];
        PolicySnapshot::new(1, PolicyParts { principals: [WRITER, NOBODY].map(user).to_vec(), grants, ..parts })
    };
    assert!(of(&owned_by(parts(WRITER), true)));
    assert!(!of(&owned_by(parts(NOBODY), true)));
    assert!(!of(&owned_by(parts(WRITER), false)), "who is disabled holds nothing");
    assert!(!of(&owned_by(parts(MEMBER), true)), "nor does who is gone");
    assert!(of(&owned_by(PolicyParts::default(), true)), "made upstream by the database's own administrators");
}

#[test]
fn the_catalog_contains_neither_anonymous_functions_nor_files() {
    let policies =
        |on| {
            let grants = [Privilege::Execute, Privilege::Select, Privilege::Modify, Privilege::AllPrivileges]
                .map(|privilege| Grant { principal: NOBODY, privilege, securable: on });
            PolicySnapshot::new(1, PolicyParts { grants: grants.to_vec(), ..PolicyParts::default() })
        };
    let who = Subject { principal: NOBODY, name: "n".into(), groups: Arc::default(), bearing: Bearing::default(), admin: false };
    for (securable, privilege) in [
        (Securable::AnonymousFunction, Privilege::Execute),
        (Securable::AnyFile, Privilege::Select),
        (Securable::AnyFile, Privilege::Modify),
    ] {
        assert!(holds(&policies(Securable::Catalog), &who, privilege, securable, None).is_none(), "{securable:?}");
        assert!(holds(&policies(securable), &who, privilege, securable, None).is_some(), "{securable:?}");
    }
}
