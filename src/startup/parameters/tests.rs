use super::*;

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

fn admit(options: Option<&str>, settings: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ParameterError> {
    super::admit(options, settings).map(|admitted| admitted.settings)
}

fn one(name: &str, value: &str) -> Result<BTreeMap<String, String>, ParameterError> {
    admit(None, &settings(&[(name, value)]))
}

#[test]
fn what_drivers_send_is_admitted_in_postgresqls_spelling() {
    let sent = settings(&[
        ("client_encoding", "'utf-8'"),
        ("datestyle", "ISO"),
        ("TIMEZONE", "Europe/Berlin"),
        ("extra_float_digits", "2"),
        ("application_name", "DBeaver"),
        ("search_path", "public, \"My Schema\""),
    ]);
    let admitted = admit(None, &sent).unwrap();
    assert_eq!(
        admitted,
        settings(&[
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("TimeZone", "Europe/Berlin"),
            ("extra_float_digits", "2"),
            ("application_name", "DBeaver"),
            ("search_path", "public, \"My Schema\""),
        ])
    );
}

#[test]
fn only_utf8_is_an_encoding() {
    for encoding in ["UTF8", "utf-8", "UNICODE", "'UTF8'"] {
        assert!(one("client_encoding", encoding).is_ok(), "{encoding}");
    }
    for encoding in ["SQL_ASCII", "LATIN1", "SJIS", "GBK", "auto", ""] {
        assert_eq!(one("client_encoding", encoding), Err(ParameterError::ClientEncoding(Arc::from(encoding))));
    }
}

#[test]
fn protected_settings_are_refused_in_any_spelling_and_from_any_place() {
    for (name, value) in [
        ("role", "postgres"),
        ("ROLE", "none"),
        ("session_authorization", "postgres"),
        ("row_security", "off"),
        ("Row_Security", "on"),
        ("standard_conforming_strings", "off"),
        ("session_replication_role", "replica"),
        ("pgusher.slot", "x"),
        ("PgUsher.session", "1"),
    ] {
        assert_eq!(one(name, value), Err(ParameterError::Protected(Arc::from(name))));
        assert_eq!(admit(Some(&format!("-c {name}={value}")), &settings(&[])), Err(ParameterError::Protected(Arc::from(name))));
        assert_eq!(admit(Some(&format!("--{name}={value}")), &settings(&[])), Err(ParameterError::Protected(Arc::from(name))));
    }
    assert_eq!(one("standard_conforming_strings", "on"), Ok(settings(&[])));
}

#[test]
fn settings_that_are_not_on_the_list_are_unknown() {
    for name in ["shared_buffers", "my.thing", "search_path ", "", "role\u{212a}"] {
        assert_eq!(one(name, "1"), Err(ParameterError::Unknown(Arc::from(name))));
    }
}

#[test]
fn options_are_split_as_postgresql_splits_them() {
    let admitted =
        admit(Some(r"-c statement_timeout=5s  -clock_timeout=1s --search-path=a,b -c application_name=x\ y\\z"), &settings(&[]));
    assert_eq!(
        admitted.unwrap(),
        settings(&[("statement_timeout", "5s"), ("lock_timeout", "1s"), ("search_path", "a,b"), ("application_name", r"x y\z")])
    );
}

#[test]
fn a_setting_by_name_counts_more_than_one_in_options() {
    let admitted = admit(Some("-c DateStyle=German"), &settings(&[("datestyle", "ISO")])).unwrap();
    assert_eq!(admitted, settings(&[("DateStyle", "ISO")]));
}

#[test]
fn other_arguments_in_options_are_refused() {
    for options in ["-d5", "--", "-c", "-c x", "foo", "-S 64MB", "--search_path", "-O", "-"] {
        assert!(matches!(admit(Some(options), &settings(&[])), Err(ParameterError::Argument(_))), "{options}");
    }
}

#[test]
fn a_search_path_may_not_name_our_schemas() {
    for path in
        ["pgusher", "public, pgusher", "PGUSHER", "\"pgusher\"", "public,\"pgusher_public\"", "a , Pgusher_x", "\"pgusher\"\n"]
    {
        assert!(matches!(one("search_path", path), Err(ParameterError::Schema(_))), "{path}");
        assert!(matches!(
            admit(Some(&format!("-c search_path={}", path.replace(' ', "\\ ").replace('\n', "\\\n"))), &settings(&[])),
            Err(ParameterError::Schema(_))
        ));
    }
    for path in ["", "public", "\"$user\", public", "\"PGUSHER\"", "pgushers", "\"a,pgusher\"", "\"a\"\"b\""] {
        assert!(one("search_path", path).is_ok(), "{path}");
    }
}

#[test]
fn a_search_path_that_is_no_list_is_refused() {
    for path in [",", "a,", "a b", "\"a", "a,,b", "\"a\"b"] {
        assert!(matches!(one("search_path", path), Err(ParameterError::Value { .. })), "{path}");
    }
}

#[test]
fn whom_to_act_for_is_no_setting() {
    let given = |options: &str, sent: &[(&str, &str)]| {
        let admitted = super::admit(Some(options), &settings(sent)).map_err(|_| ()).unwrap();
        assert!(admitted.settings.is_empty());
        admitted.on_behalf_of
    };
    assert_eq!(given("-c pgusher.on_behalf_of=ana@example.com", &[]).as_deref(), Some("ana@example.com"));
    assert_eq!(given("--PGUSHER.on-behalf-of=ana", &[]).as_deref(), Some("ana"));
    assert_eq!(
        given("-c pgusher.on_behalf_of=ana", &[("pgusher.on_behalf_of", "bob")]).as_deref(),
        Some("bob"),
        "the packet's counts more"
    );
    assert_eq!(given("", &[]), None);
}
