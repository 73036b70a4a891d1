//! Every key, its default as TOML, and whether a reload applies it.

/// Whether SIGHUP applies a change of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// At once, to what begins after it.
    Applies,
    /// Only a restart does.
    Restart,
}

/// A key of the configuration file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path, for example `upstream.port`.
    pub path: &'static str,
    /// Its default as TOML; `None` where it has none.
    pub default: Option<&'static str>,
    /// Whether a reload applies it.
    pub reload: Reload,
}

const fn key(path: &'static str, default: Option<&'static str>, reload: Reload) -> Key {
    Key { path, default, reload }
}

use Reload::{Applies, Restart};

/// Every key there is.
pub const KEYS: [Key; 79] = [
    key("listen.addresses", Some("[\"127.0.0.1\"]"), Restart),
    key("listen.port", Some("6432"), Restart),
    key("listen.unix_socket_directory", None, Restart),
    key("listen.connections", Some("1000"), Restart),
    key("listen.threads", Some("0"), Restart),
    key("listen.startup_timeout_ms", Some("30000"), Applies),
    key("listen.drain_timeout_ms", Some("30000"), Restart),
    key("tls.certificate", None, Applies),
    key("tls.private_key", None, Applies),
    key("tls.required", Some("false"), Applies),
    key("tls.client_ca", None, Applies),
    key("tls.client_crl", None, Applies),
    key("tls.client_certificates", Some("\"beside\""), Applies),
    key("tls.client_name", Some("\"cn\""), Applies),
    key("upstream.host", Some("\"127.0.0.1\""), Restart),
    key("upstream.port", Some("5432"), Restart),
    key("upstream.database", None, Restart),
    key("upstream.tls", None, Restart),
    key("upstream.root_certificates", None, Restart),
    key("upstream.connect_timeout_ms", Some("10000"), Restart),
    key("upstream.session_password_file", None, Restart),
    key("upstream.session_connections", Some("200"), Restart),
    key("upstream.control_password_file", None, Restart),
    key("upstream.control_connections", Some("20"), Restart),
    key("upstream.acquire_timeout_ms", Some("10000"), Restart),
    key("upstream.pool_mode", Some("\"session\""), Restart),
    key("upstream.session_connections_min", Some("0"), Restart),
    key("upstream.session_connections_per_principal", Some("0"), Restart),
    key("upstream.queue", Some("10000"), Restart),
    key("upstream.idle_timeout_ms", Some("600000"), Restart),
    key("upstream.prepared_statements", Some("200"), Restart),
    key("limits.statement_bytes", Some("1048576"), Applies),
    key("limits.cached_statements", Some("10000"), Restart),
    key("limits.cached_statement_bytes", Some("67108864"), Restart),
    key("limits.idle_timeout_ms", Some("0"), Applies),
    key("limits.idle_in_transaction_timeout_ms", Some("0"), Applies),
    key("policies.row_filters", Some("\"rls\""), Restart),
    key("policies.strict", Some("false"), Restart),
    key("policies.poll_interval_ms", Some("500"), Restart),
    key("policies.max_age_ms", Some("15000"), Restart),
    key("tokens.default_lifetime_days", Some("90"), Restart),
    key("tokens.max_lifetime_days", Some("730"), Restart),
    key("identity.oauthbearer", Some("\"asked\""), Applies),
    key("identity.scram", Some("\"asked\""), Applies),
    key("identity.oauth_scope", Some("\"openid email\""), Applies),
    key("identity.issuers.issuer", None, Applies),
    key("identity.issuers.audiences", None, Applies),
    key("identity.issuers.jwks_file", None, Applies),
    key("identity.issuers.jwks_url", None, Applies),
    key("identity.issuers.root_certificates", None, Applies),
    key("identity.issuers.jwks_refresh_ms", Some("300000"), Applies),
    key("identity.issuers.jwks_max_age_ms", Some("86400000"), Applies),
    key(
        "identity.issuers.algorithms",
        Some("[\"RS256\", \"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \"ES256\", \"ES384\", \"EdDSA\"]"),
        Applies,
    ),
    key("identity.issuers.principal_claims", Some("[\"email\"]"), Applies),
    key("identity.issuers.domains", Some("[]"), Applies),
    key("identity.issuers.verified_email", Some("true"), Applies),
    key("identity.issuers.max_lifetime_ms", Some("604800000"), Applies),
    key("identity.issuers.groups_claim", None, Applies),
    key("identity.issuers.create_principals", Some("false"), Applies),
    key("identity.issuers.create_domains", Some("[]"), Applies),
    key("identity.issuers.clock_skew_ms", Some("30000"), Applies),
    key("audit.file", None, Restart),
    key("audit.rotate_bytes", Some("104857600"), Restart),
    key("audit.rotate_keep", Some("0"), Restart),
    key("audit.stdout", Some("false"), Restart),
    key("audit.table", Some("false"), Restart),
    key("audit.durability", Some("\"written\""), Restart),
    key("audit.on_failure", Some("\"refuse\""), Restart),
    key("audit.literals", Some("true"), Restart),
    key("audit.parameters", Some("false"), Restart),
    key("audit.key_file", None, Restart),
    key("http.address", Some("\"127.0.0.1:6480\""), Restart),
    key("http.certificate", None, Applies),
    key("http.private_key", None, Applies),
    key("http.connections", Some("200"), Restart),
    key("http.body_bytes", Some("262144"), Restart),
    key("http.request_timeout_ms", Some("10000"), Restart),
    key("log.level", Some("\"info\""), Applies),
    key("log.format", Some("\"json\""), Restart),
];

/// Whether a key is one of a table that may stand there many times, `[[identity.issuers]]`. No variable overrides those.
pub(super) fn repeats(path: &str) -> bool {
    path.starts_with("identity.issuers.")
}

/// The variable that overrides a key: `upstream.port` → `PGUSHER_UPSTREAM_PORT`.
pub fn variable(path: &str) -> String {
    format!("PGUSHER_{}", path.replace('.', "_").to_ascii_uppercase())
}
