//! The store's watch: what is committed is published, what is changed upstream behind our back is mended, what cannot be confirmed is
//! not served.

use std::sync::Arc;
use std::time::Duration;

use pgusher::authn::{Directory, hash};
use pgusher::catalog::Governed;
use pgusher::event::{Events, SessionId};
use pgusher::policy::{Mechanism, Oid, PrincipalId, Securable};
use pgusher::session::Governor;
use pgusher::store::channel::Control;
use pgusher::store::govern::Terms;
use pgusher::store::{Store, StoreError, StoreSettings};
use pgusher::upstream::{Ending, Registry};

use crate::attack::locks::{POLICIES, TABLES};
use crate::harness::{Bench, Halted, PATIENCE, account, until, within};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn start(bench: &Bench, max_age: Duration) -> (Arc<Store>, Arc<Registry>) {
    let registry = Registry::new(bench.target.clone());
    let settings = StoreSettings {
        upstream: bench.target.clone(),
        control: account("pgusher_control"),
        terms: Terms { enforcement: bench.settings.clone(), ..Terms::default() },
        poll_interval: Duration::from_millis(100),
        max_age,
    };
    (Store::start(settings, registry.clone(), Events::none()).await.unwrap(), registry)
}

fn oid(bench: &Bench, name: &str) -> Oid {
    bench.superuser().one(&format!("SELECT '{name}'::regclass::oid")).parse().unwrap()
}

#[test]
fn what_upstream_changes_behind_our_back_is_mended_and_published() {
    let runtime = runtime();
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (store, _) = runtime.block_on(start(&bench, PATIENCE));
    let root = bench.superuser();
    let (emp, orders) = (oid(&bench, "emp"), oid(&bench, "orders_low"));
    let first = store.footing().unwrap();
    assert!(matches!(first.governed(emp), Some(Governed::Table(t)) if t.filtered && t.masked.len() == 3 && t.twin()));
    assert!(matches!(first.governed(orders), Some(Governed::Table(t)) if t.filtered && t.read == t.write));
    root.run("ALTER TABLE orders DISABLE ROW LEVEL SECURITY; DROP POLICY pgusher_filter ON orders_low; GRANT ALL ON emp TO pgusher_session");
    root.run("CREATE TABLE fresh (id int); ALTER TABLE fresh OWNER TO app; INSERT INTO fresh VALUES (1)");
    until("the policies to be back", || {
        let back = root.one("SELECT count(*) FROM pg_policy WHERE polname = 'pgusher_filter' AND polrelid IN ('orders'::regclass, 'orders_low'::regclass)");
        let on = root.one("SELECT relrowsecurity FROM pg_class WHERE oid = 'orders'::regclass");
        (back == "2" && on == "t").then_some(())
    });
    until("the new table to be usable", || bench.session("ana").try_rows("SELECT * FROM public.fresh").ok());
    until("the raw columns to be out of reach", || bench.session("ana").try_rows("SELECT ssn FROM public.emp").err());
    until("the new footing", || {
        let footing = store.footing().unwrap();
        (footing.versions().0 > first.versions().0 && footing.catalog.relations().any(|r| r.name.as_str() == "fresh")).then_some(())
    });
}

/// Found where a machine was so busy that every repair took seconds.
#[test]
fn a_repair_that_waits_for_a_lock_does_not_delay_what_moves_next() {
    let runtime = runtime();
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (store, _) = runtime.block_on(start(&bench, PATIENCE));
    let (root, reader) = (bench.superuser(), bench.superuser());
    let orders = oid(&bench, "orders");
    reader.run("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE");
    // As ALTER TABLE … DISABLE ROW LEVEL SECURITY would, which had to wait.
    root.run("SET allow_system_table_mods = on; UPDATE pg_class SET relrowsecurity = false WHERE oid = 'orders'::regclass");
    until("the table to be refused", || {
        matches!(store.footing().unwrap().governed(orders), Some(Governed::Refused(_))).then_some(())
    });
    root.run("CREATE TABLE fresh (id int)");
    within(PATIENCE / 2, "the new table", || {
        store.footing().unwrap().catalog.relations().any(|r| r.name.as_str() == "fresh").then_some(())
    });
    reader.run("ROLLBACK");
}

/// The catalog is loaded again when this moves, which takes long: not each time that somebody writes a row.
#[test]
fn the_catalogs_fingerprint_moves_with_every_change_of_the_catalog_and_with_nothing_else() {
    let bench = Bench::new(Mechanism::Rls, "CREATE TABLE t (id int, v text); CREATE DOMAIN d AS text", "SELECT 1");
    let root = bench.superuser();
    root.run("CREATE FUNCTION f(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'");
    let fingerprint = || root.one(&format!("SELECT {}", &*pgusher::store::load::FINGERPRINT));
    let mut before = fingerprint();
    for quiet in [
        "INSERT INTO t VALUES (1, 'x')",
        "SELECT txid_current()",
        "CREATE TEMP TABLE passing (id int PRIMARY KEY)",
        "DROP TABLE passing",
    ] {
        root.run(quiet);
        assert_eq!(fingerprint(), before, "{quiet}");
    }
    for change in [
        "ALTER DOMAIN d ADD CONSTRAINT c CHECK (f(value))",
        "ALTER DOMAIN d DROP CONSTRAINT c",
        "CREATE STATISTICS s ON upper(v), id FROM t",
        "ALTER TABLE t ALTER COLUMN v SET DEFAULT upper('x')",
        "ALTER TABLE t ALTER COLUMN v SET DEFAULT lower('x')",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (f(v))",
        "CREATE INDEX i ON t (upper(v))",
        "CREATE VIEW w AS SELECT id FROM t",
        "CREATE OR REPLACE VIEW w AS SELECT id + 1 AS id FROM t",
        "ALTER FUNCTION f(text) SET search_path = public, pg_temp",
        "ALTER ROLE pgusher_session IN DATABASE postgres SET application_name = 'x'",
        "ALTER ROLE pgusher_session IN DATABASE postgres RESET application_name",
        "BEGIN; DROP TABLE t CASCADE",
        "ROLLBACK; DROP DOMAIN d",
    ] {
        root.run(change);
        let now = fingerprint();
        assert_ne!(now, before, "{change}");
        before = now;
    }
}

#[test]
fn a_table_dropped_and_made_anew_outside_is_refused() {
    let runtime = runtime();
    let bench = Bench::new(
        Mechanism::Rls,
        "CREATE TABLE t (id int, secret text)",
        "INSERT INTO pgusher.mask (relation, \"column\", expression, source) VALUES ('public.t'::regclass, 'secret', '''x''', '{\"expression\": \"x\"}')",
    );
    let (store, _) = runtime.block_on(start(&bench, PATIENCE));
    let app = bench.role("app");
    app.run("DROP TABLE t CASCADE; CREATE TABLE t (id int, secret text)");
    let fresh = oid(&bench, "t");
    until("the refusal", || matches!(store.footing().unwrap().governed(fresh), Some(Governed::Refused(_))).then_some(()));
    bench.role("pgusher_session").refused("SELECT * FROM t", "42501");
    // The masked column renamed, and another one in its place.
    let bench = Bench::new(
        Mechanism::Rls,
        "CREATE TABLE t (id int, secret text)",
        "INSERT INTO pgusher.mask (relation, \"column\", expression, source) VALUES ('public.t'::regclass, 'secret', '''x''', '{\"expression\": \"x\"}')",
    );
    let (store, _) = runtime.block_on(start(&bench, PATIENCE));
    bench.role("app").run("ALTER TABLE t RENAME COLUMN secret TO open; ALTER TABLE t ADD COLUMN secret text");
    let table = oid(&bench, "t");
    until("the refusal", || matches!(store.footing().unwrap().governed(table), Some(Governed::Refused(_))).then_some(()));
    until("no privileges", || bench.role("pgusher_session").try_rows("SELECT open FROM t").err());
}

#[test]
fn a_revoked_token_ends_its_sessions_and_is_known_at_once() {
    let runtime = runtime();
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (store, registry) = runtime.block_on(start(&bench, PATIENCE));
    let session = bench.session("ana");
    let slot: i64 = bench.superuser().one("SELECT sid FROM pgusher.session WHERE name = 'ana'").parse().unwrap();
    let credential = runtime.block_on(store.credential(hash(b"ana"))).unwrap().unwrap();
    assert_eq!((&*credential.name, credential.enabled, credential.admin, credential.revoked), ("ana", true, false, None));
    assert!(runtime.block_on(store.credential(hash(b"nobody"))).unwrap().is_none());
    let enlisted = registry.enlist(0, SessionId(1), credential.principal, credential.token.clone());
    enlisted.attached(slot);
    runtime.block_on(store.refresh()).unwrap();
    bench.govern(&format!("UPDATE pgusher.token SET revoked_at = now() WHERE id = '{}'", credential.token));
    let ending = runtime.block_on(async { tokio::time::timeout(PATIENCE, enlisted.ended()).await }).unwrap();
    assert_eq!(ending, Ending::Revoked);
    session.refused("SELECT pgusher.current_user()", "28000");
    assert!(runtime.block_on(store.credential(hash(b"ana"))).unwrap().unwrap().revoked.is_some());
    until("the time of last use", || {
        (bench.superuser().one("SELECT count(*) FROM pgusher.token WHERE last_used_at IS NOT NULL") == "1").then_some(())
    });
}

#[test]
fn what_cannot_be_confirmed_is_not_served_until_it_can_be_again() {
    let runtime = runtime();
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (store, _) = runtime.block_on(start(&bench, Duration::from_millis(600)));
    until("the policies", || store.published().ok());
    let root = crate::harness::Upstream::shared().superuser("postgres");
    root.run(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", bench.database));
    root.run(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", bench.database));
    until("the refusal", || matches!(store.published(), Err(StoreError::Stale { .. })).then_some(()));
    assert_eq!(store.footing().unwrap_err().code.code(), "55000");
    root.run(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", bench.database));
    until("recovery", || store.published().ok());
}

#[test]
fn a_control_connection_that_falls_silent_is_replaced() {
    let runtime = runtime();
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (store, _) = runtime.block_on(start(&bench, Duration::from_millis(600)));
    runtime.block_on(store.credential(hash(b"ana"))).unwrap().unwrap();
    let backends = format!(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'pgusher_control' AND datname = '{}' AND pid <> pg_backend_pid()",
        bench.database
    );
    let _halted: Vec<Halted> = bench.superuser().column(&backends).into_iter().map(Halted::new).collect();
    until("the refusal", || matches!(store.published(), Err(StoreError::Stale { .. })).then_some(()));
    until("recovery", || store.published().ok());
    assert!(runtime.block_on(store.credential(hash(b"ana"))).unwrap().is_some());
}

#[test]
fn what_an_administrator_makes_is_owned_and_what_it_drops_is_forgotten() {
    let runtime = runtime();
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (store, _) = runtime.block_on(start(&bench, PATIENCE));
    let hank: i64 = bench.superuser().one("SELECT id FROM pgusher.principal WHERE name = 'hank'").parse().unwrap();
    let subject = store.footing().unwrap().policies.subject(PrincipalId(hank)).unwrap();
    let ddl = |on: &[Oid], sql: &str| {
        runtime.block_on(async {
            let mut control = Control::connect(&bench.target, &account("pgusher_control")).await.unwrap();
            let mut owned = control.begin().await.unwrap();
            store.precede_ddl(&subject, on, &mut owned).await.unwrap();
            pgusher::upstream::OwnerChannel::execute(&mut owned, sql).await.unwrap();
            store.follow_ddl(&subject, &mut owned).await.unwrap();
            let within = store.footing_within(&mut owned).await.unwrap();
            owned.commit().await.unwrap();
            store.refresh().await.unwrap();
            within
        })
    };
    let within = ddl(
        &[],
        "CREATE SCHEMA made; CREATE TABLE made.t (id serial, x text); CREATE VIEW made.v AS SELECT id, ssn FROM pgusher_public.emp; \
         CREATE FUNCTION made.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    let (table, view) = (oid(&bench, "made.t"), oid(&bench, "made.v"));
    let footing = store.footing().unwrap();
    assert_eq!(footing.policies.owner(Securable::Relation(table)), Some(PrincipalId(hank)));
    assert_eq!(footing.policies.owner(Securable::Relation(view)), Some(PrincipalId(hank)));
    assert_eq!(footing.policies.owners().filter(|(s, _)| matches!(s, Securable::Function(_) | Securable::Schema(_))).count(), 2);
    assert_eq!(footing.governed(view), Some(&Governed::Derived));
    assert_eq!(within.governed(view), Some(&Governed::Derived));
    let ana = bench.session("ana");
    assert_eq!(ana.rows("SELECT * FROM made.v ORDER BY id LIMIT 1"), [["2", "***"]]);
    ana.run("INSERT INTO made.t (x) VALUES ('y')");
    ddl(
        &[oid(&bench, "orders")],
        "ALTER TABLE public.orders ALTER COLUMN amount TYPE numeric(20, 4); ALTER TABLE public.orders RENAME COLUMN amount TO total",
    );
    assert_eq!(ana.column("SELECT total FROM pgusher_public.orders WHERE id = 2"), ["2.0000"]);
    ddl(&[view], "DROP VIEW made.v");
    ddl(
        &[oid(&bench, "emp_names"), oid(&bench, "emp_names_again"), oid(&bench, "emp")],
        "DROP VIEW public.emp_names_again, public.emp_names; DROP MATERIALIZED VIEW public.emp_copy; DROP TABLE public.emp; CREATE TABLE public.emp (id int)",
    );
    let root = bench.superuser();
    assert_eq!(root.one("SELECT count(*) FROM pgusher.mask"), "0");
    assert_eq!(root.one("SELECT count(*) FROM pgusher.filter"), "1");
    assert_eq!(store.footing().unwrap().governed(oid(&bench, "public.emp")), None);
    assert_eq!(ana.one("SELECT count(*) FROM public.emp"), "0");
}

#[test]
fn a_view_made_before_the_mask_is_governed_after_it() {
    let runtime = runtime();
    let bench = Bench::new(Mechanism::Rls, "CREATE TABLE t (id int, secret text); INSERT INTO t VALUES (1, 'raw')", "SELECT 1");
    let (store, _) = runtime.block_on(start(&bench, PATIENCE));
    let root = bench.superuser();
    root.run("CREATE VIEW v AS SELECT * FROM t; ALTER VIEW v OWNER TO pgusher_viewer");
    runtime.block_on(store.refresh()).unwrap();
    assert_eq!(bench.role("pgusher_session").column("SELECT secret FROM v"), ["raw"]);
    bench.govern("INSERT INTO pgusher.mask (relation, \"column\", expression, source) VALUES ('public.t'::regclass, 'secret', '''x''', '{\"expression\": \"x\"}')");
    runtime.block_on(store.refresh()).unwrap();
    bench.role("pgusher_session").refused("SELECT secret FROM v", "42501");
    assert!(!matches!(store.footing().unwrap().governed(oid(&bench, "v")), None | Some(Governed::Derived)));
}

#[test]
fn a_lock_that_somebody_holds_stops_neither_statements_nor_news() {
    let runtime = runtime();
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (store, _) = runtime.block_on(start(&bench, Duration::from_secs(5)));
    let view = oid(&bench, "emp_names");
    let before = store.footing().unwrap().governed(view).cloned();
    assert!(matches!(before, Some(Governed::View { .. })));
    let migration = bench.role("app");
    migration.run("BEGIN; LOCK TABLE emp, orders IN ACCESS EXCLUSIVE MODE");
    bench.superuser().run("CREATE TABLE news (id int)");
    until("the news", || {
        let footing = store.footing().unwrap();
        footing.catalog.relations().any(|r| r.name.as_str() == "news").then_some(())
    });
    assert_eq!(store.footing().unwrap().governed(view).cloned(), before);
    migration.run("COMMIT");
    bench.session("ana").run("SELECT * FROM pgusher_public.emp_names");
}
