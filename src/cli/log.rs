//! The log: tracing to standard error, its level replaceable while we run.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::Failure;
use crate::config::{Log, LogFormat};

/// Replaces the level.
pub(super) struct Level(reload::Handle<EnvFilter, Registry>);

/// Starts the log.
pub(super) fn start(log: &Log) -> Result<Level, Failure> {
    let (filter, handle) = reload::Layer::new(filter(log));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    let registry = tracing_subscriber::registry().with(filter).with(lines);
    registry.try_init().map_err(|error| Failure::Setup(format!("cannot start the log: {error}")))?;
    Ok(Level(handle))
}

impl Level {
    /// Follows changed settings.
    pub(super) fn follow(&self, log: &Log) {
        if let Err(error) = self.0.reload(filter(log)) {
            tracing::warn!(%error, "the log level could not be changed");
        }
    }
}

fn filter(log: &Log) -> EnvFilter {
    // The settings were read by the same parser.
    log.level.parse().unwrap_or_else(|_| EnvFilter::new("info"))
}
