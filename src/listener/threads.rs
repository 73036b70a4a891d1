//! The threads that serve sessions.
//!
//! Each has a runtime of its own: a session stays on one thread from accept to close, with its sockets and its timers, and what it waits for
//! wakes no other thread.

use std::io;
use std::sync::{Arc, mpsc};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads that serve sessions; they end when this is dropped.
#[derive(Debug)]
pub struct Threads {
    first: Thread,
    others: Vec<Thread>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) handle: Handle,
    /// A session on it holds a clone.
    pub(super) load: Arc<()>,
    #[allow(dead_code, reason = "held for its Drop")]
    end: Option<oneshot::Sender<()>>,
}

impl Threads {
    /// Starts so many, at least one, with stacks of so many bytes.
    pub fn start(count: usize, stack: usize) -> io::Result<Self> {
        let first = Thread::start(1, stack)?;
        let others = (2..=count).map(|number| Thread::start(number, stack)).collect::<Result<_, _>>()?;
        Ok(Self { first, others })
    }

    /// Sessions are served by the runtime of the caller.
    pub fn none() -> Self {
        Self { first: Thread { handle: Handle::current(), load: Arc::default(), end: None }, others: Vec::new() }
    }

    /// The runtime of the one that also accepts.
    pub fn accepting(&self) -> &Handle {
        &self.first.handle
    }

    /// The one that serves the fewest sessions, and whether it is not the one that accepts.
    pub(super) fn freest(&self) -> (&Thread, bool) {
        let load = |thread: &&Thread| Arc::strong_count(&thread.load);
        match self.others.iter().min_by_key(load) {
            Some(other) if load(&other) < load(&&self.first) => (other, true),
            Some(_) | None => (&self.first, false),
        }
    }
}

impl Thread {
    fn start(number: usize, stack: usize) -> io::Result<Self> {
        let (end, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        let run = move || {
            // Its threads for what blocks analyse, too.
            let mut b = Builder::new_current_thread();
            if let Some(n) = std::env::var("EVI").ok().and_then(|n| n.parse().ok()) { b.event_interval(n); }
            if let Some(n) = std::env::var("GQI").ok().and_then(|n| n.parse().ok()) { b.global_queue_interval(n); }
            match b.enable_all().thread_stack_size(stack).thread_name("pgusher-long").build() {
                Ok(runtime) => {
                    let _ = tell.send(Ok(runtime.handle().clone()));
                    let _ = runtime.block_on(ended);
                    runtime.shutdown_background();
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        };
        std::thread::Builder::new().name(format!("pgusher-{number}")).stack_size(stack).spawn(run)?;
        let handle = told.recv().map_err(io::Error::other)??;
        Ok(Self { handle, load: Arc::default(), end: Some(end) })
    }
}
