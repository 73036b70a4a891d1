//! Settings as meant.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::audit::{Audit, audit};
use super::certificates::{self, ClientCertificates};
use super::http::{self, Http};
use super::issuers::{self, Identity, Issuer};
use super::keys::{KEYS, Reload};
use super::written::{PASSWORDS, Written};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where clients come in.
    pub listen: Listen,
    /// TLS towards clients; `None` when no certificate is set.
    pub tls: Option<ClientTls>,
    /// The PostgreSQL behind us.
    pub upstream: Upstream,
    /// Hard limits of sessions and statements.
    pub limits: Limits,
    /// How policies are enforced and watched.
    pub policies: Policies,
    /// Tokens.
    pub tokens: Tokens,
    /// Whose JWTs are taken.
    pub issuers: Vec<Issuer>,
    /// How people log in.
    pub identity: Identity,
    /// The audit trail.
    pub audit: Audit,
    /// Health, metrics and the API of principals and tokens; `None` for nowhere.
    pub http: Option<Http>,
    /// The log.
    pub log: Log,
    effective: BTreeMap<&'static str, String>,
}

/// Where clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// TCP addresses with the port; none: no TCP.
    pub addresses: Vec<SocketAddr>,
    /// The port, also the number in the Unix socket's name.
    pub port: u16,
    /// The directory of the Unix socket.
    pub unix_socket_directory: Option<PathBuf>,
    /// The most connections at a time.
    pub connections: usize,
    /// How many threads serve sessions; 0: one for every two CPUs.
    pub threads: usize,
    /// How long a client may take until it is authenticated.
    pub startup_timeout: Duration,
    /// How long sessions may go on after the signal to stop.
    pub drain_timeout: Duration,
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub private_key: PathBuf,
    /// Refuse clients without TLS (over TCP).
    pub required: bool,
    /// How clients' certificates are taken; `None`: none is asked for.
    pub clients: Option<ClientCertificates>,
}

/// The PostgreSQL behind us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// A name, an address, or the directory of a Unix socket (begins with a slash).
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// Encryption.
    pub tls: UpstreamEncryption,
    /// PEM file of the certificates to trust; the system's when absent.
    pub root_certificates: Option<PathBuf>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// The login of ordinary sessions.
    pub session_user: String,
    /// Its password.
    pub session_password: Option<Password>,
    /// The most connections of ordinary sessions.
    pub session_connections: usize,
    /// The login of the control plane and of admins' sessions.
    pub control_user: String,
    /// Its password.
    pub control_password: Option<Password>,
    /// The most connections of admins' sessions.
    pub control_connections: usize,
    /// How long a session may wait for a connection.
    pub acquire_timeout: Duration,
    /// How ordinary sessions share connections.
    pub pooling: Pooling,
}

/// How ordinary sessions share upstream connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// For how long a session has a connection.
    pub mode: PoolMode,
    /// How many connections stay open although nobody wants them.
    pub least: usize,
    /// How many the sessions of one principal may hold at once; 0: as many as there are.
    pub most_per_principal: usize,
    /// How many sessions may wait at once.
    pub queue: usize,
    /// How long a connection that nobody wants stays open.
    pub idle: Duration,
    /// How many prepared statements a connection keeps.
    pub statements: usize,
}

/// For how long a session has an upstream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// As long as it lasts.
    Session,
    /// While a transaction is open, or what cannot be carried to another connection.
    Transaction,
}

/// Encryption towards upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamEncryption {
    /// None.
    Disabled,
    /// TLS, certificate and name checked.
    VerifyFull,
    /// TLS, the certificate unchecked.
    DangerousNoVerify,
}

/// Hard limits of sessions and statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one statement text.
    pub statement_bytes: usize,
    /// The most texts whose analysis is kept, for all sessions together.
    pub cached_statements: usize,
    /// About how many bytes those may take.
    pub cached_statement_bytes: usize,
    /// Ends a session that idles; `None` never.
    pub idle_timeout: Option<Duration>,
    /// Ends a session that idles in a transaction; `None` never.
    pub idle_in_transaction_timeout: Option<Duration>,
}

/// The default mechanism of row filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFilters {
    /// Row security on the tables.
    Rls,
    /// Security-barrier views.
    View,
}

/// How policies are enforced and watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// The default mechanism.
    pub row_filters: RowFilters,
    /// Strict mode: tables ask for grants themselves.
    pub strict: bool,
    /// How often the policy version is asked for besides notifications.
    pub poll_interval: Duration,
    /// The age of what was last confirmed from which on statements are refused.
    pub max_age: Duration,
}

/// Tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The lifetime of a token made without one.
    pub default_lifetime: Duration,
    /// The longest lifetime.
    pub max_lifetime: Duration,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Level, or directives per module as tracing takes them.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A password; it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Settings {
    /// The changed keys that only a restart applies.
    pub fn needing_restart(&self, new: &Settings) -> Vec<&'static str> {
        let changed = |path: &str| self.effective.get(path) != new.effective.get(path);
        KEYS.iter().filter(|key| key.reload == Reload::Restart && changed(key.path)).map(|key| key.path).collect()
    }
}

/// Reads everything; `None` when a mistake left a gap (the mistakes are in `written`).
pub(super) fn settings(written: &mut Written, base: &Path) -> Option<Settings> {
    let listen = listen(written, base);
    let tls = client_tls(written, base);
    let upstream = upstream(written, base);
    let limits = limits(written);
    let policies = policies(written);
    let tokens = tokens(written);
    let identity = issuers::identity(written);
    let issuers = issuers::issuers(written, base);
    let audit = audit(written, base);
    let http = http::http(written, base);
    let log = log(written);
    let effective = written.effective();
    Some(Settings {
        listen: listen?,
        tls,
        upstream: upstream?,
        limits: limits?,
        policies: policies?,
        tokens: tokens?,
        identity: identity?,
        issuers,
        audit: audit?,
        http: http?,
        log: log?,
        effective,
    })
}

/// The logins that init makes.
const SESSION_USER: &str = "pgusher_session";
const CONTROL_USER: &str = "pgusher_control";

const DAY_MS: i64 = 24 * 3600 * 1000;

fn listen(written: &mut Written, base: &Path) -> Option<Listen> {
    let hosts = written.list("listen.addresses");
    let port = port(written, "listen.port");
    let unix_socket_directory = written.path("listen.unix_socket_directory", base);
    let connections = written.count("listen.connections", 1..=1_000_000);
    let threads = written.count("listen.threads", 0..=1024);
    let startup_timeout = written.milliseconds("listen.startup_timeout_ms", 100..=600_000);
    let drain_timeout = written.milliseconds("listen.drain_timeout_ms", 0..=DAY_MS);
    let (hosts, port) = (hosts?, port?);
    let mut addresses = Vec::new();
    for host in &hosts {
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(ip) => addresses.push(SocketAddr::new(ip, port)),
            Err(_) if host == "*" => {
                addresses.extend([IpAddr::from([0; 4]), IpAddr::from([0; 16])].map(|any| SocketAddr::new(any, port)));
            }
            Err(_) if host == "localhost" => addresses.push(SocketAddr::from(([127, 0, 0, 1], port))),
            Err(_) => written.mistake("listen.addresses", format!("\"{host}\" is no IP address")),
        }
    }
    if hosts.is_empty() && unix_socket_directory.is_none() {
        written.mistake("listen.addresses", "must name an address when no Unix socket is set");
    }
    Some(Listen {
        addresses,
        port,
        unix_socket_directory,
        connections: connections?,
        threads: threads?,
        startup_timeout: startup_timeout?,
        drain_timeout: drain_timeout?,
    })
}

fn client_tls(written: &mut Written, base: &Path) -> Option<ClientTls> {
    let certificate = written.path("tls.certificate", base);
    let private_key = written.path("tls.private_key", base);
    let required = written.flag("tls.required");
    if required == Some(true) && certificate.is_none() && private_key.is_none() {
        written.mistake("tls.required", "needs tls.certificate and tls.private_key");
    }
    let clients = certificates::certificates(written, required, base);
    if clients.is_some() && certificate.is_none() && private_key.is_none() {
        written.mistake("tls.client_ca", "needs tls.certificate and tls.private_key");
    }
    let (certificate, private_key) = pair(written, ("tls.certificate", certificate), ("tls.private_key", private_key))?;
    Some(ClientTls { certificate, private_key, required: required?, clients })
}

/// A certificate and its key: both or none.
pub(super) fn pair(
    written: &mut Written,
    (certificate_name, certificate): (&'static str, Option<PathBuf>),
    (key_name, key): (&'static str, Option<PathBuf>),
) -> Option<(PathBuf, PathBuf)> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            written.mistake(key_name, format!("is missing beside {certificate_name}"));
            None
        }
        (None, Some(_)) => {
            written.mistake(certificate_name, format!("is missing beside {key_name}"));
            None
        }
    }
}

fn upstream(written: &mut Written, base: &Path) -> Option<Upstream> {
    let host = required_text(written, "upstream.host");
    let port = port(written, "upstream.port");
    let database = required_text(written, "upstream.database");
    let tls = written.choice(
        "upstream.tls",
        &[
            ("disabled", UpstreamEncryption::Disabled),
            ("verify-full", UpstreamEncryption::VerifyFull),
            ("dangerous-no-verify", UpstreamEncryption::DangerousNoVerify),
        ],
    );
    let root_certificates = written.path("upstream.root_certificates", base);
    let connect_timeout = written.milliseconds("upstream.connect_timeout_ms", 10..=600_000);
    let session_password = password(written, "upstream.session_password_file", PASSWORDS[0], base);
    let session_connections = written.count("upstream.session_connections", 1..=100_000);
    let control_password = password(written, "upstream.control_password_file", PASSWORDS[1], base);
    let control_connections = written.count("upstream.control_connections", 1..=100_000);
    let acquire_timeout = written.milliseconds("upstream.acquire_timeout_ms", 10..=600_000);
    let pooling = pooling(written);
    let host = host?;
    let near = host.starts_with('/') || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let default = if near { UpstreamEncryption::Disabled } else { UpstreamEncryption::VerifyFull };
    Some(Upstream {
        tls: tls.unwrap_or(default),
        host,
        port: port?,
        database: database?,
        root_certificates,
        connect_timeout: connect_timeout?,
        session_user: SESSION_USER.to_owned(),
        session_password,
        session_connections: session_connections?,
        control_user: CONTROL_USER.to_owned(),
        control_password,
        control_connections: control_connections?,
        acquire_timeout: acquire_timeout?,
        pooling: pooling?,
    })
}

fn pooling(written: &mut Written) -> Option<Pooling> {
    let mode = written.choice("upstream.pool_mode", &[("session", PoolMode::Session), ("transaction", PoolMode::Transaction)]);
    let least = written.count("upstream.session_connections_min", 0..=100_000);
    let most_per_principal = written.count("upstream.session_connections_per_principal", 0..=100_000);
    let queue = written.count("upstream.queue", 0..=1_000_000);
    let idle = written.milliseconds("upstream.idle_timeout_ms", 1000..=30 * DAY_MS);
    let statements = written.count("upstream.prepared_statements", 1..=100_000);
    Some(Pooling {
        mode: mode?,
        least: least?,
        most_per_principal: most_per_principal?,
        queue: queue?,
        idle: idle?,
        statements: statements?,
    })
}

fn limits(written: &mut Written) -> Option<Limits> {
    let statement_bytes = written.count("limits.statement_bytes", 1024..=64 << 20);
    let cached_statements = written.count("limits.cached_statements", 0..=100_000_000);
    let cached_statement_bytes = written.count("limits.cached_statement_bytes", 0..=1 << 40);
    let idle_timeout = written.milliseconds("limits.idle_timeout_ms", 0..=30 * DAY_MS);
    let in_transaction = written.milliseconds("limits.idle_in_transaction_timeout_ms", 0..=30 * DAY_MS);
    Some(Limits {
        statement_bytes: statement_bytes?,
        cached_statements: cached_statements?,
        cached_statement_bytes: cached_statement_bytes?,
        idle_timeout: Some(idle_timeout?).filter(|t| !t.is_zero()),
        idle_in_transaction_timeout: Some(in_transaction?).filter(|t| !t.is_zero()),
    })
}

fn policies(written: &mut Written) -> Option<Policies> {
    let row_filters = written.choice("policies.row_filters", &[("rls", RowFilters::Rls), ("view", RowFilters::View)]);
    let strict = written.flag("policies.strict");
    let poll_interval = written.milliseconds("policies.poll_interval_ms", 50..=600_000);
    let max_age = written.milliseconds("policies.max_age_ms", 1000..=DAY_MS);
    if let (Some(poll), Some(age)) = (poll_interval, max_age)
        && age < poll * 2
    {
        written.mistake("policies.max_age_ms", "must be at least twice policies.poll_interval_ms");
    }
    Some(Policies { row_filters: row_filters?, strict: strict?, poll_interval: poll_interval?, max_age: max_age? })
}

fn tokens(written: &mut Written) -> Option<Tokens> {
    let days = |number: usize| Duration::from_secs(number as u64 * 24 * 3600);
    let default = written.count("tokens.default_lifetime_days", 1..=36_500).map(days);
    let max = written.count("tokens.max_lifetime_days", 1..=36_500).map(days);
    if default > max && max.is_some() {
        written.mistake("tokens.default_lifetime_days", "must not be more than tokens.max_lifetime_days");
    }
    Some(Tokens { default_lifetime: default?, max_lifetime: max? })
}

fn log(written: &mut Written) -> Option<Log> {
    let level = required_text(written, "log.level");
    let format = written.choice("log.format", &[("json", LogFormat::Json), ("text", LogFormat::Text)]);
    let level = level?;
    if level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        written.mistake("log.level", format!("\"{level}\" is no log level"));
    }
    Some(Log { level, format: format? })
}

fn port(written: &mut Written, key: &'static str) -> Option<u16> {
    written.integer(key, 1..=65_535).and_then(|number| u16::try_from(number).ok())
}

fn required_text(written: &mut Written, key: &'static str) -> Option<String> {
    let before = written.text(key);
    match before {
        Some(text) if !text.is_empty() => Some(text),
        Some(_) => {
            written.mistake(key, "must not be empty");
            None
        }
        None => {
            written.missing(key);
            None
        }
    }
}

/// From the variable, else from the file; its last line break does not belong to it.
fn password(written: &mut Written, key: &'static str, variable: &str, base: &Path) -> Option<Password> {
    let path = written.path(key, base);
    if let Some(password) = written.password(variable) {
        return Some(Password(password));
    }
    match std::fs::read_to_string(path?) {
        Ok(text) => Some(Password(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => {
            written.mistake(key, format!("cannot read the file: {error}"));
            None
        }
    }
}
