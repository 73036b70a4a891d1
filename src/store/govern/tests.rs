//! Commands against a handmade footing and a channel that keeps what is sent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Ground, Rows, Terms, operator, run};
use crate::catalog::{
    CatalogParts, CatalogSnapshot, Column, Footing, Function, FunctionKind, Relation, RelationKind, Schema, SearchPath,
};
use crate::error::{GovernError, Report};
use crate::governance::parse;
use crate::name::Name;
use crate::policy::{
    ColumnMask, Grant, Oid, PolicyParts, PolicySnapshot, PolicySource, Principal, PrincipalId, PrincipalKind, Privilege, RowFilter,
    Securable, Subject,
};
use crate::upstream::{BoxFuture, OwnerChannel, OwnerError};

const USERS: i64 = 1;
const ADMINS: i64 = 2;
const ROOT: i64 = 10;
const ANN: i64 = 11;
const BOB: i64 = 12;
const ANALYSTS: i64 = 20;
const EMEA: i64 = 21;

const SHOP: Oid = 100;
const ORDERS: Oid = 200;
const PART: Oid = 201;
const VIEW: Oid = 202;
const STAFF: Oid = 203;
const MAY_SEE: Oid = 300;
const NUMBER: Oid = 301;
const HIDE: Oid = 302;

/// Keeps what is executed; answers fetches in order, the last answer again and again.
#[derive(Default)]
struct Kept {
    executed: Vec<String>,
    fetched: Vec<String>,
    answers: VecDeque<Value>,
}

impl OwnerChannel for Kept {
    fn execute<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), OwnerError>> {
        self.executed.push(sql.to_owned());
        Box::pin(async { Ok(()) })
    }

    fn fetch<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Value, OwnerError>> {
        self.fetched.push(sql.to_owned());
        let answer = self.answers.pop_front().unwrap_or_else(|| json!([]));
        Box::pin(async { Ok(answer) })
    }
}

fn principal(id: i64, name: &str, kind: PrincipalKind) -> Principal {
    Principal { id: PrincipalId(id), name: Arc::from(name), kind, enabled: true }
}

fn grant(principal: i64, privilege: Privilege, securable: Securable) -> Grant {
    Grant { principal: PrincipalId(principal), privilege, securable }
}

fn parts() -> PolicyParts {
    use PrincipalKind::{Group, User};
    PolicyParts {
        principals: vec![
            principal(USERS, "users", Group),
            principal(ADMINS, "admins", Group),
            principal(ROOT, "root", User),
            principal(ANN, "ann", User),
            principal(BOB, "bob", User),
            principal(ANALYSTS, "analysts", Group),
            principal(EMEA, "emea", Group),
        ],
        memberships: vec![
            (PrincipalId(ADMINS), PrincipalId(ROOT)),
            (PrincipalId(ANALYSTS), PrincipalId(EMEA)),
            (PrincipalId(EMEA), PrincipalId(BOB)),
        ],
        grants: vec![
            grant(ANALYSTS, Privilege::Select, Securable::Schema(SHOP)),
            grant(ANN, Privilege::Manage, Securable::Relation(STAFF)),
            grant(ANN, Privilege::Execute, Securable::Function(MAY_SEE)),
            grant(BOB, Privilege::AllPrivileges, Securable::Relation(ORDERS)),
        ],
        owners: vec![(Securable::Relation(ORDERS), PrincipalId(ANN)), (Securable::Relation(VIEW), PrincipalId(ANN))],
        ..PolicyParts::default()
    }
}

fn relation(oid: Oid, name: &str, kind: RelationKind, columns: &[&str]) -> Relation {
    let column = |(at, name): (usize, &&str)| Column {
        number: i16::try_from(at + 1).unwrap(),
        name: Name::exact(name),
        type_oid: 25,
        type_sql: Arc::from("text"),
        type_modifier: -1,
        generated: false,
        computed_from: Vec::new(),
        identity: ' ',
        default: None,
    };
    Relation {
        oid,
        schema: SHOP,
        name: Name::exact(name),
        row_type: 0,
        kind,
        owner: Name::exact("shop_owner"),
        columns: columns.iter().enumerate().map(column).collect(),
        arbiters: Vec::new(),
        parents: Vec::new(),
        reads: Vec::new(),
        security_invoker: false,
        row_security: false,
        owned_by: None,
        server: None,
        temporary: false,
    }
}

fn function(oid: Oid, name: &str, arguments: &[&str], result: &str) -> Function {
    let count = i16::try_from(arguments.len()).unwrap();
    Function {
        oid,
        schema: SHOP,
        name: Name::exact(name),
        kind: FunctionKind::Function,
        min_args: count,
        max_args: count,
        arg_names: arguments.iter().map(|_| Arc::from("")).collect(),
        arg_types: arguments.iter().map(|t| Arc::from(*t)).collect(),
        security_definer: false,
        language: Name::exact("plpgsql"),
        volatile: true,
        result_type: Arc::from(result),
        returns_set: false,
    }
}

fn catalog() -> CatalogSnapshot {
    let schema = |oid, name: &str, system, ours| Schema { oid, name: Name::exact(name), system, ours };
    let part = Relation { parents: vec![ORDERS], ..relation(PART, "orders_1", RelationKind::Table, &["region"]) };
    let parts = CatalogParts {
        database: Arc::from("shopdb"),
        server_version: 150_000,
        schemas: vec![
            schema(SHOP, "public", false, false),
            schema(11, "pg_catalog", true, false),
            schema(101, "pgusher", false, true),
        ],
        relations: vec![
            relation(ORDERS, "orders", RelationKind::Table, &["id", "region", "note"]),
            part,
            relation(VIEW, "recent", RelationKind::View, &["id"]),
            relation(STAFF, "staff", RelationKind::Table, &["name", "ssn"]),
        ],
        functions: vec![
            function(MAY_SEE, "may_see", &["text"], "boolean"),
            function(NUMBER, "number", &["text"], "integer"),
            function(HIDE, "hide", &["text", "text"], "text"),
        ],
        ..CatalogParts::default()
    };
    CatalogSnapshot::new(1, parts)
}

/// Runs a statement as a principal (0 is the operator).
fn act_on(parts: PolicyParts, who: i64, text: &str, kept: &mut Kept) -> Result<Rows, GovernError> {
    let policies = PolicySnapshot::new(1, parts);
    let subject: Subject = if who == 0 { operator() } else { policies.subject(PrincipalId(who)).unwrap() };
    let footing = Footing::new(Arc::new(catalog()), Arc::new(policies), HashMap::new());
    let (search_path, terms) = (SearchPath::default(), Terms::default());
    let ground = Ground { subject, narrowed: false, footing, search_path: &search_path, terms: &terms, known: None };
    let command = parse(text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(run(&command, &ground, kept))
}

fn act(who: i64, text: &str) -> Result<Rows, GovernError> {
    act_on(parts(), who, text, &mut Kept::default())
}

fn sent(who: i64, text: &str) -> Vec<String> {
    let mut kept = Kept::default();
    act_on(parts(), who, text, &mut kept).unwrap_or_else(|error| panic!("{text}: {error}"));
    kept.executed
}

fn refusal(who: i64, text: &str) -> (String, String) {
    let report = Report::from(&act(who, text).expect_err(text));
    (report.code.code().to_owned(), report.message)
}

#[track_caller]
fn assert_refused(who: i64, text: &str, code: &str, message: &str) {
    assert_eq!(refusal(who, text), (code.to_owned(), message.to_owned()), "{text}");
}

fn plain(rows: Rows) -> Vec<String> {
    rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|")).collect()
}

#[test]
fn only_administrators_manage_principals() {
    for text in [
        "CREATE USER x",
        "CREATE SERVICE PRINCIPAL x",
        "CREATE GROUP x",
        "DROP USER bob",
        "ALTER USER bob DISABLE",
        "ALTER GROUP analysts ADD USER ann",
        "SHOW USERS",
        "SHOW GROUPS WITH USER bob",
        "CREATE TOKEN FOR bob",
        "SHOW TOKENS FOR bob",
        "SHOW TOKENS FOR ALL",
        "SHOW GRANTS bob",
    ] {
        let (code, message) = refusal(ANN, text);
        assert_eq!(code, "42501", "{text}");
        assert!(message.starts_with("permission denied to "), "{message}");
    }
}

#[test]
fn an_owner_a_manage_holder_and_an_administrator_grant_and_others_do_not() {
    let to_orders = "GRANT SELECT, MODIFY ON TABLE orders TO bob, analysts";
    for who in [ANN, ROOT, 0] {
        let [sql] = <[String; 1]>::try_from(sent(who, to_orders)).unwrap();
        assert!(sql.contains("('relation', 200, 'SELECT', 12,") && sql.contains("('relation', 200, 'MODIFY', 20,"), "{sql}");
        assert!(sql.ends_with("ON CONFLICT DO NOTHING"), "{sql}");
    }
    sent(ANN, "GRANT SELECT ON staff TO bob");
    assert_refused(BOB, to_orders, "42501", "must be owner of table orders");
    assert_refused(ANN, "GRANT SELECT ON SCHEMA public TO bob", "42501", "must be owner of schema public");
    let report = Report::from(&act(BOB, to_orders).unwrap_err());
    assert_eq!(report.detail.as_deref(), Some("Neither ownership of table orders nor MANAGE on it is held."));
    assert_eq!(report.hint.as_deref(), Some("Ask \"ann\", who owns it, or an administrator."));
}

#[test]
fn a_grant_names_what_does_not_exist_or_makes_no_sense() {
    for (text, code, message) in [
        ("GRANT SELECT ON orders TO nobody", "42704", "principal \"nobody\" does not exist"),
        ("GRANT SELECT ON nothing TO bob", "42P01", "relation \"nothing\" does not exist"),
        ("GRANT SELECT ON nowhere.orders TO bob", "3F000", "schema \"nowhere\" does not exist"),
        (
            "GRANT SELECT ON other.public.orders TO bob",
            "0A000",
            "cross-database references are not implemented: \"other.public.orders\"",
        ),
        ("GRANT EXECUTE ON orders TO bob", "0LP01", "invalid privilege type EXECUTE for table"),
        ("GRANT CREATE ON FUNCTION may_see TO bob", "0LP01", "invalid privilege type CREATE for function"),
        ("GRANT SELECT ON VIEW orders TO bob", "42809", "\"orders\" is not a view"),
        ("GRANT SELECT ON pgusher.token TO bob", "42501", "permission denied: \"pgusher\" is a system catalog"),
        ("GRANT EXECUTE ON FUNCTION may_see(int) TO bob", "42883", "function may_see(int) does not exist"),
        ("GRANT USE CONNECTION ON CONNECTION c TO bob", "42704", "server \"c\" does not exist"),
    ] {
        assert_refused(ROOT, text, code, message);
    }
    sent(ROOT, "GRANT SELECT ON shopdb.public.orders TO bob");
}

#[test]
fn a_revoke_is_exact_and_never_reaches_ownership() {
    let [sql] = <[String; 1]>::try_from(sent(ROOT, "REVOKE SELECT ON orders FROM bob")).unwrap();
    assert_eq!(
        sql,
        "DELETE FROM pgusher.grants WHERE kind = 'relation' AND object = 200 AND privilege IN ('SELECT') AND principal IN (12)"
    );
    let [all] = <[String; 1]>::try_from(sent(ROOT, "REVOKE ALL ON orders FROM bob")).unwrap();
    assert!(all.contains("'SELECT'") && all.contains("'ALL PRIVILEGES'") && !all.contains("'MANAGE'"), "{all}");
    assert_refused(ROOT, "REVOKE SELECT ON orders FROM ann", "42501", "cannot revoke the rights of \"ann\" on table orders");
}

#[test]
fn a_view_goes_to_just_anybody_only_by_an_administrator() {
    assert_refused(ANN, "ALTER VIEW recent OWNER TO bob", "42501", "permission denied to give view recent to \"bob\"");
    for (who, text) in [
        (ANN, "ALTER VIEW recent OWNER TO users"),
        (ANN, "ALTER TABLE orders OWNER TO bob"),
        (ROOT, "ALTER VIEW recent OWNER TO bob"),
    ] {
        // Bringing upstream in line, which follows, needs an upstream.
        let mut kept = Kept::default();
        let _ = act_on(parts(), who, text, &mut kept);
        assert!(kept.executed[0].starts_with("INSERT INTO pgusher.owner"), "{text}");
    }
}

#[test]
fn groups_nest_without_cycles_and_users_is_not_made_by_hand() {
    for (text, code, message) in [
        ("ALTER GROUP emea ADD GROUP analysts", "0LP01", "group \"analysts\" already contains group \"emea\""),
        ("ALTER GROUP emea ADD GROUP emea", "0LP01", "group \"emea\" already contains group \"emea\""),
        ("ALTER GROUP users ADD USER ann", "55000", "group \"users\" holds everybody, always"),
        ("ALTER GROUP admins ADD GROUP users", "55000", "group \"users\" cannot be made administrators"),
        ("DROP GROUP users", "55000", "group \"users\" cannot be dropped"),
        ("DROP GROUP admins", "55000", "group \"admins\" cannot be dropped"),
        ("DROP USER emea", "42809", "\"emea\" is not a user"),
        ("ALTER GROUP emea ADD GROUP bob", "42809", "\"bob\" is not a group"),
        ("ALTER GROUP emea ADD USER carl", "42704", "user \"carl\" does not exist"),
        ("CREATE USER emea", "42710", "principal \"emea\" already exists"),
        ("CREATE GROUP IF NOT EXISTS ann", "42710", "principal \"ann\" already exists"),
        ("CREATE USER token", "42939", "principal name \"token\" is reserved"),
    ] {
        assert_refused(ROOT, text, code, message);
    }
    assert!(sent(ROOT, "CREATE GROUP IF NOT EXISTS emea").is_empty());
    assert!(sent(ROOT, "DROP USER IF EXISTS carl").is_empty());
}

#[test]
fn who_owns_something_is_not_dropped() {
    assert_refused(ROOT, "DROP USER ann", "2BP01", "user \"ann\" cannot be dropped because some objects depend on it");
    let report = Report::from(&act(ROOT, "DROP USER ann").unwrap_err());
    assert_eq!(report.detail.as_deref(), Some("owner of table public.orders\nowner of view public.recent"));
}

#[test]
fn the_last_administrator_stays() {
    let without_root = |enabled: bool| {
        let groups = json!(["group", true, [format!("{USERS} users"), format!("{ADMINS} admins")]]);
        let principals = json!([groups, ["user", enabled, [format!("{ROOT} root")]]]);
        let rules = json!({"filters": [], "masks": [], "mechanisms": [], "trusted": [], "broken": [], "swayed": []});
        json!([{"version": 2, "principals": principals, "memberships": [[ADMINS, ROOT.to_string()]], "grants": [], "owners": [],
                "rules": rules}])
    };
    let mut kept = Kept { answers: VecDeque::from([without_root(false)]), ..Kept::default() };
    let error = act_on(parts(), ROOT, "ALTER USER root DISABLE", &mut kept).unwrap_err();
    assert!(matches!(error, GovernError::LastAdmin), "{error}");
    let mut kept = Kept { answers: VecDeque::from([without_root(true)]), ..Kept::default() };
    act_on(parts(), ROOT, "ALTER USER bob DISABLE", &mut kept).unwrap();
}

#[test]
fn a_token_is_shown_once_and_only_its_hash_is_sent() {
    let mut kept = Kept::default();
    let rows = act_on(parts(), ANN, "CREATE TOKEN COMMENT 'it''s' LIFETIME '2 days'", &mut kept).unwrap();
    let token = rows[0][1].clone().unwrap();
    assert!(token.starts_with("pgu_"));
    let sql = &kept.executed[0];
    assert!(!sql.contains(&token[4..]) && sql.contains("'it''s'") && sql.contains("interval '172800 seconds'"), "{sql}");
    assert!(sql.contains(&hex::encode(crate::authn::hash(token.as_bytes()))), "{sql}");
    assert_refused(ANN, "CREATE TOKEN LIFETIME '3 years'", "22023", "token lifetime is too long");
    assert_refused(ANN, "CREATE TOKEN SCOPES (data)", "0A000", "token scope \"data\" is not supported");
    assert_refused(ROOT, "CREATE TOKEN FOR emea", "42809", "\"emea\" is not a user");
    assert_refused(0, "CREATE TOKEN", "22023", "the operator has no tokens");
}

#[test]
fn somebody_elses_token_is_as_unknown_as_a_missing_one() {
    assert_refused(ANN, "REVOKE TOKEN 'abc'", "42704", "token \"abc\" does not exist");
    for (who, own) in [(ANN, true), (ROOT, false)] {
        let mut kept = Kept::default();
        act_on(parts(), who, "REVOKE TOKEN 'abc'", &mut kept).unwrap_err();
        assert_eq!(kept.fetched[0].contains(&format!("WHERE t.id = 'abc' AND t.principal = {who} ")), own, "{}", kept.fetched[0]);
    }
}

#[test]
fn only_an_administrator_vouches_for_a_view() {
    for text in ["ALTER VIEW recent SET TRUSTED", "ALTER VIEW recent UNSET TRUSTED"] {
        assert_refused(ANN, text, "42501", "permission denied to decide which views are trusted");
    }
}

#[test]
fn a_filter_or_mask_lends_its_author_no_right() {
    let select_on_schema = PolicyParts { owners: vec![(Securable::Relation(STAFF), PrincipalId(BOB))], ..parts() };
    for (parts, who, text, message) in [
        (parts(), ANN, "ALTER TABLE staff SET ROW FILTER (number(name) = 1)", "permission denied for function public.number(text)"),
        (
            parts(),
            ANN,
            "ALTER TABLE staff ALTER ssn SET MASK (hide(ssn, 'x'))",
            "permission denied for function public.hide(text, text)",
        ),
        (
            parts(),
            ANN,
            "ALTER TABLE staff SET ROW FILTER (name IN (SELECT region FROM orders_1))",
            "permission denied for table orders_1",
        ),
        // SELECT on a schema is about its tables.
        (
            select_on_schema,
            BOB,
            "ALTER TABLE staff SET ROW FILTER may_see ON (name)",
            "permission denied for function public.may_see(text)",
        ),
    ] {
        let mut kept = Kept::default();
        let report = Report::from(&act_on(parts, who, text, &mut kept).expect_err(text));
        assert_eq!((report.code.code(), &*report.message), ("42501", message), "{text}");
        assert!(kept.executed.is_empty());
    }
}

#[test]
fn what_a_filter_reads_is_not_for_its_reader_to_choose() {
    let unfixed = |source: Value| Kept { answers: VecDeque::from([json!([{ "source": source }])]), ..Kept::default() };
    for source in [Value::Null, json!("SELECT EXISTS (SELECT 1 FROM allowed)")] {
        let error = act_on(parts(), ROOT, "ALTER TABLE staff SET ROW FILTER (may_see(name))", &mut unfixed(source)).unwrap_err();
        assert!(matches!(error, GovernError::UnsettledFunction { .. }), "{error}");
    }
}

#[test]
fn what_a_filter_reads_has_no_filter_itself() {
    let source = PolicySource::Expression("region IN (SELECT region FROM orders)".into());
    let reading = RowFilter {
        relation: STAFF,
        expression: "true".into(),
        source: PolicySource::Expression("name IN (SELECT region FROM orders)".into()),
    };
    for (filters, text) in [
        (vec![reading.clone()], "ALTER TABLE orders SET ROW FILTER (true)"),
        (vec![reading], "ALTER TABLE orders ALTER note SET MASK ('x')"),
        (vec![RowFilter { relation: ORDERS, expression: "true".into(), source }], "ALTER TABLE staff SET ROW FILTER (true)"),
    ] {
        // The filter is an administrator's.
        let mut kept = Kept { answers: VecDeque::from([json!([{"free": true}])]), ..Kept::default() };
        let done = act_on(PolicyParts { filters, ..parts() }, ROOT, text, &mut kept);
        let refused = matches!(done, Err(GovernError::ReadByPolicy { .. }));
        assert_eq!(refused, text.contains("orders"), "{text}: {done:?}");
    }
}

#[test]
fn a_narrowed_session_makes_no_wider_token() {
    let policies = PolicySnapshot::new(1, parts());
    let subject = Subject { admin: false, ..policies.subject(PrincipalId(ROOT)).unwrap() };
    let footing = Footing::new(Arc::new(catalog()), Arc::new(policies), HashMap::new());
    let (search_path, terms) = (SearchPath::default(), Terms::default());
    let ground = Ground { subject, narrowed: true, footing, search_path: &search_path, terms: &terms, known: None };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (text, good) in [("CREATE TOKEN", false), ("CREATE TOKEN SCOPES (sql, admin)", false), ("CREATE TOKEN SCOPES (sql)", true)]
    {
        let done = runtime.block_on(run(&parse(text).unwrap(), &ground, &mut Kept::default()));
        assert_eq!(done.is_ok(), good, "{text}");
    }
}

#[test]
fn filters_and_masks_are_checked_before_they_are_set() {
    for (who, text, code, message) in [
        (BOB, "ALTER TABLE orders SET ROW FILTER (true)", "42501", "must be owner of table orders"),
        (ANN, "ALTER TABLE recent SET ROW FILTER (true)", "0A000", "row filters on views are not supported"),
        (ROOT, "ALTER TABLE recent ALTER id SET MASK (1)", "0A000", "column masks on views are not supported"),
        (
            ROOT,
            "ALTER TABLE orders_1 SET ROW FILTER (true)",
            "0A000",
            "row filters on partitions and inheritance children are not supported",
        ),
        (ROOT, "ALTER TABLE orders SET ROW FILTER nothing ON ()", "42883", "function nothing does not exist"),
        (ROOT, "ALTER TABLE orders SET ROW FILTER may_see ON (a)", "42703", "column \"a\" of relation \"orders\" does not exist"),
        (
            ROOT,
            "ALTER TABLE orders SET ROW FILTER may_see ON (orders.region)",
            "0A000",
            "column \"orders.region\" has more than one part",
        ),
        (ROOT, "ALTER TABLE orders SET ROW FILTER hide ON (region, region)", "42701", "column \"region\" specified more than once"),
        (
            ROOT,
            "ALTER TABLE orders SET ROW FILTER may_see ON ()",
            "42883",
            "function public.may_see(text) takes 1 argument, but 0 would be given",
        ),
        (
            ROOT,
            "ALTER TABLE orders SET ROW FILTER number ON (region)",
            "42804",
            "row filter function public.number(text) must return type boolean, not type integer",
        ),
        (
            ANN,
            "ALTER TABLE orders SET ROW FILTER number ON (region)",
            "42501",
            "permission denied for function public.number(text)",
        ),
        (ROOT, "ALTER TABLE staff ALTER nothing SET MASK (1)", "42703", "column \"nothing\" of relation \"staff\" does not exist"),
        (ROOT, "ALTER TABLE staff ALTER ssn SET MASK hide USING COLUMNS (ssn)", "42701", "column \"ssn\" specified more than once"),
        (ROOT, "ALTER TABLE orders DROP ROW FILTER", "42704", "row filter for table \"orders\" does not exist"),
        (ROOT, "ALTER TABLE staff ALTER ssn DROP MASK", "42704", "mask of column \"ssn\" of table \"staff\" does not exist"),
    ] {
        assert_refused(who, text, code, message);
    }
}

#[test]
fn a_masked_columns_value_must_not_show_elsewhere() {
    let shown = |generated: Value| json!([{"relation": STAFF, "generated": generated}]);
    for (answer, expected) in [
        (shown(json!("digits")), "cannot mask column \"ssn\": generated column \"digits\" of table \"staff\" is computed from it"),
        (shown(Value::Null), "cannot mask column \"ssn\": it is in the partition key of table \"staff\""),
    ] {
        let mut kept = Kept { answers: VecDeque::from([answer]), ..Kept::default() };
        let error = act_on(parts(), ROOT, "ALTER TABLE staff ALTER ssn SET MASK ('x')", &mut kept).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(kept.executed.is_empty());
    }
}

#[test]
fn show_grants_lists_what_is_recorded_and_what_covers_it() {
    let all = plain(act(ANN, "SHOW GRANTS ON orders").unwrap());
    assert_eq!(all, ["analysts|SELECT|SCHEMA|public", "ann|OWN|TABLE|public.orders", "bob|ALL PRIVILEGES|TABLE|public.orders"]);
    let own = plain(act(BOB, "SHOW GRANTS ON orders").unwrap());
    assert_eq!(own, ["analysts|SELECT|SCHEMA|public", "bob|ALL PRIVILEGES|TABLE|public.orders"]);
    assert_eq!(plain(act(BOB, "SHOW GRANTS").unwrap()), own);
    assert_eq!(plain(act(ROOT, "SHOW GRANTS bob ON TABLE orders").unwrap()), ["bob|ALL PRIVILEGES|TABLE|public.orders"]);
    assert_refused(BOB, "SHOW GRANTS ann ON orders", "42501", "must be owner of table orders");
}

#[test]
fn effective_grants_say_from_where_and_through_whom() {
    let rows = plain(act(BOB, "SHOW EFFECTIVE GRANTS bob ON orders").unwrap());
    assert_eq!(
        rows,
        [
            "bob|MODIFY|TABLE|public.orders||",
            "bob|READ_METADATA|TABLE|public.orders||",
            "bob|SELECT|TABLE|public.orders||",
            "bob|SELECT|TABLE|public.orders|SCHEMA public|analysts",
        ]
    );
    let owner = plain(act(ANN, "SHOW EFFECTIVE GRANTS ann ON orders").unwrap());
    assert!(owner.contains(&"ann|MANAGE|TABLE|public.orders|ownership|".to_owned()), "{owner:?}");
    let access = plain(act(ROOT, "SHOW ACCESS ON orders").unwrap());
    assert!(
        access.contains(&"root|MODIFY||admins".to_owned()) && access.contains(&"bob|SELECT|SCHEMA public|analysts".to_owned()),
        "{access:?}"
    );
}

#[test]
fn filters_and_masks_are_shown_as_written_to_those_who_manage_the_table() {
    let call = |oid, name: &str, arguments: &[&str]| PolicySource::Function {
        oid,
        name: Arc::from(name),
        arguments: arguments.iter().map(|a| Arc::from(*a)).collect(),
    };
    let parts = PolicyParts {
        filters: vec![RowFilter {
            relation: ORDERS,
            expression: Arc::from("x"),
            source: call(MAY_SEE, "public.may_see", &["\"region\""]),
        }],
        masks: vec![ColumnMask {
            relation: STAFF,
            column: Name::exact("ssn"),
            expression: Arc::from("x"),
            source: call(HIDE, "public.hide", &["\"ssn\"", "'*'"]),
        }],
        broken: vec![(STAFF, Arc::from("the function public.hide is gone"))],
        ..parts()
    };
    let show = |who, text| act_on(parts.clone(), who, text, &mut Kept::default()).map(plain);
    assert_eq!(show(ANN, "SHOW ROW FILTERS").unwrap(), ["public|orders|public.may_see ON (\"region\")|rls|ok"]);
    assert_eq!(
        show(ANN, "SHOW MASKS ON staff").unwrap(),
        ["public|staff|ssn|public.hide USING COLUMNS ('*')|refused: the function public.hide is gone"]
    );
    assert!(show(BOB, "SHOW MASKS").unwrap().is_empty());
    assert!(show(BOB, "SHOW MASKS ON staff").is_err());
}

#[test]
fn everybody_sees_their_own_groups_and_administrators_see_members() {
    assert_eq!(plain(act(BOB, "SHOW GROUPS").unwrap()), ["analysts|", "emea|", "users|"]);
    assert_eq!(plain(act(ROOT, "SHOW GROUPS").unwrap()), ["admins|root", "analysts|emea", "emea|bob", "users|"]);
    assert_eq!(plain(act(ROOT, "SHOW GROUPS WITH USER bob").unwrap()), ["analysts|emea", "emea|bob", "users|"]);
    assert_eq!(plain(act(ROOT, "SHOW USERS").unwrap()), ["ann|true|", "bob|true|emea", "root|true|admins"]);
}
