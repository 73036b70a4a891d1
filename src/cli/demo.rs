//! `pgusher demo`: a shop, its policies and its people on this machine, to try things out.
//!
//! In: a folder and a port, or neither. Out: a PostgreSQL of its own behind a running pgusher, `demo.env`, and lines to paste. Never:
//! a process or (unless a folder was asked for) a file left behind, however it ends.

mod folder;
mod postgres;
mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use self::folder::{Folder, write_secret};
use self::postgres::{Programs, Server, run as run_program};
use self::story::{Pass, Passes};
use super::{Failure, serve, wiring};
use crate::config::{self, Password, Settings};
use crate::store::init::Init;
use crate::upstream::Account;

/// `pgusher demo`.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Where to keep the demo's files: a new or empty folder, or an earlier demo's; else a temporary one, removed at the end
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// The port for clients; else 6432, or a free one where that is taken
    #[arg(long)]
    port: Option<u16>,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// PostgreSQL is not installed where we look.
    #[error(
        "cannot find PostgreSQL's programs initdb, postgres and psql under /usr/lib/postgresql, in Homebrew's places or on PATH\n\
         HINT:  On Debian or Ubuntu: apt-get install postgresql (or \"make setup\" in the source tree)."
    )]
    NoPostgres,
    /// We are root, and there is nobody to run the server as.
    #[error("PostgreSQL does not run as root, and there is neither an account \"postgres\" nor \"nobody\" to run it as")]
    OnlyRoot,
    /// The folder holds other things.
    #[error("folder \"{}\" is not empty and not an earlier demo's", .0.display())]
    FolderInUse(PathBuf),
    /// The port is taken.
    #[error("port {0} is in use\nHINT:  Choose another with --port.")]
    PortInUse(u16),
    /// The server does not come up.
    #[error("PostgreSQL did not start; its log is \"{}\"", log.display())]
    NotStarted {
        /// Its log.
        log: PathBuf,
    },
    /// Files or programs could not be used.
    #[error("cannot {doing}: {error}")]
    Files {
        /// What was tried.
        doing: &'static str,
        /// What happened.
        error: std::io::Error,
    },
    /// A program failed.
    #[error("{what} failed:\n{said}")]
    Step {
        /// Which.
        what: &'static str,
        /// What it printed.
        said: String,
    },
    /// pgusher itself did not come up, or ended.
    #[error("{0}")]
    Gate(#[from] Failure),
    /// The server went away.
    #[error("the demo's PostgreSQL ended on its own; its log is \"{}\"", .0.display())]
    Lost(PathBuf),
}

/// Runs the demo until Ctrl-C or SIGTERM.
pub fn run(arguments: Arguments) -> ExitCode {
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("pgusher: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Spawned, so that it runs on a thread with the large stack.
    let done = runtime.block_on(runtime.spawn(demo(arguments)));
    runtime.shutdown_background();
    match done {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("pgusher: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("pgusher: internal error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: Arguments) -> Result<(), DemoError> {
    let port = client_port(arguments.port)?;
    let folder = Folder::open(arguments.dir.as_deref())?;
    let log = folder.join("postgres").join("postgres.log");
    let stage = blocking(move || Stage::set(folder, port)).await?;
    let admin_token = stage.init().await?;
    let mut gate = tokio::spawn(serve::run(stage.settings.clone(), None));
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let mut opening = tokio::spawn(blocking(move || stage.open_the_shop(&admin_token, &seen)));
    let (passes, stage) = tokio::select! {
        opened = &mut opening => opened.map_err(internal)??,
        ended = &mut gate => {
            over.store(true, Ordering::Relaxed);
            // The server stops when this task, which owns it, has noticed.
            let _ = opening.await;
            return outcome(ended);
        }
    };
    println!("{}", story::tell(&stage.place(), &passes, &stage.counts()?));
    until_the_end(stage, gate, &log).await
}

/// Everything that stands while the demo runs. Fields are dropped in order: the server goes before its folder.
struct Stage {
    server: Server,
    folder: Folder,
    settings: Settings,
    password: String,
    port: u16,
    http_port: u16,
}

impl Stage {
    fn set(folder: Folder, port: u16) -> Result<Self, DemoError> {
        let http_port = free_port()?;
        println!("Starting PostgreSQL in {} …", folder.path.display());
        let password = hex::encode(rand::random::<[u8; 16]>());
        let server = Server::start(Programs::find()?, &folder, &password)?;
        println!("Loading the shop …");
        run_program(
            server.psql(&password, "postgres").args(["-c", &format!("CREATE DATABASE {DATABASE}")]),
            "making the database",
        )?;
        let shop = folder.join("shop.sql");
        write_secret(&shop, SHOP)?;
        run_program(server.psql(&password, DATABASE).arg("-f").arg(&shop).arg("-o").arg("/dev/null"), "loading the shop")?;
        for name in ["session.password", "control.password"] {
            write_secret(&folder.join(name), &hex::encode(rand::random::<[u8; 16]>()))?;
        }
        let file = folder.join("pgusher.toml");
        write_secret(&file, &story::configuration(server.port, port, http_port, DATABASE))?;
        let settings = config::load(Some(&file), std::iter::empty()).map_err(Failure::from)?;
        Ok(Self { server, folder, settings, password, port, http_port })
    }

    /// Makes what pgusher needs upstream; the first administrator's token.
    async fn init(&self) -> Result<String, DemoError> {
        println!("Running pgusher init …");
        let init = Init {
            upstream: wiring::upstream(&self.settings)?,
            administrator: Account { user: "postgres".to_owned(), password: Some(Password::new(&self.password)) },
            session: wiring::session_account(&self.settings),
            control: wiring::control_account(&self.settings),
            settings: wiring::enforcement(&self.settings),
            harden: true,
            admin: Some(story::ADMIN.to_owned()),
        };
        let done = init.run().await.map_err(Failure::from)?;
        let token = done.token.ok_or_else(|| Failure::Setup("init gave the administrator no token".to_owned()))?;
        Ok(token.expose().to_owned())
    }

    /// Applies the policies through pgusher itself, as the administrator, and makes everybody a token.
    fn open_the_shop(self, admin_token: &str, over: &AtomicBool) -> Result<(Passes, Self), DemoError> {
        println!("Applying the policies through pgusher …");
        let admin = || self.server.psql_at(self.port, story::ADMIN, admin_token, DATABASE);
        self.wait_for_the_gate(over)?;
        let policies = self.folder.join("policies.sql");
        write_secret(&policies, POLICIES)?;
        run_program(admin().arg("-f").arg(&policies), "applying the policies")?;
        let mut passes = vec![Pass { prefix: "PGUSHER_ADMIN", user: story::ADMIN, token: admin_token.to_owned() }];
        for (prefix, user) in story::PEOPLE {
            let statement = format!("CREATE TOKEN FOR \"{user}\" COMMENT 'demo'");
            let answer = run_program(admin().args(["-A", "-t", "-F", "\n", "-c", &statement]), "making a token")?;
            let token = answer.lines().find(|line| line.starts_with("pgu_")).unwrap_or_default().to_owned();
            passes.push(Pass { prefix, user, token });
        }
        write_secret(&self.folder.join("demo.env"), &story::environment(&self.place(), &passes))?;
        Ok((passes, self))
    }

    fn wait_for_the_gate(&self, over: &AtomicBool) -> Result<(), DemoError> {
        let deadline = std::time::Instant::now() + STARTING;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if over.load(Ordering::Relaxed) || std::time::Instant::now() > deadline {
                return Err(DemoError::Gate(Failure::Setup("pgusher did not start listening".to_owned())));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn place(&self) -> story::Place {
        story::Place {
            folder: self.folder.path.clone(),
            port: self.port,
            http_port: self.http_port,
            upstream_port: self.server.port,
            database: DATABASE,
        }
    }

    /// What is true upstream, by filters written by hand.
    fn counts(&self) -> Result<Vec<String>, DemoError> {
        let answer =
            run_program(self.server.psql(&self.password, DATABASE).args(["-A", "-t", "-F", "\n", "-c", story::TRUTH]), "counting")?;
        Ok(answer.lines().map(str::to_owned).collect())
    }
}

async fn until_the_end(mut stage: Stage, mut gate: JoinHandle<Result<(), Failure>>, log: &Path) -> Result<(), DemoError> {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            ended = &mut gate => {
                println!("Stopping.");
                return outcome(ended);
            }
            _ = tick.tick() => {
                if !stage.server.running() {
                    return Err(DemoError::Lost(log.to_owned()));
                }
            }
        }
    }
}

fn outcome(ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), DemoError> {
    match ended {
        Ok(done) => Ok(done?),
        Err(error) => Err(internal(error)),
    }
}

fn internal(error: tokio::task::JoinError) -> DemoError {
    DemoError::Gate(Failure::Setup(format!("internal error: {error}")))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, DemoError> + Send + 'static) -> Result<T, DemoError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(internal(error)),
    }
}

fn client_port(wanted: Option<u16>) -> Result<u16, DemoError> {
    let free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    match wanted {
        Some(port) if free(port) => Ok(port),
        Some(port) => Err(DemoError::PortInUse(port)),
        None if free(USUAL_PORT) => Ok(USUAL_PORT),
        None => free_port(),
    }
}

fn free_port() -> Result<u16, DemoError> {
    postgres::free_port().map_err(|error| DemoError::Files { doing: "find a free port", error })
}

const SHOP: &str = include_str!("../../config/demo/shop.sql");
const POLICIES: &str = include_str!("../../config/demo/policies.sql");
const DATABASE: &str = "shop";
const USUAL_PORT: u16 = 6432;
const STARTING: std::time::Duration = std::time::Duration::from_secs(30);
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);
