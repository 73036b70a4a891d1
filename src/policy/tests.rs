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
