//! `pgusher audit`: the trail checked and read.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::arguments::{AuditAction, Shown};
use super::{Failure, settings, wiring};
use crate::audit::read::{Query, line};
use crate::audit::verify::{Expected, current, files, verify};
use crate::audit::{Key, moment};

/// Does what was asked.
pub(super) fn run(action: AuditAction, config: Option<&Path>) -> Result<(), Failure> {
    match action {
        AuditAction::Verify { files, key_file, from, without_head } => check(files, key_file, (from, without_head), config),
        AuditAction::Tail { lines, follow, shown } => tail(lines, follow, &shown, config),
        AuditAction::Search { principal, session, since, until, relation, outcome, event, text, shown } => {
            let moment = |when: Option<String>| when.as_deref().map(when_meant).transpose();
            let (since, until, text) = (moment(since)?, moment(until)?, text.map(|text| text.to_lowercase()));
            let query = Query { principal, session, since, until, relation, outcome, event, text };
            search(&query, &shown, config)
        }
    }
}

fn check(
    named: Vec<PathBuf>,
    key_file: Option<PathBuf>,
    (from, without_head): (u64, bool),
    config: Option<&Path>,
) -> Result<(), Failure> {
    let trail = if named.is_empty() { Some(settings(config)?.audit) } else { None };
    let key = match (&key_file, &trail) {
        (Some(path), _) => Some(Key::read(path).map_err(Failure::Usage)?),
        (None, Some(trail)) => wiring::audit_key(trail)?,
        (None, None) => None,
    };
    let all = chosen(&named, config)?;
    let file = trail.as_ref().and_then(|trail| trail.file.as_deref());
    let current = file.or_else(|| current(&all)).filter(|_| !without_head);
    let keep = trail.as_ref().map_or(0, |trail| trail.rotate_keep);
    let expected = Expected { key: key.as_ref(), current, from, keep };
    let again = || file.map_or_else(|| Ok(named.clone()), files);
    let verdict = verify(again, &expected).map_err(unreadable)?;
    for wrong in &verdict.breaks {
        println!("{wrong}");
    }
    if !verdict.breaks.is_empty() {
        return Err(Failure::Check("the audit trail is not as it was written".to_owned()));
    }
    let (records, first, last) = (verdict.records, verdict.first, verdict.last);
    println!("{records} records, {first} to {last}: all there, in order, as they were written");
    Ok(())
}

fn tail(count: usize, follow: bool, shown: &Shown, config: Option<&Path>) -> Result<(), Failure> {
    let all = chosen(&shown.files, config)?;
    let mut last = VecDeque::new();
    // The latest file first: the older ones are read only when it has too few.
    let mut needed = all.as_slice();
    while let Some((path, older)) = needed.split_last() {
        let mut these = VecDeque::new();
        each(path, |text| {
            these.push_back(text.to_owned());
            if these.len() + last.len() > count {
                these.pop_front();
            }
            true
        })?;
        these.append(&mut last);
        last = these;
        needed = if last.len() < count { older } else { &[] };
    }
    for text in &last {
        show(text, shown)?;
    }
    match all.last() {
        Some(path) if follow => go_on(path, shown),
        Some(_) | None => Ok(()),
    }
}

/// Shows what is appended, also to the file that takes its place.
fn go_on(path: &Path, shown: &Shown) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    let open = |path: &Path| File::open(path).map_err(unreadable);
    let mut file = open(path)?;
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).map_err(unreadable)?;
    let mut inode = file.metadata().map_err(unreadable)?.ino();
    let mut reader = BufReader::new(file);
    let mut text = String::new();
    loop {
        // Half a line stays until its end is there.
        if reader.read_line(&mut text).map_err(unreadable)? > 0 && text.ends_with('\n') {
            show(text.trim_end(), shown)?;
            text.clear();
            continue;
        }
        match std::fs::metadata(path).map(|metadata| metadata.ino()) {
            Ok(now) if now != inode => {
                inode = now;
                reader = BufReader::new(open(path)?);
                text.clear();
            }
            Ok(_) | Err(_) => std::thread::sleep(LOOK),
        }
    }
}

fn search(query: &Query, shown: &Shown, config: Option<&Path>) -> Result<(), Failure> {
    for path in chosen(&shown.files, config)? {
        let mut failed = None;
        each(&path, |text| {
            let found = serde_json::from_str(text).is_ok_and(|record: Value| query.finds(&record));
            if found && let Err(failure) = show(text, shown) {
                failed = Some(failure);
            }
            failed.is_none()
        })?;
        if let Some(failure) = failed {
            return Err(failure);
        }
    }
    Ok(())
}

/// The files named, or those that the configuration names.
fn chosen(named: &[PathBuf], config: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let Some(path) = settings(config)?.audit.file else {
        return Err(Failure::Usage("no audit.file is configured; name the files".to_owned()));
    };
    let found = files(&path).map_err(unreadable)?;
    if found.is_empty() { Err(Failure::Usage(format!("{} does not exist", path.display()))) } else { Ok(found) }
}

/// Every line of a file, until there is enough.
fn each(path: &Path, mut take: impl FnMut(&str) -> bool) -> Result<(), Failure> {
    let file = File::open(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    for text in BufReader::new(file).lines() {
        if !take(&text.map_err(unreadable)?) {
            break;
        }
    }
    Ok(())
}

fn show(text: &str, shown: &Shown) -> Result<(), Failure> {
    let told = if shown.json {
        text.to_owned()
    } else {
        serde_json::from_str::<Value>(text).map_or_else(|_| format!("(no record) {text}"), |record| line(&record))
    };
    writeln!(io::stdout().lock(), "{told}").map_err(unreadable)
}

/// A moment, or an age, as records write moments.
fn when_meant(text: &str) -> Result<String, Failure> {
    let wrong = || Failure::Usage(format!("\"{text}\" is no moment like 2026-03-01T12:00:00Z, and no age like 15m, 24h or 7d"));
    if text.as_bytes().get(4) == Some(&b'-') {
        // The beginning of how records write it: in UTC.
        let plain = text.trim_end_matches('Z').replace(' ', "T");
        let good = plain.bytes().all(|b| b.is_ascii_digit() || b"-:T.".contains(&b));
        return if good { Ok(plain) } else { Err(wrong()) };
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let age = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).ok_or_else(wrong)?;
    let at = SystemTime::now().checked_sub(Duration::from_secs(age)).ok_or_else(wrong)?;
    Ok(moment(at))
}

fn unreadable(error: io::Error) -> Failure {
    Failure::Usage(error.to_string())
}

/// How often a file that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);
