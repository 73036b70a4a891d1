//! What operators rely on the audit trail for: nothing is missing after a crash, tampering shows, and no record means no statement.

use std::collections::HashSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Audited, Client, Mechanism, Proxy, ProxySettings, Shop, audit_settings, frame, records, until, within};

fn verified(files: &[&Path]) -> (String, bool) {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let mut arguments = vec!["verify"];
    arguments.extend(files.iter().map(String::as_str));
    ProxySettings::run_audit(&arguments)
}

/// Sixteen clients write rows with numbers of their own while the proxy is killed: each row that a client heard of is on record.
#[test]
fn after_kill_9_under_load_every_statement_whose_end_a_client_saw_is_on_record() {
    let mut audited = Audited::shop(Mechanism::Rls, "");
    let admin = audited.shop.admin();
    admin.run("CREATE TABLE loaded (id int)");
    admin.run("GRANT MODIFY ON TABLE loaded TO \"ana@example.com\"");
    let stop = AtomicBool::new(false);
    // Long texts keep the writer behind the clients, if they did not wait for it.
    let padding = "x".repeat(8000);
    let seen: Vec<i32> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|client| {
                let (ana, stop, padding) = (audited.shop.ana(), &stop, &padding);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    for number in 0..100_000 {
                        let id = client * 100_000 + number;
                        let insert = format!("INSERT INTO loaded VALUES ({id}) /* {padding} */");
                        if stop.load(Ordering::Relaxed) || ana.try_rows(&insert).is_err() {
                            break;
                        }
                        seen.push(id);
                    }
                    seen
                })
            })
            .collect();
        until("the load to be under way", || (std::fs::metadata(&audited.file).expect("a file").len() > 500 * 8000).then_some(()));
        // The clients go on until it is gone under them.
        audited.shop.proxy.kill();
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().expect("no client panics")).collect()
    });
    // The last record may be cut off: a process that goes on writing cuts it off, too.
    let text = std::fs::read_to_string(&audited.file).expect("a readable file");
    let recorded: HashSet<i32> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|record| record["outcome"] == "allowed")
        .filter_map(|record| {
            record["statement"].as_str()?.strip_prefix("INSERT INTO loaded VALUES (")?.split_once(')')?.0.parse().ok()
        })
        .collect();
    let missing: Vec<&i32> = seen.iter().filter(|id| !recorded.contains(id)).collect();
    assert!(seen.len() > 300, "only {} statements ended", seen.len());
    assert!(missing.is_empty(), "of {} statements whose end was seen {} have no record", seen.len(), missing.len());
    println!("{} statements whose end a client saw, {} records of them, none missing", seen.len(), recorded.len());
}

/// The chain goes on across a crash, with half a record at the end of the file, and across rotation.
#[test]
fn the_chain_goes_on_across_restarts_crashes_and_rotation() {
    let mut audited = Audited::shop(Mechanism::Rls, "rotate_bytes = 4096");
    for number in 0..40 {
        audited.shop.ana().rows(&format!("SELECT {number}, 'before the crash'"));
    }
    audited.shop.proxy.kill();
    let mut file = std::fs::OpenOptions::new().append(true).open(&audited.file).expect("the file");
    std::io::Write::write_all(&mut file, b"{\"sequence\":9999,\"ti").expect("half a record");
    drop(file);
    let settings =
        ProxySettings::new(&audited.shop.database, Mechanism::Rls).with(&audit_settings(&audited.file, "rotate_bytes = 4096"));
    audited.shop.proxy = Proxy::start(audited.shop.upstream, settings);
    audited.shop.ana().rows("SELECT 'after the crash'");
    let files = pgusher::audit::verify::files(&audited.file).expect("a readable directory");
    assert!(files.len() > 5, "{files:?}");
    let (text, good) = verified(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert!(good, "{text}");
    assert_eq!(audited.all("before the crash").len(), 40);
    assert_eq!(audited.events("started").len(), 2);
    for file in &files {
        assert_eq!(std::fs::metadata(file).expect("a file").permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    // One that is missing in their midst shows.
    let (text, good) = verified(&[&files[0], &files[2]]);
    assert!(!good && text.contains("are missing"), "{text}");
}

#[test]
fn tampering_shows() {
    let key = tempfile::tempdir().expect("a scratch directory");
    let key = key.path().join("audit.key");
    std::fs::write(&key, "a key that the intruder does not have").expect("the key");
    let mut audited = Audited::shop(Mechanism::Rls, &format!("key_file = \"{}\"", key.display()));
    let ana = audited.shop.ana();
    for number in 0..20 {
        ana.rows(&format!("SELECT {number}, 'kept'"));
    }
    drop(ana);
    audited.shop.proxy.kill();
    let text = std::fs::read_to_string(&audited.file).expect("a readable file");
    let lines: Vec<&str> = text.lines().collect();
    let whole = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let verdict = |text: &str| {
        std::fs::write(&audited.file, text).expect("the file");
        let (file, key) = (audited.file.display().to_string(), key.display().to_string());
        ProxySettings::run_audit(&["verify", &file, "--key-file", &key])
    };
    let (said, good) = verdict(&text);
    assert!(good, "{said}");
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat();
    let mut swapped = lines.clone();
    swapped.swap(8, 9);
    let changed = lines[10].replace("allowed", "Allowed");
    let numbered = lines[11].replace("\"sequence\":12", "\"sequence\":11");
    // Made anew by somebody who has not the key.
    let forged = {
        let body = lines[10].split(",\"hash\"").next().expect("a record").replace("allowed", "denied");
        let (_, before) = pgusher::audit::chain::parts(lines[9].as_bytes()).expect("a record");
        let hash = pgusher::audit::chain::hash(None, &before, body.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{body},\"hash\":\"{hex}\"}}")
    };
    for (what, text, expected) in [
        (
            "a changed byte",
            whole(&[&lines[..10], &[changed.as_str()], &lines[11..]].concat()),
            "record 11 is not as it was written",
        ),
        ("a removed line", whole(&without(10)), "record 11 is missing"),
        (
            "a removed line, and the next numbered as it",
            whole(&[&lines[..10], &[numbered.as_str()], &lines[12..]].concat()),
            "record 11 is not as it was written",
        ),
        ("swapped lines", whole(&swapped), "record 9 comes after record 10"),
        ("a line twice", whole(&[&lines[..10], &lines[9..]].concat()), "record 10 comes after record 10"),
        ("a tail cut off", whole(&lines[..15]), "are missing at the end"),
        ("half a last line", text[..text.len() - 20].to_owned(), "the last record is cut off"),
        ("a beginning cut off", whole(&lines[5..]), "the first record is 6"),
        ("something else between", whole(&[&lines[..10], &["{}"], &lines[10..]].concat()), "this is no record"),
        (
            "a forged record",
            whole(&[&lines[..10], &[forged.as_str()], &lines[11..]].concat()),
            "record 11 is not as it was written",
        ),
    ] {
        let (said, good) = verdict(&text);
        assert!(!good && said.contains(expected), "{what}: {said}");
    }
}

/// A disk that is full: statements are refused, sessions that wait for a record end, and all goes on when there is room again.
#[test]
fn no_record_no_statement_until_there_is_room_again() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let (file, real) = (directory.path().join("audit.jsonl"), directory.path().join("real.jsonl"));
    std::fs::write(&real, "").expect("a file");
    symlink(&real, &file).expect("a link");
    let shop = Shop::configured(Mechanism::Rls, &audit_settings(&file, ""));
    let (first, second) = (shop.ana(), shop.ana());
    assert_eq!(first.one("SELECT 1"), "1");
    assert_eq!(second.one("SELECT 1"), "1");
    let mut prepared = shop.raw("ana@example.com");
    let run = [frame::bind("", "s", &[], 0), frame::execute("", 0), frame::sync()];
    prepared.send(&[&[frame::parse("s", "SELECT 1")][..], &run].concat());
    assert_eq!(prepared.tags(), "12DCZI");
    // The writer looks again for what was removed, and finds a device that is always full.
    let full = |on: bool| {
        let (target, beside) = if on { (Path::new("/dev/full"), "full") } else { (real.as_path(), "there") };
        let link = directory.path().join(beside);
        symlink(target, &link).expect("a link");
        std::fs::rename(&link, &file).expect("a link in its place");
    };
    full(true);
    std::fs::remove_file(&real).expect("the file goes");
    let refusal = first.try_rows("SELECT 2").expect_err("its record cannot be written");
    assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "58030"), "{refusal}");
    // Also what is known, or differs from that in literals only.
    for text in ["SELECT 3", "SELECT 1", "SELECT a FROM (SELECT 3) AS t (a)"] {
        let refusal = second.refused(text, "58030");
        assert_eq!(refusal.severity, "ERROR", "{text}: {refusal}");
    }
    prepared.send(&run);
    let refusal = prepared.until_ready()[0].refusal();
    assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("ERROR", "58030"), "{refusal}");
    let began = Instant::now();
    assert_eq!(shop.try_connect("ana@example.com", shop.token("ana@example.com")).err().expect("refused").code, "58030");
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waits when it is known");
    std::fs::write(&real, "").expect("a file");
    full(false);
    within(Duration::from_secs(5), "statements to go on", || second.try_rows("SELECT 4").ok());
    let all = records(&file);
    let of = |text: &str| all.iter().filter(|record| record["statement"] == text && record["outcome"] == "allowed").count();
    assert_eq!(of("SELECT 2"), 1, "it ran, and is on record now");
    assert!(all.iter().any(|record| record["event"] == "recovered"), "{all:#?}");
    assert_eq!(of("SELECT 4"), 1);
}

#[test]
fn where_it_is_so_configured_statements_go_on_without_records() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let file = directory.path().join("audit.jsonl");
    symlink("/dev/full", &file).expect("a link");
    let shop = Shop::configured(Mechanism::Rls, &audit_settings(&file, "on_failure = \"continue\""));
    let ana = shop.ana();
    for _ in 0..20 {
        assert_eq!(ana.one("SELECT 1"), "1");
    }
    assert!(shop.proxy.log().contains("audit records cannot be written"));
}

#[test]
fn every_durability_has_every_record() {
    for durability in ["buffered", "written", "synced"] {
        let audited = Audited::shop(Mechanism::Rls, &format!("durability = \"{durability}\""));
        let clients: Vec<Client> = (0..4).map(|_| audited.shop.ana()).collect();
        std::thread::scope(|scope| {
            for client in &clients {
                scope.spawn(move || (0..50).for_each(|_| assert_eq!(client.one("SELECT 1"), "1")));
            }
        });
        until("all records", || (audited.all("SELECT 1").len() == 200).then_some(()));
        let (text, good) = verified(&[&audited.file]);
        assert!(good, "{durability}: {text}");
    }
}

#[test]
fn records_are_found_and_shown() {
    let audited = Audited::shop(Mechanism::Rls, "");
    audited.shop.ana().rows("SELECT count(*) AS found FROM orders");
    audited.shop.ivan().refused("SELECT * FROM employees", "42501");
    let file = audited.file.display().to_string();
    let search = |arguments: &[&str]| {
        let (text, good) = ProxySettings::run_audit(&[&["search", "--file", &file], arguments].concat());
        assert!(good, "{text}");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let one = search(&["--relation", "orders", "--principal", "ana@example.com", "--since", "1h", "--outcome", "allowed"]);
    assert_eq!(one.len(), 1, "{one:?}");
    assert!(one[0].contains("ana@example.com") && one[0].contains("AS found"), "{one:?}");
    assert_eq!(search(&["--text", "FROM EMPLOYEES", "--outcome", "denied"]).len(), 1);
    assert_eq!(search(&["--text", "found", "--until", "2020-01-01"]).len(), 0);
    let json = search(&["--relation", "public.orders", "--json"]);
    assert!(serde_json::from_str::<Value>(&json[0]).is_ok_and(|record| record["event"] == "statement"), "{json:?}");
    let (text, _) = ProxySettings::run_audit(&["tail", "--file", &file, "-n", "2"]);
    assert_eq!(text.lines().count(), 2, "{text}");
}

/// The table follows the file; who is no administrator does not read it, and nobody changes it. While it cannot be written, no statement begins.
#[test]
fn the_table_of_records_only_grows_and_is_read_by_administrators() {
    let audited = Audited::shop(Mechanism::Rls, "table = true");
    let (shop, truth) = (&audited.shop, audited.shop.truth());
    let ana = shop.ana();
    for number in 0..20 {
        ana.rows(&format!("SELECT {number}, 'back\\slash\t'"));
    }
    let count = "SELECT count(*) FROM pgusher.audit WHERE record LIKE '%slash%'";
    until("the table to have them", || (truth.one(count) == "20").then_some(()));
    let lines = truth.column("SELECT record FROM pgusher.audit ORDER BY sequence");
    let text = std::fs::read_to_string(&audited.file).expect("a readable file");
    assert!(lines.iter().zip(text.lines()).all(|(row, line)| row == line), "the same, to the letter");
    let admin = shop.admin();
    let shown = admin.rows("SHOW AUDIT FOR \"ana@example.com\"");
    assert!(shown.len() > 20 && shown.iter().all(|row| row[4] == "ana@example.com"), "{shown:?}");
    ana.refused("SHOW AUDIT", "42501");
    ana.refused("SELECT * FROM pgusher.audit", "42501");
    for statement in ["UPDATE pgusher.audit SET record = ''", "DELETE FROM pgusher.audit", "TRUNCATE pgusher.audit"] {
        truth.refused(statement, "55000");
    }
    truth.run("ALTER TABLE pgusher.audit RENAME TO elsewhere");
    until("statements to be refused", || ana.try_rows("SELECT 'on the way'").err().filter(|refusal| refusal.code == "58030"));
    truth.run("ALTER TABLE pgusher.elsewhere RENAME TO audit");
    until("statements to go on", || ana.try_rows("SELECT 'goes on'").ok());
    until("the table to have all", || {
        let lines = audited.records().len().to_string();
        (truth.one("SELECT count(*) FROM pgusher.audit") == lines).then_some(())
    });
}

#[test]
fn check_tells_where_records_go_and_who_else_may_read_them() {
    let audited = Audited::shop(Mechanism::Rls, "");
    let settings = |more: &str| ProxySettings::new(&audited.shop.database, Mechanism::Rls).with(more);
    assert!(settings("").run_check(audited.shop.upstream).contains("audit: no sink is configured"));
    let trail = audit_settings(&audited.file, "");
    assert!(settings(&trail).run_check(audited.shop.upstream).contains(&format!("audit: {}", audited.file.display())));
    std::fs::set_permissions(&audited.file, PermissionsExt::from_mode(0o644)).expect("our own file");
    let text = settings(&trail).run_failing_check(audited.shop.upstream);
    assert!(text.contains("FAIL  audit") && text.contains("others"), "{text}");
}

/// What a record costs: `cargo test --test all -- --ignored --nocapture what_a_record_costs`. Prints medians of interleaved rounds.
#[test]
#[ignore = "a measurement"]
fn what_a_record_costs() {
    const STATEMENTS: usize = 2000;
    let modes = ["", "buffered", "written", "synced"];
    let shops: Vec<(Shop, tempfile::TempDir)> = modes
        .iter()
        .map(|mode| {
            let directory = tempfile::tempdir().expect("a scratch directory");
            let trail = audit_settings(&directory.path().join("audit.jsonl"), &format!("durability = \"{mode}\""));
            let level = "[limits]\nstatement_bytes = 1048576\n";
            (Shop::configured(Mechanism::Rls, if mode.is_empty() { level } else { &trail }), directory)
        })
        .collect();
    for clients in [1, 16] {
        let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); modes.len()];
        for _ in 0..5 {
            for ((shop, _), results) in shops.iter().zip(&mut rounds) {
                let sessions: Vec<Client> = (0..clients).map(|_| shop.ana()).collect();
                let (ticks, began) = (shop.proxy.ticks(), Instant::now());
                std::thread::scope(|scope| {
                    for session in &sessions {
                        scope.spawn(move || {
                            let prepared = session.prepare("SELECT id, note FROM orders WHERE id = $1");
                            for id in 0..STATEMENTS / clients {
                                session.try_execute(&prepared, &[&(id as i64)]).expect("a row or none");
                            }
                        });
                    }
                });
                let wall = began.elapsed().as_secs_f64() * 1e6 / STATEMENTS as f64;
                let cpu = (shop.proxy.ticks() - ticks) as f64 * 1e4 / STATEMENTS as f64;
                results.push((wall, cpu));
            }
        }
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        for (mode, results) in modes.iter().zip(&rounds) {
            let wall = median(results.iter().map(|(wall, _)| *wall).collect());
            let cpu = median(results.iter().map(|(_, cpu)| *cpu).collect());
            println!(
                "{clients:>2} clients, {:<8} {wall:>6.0} µs wall, {cpu:>6.0} µs CPU a statement",
                if mode.is_empty() { "off" } else { mode }
            );
        }
    }
}
