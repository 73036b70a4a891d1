//! A database behind pgusher, and beside it the reference: a database that holds what a principal may see and nothing else.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::compare::Pair;
use super::side::Side;
use crate::harness::{ADMIN, Client, Mechanism, Passing, Proxy, ProxySettings, Upstream};

/// A principal and the groups it is in.
pub type Person = (&'static str, &'static [&'static str]);

/// Who there is in the worlds of this oracle.
pub const PEOPLE: [Person; 3] = [("ana@example.com", &["g1"]), ("bob@example.com", &["g1", "g2"]), ("eve@example.com", &[])];

/// Filters, masks and the functions that they use. Identity is asked for by `current_user()` and `is_member('…')`.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// Whole CREATE FUNCTION statements.
    pub functions: Vec<String>,
    /// Table to boolean expression.
    pub filters: BTreeMap<String, String>,
    /// Table and column to expression of the column's type.
    pub masks: BTreeMap<(String, String), String>,
}

impl Policies {
    /// The statements of pgusher's dialect that set them.
    pub fn statements(&self) -> Vec<String> {
        let mut all = self.functions.clone();
        all.extend(self.filters.iter().map(|(table, filter)| format!("ALTER TABLE {table} SET ROW FILTER ({filter})")));
        all.extend(
            self.masks.iter().map(|((table, column), mask)| format!("ALTER TABLE {table} ALTER COLUMN {column} SET MASK ({mask})")),
        );
        all
    }

    /// Whether the table's filter reads a column of it that is masked.
    pub fn filter_reads_masks(&self, table: &str) -> bool {
        let reads = |column: &String| self.filters.get(table).is_some_and(|filter| filter.contains(column.as_str()));
        self.masks.keys().any(|(t, column)| t == table && reads(column))
    }

    fn tables(&self) -> Vec<&str> {
        let mut tables: Vec<&str> =
            self.filters.keys().map(String::as_str).chain(self.masks.keys().map(|(t, _)| t.as_str())).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }
}

/// What a database is made of: SQL for a superuser, and who may read what.
#[derive(Clone, Copy)]
pub struct Data {
    /// Short, for names of databases.
    pub name: &'static str,
    /// Makes the tables.
    pub load: fn(&Client),
    /// Tables and views that everybody may read.
    pub readable: &'static [&'static str],
    /// Tables that everybody may write.
    pub writable: &'static [&'static str],
}

/// A governed database with its proxy.
pub struct World {
    data: Data,
    mechanism: Mechanism,
    plain: String,
    proxy: Proxy,
    admin: Client,
    tokens: BTreeMap<&'static str, String>,
    set: Policies,
    shadow: Option<Passing>,
    // The last field: the proxy has ended before the database goes.
    governed: Passing,
}

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// The plain database that the others are copies of: so that oids are the same everywhere.
fn plain(data: &Data) -> String {
    static MADE: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let name = format!("plain_{}", data.name);
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !made.contains(&data.name) {
        let upstream = Upstream::shared();
        let root = upstream.superuser("postgres");
        for (person, groups) in PEOPLE {
            for role in groups.iter().chain([&person]) {
                root.run(&format!(
                    "DO $$BEGIN CREATE ROLE \"{role}\" LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END$$"
                ));
            }
            for group in groups {
                root.run(&format!("GRANT \"{group}\" TO \"{person}\""));
            }
        }
        root.run(&format!("CREATE DATABASE {name}"));
        (data.load)(&upstream.superuser(&name));
        made.push(data.name);
    }
    name
}

impl World {
    /// A world without filters and masks.
    pub fn new(data: Data, mechanism: Mechanism) -> World {
        let upstream = Upstream::shared();
        let plain = plain(&data);
        let governed = format!("governed_{}_{}", data.name, NUMBER.fetch_add(1, Ordering::Relaxed));
        upstream.copy_database(&plain, &governed);
        let settings = ProxySettings::new(&governed, mechanism);
        let token = settings.init(upstream, ADMIN);
        let proxy = Proxy::start(upstream, settings);
        let admin = Client::try_connect(proxy.port, &governed, ADMIN, &token).expect("the administrator may log in");
        let mut tokens = BTreeMap::new();
        for group in ["g1", "g2"] {
            admin.run(&format!("CREATE GROUP {group}"));
        }
        for (person, groups) in PEOPLE {
            admin.run(&format!("CREATE USER \"{person}\""));
            for group in groups {
                admin.run(&format!("ALTER GROUP {group} ADD USER \"{person}\""));
            }
            let row = admin.rows(&format!("CREATE TOKEN FOR \"{person}\"")).swap_remove(0);
            tokens.insert(person, row.into_iter().find(|v| v.starts_with("pgu_")).expect("a token is shown"));
        }
        let views = upstream.superuser(&plain).column("SELECT relname FROM pg_class WHERE relkind = 'v'");
        for table in data.readable {
            let kind = if views.iter().any(|v| v == table) { "VIEW" } else { "TABLE" };
            admin.run(&format!("GRANT SELECT ON {kind} {table} TO users"));
        }
        for table in data.writable {
            admin.run(&format!("GRANT MODIFY ON TABLE {table} TO users"));
        }
        World { data, mechanism, plain, proxy, admin, tokens, set: Policies::default(), shadow: None, governed: Passing(governed) }
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The administrator's session.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// A superuser of the governed database.
    pub fn truth(&self) -> Client {
        Upstream::shared().superuser(&self.governed.0)
    }

    /// Another copy of the plain database.
    pub fn beside(&self, purpose: &str) -> Passing {
        let name = format!("{purpose}_{}_{}", self.data.name, NUMBER.fetch_add(1, Ordering::Relaxed));
        Upstream::shared().copy_database(&self.plain, &name);
        Upstream::shared().superuser(&name).run(IDENTITY);
        Passing(name)
    }

    /// Puts these policies in the place of those before, and makes an empty reference.
    pub fn govern(&mut self, policies: &Policies) {
        for table in self.set.filters.keys() {
            self.admin.run(&format!("ALTER TABLE {table} DROP ROW FILTER"));
        }
        for (table, column) in self.set.masks.keys() {
            self.admin.run(&format!("ALTER TABLE {table} ALTER COLUMN {column} DROP MASK"));
        }
        for statement in policies.statements() {
            self.admin.run(&statement);
        }
        self.set = policies.clone();
        self.new_shadow();
    }

    fn new_shadow(&mut self) {
        let upstream = Upstream::shared();
        self.shadow = None;
        let name = format!("shadow_{}_{}", self.data.name, NUMBER.fetch_add(1, Ordering::Relaxed));
        upstream.copy_database(&self.plain, &name);
        let root = upstream.superuser(&name);
        root.run(IDENTITY);
        for function in &self.set.functions {
            root.run(&here(function));
        }
        if self.set.filters.values().any(|filter| filter.contains(MAPPING)) {
            root.run("CREATE TABLE raw.region_desk AS SELECT * FROM public.region_desk; GRANT SELECT ON raw.region_desk TO PUBLIC");
        }
        for table in self.set.tables() {
            root.run(&format!("CREATE TABLE raw.{table} AS SELECT * FROM public.{table}"));
        }
        // A column of masks keeps none of the promises that were made about its values.
        for (table, column) in self.set.masks.keys() {
            let about = format!(
                "SELECT DISTINCT c.conrelid::regclass || '|' || c.conname FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = '{table}'::regclass AND a.attname = '{column}'
                 WHERE c.conparentid = 0 AND (c.conrelid = a.attrelid AND a.attnum = ANY (c.conkey) OR c.confrelid = a.attrelid AND a.attnum = ANY (c.confkey))"
            );
            for found in root.column(&about) {
                let (relation, constraint) = found.split_once('|').expect("two names");
                root.run(&format!("ALTER TABLE {relation} DROP CONSTRAINT IF EXISTS {constraint} CASCADE"));
            }
            root.run(&format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"));
        }
        // New rows must pass the filter here too, where it reads nothing that is masked.
        for (table, filter) in &self.set.filters {
            if !self.set.filter_reads_masks(table) {
                root.run(&format!(
                    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON {table} USING (true) WITH CHECK ({})",
                    here(filter)
                ));
            }
        }
        let grants = |tables: &[&str], privileges: &str| {
            for table in tables {
                root.run(&format!("GRANT {privileges} ON public.{table} TO PUBLIC"));
            }
        };
        grants(self.data.readable, "SELECT");
        grants(self.data.writable, "INSERT, UPDATE, DELETE");
        self.shadow = Some(Passing(name));
    }

    fn row_types(&self) -> BTreeMap<u32, u32> {
        let pairs = self.truth().rows(
            "SELECT v.oid, t.oid FROM pg_type v JOIN pg_type t USING (typname)
             WHERE v.typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgusher_public') AND t.typnamespace = 'public'::regnamespace",
        );
        pairs.into_iter().map(|pair| (pair[0].parse().expect("an oid"), pair[1].parse().expect("an oid"))).collect()
    }

    /// Fills the reference with what this person may see, and connects both sides.
    pub fn pair(&self, person: Person) -> Pair {
        let upstream = Upstream::shared();
        let name = person.0;
        let shadow = &self.shadow.as_ref().expect("policies were set").0;
        let root = upstream.superuser(shadow);
        identify(&root, person);
        for table in self.set.tables() {
            let columns = root.column(&format!(
                "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            ));
            let values: Vec<String> = columns
                .iter()
                .map(|column| match self.set.masks.get(&(table.to_owned(), column.clone())) {
                    Some(mask) => format!(
                        "CAST(({}) AS {})",
                        here(mask),
                        root.one(&format!("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = '{column}'"))
                    ),
                    None => format!("{table}.{column}"),
                })
                .collect();
            let filter = self.set.filters.get(table).map_or("true".to_owned(), |f| here(f));
            root.run(&format!(
                "SET session_replication_role = replica;
                 DELETE FROM public.{table};
                 INSERT INTO public.{table} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM raw.{table} AS {table} WHERE ({filter});
                 SET session_replication_role = origin",
                columns.join(", "),
                values.join(", ")
            ));
            root.run(&format!("VACUUM ANALYZE public.{table}"));
        }
        Pair {
            proxied: Side::through(self.proxy.port, &self.governed.0, name, &self.tokens[name]),
            direct: Side::direct(&upstream.directory, upstream.port, shadow, name),
            texts: true,
            origins: true,
            row_types: self.row_types(),
            rows: 0,
        }
    }
}

/// Tells a database who asks, for `is_member` and `current_user`.
pub fn identify(root: &Client, (name, groups): Person) {
    let groups: Vec<String> = groups.iter().map(|g| format!("'{g}'")).collect();
    root.run(&format!("UPDATE oracle.me SET principal = '{name}', groups = ARRAY[{}]::text[]", groups.join(", ")));
}

/// A policy's text with the reference's identity in the place of pgusher's.
fn here(text: &str) -> String {
    text.replace("current_user()", "oracle.who()").replace("is_member(", "oracle.is_member(").replace(MAPPING, "raw.region_desk")
}

/// The table that filters may read and people may not: checks of new rows read a copy that nobody can name.
const MAPPING: &str = "public.region_desk";

/// The principal of the reference, and copies of tables as they really are, where nobody but a superuser comes.
const IDENTITY: &str = r#"
CREATE SCHEMA raw;
CREATE SCHEMA oracle;
GRANT USAGE ON SCHEMA oracle TO PUBLIC;
CREATE TABLE oracle.me (principal text, groups text[]);
INSERT INTO oracle.me VALUES ('', '{}');
CREATE FUNCTION oracle.who() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT principal FROM oracle.me';
CREATE FUNCTION oracle.is_member(g text) RETURNS boolean LANGUAGE sql STABLE STRICT SECURITY DEFINER AS 'SELECT g = ANY (groups) FROM oracle.me';
CREATE FUNCTION public.is_member(g text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT oracle.is_member(g)';
"#;
