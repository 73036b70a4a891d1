//! A running pgusher: the real program with a configuration of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::keeper::{Kept, tail};
use super::upstream::scratch;
use super::{Mechanism, Upstream, free_port, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pgusher");

/// How a proxy is to be set up.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    database: String,
    mechanism: Mechanism,
    more: String,
    http: Option<String>,
    everywhere: bool,
    pool_mode: Option<String>,
}

impl ProxySettings {
    /// The usual settings for a database.
    pub fn new(database: &str, mechanism: Mechanism) -> Self {
        Self { database: database.into(), mechanism, more: String::new(), http: None, everywhere: false, pool_mode: None }
    }

    /// The same with more lines of configuration at the end.
    pub fn with(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self
    }

    /// The same with HTTP, on a port of its own, and more lines about it.
    pub fn with_http(mut self, toml: &str) -> Self {
        self.http = Some(toml.into());
        self
    }

    /// The same with HTTP on every address of the machine.
    pub fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// The same with lines of `[upstream]` on how sessions share connections.
    pub fn pooled(mut self, toml: &str) -> Self {
        self.pool_mode = Some(toml.into());
        self
    }

    fn write(&self, upstream: &Upstream, (port, http_port): (u16, Option<u16>), directory: &Path) -> PathBuf {
        for login in ["session", "control"] {
            let path = directory.join(format!("{login}.password"));
            std::fs::write(&path, format!("{login}-secret")).expect("the scratch directory can be written");
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("our own file");
        }
        let (database, mechanism, more) = (&self.database, self.mechanism.as_str(), &self.more);
        let strict = self.mechanism.more();
        let upstream_port = upstream.port;
        let pool_mode = self.pool_mode.clone().unwrap_or_else(|| std::env::var("PGUSHER_TEST_UPSTREAM").unwrap_or_default());
        let host = if self.everywhere { "0.0.0.0" } else { "127.0.0.1" };
        let http = http_port.map_or_else(|| "address = \"\"".to_string(), |port| format!("address = \"{host}:{port}\""));
        let http_more = self.http.as_deref().unwrap_or_default();
        let text = format!(
            r#"[listen]
addresses = ["127.0.0.1"]
port = {port}
drain_timeout_ms = 500
threads = 2
[upstream]
host = "127.0.0.1"
port = {upstream_port}
database = "{database}"
session_password_file = "session.password"
control_password_file = "control.password"
{pool_mode}
[policies]
row_filters = "{mechanism}"
{strict}
poll_interval_ms = 200
[http]
{http}
{http_more}
[log]
level = "info"
format = "text"
{more}
"#
        );
        let path = directory.join("pgusher.toml");
        std::fs::write(&path, text).expect("the scratch directory can be written");
        path
    }

    /// Runs `pgusher init` as the superuser, and makes an administrator; its token. Idempotent but for the token.
    pub fn init(&self, upstream: &Upstream, admin: &str) -> String {
        let text = self.run_init(upstream, &["--admin", admin]);
        text.split_whitespace()
            .find(|w| w.starts_with("pgu_"))
            .unwrap_or_else(|| panic!("init printed no token:\n{text}"))
            .to_string()
    }

    /// Runs `pgusher init` as the superuser; what it printed.
    pub fn run_init(&self, upstream: &Upstream, arguments: &[&str]) -> String {
        self.run(upstream, "init", arguments)
    }

    /// Runs `pgusher check`; what it printed.
    pub fn run_check(&self, upstream: &Upstream) -> String {
        self.run(upstream, "check", &[])
    }

    /// Runs `pgusher check`, which must not be content; what it printed.
    pub fn run_failing_check(&self, upstream: &Upstream) -> String {
        let directory = scratch("check");
        let config = self.write(upstream, (free_port(), None), &directory);
        let output = Command::new(PROGRAM).arg("--config").arg(&config).arg("check").output().expect("pgusher starts");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command of `pgusher audit` with no configuration; what it printed, and whether it was content.
    pub fn run_audit(arguments: &[&str]) -> (String, bool) {
        let output = Command::new(PROGRAM).arg("audit").args(arguments).output().expect("pgusher starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (text, output.status.success())
    }

    fn run(&self, upstream: &Upstream, word: &str, arguments: &[&str]) -> String {
        let directory = scratch(word);
        let config = self.write(upstream, (free_port(), None), &directory);
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(&config).arg(word).args(arguments).env("PGPASSWORD", "postgres");
        let output = command.output().expect("pgusher starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "pgusher {word}:\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let _ = std::fs::remove_dir_all(directory);
        text
    }
}

/// A running proxy.
pub struct Proxy {
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
    /// Its port for HTTP, if it has one.
    pub http_port: Option<u16>,
    /// Its scratch directory.
    pub directory: PathBuf,
    process: Kept,
}

impl Proxy {
    /// Starts one and waits until it takes connections.
    pub fn start(upstream: &Upstream, settings: ProxySettings) -> Proxy {
        let port = free_port();
        let directory = scratch("proxy");
        let http_port = settings.http.as_ref().map(|_| free_port());
        let config = settings.write(upstream, (port, http_port), &directory);
        let log = directory.join("pgusher.log");
        let config = config.to_string_lossy();
        let mut process = Kept::start(&[PROGRAM, "--config", &config, "serve"], "TERM", Some(&directory), &log);
        until("pgusher to listen", || {
            assert!(process.running(), "pgusher ended at once:\n{}", tail(&log));
            // HTTP comes a moment after PostgreSQL's protocol.
            [Some(port), http_port]
                .iter()
                .flatten()
                .try_for_each(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).map(drop))
                .ok()
        });
        Proxy { port, http_port, directory, process }
    }

    /// How much CPU it has used so far, in ticks of ten milliseconds.
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.program())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("a line").split(' ').collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    /// Its process id.
    pub fn process(&self) -> String {
        self.process.program()
    }

    /// Kills it in the midst of whatever it does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("pgusher.log")).unwrap_or_default()
    }
}
