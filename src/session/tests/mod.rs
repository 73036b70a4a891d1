//! Sessions against a scripted upstream.

mod leftovers;
mod rig;
mod special;

use rig::*;

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::error::session::SessionError;
use crate::sql::fixture;

#[test]
fn a_session_can_run_on_any_thread() {
    fn sendable<T: Send>(_: fn(crate::startup::Authenticated, Arc<Environment>) -> T) {}
    sendable(run);
}

/// Ten thousand people may be connected, and most of them do nothing: what one of them takes is bounded here, so that it grows on purpose only.
#[test]
fn a_session_that_waits_for_its_client_takes_little_memory() {
    fn room<T>(_: fn(crate::startup::Authenticated, Arc<Environment>) -> T) -> usize {
        size_of::<T>()
    }
    assert!(size_of::<run::Session>() <= 2048, "{}", size_of::<run::Session>());
    assert!(room(greet::run) <= 1280, "{}", room(greet::run));
}

#[tokio::test]
async fn a_query_goes_up_and_its_answer_comes_down_unread() {
    let mut scene = scene();
    scene.send([query("SELECT 1")]).await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
    scene.answer([columns(), data(&["1"]), complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["T", "D", "C SELECT 1", "Z I"]).await;
    assert_eq!(scene.fake.told(), ["Allowed 00000 SELECT 1"]);
    scene.send([query("SELECT 1"), raw(b'X', b"")]).await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
    scene.answer([complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["C SELECT 1", "Z I"]).await;
    scene.ended().await.unwrap();
}

#[tokio::test]
async fn an_empty_query_is_answered_here() {
    let mut scene = scene();
    scene.send([query(" -- nothing")]).await;
    scene.client_gets(&["I", "Z I"]).await;
    scene.upstream_gets_nothing().await;
}

#[tokio::test]
async fn outside_a_transaction_a_refusal_needs_no_round_trip() {
    let mut scene = scene();
    scene.send([query("SELECT * FROM customers"), query("SELEC")]).await;
    scene
        .client_gets(&[
            "E 42501 permission denied for table customers",
            "Z I",
            "E 42601 syntax error at or near \"SELEC\" @1",
            "Z I",
        ])
        .await;
    scene.upstream_gets_nothing().await;
    assert_eq!(scene.fake.told()[0], "Denied 42501 SELECT * FROM customers");
}

#[tokio::test]
async fn inside_a_transaction_a_refusal_makes_it_fail() {
    let mut scene = scene();
    scene.send([query("BEGIN")]).await;
    scene.upstream_gets(&["Q BEGIN"]).await;
    scene.answer([complete("BEGIN"), ready('T')]).await;
    scene.client_gets(&["C BEGIN", "Z T"]).await;
    scene.send([query("SELECT * FROM customers")]).await;
    scene.upstream_gets(&["P pgusher$refused refused by pgusher", "S"]).await;
    scene.answer([error("42601", "syntax error"), ready('E')]).await;
    scene.client_gets(&["E 42501 permission denied for table customers", "Z E"]).await;
    scene.send([query("SELECT * FROM customers")]).await;
    scene.client_gets(&["E 25P02 current transaction is aborted, commands ignored until end of transaction block", "Z E"]).await;
    scene.send([query("SELEC")]).await;
    scene.client_gets(&["E 42601 syntax error at or near \"SELEC\" @1", "Z E"]).await;
    scene.send([query("ROLLBACK")]).await;
    scene.upstream_gets(&["Q ROLLBACK"]).await;
}

#[tokio::test]
async fn statements_of_one_query_go_up_together() {
    let mut scene = scene();
    scene.send([query("SELECT 1; SELECT 2 -- two\n;")]).await;
    scene.upstream_gets(&["Q SELECT 1\n;SELECT 2 -- two\n"]).await;
    scene.answer([complete("SELECT 1"), complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["C SELECT 1", "C SELECT 1", "Z I"]).await;
    assert_eq!(scene.fake.told().len(), 2);
}

#[tokio::test]
async fn what_comes_before_a_refused_statement_runs_and_the_transaction_fails() {
    let mut scene = scene();
    scene.send([query("SELECT 1; SELECT * FROM customers; SELECT 3")]).await;
    scene.housekeeping("BEGIN", None, 'T').await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
    scene.answer([columns(), data(&["1"]), complete("SELECT 1"), ready('T')]).await;
    scene.client_gets(&["T", "D", "C SELECT 1"]).await;
    scene.upstream_gets(&["P pgusher$refused refused by pgusher", "S"]).await;
    scene.answer([error("42601", "syntax error"), ready('E')]).await;
    scene.housekeeping("ROLLBACK", None, 'I').await;
    scene.client_gets(&["E 42501 permission denied for table customers", "Z I"]).await;
}

#[tokio::test]
async fn a_pipeline_goes_up_without_waiting() {
    let mut scene = scene();
    scene.send([parse("s", "SELECT $1"), bind("", "s"), describe('P', ""), execute("", 0), sync()]).await;
    scene.send([bind("", "s"), execute("", 0), sync()]).await;
    scene.upstream_gets(&["P s SELECT $1", "B  s", "D P", "E  0", "S", "B  s", "E  0", "S"]).await;
    scene.answer([parsed(), bound(), columns(), data(&["1"]), complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["1", "2", "T", "D", "C SELECT 1", "Z I"]).await;
    scene.answer([bound(), data(&["1"]), complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["2", "D", "C SELECT 1", "Z I"]).await;
}

#[tokio::test]
async fn a_refused_parse_skips_to_sync() {
    let mut scene = scene();
    scene.send([parse("", "SELECT * FROM customers"), bind("", ""), execute("", 0)]).await;
    scene.client_gets(&["E 42501 permission denied for table customers"]).await;
    scene.client_gets_nothing().await;
    scene.send([sync()]).await;
    scene.client_gets(&["Z I"]).await;
    scene.upstream_gets_nothing().await;
}

#[tokio::test]
async fn a_refusal_in_a_batch_fails_what_the_batch_did_before() {
    let mut scene = scene();
    scene.send([parse("a", "SELECT 1"), bind("", "a"), execute("", 0), parse("b", "SELECT * FROM customers"), sync()]).await;
    scene.upstream_gets(&["P a SELECT 1", "B  a", "E  0", "P pgusher$refused refused by pgusher", "S"]).await;
    scene.answer([parsed(), bound(), complete("SELECT 1"), error("42601", "x"), ready('I')]).await;
    scene.client_gets(&["1", "2", "C SELECT 1", "E 42501 permission denied for table customers", "Z I"]).await;
    scene.send([bind("", "b"), sync()]).await;
    scene.client_gets(&["E 26000 prepared statement \"b\" does not exist", "Z I"]).await;
}

#[tokio::test]
async fn an_error_of_upstream_comes_before_a_refusal_behind_it() {
    let mut scene = scene();
    scene.send([parse("a", "SELECT 1/0"), bind("", "a"), execute("", 0), parse("b", "SELEC"), sync()]).await;
    scene.upstream_gets(&["P a SELECT 1/0", "B  a", "E  0", "P pgusher$refused refused by pgusher", "S"]).await;
    scene.answer([parsed(), bound(), error("22012", "division by zero"), ready('I')]).await;
    scene.client_gets(&["1", "2", "E 22012 division by zero", "Z I"]).await;
    scene.send([parse("c", "SELECT 1"), sync()]).await;
    scene.upstream_gets(&["P c SELECT 1", "S"]).await;
}

#[tokio::test]
async fn an_error_seen_before_sync_skips_the_rest_of_the_batch() {
    let mut scene = scene();
    scene.send([parse("a", "SELECT 1/0"), bind("", "a"), execute("", 0), flush()]).await;
    scene.upstream_gets(&["P a SELECT 1/0", "B  a", "E  0", "H"]).await;
    scene.answer([parsed(), bound(), error("22012", "division by zero")]).await;
    scene.client_gets(&["1", "2", "E 22012 division by zero"]).await;
    scene.send([parse("c", "SELECT 1"), bind("", "c"), sync()]).await;
    scene.upstream_gets(&["S"]).await;
    scene.answer([ready('I')]).await;
    scene.client_gets(&["Z I"]).await;
}

#[tokio::test]
async fn names_of_statements_are_shared_and_ours_are_reserved() {
    let mut scene = scene();
    scene.send([parse("pgusher$step", "SELECT 1"), sync()]).await;
    scene.client_gets(&["E 42939 unacceptable name \"pgusher$step\"", "Z I"]).await;
    scene.send([query("PREPARE \"pgusher$x\" AS SELECT 1")]).await;
    scene.client_gets(&["E 42939 unacceptable name \"pgusher$x\"", "Z I"]).await;
    scene.send([query("PREPARE p AS SELECT 1")]).await;
    scene.upstream_gets(&["Q PREPARE p AS SELECT 1"]).await;
    scene.answer([complete("PREPARE"), ready('I')]).await;
    scene.client_gets(&["C PREPARE", "Z I"]).await;
    scene.send([bind("", "p"), execute("", 0), sync()]).await;
    scene.upstream_gets(&["B  p", "E  0", "S"]).await;
    scene.answer([bound(), complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["2", "C SELECT 1", "Z I"]).await;
    scene.send([parse("q", "SELECT 1"), sync()]).await;
    scene.upstream_gets(&["P q SELECT 1", "S"]).await;
    scene.answer([parsed(), ready('I')]).await;
    scene.client_gets(&["1", "Z I"]).await;
    for statement in ["p", "q"] {
        scene.send([bind("pgusher$step", statement), sync()]).await;
        scene.client_gets(&["E 42939 unacceptable name \"pgusher$step\"", "Z I"]).await;
    }
    scene.send([query("DEALLOCATE ALL")]).await;
    scene.upstream_gets(&["Q DEALLOCATE ALL"]).await;
    scene.answer([complete("DEALLOCATE ALL"), ready('I')]).await;
    scene.client_gets(&["C DEALLOCATE ALL", "Z I"]).await;
    scene.send([bind("", "p"), sync()]).await;
    scene.client_gets(&["E 26000 prepared statement \"p\" does not exist", "Z I"]).await;
}

#[tokio::test]
async fn a_large_row_streams_through_in_pieces() {
    let mut scene = scene();
    scene.send([query("SELECT 1")]).await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
    let size = 3 << 20;
    let row = raw(b'D', &vec![7; size]);
    let (first, second) = row.split_at(700_000);
    scene.answer([first.into()]).await;
    assert_eq!(scene.client_reads(first.len()).await, first);
    for piece in second.chunks(500_000) {
        scene.answer([piece.into()]).await;
        assert_eq!(scene.client_reads(piece.len()).await, piece);
    }
    scene.answer([complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["C SELECT 1", "Z I"]).await;
}

#[tokio::test]
async fn many_rows_come_in_their_order_however_upstream_cuts_them() {
    let mut scene = scene();
    scene.send([query("SELECT 1")]).await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
    let mut answer = columns();
    for number in 0..20_000_u32 {
        answer.extend_from_slice(&data(&[&number.to_string(), &"x".repeat(number as usize % 97)]));
    }
    // Pieces that end within headers and within rows, small ones between large ones.
    let sizes = [70_001, 3, 4_099, 1, 65_536, 17, 9_000];
    let mut rest = &answer[..];
    let mut cut = Vec::new();
    for size in sizes.into_iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        cut.push(bytes::BytesMut::from(piece));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    for piece in cut {
        scene.answer([piece]).await;
    }
    assert!(scene.client_reads(answer.len()).await == answer, "what came is not what was sent");
    scene.answer([complete("SELECT 20000"), ready('I')]).await;
    scene.client_gets(&["C SELECT 20000", "Z I"]).await;
}

#[tokio::test]
async fn a_large_bind_streams_through_in_pieces() {
    let mut scene = scene();
    scene.send([parse("s", "SELECT $1"), sync()]).await;
    scene.upstream_gets(&["P s SELECT $1", "S"]).await;
    scene.answer([parsed(), ready('I')]).await;
    scene.client_gets(&["1", "Z I"]).await;
    let value = "x".repeat(600_000);
    let mut large = bytes::BytesMut::new();
    crate::wire::frontend::write_bind(&mut large, "", "s", [value.as_str()].into_iter());
    scene.send([large, execute("", 0), sync()]).await;
    scene.upstream_gets(&["B  s", "E  0", "S"]).await;
    scene.answer([bound(), complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["2", "C SELECT 1", "Z I"]).await;
    let mut refused = bytes::BytesMut::new();
    crate::wire::frontend::write_bind(&mut refused, "", "unknown", [value.as_str()].into_iter());
    scene.send([refused, sync()]).await;
    scene.client_gets(&["E 26000 prepared statement \"unknown\" does not exist", "Z I"]).await;
}

#[tokio::test]
async fn a_text_beyond_the_limit_is_refused_unread() {
    let mut scene = scene();
    scene.send([query(&"x".repeat((1 << 20) + 10)), query("SELECT 1")]).await;
    let (mut got, wanted) = (Vec::new(), ["E 54000", "Z I"]);
    for _ in wanted {
        got.push(scene.client_word().await);
    }
    assert!(got[0].starts_with(wanted[0]) && got[1] == wanted[1], "{got:?}");
    scene.upstream_gets(&["Q SELECT 1"]).await;
}

#[tokio::test]
async fn what_has_no_place_is_told_as_postgresql_tells_it() {
    let mut scene = scene();
    scene.send([raw(b'F', b"\0\0\0\x01"), raw(b'd', b"late"), raw(b'c', b""), query("SELECT 1")]).await;
    scene.client_gets(&["E 0A000 function call messages are not supported", "Z I"]).await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
    scene.answer([complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["C SELECT 1", "Z I"]).await;
    scene.send([raw(b'?', b"")]).await;
    assert!(matches!(scene.ended().await, Err(SessionError::UnknownTag(b'?'))));
}

#[tokio::test]
async fn details_are_withheld_where_a_filter_applied_and_only_there() {
    let duplicate =
        || error_with(&[(b'S', "ERROR"), (b'C', "23505"), (b'M', "duplicate key"), (b'D', "Key (id)=(1) already exists.")]);
    let mut scene = scene();
    scene.send([query("SELECT * FROM orders")]).await;
    scene.upstream_gets(&["Q SELECT * FROM \"public\".\"orders\""]).await;
    scene.answer([duplicate(), ready('I')]).await;
    scene.client_gets(&["E 23505 duplicate key", "Z I"]).await;
    scene.send([query("SELECT 1")]).await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
    scene.answer([duplicate(), ready('I')]).await;
    scene.client_gets(&["E 23505 duplicate key (Key (id)=(1) already exists.)", "Z I"]).await;
}

#[tokio::test]
async fn positions_are_counted_in_the_clients_characters() {
    let mut scene = scene();
    scene.send([query("SELECT 'é' ; SELECT 'ü', nope")]).await;
    scene.upstream_gets(&["Q SELECT 'é' \n;SELECT 'ü', nope"]).await;
    scene
        .answer([complete("SELECT 1"), error_with(&[(b'S', "ERROR"), (b'C', "42703"), (b'M', "no"), (b'P', "26")]), ready('I')])
        .await;
    scene.client_gets(&["C SELECT 1", "E 42703 no @26", "Z I"]).await;
}

#[tokio::test]
async fn a_refusal_in_the_midst_of_a_query_is_placed_in_the_whole_text() {
    let mut scene = scene();
    scene.send([query("SELECT 'é'; SELECT * FROM nope")]).await;
    scene.housekeeping("BEGIN", None, 'T').await;
    scene.upstream_words(1).await;
    scene.answer([columns(), complete("SELECT 1"), ready('T')]).await;
    scene.client_gets(&["T", "C SELECT 1"]).await;
    scene.upstream_words(2).await;
    scene.answer([error("42601", "x"), ready('E')]).await;
    scene.housekeeping("ROLLBACK", None, 'I').await;
    scene.client_gets(&["E 42P01 relation \"nope\" does not exist @27", "Z I"]).await;
}

#[tokio::test]
async fn a_notification_of_ones_own_carries_the_process_id_one_was_given() {
    let mut scene = scene();
    scene.answer([raw(b'A', b"\0\0\0\x07c\0p\0"), raw(b'A', b"\0\0\0\x08c\0p\0")]).await;
    assert_eq!(scene.client_reads(13).await[5..9], 70i32.to_be_bytes());
    assert_eq!(scene.client_reads(13).await[5..9], 8i32.to_be_bytes());
}

#[tokio::test]
async fn a_session_ends_when_its_token_does_even_in_a_statement() {
    let soon = tokio::time::Instant::now() + Duration::from_millis(50);
    let mut scene = scene_until(fixture::alice(), Some(soon), IdleLimits::default());
    scene.send([query("SELECT 1")]).await;
    scene.upstream_gets(&["Q SELECT 1"]).await;
    assert!(matches!(scene.ended().await, Err(SessionError::Expired)));
}

#[tokio::test]
async fn idling_ends_a_session_by_where_it_idles() {
    let limits = IdleLimits { session: Some(Duration::from_millis(50)), transaction: None };
    assert!(matches!(scene_until(fixture::alice(), None, limits).ended().await, Err(SessionError::Idle)));
    let limits = IdleLimits { session: None, transaction: Some(Duration::from_millis(50)) };
    let mut scene = scene_until(fixture::alice(), None, limits);
    scene.send([query("BEGIN")]).await;
    scene.upstream_gets(&["Q BEGIN"]).await;
    scene.answer([complete("BEGIN"), ready('T')]).await;
    assert!(matches!(scene.ended().await, Err(SessionError::IdleInTransaction)));
}

#[tokio::test]
async fn messages_that_came_together_stand_on_one_footing_and_what_comes_later_on_the_latest() {
    let mut scene = scene();
    let together = |frames: &[bytes::BytesMut]| [bytes::BytesMut::from(frames.concat().as_slice())];
    let answered = || [bound(), complete("SELECT 1"), ready('I')];
    scene.send([parse("s", "SELECT 1"), sync()]).await;
    scene.upstream_gets(&["P s SELECT 1", "S"]).await;
    scene.answer([parsed(), ready('I')]).await;
    scene.client_gets(&["1", "Z I"]).await;
    scene.fake.asked.store(0, Ordering::Relaxed);
    scene.send(together(&[bind("", "s"), describe('P', ""), execute("", 0), sync()])).await;
    scene.upstream_gets(&["B  s", "D P", "E  0", "S"]).await;
    scene.answer([bound(), columns(), complete("SELECT 1"), ready('I')]).await;
    scene.client_gets(&["2", "T", "C SELECT 1", "Z I"]).await;
    assert_eq!(scene.fake.asked.load(Ordering::Relaxed), 1);
    // Between two messages of one batch, when what came first has gone up.
    scene.send([bind("", "s")]).await;
    scene.upstream_gets(&["B  s"]).await;
    scene.fake.footing.store(moved(false));
    scene.send(together(&[execute("", 0), sync()])).await;
    scene.upstream_gets(&["E  0", "S"]).await;
    assert!(scene.fake.asked.load(Ordering::Relaxed) > 2);
    scene.answer(answered()).await;
    scene.client_gets(&["2", "C SELECT 1", "Z I"]).await;
    scene.send([bind("", "s")]).await;
    scene.upstream_gets(&["B  s"]).await;
    scene.fake.footing.store(without_alice());
    scene.send(together(&[execute("", 0), sync()])).await;
    assert!(matches!(scene.ended().await, Err(SessionError::Revoked)));
}
