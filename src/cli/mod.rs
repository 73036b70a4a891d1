//! The command line.
//!
//! In: arguments. Out: an exit code: 0; 1 when a command was refused; 64 for wrong usage, 69 when upstream cannot be used, 78 for a
//! wrong configuration (sysexits.h). Never: policy decisions of its own; the commands are governance commands given by the operator.

mod arguments;
mod audit;
mod check;
mod control;
pub mod demo;
mod init;
mod log;
mod operator;
mod serve;
mod table;
mod wiring;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Action, Arguments};
use crate::config::{self, Mistakes, Settings};
use crate::error::{Report, StoreError};

/// The stack of every thread that may analyse a statement: limits of the analysis are set for it.
pub const STACK_BYTES: usize = 64 << 20;

const USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;
const CONFIGURATION: u8 = 78;

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error("configuration:\n{0}")]
    Configuration(#[from] Mistakes),
    /// There is no configuration file, and the environment alone is not enough.
    #[error("configuration: no file is given with --config, and there is no pgusher.toml here or in /etc/pgusher\n{0}")]
    NoConfiguration(Mistakes),
    /// Something that the configuration names cannot be used.
    #[error("{0}")]
    Setup(String),
    /// Upstream cannot be used.
    #[error("{0}")]
    Unavailable(String),
    /// The command was refused.
    #[error("{}", said(.0))]
    Refused(Box<Report>),
    /// It was written wrongly.
    #[error("{0}")]
    Usage(String),
    /// A check failed; what failed was printed.
    #[error("{0}")]
    Check(String),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Configuration(_) | Failure::NoConfiguration(_) | Failure::Setup(_) => CONFIGURATION,
            Failure::Unavailable(_) => UNAVAILABLE,
            Failure::Refused(_) | Failure::Check(_) => 1,
            Failure::Usage(_) => USAGE,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Connect(_)
            | StoreError::Lost(_)
            | StoreError::NotInitialized
            | StoreError::SchemaVersion { .. }
            | StoreError::Preflight(_)
            | StoreError::Roles(_)
            | StoreError::Stale { .. }
            | StoreError::NotLoaded => Failure::Unavailable(error.to_string()),
            StoreError::Upstream(_) | StoreError::Malformed(_) | StoreError::Ungovernable { .. } | StoreError::Init(_) => {
                Failure::Refused(Box::new(Report::from(&error)))
            }
        }
    }
}

/// Runs the command line; the first argument is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let Arguments { config, action } = arguments;
    let done = match action {
        Action::Demo(arguments) => return demo::run(arguments),
        Action::Audit(action) => audit::run(action, config.as_deref()),
        Action::Serve => settings(config.as_deref()).and_then(|settings| on_runtime(serve::run(settings, config))),
        Action::Check => settings(config.as_deref()).and_then(|settings| on_runtime(check::run(settings))),
        Action::Init(arguments) => settings(config.as_deref()).and_then(|settings| on_runtime(init::run(settings, arguments))),
        Action::User(_) | Action::ServicePrincipal(_) | Action::Group(_) | Action::Token(_) | Action::Sql { .. } => {
            operator::command(action)
                .and_then(|command| settings(config.as_deref()).and_then(|settings| on_runtime(operator::run(settings, command))))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pgusher: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

/// A runtime whose threads, blocking ones too, have the stacks that analysis needs.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).thread_name("pgusher").build()
}

fn on_runtime(task: impl Future<Output = Result<(), Failure>> + Send + 'static) -> Result<(), Failure> {
    let runtime = runtime().map_err(|error| Failure::Setup(format!("cannot start the runtime: {error}")))?;
    // Spawned, so that it runs on a thread with the large stack and not on this one.
    let done =
        runtime.block_on(runtime.spawn(task)).unwrap_or_else(|error| Err(Failure::Setup(format!("internal error: {error}"))));
    runtime.shutdown_background();
    done
}

/// The settings from the given file, else from the usual one if it exists, else from the environment alone.
fn settings(path: Option<&Path>) -> Result<Settings, Failure> {
    let found = path.map(PathBuf::from).or_else(usual_path);
    let none = found.is_none();
    config::load(found.as_deref(), std::env::vars())
        .map_err(|mistakes| if none { Failure::NoConfiguration(mistakes) } else { Failure::Configuration(mistakes) })
}

fn usual_path() -> Option<PathBuf> {
    ["pgusher.toml", "/etc/pgusher/pgusher.toml"].iter().map(PathBuf::from).find(|path| path.exists())
}

fn said(report: &Report) -> String {
    let mut text = report.message.clone();
    for (word, more) in [("DETAIL", &report.detail), ("HINT", &report.hint)] {
        if let Some(more) = more {
            text.push_str(&format!("\n{word}:  {more}"));
        }
    }
    text
}
