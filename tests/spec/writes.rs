//! Writes into governed tables, form by form, against an oracle: an ordinary table of the same shape that holds only the rows the
//! filter leaves and only the values the masks leave. What PostgreSQL does there is what the governed table must do.

use crate::harness::{Client, Mechanism, Shop, both_mechanisms};

/// What governs a table, and the shadow it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Filtered,
    Masked,
    Both,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Filtered => "filtered",
            Kind::Masked => "masked",
            Kind::Both => "both",
        }
    }

    fn filtered(self) -> bool {
        self != Kind::Masked
    }

    fn masked(self) -> bool {
        self != Kind::Filtered
    }
}

const KINDS: [Kind; 3] = [Kind::Filtered, Kind::Masked, Kind::Both];

/// What a form takes; where it is missing, the form is refused with 0A000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Nothing: it works everywhere.
    Nothing,
    /// The table itself, no view for it.
    Table,
    /// A filter that no view enforces.
    NoFilterView,
    /// System columns.
    SystemColumns,
    /// PostgreSQL 17, where a view stands for the table.
    MergeIntoViews,
    /// The same, and a filter that no view enforces.
    MergeWithInsert,
}

impl Takes {
    fn given(self, kind: Kind, mechanism: Mechanism, version: u32) -> bool {
        let by_view = kind.filtered() && mechanism == Mechanism::View;
        match self {
            Takes::Nothing => true,
            Takes::Table => !kind.masked() && !by_view,
            Takes::NoFilterView => !by_view,
            Takes::SystemColumns => kind.masked() || !by_view,
            Takes::MergeIntoViews => (!kind.masked() && !by_view) || version >= 17,
            Takes::MergeWithInsert => !by_view && (!kind.masked() || version >= 17),
        }
    }
}

/// `{t}` is the table. Masked are pay (shown as 1) and code (shown as 'c' and the id); ana sees the rows with odd ids.
const FORMS: &[(Takes, &str)] = &[
    // INSERT
    (Takes::Nothing, "INSERT INTO {t} (owner, name, badge) VALUES ('ana', 'n', 500)"),
    (
        Takes::Nothing,
        "INSERT INTO {t} (owner, name, badge) VALUES ('ana', 'n', 500) RETURNING id, owner, name, badge, tags, home, doubled, number, boss",
    ),
    (Takes::Nothing, "INSERT INTO {t} VALUES (200, 'ana', 'n', 9, 'cc', 500, '{x}', ROW('a', 'b')) RETURNING home, number"),
    (
        Takes::Nothing,
        "INSERT INTO {t} VALUES (201, 'ana', 'n', DEFAULT, DEFAULT, 501), (202, 'ana', 'm', 6, 'dd', DEFAULT) RETURNING id, doubled",
    ),
    (Takes::Nothing, "INSERT INTO {t} DEFAULT VALUES"),
    (Takes::Nothing, "INSERT INTO {t} (id, owner, name) OVERRIDING SYSTEM VALUE VALUES (300, 'ana', 'n') RETURNING id"),
    (Takes::Nothing, "INSERT INTO {t} (id, owner, name) OVERRIDING USER VALUE VALUES (300, 'ana', 'n') RETURNING id"),
    (
        Takes::Nothing,
        "INSERT INTO {t} (owner, name, pay) SELECT 'ana', name || code, pay + 1 FROM {t} WHERE id < 4 ORDER BY id RETURNING name",
    ),
    (Takes::Nothing, "INSERT INTO {t} (owner, name, doubled) VALUES ('ana', 'n', 3)"),
    (Takes::Nothing, "INSERT INTO {t} (owner, name, doubled, pay) VALUES ('ana', 'n', DEFAULT, DEFAULT) RETURNING doubled"),
    (Takes::Nothing, "INSERT INTO {t} AS x (owner, name) VALUES ('ana', 'n') RETURNING x.id, x.name || x.owner AS both"),
    (Takes::Nothing, "INSERT INTO {t} (owner, name, home.street, tags[2]) VALUES ('ana', 'n', 'st', 'tt') RETURNING home, tags"),
    (Takes::Nothing, "INSERT INTO {t} (owner, name, pay) VALUES ('ana', 'n', -4)"),
    (Takes::Nothing, "INSERT INTO {t} (owner, name) VALUES ('ana', NULL)"),
    (Takes::Nothing, "INSERT INTO {t} (owner, name, badge) VALUES ('ana', 'n', 103)"),
    (Takes::Nothing, "INSERT INTO {t} (owner, name, boss) VALUES ('ana', 'n', 9999)"),
    (Takes::Nothing, "INSERT INTO {t} (nosuch) VALUES (1)"),
    (Takes::Nothing, "INSERT INTO {t} (name, name) VALUES (1, 2)"),
    (Takes::Nothing, "INSERT INTO {t} (owner, name, pay) VALUES ('ana', 'é', 'abc')"),
    (Takes::Nothing, "INSERT INTO {t} (owner) VALUES ('ana', 'more')"),
    // ON CONFLICT
    (Takes::Nothing, "INSERT INTO {t} (id, owner, name) VALUES (1, 'ana', 'n') ON CONFLICT DO NOTHING RETURNING id"),
    (
        Takes::Nothing,
        "INSERT INTO {t} (id, owner, name) VALUES (1, 'ana', 'n'), (600, 'ana', 'm') ON CONFLICT (id) DO NOTHING RETURNING id",
    ),
    (Takes::Nothing, "INSERT INTO {t} (id, owner, name) VALUES (1, 'ana', 'n') ON CONFLICT ON CONSTRAINT {t}_pkey DO NOTHING"),
    (Takes::Nothing, "INSERT INTO {t} (id, owner, name) VALUES (1, 'ana', 'n') ON CONFLICT ON CONSTRAINT nosuch DO NOTHING"),
    (Takes::Nothing, "INSERT INTO {t} (id, owner, name) VALUES (1, 'ana', 'n') ON CONFLICT (name) DO NOTHING"),
    (
        Takes::NoFilterView,
        "INSERT INTO {t} (owner, name, badge) VALUES ('ana', 'n', 103) ON CONFLICT ON CONSTRAINT {t}_badge_key DO UPDATE SET name = 'up' RETURNING id, name",
    ),
    (
        Takes::NoFilterView,
        "INSERT INTO {t} AS x (id, owner, name, pay) VALUES (1, 'ana', 'n', 77) ON CONFLICT (id) DO UPDATE SET pay = excluded.pay, name = excluded.name || x.name || x.code || excluded.pay RETURNING id, name",
    ),
    (
        Takes::NoFilterView,
        "INSERT INTO {t} AS x VALUES (3, 'ana', 'n', 78) ON CONFLICT (id) DO UPDATE SET name = 'q', pay = DEFAULT WHERE x.pay < 10 RETURNING id, name",
    ),
    (
        Takes::NoFilterView,
        "INSERT INTO {t} AS x VALUES (3, 'ana', 'n', 78) ON CONFLICT (id) DO UPDATE SET (name, pay) = (SELECT 'sub', 4) WHERE x.pay > 10",
    ),
    // UPDATE
    (Takes::Nothing, "UPDATE {t} SET pay = pay + 1, name = name || pay WHERE id = 1 RETURNING name"),
    (Takes::Nothing, "UPDATE {t} SET name = 'rich' WHERE pay > 5"),
    (Takes::Nothing, "UPDATE {t} SET name = 'coded' WHERE code = 'c3'"),
    (Takes::Nothing, "UPDATE {t} SET (pay, name) = (3, code) WHERE id < 4 RETURNING id, name"),
    (Takes::Nothing, "UPDATE {t} SET (pay, name) = (SELECT 4, y.name || y.code FROM {t} y WHERE y.id = {t}.id) WHERE id < 4"),
    (Takes::Nothing, "UPDATE {t} SET (name, pay, noted) = ROW ('r', DEFAULT, DEFAULT) WHERE id = 1 RETURNING name"),
    (
        Takes::Nothing,
        "UPDATE {t} SET owner = DEFAULT, pay = DEFAULT, number = DEFAULT, code = DEFAULT WHERE id = 1 RETURNING owner, number",
    ),
    (
        Takes::Nothing,
        "UPDATE {t} x SET name = y.name || y.pay, pay = y.pay + 10 FROM {t} y WHERE y.id = x.id + 2 RETURNING x.id, y.name, y.pay",
    ),
    (
        Takes::Nothing,
        "UPDATE ONLY {t} SET name = r.name FROM regions r JOIN regions s ON r.code = s.code WHERE r.code = 'EMEA' AND {t}.id = 1 RETURNING {t}.id, r.*, s.name",
    ),
    (Takes::Nothing, "UPDATE {t} SET tags[1] = 'q', home.city = code WHERE id = 1 RETURNING tags, home"),
    (Takes::Nothing, "UPDATE {t} SET badge = 103 WHERE id = 1"),
    (Takes::Nothing, "UPDATE {t} SET doubled = 4 WHERE id = 1"),
    (Takes::Nothing, "UPDATE {t} SET pay = -pay WHERE id = 1"),
    (Takes::Nothing, "UPDATE {t} SET nosuch = 1"),
    (Takes::Nothing, "UPDATE {t} SET name = nosuch"),
    (Takes::Nothing, "UPDATE {t} SET name = x.name"),
    (Takes::Table, "UPDATE {t} SET doubled = DEFAULT, id = DEFAULT WHERE id = 1 RETURNING doubled"),
    // DELETE
    (Takes::Nothing, "DELETE FROM {t} WHERE id < 3"),
    (
        Takes::Nothing,
        "DELETE FROM {t} USING regions r WHERE r.code = 'EMEA' AND {t}.id = 1 RETURNING {t}.name, r.name, 'x' || {t}.badge",
    ),
    (Takes::Nothing, "DELETE FROM {t} x USING {t} y WHERE x.id = 1 AND y.id = 3 RETURNING x.name, y.pay, y.code"),
    (Takes::Nothing, "DELETE FROM ONLY {t} WHERE code = 'real1'"),
    (Takes::Nothing, "DELETE FROM {t} WHERE EXISTS (SELECT 1 FROM {t} y WHERE y.pay = {t}.pay AND y.id > {t}.id)"),
    // In other statements
    (Takes::Nothing, "WITH n AS (INSERT INTO {t} (owner, name) VALUES ('ana', 'n') RETURNING name, badge) SELECT * FROM n"),
    (
        Takes::Nothing,
        "WITH n AS (UPDATE {t} SET name = 'w' WHERE id = 1 RETURNING *), d AS (DELETE FROM {t} WHERE id = 3 RETURNING id, name) SELECT n.name, d.name FROM n, d",
    ),
    (
        Takes::Nothing,
        "WITH old AS (SELECT * FROM {t} WHERE id = 5) UPDATE {t} SET name = old.code FROM old WHERE {t}.id = 7 RETURNING {t}.name",
    ),
    (Takes::Nothing, "PREPARE p AS UPDATE {t} SET name = $1 WHERE code = $2 RETURNING id"),
    // Locks, samples and system columns
    (Takes::Nothing, "SELECT id, pay, code FROM {t} WHERE id < 4 ORDER BY id FOR UPDATE"),
    (Takes::Nothing, "SELECT x.id, x.code FROM {t} x, regions r WHERE x.id < 4 ORDER BY 1 FOR NO KEY UPDATE OF x SKIP LOCKED"),
    (Takes::Nothing, "SELECT count(*) FROM (SELECT 1 FROM {t} FOR KEY SHARE) q"),
    (Takes::Table, "SELECT id FROM {t} TABLESAMPLE BERNOULLI (100) ORDER BY id"),
    (
        Takes::SystemColumns,
        "SELECT id, code, pay, ctid IS NULL, xmin = '0', xmax IS NULL, {t}.tableoid = 0 FROM {t} WHERE id < 4 ORDER BY id",
    ),
    (
        Takes::SystemColumns,
        "DELETE FROM {t} WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM {t} AS x WHERE x.code = 'c5')) RETURNING id, tableoid = 0",
    ),
    (
        Takes::Table,
        "MERGE INTO {t} x USING (VALUES (1, 'm')) s (id, v) ON x.id = s.id WHEN MATCHED AND x.ctid IS NOT NULL THEN UPDATE SET doubled = DEFAULT",
    ),
    (
        Takes::MergeWithInsert,
        "MERGE INTO {t} x USING (VALUES (1, 'm'), (50, 'new')) s (id, v) ON x.id = s.id WHEN MATCHED AND x.pay < 10 THEN UPDATE SET name = s.v || x.code, pay = x.pay + 1 WHEN NOT MATCHED THEN INSERT (id, owner, name, pay) VALUES (s.id, 'ana', s.v, DEFAULT)",
    ),
    (
        Takes::MergeIntoViews,
        "MERGE INTO {t} x USING {t} y ON x.id = y.id WHEN MATCHED AND x.code = y.code THEN DELETE WHEN NOT MATCHED THEN DO NOTHING",
    ),
];

/// The same for a partitioned table and for a parent with a child: fewer columns, no constraints on them.
const TREE_FORMS: &[(Takes, &str)] = &[
    (Takes::Nothing, "INSERT INTO {t} (id, owner, name, pay, code) VALUES (401, 'ana', 'n', 3, 'x') RETURNING id, name"),
    (Takes::Nothing, "INSERT INTO {t} SELECT id + 100, owner, name || code, pay, code FROM {t} RETURNING name"),
    (Takes::Nothing, "UPDATE {t} SET pay = pay + 1, name = name || pay || code WHERE id > 4 RETURNING id, name"),
    (Takes::Nothing, "UPDATE {t} SET id = id + 4, pay = DEFAULT WHERE id = 3 RETURNING id"),
    (Takes::Nothing, "UPDATE {t} SET name = 'c' WHERE code = 'c5'"),
    (Takes::Nothing, "DELETE FROM {t} WHERE pay = 1 AND id < 8 RETURNING id"),
    (Takes::Nothing, "SELECT id, pay FROM {t} ORDER BY id FOR UPDATE"),
    (Takes::SystemColumns, "SELECT id, code, tableoid = 0 FROM {t} WHERE id < 4 ORDER BY id"),
];

const COLUMNS: &str = "id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, owner text NOT NULL DEFAULT 'ana', name text NOT NULL,
    pay integer NOT NULL DEFAULT 7 CONSTRAINT {t}_pay_positive CHECK (pay > 0), code text CONSTRAINT {t}_code_key UNIQUE,
    badge integer CONSTRAINT {t}_badge_key UNIQUE, tags text[], home public.w_address, doubled integer GENERATED ALWAYS AS (badge * 2) STORED,
    number serial, boss integer REFERENCES public.{t}, noted date DEFAULT '2020-02-02'";

const ROWS: &str =
    "SELECT n, CASE WHEN n % 2 = 1 THEN 'ana' ELSE 'bob' END AS owner, 'name' || n AS name, 1000 + n AS pay, 'real' || n AS code,
    100 + n AS badge, ARRAY['a' || n, 'b'] AS tags, ROW('s' || n, 'c')::public.w_address AS home FROM generate_series(1, 10) n";

/// What the shadow of a table holds.
fn shadow_rows(kind: Kind) -> String {
    let masks = if kind.masked() { "1 AS pay, 'c' || n AS code" } else { "pay, code" };
    let filter = if kind.filtered() { "owner = 'ana'" } else { "true" };
    format!("SELECT n, owner, name, {masks}, badge, tags, home FROM ({ROWS}) r WHERE {filter}")
}

fn govern(admin: &Client, table: &str, kind: Kind) {
    if kind.filtered() {
        admin.run(&format!("ALTER TABLE {table} SET ROW FILTER (owner = split_part(current_user(), '@', 1))"));
    }
    if kind.masked() {
        admin.run(&format!("ALTER TABLE {table} ALTER COLUMN pay SET MASK (1)"));
        admin.run(&format!("ALTER TABLE {table} ALTER COLUMN code SET MASK ('c' || id)"));
    }
}

/// The tables `w_<kind>` with their shadows `s_<kind>`; ana may read and write all of them.
fn set_up(shop: &Shop) {
    let (truth, admin) = (shop.truth(), shop.admin());
    truth.run("SET ROLE shop_owner; CREATE TYPE public.w_address AS (street text, city text)");
    for kind in KINDS {
        for (table, rows) in [(format!("w_{}", kind.name()), ROWS.to_owned()), (format!("s_{}", kind.name()), shadow_rows(kind))] {
            truth.run(&format!(
                "CREATE TABLE public.{table} ({}); INSERT INTO public.{table} (id, owner, name, pay, code, badge, tags, home) {rows};
                 SELECT setval(pg_get_serial_sequence('public.{table}', 'id'), 100), setval(pg_get_serial_sequence('public.{table}', 'number'), 100);
                 UPDATE public.{table} SET number = id",
                COLUMNS.replace("{t}", &table)
            ));
        }
        let name = kind.name();
        let small = "id integer, owner text, name text, pay integer DEFAULT 7, code text";
        truth.run(&format!(
            "CREATE TABLE public.p_{name} ({small}) PARTITION BY RANGE (id);
             CREATE TABLE public.p_{name}_low PARTITION OF public.p_{name} FOR VALUES FROM (0) TO (5);
             CREATE TABLE public.p_{name}_high PARTITION OF public.p_{name} FOR VALUES FROM (5) TO (1000);
             INSERT INTO public.p_{name} SELECT n, owner, name, pay, code FROM ({ROWS}) r;
             CREATE TABLE public.k_{name} ({small});
             CREATE TABLE public.k_{name}_child (more text) INHERITS (public.k_{name});
             INSERT INTO public.k_{name} SELECT n, owner, name, pay, code FROM ({ROWS}) r WHERE n < 5;
             INSERT INTO public.k_{name}_child SELECT n, owner, name, pay, code FROM ({ROWS}) r WHERE n >= 5;
             CREATE TABLE public.t_{name} ({small});
             INSERT INTO public.t_{name} SELECT n, owner, name, pay, code FROM ({}) r",
            shadow_rows(kind)
        ));
    }
    for kind in KINDS {
        for letter in ["w", "s", "p", "k", "t"] {
            let table = format!("{letter}_{}", kind.name());
            if !["s", "t"].contains(&letter) {
                govern(&admin, &table, kind);
            }
            admin.run(&format!("GRANT SELECT, MODIFY ON TABLE {table} TO \"ana@example.com\""));
        }
    }
}

type Rows = Vec<Vec<String>>;

/// What became of a form: rows, count and what the table holds then, or the error; in terms of `{t}`.
fn outcome(ana: &Client, form: &str, table: &str, state: &str) -> Result<(Rows, u64, Rows), String> {
    ana.run("BEGIN");
    let done = ana.try_run(&form.replace("{t}", table)).map(|(mut rows, count)| {
        if !form.contains("ORDER BY") {
            rows.sort();
        }
        (rows, count, ana.rows(&state.replace("{t}", table)))
    });
    ana.run("ROLLBACK");
    if form.starts_with("PREPARE") {
        ana.run("DEALLOCATE ALL");
    }
    done.map_err(|refusal| {
        let before = form.find("{t}").map_or(0, |at| form[..at].matches("{t}").count());
        assert!(before == 0);
        let place = refusal.position.map(|at| tail(&form.replace("{t}", table), at).replace(table, "{t}"));
        format!("{} {} at {place:?}", refusal.code, refusal.message.replace(table, "{t}"))
    })
}

/// The text from a position on.
fn tail(text: &str, position: u32) -> String {
    text.chars().skip(position as usize - 1).collect()
}

fn compare(shop: &Shop, forms: &[(Takes, &str)], governed: &str, shadow: &str, state: &str) {
    let (ana, version) = (shop.ana(), version(shop));
    let mut wrong = Vec::new();
    for kind in KINDS {
        let (table, shadow) = (format!("{governed}_{}", kind.name()), format!("{shadow}_{}", kind.name()));
        for (takes, form) in forms {
            let got = outcome(&ana, form, &table, state);
            if !takes.given(kind, shop.mechanism, version) {
                if !matches!(&got, Err(text) if text.starts_with("0A000") && !text.contains("view ")) {
                    wrong.push(format!("{kind:?} {form}\n   0A000 was expected: {got:?}"));
                }
                continue;
            }
            let expected = outcome(&ana, form, &shadow, state);
            if got != expected {
                wrong.push(format!("{kind:?} {form}\n   expected {expected:?}\n   got      {got:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), forms.len() * KINDS.len(), wrong.join("\n"));
}

fn version(shop: &Shop) -> u32 {
    shop.truth().one("SHOW server_version_num").parse::<u32>().expect("a number") / 10_000
}

both_mechanisms! {
    fn every_form_of_a_write_does_what_it_does_on_the_shadow(shop: fresh) {
        set_up(shop);
        compare(shop, FORMS, "w", "s", "SELECT id, owner, name, badge, tags, home, doubled, number, boss, noted FROM {t} ORDER BY id");
        compare(shop, TREE_FORMS, "p", "t", "SELECT id, owner, name FROM {t} ORDER BY id, name");
        compare(shop, TREE_FORMS, "k", "t", "SELECT id, owner, name FROM {t} ORDER BY id, name");
    }
}
