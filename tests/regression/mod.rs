//! PostgreSQL's own regression files, statement by statement, through the analysis: `make regression-walk`.
//!
//! The catalog is that of a database in which the suite was run directly, as a superuser. Statements about what is not there (any
//! more) do not count; everything else that is refused is counted by reason.

mod files;
mod shapes;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pgusher::catalog::load::{Scope, Source, load};
use pgusher::catalog::{CatalogSnapshot, Footing, SearchPath};
use pgusher::name::Name;
use pgusher::policy::{Bearing, PolicySnapshot, PrincipalId, Subject};
use pgusher::sql::parse::{Limits, StatementKind};
use pgusher::sql::{
    AuthorizeError, Remembered, ResolveError, SessionObjects, Touched, analysis, authorize, parse, resolve, rewrite,
};

use crate::harness::{Client, Mechanism, ProxySettings, Upstream, program, scratch};

/// What may be refused of SELECT, INSERT, UPDATE, DELETE and MERGE for reasons of ours.
const SHARE: f64 = 0.03;

#[test]
#[ignore = "needs PostgreSQL's sources: make regression-walk"]
fn the_analysis_takes_what_postgresqls_own_tests_say() {
    let sources = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/postgres-sources/src/test/regress"));
    assert!(sources.join("sql").is_dir(), "{} is missing: make regression-walk", sources.display());
    let upstream = Upstream::shared();
    let database = "regression";
    upstream.superuser("postgres").run(&format!("CREATE DATABASE {database} TEMPLATE template0"));
    run_suite(upstream, database, &sources);
    ProxySettings::new(database, Mechanism::Rls).init(upstream, "admin@example.com");
    let footing = footing(&upstream.superuser(database));

    for (who, admin) in [("an administrator", true), ("anybody else", false)] {
        let mut tally = Tally::default();
        let mut names: Vec<PathBuf> = std::fs::read_dir(sources.join("sql")).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        for file in names.iter().filter(|f| f.extension().is_some_and(|e| e == "sql")) {
            walk(file, &footing, &subject(admin), &mut tally);
        }
        tally.print(who);
        assert!(tally.unclassified.is_empty(), "{:?}", tally.unclassified);
        assert!(tally.unproved.is_empty(), "{:?}", tally.unproved);
        let filled = &tally.filled;
        println!("   {} with literals that may be others, {} texts filled in", filled.templates, filled.same);
        assert!(filled.different.is_empty(), "{}", filled.different.join("\n\n"));
        assert!(tally.queries > 10_000, "the walk found {} queries", tally.queries);
        let share = tally.share();
        assert!(share <= SHARE, "{:.2} % of SELECT and DML are refused to {who}", share * 100.0);
    }
}

/// Runs every file of the schedule directly, one after the other.
fn run_suite(upstream: &Upstream, database: &str, sources: &Path) {
    let place = scratch("regression");
    std::fs::create_dir_all(place.join("results")).unwrap();
    let library = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/regress.so"));
    std::fs::copy(&library, place.join("regress.so")).expect("target/regress.so: make regression-walk");
    let schedule = std::fs::read_to_string(sources.join("parallel_schedule")).unwrap();
    let tests = schedule.lines().filter_map(|line| line.strip_prefix("test:")).flat_map(str::split_whitespace);
    let tests: Vec<&str> = tests.filter(|test| !LEFT_OUT.contains(test)).collect();
    let run = |file: &Path| {
        let mut psql = Command::new(program("psql"));
        psql.args(["-X", "-q", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on", "-f"]);
        psql.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        psql.env("PG_ABS_SRCDIR", sources).env("PG_ABS_BUILDDIR", &place).env("PG_LIBDIR", &place).env("PG_DLSUFFIX", ".so");
        psql.env("PGHOST", &upstream.directory).env("PGPORT", upstream.port.to_string()).env("PGUSER", "postgres");
        psql.env("PGDATABASE", database).env("PGOPTIONS", "-c statement_timeout=20s -c intervalstyle=postgres_verbose");
        psql.status().expect("psql runs");
    };
    let file = |test: &str| sources.join("sql").join(format!("{test}.sql"));
    tests.iter().for_each(|test| run(&file(test)));
    // Tests clear away what they made: it is made again, so that what they say about it can be analysed.
    for test in tests {
        let text = String::from_utf8_lossy(&std::fs::read(file(test)).unwrap()).into_owned();
        let again = place.join("again.sql");
        std::fs::write(&again, files::statements(&text).iter().filter_map(|s| files::made_again(s)).collect::<String>()).unwrap();
        run(&again);
    }
}

/// They make nothing that others use, and take long or break the cluster.
const LEFT_OUT: [&str; 4] = ["infinite_recurse", "tablespace", "stats", "join_hash"];

fn footing(client: &Client) -> Footing {
    client.run("SET search_path = pg_catalog, pg_temp");
    let mut asked = Asked(client);
    let loading = pin!(load(&mut asked, Scope::Shared));
    // Every answer is there at once.
    match Future::poll(loading, &mut Context::from_waker(Waker::noop())) {
        Poll::Ready(parts) => {
            let catalog = CatalogSnapshot::new(1, parts.unwrap_or_else(|error| panic!("the catalog: {error:?}")));
            Footing::new(Arc::new(catalog), Arc::new(PolicySnapshot::default()), HashMap::new())
        }
        Poll::Pending => panic!("the catalog is not there"),
    }
}

struct Asked<'a>(&'a Client);

impl Source for Asked<'_> {
    type Error = String;

    fn rows<'a>(&'a mut self, sql: &'a str) -> Pin<Box<dyn Future<Output = Result<serde_json::Value, String>> + Send + 'a>> {
        let rows = format!("SELECT coalesce(jsonb_agg(to_jsonb(q)), '[]')::text FROM ({sql}) AS q");
        let answer = self.0.try_rows(&rows).map_err(|refusal| refusal.to_string());
        let parsed = answer.and_then(|rows| serde_json::from_str(&rows[0][0]).map_err(|error| error.to_string()));
        Box::pin(std::future::ready(parsed))
    }
}

fn subject(admin: bool) -> Subject {
    Subject { principal: PrincipalId(1), name: "somebody".into(), groups: Arc::default(), bearing: Bearing::default(), admin }
}

/// Whatever is asked for is there.
struct Everything;

impl SessionObjects for Everything {
    fn prepared(&self, _name: &str) -> Option<Remembered> {
        Some(Remembered { requirements: Arc::from([]), touched: Touched::default() })
    }

    fn cursor(&self, name: &str) -> Option<Remembered> {
        self.prepared(name)
    }
}

#[derive(Default)]
struct Tally {
    statements: u32,
    unparsed: u32,
    missing: u32,
    queries: u32,
    missing_queries: u32,
    refused_queries: u32,
    /// Reason → how many of queries, of others, and an example.
    reasons: BTreeMap<String, (u32, u32, String)>,
    unclassified: Vec<String>,
    unproved: Vec<String>,
    filled: shapes::Filled,
}

fn walk(file: &Path, footing: &Footing, subject: &Subject, tally: &mut Tally) {
    let path = SearchPath { schemas: vec![Name::exact("public")] };
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    for written in files::statements(&text) {
        let Ok(parsed) = parse(&written, &Limits::default()) else {
            tally.unparsed += 1;
            continue;
        };
        for one in parsed {
            tally.statements += 1;
            let kind = one.kind();
            let query = matches!(
                kind,
                StatementKind::Select
                    | StatementKind::Insert
                    | StatementKind::Update
                    | StatementKind::Delete
                    | StatementKind::Merge
            );
            tally.queries += u32::from(query);
            if one.classified().is_none() {
                tally.unclassified.push(format!("{name}: {written}"));
            }
            let text = one.text().to_string();
            tally.filled.check(&text, footing, &path, subject);
            match resolve(one, footing, &path, subject, &Everything) {
                Ok(resolved) => match authorize(Arc::new(analysis(resolved)), footing, subject) {
                    Ok(permitted) => {
                        if let Err(error) = rewrite(permitted) {
                            tally.unproved.push(format!("{name}: {text}: {error}"));
                        }
                    }
                    // Nobody granted anything here.
                    Err(AuthorizeError::Denied { .. } | AuthorizeError::Scope) => {}
                },
                Err(error) if is_missing(&error) => {
                    tally.missing += 1;
                    tally.missing_queries += u32::from(query);
                }
                Err(error) => tally.refused(query, &error, &format!("{name}: {text}")),
            }
        }
    }
}

fn is_missing(error: &ResolveError) -> bool {
    matches!(
        error,
        ResolveError::UndefinedRelation { .. }
            | ResolveError::UndefinedSchema { .. }
            | ResolveError::UndefinedFunction { .. }
            | ResolveError::UndefinedColumn { .. }
            | ResolveError::UndefinedObject { .. }
            | ResolveError::NotATable { .. }
            | ResolveError::CrossDatabase { .. }
    )
}

impl Tally {
    /// The share of SELECT and DML about what is there that is refused.
    fn share(&self) -> f64 {
        f64::from(self.refused_queries) / f64::from((self.queries - self.missing_queries).max(1))
    }

    fn refused(&mut self, query: bool, error: &ResolveError, example: &str) {
        self.refused_queries += u32::from(query);
        let reason = match error {
            ResolveError::ProtectedRelation { name, .. } => format!("permission denied for relation {name}"),
            other => other.to_string(),
        };
        let (queries, others, _) = self.reasons.entry(reason).or_insert_with(|| (0, 0, example.chars().take(160).collect()));
        if query {
            *queries += 1;
        } else {
            *others += 1;
        }
    }

    fn print(&self, who: &str) {
        println!(
            "== {who}: {} statements, {} not parsed, {} about what is not there",
            self.statements, self.unparsed, self.missing
        );
        let (queries, missing, refused, share) = (self.queries, self.missing_queries, self.refused_queries, self.share() * 100.0);
        println!("   SELECT and DML: {queries}, about what is not there {missing}, refused {refused} ({share:.2} % of the rest)");
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, (queries, others, _))| std::cmp::Reverse((*queries, *others)));
        for (reason, (queries, others, example)) in reasons {
            println!("{queries:6} {others:6}  {reason}\n               {}", example.replace('\n', " "));
        }
    }
}
