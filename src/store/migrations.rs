//! The SQL that makes roles, schema, store and functions: one script, which `init` runs and `init --print` prints.
//!
//! Every part may be repeated; numbered migrations run once each, in order, and note themselves in `pgusher.schema_version`.

use crate::name::quote_literal;

/// A migration that runs once.
struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
}

/// What the script is made for.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The SCRAM verifier of `pgusher_session`'s password; `None` leaves the password as it is.
    pub session_verifier: Option<String>,
    /// The same of `pgusher_control`.
    pub control_verifier: Option<String>,
    /// Take from the shared login what every login may do by default (superusers only).
    pub harden: bool,
}

/// The schema version this program works with.
pub const SCHEMA_VERSION: i32 = 19;

/// The whole script, one transaction.
pub fn script(options: &Script) -> String {
    let mut parts = vec![
        "-- Made by \"pgusher init --print\". Run it in the database to be governed, as a role that may create roles there."
            .to_owned(),
        "BEGIN;".to_owned(),
        "SET LOCAL search_path = pg_catalog, pg_temp;".to_owned(),
        "SET LOCAL jit = off;".to_owned(),
        "SET LOCAL client_min_messages = warning;".to_owned(),
        ROLES.to_owned(),
    ];
    for (role, verifier) in [("pgusher_session", &options.session_verifier), ("pgusher_control", &options.control_verifier)] {
        if let Some(verifier) = verifier {
            parts.push(format!("ALTER ROLE {role} PASSWORD {};", quote_literal(verifier)));
        }
    }
    parts.push("SET LOCAL ROLE pgusher_owner;".to_owned());
    parts.push(VERSIONS.to_owned());
    parts.extend(MIGRATIONS.iter().map(Migration::guarded));
    parts.push(FUNCTIONS.to_owned());
    parts.push(CHANGES.to_owned());
    parts.push(CALLS.to_owned());
    parts.push(DEPENDENTS.to_owned());
    parts.push(STRICT.to_owned());
    parts.push(DEFINE.to_owned());
    parts.push(LOOK.to_owned());
    parts.push(POOL.to_owned());
    parts.extend(METADATA.iter().map(|part| (*part).to_owned()));
    parts.push("RESET ROLE;".to_owned());
    parts.push(ADOPT.to_owned());
    if options.harden {
        parts.push(HARDEN.to_owned());
    }
    parts.push("COMMIT;\n".to_owned());
    parts.join("\n")
}

impl Migration {
    fn guarded(&self) -> String {
        format!(
            "DO $guard$\nBEGIN\nIF NOT EXISTS (SELECT FROM pgusher.schema_version AS v WHERE v.version = {version}) THEN\n\
             EXECUTE $migration$\n{sql}$migration$;\n\
             INSERT INTO pgusher.schema_version (version, name) VALUES ({version}, {name});\nEND IF;\nEND\n$guard$;",
            version = self.version,
            sql = self.sql,
            name = quote_literal(self.name),
        )
    }
}

const ROLES: &str = include_str!("migrations/roles.sql");
const FUNCTIONS: &str = include_str!("migrations/functions.sql");
const CHANGES: &str = include_str!("migrations/changes.sql");
const CALLS: &str = include_str!("migrations/calls.sql");
const DEPENDENTS: &str = include_str!("migrations/dependents.sql");
const STRICT: &str = include_str!("migrations/strict.sql");
const DEFINE: &str = include_str!("migrations/define.sql");
const LOOK: &str = include_str!("migrations/look.sql");
const POOL: &str = include_str!("migrations/pool.sql");
/// What sessions see of the catalogs.
const METADATA: [&str; 5] = [
    include_str!("migrations/metadata.sql"),
    include_str!("migrations/metadata_views.sql"),
    include_str!("migrations/metadata_functions.sql"),
    include_str!("migrations/metadata_privileges.sql"),
    include_str!("migrations/metadata_schema.sql"),
];
const ADOPT: &str = include_str!("migrations/adopt.sql");
const HARDEN: &str = include_str!("migrations/harden.sql");

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS pgusher.schema_version (\
  version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());";

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "store", sql: include_str!("migrations/001_store.sql") },
    Migration { version: 2, name: "insert views", sql: include_str!("migrations/002_insert_views.sql") },
    Migration { version: 3, name: "owners of types", sql: include_str!("migrations/003_type_owners.sql") },
    Migration { version: 4, name: "strict mode", sql: include_str!("migrations/004_strict.sql") },
    Migration { version: 5, name: "dependents", sql: include_str!("migrations/005_dependents.sql") },
    Migration { version: 6, name: "metadata", sql: include_str!("migrations/006_metadata.sql") },
    Migration { version: 7, name: "one list", sql: include_str!("migrations/007_one_list.sql") },
    Migration { version: 8, name: "lapse", sql: include_str!("migrations/008_lapse.sql") },
    Migration { version: 9, name: "names of views", sql: include_str!("migrations/009_view_names.sql") },
    Migration { version: 10, name: "vouched", sql: include_str!("migrations/010_vouched.sql") },
    Migration { version: 11, name: "acting", sql: include_str!("migrations/011_acting.sql") },
    Migration { version: 12, name: "audit", sql: include_str!("migrations/012_audit.sql") },
    Migration { version: 13, name: "passwords", sql: include_str!("migrations/013_passwords.sql") },
    Migration { version: 14, name: "pool", sql: include_str!("migrations/014_pool.sql") },
    Migration { version: 15, name: "changes", sql: include_str!("migrations/015_changes.sql") },
    Migration { version: 16, name: "pages of sessions", sql: include_str!("migrations/016_session_pages.sql") },
    Migration { version: 17, name: "standing", sql: include_str!("migrations/017_standing.sql") },
    Migration { version: 18, name: "coupon", sql: include_str!("migrations/018_coupon.sql") },
    Migration { version: SCHEMA_VERSION, name: "turns by the proxy's numbers", sql: include_str!("migrations/019_turns.sql") },
];
