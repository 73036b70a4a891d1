//! Text in, command or error out. The spelling of [`Command`]'s `Display` is the expectation; it parses to the same command.

use super::{Command, GovernanceError, parse};

#[test]
fn every_statement_of_the_dialect_is_understood() {
    let cases = [
        ("grant select on employees to ann", r#"GRANT SELECT ON TABLE "employees" TO "ann""#),
        (
            "GRANT SELECT, MODIFY ON TABLE shop.orders TO `Ann@Example.com`, \"b b\";",
            r#"GRANT SELECT, MODIFY ON TABLE "shop"."orders" TO "Ann@Example.com", "b b""#,
        ),
        ("GRANT ALL ON SCHEMA s TO users", r#"GRANT ALL PRIVILEGES ON SCHEMA "s" TO "users""#),
        (
            "GRANT ALL PRIVILEGES ON DATABASE d.s TO User-1@Ex-ample.com",
            r#"GRANT ALL PRIVILEGES ON SCHEMA "d"."s" TO "user-1@ex-ample.com""#,
        ),
        ("GRANT USE CONNECTION ON CONNECTION c TO a.b+c@d.e", r#"GRANT USE CONNECTION ON CONNECTION "c" TO "a.b+c@d.e""#),
        ("GRANT SELECT ON CATALOG TO g", r#"GRANT SELECT ON CATALOG TO "g""#),
        ("GRANT MANAGE ON CATALOG shop TO g", r#"GRANT MANAGE ON CATALOG "shop" TO "g""#),
        (
            "GRANT EXECUTE ON FUNCTION f(int, timestamp with time zone, numeric(10,2), text[]) TO g",
            r#"GRANT EXECUTE ON FUNCTION "f"(int, timestamp with time zone, numeric, text[]) TO "g""#,
        ),
        ("GRANT EXECUTE ON FUNCTION s.f TO g", r#"GRANT EXECUTE ON FUNCTION "s"."f" TO "g""#),
        ("GRANT MODIFY ON ANY FILE TO g", r#"GRANT MODIFY ON ANY FILE TO "g""#),
        ("GRANT SELECT ON ANONYMOUS FUNCTION TO g", r#"GRANT SELECT ON ANONYMOUS FUNCTION TO "g""#),
        ("GRANT ACT FOR USER ann, GROUP g TO bi, \"b b\"", r#"GRANT ACT FOR USER "ann", GROUP "g" TO "bi", "b b""#),
        ("revoke act for service principal s from bi", r#"REVOKE ACT FOR SERVICE PRINCIPAL "s" FROM "bi""#),
        ("SHOW ACTORS", "SHOW ACTORS"),
        ("SHOW ACTORS FOR ann", r#"SHOW ACTORS FOR "ann""#),
        ("SHOW SESSION;", "SHOW SESSION"),
        ("SHOW SESSIONS", "SHOW SESSIONS"),
        ("show pools", "SHOW POOLS"),
        ("SHOW STATS", "SHOW STATS"),
        ("SHOW AUDIT", "SHOW AUDIT"),
        ("show audit for ann", r#"SHOW AUDIT FOR "ann""#),
        ("REVOKE SELECT ON VIEW v FROM ann, bob", r#"REVOKE SELECT ON VIEW "v" FROM "ann", "bob""#),
        ("SHOW GRANTS", "SHOW GRANTS"),
        ("SHOW GRANT ann ON t", r#"SHOW GRANTS "ann" ON TABLE "t""#),
        ("SHOW GRANTS ON SCHEMA s", r#"SHOW GRANTS ON SCHEMA "s""#),
        ("SHOW EFFECTIVE GRANTS \"ann@x\" ON t", r#"SHOW EFFECTIVE GRANTS "ann@x" ON TABLE "t""#),
        ("SHOW ACCESS ON TABLE t", r#"SHOW ACCESS ON TABLE "t""#),
        ("MSCK REPAIR TABLE t PRIVILEGES", r#"MSCK TABLE "t""#),
        ("ALTER SCHEMA s OWNER TO g", r#"ALTER SCHEMA "s" OWNER TO "g""#),
        ("ALTER TABLE s.t OWNER TO g", r#"ALTER TABLE "s"."t" OWNER TO "g""#),
        ("ALTER VIEW v OWNER TO g", r#"ALTER VIEW "v" OWNER TO "g""#),
        ("ALTER FUNCTION f(int) OWNER TO g", r#"ALTER FUNCTION "f"(int) OWNER TO "g""#),
        ("CREATE USER IF NOT EXISTS ann@example.com", r#"CREATE USER IF NOT EXISTS "ann@example.com""#),
        ("CREATE SERVICE PRINCIPAL bi", r#"CREATE SERVICE PRINCIPAL "bi""#),
        (
            "CREATE GROUP g WITH USER u, v GROUP h, SERVICE PRINCIPAL s",
            r#"CREATE GROUP "g" WITH USER "u", USER "v", GROUP "h", SERVICE PRINCIPAL "s""#,
        ),
        ("DROP GROUP IF EXISTS g", r#"DROP GROUP IF EXISTS "g""#),
        ("DROP USER ann", r#"DROP USER "ann""#),
        ("ALTER USER ann DISABLE", r#"ALTER USER "ann" DISABLE"#),
        ("ALTER SERVICE PRINCIPAL bi ENABLE", r#"ALTER SERVICE PRINCIPAL "bi" ENABLE"#),
        (
            "ALTER SERVICE PRINCIPAL bi WITH ENCRYPTED PASSWORD GENERATE SCOPES (sql) LIFETIME 1 DAY",
            r#"ALTER SERVICE PRINCIPAL "bi" PASSWORD GENERATE LIFETIME 86400 SECONDS SCOPES (sql)"#,
        ),
        ("ALTER USER ann PASSWORD NULL", r#"ALTER USER "ann" PASSWORD NULL"#),
        ("ALTER GROUP g ADD USER a, b", r#"ALTER GROUP "g" ADD USER "a", USER "b""#),
        ("ALTER GROUP g DROP GROUP h", r#"ALTER GROUP "g" DROP GROUP "h""#),
        ("SHOW USERS", "SHOW USERS"),
        ("SHOW SERVICE PRINCIPALS", "SHOW SERVICE PRINCIPALS"),
        ("SHOW GROUPS WITH USER ann", r#"SHOW GROUPS WITH USER "ann""#),
        ("CREATE TOKEN", "CREATE TOKEN"),
        (
            "CREATE TOKEN LIFETIME '90 days' FOR ann COMMENT 'it''s' SCOPES (sql, 'sql:read', sql:write)",
            r#"CREATE TOKEN FOR "ann" COMMENT 'it''s' LIFETIME 7776000 SECONDS SCOPES (sql, sql:read, sql:write)"#,
        ),
        ("CREATE TOKEN LIFETIME 2 HOURS", "CREATE TOKEN LIFETIME 7200 SECONDS"),
        ("SHOW TOKENS FOR ann", r#"SHOW TOKENS FOR "ann""#),
        ("SHOW TOKENS FOR ALL", "SHOW TOKENS FOR ALL"),
        ("SHOW TOKENS FOR \"all\"", r#"SHOW TOKENS FOR "all""#),
        ("REVOKE TOKEN 12e4ab", "REVOKE TOKEN '12e4ab'"),
        ("REVOKE TOKEN 'ab12'", "REVOKE TOKEN 'ab12'"),
        (
            "ALTER TABLE t SET ROW FILTER f ON (a, \"B\", 'x''y', -1.5, TRUE, NULL, INTERVAL '1 day')",
            r#"ALTER TABLE "t" SET ROW FILTER "f" ON ("a", "B", 'x''y', -1.5, TRUE, NULL, INTERVAL '1 day')"#,
        ),
        ("ALTER TABLE t SET ROW FILTER s.f ON ()", r#"ALTER TABLE "t" SET ROW FILTER "s"."f" ON ()"#),
        (
            "ALTER TABLE t SET ROW FILTER ( owner = current_user() /* ) */ OR note = ')' )",
            r#"ALTER TABLE "t" SET ROW FILTER (owner = current_user() /* ) */ OR note = ')')"#,
        ),
        ("ALTER TABLE t DROP ROW FILTER", r#"ALTER TABLE "t" DROP ROW FILTER"#),
        ("ALTER TABLE t ALTER COLUMN c SET MASK f", r#"ALTER TABLE "t" ALTER COLUMN "c" SET MASK "f" USING COLUMNS ()"#),
        (
            "ALTER TABLE t ALTER c SET MASK f USING COLUMNS (a, 1)",
            r#"ALTER TABLE "t" ALTER COLUMN "c" SET MASK "f" USING COLUMNS ("a", 1)"#,
        ),
        (
            "ALTER TABLE t ALTER c SET MASK (left(c, 1) || '***')",
            r#"ALTER TABLE "t" ALTER COLUMN "c" SET MASK (left(c, 1) || '***')"#,
        ),
        ("ALTER TABLE t ALTER COLUMN c DROP MASK", r#"ALTER TABLE "t" ALTER COLUMN "c" DROP MASK"#),
        ("ALTER TABLE t SET FILTER MECHANISM view", r#"ALTER TABLE "t" SET FILTER MECHANISM VIEW"#),
        ("ALTER TABLE t SET FILTER MECHANISM DEFAULT", r#"ALTER TABLE "t" SET FILTER MECHANISM DEFAULT"#),
        ("SHOW ROW FILTERS ON TABLE s.t", r#"SHOW ROW FILTERS ON TABLE "s"."t""#),
        ("SHOW MASKS", "SHOW MASKS"),
        ("EXPLAIN ACCESS FOR ann SELECT 1 ; ", r#"EXPLAIN ACCESS FOR "ann" SELECT 1"#),
        ("/* a /* nested */ comment */ SHOW -- here\n USERS", "SHOW USERS"),
    ];
    for (text, expected) in cases {
        let command = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(command.redacted(), expected, "{text}");
        assert_eq!(parse(expected).as_ref(), Ok(&command), "{expected}");
    }
}

#[test]
fn a_mistake_is_named_with_its_place() {
    let cases: [(&str, &str, Option<usize>); 27] = [
        ("GRANT", "syntax error at end of input", Some(6)),
        ("GRANT SELECT", "syntax error at end of input", Some(13)),
        ("GRANT SELECT ON t", "syntax error at end of input", Some(18)),
        ("GRANT SELECT ON t TO", "syntax error at end of input", Some(21)),
        ("GRANT SELECT ON t TO a b", "syntax error at or near \"b\"", Some(24)),
        ("GRANT SELECT ON t TO 'a'", "syntax error at or near \"'a'\"", Some(22)),
        ("GRANT SELECT ON t TO a; GRANT", "syntax error at or near \"GRANT\"", Some(25)),
        ("GRANT SELECT ON a.b.c.d TO e", "syntax error at or near \"TO\"", Some(25)),
        ("GRANT ÄNDERN ON t TO a", "unrecognized privilege type \"Ändern\"", Some(7)),
        ("GRANT\n  INSERT ON t TO a", "unrecognized privilege type \"insert\"", Some(9)),
        ("GRANT a TO b", "granting one principal to another is not supported", Some(7)),
        ("GRANT SELECT (a) ON t TO b", "a privilege on single columns is not supported", Some(14)),
        ("GRANT SELECT ON t TO b WITH GRANT OPTION", "WITH GRANT OPTION is not supported", Some(24)),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA s TO b", "a grant on all objects at once is not supported", Some(17)),
        ("GRANT SELECT ON t TO \"\"", "zero-length delimited identifier", Some(22)),
        ("GRANT SELECT ON t TO \"a", "unterminated quoted identifier", None),
        ("SHOW /* GROUPS", "unterminated /* comment", None),
        ("CREATE TOKEN LIFETIME '3 parsecs'", "invalid lifetime: \"3 parsecs\"", Some(23)),
        ("CREATE TOKEN LIFETIME 0 days", "invalid lifetime: \"0 days\"", Some(23)),
        ("CREATE TOKEN LIFETIME 99999999999999999999 days", "invalid lifetime: \"99999999999999999999 days\"", Some(23)),
        ("CREATE TOKEN COMMENT 'a' COMMENT 'b'", "syntax error at or near \"COMMENT\"", Some(26)),
        ("CREATE USER a WITH PASSWORD 'x'", "an option of CREATE USER is not supported", Some(15)),
        ("ALTER TABLE t SET ROW FILTER ()", "syntax error at or near \")\"", Some(31)),
        ("ALTER TABLE t SET ROW FILTER (a", "syntax error at end of input", Some(32)),
        ("ALTER TABLE t SET ROW FILTER f ON (a + 1)", "syntax error at or near \"+\"", Some(38)),
        ("CREATE POLICY p ON TABLE t", "governance by policies is not supported", None),
        ("SET TAG ON TABLE t k", "governance by tags is not supported", None),
    ];
    for (text, expected, place) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!(error.to_string().as_str(), expected, "{text}");
        if place.is_some() {
            assert_eq!(position(&error), place, "{text}");
        }
    }
}

#[test]
fn nothing_that_is_typed_makes_the_parser_panic() {
    let seeds = [
        "GRANT SELECT, MODIFY ON TABLE \"a\".b TO `x@y.z`, u-1",
        "ALTER TABLE t ALTER COLUMN c SET MASK f USING COLUMNS (a, 'b', -1e5, INTERVAL '1')",
        "ALTER TABLE t SET ROW FILTER (a = $x$)$x$ AND E'\\'' = U&'\\0041' -- c\n)",
        "CREATE TOKEN FOR \"ä\" COMMENT 'é' LIFETIME '9 days' SCOPES (a, 'b:c')",
        "EXPLAIN ACCESS FOR x SELECT ')' ;",
    ];
    let noise = [
        "(", ")", "'", "\"", "`", "$", "$$", "/*", "*/", "--", "\n", "\r", "\0", "é", "😀", ";", ".", ",", "@", "U&'\\", "E'\\",
        "1e", "0x", "",
    ];
    for seed in seeds {
        let cuts: Vec<usize> = seed.char_indices().map(|(at, _)| at).collect();
        for at in cuts {
            for piece in noise {
                let (before, after) = seed.split_at(at);
                let _ = parse(&format!("{before}{piece}{after}"));
                let _ = parse(&format!("{before}{piece}"));
            }
        }
    }
    let _ = parse(&format!("ALTER TABLE t SET ROW FILTER {}", "(".repeat(200_000)));
    let _ = parse(&"GRANT ".repeat(100_000));
    let _ = parse(&format!("GRANT SELECT ON t TO {}", "a.é".repeat(200_000)));
}

#[test]
fn a_quoted_word_is_no_keyword() {
    assert!(parse("\"GRANT\" SELECT ON t TO a").is_err());
    let Ok(Command::Grant { to, .. }) = parse("GRANT SELECT ON t TO \"FROM\"") else { panic!("not a grant") };
    assert_eq!(to, ["FROM"]);
}

#[test]
fn a_dotted_column_is_kept_for_its_own_message() {
    let command = parse("ALTER TABLE t SET ROW FILTER f ON (t.a)").map(|c| c.redacted());
    assert_eq!(command.as_deref(), Ok("ALTER TABLE \"t\" SET ROW FILTER \"f\" ON (t.a)"));
}

fn position(error: &GovernanceError) -> Option<usize> {
    match error {
        GovernanceError::Syntax { position, .. }
        | GovernanceError::End { position }
        | GovernanceError::UnknownPrivilege { position, .. }
        | GovernanceError::InvalidValue { position, .. } => Some(*position),
        GovernanceError::Unterminated { position, .. } | GovernanceError::Unsupported { position, .. } => *position,
    }
}

#[test]
fn a_hundred_thousand_names_are_read_in_one_pass() {
    let names: Vec<String> = (0..100_000).map(|number| format!("a{number}")).collect();
    let started = std::time::Instant::now();
    let text = format!("GRANT SELECT ON TABLE t TO {0}, {0}", names.join(", "));
    let Ok(Command::Grant { to, .. }) = parse(&text) else { panic!("it is a GRANT") };
    assert_eq!(to, names);
    let text = format!("ALTER GROUP g ADD USER {}", names.join(", "));
    assert!(parse(&text).is_ok());
    let text = format!("CREATE TOKEN SCOPES ({})", names.join(", "));
    let _ = parse(&text);
    // Comparing each with each takes minutes.
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}
