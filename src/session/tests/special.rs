//! Statements that take more than sending them.

use super::rig::*;
use crate::sql::fixture;

const BEGIN: [&str; 2] = ["BEGIN", "T"];

#[tokio::test]
async fn the_search_path_is_asked_for_after_something_that_may_have_set_it() {
    let mut scene = scene();
    scene.send([query("SELECT set_config('search_path', 'archive', false)")]).await;
    scene.upstream_word().await;
    scene.answer([complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["C SELECT 1", "Z I"]).await;
    scene.send([query("SELECT count(*) FROM orders")]).await;
    scene.housekeeping("SELECT pgusher.look()", Some("{\"path\": \"archive\"}"), 'I').await;
    // What is now meant is a table that is not granted.
    scene.client_gets(&["E 42501 permission denied for table orders", "Z I"]).await;
}

#[tokio::test]
async fn set_of_the_search_path_is_followed_and_rolled_back() {
    let mut scene = scene();
    for (text, tag, status) in [("BEGIN", "BEGIN", 'T'), ("SET search_path TO archive", "SET", 'T'), ("ROLLBACK", "ROLLBACK", 'I')]
    {
        scene.send([query(text)]).await;
        scene.upstream_word().await;
        scene.answer([complete(tag), ready(status)]).await;
        scene.client_gets(&[&format!("C {tag}"), &format!("Z {status}")]).await;
    }
    scene.send([query("SELECT count(*) FROM orders")]).await;
    assert!(scene.upstream_word().await.contains("\"public\".\"orders\""));
}

#[tokio::test]
async fn a_search_path_that_upstream_tells_of_and_nobody_set_is_asked_for() {
    for (told, asked) in [("archive", true), ("\"$user\", public", false)] {
        let mut scene = scene();
        scene.send([query("SELECT 1")]).await;
        scene.upstream_gets(&["Q SELECT 1"]).await;
        let told = [b"search_path\0", told.as_bytes(), b"\0"].concat();
        scene.answer([complete("SELECT 1"), raw(b'S', &told), ready('I')]).await;
        scene.send([query("SELECT count(*) FROM orders")]).await;
        if asked {
            scene.housekeeping("SELECT pgusher.look()", Some("{\"path\": \"archive\"}"), 'I').await;
        } else {
            assert!(scene.upstream_word().await.contains("\"public\".\"orders\""));
        }
    }
}

/// As PostgreSQL 18 does.
#[tokio::test]
async fn a_batch_that_goes_on_behind_a_query_is_ended_by_sync_and_leaves_what_was_set() {
    let mut scene = scene();
    scene.send([parse("", "SELECT 1"), bind("", ""), execute("", 0), query("SET search_path TO archive")]).await;
    scene.upstream_gets(&["P  SELECT 1", "B  ", "E  0", "H"]).await;
    scene.answer([parsed(), bound(), complete("SELECT 1")]).await;
    scene.upstream_gets(&["Q SET search_path TO archive"]).await;
    scene.answer([complete("SET"), ready('T')]).await;
    scene.client_gets(&["1", "2", "C SELECT 1", "C SET", "Z T"]).await;
    scene.send([sync()]).await;
    scene.upstream_gets(&["C Spgusher$step", "P pgusher$step ", "S"]).await;
    scene.answer([closed(), parsed(), ready('I')]).await;
    scene.client_gets(&["Z I"]).await;
    scene.send([query("SELECT count(*) FROM orders")]).await;
    scene.client_gets(&["E 42501 permission denied for table orders", "Z I"]).await;
}

#[tokio::test]
async fn discard_all_brings_the_identity_back_before_the_client_goes_on() {
    let mut scene = scene();
    scene.send([query("DISCARD ALL")]).await;
    scene.upstream_gets(&["Q DISCARD ALL"]).await;
    scene.answer([complete("DISCARD ALL"), ready('I')]).await;
    scene.housekeeping("SELECT pgusher.attach($1, $2), pg_catalog.current_setting('search_path')", Some("9"), 'I').await;
    scene.client_gets(&["C DISCARD ALL", "Z I"]).await;
}

#[tokio::test]
async fn a_governance_query_is_carried_out_in_a_transaction_and_published() {
    let mut scene = scene_of(fixture::admin());
    scene.send([query("GRANT SELECT ON TABLE customers TO \"alice\"")]).await;
    scene.housekeeping(BEGIN[0], None, 'T').await;
    scene.housekeeping("SELECT pgusher.execute($1, $2, $3, $4)", Some(""), 'T').await;
    scene.housekeeping("COMMIT", None, 'I').await;
    scene.client_gets(&["C GRANT", "Z I"]).await;
    let told = scene.fake.told();
    assert!(told.iter().any(|t| t == "within") && told.iter().any(|t| t == "refresh"), "{told:?}");
}

#[tokio::test]
async fn a_governance_command_that_fails_rolls_back() {
    let mut scene = scene_of(fixture::admin());
    scene.send([query("GRANT SELECT ON TABLE customers TO \"alice\"")]).await;
    scene.housekeeping(BEGIN[0], None, 'T').await;
    scene.upstream_words(6).await;
    scene.answer([closed(), closed(), error("23505", "twice"), ready('E')]).await;
    scene.upstream_gets(&["P pgusher$refused refused by pgusher", "S"]).await;
    scene.answer([error("42601", "x"), ready('E')]).await;
    scene.housekeeping("ROLLBACK", None, 'I').await;
    scene.client_gets(&["E 23505 twice", "Z I"]).await;
    assert!(!scene.fake.told().iter().any(|t| t == "refresh"));
}

#[tokio::test]
async fn governance_goes_by_the_extended_protocol_too_with_row_limits() {
    let mut scene = scene_of(fixture::admin());
    scene.send([parse("g", "SHOW USERS"), describe('S', "g"), bind("", "g"), describe('P', ""), execute("", 2), flush()]).await;
    scene.housekeeping("BEGIN READ WRITE", None, 'T').await;
    scene.client_gets(&["1", "t", "T", "2", "T", "D", "D", "s"]).await;
    scene.send([execute("", 2), sync()]).await;
    scene.housekeeping("COMMIT", None, 'I').await;
    scene.client_gets(&["D", "C SHOW", "Z I"]).await;
    scene.send([close('S', "g"), bind("", "g"), sync()]).await;
    scene.client_gets(&["3", "E 26000 prepared statement \"g\" does not exist", "Z I"]).await;
}

#[tokio::test]
async fn an_administrators_utility_statement_runs_as_owner() {
    let mut scene = scene_of(fixture::admin());
    scene.send([query("CREATE INDEX i ON customers (id)")]).await;
    scene.housekeeping(BEGIN[0], None, 'T').await;
    scene.housekeeping("SET LOCAL ROLE pgusher_owner", None, 'T').await;
    scene.upstream_words(7).await;
    scene.answer([closed(), closed(), parsed(), bound(), raw(b'n', b""), complete("CREATE INDEX")]).await;
    scene.housekeeping("RESET ROLE", None, 'T').await;
    scene.housekeeping("SELECT pgusher.execute($1, $2, $3, $4)", None, 'T').await;
    scene.housekeeping("COMMIT", None, 'I').await;
    scene.client_gets(&["C CREATE INDEX", "Z I"]).await;
    assert!(scene.fake.told().iter().any(|t| t == "refresh"));
}

#[tokio::test]
async fn an_administrators_utility_statement_that_fails_rolls_back() {
    let mut scene = scene_of(fixture::admin());
    scene.send([parse("", "CREATE INDEX i ON customers (id)"), bind("", ""), execute("", 0), sync()]).await;
    scene.upstream_words(2).await;
    scene.upstream_gets(&["H"]).await;
    scene.answer([parsed(), bound()]).await;
    scene.housekeeping(BEGIN[0], None, 'T').await;
    scene.housekeeping("SET LOCAL ROLE pgusher_owner", None, 'T').await;
    scene.upstream_words(6).await;
    scene.answer([closed(), closed(), parsed(), bound(), error("42P07", "exists")]).await;
    scene.client_gets(&["1", "2", "E 42P07 exists"]).await;
    scene.upstream_gets(&["S"]).await;
    scene.answer([ready('E')]).await;
    scene.housekeeping("ROLLBACK", None, 'I').await;
    scene.client_gets(&["Z I"]).await;
}

#[tokio::test]
async fn copy_data_passes_and_late_data_is_ignored() {
    let mut scene = scene_of(fixture::admin());
    scene.send([query("COPY customers FROM STDIN")]).await;
    scene.upstream_word().await;
    scene.answer([raw(b'G', b"\0\0\0")]).await;
    scene.client_gets(&["G"]).await;
    scene.send([raw(b'd', b"1\t2\n"), raw(b'S', b""), raw(b'c', b"")]).await;
    scene.upstream_gets(&["d 1\t2\n", "c"]).await;
    scene.answer([complete("COPY 1"), ready('I')]).await;
    scene.client_gets(&["C COPY 1", "Z I"]).await;
    scene.send([raw(b'd', b"late"), raw(b'c', b""), query("SELECT 1")]).await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
}

#[tokio::test]
async fn a_query_in_the_midst_of_a_copy_fails_the_copy() {
    let mut scene = scene_of(fixture::admin());
    scene.send([query("COPY customers FROM STDIN")]).await;
    scene.upstream_word().await;
    scene.answer([raw(b'G', b"\0\0\0")]).await;
    scene.client_gets(&["G"]).await;
    scene.send([query("SELECT 1")]).await;
    scene.upstream_gets(&["f"]).await;
    scene.answer([error("57014", "COPY from stdin failed"), ready('I')]).await;
    scene.client_gets(&["E 08P01 unexpected message type 0x51 during COPY from stdin", "Z I"]).await;
}

#[tokio::test]
async fn copy_by_the_extended_protocol_ignores_the_sync_sent_too_early() {
    let mut scene = scene_of(fixture::admin());
    scene.send([parse("", "COPY customers FROM STDIN"), bind("", ""), execute("", 0), sync()]).await;
    scene.upstream_words(3).await;
    scene.upstream_gets(&["H"]).await;
    scene.answer([parsed(), bound(), raw(b'G', b"\0\0\0")]).await;
    scene.client_gets(&["1", "2", "G"]).await;
    scene.send([raw(b'd', b"x\n"), raw(b'c', b""), sync()]).await;
    scene.upstream_gets(&["d x\n", "c", "H"]).await;
    scene.answer([complete("COPY 1")]).await;
    scene.upstream_gets(&["S"]).await;
    scene.answer([ready('I')]).await;
    scene.client_gets(&["C COPY 1", "Z I"]).await;
}

#[tokio::test]
async fn copy_into_a_governed_table_goes_through_a_temporary_one() {
    let mut scene = scene_of(fixture::admin());
    scene.send([query("COPY orders FROM STDIN")]).await;
    scene.housekeeping(BEGIN[0], None, 'T').await;
    scene.upstream_words(6).await;
    scene.answer([closed(), closed(), parsed(), bound(), complete("CREATE TABLE")]).await;
    scene.upstream_words(6).await;
    scene.answer([closed(), closed(), parsed(), bound(), raw(b'G', b"\0\0\0")]).await;
    scene.client_gets(&["G"]).await;
    scene.send([raw(b'd', b"x\n"), raw(b'c', b"")]).await;
    scene.upstream_gets(&["d x\n", "c", "H"]).await;
    scene.answer([complete("COPY 1")]).await;
    for tag in ["INSERT 0 1", "DROP TABLE"] {
        scene.upstream_words(6).await;
        scene.answer([closed(), closed(), parsed(), bound(), complete(tag)]).await;
    }
    scene.housekeeping("COMMIT", None, 'I').await;
    scene.client_gets(&["C COPY 1", "Z I"]).await;
}

#[tokio::test]
async fn a_prepared_statement_is_prepared_anew_when_the_policies_moved() {
    let mut scene = scene();
    scene.send([parse("s", "SELECT id FROM orders"), sync()]).await;
    scene.upstream_words(2).await;
    scene.answer([parsed(), ready('I')]).await;
    scene.client_gets(&["1", "Z I"]).await;
    // The same statement, and nothing more to do than to decide again.
    scene.fake.footing.store(moved(false));
    scene.send([bind("", "s"), execute("", 0), sync()]).await;
    scene.upstream_gets(&["B  s", "E  0", "S"]).await;
    scene.answer([bound(), complete("SELECT 0"), ready('I')]).await;
    scene.client_gets(&["2", "C SELECT 0", "Z I"]).await;
    // A mask was set: something else is read from now on.
    scene.fake.footing.store(moved(true));
    scene.send([bind("", "s"), execute("", 0), sync()]).await;
    scene.upstream_gets(&["C Ss"]).await;
    assert!(scene.upstream_word().await.contains("pgusher_public"));
    // Not before upstream has it is it taken for prepared.
    scene.upstream_gets(&["H"]).await;
    scene.answer([closed(), parsed()]).await;
    scene.upstream_gets(&["B  s", "E  0", "S"]).await;
    scene.answer([bound(), complete("SELECT 0"), ready('I')]).await;
    scene.client_gets(&["2", "C SELECT 0", "Z I"]).await;
}

#[tokio::test]
async fn a_principal_that_is_gone_ends_the_session() {
    let mut scene = scene();
    scene.fake.footing.store(without_alice());
    scene.send([query("SELECT 1")]).await;
    assert!(matches!(scene.ended().await, Err(crate::error::session::SessionError::Revoked)));
}

#[tokio::test]
async fn a_statement_in_steps_is_taken_in_steps_the_second_time_too() {
    let mut scene = scene_of(fixture::admin());
    for _ in 0..2 {
        scene.send([query("CREATE INDEX i ON customers (id)")]).await;
        scene.housekeeping(BEGIN[0], None, 'T').await;
        scene.housekeeping("SET LOCAL ROLE pgusher_owner", None, 'T').await;
        scene.upstream_words(7).await;
        scene.answer([closed(), closed(), parsed(), bound(), raw(b'n', b""), complete("CREATE INDEX")]).await;
        scene.housekeeping("RESET ROLE", None, 'T').await;
        scene.housekeeping("SELECT pgusher.execute($1, $2, $3, $4)", None, 'T').await;
        scene.housekeeping("COMMIT", None, 'I').await;
        scene.client_gets(&["C CREATE INDEX", "Z I"]).await;
    }
}
