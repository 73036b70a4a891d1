//! Sessions against a scripted upstream.

use super::*;

#[test]
fn a_session_can_run_on_any_thread() {
    fn sendable<T: Send>(_: fn(crate::startup::Authenticated, Arc<Environment>) -> T) {}
    sendable(run);
}
