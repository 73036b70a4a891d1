//! How many clients at once, and how long to wait after an accept that failed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::startup::Admission;

/// Beyond the limit, so many more are taken in to be told so properly, and to cancel.
const OVERFLOW: usize = 64;

/// The first and the longest pause after a failing accept.
const SHORT_PAUSE: Duration = Duration::from_millis(20);
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// A client's place; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place(#[allow(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

/// The places.
#[derive(Debug)]
pub(super) struct Places {
    clients: Arc<Semaphore>,
    overflow: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(max_connections: usize) -> Self {
        Self {
            clients: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            overflow: Arc::new(Semaphore::new(OVERFLOW)),
        }
    }

    /// A place for one more client; `None` if it has to be dropped on the spot.
    pub(super) fn take(&self, draining: bool) -> Option<(Place, Admission)> {
        let place = |semaphore: &Arc<Semaphore>| Arc::clone(semaphore).try_acquire_owned().ok().map(Place);
        if draining {
            return place(&self.overflow).map(|place| (place, Admission::Draining));
        }
        match place(&self.clients) {
            Some(place) => Some((place, Admission::Open)),
            None => place(&self.overflow).map(|place| (place, Admission::Full)),
        }
    }
}

/// What to do after an accept that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// That client is gone; the next one may be there.
    GoOn,
    /// Something is exhausted (files, memory): wait, or we would spin. `report` only on the first of a row.
    Pause { time: Duration, report: bool },
}

/// Counts failing accepts in a row.
#[derive(Debug, Default)]
pub(super) struct Failures(u32);

impl Failures {
    pub(super) fn success(&mut self) {
        self.0 = 0;
    }

    pub(super) fn failure(&mut self, error: &io::Error) -> After {
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput => After::GoOn,
            _ => {
                let time = SHORT_PAUSE.saturating_mul(1 << self.0.min(6)).min(LONG_PAUSE);
                let report = self.0 == 0;
                self.0 = self.0.saturating_add(1);
                After::Pause { time, report }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_clients_are_taken_in_to_be_told_and_then_dropped() {
        let places = Places::new(2);
        let taken: Vec<_> = std::iter::from_fn(|| places.take(false)).collect();
        assert_eq!(taken.len(), 2 + OVERFLOW);
        assert!(taken[..2].iter().all(|(_, admission)| *admission == Admission::Open));
        assert!(taken[2..].iter().all(|(_, admission)| *admission == Admission::Full));
        drop(taken);
        assert_eq!(places.take(false).unwrap().1, Admission::Open);
        assert_eq!(places.take(true).unwrap().1, Admission::Draining);
    }

    #[test]
    fn exhaustion_pauses_longer_and_longer_and_is_reported_once() {
        let mut failures = Failures::default();
        let too_many_files = io::Error::from_raw_os_error(24);
        assert_eq!(failures.failure(&too_many_files), After::Pause { time: SHORT_PAUSE, report: true });
        assert_eq!(failures.failure(&too_many_files), After::Pause { time: SHORT_PAUSE * 2, report: false });
        for _ in 0..100 {
            failures.failure(&too_many_files);
        }
        assert_eq!(failures.failure(&too_many_files), After::Pause { time: LONG_PAUSE, report: false });
        failures.success();
        assert_eq!(failures.failure(&too_many_files), After::Pause { time: SHORT_PAUSE, report: true });
    }

    #[test]
    fn a_client_that_left_while_waiting_costs_no_pause() {
        assert_eq!(Failures::default().failure(&io::ErrorKind::ConnectionAborted.into()), After::GoOn);
    }
}
