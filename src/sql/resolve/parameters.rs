//! Parameters that a client may SET, and why it may not set others. Data.

/// What a parameter's values are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Any value; upstream checks it.
    Free,
    /// A list of schemas, none of ours among them.
    SearchPath,
    /// UTF8 only.
    Encoding,
    /// `on` only.
    On,
}

/// May be set. Names in lower case, as PostgreSQL compares them.
const SETTABLE: &[(&str, Rule)] = &[
    ("application_name", Rule::Free),
    ("array_nulls", Rule::Free),
    ("bytea_output", Rule::Free),
    ("check_function_bodies", Rule::Free),
    ("client_encoding", Rule::Encoding),
    ("client_min_messages", Rule::Free),
    ("constraint_exclusion", Rule::Free),
    ("cpu_index_tuple_cost", Rule::Free),
    ("cpu_operator_cost", Rule::Free),
    ("cpu_tuple_cost", Rule::Free),
    ("cursor_tuple_fraction", Rule::Free),
    ("datestyle", Rule::Free),
    ("debug_parallel_query", Rule::Free),
    ("default_statistics_target", Rule::Free),
    ("default_table_access_method", Rule::Free),
    ("default_toast_compression", Rule::Free),
    ("default_with_oids", Rule::Free),
    ("default_tablespace", Rule::Free),
    ("default_text_search_config", Rule::Free),
    ("default_transaction_deferrable", Rule::Free),
    ("default_transaction_isolation", Rule::Free),
    ("default_transaction_read_only", Rule::Free),
    ("effective_cache_size", Rule::Free),
    ("effective_io_concurrency", Rule::Free),
    ("enable_async_append", Rule::Free),
    ("enable_bitmapscan", Rule::Free),
    ("enable_gathermerge", Rule::Free),
    ("enable_hashagg", Rule::Free),
    ("enable_hashjoin", Rule::Free),
    ("enable_incremental_sort", Rule::Free),
    ("enable_indexonlyscan", Rule::Free),
    ("enable_indexscan", Rule::Free),
    ("enable_material", Rule::Free),
    ("enable_memoize", Rule::Free),
    ("enable_mergejoin", Rule::Free),
    ("enable_nestloop", Rule::Free),
    ("enable_parallel_append", Rule::Free),
    ("enable_parallel_hash", Rule::Free),
    ("enable_partition_pruning", Rule::Free),
    ("enable_partitionwise_aggregate", Rule::Free),
    ("enable_partitionwise_join", Rule::Free),
    ("enable_presorted_aggregate", Rule::Free),
    ("enable_seqscan", Rule::Free),
    ("enable_sort", Rule::Free),
    ("enable_tidscan", Rule::Free),
    ("escape_string_warning", Rule::Free),
    ("extra_float_digits", Rule::Free),
    ("force_parallel_mode", Rule::Free),
    ("from_collapse_limit", Rule::Free),
    ("geqo", Rule::Free),
    ("geqo_effort", Rule::Free),
    ("geqo_generations", Rule::Free),
    ("geqo_pool_size", Rule::Free),
    ("geqo_seed", Rule::Free),
    ("geqo_selection_bias", Rule::Free),
    ("geqo_threshold", Rule::Free),
    ("gin_fuzzy_search_limit", Rule::Free),
    ("hash_mem_multiplier", Rule::Free),
    ("idle_in_transaction_session_timeout", Rule::Free),
    ("idle_session_timeout", Rule::Free),
    ("intervalstyle", Rule::Free),
    ("jit", Rule::Free),
    ("jit_above_cost", Rule::Free),
    ("jit_inline_above_cost", Rule::Free),
    ("jit_optimize_above_cost", Rule::Free),
    ("join_collapse_limit", Rule::Free),
    ("lc_monetary", Rule::Free),
    ("lc_numeric", Rule::Free),
    ("lc_time", Rule::Free),
    ("lock_timeout", Rule::Free),
    ("logical_decoding_work_mem", Rule::Free),
    ("maintenance_io_concurrency", Rule::Free),
    ("maintenance_work_mem", Rule::Free),
    ("max_parallel_maintenance_workers", Rule::Free),
    ("max_parallel_workers", Rule::Free),
    ("max_parallel_workers_per_gather", Rule::Free),
    ("min_parallel_index_scan_size", Rule::Free),
    ("min_parallel_table_scan_size", Rule::Free),
    ("parallel_leader_participation", Rule::Free),
    ("parallel_setup_cost", Rule::Free),
    ("parallel_tuple_cost", Rule::Free),
    ("plan_cache_mode", Rule::Free),
    ("quote_all_identifiers", Rule::Free),
    ("random_page_cost", Rule::Free),
    ("recursive_worktable_factor", Rule::Free),
    ("search_path", Rule::SearchPath),
    ("seq_page_cost", Rule::Free),
    ("standard_conforming_strings", Rule::On),
    ("statement_timeout", Rule::Free),
    ("synchronize_seqscans", Rule::Free),
    ("synchronous_commit", Rule::Free),
    ("temp_buffers", Rule::Free),
    ("temp_tablespaces", Rule::Free),
    ("timezone", Rule::Free),
    ("timezone_abbreviations", Rule::Free),
    ("transaction_deferrable", Rule::Free),
    ("transaction_isolation", Rule::Free),
    ("transaction_read_only", Rule::Free),
    ("transaction_timeout", Rule::Free),
    ("vacuum_cost_delay", Rule::Free),
    ("vacuum_cost_limit", Rule::Free),
    ("work_mem", Rule::Free),
    ("xmlbinary", Rule::Free),
    ("xmloption", Rule::Free),
];

/// Refused with a reason of their own.
const REFUSED: &[(&str, &str)] = &[
    ("role", "Who one is upstream is the proxy's business."),
    ("session_authorization", "Who one is upstream is the proxy's business."),
    ("row_security", "Row filters are enforced by row security."),
    ("session_replication_role", "It switches triggers and foreign keys off."),
    ("backslash_quote", "The statement's meaning would depend on it."),
    ("transform_null_equals", "The statement's meaning would depend on it."),
];

const OURS: &str = "Parameters of pgusher cannot be set.";
const UNLISTED: &str = "It is not on the list of parameters that may be set.";

/// How a parameter may be set, or why it may not.
pub(super) fn rule(name: &str) -> Result<Rule, &'static str> {
    if is_ours(name) {
        return Err(OURS);
    }
    if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err(reason);
    }
    SETTABLE.iter().find(|(settable, _)| *settable == name).map(|(_, rule)| *rule).ok_or(UNLISTED)
}

/// Whether a parameter belongs to us.
pub(super) fn is_ours(name: &str) -> bool {
    name.split('.').next() == Some("pgusher")
}
