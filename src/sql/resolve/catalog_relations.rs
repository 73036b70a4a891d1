//! Relations of pg_catalog and information_schema: which are read as they are, which are answered by views of ours, and which are
//! refused, and why.
//!
//! Data. Everybody sees what they have a right on; contents of rows, secrets and other sessions nobody does. A relation that is in no list
//! is refused: a newer PostgreSQL may bring some that nobody has looked at.

const STATISTICS: &str = "Statistics tell of rows that a filter hides, and of what others do.";
const SECRETS: &str = "It holds credentials.";
const SESSIONS: &str = "It shows what other principals run.";
const OBJECTS: &str = "Large objects belong to all sessions alike.";
const SEQUENCES: &str = "It shows the last values of sequences without a grant on them; pg_sequence has the rest.";
const SERVER: &str = "It shows the server's files and settings.";
const REPLICATION: &str = "It shows replication, which belongs to the operator.";
const GRANTS: &str = "It is about the upstream's own privileges; SHOW GRANTS has those that count.";
const UNKNOWN: &str = "Nobody has looked at what it shows.";

/// Refused to everybody, administrators included; so is everything else whose name begins with `pg_stat`.
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
    ("pg_replication_origin", REPLICATION),
    ("pg_replication_origin_status", REPLICATION),
    ("pg_replication_slots", REPLICATION),
    ("pg_subscription", SECRETS),
    ("pg_subscription_rel", REPLICATION),
    ("pg_sequences", SEQUENCES),
    ("pg_prepared_xacts", SESSIONS),
    ("pg_largeobject", OBJECTS),
    ("pg_largeobject_metadata", OBJECTS),
];

/// Refused to everybody in information_schema.
const REFUSED_IN_INFORMATION_SCHEMA: &[(&str, &str)] = &[
    ("_pg_user_mappings", SECRETS),
    ("_pg_foreign_servers", SECRETS),
    ("_pg_foreign_data_wrappers", SECRETS),
    ("_pg_foreign_tables", SECRETS),
    ("_pg_foreign_table_columns", SECRETS),
    ("user_mapping_options", SECRETS),
    ("user_mappings", SECRETS),
    ("foreign_data_wrapper_options", SECRETS),
    ("foreign_data_wrappers", SECRETS),
    ("foreign_server_options", SECRETS),
    ("foreign_servers", SECRETS),
    ("foreign_table_options", SECRETS),
    ("foreign_tables", SECRETS),
    ("column_options", SECRETS),
    ("administrable_role_authorizations", GRANTS),
    ("role_routine_grants", GRANTS),
    ("role_udt_grants", GRANTS),
    ("role_usage_grants", GRANTS),
    ("routine_privileges", GRANTS),
    ("udt_privileges", GRANTS),
    ("usage_privileges", GRANTS),
    ("data_type_privileges", GRANTS),
    ("element_types", UNKNOWN),
];

/// Read as they are: they name nothing of the database's, or only what bears no name.
const PLAIN: &[&str] = &[
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_settings",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_transform",
    "pg_ts_config_map",
    "pg_wait_events",
];

/// Answered by views of ours, under every one of their forms.
const TABLES: &[&str] = &[
    "pg_aggregate",
    "pg_attrdef",
    "pg_attribute",
    "pg_auth_members",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_database",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_init_privs",
    "pg_language",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_range",
    "pg_rewrite",
    "pg_seclabel",
    "pg_sequence",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_statistic_ext",
    "pg_tablespace",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
];

/// Answered by views of ours, without a form that has system columns.
const VIEWS: &[&str] = &[
    "pg_cursors",
    "pg_indexes",
    "pg_locks",
    "pg_matviews",
    "pg_policies",
    "pg_prepared_statements",
    "pg_publication_tables",
    "pg_rules",
    "pg_seclabels",
    "pg_stat_activity",
    "pg_stat_all_tables",
    "pg_stat_gssapi",
    "pg_stat_ssl",
    "pg_stat_user_tables",
    "pg_tables",
    "pg_views",
];

/// Answered by views of ours that have one form only.
const SINGLE: &[&str] = &["pg_group", "pg_roles", "pg_user"];

/// The same in information_schema, where everything else has every form.
const SINGLE_IN_INFORMATION_SCHEMA: &[&str] =
    &["applicable_roles", "column_privileges", "enabled_roles", "role_column_grants", "role_table_grants", "table_privileges"];

/// How the views are read that stand for catalog relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sql) enum Sight {
    /// Behind a barrier: something in the statement could tell of rows before they are left out.
    Fenced,
    /// Open, for a statement about a few objects.
    Narrow,
    /// Open, for a statement about many.
    Wide,
}

impl Sight {
    /// The first part of the views' names.
    fn form(self) -> &'static str {
        match self {
            Self::Fenced => "fenced_",
            Self::Narrow => "narrow_",
            Self::Wide => "wide_",
        }
    }
}

/// What answers for a catalog relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The relation itself.
    Itself,
    /// A view of ours by this name.
    View(String),
    /// Nothing: why.
    Refused(&'static str),
}

/// Says whether a list of columns cannot come out of a relation.
pub(super) type LeavesOut<'a> = &'a dyn Fn(&[&str]) -> bool;

/// What answers for a relation of pg_catalog or information_schema. `system_columns`: the statement names some. `tied`: its rows are
/// tied to something that is seen.
pub(super) fn answer(schema: &str, name: &str, sight: Sight, system_columns: bool, tied: Option<LeavesOut>) -> Answer {
    if let Some(reason) = refusal(schema, name) {
        return Answer::Refused(reason);
    }
    if schema == "information_schema" {
        // Tables of facts about the SQL standard.
        if name.starts_with("sql_") {
            return Answer::Itself;
        }
        let form = if SINGLE_IN_INFORMATION_SCHEMA.contains(&name) { Sight::Fenced } else { sight }.form();
        return Answer::View(format!("{form}information_schema.{name}"));
    }
    if PLAIN.contains(&name) {
        return Answer::Itself;
    }
    if SINGLE.contains(&name) {
        return Answer::View(format!("{}{name}", Sight::Fenced.form()));
    }
    if let Some((leaves_out, tie)) = tied.zip(TIES.iter().find(|tie| tie.relation == name)) {
        match tie.rest {
            Rest::Columns(columns) if leaves_out(columns) => return Answer::Itself,
            Rest::Rows if !system_columns => return Answer::View(format!("near_{name}")),
            Rest::Columns(_) | Rest::Rows => {}
        }
    }
    let system = if system_columns && TABLES.contains(&name) { "sys_" } else { "" };
    Answer::View(format!("{}{system}{name}", sight.form()))
}

/// Why a catalog relation is refused, if it is.
fn refusal(schema: &str, name: &str) -> Option<&'static str> {
    let list = match schema {
        "information_schema" => REFUSED_IN_INFORMATION_SCHEMA,
        _ => REFUSED,
    };
    if let Some((_, reason)) = list.iter().find(|(refused, _)| *refused == name) {
        return Some(*reason);
    }
    if schema == "information_schema" {
        return None;
    }
    let known = [PLAIN, TABLES, VIEWS, SINGLE].iter().any(|list| list.contains(&name));
    match (known, name.starts_with("pg_stat")) {
        (true, _) => None,
        (false, true) => Some(STATISTICS),
        (false, false) => Some(UNKNOWN),
    }
}

/// The columns of catalog relations that hold numbers of relations which are seen wherever the row is.
const RELATIONS: &[(&str, &str)] = &[
    ("pg_class", "oid"),
    ("pg_attribute", "attrelid"),
    ("pg_attrdef", "adrelid"),
    ("pg_constraint", "conrelid"),
    ("pg_constraint", "confrelid"),
    ("pg_constraint", "conindid"),
    ("pg_index", "indexrelid"),
    ("pg_index", "indrelid"),
    ("pg_inherits", "inhrelid"),
    ("pg_inherits", "inhparent"),
    ("pg_trigger", "tgrelid"),
    ("pg_trigger", "tgconstrrelid"),
    ("pg_rewrite", "ev_class"),
    ("pg_policy", "polrelid"),
    ("pg_sequence", "seqrelid"),
    ("pg_foreign_table", "ftrelid"),
    ("pg_partitioned_table", "partrelid"),
    ("pg_statistic_ext", "stxrelid"),
    ("pg_type", "typrelid"),
];

/// The same of types: those of what is seen are told.
const TYPES: &[(&str, &str)] = &[
    ("pg_type", "oid"),
    ("pg_type", "typelem"),
    ("pg_type", "typarray"),
    ("pg_type", "typbasetype"),
    ("pg_attribute", "atttypid"),
    ("pg_class", "reltype"),
    ("pg_class", "reloftype"),
    ("pg_proc", "prorettype"),
    ("pg_constraint", "contypid"),
    ("pg_enum", "enumtypid"),
    ("pg_range", "rngtypid"),
    ("pg_range", "rngsubtype"),
    ("pg_cast", "castsource"),
    ("pg_cast", "casttarget"),
    ("pg_operator", "oprleft"),
    ("pg_operator", "oprright"),
    ("pg_operator", "oprresult"),
    ("pg_sequence", "seqtypid"),
    ("pg_opclass", "opcintype"),
    ("pg_opclass", "opckeytype"),
];

/// The same of functions.
const FUNCTIONS: &[(&str, &str)] = &[("pg_proc", "oid"), ("pg_trigger", "tgfoid"), ("pg_aggregate", "aggfnoid")];

/// The same of schemas.
const SCHEMAS: &[(&str, &str)] = &[
    ("pg_namespace", "oid"),
    ("pg_class", "relnamespace"),
    ("pg_proc", "pronamespace"),
    ("pg_type", "typnamespace"),
    ("pg_constraint", "connamespace"),
    ("pg_operator", "oprnamespace"),
    ("pg_collation", "collnamespace"),
];

/// What a number in a catalog column is the number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A relation.
    Relation,
    /// A type.
    Type,
    /// A function.
    Function,
    /// A schema.
    Schema,
    /// The row itself of another catalog.
    Row(&'static str),
}

/// Whether a column of a catalog relation holds such numbers, of objects that are seen.
pub(super) fn holds(relation: &str, column: &str, key: Key) -> bool {
    let list = match key {
        Key::Relation => RELATIONS,
        Key::Type => TYPES,
        Key::Function => FUNCTIONS,
        Key::Schema => SCHEMAS,
        Key::Row(of) => return relation == of && column == "oid",
    };
    list.contains(&(relation, column))
}

/// A catalog relation whose rows are seen with what one of their columns names.
struct Tie {
    relation: &'static str,
    column: &'static str,
    key: Key,
    rest: Rest,
}

/// What else there is to a row of it.
enum Rest {
    /// Columns that are not shown as they are.
    Columns(&'static [&'static str]),
    /// Conditions, which a view that asks for nothing else has.
    Rows,
}

const fn tie(relation: &'static str, column: &'static str, key: Key, rest: Rest) -> Tie {
    Tie { relation, column, key, rest }
}

const TIES: &[Tie] = &[
    tie(
        "pg_class",
        "oid",
        Key::Relation,
        Rest::Columns(&["relowner", "relacl", "reltuples", "relpages", "relallvisible", "relallfrozen"]),
    ),
    tie("pg_attribute", "attrelid", Key::Relation, Rest::Columns(&["attacl", "attmissingval"])),
    tie("pg_index", "indrelid", Key::Relation, Rest::Columns(&[])),
    tie("pg_sequence", "seqrelid", Key::Relation, Rest::Columns(&[])),
    tie("pg_partitioned_table", "partrelid", Key::Relation, Rest::Columns(&[])),
    tie("pg_foreign_table", "ftrelid", Key::Relation, Rest::Columns(&["ftoptions"])),
    tie("pg_statistic_ext", "stxrelid", Key::Relation, Rest::Columns(&["stxowner"])),
    tie("pg_rewrite", "ev_class", Key::Relation, Rest::Columns(&["ev_qual", "ev_action"])),
    tie("pg_namespace", "oid", Key::Schema, Rest::Columns(&["nspowner", "nspacl"])),
    tie("pg_constraint", "conrelid", Key::Relation, Rest::Rows),
    tie("pg_trigger", "tgrelid", Key::Relation, Rest::Rows),
    tie("pg_attrdef", "adrelid", Key::Relation, Rest::Rows),
    tie("pg_inherits", "inhrelid", Key::Relation, Rest::Rows),
    tie("pg_policy", "polrelid", Key::Relation, Rest::Rows),
];

/// What a column names with which the rows of a catalog relation are seen, if it is such a column.
pub(super) fn tied_by(relation: &str, column: &str) -> Option<Key> {
    TIES.iter().find(|tie| tie.relation == relation && tie.column == column).map(|tie| tie.key)
}

/// Whether columns of this name, wherever a catalog has one, hold numbers of relations.
pub(super) fn bears_relations(column: &str) -> bool {
    column != "oid" && RELATIONS.iter().any(|(_, name)| *name == column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_refused_and_their_definitions_are_not() {
        for name in ["pg_stats", "pg_stats_ext", "pg_statistic", "pg_statistic_ext_data", "pg_stat_user_indexes"] {
            assert_eq!(answer("pg_catalog", name, Sight::Wide, false, None), Answer::Refused(STATISTICS), "{name}");
        }
        let fenced = answer("pg_catalog", "pg_statistic_ext", Sight::Fenced, false, None);
        assert_eq!(fenced, Answer::View("fenced_pg_statistic_ext".into()));
    }

    #[test]
    fn what_nobody_has_looked_at_is_refused() {
        assert_eq!(answer("pg_catalog", "pg_brand_new", Sight::Wide, false, None), Answer::Refused(UNKNOWN));
        assert_eq!(answer("pg_toast", "pg_toast_1", Sight::Wide, false, None), Answer::Refused(UNKNOWN));
    }

    #[test]
    fn the_form_follows_the_statement() {
        assert_eq!(answer("pg_catalog", "pg_class", Sight::Narrow, false, None), Answer::View("narrow_pg_class".into()));
        assert_eq!(answer("pg_catalog", "pg_class", Sight::Wide, true, None), Answer::View("wide_sys_pg_class".into()));
        assert_eq!(
            answer("information_schema", "columns", Sight::Wide, false, None),
            Answer::View("wide_information_schema.columns".into())
        );
    }

    #[test]
    fn what_is_tied_is_read_as_it_is_where_no_column_of_it_is_hidden() {
        let (yes, no) = (|_: &[&str]| true, |columns: &[&str]| columns.is_empty());
        assert_eq!(answer("pg_catalog", "pg_class", Sight::Narrow, true, Some(&yes)), Answer::Itself);
        assert_eq!(answer("pg_catalog", "pg_class", Sight::Narrow, false, Some(&no)), Answer::View("narrow_pg_class".into()));
        assert_eq!(answer("pg_catalog", "pg_index", Sight::Narrow, false, Some(&no)), Answer::Itself);
        assert_eq!(answer("pg_catalog", "pg_trigger", Sight::Narrow, false, Some(&yes)), Answer::View("near_pg_trigger".into()));
        assert_eq!(answer("pg_catalog", "pg_authid", Sight::Narrow, false, Some(&yes)), Answer::Refused(SECRETS));
    }
}
