//! psycopg 3, by the program `psycopg_program.py`.

use super::program::{python, source};

super::checks! {
    a_simple_query_gives_own_rows
    several_statements_in_one_text_give_several_results
    masks_hold_for_analysts_and_fall_for_hr
    a_statement_prepared_on_its_first_use_gives_own_rows_ten_times
    prepared_statements_beyond_the_limit_are_given_up
    a_server_side_cursor_reads_own_rows_in_pieces
    a_scrollable_cursor_goes_back
    a_cursor_with_hold_outlives_its_transaction
    rows_can_be_streamed
    a_pipeline_runs_many_statements
    a_refusal_in_a_pipeline_aborts_what_follows_until_sync
    executemany_inserts_and_returns
    copy_out_gives_own_rows
    copy_in_stores_rows
    a_copy_in_that_the_client_gives_up_stores_nothing
    copy_in_respects_the_row_filter
    transactions_nest_by_savepoints
    a_refusal_fails_the_transaction_until_rollback
    isolation_read_only_and_deferrable_hold
    errors_carry_their_sqlstate_detail_and_hint
    a_wrong_token_is_a_wrong_password
    an_issuers_jwt_is_a_password
    a_statement_is_cancelled
    a_statement_timeout_ends_the_statement
    types_of_the_database_can_be_looked_up
    values_of_many_types_pass_both_ways
    composed_statements_reach_quoted_names
    settings_and_identity_are_reported
    notices_reach_the_client
    notifications_reach_their_listeners
    a_filtered_upsert_and_a_returning_write_keep_to_own_rows
    the_asynchronous_connection_works_as_well
}

fn command() -> Vec<String> {
    vec![python(), "-B".into(), source("psycopg_program.py")]
}
