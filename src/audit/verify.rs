//! Whether the records of a chain are all there, in their order, as they were written.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::chain::{Hash, Key, Link, hash, parts};
use super::file::{aside_files, beside, number_aside, sequence};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many records were read.
    pub records: u64,
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// Where something is wrong, in words, at most so many as anybody reads.
    pub breaks: Vec<String>,
}

/// The files of a trail: those that were put aside, the oldest first, and the one that is written to.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = aside_files(path)?;
    if path.exists() {
        all.push(path.to_owned());
    }
    Ok(all)
}

/// What a trail is held against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The key of the chain.
    pub key: Option<&'a Key>,
    /// The file that the head stands beside; `None`: nothing says where the chain ends.
    pub current: Option<&'a Path>,
    /// Records before this number were put away on purpose.
    pub from: u64,
    /// Rotation keeps so many files; 0 for all.
    pub keep: usize,
}

/// Reads files in their order and follows the chain through them. What is wrong is looked at again, until it is the same twice: records
/// may be written meanwhile, and files put aside.
pub fn verify(files: impl Fn() -> io::Result<Vec<PathBuf>>, expected: &Expected<'_>) -> io::Result<Verdict> {
    let mut before: Option<Verdict> = None;
    for _ in 0..LOOKS {
        match look(&files()?, expected) {
            Ok(verdict) if verdict.breaks.is_empty() => return Ok(verdict),
            Ok(verdict) if before.as_ref().is_some_and(|before| before.breaks == verdict.breaks) => return Ok(verdict),
            Ok(verdict) => before = Some(verdict),
            // Rotation has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && before.is_none() => before = Some(Verdict::default()),
            Err(error) => return Err(error),
        }
        std::thread::sleep(AGAIN);
    }
    before.map_or_else(|| look(&files()?, expected), Ok)
}

fn look(files: &[PathBuf], expected: &Expected<'_>) -> io::Result<Verdict> {
    // Before the records: what is written while they are read stands behind what it says.
    let head = expected.current.map(|path| (beside(path), std::fs::read_to_string(beside(path))));
    let mut walk = Walk { key: expected.key, before: None, verdict: Verdict::default() };
    for path in files {
        walk.file(path)?;
    }
    walk.beginning(files, expected);
    if let Some((path, text)) = head {
        walk.end(&path, text)?;
    }
    Ok(walk.verdict)
}

/// Where the head of files that are named stands: beside the last, unless that was put aside.
pub fn current(files: &[PathBuf]) -> Option<&Path> {
    files.last().map(PathBuf::as_path).filter(|path| number_aside(path).is_none())
}

struct Walk<'a> {
    key: Option<&'a Key>,
    /// The record before, once there is one.
    before: Option<Link>,
    verdict: Verdict,
}

impl Walk<'_> {
    fn file(&mut self, path: &Path) -> io::Result<()> {
        let mut reader = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        let mut number = 0;
        let named = number_aside(path);
        while reader.read_until(b'\n', &mut line)? > 0 {
            number += 1;
            let place = format!("{}:{number}", path.display());
            if let (1, Some(named), Some(first)) = (number, named, sequence(&line))
                && named != first
            {
                self.wrong(&place, &format!("the file begins with record {first}, and by its name with {named}"));
            }
            match line.strip_suffix(b"\n") {
                Some(whole) => self.line(&place, whole),
                None => self.wrong(&place, "the last record is cut off"),
            }
            line.clear();
        }
        Ok(())
    }

    fn line(&mut self, place: &str, line: &[u8]) {
        let known = parts(line).zip(sequence(line));
        let Some(((body, stored), number)) = known else {
            self.wrong(place, "this is no record");
            return;
        };
        let before = match self.before {
            Some(before) => {
                self.number(place, before.sequence, number);
                before.hash
            }
            None => {
                self.verdict.first = number;
                self.first_hash(place, line, number)
            }
        };
        if hash(self.key, &before, body) != stored {
            let follows = self.before.is_none_or(|before| before.sequence + 1 == number);
            // Where a number is missing the hash cannot fit; that was said.
            if follows {
                self.wrong(place, &format!("record {number} is not as it was written, or does not follow the one before it"));
            }
        }
        self.before = Some(Link { sequence: number, hash: stored });
        self.verdict.records += 1;
        self.verdict.last = number;
    }

    fn number(&mut self, place: &str, before: u64, number: u64) {
        if number == before + 1 {
            return;
        }
        let what = match number.checked_sub(before + 2) {
            Some(0) => format!("record {} is missing", before + 1),
            Some(more) => format!("records {} to {} are missing", before + 1, before + 1 + more),
            None => format!("record {number} comes after record {before}"),
        };
        self.wrong(place, &what);
    }

    /// What the first record follows: nothing, or what it says itself where older files are gone.
    fn first_hash(&mut self, place: &str, line: &[u8], number: u64) -> Hash {
        let mut before = Hash::default();
        if number == 1 {
            return before;
        }
        let value: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
        let previous = value.get("previous").and_then(serde_json::Value::as_str).unwrap_or_default();
        if hex::decode_to_slice(previous, &mut before).is_err() {
            self.wrong(place, &format!("the first record is {number}, and no file begins with it"));
        }
        before
    }

    /// The trail begins with the first record, or with what older files were put away before.
    fn beginning(&mut self, files: &[PathBuf], expected: &Expected<'_>) {
        let Some(path) = files.first() else { return };
        let place = path.display().to_string();
        if self.verdict.records == 0 {
            self.wrong(&place, "no record is there");
            return;
        }
        let first = self.verdict.first;
        // Rotation removes whole files, and no more of them than it must.
        let aside = files.iter().filter(|path| number_aside(path).is_some()).count();
        let rotated = expected.keep > 0 && aside >= expected.keep && number_aside(path) == Some(first);
        if first > expected.from && !rotated {
            let (from, to) = (expected.from, first - 1);
            self.wrong(
                &place,
                &format!("records {from} to {to} are missing at the beginning (put away on purpose? --from {first})"),
            );
        }
    }

    /// The end of the chain is where the file beside it says.
    fn end(&mut self, path: &Path, text: io::Result<String>) -> io::Result<()> {
        let place = path.display().to_string();
        let text = match text {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.wrong(&place, "it is missing, and nothing says whether records are missing at the end");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match Link::from_head(&text, self.key) {
            Some(head) if head.sequence > self.verdict.last => {
                let (from, to) = (self.verdict.last + 1, head.sequence);
                self.wrong(&place, &format!("records {from} to {to} are missing at the end"));
            }
            Some(head) if self.before.is_some_and(|last| last.sequence == head.sequence && last.hash != head.hash) => {
                self.wrong(&place, "the last record is another than the one that was written");
            }
            Some(_) => {}
            None => self.wrong(&place, "this is not as it was written"),
        }
        Ok(())
    }

    fn wrong(&mut self, place: &str, what: &str) {
        if self.verdict.breaks.len() < MOST {
            self.verdict.breaks.push(format!("{place}: {what}"));
        }
    }
}

/// More breaks are not told.
const MOST: usize = 100;

/// What is wrong is looked at so often, unless it is the same twice.
const LOOKS: usize = 5;

/// How long to wait before that.
const AGAIN: Duration = Duration::from_millis(100);
