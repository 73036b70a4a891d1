//! Tokens: the only credential; one text for every reason of refusal; revocation is live.

use std::time::Duration;

use crate::harness::{ADMIN, PATIENCE, Refusal, both_mechanisms, until, within};

/// Revoking must end open sessions within a second; the margin is the machine's.
const AT_ONCE: Duration = Duration::from_secs(5);

both_mechanisms! {
    fn every_reason_of_refusal_has_the_same_text(shop: fresh) {
        let admin = shop.admin();
        let user = "ana@example.com";
        let revoked = shop.make_token(user, "COMMENT 'to be revoked'");
        let shown = admin.rows(&format!("SHOW TOKENS FOR \"{user}\""));
        let row = shown.iter().find(|r| r.iter().any(|v| v == "to be revoked")).unwrap_or_else(|| panic!("{shown:?}"));
        shop.try_connect(user, &revoked).expect("good before it is revoked");
        admin.run(&format!("REVOKE TOKEN '{}'", row[0]));
        let expired = shop.make_token(user, "LIFETIME 1 SECOND");
        admin.run("CREATE USER \"gone@example.com\"");
        let gone = shop.make_token("gone@example.com", "");
        admin.run("ALTER USER \"gone@example.com\" DISABLE");
        until("the short token to expire", || shop.try_connect(user, &expired).err());
        let good = shop.token(user).to_string();
        let mut forged = good.clone();
        forged.pop();
        forged.push(if good.ends_with('A') { 'B' } else { 'A' });
        for (user, password) in [
            (user, "wrong"),
            (user, "pgu_"),
            (user, forged.as_str()),
            (user, revoked.as_str()),
            (user, expired.as_str()),
            ("gone@example.com", gone.as_str()),
            ("nobody@example.com", good.as_str()),
            ("bob@example.com", good.as_str()),
            ("postgres", "postgres"),
            ("pgusher_session", good.as_str()),
            ("emea_analysts", good.as_str()),
        ] {
            let refusal = shop.try_connect(user, password).err().unwrap_or_else(|| panic!("{user} was let in with {password}"));
            let expected = Refusal { severity: "FATAL".into(), code: "28P01".into(), message: format!("password authentication failed for user \"{user}\""), ..Refusal::default() };
            assert_eq!(refusal, expected);
        }
    }

    /// What a proxy knows of a token from its last login is not believed: nothing has told it that the token was revoked.
    fn a_token_that_was_good_a_moment_ago_is_asked_for_again(shop: fresh) {
        let user = "ana@example.com";
        let token = shop.make_token(user, "COMMENT 'of late'");
        for _ in 0..2 {
            assert_eq!(shop.try_connect(user, &token).expect("it is good").one("SELECT current_user"), user);
        }
        shop.truth().run("UPDATE pgusher.token SET revoked_at = now() WHERE comment = 'of late'");
        let refusal = shop.try_connect(user, &token).err().expect("it is good no more");
        let expected = Refusal { severity: "FATAL".into(), code: "28P01".into(), message: format!("password authentication failed for user \"{user}\""), ..Refusal::default() };
        assert_eq!(refusal, expected);
        let other = shop.make_token("bob@example.com", "");
        shop.try_connect("bob@example.com", &other).expect("it is good");
        shop.truth().run("UPDATE pgusher.principal SET enabled = false WHERE name = 'bob@example.com'");
        assert_eq!(shop.try_connect("bob@example.com", &other).err().expect("nobody's any more").code, "28P01");
    }

    fn an_empty_password_is_no_token(shop: shared) {
        let refusal = shop.try_connect("ana@example.com", "").err().expect("refused");
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "28P01"));
    }

    fn the_user_name_may_be_the_word_token(shop: shared) {
        let client = shop.try_connect("token", shop.token("ana@example.com")).expect("the token names the user");
        assert_eq!(client.one("SELECT current_user"), "ana@example.com");
    }

    fn another_database_is_unknown(shop: shared) {
        let refusal = crate::harness::Client::try_connect(shop.proxy.port, "postgres", "ana@example.com", shop.token("ana@example.com")).err().expect("refused");
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "3D000"));
    }

    fn a_token_s_text_is_kept_nowhere(shop: fresh) {
        let token = shop.make_token("ana@example.com", "COMMENT 'look for me'");
        let truth = shop.truth();
        assert_eq!(truth.one("SELECT count(*) FROM pgusher.token WHERE comment = 'look for me'"), "1");
        let everything = truth.one("SELECT string_agg(t::text, ' ') FROM pgusher.token t");
        assert!(!everything.contains(&token) && !everything.contains(&token[4..]));
        assert!(!shop.proxy.log().contains(&token[4..]), "nor in the log");
        assert!(shop.admin().rows("SHOW TOKENS FOR \"ana@example.com\"").iter().flatten().all(|v| !v.contains(&token)), "shown once only");
    }

    fn revoking_a_token_ends_its_sessions_and_no_others(shop: fresh) {
        let admin = shop.admin();
        let token = shop.make_token("ana@example.com", "COMMENT 'second'");
        let (first, second) = (shop.ana(), shop.try_connect("ana@example.com", &token).expect("a good token"));
        let rows = admin.rows("SHOW TOKENS FOR \"ana@example.com\"");
        let id = rows.iter().find(|r| r.iter().any(|v| v == "second")).expect("listed")[0].clone();
        admin.run(&format!("REVOKE TOKEN '{id}'"));
        within(AT_ONCE, "the session to end", || second.try_rows("SELECT 1").err());
        until("the connection to close", || second.closed().then_some(()));
        assert_eq!(first.one("SELECT current_user"), "ana@example.com");
    }

    fn a_statement_in_flight_of_a_revoked_token_ends(shop: fresh) {
        let admin = shop.admin();
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[crate::harness::frame::query("SELECT pg_sleep(60)")]);
        until("the statement to run", || (shop.truth().one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()") != "0").then_some(()));
        for row in admin.rows("SHOW TOKENS FOR \"ana@example.com\"") {
            admin.run(&format!("REVOKE TOKEN '{}'", row[0]));
        }
        let mut last = None;
        while let Some(frame) = raw.next() {
            last = Some(frame);
        }
        let refusal = last.expect("a farewell").refusal();
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "28000"), "{refusal}");
        until("the statement to be gone upstream", || (shop.truth().one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()") == "0").then_some(()));
    }

    fn disabling_a_principal_ends_its_sessions(shop: fresh) {
        let (admin, ana, bob) = (shop.admin(), shop.ana(), shop.bob());
        admin.run("ALTER USER \"ana@example.com\" DISABLE");
        within(AT_ONCE, "the session to end", || ana.try_rows("SELECT 1").err());
        assert_eq!(bob.one("SELECT 1"), "1");
        assert_eq!(shop.try_connect("ana@example.com", shop.token("ana@example.com")).err().expect("disabled").code, "28P01");
        admin.run("ALTER USER \"ana@example.com\" ENABLE");
        assert_eq!(shop.ana().one("SELECT 1"), "1");
    }

    fn an_expired_token_ends_its_session(shop: fresh) {
        // On a machine that is slower than the token is short, a longer one.
        let login = |seconds: u32| shop.try_connect("ana@example.com", &shop.make_token("ana@example.com", &format!("LIFETIME {seconds} SECONDS"))).ok();
        let ana = [2, 8, 32].into_iter().find_map(login).expect("a login in time");
        let refusal = within(AT_ONCE + Duration::from_secs(32), "the session to end", || ana.try_rows("SELECT count(*) FROM orders").err());
        assert!(["28000", ""].contains(&refusal.code.as_str()), "{refusal}");
    }

    /// Whoever logs in while a revocation is not yet committed is no session that it leaves out.
    fn a_login_beside_an_open_revocation_does_not_outlive_it(shop: fresh) {
        let (admin, ana) = (shop.admin(), "ana@example.com");
        let token = shop.make_token(ana, "COMMENT 'beside'");
        let id = admin.rows(&format!("SHOW TOKENS FOR \"{ana}\"")).into_iter().find(|r| r[2] == "beside").expect("listed")[0].clone();
        admin.run("BEGIN");
        admin.run(&format!("REVOKE TOKEN '{id}'"));
        let beside: Vec<_> = (0..3).filter_map(|_| shop.try_connect(ana, &token).ok()).collect();
        // Nobody waits for the administrator's transaction but who comes with that token.
        assert_eq!(shop.try_connect("bob@example.com", shop.token("bob@example.com")).expect("another's login").one("SELECT 1"), "1");
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
        until("nobody to wait", || (shop.truth().one(waiting) == "0").then_some(()));
        admin.run("COMMIT");
        for client in beside {
            within(AT_ONCE, "the session to end", || client.try_rows("SELECT 1").err());
        }
        assert_eq!(shop.try_connect(ana, &token).err().expect("revoked").code, "28P01");
    }

    fn a_login_beside_an_open_change_of_groups_follows_it(shop: fresh) {
        let admin = shop.admin();
        admin.run("BEGIN");
        admin.run("ALTER GROUP emea_analysts DROP USER \"ana@example.com\"");
        let ana = shop.ana();
        assert_eq!(ana.one("SELECT is_member('emea_analysts')"), "t");
        admin.run("COMMIT");
        until("the session to leave the group", || (ana.try_rows("SELECT is_member('emea_analysts')").ok()? == [["f"]]).then_some(()));
    }

    fn a_user_makes_and_revokes_tokens_of_their_own_only(shop: fresh) {
        let ana = shop.ana();
        let rows = ana.rows("CREATE TOKEN COMMENT 'mine'");
        let token = rows[0].iter().find(|v| v.starts_with("pgu_")).expect("shown once");
        assert_eq!(shop.try_connect("ana@example.com", token).expect("good").one("SELECT current_user"), "ana@example.com");
        assert!(ana.rows("SHOW TOKENS").iter().any(|r| r.contains(&"mine".to_string())));
        ana.refused("SHOW TOKENS FOR \"bob@example.com\"", "42501");
        let bobs = shop.admin().rows("SHOW TOKENS FOR \"bob@example.com\"")[0][0].clone();
        let refusal = ana.try_rows(&format!("REVOKE TOKEN '{bobs}'")).expect_err("not hers");
        assert!(["42501", "42704"].contains(&refusal.code.as_str()), "{refusal}");
        shop.bob().one("SELECT 1");
    }

    fn last_use_is_remembered(shop: fresh) {
        shop.ana().one("SELECT 1");
        let admin = shop.admin();
        // It is written with the others, after a while.
        within(3 * PATIENCE, "the last use to be written", || {
            let headings = admin.headings("SHOW TOKENS FOR \"ana@example.com\"");
            let at = headings.iter().position(|h| h == "last_used_at").expect("a column");
            (admin.rows("SHOW TOKENS FOR \"ana@example.com\"")[0][at] != crate::harness::NULL).then_some(())
        });
        assert!(shop.try_connect(ADMIN, shop.token(ADMIN)).is_ok());
    }
}
