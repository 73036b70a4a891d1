//! Names of objects without a grant: through every relation of the catalogs, functions, casts and errors.

use super::{all_refused, everything};
use crate::harness::{Client, both_mechanisms, frame};

/// An object of each kind that nobody but administrators has a right on, each part of it with a mark in its name or text.
pub(super) const HIDDEN: &[&str] = &[
    "CREATE SCHEMA qqschema",
    "CREATE TYPE qqschema.qqenum AS ENUM ('qqlabel')",
    "CREATE TABLE public.qqtable (qqcolumn integer PRIMARY KEY DEFAULT 4711, other text DEFAULT 'qqdefault', CONSTRAINT qqcheck CHECK (other <> 'qqvalue'))",
    "CREATE TABLE qqschema.qqinside (id serial PRIMARY KEY, qqmood qqschema.qqenum)",
    "CREATE INDEX qqindex ON public.qqtable (lower(other || 'qqexpression'))",
    "CREATE SEQUENCE public.qqsequence",
    "CREATE VIEW public.qqview AS SELECT qqcolumn AS qqrenamed FROM public.qqtable",
    "CREATE MATERIALIZED VIEW public.qqmatview AS SELECT 'qqtext'::text AS t",
    "CREATE FUNCTION public.qqfunction(qqargument integer) RETURNS integer LANGUAGE sql AS $$ SELECT 4711 + 0 * length('qqsource') $$",
    "CREATE FUNCTION public.qqtrigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "CREATE TRIGGER qqfires BEFORE INSERT ON public.qqtable FOR EACH ROW EXECUTE FUNCTION public.qqtrigger()",
    "CREATE TRIGGER qqonregions BEFORE INSERT ON public.regions FOR EACH ROW EXECUTE FUNCTION public.qqtrigger()",
    "CREATE STATISTICS public.qqstatistics ON qqcolumn, other FROM public.qqtable",
    "CREATE TABLE public.qqchild (qqreference integer REFERENCES public.qqtable)",
    "ALTER TABLE public.regions ADD COLUMN seen integer DEFAULT nextval('public.qqsequence')",
    "CREATE TABLE public.qqparent (id integer) PARTITION BY RANGE (id)",
    "CREATE POLICY qqpolicy ON public.qqtable USING (other = 'qqusing')",
    "COMMENT ON TABLE public.qqtable IS 'qqcomment'",
    "COMMENT ON COLUMN public.qqtable.qqcolumn IS 'qqcommentofcolumn'",
    "COMMENT ON FUNCTION public.qqfunction(integer) IS 'qqcommentoffunction'",
    "COMMENT ON CONSTRAINT qqcheck ON public.qqtable IS 'qqcommentofconstraint'",
    "COMMENT ON INDEX public.qqindex IS 'qqcommentofindex'",
    "COMMENT ON SCHEMA qqschema IS 'qqcommentofschema'",
    "COMMENT ON TYPE qqschema.qqenum IS 'qqcommentoftype'",
    "CREATE PUBLICATION qqpublication FOR TABLE public.qqtable",
    "CREATE OPERATOR qqschema.#### (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl)",
    "COMMENT ON OPERATOR qqschema.#### (integer, integer) IS 'qqcommentofoperator'",
    "ANALYZE public.qqtable",
    "ANALYZE public.regions",
];

/// What came back holds nothing of a hidden object; a statement may quote itself.
pub(super) fn tells_nothing(client: &Client, sql: &str) {
    let text = everything(client, sql);
    let quoted = sql.contains("qq");
    let told = text.match_indices("qq").find(|(at, _)| {
        !quoted || !sql.contains(text[*at..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("qq"))
    });
    assert!(told.is_none(), "{sql}\n{}", &text[told.map_or(0, |(at, _)| at.saturating_sub(200))..][..text.len().min(400)]);
    let _ = client.try_rows("ROLLBACK");
}

both_mechanisms! {
    fn no_relation_of_the_catalogs_tells_of_what_is_hidden(shop: fresh) {
        let truth = shop.truth();
        for sql in HIDDEN {
            truth.run(sql);
        }
        let ivan = shop.ivan();
        let relations = truth.column(
            "SELECT n.nspname || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v') ORDER BY 1",
        );
        assert!(relations.len() > 150);
        let mut answered = 0;
        for relation in relations {
            for sql in [format!("SELECT x::text FROM {relation} x"), format!("SELECT * FROM {relation}"), format!("SELECT * FROM {relation} WHERE random() > -1 AND 'pg_' <> ''")] {
                tells_nothing(&ivan, &sql);
                answered += usize::from(ivan.try_rows(&sql).is_ok());
            }
        }
        assert!(answered > 250, "only {answered} answered");
        others_are_no_better(&ivan, &truth);
    }
}

/// Functions, casts, types, errors.
fn others_are_no_better(ivan: &Client, truth: &Client) {
    let oid = |what: &str| truth.column(&format!("SELECT {what}::text")).remove(0);
    let table = oid("'public.qqtable'::regclass::oid");
    let rowtype = oid("'public.qqtable'::regtype::oid");
    let function = oid("'public.qqfunction'::regproc::oid");
    let schema = oid("'qqschema'::regnamespace::oid");
    let constraint = oid("(SELECT oid FROM pg_constraint WHERE conname = 'qqcheck')");
    let index = oid("'public.qqindex'::regclass::oid");
    let view = oid("'public.qqview'::regclass::oid");
    let trigger = oid("(SELECT oid FROM pg_trigger WHERE tgname = 'qqfires')");
    let statistics = oid("(SELECT oid FROM pg_statistic_ext WHERE stxname = 'qqstatistics')");
    for sql in [
        format!("SELECT {table}::regclass"),
        format!("SELECT '{table}'::regclass::text"),
        format!("SELECT CAST({table} AS regclass)"),
        format!("SELECT regclass '{table}'"),
        format!("SELECT {table}::oid::regclass"),
        format!("SELECT regclass({table})"),
        format!("SELECT '{{{table}}}'::regclass[]"),
        format!("SELECT '{{{table}}}'::_regclass"),
        format!("SELECT coalesce('{table}', 1259::regclass)"),
        format!("SELECT coalesce('{table}', oid::regclass) FROM pg_class"),
        format!("SELECT 1259::regclass UNION SELECT '{table}'"),
        format!("SELECT CASE WHEN true THEN {table} ELSE 1259::regclass END"),
        format!("SELECT ARRAY[1259::regclass, {table}]"),
        format!("SELECT r FROM (SELECT 1259::regclass AS r UNION ALL SELECT {table}) s"),
        format!("SELECT greatest(1259::regclass, {table})"),
        format!("SELECT nullif({table}, 1::regclass)"),
        format!("SELECT nullif(1259::regclass, 1), {table}"),
        format!("SELECT coalesce('{rowtype}', pg_typeof(1))"),
        format!("SELECT x.r FROM json_to_recordset('[{{\"r\": \"{table}\"}}]') AS x(r regclass)"),
        format!("SELECT r FROM jsonb_to_record('{{\"r\": \"{table}\"}}') AS x(r regclass)"),
        format!("CREATE TEMP TABLE t AS SELECT {table}::regclass AS r"),
        format!("CREATE TEMP TABLE t (r regclass); INSERT INTO t VALUES ({table}); SELECT * FROM t"),
        format!("PREPARE p(regclass) AS SELECT $1; EXECUTE p({table})"),
        format!("SELECT {table}::pgusher.regclass"),
        format!("SELECT {rowtype}::regtype"),
        format!("SELECT format_type({rowtype}, -1)"),
        format!("SELECT format_type({rowtype} + 0, NULL)"),
        format!("SELECT {function}::regproc"),
        format!("SELECT {function}::regprocedure"),
        format!("SELECT {schema}::regnamespace"),
        format!("SELECT pg_get_viewdef({view})"),
        format!("SELECT pg_get_viewdef({view}, true)"),
        "SELECT pg_get_viewdef('qqview')".into(),
        format!("SELECT pg_get_functiondef({function})"),
        format!("SELECT pg_get_function_arguments({function})"),
        format!("SELECT pg_get_function_identity_arguments({function})"),
        format!("SELECT pg_get_constraintdef({constraint})"),
        format!("SELECT pg_get_indexdef({index})"),
        format!("SELECT pg_get_indexdef({index}, 1, true)"),
        format!("SELECT pg_get_triggerdef({trigger})"),
        format!("SELECT pg_get_statisticsobjdef({statistics})"),
        format!("SELECT pg_get_statisticsobjdef_columns({statistics})"),
        format!("SELECT obj_description({table}, 'pg_class'), obj_description({table}), col_description({table}, 1)"),
        format!(
            "SELECT obj_description({function}, 'pg_proc'), obj_description({schema}, 'pg_namespace'), obj_description({rowtype}, 'pg_type')"
        ),
        format!("SELECT pg_describe_object('pg_class'::regclass, {table}, 0)"),
        format!("SELECT pg_describe_object(1259, {table}, 1)"),
        format!("SELECT * FROM pg_identify_object(1259, {table}, 0)"),
        format!("SELECT * FROM pg_identify_object_as_address(1255, {function}, 0)"),
        format!("SELECT pg_get_expr(conbin, {table}) FROM pg_constraint"),
        format!("SELECT pg_get_expr(adbin, {table}) FROM pg_attrdef"),
        format!("SELECT pg_get_partkeydef({table}), pg_get_replica_identity_index({table})"),
        format!("SELECT * FROM pg_partition_tree({table})"),
        format!("SELECT pg_partition_root({table})"),
        "SELECT pg_get_object_address('table', '{qqtable}', '{}')".into(),
        "SELECT has_table_privilege('qqtable', 'SELECT')".into(),
        format!("SELECT has_table_privilege({table}, 'SELECT')"),
        "SELECT to_regclass('qqtable'), to_regtype('qqtable'), to_regproc('qqfunction'), to_regnamespace('qqschema')".into(),
        format!("SELECT json_build_object('a', {table}::regclass)"),
        format!("SELECT format('%s', {table}::regclass)"),
        "SELECT relname::int FROM pg_class".into(),
        "SELECT 1 FROM pg_class WHERE relname::int = 1".into(),
        "SELECT 1 FROM pg_class WHERE relname LIKE 'q%' AND relname::int = 1".into(),
        "SELECT 1 FROM pg_attribute WHERE attname LIKE 'q%' AND attname::regclass IS NULL".into(),
        "SELECT relname::date FROM pg_class WHERE relname LIKE 'qq%'".into(),
        "SELECT xmlelement(name x, c) FROM pg_class c WHERE relname LIKE 'q%'".into(),
        "EXPLAIN ANALYZE SELECT 1 FROM pg_class WHERE relname = 'qqtable'".into(),
        "EXPLAIN SELECT 1 FROM pg_class".into(),
        "PREPARE p AS SELECT 1 FROM pg_class WHERE relname LIKE 'q%'; EXPLAIN (ANALYZE, VERBOSE) EXECUTE p".into(),
        "SELECT tableoid, * FROM pg_class".into(),
        "SELECT xmin, proname, prosrc FROM pg_proc".into(),
        "TABLE pg_attribute".into(),
        "COPY (SELECT * FROM pg_class) TO STDOUT".into(),
        "SELECT pg_typeof((SELECT c FROM pg_class c LIMIT 1))".into(),
        "DO $$ BEGIN END $$".into(),
        "DROP TABLE regions".into(),
        "DROP TABLE qqtable".into(),
        "DROP SCHEMA qqschema".into(),
        "ALTER TABLE regions DROP COLUMN code".into(),
        "SELECT * FROM regions WHERE name = (SELECT 'a' WHERE false)".into(),
    ] {
        tells_nothing(ivan, &sql);
    }
    assert!(
        truth.try_rows("SELECT reltuples FROM pg_class WHERE relname = 'regions' AND reltuples > 0").is_ok_and(|r| !r.is_empty())
    );
    let counted = ivan.try_rows("SELECT count(*) FROM pg_class WHERE relpages <> 0 OR reltuples <> -1");
    assert_eq!(counted.map(|r| r.concat().concat()).unwrap_or_default(), "0", "no counts of rows");
}

both_mechanisms! {
    /// Columns of types like regproc, whichever the catalogs have.
    fn a_type_that_bears_names_is_lent_to_no_guessed_number(shop: fresh) {
        let truth = shop.truth();
        for sql in HIDDEN {
            truth.run(sql);
        }
        let ivan = shop.ivan();
        let oid = |what: &str| truth.column(&format!("SELECT {what}::oid::text")).remove(0);
        let (function, table, kind) = (oid("'public.qqfunction'::regproc"), oid("'public.qqtable'::regclass"), oid("'qqschema.qqenum'::regtype"));
        let columns = truth.rows(
            "SELECT c.oid::regclass, a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
             WHERE a.atttypid::regtype::text ~ '^reg' AND c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY 1, 2",
        );
        assert!(columns.len() > 30);
        let mut before = String::new();
        for column in columns {
            let [relation, column, type_name] = &column[..] else { panic!("{column:?}") };
            let guess = match (type_name.as_str(), type_name.ends_with("[]")) {
                (_, true) => format!("'{{{kind}}}'"),
                ("regtype", _) => format!("'{kind}'"),
                _ => format!("'{function}'"),
            };
            let forms = [
                format!("SELECT coalesce({guess}, {column}) FROM {relation}"),
                format!("SELECT CASE WHEN {column} IS NULL THEN {column} ELSE {guess} END FROM {relation}"),
                format!("SELECT {guess} UNION ALL SELECT {column} FROM {relation}"),
                format!("SELECT {column} FROM {relation} UNION ALL SELECT {guess}"),
                format!("SELECT ARRAY[{column}, {guess}] FROM {relation}"),
                format!("SELECT greatest({column}, {guess}) FROM {relation}"),
                format!("SELECT nullif({guess}, {column}) FROM {relation}"),
                format!("SELECT lag({column}, 1000, {guess}) OVER () FROM {relation}"),
                format!("SELECT array_append(array_agg(s.{column}), {guess}) FROM {relation} s"),
                format!("VALUES ((SELECT {column} FROM {relation} LIMIT 1)), ({guess})"),
                format!("SELECT coalesce({guess}, s.c) FROM (SELECT {column} AS c FROM {relation}) s"),
                format!("SELECT coalesce({guess}, s.{column}) FROM (SELECT * FROM {relation}) s"),
                format!("WITH s AS (TABLE {relation}) SELECT coalesce({guess}, s.{column}) FROM s"),
                format!("SELECT jsonb_populate_record(s, jsonb_build_object('{column}', {guess})) FROM {relation} s"),
                format!("SELECT jsonb_populate_record(NULL::{relation}, jsonb_build_object('{column}', {guess}))"),
                format!("SELECT coalesce({guess}, (s).{column}) FROM {relation} s"),
                format!("SELECT coalesce({guess}, {column}(s)) FROM {relation} s"),
                format!("CREATE TEMP TABLE t AS SELECT {column} AS c FROM {relation}; INSERT INTO t VALUES ({guess}); SELECT c FROM t"),
                format!("SELECT {column} AS c INTO TEMP t FROM {relation}; INSERT INTO t VALUES ({guess}); SELECT c FROM t"),
                format!("CREATE TEMP TABLE t (LIKE {relation}); INSERT INTO t ({column}) VALUES ({guess}); SELECT * FROM t"),
                format!("PREPARE p AS SELECT {column} = $1, $1 FROM {relation}; EXECUTE p({guess})"),
                format!("SELECT * FROM {relation} RIGHT JOIN (VALUES ({})) v({column}) USING ({column})", guess.trim_matches('\'')),
            ];
            // Every form for one column of each relation, the first for all.
            let tried = if before == *relation { 1 } else { forms.len() };
            before.clone_from(relation);
            for sql in &forms[..tried] {
                tells_nothing(&ivan, &format!("BEGIN; {sql}"));
            }
            if type_name == "regproc" {
                tells_nothing(&ivan, &format!("SELECT 1 FROM {relation} WHERE {column} = 'qqfun' || 'x'"));
                let named = ivan.try_rows(&format!("SELECT 1 FROM {relation} WHERE {column} = 'qqfunction'"));
                assert!(named.is_err_and(|refusal| refusal.code == "0A000"), "whether it is there is not told: {relation}.{column}");
            }
        }
        for sql in [
            format!("SELECT oid::regclass AS r INTO TEMP t FROM pg_class; INSERT INTO t VALUES ({table}); SELECT r FROM t"),
            format!("PREPARE p AS SELECT 1259::regclass = $1, $1; EXECUTE p({table})"),
            format!("PREPARE p AS SELECT $1::regclass IS NULL, coalesce($1, {table}); EXECUTE p('regions')"),
            format!("SELECT coalesce('{table}', pg_get_replica_identity_index('regions'))"),
            format!("SELECT coalesce('{table}', fktable) FROM pg_get_catalog_foreign_keys()"),
            format!("SELECT '{{{table}}}' || array_agg(r) FROM pg_get_catalog_foreign_keys() AS f(r)"),
            format!("SELECT textin(regclassout({table}))"),
            format!("SELECT textin(regclassout({table}::oid)), textin(regtypeout({kind})), textin(regprocedureout({function}))"),
            format!("SELECT regclassin(oidout({table}::oid))"),
            format!("SELECT regclasssend({table}::oid)"),
            format!("SELECT array_in('{{{table}}}', 2205, -1)::text"),
            format!("SELECT record_in('({table})', 2249, -1)"),
            format!("SELECT enum_in('x', {kind})"),
            format!("SELECT oidvectortypes('{kind}')"),
            format!("SELECT satisfies_hash_partition({table}, 1, 0, 1)"),
            format!("SELECT a FROM json_to_record('{{\"a\": {table}}}') AS t(a regclass)"),
            format!("SELECT a FROM jsonb_to_recordset('[{{\"a\": {table}}}]') AS t(a regclass)"),
            format!("SELECT a FROM jsonb_to_record('{{\"a\": [{table}]}}') AS t(a regclass[])"),
            format!("SELECT a FROM xmltable('/r' PASSING '<r><a>{table}</a></r>'::xml COLUMNS a regclass PATH 'a') AS t"),
            format!("SELECT x FROM unnest('{{{table}}}'::regclass[]) AS x"),
            format!("SELECT ARRAY[{table}]::regclass[]"),
            format!("SELECT '{table}'::oidvector::regclass[]"),
            format!("CREATE TEMP TABLE t (c regclass); INSERT INTO t VALUES ({table}); SELECT c FROM t"),
            format!("CREATE TEMP VIEW v AS SELECT NULL::regclass AS c; SELECT c FROM v UNION ALL SELECT {table}"),
            format!("PREPARE p (regclass) AS SELECT $1; EXECUTE p({table})"),
            format!("SELECT '{table}'::regclass::text || ''"),
            format!("SELECT format('%s', {table}::regclass)"),
            format!("SELECT to_json({table}::regclass), row_to_json(ROW({table}::regclass))"),
            format!("SELECT max({table}::oid::regclass::text)"),
        ] {
            tells_nothing(&ivan, &format!("BEGIN; {sql}"));
        }
    }

    fn a_parameter_is_declared_of_no_type_that_bears_names(shop: shared) {
        let truth = shop.truth();
        let oid = |what: &str| truth.column(&format!("SELECT {what}::oid::text")).remove(0);
        let ours = |name: &str| oid(&format!("'pgusher.{name}'::regtype")).parse().unwrap();
        let mut raw = shop.raw("ivan@example.com");
        for number in [24, 2202, 2203, 2204, 2205, 2206, 2210, 2211, 4089, 4096, 4191, 71, ours("regclass"), ours("regclass[]"), ours("fenced_pg_type")] {
            raw.send(&[frame::parse_typed("", "SELECT $1", &[number]), frame::sync()]);
            assert_eq!(raw.until_ready()[0].refusal().code, "0A000", "{number}");
        }
        raw.send(&[frame::parse_typed("", "SELECT $1::text", &[25]), frame::sync()]);
        assert_eq!(raw.tags(), "1ZI");
    }

    fn a_catalog_is_read_by_table_as_by_select(shop: shared) {
        let ana = shop.ana();
        for (table, select) in [
            ("TABLE information_schema.enabled_roles ORDER BY 1", "SELECT * FROM information_schema.enabled_roles ORDER BY 1"),
            ("WITH c AS (TABLE pg_namespace) SELECT nspname FROM c ORDER BY 1", "SELECT nspname FROM pg_namespace ORDER BY 1"),
            ("(TABLE pg_namespace) UNION TABLE pg_catalog.pg_namespace ORDER BY 1", "SELECT * FROM pg_namespace ORDER BY 1"),
        ] {
            assert_eq!(ana.rows(table), ana.rows(select), "{table}");
        }
    }

    /// Whatever rights the session's role has in a schema upstream.
    fn a_name_with_its_schema_is_looked_up_for_who_sees_it(shop: fresh) {
        let truth = shop.truth();
        for sql in HIDDEN {
            truth.run(sql);
        }
        truth.run("REVOKE ALL ON SCHEMA qqschema FROM pgusher_session, PUBLIC");
        let (admin, ivan) = (shop.admin(), shop.ivan());
        for sql in ["has_table_privilege('qqschema.qqinside', 'SELECT')", "has_table_privilege(current_database() || '.\"qqschema\".QQinside', 'SELECT')",
                    "has_any_column_privilege('qqschema.qqinside', 'SELECT')", "to_regclass('qqschema.qqinside') IS NOT NULL"] {
            assert_eq!(admin.one(&format!("SELECT {sql}")), "t", "{sql}");
        }
        all_refused(&ivan, &[
            "SELECT has_table_privilege('qqschema.qqinside', 'SELECT')", "SELECT has_table_privilege('qqschema.nosuch', 'SELECT')",
            "SELECT has_table_privilege('nosuch.nosuch', 'SELECT')",
        ], &["42P01"]);
        ivan.refused("SELECT has_table_privilege('other.qqschema.qqinside', 'SELECT')", "0A000");
        assert_eq!(ivan.one("SELECT to_regclass('qqschema.qqinside') IS NULL"), "t");
        assert_eq!(ivan.one("SELECT has_table_privilege('public.regions', 'SELECT')"), "t");
    }

    /// What the information schema joins to a table is seen with it, and it alone.
    fn the_information_schema_lists_what_the_catalogs_do(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let catalogs = "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
            WHERE c.relkind IN ('r', 'v', 'f', 'p') AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1";
        let standard = "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1";
        assert_eq!(ana.column(standard), ana.column(catalogs));
        assert!(truth.column(catalogs).len() > ana.column(catalogs).len());
        let names = ana.column("SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1");
        assert_eq!(ana.column("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"), names);
        let order = "SELECT * FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'regions' ORDER BY ordinal_position";
        assert_eq!(ana.rows(order), truth.rows(order));
    }

    /// Tools on a direct connection look catalogs up by name alone.
    fn no_relation_of_ours_bears_a_catalogs_name(shop: shared) {
        let truth = shop.truth();
        let twice = truth.column(
            "SELECT c.relname FROM pg_class AS c JOIN pg_class AS k USING (relname) WHERE c.relnamespace = 'pgusher'::regnamespace \
             AND k.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)",
        );
        assert!(twice.is_empty(), "{twice:?}");
        assert!(truth.one("SELECT count(*) FROM pg_class WHERE relnamespace = 'pgusher'::regnamespace AND relname ~ 'pg_constraint'").parse::<i32>().unwrap() > 2);
        assert_eq!(truth.one("SELECT (SELECT oid FROM pg_class WHERE relname = 'pg_constraint')"), "2606");
    }

    fn the_schemas_that_are_seen_are_listed(shop: shared) {
        let list = |client: &Client| client.column("SELECT schema_name FROM information_schema.schemata ORDER BY 1");
        assert_eq!(list(&shop.ana()), ["information_schema", "pg_catalog", "public"]);
        assert!(list(&shop.admin()).contains(&"public".to_owned()));
        assert!(!list(&shop.admin()).iter().any(|name| name.starts_with("pgusher")));
    }

    /// What drivers ask of these columns is answered as ever.
    fn columns_that_bear_names_stay_of_use(shop: shared) {
        let ana = shop.ana();
        for (sql, expected) in [
            ("SELECT typinput FROM pg_type WHERE typname = '_int4'", "array_in"),
            ("SELECT typinput = 'pg_catalog.array_in'::regproc FROM pg_type WHERE typname = '_int4'", "t"),
            ("SELECT t.typinput = 'array_in(cstring,oid,integer)'::regprocedure FROM pg_type t WHERE oid = 1007", "t"),
            ("SELECT p.proname FROM pg_type t JOIN pg_proc p ON p.oid = t.typreceive WHERE t.oid = 1007", "array_recv"),
            ("SELECT x.b FROM (SELECT (t.typreceive::oid <> 0 AND t.typsend::oid <> 0) AS b FROM pg_type t WHERE t.oid = 23) x", "t"),
            ("SELECT CASE WHEN typinput = 'array_in'::regproc THEN typinput::text END FROM pg_type WHERE oid = 1007", "array_in"),
        ] {
            assert_eq!(ana.column(sql).concat(), expected, "{sql}");
        }
    }

    fn what_is_granted_or_made_shows_at_once_and_a_rollback_takes_it_back(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        let sees = |client: &Client, name: &str| {
            client.column(&format!("SELECT count(*)::text FROM pg_class WHERE relname = '{name}'")).concat() == "1"
        };
        assert!(!sees(&ivan, "employees") && sees(&ivan, "customers"));
        admin.run("BEGIN");
        admin.run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        assert!(!sees(&ivan, "employees"), "not committed");
        admin.run("COMMIT");
        assert!(sees(&ivan, "employees"));
        admin.run("BEGIN");
        admin.run("REVOKE SELECT ON TABLE employees FROM \"ivan@example.com\"");
        assert!(sees(&ivan, "employees"), "not committed");
        admin.run("ROLLBACK");
        assert!(sees(&ivan, "employees"));
        admin.run("REVOKE SELECT ON TABLE employees FROM \"ivan@example.com\"");
        assert!(!sees(&ivan, "employees"));
        admin.run("GRANT READ_METADATA ON SCHEMA public TO \"ivan@example.com\"");
        assert!(sees(&ivan, "employees"), "through its schema");
        admin.run("REVOKE READ_METADATA ON SCHEMA public FROM \"ivan@example.com\"");
        admin.run("GRANT CREATE ON SCHEMA public TO \"ivan@example.com\"");
        assert!(!sees(&ivan, "employees"), "CREATE is a right on the schema alone");
        admin.run("BEGIN");
        admin.run("CREATE TABLE mine (id integer PRIMARY KEY, word text)");
        admin.run("GRANT SELECT ON TABLE mine TO \"ivan@example.com\"");
        assert!(sees(&admin, "mine") && sees(&admin, "mine_pkey"), "made in this transaction");
        assert_eq!(admin.column("SELECT tableowner::text FROM pg_tables WHERE tablename = 'mine'").concat(), "admin@example.com");
        assert!(!sees(&ivan, "mine"));
        admin.run("COMMIT");
        assert!(sees(&ivan, "mine") && sees(&ivan, "mine_pkey"));
        admin.run("GRANT SELECT ON TABLE employees TO interns");
        assert!(sees(&ivan, "employees"), "through a group");
        admin.run("ALTER GROUP interns DROP USER \"ivan@example.com\"");
        assert!(!sees(&ivan, "employees"));
    }

    fn privileges_are_those_of_our_grants(shop: shared) {
        let ana = shop.ana();
        for (sql, expected) in [
            ("has_table_privilege('orders', 'SELECT')", "t"), ("has_table_privilege('orders', 'INSERT')", "t"),
            ("has_table_privilege('regions', 'INSERT')", "f"), ("has_table_privilege('regions', 'INSERT, SELECT')", "t"),
            ("has_table_privilege('regions'::regclass, 'SELECT')", "t"), ("has_table_privilege(current_user, 'regions', 'SELECT')", "t"),
            ("has_table_privilege('regions', 'SELECT WITH GRANT OPTION')", "f"), ("has_any_column_privilege('regions', 'SELECT')", "t"),
            ("has_column_privilege('regions', 'name', 'UPDATE')", "f"), ("has_column_privilege('orders', 1::smallint, 'UPDATE')", "t"),
            ("has_schema_privilege('public', 'USAGE')", "t"), ("has_schema_privilege('public', 'CREATE')", "f"),
            ("has_function_privilege('upper(text)', 'EXECUTE')", "t"), ("has_database_privilege(current_database(), 'CONNECT')", "t"),
            ("has_sequence_privilege('orders_id_seq', 'USAGE')", "t"), ("pg_has_role('analysts', 'MEMBER')", "t"),
            ("pg_has_role('hr', 'MEMBER')", "f"), ("has_table_privilege('pg_class', 'SELECT')", "t"), ("row_security_active('orders')", "t"),
        ] {
            assert_eq!(ana.column(&format!("SELECT {sql}")).concat(), expected, "{sql}");
        }
        all_refused(&ana, &[
            "SELECT has_table_privilege('region_desk', 'SELECT')", "SELECT has_table_privilege('no_such_table', 'SELECT')",
            "SELECT has_table_privilege('bob@example.com', 'orders', 'SELECT')", "SELECT has_table_privilege('postgres', 'orders', 'SELECT')",
            "SELECT has_table_privilege('orders', 'FLY')", "SELECT has_schema_privilege('pgusher', 'USAGE')",
            "SELECT has_table_privilege('pgusher.token', 'SELECT')",
        ], &["42P01", "42704", "22023", "3F000"]);
    }
}
