//! Tokens that say less or more than their bearer may: narrowed ones, and JWTs that borrow a name.

use serde_json::json;

use crate::harness::{ADMIN, Issuer, Mechanism, Shop, every_mechanism};

every_mechanism! {
    /// A token without the scope `admin` is its principal without admin rights: it governs nothing and sees what grants give.
    fn a_narrowed_token_of_an_administrator_gives_no_admin_rights(shop: fresh) {
        let token = shop.make_token(ADMIN, "SCOPES (sql)");
        let narrowed = shop.try_connect(ADMIN, &token).expect("good for SQL");
        assert_eq!(narrowed.one("SELECT current_user"), ADMIN);
        for statement in [
            "SELECT count(*) FROM employees", "SELECT ssn FROM employees", "UPDATE employees SET salary = 1", "DROP TABLE orders",
            "GRANT SELECT ON TABLE employees TO interns", "CREATE USER eve", "SHOW GRANTS \"bob@example.com\"", "ALTER TABLE employees DROP MASK ssn",
            "CREATE TOKEN FOR \"hana@example.com\"", "CREATE TABLE taken (id int)", "EXPLAIN ACCESS FOR \"hana@example.com\" SELECT 1",
        ] {
            let refusal = narrowed.try_run(statement).err().unwrap_or_else(|| panic!("{statement} was allowed"));
            assert!(["42501", "42601"].contains(&refusal.code.as_str()), "{statement}: {refusal}");
        }
        assert_eq!(narrowed.one("SELECT count(*) FROM pg_class WHERE relname = 'employees'"), "0", "nor do the catalogs show it");
        // What administrators own as a group is theirs by that right.
        let admin = shop.admin();
        admin.run("CREATE TABLE ours (id int)");
        admin.run("ALTER TABLE ours OWNER TO admins");
        for statement in ["SELECT * FROM ours", "GRANT SELECT ON TABLE ours TO interns", "ALTER TABLE ours SET ROW FILTER (true)", "DROP TABLE ours"] {
            narrowed.refused(statement, "42501");
        }
        // A change of policies brings nothing back.
        shop.admin().run("GRANT SELECT ON TABLE orders TO interns");
        narrowed.refused("SELECT ssn FROM employees", "42501");
        let whole = shop.make_token(ADMIN, "SCOPES (sql, admin)");
        assert_ne!(shop.try_connect(ADMIN, &whole).expect("with admin rights").one("SELECT count(*) FROM employees"), "0");
    }
}

/// Narrowness is the token's: it does not go away when its principal's rights change.
#[test]
fn a_narrowed_token_makes_no_wider_one_whoever_has_it() {
    let shop = Shop::fresh(Mechanism::Rls);
    let narrowed = shop.try_connect("bob@example.com", &shop.make_token("bob@example.com", "SCOPES (sql)")).expect("good for SQL");
    for clauses in ["", "SCOPES (sql, admin)", "SCOPES (admin)"] {
        narrowed.refused(&format!("CREATE TOKEN {clauses}"), "42501");
    }
    let own = narrowed.rows("CREATE TOKEN SCOPES (sql)")[0][0].clone();
    // Nor does it lock its principal out.
    let whole = shop.make_token("bob@example.com", "COMMENT 'whole'");
    let listed = narrowed.rows("SHOW TOKENS").into_iter().find(|row| row[2] == "whole").expect("listed");
    narrowed.refused(&format!("REVOKE TOKEN '{}'", listed[0]), "42501");
    assert!(shop.try_connect("bob@example.com", &whole).is_ok());
    narrowed.run(&format!("REVOKE TOKEN '{own}'"));
}

/// What only a JWT gives does not outlive it: no tokens, nothing given away by a group that it claims; who acts for somebody administers nothing.
#[test]
fn what_a_jwt_gives_ends_with_it() {
    let issuer = Issuer::start();
    let shop = Shop::configured(Mechanism::Rls, &issuer.settings("groups_claim = \"groups\""));
    let admin = shop.admin();
    for statement in [
        "CREATE TABLE plans (id int)",
        "ALTER TABLE plans OWNER TO hr",
        "CREATE TABLE pay (id int)",
        "GRANT SELECT ON TABLE pay TO hr",
    ] {
        admin.run(statement);
    }
    let ivan = shop.try_connect("token", &issuer.claiming("ivan@example.com", json!({"groups": ["hr"]}))).expect("a good JWT");
    assert_eq!(ivan.one("SELECT count(*) FROM plans"), "0");
    for statement in [
        "CREATE TOKEN",
        "CREATE TOKEN LIFETIME 1 DAY SCOPES (sql)",
        "GRANT SELECT ON TABLE plans TO \"ivan@example.com\"",
        "ALTER TABLE plans OWNER TO \"ivan@example.com\"",
        "ALTER TABLE plans SET ROW FILTER (true)",
    ] {
        ivan.refused(statement, "42501");
    }
    let acting = shop.try_connect("token", &issuer.claiming(ADMIN, json!({"act": {"sub": "agent"}}))).expect("a good JWT");
    assert_eq!(acting.one("SELECT current_user"), ADMIN);
    for statement in ["CREATE USER eve", "SELECT count(*) FROM employees", "CREATE TOKEN FOR \"hana@example.com\""] {
        acting.refused(statement, "42501");
    }
    let own = shop.try_connect(ADMIN, &issuer.token(ADMIN)).expect("a good JWT");
    assert_ne!(own.one("SELECT count(*) FROM employees"), "0", "an administrator's own");
    own.refused("CREATE TOKEN FOR \"hana@example.com\"", "42501");
}

/// Names that mean something to pgusher or to PostgreSQL are not to be had from an issuer.
#[test]
fn no_issuer_makes_somebody_of_a_name_that_means_something() {
    let issuer = Issuer::start();
    let shop = Shop::configured(
        Mechanism::Rls,
        &issuer.settings("principal_claims = [\"sub\"]\ncreate_principals = true\ngroups_claim = \"groups\""),
    );
    let before = shop.truth().one("SELECT count(*) FROM pgusher.principal");
    for name in ["token", "admins", "users", "hr", "", " ", "a\u{7f}b", "emea_analysts"] {
        for user in [name, "token"] {
            let token = issuer.claiming("", json!({"sub": name, "groups": ["admins"]}));
            assert!(shop.try_connect(user, &token).is_err(), "{name:?} as {user:?}");
        }
    }
    assert_eq!(shop.truth().one("SELECT count(*) FROM pgusher.principal"), before);
    // Roles of the upstream are nobody here: such a principal has no rights of theirs.
    for name in ["postgres", "pgusher_owner", "pgusher_control"] {
        let client = shop
            .try_connect("token", &issuer.claiming("", json!({"sub": name, "groups": ["admins"]})))
            .expect("a name like any other");
        client.refused("SELECT count(*) FROM orders", "42501");
        client.refused("SELECT * FROM pgusher.token", "42501");
        client.refused("CREATE USER eve", "42501");
    }
}
