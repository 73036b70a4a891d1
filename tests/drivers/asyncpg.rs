//! asyncpg, by the program `asyncpg_program.py`.

use super::program::{python, source};

super::checks! {
    a_query_gives_own_rows
    masks_hold_for_analysts_and_fall_for_hr
    a_prepared_statement_gives_own_rows_each_time
    the_statement_cache_gives_way_to_new_statements
    no_statement_cache_works_as_well
    a_cursor_reads_own_rows_in_pieces
    executemany_inserts_all_or_nothing
    copies_of_queries_and_tables_give_own_rows
    copies_into_tables_store_rows
    copies_into_a_filtered_table_respect_the_filter
    domains_of_the_information_schema_are_introspected
    enums_and_composites_are_introspected
    introspection_works_where_jit_is_on
    whole_rows_are_masked
    codecs_can_be_set
    values_of_many_types_pass_both_ways
    a_pool_resets_its_connections
    transactions_nest_by_savepoints
    scripts_run_by_the_simple_protocol
    errors_carry_their_sqlstate_detail_and_hint
    a_wrong_token_is_a_wrong_password
    a_timeout_cancels_the_statement_and_not_the_session
    notifications_and_notices_reach_the_client
    settings_of_the_startup_packet_hold
    a_changed_table_is_noticed_and_retried
}

fn command() -> Vec<String> {
    vec![python(), "-B".into(), source("asyncpg_program.py")]
}
