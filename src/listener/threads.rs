//! The threads that serve sessions.
//!
//! Each has a runtime of its own: a session stays on one thread from accept to close, with its sockets and its timers, and what it waits for
//! wakes no other thread. Why, and how many: `docs/performance.md`.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads that serve sessions; they end when this is dropped.
#[derive(Debug)]
pub struct Threads {
    first: Thread,
    others: Vec<Thread>,
    /// The runtime of everything else.
    home: Handle,
}

#[derive(Debug)]
struct Thread {
    handle: Handle,
    /// Each of its sessions holds a clone.
    sessions: Arc<()>,
    #[allow(dead_code, reason = "held for its Drop")]
    end: Option<oneshot::Sender<()>>,
}

/// A session's thread.
#[derive(Debug)]
pub(super) struct Berth {
    pub(super) handle: Handle,
    /// It is not the one that accepts.
    pub(super) elsewhere: bool,
    pub(super) home: Handle,
    #[allow(dead_code, reason = "held to be counted")]
    session: Arc<()>,
}

impl Threads {
    /// Starts so many, at least one, with stacks of so many bytes. Must be called inside the runtime of everything else.
    pub fn start(count: usize, stack: usize) -> io::Result<Self> {
        let first = Thread::start(1, stack)?;
        let others = (2..=count).map(|number| Thread::start(number, stack)).collect::<Result<_, _>>()?;
        Ok(Self { first, others, home: Handle::current() })
    }

    /// No threads of their own: sessions are served by the runtime of the caller.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        let first = Thread { handle: Handle::current(), sessions: Arc::default(), end: None };
        Self { first, others: Vec::new(), home: Handle::current() }
    }

    /// The runtime of the one that also accepts.
    pub fn accepting(&self) -> &Handle {
        &self.first.handle
    }

    /// A place on the one that serves the fewest sessions.
    pub(super) fn berth(&self) -> Berth {
        let load = |thread: &Thread| Arc::strong_count(&thread.sessions);
        let other = self.others.iter().min_by_key(|thread| load(thread)).filter(|other| load(other) < load(&self.first));
        let thread = other.unwrap_or(&self.first);
        Berth {
            handle: thread.handle.clone(),
            elsewhere: other.is_some(),
            home: self.home.clone(),
            session: Arc::clone(&thread.sessions),
        }
    }
}

impl Thread {
    fn start(number: usize, stack: usize) -> io::Result<Self> {
        let (end, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        let run = move || {
            // Long texts are analysed on its threads for what blocks.
            match Builder::new_current_thread().enable_all().thread_stack_size(stack).thread_name("pgusher-long").build() {
                Ok(runtime) => {
                    let _ = tell.send(Ok(runtime.handle().clone()));
                    runtime.block_on(beat(ended));
                    runtime.shutdown_background();
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        };
        std::thread::Builder::new().name(format!("pgusher-{number}")).stack_size(stack).spawn(run)?;
        let handle = told.recv().map_err(io::Error::other)??;
        Ok(Self { handle, sessions: Arc::default(), end: Some(end) })
    }
}

/// Waits for the end, never without a timer that is due soon: one that is to be due before all others has a sleeping runtime woken to take
/// note of it, by a system call of its own and a round of what waits. Each login sets such timers.
async fn beat(mut ended: oneshot::Receiver<()>) {
    while tokio::time::timeout(BEAT, &mut ended).await.is_err() {}
}

/// Shorter than any time limit that is set often.
const BEAT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: usize = 1 << 20;

    #[tokio::test]
    async fn a_session_gets_the_thread_that_serves_the_fewest() {
        let threads = Threads::start(3, STACK).unwrap();
        let taken: Vec<Berth> = std::iter::repeat_with(|| threads.berth()).take(6).collect();
        let on = |thread: &Thread| taken.iter().filter(|berth| Arc::ptr_eq(&berth.session, &thread.sessions)).count();
        assert_eq!([on(&threads.first), on(&threads.others[0]), on(&threads.others[1])], [2, 2, 2]);
        let mut taken = taken;
        let freed = Arc::downgrade(&taken.swap_remove(1).session);
        assert!(std::ptr::eq(Arc::as_ptr(&threads.berth().session), freed.as_ptr()));
    }

    #[tokio::test]
    async fn a_thread_ends_with_what_runs_on_it_when_the_threads_are_dropped() {
        let threads = Threads::start(2, STACK).unwrap();
        let berth = threads.berth();
        let (held, dropped) = oneshot::channel::<()>();
        berth.handle.spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(threads);
        assert!(dropped.await.is_err());
    }
}
