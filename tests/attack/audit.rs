//! The audit trail is read by many: no secret is ever in it.

use serde_json::json;

use crate::harness::frame::{bind, execute, parse, sync};
use crate::harness::{Audited, Issuer, Mechanism};

#[test]
fn no_secret_gets_into_the_trail_or_the_log() {
    let issuer = Issuer::start();
    for mechanism in [Mechanism::Rls, Mechanism::View] {
        let audited = Audited::shop(mechanism, &format!("parameters = true\n{}", issuer.settings("")));
        let shop = &audited.shop;
        let mut secrets: Vec<String> = vec!["hunter2".into()];
        // Tokens and JWTs as passwords: good ones, and ones that are refused.
        secrets.push(shop.token("ana@example.com").to_owned());
        secrets.push(shop.make_token("ana@example.com", "COMMENT 'one more'"));
        secrets.push(issuer.token("ana@example.com"));
        secrets.push(issuer.claiming("ana@example.com", json!({"exp": 1})));
        secrets.push("pgu_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".to_owned());
        for secret in &secrets {
            let _ = shop.try_connect("ana@example.com", secret);
            if secret.len() > 10 {
                let _ = shop.try_connect(secret, "x");
            }
        }
        let admin = shop.admin();
        for client in [&admin, &shop.ana()] {
            for statement in [
                "ALTER ROLE ana PASSWORD 'hunter2'",
                "CREATE ROLE x LOGIN ENCRYPTED PASSWORD 'hunter2'",
                "ALTER ROLE ana PASSWORD 'hunter2",
                "CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'x', password 'hunter2')",
                "CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2' PUBLICATION p",
                "SELECT dblink_connect('host=h password=hunter2')",
                "DO $$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''hunter2'''; END $$",
                "SELECT 'hunter2'::int AS password",
                "SET password TO hunter2",
                "ALTER ROLE ana PASSWORD hunter2",
            ] {
                let _ = client.try_rows(statement);
            }
        }
        for secret in &secrets[1..] {
            let _ = admin.try_rows(&format!("SELECT '{secret}'"));
            let _ = admin.try_rows(&format!("SELECT '{secret}'::int"));
            let _ = admin.try_rows(&format!("REVOKE TOKEN '{secret}'"));
            let _ = admin.try_rows(&format!("SELECT x FROM \"{secret}\""));
            let mut raw = shop.raw("ana@example.com");
            raw.send(&[parse("", "SELECT $1::text"), bind("", "", &[Some(secret)], 0), execute("", 0), sync()]);
            raw.until_ready();
        }
        drop(admin);
        let everything = std::fs::read_to_string(&audited.file).expect("a readable file") + &shop.proxy.log();
        assert!(audited.records().len() > 50, "there is something to look through");
        for secret in &secrets {
            // Neither whole nor by its better half.
            let half = &secret[secret.len() / 2..];
            assert!(!everything.contains(half), "{:?}", everything.lines().find(|line| line.contains(half)));
        }
    }
}

/// A masked value that an error quotes is in no record: who reads records may be under the mask, too.
#[test]
fn no_masked_value_gets_into_the_trail() {
    for mechanism in [Mechanism::Rls, Mechanism::View] {
        let audited = Audited::shop(mechanism, "");
        let shop = &audited.shop;
        let secret = shop.truth().one("SELECT ssn FROM employees WHERE id = 7");
        for client in [shop.ana(), shop.hana(), shop.admin()] {
            let _ = client.try_rows("SELECT ssn::int FROM employees WHERE id = 7");
            let _ = client.try_rows("UPDATE employees SET id = 8 WHERE id = 7 RETURNING ssn");
        }
        let text = std::fs::read_to_string(&audited.file).expect("a readable file");
        assert!(audited.all("ssn::int").len() == 3 && !text.contains(&secret), "{text}");
    }
}
