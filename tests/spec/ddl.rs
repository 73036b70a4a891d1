//! Definitions by those who are no administrators: who creates owns, in the session's own transaction, and everything looks as natively.

use crate::harness::{Shop, both_mechanisms, frame, tags};

/// Ana may make objects in a schema of her own people's.
fn allow(shop: &Shop) {
    shop.truth().run("CREATE SCHEMA lab AUTHORIZATION shop_owner");
    crate::harness::until("the schema to be found", || shop.admin().try_rows("GRANT CREATE ON SCHEMA lab TO analysts").ok());
}

both_mechanisms! {
    fn who_creates_owns_and_a_rollback_takes_it_back(shop: fresh) {
        allow(shop);
        let (ana, bob, truth) = (shop.ana(), shop.bob(), shop.truth());
        ana.run("BEGIN");
        ana.run("CREATE TABLE lab.notes (id serial PRIMARY KEY, word text DEFAULT 'x', at int GENERATED ALWAYS AS IDENTITY)");
        ana.run("INSERT INTO lab.notes (word) VALUES ('a'), (DEFAULT)");
        assert_eq!(ana.one("SELECT count(*) FROM lab.notes"), "2");
        ana.run("SAVEPOINT s; CREATE TABLE lab.gone (id int); ROLLBACK TO s");
        ana.refused("SELECT * FROM lab.gone", "42P01");
        ana.run("ROLLBACK");
        ana.refused("SELECT * FROM lab.notes", "42P01");
        assert_eq!(truth.one("SELECT count(*) FROM pgusher.owner o WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = o.object) AND o.kind = 'relation'"), "0");
        ana.run("BEGIN; CREATE TABLE lab.notes (id serial PRIMARY KEY, word text); INSERT INTO lab.notes (word) VALUES ('a'); COMMIT");
        assert_eq!(ana.rows("SHOW GRANTS ON TABLE lab.notes")[0][..2], ["ana@example.com", "OWN"]);
        assert_eq!(truth.one("SELECT relowner::regrole FROM pg_class WHERE oid = 'lab.notes'::regclass"), "pgusher_ddl");
        // Her ownership is effective, and nobody else's business.
        bob.refused("SELECT * FROM lab.notes", "42501");
        bob.refused("DROP TABLE lab.notes", "42501");
        bob.refused("ALTER TABLE lab.notes ADD COLUMN x int", "42501");
        bob.refused("CREATE INDEX ON lab.notes (word)", "42501");
        bob.refused("VACUUM lab.notes", "42501");
        ana.run("GRANT SELECT ON TABLE lab.notes TO \"bob@example.com\"");
        assert_eq!(bob.one("SELECT count(*) FROM lab.notes"), "1");
        bob.refused("CREATE TABLE public.notes (id int)", "42501");
        ana.run("DROP TABLE lab.notes");
        bob.refused("SELECT * FROM lab.notes", "42P01");
        assert_eq!(truth.one("SELECT count(*) FROM pgusher.grants g WHERE g.kind = 'relation' AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = g.object)"), "0");
    }

    fn what_is_not_found_is_called_as_the_client_calls_it(shop: fresh) {
        allow(shop);
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE DOMAIN public.amount AS integer CHECK (VALUE > 0)");
        for (name, told) in [("amount", "amount"), ("Amount", "amount"), ("public.amount", "public.amount")] {
            let refusal = admin.refused(&format!("ALTER DOMAIN {name} DROP CONSTRAINT nosuch"), "42704");
            assert_eq!(refusal.message, format!("constraint \"nosuch\" of domain \"{told}\" does not exist"));
        }
        admin.run("DROP TABLE IF EXISTS nosuch");
        admin.run("DROP DOMAIN IF EXISTS public.nosuch");
        ana.run("SET search_path = lab");
        ana.run("DROP VIEW IF EXISTS nosuch");
        assert_eq!(admin.notices(), ["table \"nosuch\" does not exist, skipping", "type \"public.nosuch\" does not exist, skipping"]);
        assert_eq!(ana.notices(), ["view \"nosuch\" does not exist, skipping"]);
        admin.run("BEGIN READ ONLY");
        assert_eq!(admin.refused("DROP TABLE regions", "25006").message, "cannot execute DROP TABLE in a read-only transaction");
        admin.run("ROLLBACK");
    }

    fn an_index_belongs_to_the_owner_of_its_table(shop: fresh) {
        allow(shop);
        let (admin, ana) = (shop.admin(), shop.ana());
        ana.run("CREATE TABLE lab.own (id integer PRIMARY KEY)");
        let owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('own', 'own_pkey')";
        assert_eq!(ana.column(owner), ["ana@example.com"; 2]);
        assert_eq!(admin.column(owner), ["ana@example.com"; 2]);
    }

    fn a_model_is_built_beside_the_old_one_and_takes_its_place(shop: fresh) {
        allow(shop);
        let (ana, truth) = (shop.ana(), shop.truth());
        for round in 1..3 {
            ana.run("BEGIN");
            ana.run("CREATE TABLE lab.model__tmp AS (SELECT id, region, note FROM public.orders WHERE id < 500)");
            if round > 1 {
                ana.run("ALTER TABLE lab.model RENAME TO model__backup");
            }
            ana.run("ALTER TABLE lab.model__tmp RENAME TO model");
            ana.run("COMMIT");
            ana.run("BEGIN; DROP TABLE IF EXISTS lab.model__backup CASCADE; COMMIT");
            ana.run("CREATE OR REPLACE VIEW lab.shown AS SELECT region, count(*) AS n FROM lab.model GROUP BY 1");
        }
        let expected = truth.one("SELECT count(*) FROM orders WHERE id < 500 AND region = 'EMEA'");
        assert_eq!(ana.one("SELECT count(*) FROM lab.model"), expected, "only her own rows");
        assert_eq!(truth.column("SELECT DISTINCT region FROM lab.model"), ["EMEA"]);
        assert_eq!(ana.one("SELECT n FROM lab.shown"), expected);
        assert_eq!(truth.one("SELECT relowner::regrole FROM pg_class WHERE oid = 'lab.shown'::regclass"), "pgusher_viewer");
        assert_eq!(truth.column("SELECT relname FROM pg_class WHERE relnamespace = 'lab'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1"), ["model", "shown"]);
    }

    fn what_fills_a_table_runs_as_the_session_and_sees_masks(shop: fresh) {
        allow(shop);
        let ana = shop.ana();
        assert_eq!(ana.affected("CREATE TABLE lab.staff AS SELECT ssn, salary, current_user() AS me FROM public.employees"), 200);
        assert_eq!(ana.rows("SELECT DISTINCT salary, me FROM lab.staff"), [["0", "ana@example.com"]]);
        assert_eq!(ana.one("SELECT count(*) FROM lab.staff WHERE ssn NOT LIKE '***%'"), "0");
        assert_eq!(ana.affected("SELECT id INTO lab.ids FROM public.orders WHERE id < 100"), ana.one("SELECT count(*) FROM lab.ids").parse::<u64>().unwrap());
        ana.run("CREATE TABLE lab.empty AS SELECT 1 / 0 AS x WITH NO DATA");
        ana.refused("CREATE TABLE lab.broken AS SELECT 1 / 0 AS x", "22012");
        ana.refused("SELECT * FROM lab.broken", "42P01");
        ana.run("CREATE TABLE IF NOT EXISTS lab.empty AS SELECT 7 AS x");
        assert_eq!(ana.one("SELECT count(*) FROM lab.empty"), "0");
        ana.refused("CREATE MATERIALIZED VIEW lab.frozen AS SELECT * FROM public.orders", "0A000");
        assert_eq!(ana.affected("CREATE MATERIALIZED VIEW lab.frozen AS SELECT id FROM lab.ids"), ana.one("SELECT count(*) FROM lab.ids").parse::<u64>().unwrap());
        ana.run("INSERT INTO lab.ids VALUES (-1)");
        ana.run("REFRESH MATERIALIZED VIEW lab.frozen");
        assert_eq!(ana.one("SELECT min(id) FROM lab.frozen"), "-1");
        ana.run("CREATE UNIQUE INDEX ON lab.frozen (id)");
        ana.run("UPDATE lab.ids SET id = -2 WHERE id = -1");
        ana.run("REFRESH MATERIALIZED VIEW CONCURRENTLY lab.frozen");
        assert_eq!(ana.rows("SELECT id FROM lab.frozen WHERE id < 0"), [["-2"]]);
        assert!(ana.try_rows("DELETE FROM lab.frozen").is_err() && ana.try_rows("INSERT INTO lab.frozen VALUES (-3)").is_err());
    }

    /// What follows a statement that no transaction holds is hit by its timeout: the statement is done all the same.
    fn a_timeout_after_the_fact_does_not_unsay_it(shop: fresh) {
        allow(shop);
        let (admin, truth) = (shop.admin(), shop.truth());
        admin.run("CREATE TABLE lab.timed (id integer)");
        // What is followed stands in this row; the statement itself does not.
        truth.run("BEGIN");
        truth.run("SELECT FROM pgusher.version FOR UPDATE");
        admin.run("SET statement_timeout = '400ms'");
        admin.run("CREATE INDEX CONCURRENTLY timed_id ON lab.timed (id)");
        truth.run("ROLLBACK");
        assert_eq!(truth.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'lab.timed_id'::regclass"), "t");
        assert_eq!(admin.one("SELECT count(*) FROM lab.timed"), "0", "the session goes on");
    }

    fn an_owner_changes_a_governed_table_and_its_views_follow(shop: fresh) {
        allow(shop);
        let (ana, bob, admin) = (shop.ana(), shop.bob(), shop.admin());
        ana.run("CREATE TABLE lab.pay (id int PRIMARY KEY, who text, amount int)");
        ana.run("INSERT INTO lab.pay VALUES (1, 'ana@example.com', 10), (2, 'bob@example.com', 20)");
        admin.run("ALTER TABLE lab.pay SET ROW FILTER (who = current_user())");
        admin.run("ALTER TABLE lab.pay ALTER COLUMN amount SET MASK (0)");
        ana.run("GRANT SELECT ON TABLE lab.pay TO \"bob@example.com\"");
        assert_eq!(bob.rows("SELECT id, amount FROM lab.pay"), [["2", "0"]]);
        ana.run("ALTER TABLE lab.pay ADD COLUMN extra text DEFAULT 'e'");
        assert_eq!(bob.rows("SELECT * FROM lab.pay"), [["2", "bob@example.com", "0", "e"]]);
        ana.run("ALTER TABLE lab.pay ALTER COLUMN amount TYPE bigint");
        ana.run("ALTER TABLE lab.pay RENAME COLUMN extra TO more");
        ana.run("ALTER TABLE lab.pay RENAME TO wages");
        assert_eq!(bob.rows("SELECT more, amount FROM lab.wages"), [["e", "0"]]);
        ana.run("BEGIN; ALTER TABLE lab.wages DROP COLUMN more");
        assert_eq!(ana.rows("SELECT * FROM lab.wages"), [["1", "ana@example.com", "0"]], "her own row, masked");
        ana.run("ROLLBACK");
        ana.run("DROP TABLE lab.wages");
        bob.refused("SELECT * FROM lab.wages", "42P01");
    }

    fn what_runs_in_no_transaction_runs_for_owners(shop: fresh) {
        allow(shop);
        let (ana, truth) = (shop.ana(), shop.truth());
        ana.run("CREATE TABLE lab.big AS SELECT i AS id FROM generate_series(1, 1000) i");
        ana.run("CREATE INDEX CONCURRENTLY big_id ON lab.big (id)");
        assert_eq!(truth.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'lab.big_id'::regclass"), "t");
        ana.run("REINDEX INDEX CONCURRENTLY lab.big_id");
        ana.run("VACUUM (ANALYZE, VERBOSE) lab.big");
        assert!(ana.notices().iter().any(|n| n.contains("vacuuming")), "what VACUUM tells is told");
        ana.run("ANALYZE lab.big");
        ana.run("DROP INDEX CONCURRENTLY lab.big_id");
        ana.refused("VACUUM public.orders", "42501");
        ana.refused("CREATE INDEX CONCURRENTLY ON public.orders (note)", "42501");
        ana.run("BEGIN");
        ana.refused("VACUUM lab.big", "25001");
        ana.run("ROLLBACK");
        ana.refused("CREATE UNIQUE INDEX CONCURRENTLY twice ON lab.big ((id / 2))", "23505");
        assert_eq!(ana.one("SELECT count(*) FROM lab.big"), "1000", "the session goes on");
    }

    fn what_is_partitioned_is_reindexed_and_clustered_in_no_transaction(shop: fresh) {
        allow(shop);
        let (ana, bob, truth) = (shop.ana(), shop.bob(), shop.truth());
        ana.run("CREATE TABLE lab.parts (id int PRIMARY KEY) PARTITION BY RANGE (id)");
        ana.run("CREATE TABLE lab.parts_1 PARTITION OF lab.parts FOR VALUES FROM (1) TO (9)");
        let file = || truth.one("SELECT pg_relation_filenode('lab.parts_1_pkey')");
        for (statement, name) in [("REINDEX TABLE lab.parts", "REINDEX TABLE"), ("REINDEX INDEX lab.parts_pkey", "REINDEX INDEX")] {
            let before = file();
            ana.run(statement);
            assert_ne!(file(), before, "{statement}");
            bob.refused(statement, "42501");
            bob.refused("CLUSTER lab.parts USING parts_pkey", "42501");
            ana.run("BEGIN");
            let refused = ana.refused(statement, "25001");
            assert_eq!(refused.message, format!("{name} cannot run inside a transaction block"));
            ana.run("ROLLBACK");
        }
        let before = truth.one("SELECT pg_relation_filenode('lab.parts_1')");
        ana.run("CLUSTER lab.parts USING parts_pkey");
        assert_ne!(truth.one("SELECT pg_relation_filenode('lab.parts_1')"), before);
    }

    fn a_schema_is_made_with_what_it_is_to_hold(shop: fresh) {
        allow(shop);
        let (admin, ana, bob) = (shop.admin(), shop.ana(), shop.bob());
        let furnished = |name: &str| format!("CREATE SCHEMA {name} CREATE INDEX ON t (n) CREATE VIEW v AS SELECT n, \"create\" FROM t \
            CREATE TABLE t (n int DEFAULT nextval('s'), \"create\" text) CREATE TABLE u (n int REFERENCES {name}.k) CREATE TABLE k (n int PRIMARY KEY) CREATE SEQUENCE s START 7");
        ana.refused(&furnished("made"), "42501");
        admin.run("GRANT CREATE ON CATALOG TO \"ana@example.com\"");
        // As in PostgreSQL, tables are made in their order.
        assert_eq!(ana.refused(&furnished("made"), "42P01").message, "relation \"made.k\" does not exist");
        ana.refused("SELECT * FROM made.t", "42P01");
        for (person, name) in [(&ana, "made"), (&admin, "more")] {
            let wanted = furnished(name).replace(&format!(" REFERENCES {name}.k"), "");
            person.run(&wanted);
            person.run(&format!("INSERT INTO {name}.t VALUES (DEFAULT, 'x')"));
            assert_eq!(person.rows(&format!("SELECT * FROM {name}.v")), [["7", "x"]]);
        }
        bob.refused("SELECT * FROM made.v", "42501");
        // Every element is asked about.
        ana.refused("CREATE SCHEMA stolen CREATE VIEW v AS SELECT * FROM orders CREATE VIEW w AS SELECT * FROM customers_secret", "42P01");
        ana.refused("CREATE SCHEMA stolen CREATE VIEW w AS SELECT * FROM regions CREATE VIEW v AS SELECT * FROM pgusher.token", "42501");
        ana.refused("CREATE SCHEMA stolen CREATE TABLE lab.t (n int)", "42P15");
        ana.refused("CREATE SCHEMA stolen CREATE TEMP VIEW v AS SELECT 1 AS n", "0A000");
        ana.refused("CREATE SCHEMA stolen GRANT SELECT ON t TO bob", "0A000");
        let missing = "CREATE SCHEMA stolen CREATE VIEW w AS SELECT ssn FROM employees, nosuch";
        assert_eq!(ana.refused(missing, "42P01").position, Some(66));
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[crate::harness::frame::query("SELECT 'é'; CREATE SCHEMA told CREATE TABLE t (n int) CREATE VIEW v AS SELECT n FROM t; SELECT 1")]);
        let done: Vec<_> = raw.until_ready().into_iter().filter(|f| f.tag == 'C').map(|f| f.body).collect();
        assert_eq!(done, [&b"SELECT 1\0"[..], b"CREATE SCHEMA\0", b"SELECT 1\0"]);
        admin.run("CREATE SCHEMA shown CREATE VIEW v AS SELECT region FROM orders");
        admin.run("GRANT SELECT ON SCHEMA shown TO \"bob@example.com\"");
        assert_eq!(bob.rows("SELECT DISTINCT region FROM shown.v"), bob.rows("SELECT DISTINCT region FROM orders"), "filters hold");
        ana.refused("SELECT 1 FROM stolen.v", "42P01");
        ana.run("CREATE SCHEMA own AUTHORIZATION CURRENT_USER CREATE TABLE t (n int)");
        ana.refused("CREATE SCHEMA other AUTHORIZATION pgusher_owner", "0A000");
        ana.run("BEGIN; CREATE SCHEMA undone CREATE TABLE t (n int); ROLLBACK");
        ana.refused("SELECT * FROM undone.t", "42P01");
    }

    fn what_an_administrator_s_code_makes_is_found_at_once(shop: fresh) {
        let admin = shop.admin();
        admin.run("DO $$ BEGIN SET LOCAL ROLE pgusher_owner; CREATE TABLE public.made (n int); END $$");
        assert_eq!(admin.rows("SELECT n FROM made"), Vec::<Vec<String>>::new());
    }

    fn kinds_of_objects_are_made_used_and_dropped_by_their_owner(shop: fresh) {
        allow(shop);
        let (ana, bob, admin) = (shop.ana(), shop.bob(), shop.admin());
        ana.run("CREATE SEQUENCE lab.counter START 5");
        assert_eq!(ana.one("SELECT nextval('lab.counter')"), "5");
        bob.refused("SELECT nextval('lab.counter')", "42501");
        ana.run("CREATE TYPE lab.mood AS ENUM ('sad', 'ok')");
        ana.run("ALTER TYPE lab.mood ADD VALUE 'glad'");
        bob.refused("ALTER TYPE lab.mood ADD VALUE 'mad'", "42501");
        ana.run("CREATE DOMAIN lab.positive AS int CHECK (value > 0)");
        ana.run("CREATE TABLE lab.parent (id lab.positive PRIMARY KEY, m lab.mood)");
        ana.run("CREATE TABLE lab.child (id int REFERENCES lab.parent ON DELETE CASCADE, n int)");
        ana.run("INSERT INTO lab.parent VALUES (1, 'glad'); INSERT INTO lab.child VALUES (1, 1)");
        assert_eq!(ana.refused("INSERT INTO lab.child VALUES (2, 1)", "23503").detail.as_deref(), Some("Key (id)=(2) is not present in table \"parent\"."));
        ana.run("DELETE FROM lab.parent");
        assert_eq!(ana.one("SELECT count(*) FROM lab.child"), "0");
        ana.run("CREATE TABLE lab.parts (id int, at date) PARTITION BY RANGE (at)");
        ana.run("CREATE TABLE lab.parts_20 PARTITION OF lab.parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')");
        ana.run("INSERT INTO lab.parts VALUES (1, '2020-02-02')");
        ana.run("ALTER TABLE lab.parts DETACH PARTITION lab.parts_20");
        assert_eq!(ana.one("SELECT count(*) FROM lab.parts_20"), "1");
        ana.run("COMMENT ON TABLE lab.parts IS 'pieces'");
        ana.run("TRUNCATE lab.parts_20");
        ana.run("DROP TABLE lab.child, lab.parent, lab.parts, lab.parts_20");
        ana.run("DROP TYPE lab.mood; DROP DOMAIN lab.positive; DROP SEQUENCE lab.counter");
        ana.refused("CREATE SCHEMA anas", "42501");
        admin.run("GRANT CREATE ON CATALOG TO \"ana@example.com\"");
        ana.run("BEGIN; CREATE SCHEMA anas; CREATE TABLE anas.t (id int); INSERT INTO anas.t VALUES (1); COMMIT");
        assert_eq!(ana.one("SELECT id FROM anas.t"), "1");
        bob.refused("CREATE TABLE anas.u (id int)", "42501");
        ana.run("DROP SCHEMA anas CASCADE");
        ana.refused("SELECT id FROM anas.t", "42P01");
    }
}

#[test]
fn positions_contexts_and_tags_are_those_of_the_statement() {
    let shop = Shop::fresh(crate::harness::Mechanism::Rls);
    allow(&shop);
    let mut raw = shop.raw("ana@example.com");
    let field = |frames: &[crate::harness::Frame], kind: u8| {
        frames.iter().find(|f| f.tag == 'E' || f.tag == 'N').and_then(|f| {
            f.body
                .split(|b| *b == 0)
                .find(|part| part.first() == Some(&kind))
                .map(|part| String::from_utf8_lossy(&part[1..]).into_owned())
        })
    };
    let mut ask = |sql: &str| {
        raw.send(&[frame::query(sql)]);
        raw.until_ready()
    };
    let wrong = "/* é */ CREATE TABLE lab.x (a int, b nosuch)";
    let answer = ask(wrong);
    assert_eq!(
        field(&answer, b'P'),
        Some((wrong.chars().position(|c| c == 'n').map_or(0, |_| wrong.chars().count() - "nosuch)".len()) + 1).to_string())
    );
    for kind in [b'W', b'q', b'p'] {
        assert_eq!(field(&answer, kind), None);
    }
    let answer = ask("CREATE TABLE lab.x AS SELECT nosuch FROM public.orders");
    assert_eq!(field(&answer, b'C').as_deref(), Some("42703"));
    ask("CREATE TABLE lab.x (id int)");
    let answer = ask("CREATE TABLE IF NOT EXISTS lab.x (id int)");
    assert_eq!(tags(&answer), "CZI");
    let commands =
        |frames: &[crate::harness::Frame]| frames.iter().filter(|f| f.tag == 'C').map(|f| f.command()).collect::<Vec<_>>();
    assert_eq!(
        commands(&ask(
            "CREATE TABLE lab.y (id int); INSERT INTO lab.y VALUES (1), (2); CREATE TABLE lab.z AS TABLE lab.y; DROP TABLE lab.y"
        )),
        ["CREATE TABLE", "INSERT 0 2", "SELECT 2", "DROP TABLE"]
    );
    let ana = shop.ana();
    ana.run("CREATE TABLE IF NOT EXISTS lab.x (id int)");
    assert_eq!(ana.notices(), ["relation \"x\" already exists, skipping"]);
    // One that fails takes the others of its Query with it.
    let answer = ask("CREATE TABLE lab.w (id int); CREATE TABLE lab.w (id int)");
    assert_eq!(field(&answer, b'C').as_deref(), Some("42P07"));
    assert_eq!(tags(&ask("SELECT * FROM lab.w")), "EZI");
    let mut extended = shop.raw("ana@example.com");
    extended.send(&[
        frame::parse("", "CREATE TABLE lab.e AS SELECT 1 AS a"),
        frame::describe('S', ""),
        frame::bind("", "", &[], 0),
        frame::describe('P', ""),
        frame::execute("", 0),
        frame::parse("", "SELECT a FROM lab.e"),
        frame::bind("", "", &[], 0),
        frame::execute("", 0),
        frame::sync(),
    ]);
    let answer = extended.until_ready();
    assert_eq!(tags(&answer), "1tn2nC12DCZI");
    assert_eq!(commands(&answer), ["SELECT 1", "SELECT 1"]);
}

#[test]
fn functions_of_the_application_never_run_as_those_who_make_objects() {
    let shop = Shop::fresh(crate::harness::Mechanism::Rls);
    allow(&shop);
    let (admin, ana) = (shop.admin(), shop.ana());
    admin.run("CREATE FUNCTION public.spy(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'spy as %', current_user; RETURN $1; END $$");
    admin.run("GRANT EXECUTE ON FUNCTION public.spy TO analysts");
    ana.run("CREATE TABLE lab.t (a int)");
    ana.run("INSERT INTO lab.t VALUES (1)");
    for statement in [
        "CREATE INDEX ON lab.t (public.spy(a))",
        "CREATE INDEX CONCURRENTLY ON lab.t (a) WHERE public.spy(a) > 0",
        "ALTER TABLE lab.t ADD CHECK (public.spy(a) > 0)",
        "ALTER TABLE lab.t ADD COLUMN b int DEFAULT public.spy(1)",
        "ALTER TABLE lab.t ADD COLUMN b int GENERATED ALWAYS AS (public.spy(a)) STORED",
        "ALTER TABLE lab.t ALTER COLUMN a TYPE int USING public.spy(a)",
        "CREATE TABLE lab.u (a int CHECK (public.spy(a) > 0))",
        "CREATE TABLE lab.u (a int) PARTITION BY RANGE (public.spy(a))",
        "CREATE DOMAIN lab.d AS int CHECK (public.spy(value) > 0)",
        "CREATE STATISTICS lab.st ON public.spy(a), a FROM lab.t",
        "CREATE MATERIALIZED VIEW lab.m AS SELECT public.spy(a) FROM lab.t",
    ] {
        let refusal = ana.try_rows(statement).expect_err(statement);
        assert!(["0A000", "42501"].contains(&refusal.code.as_str()), "{statement}: {refusal}");
    }
    ana.run("CREATE TABLE lab.u AS SELECT public.spy(a) AS a FROM lab.t");
    let heard = ana.notices();
    assert!(heard.iter().all(|n| !n.contains("pgusher_ddl") && !n.contains("pgusher_owner")), "{heard:?}");
    assert_eq!(ana.one("SELECT a FROM lab.u"), "1");
}

#[test]
fn a_revocation_does_not_wait_for_ddl_and_reaches_its_transaction() {
    let shop = Shop::fresh(crate::harness::Mechanism::Rls);
    allow(&shop);
    let (admin, ana) = (shop.admin(), shop.ana());
    ana.run("BEGIN; CREATE TABLE lab.held (id int); INSERT INTO lab.held VALUES (1)");
    assert_ne!(ana.one("SELECT count(*) FROM public.orders"), "0");
    admin.run("SET statement_timeout = '20s'");
    admin.run("REVOKE SELECT ON TABLE public.orders FROM analysts");
    ana.refused("SELECT count(*) FROM public.orders", "42501");
    ana.run("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ; CREATE TABLE lab.held (id int)");
    admin.run("GRANT SELECT ON TABLE public.orders TO analysts");
    ana.refused("SELECT count(*) FROM public.orders", "40001");
    ana.run("ROLLBACK");
    assert_ne!(ana.one("SELECT count(*) FROM public.orders"), "0");
}
