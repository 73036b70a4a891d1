//! `pgusher check`: everything that the configuration names is tried, and upstream is put to the test.

use serde_json::Value;

use super::{Failure, wiring};
use crate::config::{Audit, CertificateRole, ClientCertificates, Http, SaslLogin, Settings, UpstreamEncryption};
use crate::listener::http_acceptor;
use crate::store::StoreError;
use crate::store::channel::Control;
use crate::upstream::connect::is_loopback;
use crate::upstream::{Login, OwnerChannel, OwnerError, Pool};

/// Tries everything, prints a line for each, and fails if one failed.
pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    println!("ok    configuration");
    let mut failed = false;
    let mut note = |what: &str, result: Result<String, String>| match result {
        Ok(more) => println!("ok    {what}{}{more}", if more.is_empty() { "" } else { ": " }),
        Err(why) => {
            failed = true;
            println!("FAIL  {what}: {why}");
        }
    };
    note("TLS towards clients", wiring::rules(&settings).map(|rules| rules.tls.map_or("off", |_| "on").to_owned()).map_err(text));
    note("TLS of HTTP", http(&settings));
    note("audit", audit(&settings.audit));
    for weakness in weaknesses(&settings) {
        println!("WEAK  {weakness}");
    }
    let pool = Pool::new(wiring::pool(&settings)?);
    for (login, name) in [(Login::Session, &settings.upstream.session_user), (Login::Control, &settings.upstream.control_user)] {
        let connected = pool.acquire(login, &std::collections::BTreeMap::new()).await;
        let version = |parameters: &std::collections::BTreeMap<String, String>| {
            parameters.get("server_version").map_or_else(String::new, |version| format!("PostgreSQL {version}"))
        };
        note(&format!("login {name}"), connected.map(|c| version(&c.parameters)).map_err(text));
    }
    let mut control = Control::connect(&wiring::upstream(&settings)?, &wiring::control_account(&settings)).await?;
    note("policy store", said(&mut control, POLICY_STORE).await);
    for (what, sql) in TRUE {
        note(what, holds(&mut control, sql).await);
    }
    if settings.policies.strict {
        note("every table that can ask for grants does", holds(&mut control, NOT_ASKING).await);
        note("strict mode does not reach, and the analysis alone keeps", said(&mut control, BEYOND_STRICT).await);
    }
    note("row security keeps rows from pgusher_viewer", row_security(&mut control).await.map_err(text));
    for function in ["current_user()", "session_user()", "is_member('admins')"] {
        note(&format!("pgusher.{function} fails without an identity"), fails_closed(&mut control, function).await);
    }
    if failed {
        Err(Failure::Check("upstream is not as it should be; \"pgusher init\" mends most of it".to_owned()))
    } else {
        Ok(())
    }
}

/// Whether HTTP is encrypted; binds nothing, for the proxy may be running.
fn http(settings: &Settings) -> Result<String, String> {
    match &settings.http {
        None => Ok("HTTP is off".to_owned()),
        Some(http) => match http_acceptor(http).map_err(text)? {
            Some(_) => Ok("on".to_owned()),
            None => Ok("off".to_owned()),
        },
    }
}

/// What works and is weaker than it could be.
fn weaknesses(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(Http { address, tls: None, .. }) = &settings.http
        && !is_loopback(address.ip())
    {
        found.push(format!(
            "http.address {address} is no loopback address, and there is no http.certificate: metrics are read by whoever gets there, tokens \
             are refused but on loopback"
        ));
    }
    if let Some(address) = settings.listen.addresses.iter().find(|address| !is_loopback(address.ip()))
        && settings.tls.is_none()
    {
        found.push(format!(
            "listen.addresses has {}, and there is no tls.certificate: nobody can log in over the network",
            address.ip()
        ));
    }
    if settings.upstream.tls == UpstreamEncryption::DangerousNoVerify {
        found.push("upstream.tls is dangerous-no-verify: who stands in between can be the upstream".to_owned());
    }
    let clients = settings.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    if let Some(ClientCertificates { role: CertificateRole::Credential | CertificateRole::Either, revoked: None, .. }) = clients {
        found.push(
            "tls.client_certificates makes certificates credentials, and there is no tls.client_crl: what its authority has revoked is taken \
             until it expires, or until REVOKE TOKEN"
                .to_owned(),
        );
    }
    if settings.identity.scram == SaslLogin::Always && settings.tls.is_none() {
        found.push(
            "identity.scram is \"always\", and there is no tls.certificate: passwords are not sent, and everything else is read along"
                .to_owned(),
        );
    }
    found
}

/// Where records go; what others may read is no good place.
fn audit(settings: &Audit) -> Result<String, String> {
    use std::os::unix::fs::MetadataExt;
    wiring::audit_key(settings).map_err(text)?;
    for path in [&settings.file, &settings.key_file].into_iter().flatten() {
        match std::fs::metadata(path) {
            Ok(found) if found.is_file() && found.mode() & 0o077 != 0 => {
                return Err(format!(
                    "{} may be read or written by others (mode {:o}): chmod 600",
                    path.display(),
                    found.mode() & 0o777
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    let file = settings.file.as_ref().map(|file| file.display().to_string());
    let sinks: Vec<String> = file
        .into_iter()
        .chain(settings.stdout.then(|| "standard output".to_owned()))
        .chain(settings.table.then(|| "pgusher.audit".to_owned()))
        .collect();
    if sinks.is_empty() {
        return Ok("no sink is configured, the log tells of statements and nothing checks it ([audit] file)".to_owned());
    }
    let keyed = if settings.key_file.is_some() {
        ""
    } else {
        "; no audit.key_file, so that who may write the file can make its chain anew"
    };
    Ok(format!("{}{keyed}", sinks.join(", ")))
}

/// The one value of a query.
async fn said(control: &mut Control, sql: &str) -> Result<String, String> {
    let answer = async {
        let mut owned = control.begin().await?;
        let rows = owned.fetch(sql).await?;
        owned.commit().await?;
        Ok::<Value, StoreError>(rows)
    };
    let rows = answer.await.map_err(text)?;
    Ok(rows.pointer("/0/said").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// A query that must say nothing: what it says is what is wrong.
async fn holds(control: &mut Control, sql: &str) -> Result<String, String> {
    match said(control, sql).await? {
        wrong if wrong.is_empty() => Ok(String::new()),
        wrong => Err(wrong),
    }
}

/// Policies hold for a role that does not own the table. Everything is rolled back.
async fn row_security(control: &mut Control) -> Result<String, StoreError> {
    let mut owned = control.begin().await?;
    for sql in [
        "CREATE TABLE pgusher.self_test AS SELECT n FROM pg_catalog.generate_series(1, 3) AS n",
        "ALTER TABLE pgusher.self_test ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY self_test ON pgusher.self_test TO pgusher_viewer USING (n = 2)",
        "GRANT SELECT ON pgusher.self_test TO pgusher_viewer",
        "SET LOCAL ROLE pgusher_viewer",
    ] {
        owned.execute(sql).await?;
    }
    let rows = owned.fetch("SELECT pg_catalog.count(*)::text AS said FROM pgusher.self_test").await?;
    match rows.pointer("/0/said").and_then(Value::as_str) {
        Some("1") => Ok(String::new()),
        _ => Err(StoreError::Malformed("a policy let through rows that it should not".to_owned())),
    }
}

/// A connection on which nobody is attached gets an error and no answer.
async fn fails_closed(control: &mut Control, function: &str) -> Result<String, String> {
    let mut owned = control.begin().await.map_err(text)?;
    match owned.fetch(&format!("SELECT pgusher.{function}::text AS said")).await {
        Ok(_) => Err("it answered".to_owned()),
        Err(OwnerError { code, .. }) if code == "28000" || code == "55000" => Ok(String::new()),
        Err(error) => Err(text(error)),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

const POLICY_STORE: &str = "SELECT pg_catalog.format('policy version %s, %s principals, %s grants', v.policy, \
    (SELECT pg_catalog.count(*) FROM pgusher.principal), (SELECT pg_catalog.count(*) FROM pgusher.grants)) AS said FROM pgusher.version AS v";

/// Tables that strict mode has no policies on, and should.
const NOT_ASKING: &str = "SELECT pg_catalog.string_agg(c.oid::pg_catalog.regclass::text, ', ' ORDER BY c.oid) AS said \
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles AS r ON r.oid = c.relowner \
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT LIKE 'pgusher%' \
    AND n.nspname <> 'information_schema' AND NOT r.rolsuper AND pg_catalog.pg_has_role('pgusher_owner', c.relowner, 'USAGE') \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') \
    AND NOT (c.relrowsecurity AND EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'pgusher_may_select'))";

/// What carries no row security, or none of ours.
const BEYOND_STRICT: &str = "SELECT coalesce(pg_catalog.string_agg(c.oid::pg_catalog.regclass::text, ', ' ORDER BY c.oid), 'nothing') AS said \
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles AS r ON r.oid = c.relowner \
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT LIKE 'pgusher%' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't' \
    AND (c.relkind IN ('m', 'f') OR c.relkind IN ('r', 'p') AND (r.rolsuper OR NOT pg_catalog.pg_has_role('pgusher_owner', c.relowner, 'USAGE')) \
      OR c.relkind = 'v' AND EXISTS (SELECT FROM pgusher.trusted AS t WHERE t.relation = c.oid)) \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')";

/// Queries that say what is wrong.
const TRUE: [(&str, &str); 4] = [
    (
        "pgusher_session and pgusher_viewer are plain roles",
        "SELECT pg_catalog.string_agg(r.rolname, ', ') AS said FROM pg_catalog.pg_roles AS r \
         WHERE r.rolname IN ('pgusher_session', 'pgusher_viewer') \
         AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication OR EXISTS ( \
           SELECT FROM pg_catalog.pg_auth_members AS m WHERE m.member = r.oid))",
    ),
    (
        "pgusher_control is a member of pgusher_owner only, without inheriting",
        "SELECT pg_catalog.string_agg(r.rolname, ', ') AS said FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'pgusher_control' \
         AND (r.rolsuper OR r.rolbypassrls OR r.rolinherit OR EXISTS ( \
           SELECT FROM pg_catalog.pg_auth_members AS m JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid \
           WHERE m.member = r.oid AND g.rolname <> 'pgusher_owner'))",
    ),
    (
        "the logins reach no table of the policy store",
        "SELECT pg_catalog.string_agg(c.relname, ', ') AS said FROM pg_catalog.pg_class AS c \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'pgusher' AND c.relkind IN ('r', 'S') AND ( \
           pg_catalog.has_table_privilege('pgusher_session', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') \
           OR pg_catalog.has_table_privilege('pgusher_viewer', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'))",
    ),
    (
        "standard_conforming_strings is on",
        "SELECT CASE pg_catalog.current_setting('standard_conforming_strings') WHEN 'on' THEN '' ELSE 'off' END AS said",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn weak(more: &str) -> Vec<String> {
        let text = format!("upstream.database = \"d\"\n{more}");
        weaknesses(&crate::config::read(&text, std::path::Path::new(""), std::iter::empty()).unwrap())
    }

    #[test]
    fn weak_settings_are_told() {
        assert_eq!(weak(""), Vec::<String>::new());
        assert!(weak("http.address = \"0.0.0.0:6480\"")[0].starts_with("http.address 0.0.0.0:6480"));
        let encrypted = "http = {address = \"0.0.0.0:6480\", certificate = \"c\", private_key = \"k\"}";
        assert_eq!(weak(encrypted), Vec::<String>::new());
        assert!(weak("listen.addresses = [\"*\"]")[0].starts_with("listen.addresses has 0.0.0.0"));
        assert!(weak("upstream.tls = \"dangerous-no-verify\"")[0].starts_with("upstream.tls"));
        let tls =
            |more: &str| format!("tls = {{certificate = \"c\", private_key = \"k\", required = true, client_ca = \"a\"{more}}}");
        assert_eq!(weak(&tls("")), Vec::<String>::new());
        for role in ["credential", "either"] {
            let certificates = |more: &str| weak(&tls(&format!(", client_certificates = \"{role}\"{more}")));
            assert!(certificates("")[0].starts_with("tls.client_certificates"));
            assert_eq!(certificates(", client_crl = \"l\""), Vec::<String>::new());
        }
        assert!(weak("identity.scram = \"always\"")[0].starts_with("identity.scram"));
    }
}
