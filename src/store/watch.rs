//! Keeps what is published true: notifications, polling, reconnecting; ends the sessions whose rows are gone.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::loader::Depth;
use super::{Store, StoreError};
use crate::event::Event;
use crate::upstream::Ending;

/// Runs until the store is dropped.
pub(super) async fn watch(store: Weak<Store>, noticed: Arc<Notify>, interval: Duration) {
    let mut state = State { swept: Instant::now(), catalog: Instant::now(), settled: 0, unsettled: 0, pause: FIRST_PAUSE };
    loop {
        let notified = timeout(interval, noticed.notified()).await.is_ok();
        let Some(store) = store.upgrade() else { return };
        match tick(&store, &mut state, notified, interval).await {
            Ok(()) => state.pause = FIRST_PAUSE,
            Err(error) => {
                warn!("the policy store: {error}");
                store.events().emit(Event::Trouble { part: "store", message: error.to_string().into() });
                drop(store);
                sleep(state.pause).await;
                state.pause = (state.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

struct State {
    swept: Instant,
    /// When the catalog may be looked at again, but for the interval.
    catalog: Instant,
    /// The version of the policies that sessions were last settled after, and how often they still are to be.
    settled: i64,
    unsettled: u32,
    pause: Duration,
}

async fn tick(store: &Arc<Store>, state: &mut State, notified: bool, interval: Duration) -> Result<(), StoreError> {
    let due = notified || state.catalog.elapsed() >= interval * 2;
    let began = Instant::now();
    let asked = store.look(if due { Depth::Everything } else { Depth::Policies }, due).await?;
    if due {
        // A catalog so large that asking about it takes long is asked about less often. What came of the answer counts once: if it counted
        // as much, whatever moves after a repair that waited for a lock would be noticed half a minute later.
        state.catalog = Instant::now() + (asked * 10).max(began.elapsed());
    }
    settle(store, state).await?;
    if state.swept.elapsed() >= SWEEP_EVERY {
        state.swept = Instant::now();
        store.sweep().await?;
    }
    store.tokens().flush().await
}

/// A session that began beside a change of policies may have missed it: sessions are settled after each change, and once more for those
/// that were just beginning then.
async fn settle(store: &Arc<Store>, state: &mut State) -> Result<(), StoreError> {
    let version = store.published().map_or(state.settled, |footing| footing.policies.version);
    if version != state.settled {
        (state.settled, state.unsettled) = (version, TIMES);
    }
    // Taken before they are settled.
    let held = if state.unsettled > 0 { store.registry().attachments.held() } else { Vec::new() };
    if state.unsettled > 0 && store.settle().await? {
        held.iter().for_each(|attachment| attachment.has_followed(version));
        state.unsettled -= 1;
        store.look(Depth::Policies, true).await?;
    }
    Ok(())
}

/// How often sessions are settled after a change.
const TIMES: u32 = 2;

/// Ends sessions that are open here and have no live row. `open` was taken before the rows were read.
pub(super) fn end_revoked(store: &Store, open: &[crate::upstream::OpenSession], live: &std::collections::HashSet<i64>) {
    for session in open.iter().filter(|s| !live.contains(&s.slot)) {
        store.registry().terminate(session.slot, Ending::Revoked);
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const SWEEP_EVERY: Duration = Duration::from_secs(30);
