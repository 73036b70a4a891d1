//! What a failure leaves behind: nothing that was only on its way, and no rights.

use super::rig::*;
use crate::error::session::SessionError;
use crate::sql::fixture;

/// Sends a Query that goes up as it is.
async fn runs(scene: &mut Scene, text: &str, tag: &str, status: char) {
    scene.send([query(text)]).await;
    scene.upstream_word().await;
    scene.answer([complete(tag), ready(status)]).await;
    scene.client_gets(&[&format!("C {tag}"), &format!("Z {status}")]).await;
}

#[tokio::test]
async fn an_error_of_an_earlier_batch_does_not_let_a_refusal_overtake_its_ready_for_query() {
    let mut scene = scene();
    scene.send([parse("", "SELECT 1"), bind("", ""), execute("", 0), flush()]).await;
    scene.upstream_gets(&["P  SELECT 1", "B  ", "E  0", "H"]).await;
    scene.answer([error("22012", "division by zero")]).await;
    scene.client_gets(&["E 22012 division by zero"]).await;
    scene.send([sync(), parse("", "SELECT 2"), bind("", ""), execute("", 0), parse("", "SELECT * FROM customers"), sync()]).await;
    let refused = "P pgusher$refused refused by pgusher";
    scene.upstream_gets(&["S", "P  SELECT 2", "B  ", "E  0", refused, "S"]).await;
    scene.client_gets_nothing().await;
    scene.answer([ready('I'), parsed(), bound(), complete("SELECT 1"), error("42601", "syntax error"), ready('I')]).await;
    scene.client_gets(&["Z I", "1", "2", "C SELECT 1", "E 42501 permission denied for table customers", "Z I"]).await;
}

#[tokio::test]
async fn a_commit_that_fails_brings_back_the_search_path() {
    let mut scene = scene();
    runs(&mut scene, "BEGIN", "BEGIN", 'T').await;
    runs(&mut scene, "SET search_path TO archive", "SET", 'T').await;
    scene.send([query("COMMIT")]).await;
    scene.upstream_gets(&["Q COMMIT"]).await;
    scene.answer([error("40001", "could not serialize access"), ready('I')]).await;
    scene.client_gets(&["E 40001 could not serialize access", "Z I"]).await;
    scene.send([query("SELECT count(*) FROM orders")]).await;
    assert!(scene.upstream_word().await.contains("\"public\".\"orders\""));
}

#[tokio::test]
async fn discard_all_resets_the_search_path_whatever_fails_behind_it() {
    let mut scene = scene();
    runs(&mut scene, "SET search_path TO archive", "SET", 'I').await;
    scene.send([parse("", "DISCARD ALL"), bind("", ""), execute("", 0), flush()]).await;
    scene.upstream_gets(&["P  DISCARD ALL", "B  ", "E  0", "H"]).await;
    scene.answer([parsed(), bound(), complete("DISCARD ALL"), error("22012", "division by zero")]).await;
    scene.send([sync()]).await;
    scene.upstream_gets(&["S"]).await;
    scene.answer([ready('I')]).await;
    scene.housekeeping("SELECT pgusher.attach($1, $2), pg_catalog.current_setting('search_path')", Some("9"), 'I').await;
    scene.client_gets(&["1", "2", "C DISCARD ALL", "E 22012 division by zero", "Z I"]).await;
    scene.send([query("SELECT count(*) FROM orders")]).await;
    assert!(scene.upstream_word().await.contains("\"public\".\"orders\""));
}

/// The steps of a VACUUM, up to its end.
async fn vacuum() -> Scene {
    let mut scene = scene_of(fixture::admin());
    scene.send([query("VACUUM customers")]).await;
    scene.housekeeping("SET ROLE pgusher_owner", None, 'I').await;
    scene.upstream_words(7).await;
    scene.answer([closed(), closed(), parsed(), bound(), raw(b'n', b""), complete("VACUUM")]).await;
    scene
}

const CANCELED: (&str, &str) = ("57014", "canceling statement due to user request");

#[tokio::test]
async fn the_owners_rights_are_laid_down_though_a_cancel_hits_that() {
    let mut scene = vacuum().await;
    scene.upstream_words(6).await;
    scene.answer([closed(), closed(), parsed(), bound(), error(CANCELED.0, CANCELED.1), ready('I')]).await;
    scene.housekeeping("RESET ROLE", None, 'I').await;
    scene.upstream_gets(&["S"]).await;
    scene.answer([ready('I')]).await;
    scene.client_gets(&["C VACUUM", "Z I"]).await;
}

#[tokio::test]
async fn a_session_that_cannot_lay_down_the_owners_rights_ends() {
    let mut scene = vacuum().await;
    for _ in 0..3 {
        scene.upstream_words(6).await;
        scene.answer([closed(), closed(), parsed(), bound(), error(CANCELED.0, CANCELED.1), ready('I')]).await;
    }
    assert!(matches!(scene.ended().await, Err(SessionError::Broken(_))));
}

#[tokio::test]
async fn a_refused_query_undoes_the_batch_before_it_that_has_no_sync() {
    let mut scene = scene();
    let insert = [parse("", "SELECT 1"), bind("", ""), execute("", 0)];
    scene.send(insert.clone().into_iter().chain([query("SELECT * FROM customers")])).await;
    scene.upstream_gets(&["P  SELECT 1", "B  ", "E  0", "H"]).await;
    scene.answer([parsed(), bound(), complete("SELECT 1")]).await;
    scene.upstream_gets(&["P pgusher$refused refused by pgusher", "S"]).await;
    scene.answer([error("42601", "syntax error"), ready('I')]).await;
    scene.client_gets(&["1", "2", "C SELECT 1", "E 42501 permission denied for table customers", "Z I"]).await;
    // Whether an empty Query ends it is for upstream to say.
    scene.send(insert.into_iter().chain([query("")])).await;
    scene.upstream_gets(&["P  SELECT 1", "B  ", "E  0", "H"]).await;
    scene.answer([parsed(), bound(), complete("SELECT 1")]).await;
    scene.upstream_gets(&["Q "]).await;
    scene.answer([empty(), ready('I')]).await;
    scene.client_gets(&["1", "2", "C SELECT 1", "I", "Z I"]).await;
}
