//! `pgusher serve`: the parts put together, and what signals do to them.

use std::path::PathBuf;

use super::Failure;
use crate::config::Settings;

/// Serves until a signal ends it.
pub(super) async fn run(settings: Settings, file: Option<PathBuf>) -> Result<(), Failure> {
    let _ = (settings, file);
    Err(Failure::Setup("serving is not part of this build".to_owned()))
}
