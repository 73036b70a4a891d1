//! Relations of pg_catalog and information_schema: which are refused, and why; which are answered by views of ours.
//!
//! Data. Names of objects are visible to everybody; contents of rows, secrets and other sessions are not.

use crate::name::QualifiedName;

const STATISTICS: &str = "Statistics tell of rows that a filter hides, and of what others do.";
const SECRETS: &str = "It holds credentials.";
const SESSIONS: &str = "It shows what other principals run.";
const OBJECTS: &str = "Large objects belong to all sessions alike.";
const SEQUENCES: &str = "It shows the last values of sequences without a grant on them; pg_sequence has the rest.";
const SERVER: &str = "It shows the server's files and settings.";
const REPLICATION: &str = "It shows replication, which belongs to the operator.";

/// Refused to everybody, administrators included; so is everything whose name begins with `pg_stat`, but for
/// `pg_statistic_ext`: it defines extended statistics and holds none, and psql's `\d` reads it.
const REFUSED: &[(&str, &str)] = &[
    ("pg_authid", SECRETS),
    ("pg_shadow", SECRETS),
    ("pg_user_mapping", SECRETS),
    ("pg_user_mappings", SECRETS),
    ("pg_hba_file_rules", SERVER),
    ("pg_ident_file_mappings", SERVER),
    ("pg_file_settings", SERVER),
    ("pg_config", SERVER),
    ("pg_shmem_allocations", SERVER),
    ("pg_shmem_allocations_numa", SERVER),
    ("pg_dsm_registry_allocations", SERVER),
    ("pg_backend_memory_contexts", SERVER),
    ("pg_aios", SERVER),
    ("pg_replication_origin_status", REPLICATION),
    ("pg_replication_slots", REPLICATION),
    ("pg_subscription", SECRETS),
    ("pg_sequences", SEQUENCES),
    ("pg_prepared_statements", SESSIONS),
    ("pg_prepared_xacts", SESSIONS),
    ("pg_cursors", SESSIONS),
    ("pg_largeobject", OBJECTS),
    ("pg_largeobject_metadata", OBJECTS),
];

/// Refused to everybody in information_schema.
const REFUSED_IN_INFORMATION_SCHEMA: &[(&str, &str)] = &[
    ("_pg_user_mappings", SECRETS),
    ("_pg_foreign_servers", SECRETS),
    ("user_mapping_options", SECRETS),
    ("user_mappings", SECRETS),
    ("foreign_server_options", SECRETS),
];

/// Answered by views of ours for everybody but administrators: the same columns without our objects and definitions.
const REDIRECTED: &[&str] = &["pg_policy", "pg_policies", "pg_views", "pg_rewrite", "pg_matviews"];

/// Why a catalog relation is refused, if it is.
pub(super) fn refusal(schema: &str, name: &str) -> Option<&'static str> {
    let list = match schema {
        "information_schema" => REFUSED_IN_INFORMATION_SCHEMA,
        _ => REFUSED,
    };
    if schema == "pg_catalog" && name.starts_with("pg_stat") && name != "pg_statistic_ext" {
        return Some(STATISTICS);
    }
    list.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
}

/// Whether reads go to a view of ours.
pub(super) fn is_redirected(name: &QualifiedName) -> bool {
    name.schema.as_str() == "pg_catalog" && REDIRECTED.contains(&name.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_refused_and_their_definitions_are_not() {
        for name in ["pg_stats", "pg_stats_ext", "pg_statistic", "pg_statistic_ext_data", "pg_stat_activity"] {
            assert_eq!(refusal("pg_catalog", name), Some(STATISTICS), "{name}");
        }
        assert_eq!(refusal("pg_catalog", "pg_statistic_ext"), None);
    }
}
