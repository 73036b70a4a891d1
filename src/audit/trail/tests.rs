use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::audit::verify::{self, Expected, Verdict};
use crate::event::{Identity, SessionId};

fn settings(path: &Path) -> TrailSettings {
    TrailSettings {
        sinks: Sinks { file: Some(path.to_owned()), rotate_bytes: 0, rotate_keep: 0, stdout: false, table: None },
        durability: Durability::Buffered,
        on_failure: OnFailure::Continue,
        literals: true,
        parameters: false,
        key: None,
        queue: 10_000,
        instance: "here".to_owned(),
    }
}

fn who() -> Arc<Identity> {
    Arc::new(Identity {
        session: SessionId(1),
        principal: "ana".into(),
        actors: vec!["eyJhbGciOi.eyJzdWIi.hunter2hunter2".into()],
        token: "t".into(),
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        application: "pgu_hunter2hunter2hunter2hunter2".into(),
        database: "shop".into(),
    })
}

fn statement(text: &str) -> Statement {
    Statement {
        who: who(),
        text: text.into(),
        parameters: None,
        kind: "SELECT",
        outcome: Outcome::Allowed,
        sqlstate: "00000".into(),
        reason: None,
        objects: None,
        versions: (1, 1),
        rows: 0,
        bytes: 0,
        duration: Duration::ZERO,
    }
}

fn said(text: &str) -> Event {
    Event::Statement(Box::new(statement(text)))
}

/// A trail from its start to its end, with so many statements in it.
fn written(settings: TrailSettings, statements: usize) {
    let trail = Trail::start(settings).unwrap();
    for number in 0..statements {
        trail.record(said(&format!("SELECT {number}")), None);
    }
    trail.end_writer();
}

fn verdict_of(path: &Path, from: u64, keep: usize) -> Verdict {
    verify::verify(|| verify::files(path), &Expected { key: None, current: Some(path), from, keep }).unwrap()
}

fn broken(path: &Path, expected: &str) {
    let breaks = verdict_of(path, 1, 0).breaks;
    assert!(breaks.iter().any(|wrong| wrong.contains(expected)), "{expected}: {breaks:?}");
}

fn records(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until a text is in one of the files.
fn reached(path: &Path, text: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    // A file may be put aside between the two looks.
    let there = |file: &PathBuf| std::fs::read_to_string(file).is_ok_and(|records| records.contains(text));
    while !verify::files(path).is_ok_and(|files| files.iter().any(there)) {
        assert!(Instant::now() < end, "waited in vain for {text}");
        std::thread::yield_now();
    }
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    (directory, path)
}

fn head(path: &Path) -> PathBuf {
    path.with_extension("jsonl.head")
}

/// A writer whose proxy has ended.
fn writer(settings: TrailSettings) -> Writer {
    let path = settings.sinks.file.clone().unwrap();
    let (file, found) = Records::open(&path, None).unwrap();
    let shared = Shared {
        queue: Mutex::new(Queue { ended: true, ..Queue::default() }),
        wake: Condvar::new(),
        failing: AtomicBool::new(false),
        table_failing: Arc::default(),
        durability: settings.durability,
        on_failure: settings.on_failure,
        parameters: false,
        limit: settings.queue,
    };
    Writer {
        shared: Arc::new(shared),
        scribe: Scribe::new("here".to_owned(), (true, false), None, found.link.unwrap_or_default()),
        file: Some(file),
        table: None,
        sinks: settings.sinks,
        lines: Vec::new(),
        head: None,
        lost: 0,
    }
}

fn waiting(text: &str) -> Waiting {
    Waiting { at: SystemTime::now(), matter: Matter::Event(said(text)), receipt: None, bytes: 0 }
}

#[test]
fn what_is_lost_at_the_end_leaves_a_gap_and_the_last_record_says_so() {
    let (_directory, path) = scratch();
    written(settings(&path), 2);
    let mut writer = writer(settings(&path));
    writer.file = None;
    assert!(!writer.write(vec![waiting("SELECT 'lost'"), waiting("SELECT 'lost, too'")]));
    // Nothing could be written at all: the head says how far the chain went.
    broken(&path, "records 5 to 6 are missing at the end");
    writer.shared.queue().lost = 3;
    writer.stop();
    let all = records(&path);
    drop(writer);
    let stopped = all.last().unwrap();
    assert_eq!((&stopped["event"], &stopped["lost"], &stopped["sequence"]), (&"stopped".into(), &5.into(), &10.into()));
    broken(&path, "records 5 to 9 are missing");
    written(settings(&path), 2);
    broken(&path, "records 5 to 9 are missing");
}

#[test]
fn a_missing_or_changed_head_shows_and_the_next_start_says_it() {
    let (_directory, path) = scratch();
    written(settings(&path), 5);
    assert_eq!(verdict_of(&path, 1, 0).breaks, Vec::<String>::new());
    let text = std::fs::read_to_string(&path).unwrap();
    let cut: String = text.lines().take(3).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, cut).unwrap();
    std::fs::remove_file(head(&path)).unwrap();
    broken(&path, "it is missing");
    written(settings(&path), 1);
    assert_eq!(records(&path)[3]["head"], "missing");
    std::fs::write(head(&path), "{}").unwrap();
    written(settings(&path), 1);
    assert_eq!(records(&path)[6]["head"], "invalid");
    std::fs::write(&path, "").unwrap();
    broken(&path, "no record is there");
}

#[test]
fn a_beginning_that_is_gone_shows_unless_it_was_put_away() {
    let (_directory, path) = scratch();
    written(settings(&path), 3);
    written(settings(&path), 3);
    let text = std::fs::read_to_string(&path).unwrap();
    // From the second start on: a record that says itself what it follows.
    let cut: String = text.lines().skip(5).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, cut).unwrap();
    broken(&path, "records 1 to 5 are missing at the beginning");
    assert_eq!(verdict_of(&path, 6, 0).breaks, Vec::<String>::new());
    assert!(!verdict_of(&path, 5, 0).breaks.is_empty());
    assert!(!verdict_of(&path, 1, 1).breaks.is_empty(), "nothing was rotated");
}

fn rotating(path: &Path, keep: usize) -> TrailSettings {
    let mut settings = settings(path);
    (settings.sinks.rotate_bytes, settings.sinks.rotate_keep) = (1, keep);
    settings
}

/// Each start and end makes a file or two.
#[test]
fn rotation_explains_what_it_removed_and_no_more() {
    let (_directory, path) = scratch();
    for round in 0..4 {
        let trail = Trail::start(rotating(&path, 2)).unwrap();
        for number in 0..3 {
            let text = format!("SELECT {round}, {number}");
            trail.record(said(&text), None);
            reached(&path, &text);
        }
        trail.end_writer();
    }
    let files = verify::files(&path).unwrap();
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(verdict_of(&path, 1, 2).breaks, Vec::<String>::new());
    std::fs::remove_file(&files[0]).unwrap();
    assert!(!verdict_of(&path, 1, 2).breaks.is_empty(), "rotation keeps two");
}

#[test]
fn the_chain_goes_on_from_the_newest_file_aside_and_none_is_written_over() {
    let (_directory, path) = scratch();
    let trail = Trail::start(rotating(&path, 0)).unwrap();
    for number in 0..4 {
        let text = format!("SELECT {number}");
        trail.record(said(&text), None);
        reached(&path, &text);
    }
    trail.end_writer();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(head(&path)).unwrap();
    let aside = verify::files(&path).unwrap();
    let texts: Vec<String> = aside.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert!(aside.len() > 1, "{aside:?}");
    broken(&path, "it is missing");
    written(rotating(&path, 0), 3);
    let last = records(aside.last().unwrap()).last().unwrap()["sequence"].as_u64().unwrap();
    let all = verify::files(&path).unwrap();
    let started = &records(&all[aside.len()])[0];
    assert_eq!((started["sequence"].as_u64(), &started["head"]), (Some(last + 1), &"missing".into()));
    assert!(aside.iter().zip(&texts).all(|(file, text)| std::fs::read_to_string(file).unwrap() == *text));
    let (mut file, _) = Records::open(&path, None).unwrap();
    let first = records(&path)[0]["sequence"].as_u64().unwrap();
    std::fs::write(path.with_extension(format!("jsonl.{first:020}")), "somebody's").unwrap();
    assert_eq!(file.rotate(0).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_live_trail_is_no_false_alarm() {
    let (_directory, path) = scratch();
    let mut live = settings(&path);
    (live.sinks.rotate_bytes, live.durability) = (100_000, Durability::Written);
    let trail = Trail::start(live).unwrap();
    until_there(&path);
    let stop = AtomicBool::new(false);
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                trail.record(said("SELECT 1"), None);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let verdicts = (0..40).map(|_| verdict_of(&path, 1, 0)).collect();
        stop.store(true, Ordering::Relaxed);
        verdicts
    });
    trail.end_writer();
    let wrong: Vec<_> = verdicts.iter().flat_map(|verdict| &verdict.breaks).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn until_there(path: &Path) {
    while std::fs::metadata(path).map_or(0, |metadata| metadata.len()) == 0 {
        std::thread::yield_now();
    }
}

/// While nothing can be written memory has an end, and what waited is written in parts.
#[test]
fn what_waits_is_bounded_by_its_size() {
    let (_directory, path) = scratch();
    let mut writer = writer(settings(&path));
    let shared = Arc::clone(&writer.shared);
    shared.failing.store(true, Ordering::Relaxed);
    let trail = Trail { shared: Arc::clone(&shared), writer: Mutex::default(), table: Mutex::default() };
    let long = "x".repeat(1 << 20);
    for _ in 0..80 {
        trail.record(said(&long), None);
    }
    let kept = shared.queue().waiting.len();
    assert!((60..=64).contains(&kept), "{kept}");
    let kept = shared.queue().waiting.len() as u64;
    assert_eq!(kept + shared.queue().lost, 80);
    let batch = writer.next().unwrap();
    assert!(batch.len() <= 5, "{}", batch.len());
    while writer.next().is_some() {}
    assert_eq!(shared.queue().bytes, 0);
    // A statement that is refused meanwhile leaves the beginning of its text, without a secret that stands across the cut.
    let text = format!("{}'{}'", "SELECT ".repeat(145), "pgu_hunter2".repeat(20_000));
    let refused = Statement { outcome: Outcome::Refused, ..statement(&text) };
    trail.record(Event::Statement(Box::new(refused)), None);
    let Matter::Event(Event::Statement(kept)) = &shared.queue().waiting[0].matter else { panic!("a statement") };
    assert!(kept.text.len() < 1100 && !kept.text.contains("hunter2"), "{}", kept.text);
}

/// What a record says of a statement.
fn record_of(statement: Statement, shown: (bool, bool)) -> Value {
    let mut lines = Vec::new();
    let mut scribe = Scribe::new("here".to_owned(), shown, None, crate::audit::chain::Link::default());
    scribe.write(&mut lines, SystemTime::now(), &Matter::Event(Event::Statement(Box::new(statement))));
    serde_json::from_slice(&lines).unwrap()
}

#[test]
fn no_token_is_in_the_names_of_applications_and_actors() {
    let record = record_of(statement("SELECT 1"), (true, true)).to_string();
    assert!(record.contains("application") && record.contains("actors") && !record.contains("hunter2"), "{record}");
}

#[test]
fn a_reason_tells_no_value_that_is_left_out_elsewhere() {
    let failed = |text: &str, code: &str, reason: &str| Statement {
        outcome: Outcome::Failed,
        sqlstate: code.to_owned().into(),
        reason: Some(reason.into()),
        ..statement(text)
    };
    let out_of_range = || failed("SELECT 4711::smallint", "22003", "value 4711 is out of range for type smallint");
    assert_eq!(record_of(out_of_range(), (false, true))["reason"], "value ? is out of range for type smallint");
    assert!(record_of(out_of_range(), (true, false))["reason"].to_string().contains("4711"), "the text has it, too");
    let raised = failed("SELECT f('hunter')", "P0001", "no such customer: hunter");
    assert_eq!(record_of(raised, (false, true)).get("reason"), None);
    let bound = || failed("SELECT $1::int", "22P02", "invalid input syntax for type integer: \"hunter\"");
    assert_eq!(record_of(bound(), (true, false))["reason"], "invalid input syntax for type integer: \"…\"");
    assert!(record_of(bound(), (true, true))["reason"].to_string().contains("hunter"), "parameters are recorded");
}

#[test]
fn a_text_that_is_cut_before_its_secret_leaves_none_in_its_reason() {
    let text = format!("SELECT {}, 'hunter2' AS password", "1 + ".repeat(400));
    let refused = Statement {
        outcome: Outcome::Refused,
        reason: Some("syntax error at or near \"hunter2\"".into()),
        parameters: Some(Arc::from(vec![Some("hunter2".to_owned())])),
        ..statement(&text)
    };
    let Event::Statement(kept) = shortened(Event::Statement(Box::new(refused))) else { panic!("a statement stays one") };
    assert!(kept.text.len() < text.len() && !kept.text.contains("password"));
    assert_eq!((kept.reason.as_deref().map(|reason| reason.contains("hunter2")), &kept.parameters), (Some(false), &None));
}
