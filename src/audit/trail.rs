//! The trail: records wait in a queue, and one thread writes them, as many at once as there are. Whoever waits for one goes on when it
//! is as durable as the configuration asks.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::chain::Key;
use super::file::{Found, HeadTrouble, Records, advance_head};
use super::record::{Matter, Note, Scribe};
use super::redact::{scrub, without_values};
use super::table::{Table, TableSettings};
use crate::event::{Event, Outcome, Receipts, Recorder, Statement};

/// When the client may hear of the end of its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// At once; records follow.
    Buffered,
    /// When the operating system has the record.
    Written,
    /// When the disk has it.
    Synced,
}

/// What happens to statements while no record can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused.
    Refuse,
    /// They go on.
    Continue,
}

/// Where records go.
#[derive(Clone, Debug)]
pub struct Sinks {
    /// A file.
    pub file: Option<PathBuf>,
    /// At this size it is put aside; 0 never.
    pub rotate_bytes: u64,
    /// So many files that were put aside are kept; 0 for all.
    pub rotate_keep: usize,
    /// Standard output.
    pub stdout: bool,
    /// A table of the database, which follows the others.
    pub table: Option<TableSettings>,
}

/// What a trail goes by.
#[derive(Clone, Debug)]
pub struct TrailSettings {
    /// Where records go.
    pub sinks: Sinks,
    /// When clients hear.
    pub durability: Durability,
    /// What happens while no record can be kept.
    pub on_failure: OnFailure,
    /// Whether texts keep their literals.
    pub literals: bool,
    /// Whether the values of parameters are recorded.
    pub parameters: bool,
    /// The key of the chain.
    pub key: Option<Key>,
    /// So many records may wait before clients do.
    pub queue: usize,
    /// How this proxy is called.
    pub instance: String,
}

/// Why a trail could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The file.
    #[error("{}: {cause}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// An open trail.
pub struct Trail {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    table: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Records cannot be written at the moment.
    failing: AtomicBool,
    /// Nor to the table.
    table_failing: Arc<AtomicBool>,
    durability: Durability,
    on_failure: OnFailure,
    parameters: bool,
    limit: usize,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Records that the writer has taken and not yet written.
    taken: usize,
    /// How much memory all of them hold, about.
    bytes: usize,
    /// That of those which were taken.
    taken_bytes: usize,
    /// Records that were not kept.
    lost: u64,
    /// The writer sleeps.
    idle: bool,
    /// The writer is gone by mistake.
    gone: bool,
    ended: bool,
}

struct Waiting {
    at: SystemTime,
    matter: Matter,
    receipt: Option<(Receipts, u64)>,
    /// How much memory it holds, about.
    bytes: usize,
}

impl Waiting {
    fn note(note: Note) -> Self {
        Self { at: SystemTime::now(), matter: Matter::Note(note), receipt: None, bytes: 0 }
    }
}

impl Trail {
    /// Opens the sinks and begins to write.
    pub fn start(settings: TrailSettings) -> Result<Arc<Self>, TrailError> {
        let TrailSettings { sinks, durability, on_failure, literals, parameters, key, queue, instance } = settings;
        let mut found = Found::default();
        let mut file = None;
        if let Some(path) = &sinks.file {
            let opened = Records::open(path, key.as_ref());
            let (records, told) = opened.map_err(|cause| TrailError::File { path: path.clone(), cause })?;
            (file, found) = (Some(records), told);
            if let Some(trouble) = found.head {
                tracing::error!(
                    head = trouble.as_str(),
                    "what says where the audit trail ended is not there: records may be missing"
                );
            }
        }
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            failing: AtomicBool::new(false),
            table_failing: Arc::default(),
            durability,
            on_failure,
            parameters,
            limit: queue,
        });
        let started = sinks.table.clone().map(|settings| Table::start(settings, Arc::clone(&shared.table_failing)));
        let (table, following) = started.unzip();
        let writer = Writer {
            table,
            shared: Arc::clone(&shared),
            scribe: Scribe::new(instance, (literals, parameters), key, found.link.unwrap_or_default()),
            file,
            head: found.head,
            sinks,
            lines: Vec::new(),
            lost: 0,
        };
        let thread =
            std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run()).map_err(TrailError::Thread)?;
        Ok(Arc::new(Self { shared, writer: Mutex::new(Some(thread)), table: Mutex::new(following) }))
    }

    /// Writes what waits and ends.
    pub async fn end(self: Arc<Self>) {
        let trail = Arc::clone(&self);
        let _ = tokio::task::spawn_blocking(move || trail.end_writer()).await;
        let following = self.table.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(following) = following {
            let _ = tokio::time::timeout(LAST_ROWS, following).await;
        }
    }

    fn end_writer(&self) {
        self.shared.queue().ended = true;
        self.shared.wake.notify_one();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Recorder for Trail {
    fn record(&self, event: Event, receipts: Option<&Receipts>) {
        match &event {
            Event::Accepted { .. } | Event::Closed { .. } | Event::Published { .. } | Event::Trouble { .. } => return,
            Event::LoginRefused { .. }
            | Event::LoggedIn { .. }
            | Event::Statement(_)
            | Event::Governed { .. }
            | Event::Revoked { .. } => {}
        }
        let shared = &*self.shared;
        let at = SystemTime::now();
        let failing = shared.is_failing();
        let event = if failing { shortened(event) } else { event };
        let bytes = size(&event);
        let mut queue = shared.queue();
        let full = queue.waiting.len() + queue.taken >= shared.limit || queue.bytes + bytes > MOST_BYTES;
        if queue.gone || (full && failing) {
            // Memory has an end. That something is missing will be on record, and nobody hears that it went well.
            queue.lost += 1;
            if let (Some(receipts), OnFailure::Refuse) = (receipts, shared.on_failure) {
                receipts.issue();
                receipts.fail();
            }
            return;
        }
        let waits = match (shared.durability, shared.on_failure) {
            (_, OnFailure::Continue) if failing => false,
            (Durability::Buffered, _) => full,
            (Durability::Written | Durability::Synced, _) => true,
        };
        let receipt = receipts.filter(|_| waits).map(|receipts| (receipts.clone(), receipts.issue()));
        queue.bytes += bytes;
        queue.waiting.push_back(Waiting { at, matter: Matter::Event(event), receipt, bytes });
        let wake = std::mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            shared.wake.notify_one();
        }
    }

    fn admits(&self) -> bool {
        !self.shared.is_failing() || self.shared.on_failure == OnFailure::Continue
    }

    fn wants_parameters(&self) -> bool {
        self.shared.parameters
    }
}

impl Shared {
    fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) || self.table_failing.load(Ordering::Relaxed)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere leaves the queue as good as it was.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    shared: Arc<Shared>,
    scribe: Scribe,
    file: Option<Records>,
    table: Option<Table>,
    sinks: Sinks,
    lines: Vec<u8>,
    /// What was wrong with the head when the file was opened.
    head: Option<HeadTrouble>,
    /// Records that had their numbers and were not written when the proxy ended.
    lost: u64,
}

/// A writer that is gone by mistake leaves nobody waiting, and lets nothing begin.
struct Fall(Arc<Shared>);

impl Drop for Fall {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.0.failing.store(true, Ordering::Release);
        let mut queue = self.0.queue();
        queue.gone = true;
        for (receipts, _) in queue.waiting.drain(..).filter_map(|waiting| waiting.receipt) {
            receipts.fail();
        }
    }
}

/// What of a batch is done.
#[derive(Default)]
struct Done {
    file: bool,
    stdout: bool,
}

impl Writer {
    fn run(mut self) {
        let _fall = Fall(Arc::clone(&self.shared));
        let head = self.head;
        self.write(vec![Waiting::note(Note::Started { head })]);
        while let Some(mut batch) = self.next() {
            if self.file.as_ref().is_some_and(|file| file.is_full(self.sinks.rotate_bytes)) && self.rotated() {
                batch.insert(0, Waiting::note(Note::Rotated));
            }
            self.write(batch);
        }
        self.stop();
        if let Some(file) = &self.file {
            let _ = file.sync();
        }
    }

    /// Writes the last record. What could not be written leaves a gap in the numbers, and this record says how much it is.
    fn stop(&mut self) {
        let uncounted = std::mem::take(&mut self.shared.queue().lost);
        self.scribe.link.sequence += uncounted;
        self.lost += uncounted;
        if self.lost > 0 {
            self.reopen();
        }
        self.write(vec![Waiting::note(Note::Stopped { lost: self.lost })]);
    }

    /// The records that wait, as many as go into one write; `None` at the end.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue();
        queue.bytes -= std::mem::take(&mut queue.taken_bytes);
        queue.taken = 0;
        while queue.waiting.is_empty() {
            if queue.ended {
                return None;
            }
            queue.idle = true;
            queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.idle = false;
        if shared.durability == Durability::Buffered && !queue.ended && queue.waiting.len() < shared.limit {
            // Nobody waits: more at once costs less.
            drop(queue);
            std::thread::sleep(GATHER);
            queue = shared.queue();
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(next) = queue.waiting.pop_front()
        {
            bytes += next.bytes;
            batch.push(next);
        }
        (queue.taken, queue.taken_bytes) = (batch.len(), bytes);
        Some(batch)
    }

    /// A file that cannot be put aside is written on.
    fn rotated(&mut self) -> bool {
        let Some(file) = &mut self.file else { return false };
        match file.rotate(self.sinks.rotate_keep) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the audit file could not be put aside");
                if !self.sinks.file.as_ref().is_some_and(|path| file.is_at(path)) {
                    // It was, and no other could be made.
                    self.file = None;
                }
                false
            }
        }
    }

    /// Writes records, and does not rest until they are written, unless the proxy ends: whether they are.
    fn write(&mut self, mut batch: Vec<Waiting>) -> bool {
        let before = self.scribe.link.sequence;
        self.compose(&batch);
        let mut done = Done::default();
        let mut failed: Option<(SystemTime, Instant)> = None;
        while let Err(error) = self.attempt(&mut done) {
            let (_, since) = *failed.get_or_insert_with(|| {
                tracing::error!(%error, "audit records cannot be written");
                self.shared.failing.store(true, Ordering::Release);
                (SystemTime::now(), Instant::now())
            });
            self.wait_no_longer(&mut batch, since.elapsed() >= PATIENCE);
            if self.shared.queue().ended {
                tracing::error!(records = batch.len(), "audit records are lost");
                self.wait_no_longer(&mut batch, true);
                self.give_up(before);
                return false;
            }
            self.pause();
            self.reopen();
        }
        if let Some(table) = &self.table {
            table.append(&self.lines, self.shared.on_failure == OnFailure::Refuse);
        }
        for (receipts, number) in batch.into_iter().filter_map(|waiting| waiting.receipt) {
            receipts.settle(number);
        }
        if let Some((since, _)) = failed {
            self.recovered(since);
        }
        true
    }

    /// Leaves records out for good. Their numbers are not given to others.
    fn give_up(&mut self, before: u64) {
        self.lost += self.scribe.link.sequence - before;
        let Some(path) = &self.sinks.file else { return };
        if let Err(error) = advance_head(path, &self.scribe.link, self.scribe.key.as_ref()) {
            tracing::error!(%error, "nor can it be written down that they are");
        }
    }

    fn compose(&mut self, batch: &[Waiting]) {
        self.lines.clear();
        if self.lines.capacity() > LINES {
            self.lines = Vec::new();
        }
        for Waiting { at, matter, receipt: _, bytes: _ } in batch {
            self.scribe.write(&mut self.lines, *at, matter);
        }
    }

    fn attempt(&mut self, done: &mut Done) -> io::Result<()> {
        if self.sinks.file.is_some() && !done.file {
            let file = self.file.as_mut().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the file cannot be opened"))?;
            let synced = self.shared.durability == Durability::Synced;
            file.append(&self.lines, &self.scribe.link, self.scribe.key.as_ref(), synced)?;
            done.file = true;
        }
        if self.sinks.stdout && !done.stdout {
            let mut out = io::stdout().lock();
            out.write_all(&self.lines)?;
            out.flush()?;
            done.stdout = true;
        }
        Ok(())
    }

    /// While nothing can be written, nobody waits for ever: a session whose end of a statement must not be told ends instead.
    fn wait_no_longer(&self, batch: &mut [Waiting], over: bool) {
        let mut queue = self.shared.queue();
        for waiting in batch.iter_mut().chain(queue.waiting.iter_mut()) {
            match self.shared.on_failure {
                OnFailure::Continue => {
                    if let Some((receipts, number)) = waiting.receipt.take() {
                        receipts.settle(number);
                    }
                }
                OnFailure::Refuse if over => {
                    if let Some((receipts, _)) = waiting.receipt.take() {
                        receipts.fail();
                    }
                }
                OnFailure::Refuse => {}
            }
        }
    }

    fn pause(&self) {
        let queue = self.shared.queue();
        if !queue.ended {
            drop(self.shared.wake.wait_timeout(queue, PROBE));
        }
    }

    /// What was removed, or stood on a disk that is gone, is looked for again.
    fn reopen(&mut self) {
        let Some(path) = &self.sinks.file else { return };
        if self.file.as_ref().is_some_and(|file| file.is_at(path)) {
            return;
        }
        self.file = None;
        match Records::open(path, self.scribe.key.as_ref()) {
            Ok((records, _)) => self.file = Some(records),
            Err(error) => tracing::debug!(%error, "the audit file cannot be opened"),
        }
    }

    fn recovered(&mut self, since: SystemTime) {
        let lost = std::mem::take(&mut self.shared.queue().lost);
        tracing::warn!(lost, "audit records are written again");
        self.shared.failing.store(false, Ordering::Release);
        if !self.write(vec![Waiting::note(Note::Recovered { lost, since })]) {
            self.shared.queue().lost += lost;
        }
    }
}

/// How much memory an event holds, about.
fn size(event: &Event) -> usize {
    let held = match event {
        Event::Statement(of) => {
            let values = of.parameters.iter().flat_map(|values| values.iter().flatten()).map(String::len).sum::<usize>();
            of.text.len() + of.reason.as_ref().map_or(0, |reason| reason.len()) + values
        }
        Event::Governed { command, .. } => command.len(),
        Event::LoginRefused { user, reason, .. } => user.len() + reason.len(),
        Event::Accepted { .. }
        | Event::LoggedIn { .. }
        | Event::Revoked { .. }
        | Event::Closed { .. }
        | Event::Published { .. }
        | Event::Trouble { .. } => 0,
    };
    held + RECORD_BYTES
}

/// A statement that was refused because no record can be kept need not be kept whole: secrets go first, lest half of one stays.
fn shortened(event: Event) -> Event {
    match event {
        Event::Statement(of) if of.outcome == Outcome::Refused && of.text.len() > SHORT => {
            let scrubbed = scrub(&of.text);
            // What told that it speaks of a secret may stand behind the cut: its reason quotes nothing of it, either.
            let reason = match scrubbed {
                Cow::Owned(_) => of.reason.as_deref().map(|reason| without_values(reason).into()),
                Cow::Borrowed(_) => of.reason.clone(),
            };
            let parameters = of.parameters.clone().filter(|_| matches!(scrubbed, Cow::Borrowed(_)));
            let end = (0..=SHORT).rev().find(|at| scrubbed.is_char_boundary(*at)).unwrap_or_default();
            let text = format!("{}…", scrubbed.get(..end).unwrap_or_default());
            Event::Statement(Box::new(Statement { text: text.into(), reason, parameters, ..*of }))
        }
        other => other,
    }
}

/// So much memory may records hold before clients wait for them, or they are lost.
const MOST_BYTES: usize = 64 << 20;

/// What a record holds besides its texts, about.
const RECORD_BYTES: usize = 512;

/// How much is written at once, about.
const BATCH_BYTES: usize = 4 << 20;

/// So much of a text stays while no record can be written.
const SHORT: usize = 1024;

/// How long records are gathered where nobody waits for them.
const GATHER: Duration = Duration::from_millis(10);

/// How often it is tried whether records can be written again.
const PROBE: Duration = Duration::from_millis(100);

/// How long a client may wait for the end of its statement while its record cannot be written.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long the table may take to have the last records.
const LAST_ROWS: Duration = Duration::from_secs(5);

/// A larger buffer is not kept.
const LINES: usize = 1 << 20;

/// How this machine is called, with something that tells processes apart.
pub fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{:08x}", host.trim(), rand::random::<u32>())
}

#[cfg(test)]
mod tests;
