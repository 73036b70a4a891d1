//! pgjdbc, by the program `Jdbc.java`.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::program::source;

/// Where Debian's libpostgresql-jdbc-java puts the driver; `PGJDBC_JAR` names another place.
const JAR: &str = "/usr/share/java/postgresql.jar";

super::checks! {
    a_statement_prepared_on_its_first_use_gives_own_rows_ten_times
    values_in_binary_are_the_truth_or_the_mask
    masks_hold_for_analysts_and_fall_for_hr
    a_batch_of_inserts_arrives_whole
    a_batch_rewritten_into_one_insert_arrives_whole
    a_batch_with_a_row_that_the_filter_hides_is_refused
    a_fetch_size_brings_all_own_rows_in_pieces
    a_statement_is_cancelled_from_another_thread
    a_query_timeout_ends_the_statement_and_not_the_session
    metadata_lists_tables_and_views
    metadata_lists_columns
    metadata_lists_primary_keys
    metadata_lists_imported_keys
    metadata_lists_exported_keys
    metadata_lists_cross_references
    metadata_lists_indexes
    metadata_lists_types
    metadata_lists_schemas
    metadata_lists_best_row_identifiers
    metadata_lists_functions
    metadata_answers_every_other_question
    result_metadata_has_names_and_types
    generated_keys_come_back
    copy_out_gives_own_rows
    copy_in_stores_rows
    copy_in_respects_the_row_filter
    a_savepoint_survives_a_refusal
    autosave_keeps_a_transaction_alive_after_a_refusal
    errors_carry_their_sqlstate_detail_and_hint
    a_wrong_token_is_a_wrong_password
    an_issuers_jwt_is_a_password
    a_password_is_shown_by_scram
    a_read_only_connection_refuses_writes
    the_isolation_level_holds
    the_application_name_arrives
    the_schema_can_be_set
    the_user_is_the_principal
    arrays_and_dates_pass_as_parameters
    several_statements_give_several_results
    an_updatable_result_set_updates_own_rows
    the_simple_query_mode_gives_own_rows
    the_extended_for_prepared_mode_gives_own_rows
    the_mode_that_caches_everything_gives_own_rows
    a_call_of_a_function_returns_its_value
    a_cursor_that_a_function_returns_gives_own_rows
    a_connection_is_valid_until_it_is_closed
    an_update_counts_own_rows_only
}

/// Compiles the program once; how to run it.
fn command() -> Vec<String> {
    static CLASSES: OnceLock<tempfile::TempDir> = OnceLock::new();
    let jar = std::env::var("PGJDBC_JAR").unwrap_or_else(|_| JAR.into());
    assert!(Path::new(&jar).is_file(), "the JDBC driver is not installed ({jar}): run `make setup`");
    let classes = CLASSES.get_or_init(|| compiled(&jar));
    let path = format!("{}:{jar}", classes.path().display());
    // A short life is cheapest with the simplest collector and compiler.
    ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path, "Jdbc"].map(String::from).to_vec()
}

fn compiled(jar: &str) -> tempfile::TempDir {
    let classes = tempfile::Builder::new().prefix("pgusher-jdbc-").tempdir().expect("a scratch directory");
    let output = Command::new("javac")
        .args(["-encoding", "UTF-8", "-cp", jar, "-d"])
        .arg(classes.path())
        .arg(source("Jdbc.java"))
        .output()
        .unwrap_or_else(|e| panic!("javac is not installed ({e}): run `make setup`"));
    assert!(output.status.success(), "javac:\n{}", String::from_utf8_lossy(&output.stderr));
    classes
}
