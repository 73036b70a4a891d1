//! What a session waits on before its client hears of something that must be on record first.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// A record could not be written in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record could not be written")]
pub struct Unwritten;

/// The receipts of one session: numbered when a record is handed over, settled when it is durable. Clones are the same receipts.
#[derive(Clone, Debug, Default)]
pub struct Receipts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    issued: AtomicU64,
    settled: AtomicU64,
    failed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Receipts {
    /// The recorder took a record that is to be waited for: its number.
    pub fn issue(&self) -> u64 {
        self.0.issued.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the last record that was taken.
    pub fn issued(&self) -> u64 {
        self.0.issued.load(Ordering::Relaxed)
    }

    /// Everything up to this number is durable. Numbers come in their order.
    pub fn settle(&self, number: u64) {
        self.0.settled.fetch_max(number, Ordering::Release);
        self.wake();
    }

    /// A record could not be written, and whoever waits is to wait no longer.
    pub fn fail(&self) {
        self.0.failed.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether a record is not yet durable.
    pub fn outstanding(&self) -> bool {
        self.0.settled.load(Ordering::Acquire) < self.issued()
    }

    /// Waits until everything up to a number is durable.
    pub fn poll(&self, cx: &mut Context<'_>, number: u64) -> Poll<Result<(), Unwritten>> {
        if let done @ Poll::Ready(_) = self.look(number) {
            return done;
        }
        *self.0.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        // It may have come between the look and the waker.
        self.look(number)
    }

    /// Waits until everything that was taken is durable.
    pub async fn all(&self) -> Result<(), Unwritten> {
        let number = self.issued();
        poll_fn(|cx| self.poll(cx, number)).await
    }

    fn look(&self, number: u64) -> Poll<Result<(), Unwritten>> {
        // What failed is in no order with what is settled.
        if self.0.failed.load(Ordering::Acquire) {
            return Poll::Ready(Err(Unwritten));
        }
        if self.0.settled.load(Ordering::Acquire) >= number { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn wake(&self) {
        let waiting = self.0.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}
