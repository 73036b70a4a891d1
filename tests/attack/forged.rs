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
        // A change of policies brings nothing back.
        shop.admin().run("GRANT SELECT ON TABLE orders TO interns");
        narrowed.refused("SELECT ssn FROM employees", "42501");
        let whole = shop.make_token(ADMIN, "SCOPES (sql, admin)");
        assert_ne!(shop.try_connect(ADMIN, &whole).expect("with admin rights").one("SELECT count(*) FROM employees"), "0");
    }
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
