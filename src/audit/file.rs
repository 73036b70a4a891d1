//! The file of records: appended to, rotated by size, found again where it ended.
//!
//! Beside it stands `<file>.head`, which says where the chain ended when it was last written to, so that lines missing at its end show.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::chain::{Key, Link, parts};

/// What was found where records are to be kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Where the chain stands; `None` where there was nothing.
    pub(super) link: Option<Link>,
    /// What is wrong with the file beside the records.
    pub(super) head: Option<HeadTrouble>,
}

/// What can be wrong with the file that says where the chain ends: then nothing says what was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadTrouble {
    /// There are records, and it is gone.
    Missing,
    /// It is not as it was written, or was written with another key.
    Invalid,
}

impl HeadTrouble {
    /// The word in the record.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            HeadTrouble::Missing => "missing",
            HeadTrouble::Invalid => "invalid",
        }
    }
}

/// An open file.
pub(super) struct Records {
    path: PathBuf,
    file: File,
    /// How long it is up to its last whole record.
    length: u64,
    /// The number of its first record; 0 while it is empty.
    first: u64,
    /// What is behind that could not be taken back yet.
    torn: bool,
    /// Something else than a file, which can only be written to.
    stream: bool,
    head: Option<File>,
}

impl Records {
    /// Opens or makes a file; where the chain stands, if it is to be found there.
    pub(super) fn open(path: &Path, key: Option<&Key>) -> io::Result<(Self, Found)> {
        let file = private(path).append(true).open(path)?;
        let metadata = file.metadata()?;
        let mut records =
            Self { path: path.to_owned(), file, length: 0, first: 0, torn: false, stream: !metadata.is_file(), head: None };
        if records.stream {
            return Ok((records, Found::default()));
        }
        match records.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process writes to it")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let head_path = beside(path);
        let mut head = private(&head_path).write(true).truncate(false).open(&head_path)?;
        let mut text = String::new();
        head.read_to_string(&mut text)?;
        records.head = Some(head);
        let told = Link::from_head(&text, key);
        let found = match records.find_end(metadata.len())? {
            Some(found) => Some(found),
            // The file is new, or was taken away: those that were put aside say where the chain was.
            None => last_aside(path)?,
        };
        let trouble = match told {
            None if !text.trim().is_empty() => Some(HeadTrouble::Invalid),
            None => found.map(|_| HeadTrouble::Missing),
            Some(_) => None,
        };
        // Where the files end before the head says, or otherwise, something is missing: the chain goes on from the head, and that shows.
        let link = match (found, told) {
            (Some(found), Some(told)) if told.sequence >= found.sequence => Some(told),
            (Some(found), _) => Some(found),
            (None, told) => told,
        };
        Ok((records, Found { link, head: trouble }))
    }

    /// Looks for the last whole record; what is behind it, half a record of a process that was killed, is cut off.
    fn find_end(&mut self, length: u64) -> io::Result<Option<Link>> {
        let (link, end) = last_record(&self.file, length)?;
        self.cut(end)?;
        self.first = self.read_first()?;
        Ok(link)
    }

    fn read_first(&mut self) -> io::Result<u64> {
        let mut start = [0; 64];
        let count = self.file.read_at(&mut start, 0)?;
        Ok(sequence(start.get(..count).unwrap_or_default()).unwrap_or_default())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.length = length;
        self.torn = false;
        Ok(())
    }

    /// Appends whole records, and has the disk hold them if asked to; on an error none of them is there.
    pub(super) fn append(&mut self, lines: &[u8], link: &Link, key: Option<&Key>, synced: bool) -> io::Result<()> {
        if self.stream {
            return (&self.file).write_all(lines);
        }
        if self.torn {
            self.cut(self.length)?;
        }
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it was removed"));
        }
        if let Err(error) = self.put(lines, link, key, synced) {
            self.torn = true;
            let _ = self.cut(self.length);
            return Err(error);
        }
        if self.first == 0 {
            self.first = sequence(lines).unwrap_or_default();
        }
        self.length += lines.len() as u64;
        Ok(())
    }

    fn put(&self, lines: &[u8], link: &Link, key: Option<&Key>, synced: bool) -> io::Result<()> {
        (&self.file).write_all(lines)?;
        if synced {
            self.file.sync_data()?;
        }
        match &self.head {
            Some(head) => head.write_all_at(link.head(key).as_bytes(), 0),
            None => Ok(()),
        }
    }

    /// Whether a path still leads here.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let of = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        std::fs::metadata(path).ok().map(of) == self.file.metadata().ok().map(of)
    }

    /// Has the disk hold what was written.
    pub(super) fn sync(&self) -> io::Result<()> {
        if self.stream { Ok(()) } else { self.file.sync_data() }
    }

    /// Whether the next records belong into another file.
    pub(super) fn is_full(&self, limit: u64) -> bool {
        !self.stream && limit > 0 && self.length >= limit
    }

    /// Puts the file aside under the number of its first record, and begins another. No more than `keep` stay aside, if that is not 0.
    pub(super) fn rotate(&mut self, keep: usize) -> io::Result<()> {
        self.file.sync_data()?;
        let aside = rotated(&self.path, self.first);
        if aside.symlink_metadata().is_ok() {
            // Records are never written over.
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is there already", aside.display())));
        }
        std::fs::rename(&self.path, &aside)?;
        let file = private(&self.path).append(true).open(&self.path)?;
        file.try_lock().map_err(|_| io::Error::other("another process writes to it"))?;
        (self.file, self.length, self.first) = (file, 0, 0);
        if keep > 0 {
            let mut all = aside_files(&self.path)?;
            let count = all.len().saturating_sub(keep);
            for old in all.drain(..count) {
                std::fs::remove_file(old)?;
            }
        }
        Ok(())
    }
}

/// The last whole record of a file and where it ends.
fn last_record(file: &File, length: u64) -> io::Result<(Option<Link>, u64)> {
    let mut window = WINDOW;
    loop {
        let from = length.saturating_sub(window);
        let mut text = vec![0; usize::try_from(length - from).unwrap_or_default()];
        file.read_exact_at(&mut text, from)?;
        let end = text.iter().rposition(|byte| *byte == b'\n');
        let start = end.and_then(|end| text.get(..end)?.iter().rposition(|byte| *byte == b'\n')).map(|at| at + 1);
        match (start.or((from == 0).then_some(0)), end) {
            (Some(start), Some(end)) => {
                let line = text.get(start..end).unwrap_or_default();
                let link = parts(line).and_then(|(_, hash)| Some(Link { sequence: sequence(line)?, hash }));
                let link = link.ok_or_else(|| io::Error::other("its last line is no record"))?;
                return Ok((Some(link), from + end as u64 + 1));
            }
            (Some(_), None) => return Ok((None, 0)),
            (None, _) => window *= 2,
        }
    }
}

/// The last record of the newest file that was put aside.
fn last_aside(path: &Path) -> io::Result<Option<Link>> {
    let Some(newest) = aside_files(path)?.pop() else { return Ok(None) };
    let file = File::open(&newest)?;
    let length = file.metadata()?.len();
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", newest.display()));
    Ok(last_record(&file, length).map_err(named)?.0)
}

/// Has the head say that the chain went on to here, though the records could not be written: then it shows that they are missing.
pub(super) fn advance_head(path: &Path, link: &Link, key: Option<&Key>) -> io::Result<()> {
    let head = beside(path);
    let streams = path.metadata().is_ok_and(|metadata| !metadata.is_file());
    if streams && !head.exists() {
        return Ok(());
    }
    let file = private(&head).write(true).truncate(false).open(&head)?;
    file.write_all_at(link.head(key).as_bytes(), 0)?;
    file.sync_data()
}

/// For us alone.
fn private(path: &Path) -> OpenOptions {
    let mut options = OpenOptions::new();
    // A device or pipe may not be readable.
    options.read(!path.exists() || path.is_file()).create(true).mode(0o600);
    options
}

/// The number of the record that a line begins with.
pub(super) fn sequence(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"sequence\":")?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

/// Where the end of the chain is kept.
pub(super) fn beside(path: &Path) -> PathBuf {
    with_ending(path, "head")
}

/// The number in the name of a file that was put aside; `None` for others.
pub(super) fn number_aside(path: &Path) -> Option<u64> {
    let ending = path.extension()?.to_str()?;
    (ending.len() == 20 && ending.bytes().all(|b| b.is_ascii_digit())).then(|| ending.parse().ok())?
}

fn rotated(path: &Path, first: u64) -> PathBuf {
    with_ending(path, &format!("{first:020}"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// The files that were put aside, the oldest first.
pub(super) fn aside_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let prefix = format!("{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(&prefix).is_some_and(|rest| rest.len() == 20 && rest.bytes().all(|b| b.is_ascii_digit())) {
            found.push(directory.join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// The last record is looked for in this many bytes at first.
const WINDOW: u64 = 64 << 10;
