//! Many principals at once, every answer checked: who sees a row of somebody else ends the run.
//!
//!     crowd throughput --port PORT --tokens FILE --sessions N --principals P --seconds S
//!     crowd soak --port PORT --tokens FILE --sessions N --seconds S
//!
//! The file has a principal and its token in each line. The table `owned (id, owner, value)` holds ids from 0; the owner of an id is the principal
//! in line `id % lines`. Prints one line of JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod session;
mod soak;
mod throughput;

use std::sync::Arc;
use std::time::Duration;

use session::Crowd;

#[derive(clap::Parser)]
struct Options {
    /// What to do.
    work: Work,
    #[arg(long)]
    port: u16,
    #[arg(long, default_value = "bench")]
    database: String,
    /// Principals and tokens.
    #[arg(long)]
    tokens: std::path::PathBuf,
    /// Rows of `owned`.
    #[arg(long)]
    rows: i64,
    /// Clients at a time.
    #[arg(long)]
    sessions: usize,
    /// How many of the principals take part; all when absent.
    #[arg(long)]
    principals: Option<usize>,
    #[arg(long)]
    seconds: f64,
    /// Of the random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Work {
    Throughput,
    Soak,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let options = <Options as clap::Parser>::parse();
    let text = std::fs::read_to_string(&options.tokens).expect("the file of tokens");
    let people: Vec<(String, String)> =
        text.lines().filter_map(|line| line.split_once(' ')).map(|(name, token)| (name.into(), token.into())).collect();
    let crowd = Arc::new(Crowd {
        port: options.port,
        database: options.database,
        rows: options.rows,
        taking_part: options.principals.unwrap_or(people.len()).min(people.len()),
        people,
        seed: options.seed,
    });
    let length = Duration::from_secs_f64(options.seconds);
    let report = match options.work {
        Work::Throughput => throughput::run(crowd, options.sessions, length).await,
        Work::Soak => soak::run(crowd, options.sessions, length).await,
    };
    println!("{report}");
}
