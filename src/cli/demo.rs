//! A shop behind pgusher, to try things out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

/// `pgusher demo`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The scratch directory
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// The port to listen on
    #[arg(long, default_value_t = 6432)]
    pub port: u16,
}

/// Runs until Ctrl-C.
pub fn run(arguments: Arguments) -> ExitCode {
    let _ = arguments;
    eprintln!("pgusher: the demo is not part of this build");
    ExitCode::FAILURE
}
