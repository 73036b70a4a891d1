//! libpq (psql's, and psycopg's newer one) with the credentials that no Rust driver here shows: SCRAM bound to the channel, certificates.

use std::process::{Command, Stdio};

use super::program::python;
use super::psql::{Psql, Said};
use crate::harness::{Mechanism, Pki, Proxy, ProxySettings, Shop, program};

const ANA: &str = "ana@example.com";

struct Place {
    shop: Shop,
    pki: Pki,
    proxy: Proxy,
}

impl Place {
    fn new(more: &str) -> Place {
        let (shop, pki) = (Shop::fresh(Mechanism::Rls), Pki::new());
        let toml = pki.settings(&format!("{}{more}", pki.client_ca()));
        let proxy = Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism).with(&toml));
        Place { shop, pki, proxy }
    }

    /// A password of Ana's.
    fn password(&self) -> String {
        self.shop.ana().rows(&format!("ALTER USER \"{ANA}\" PASSWORD GENERATE"))[0][1].clone()
    }

    /// What libpq is told by its variables.
    fn variables(&self, password: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let root = self.pki.path("server.crt").display().to_string();
        let port = self.proxy.port.to_string();
        let common = [
            ("PGHOST", "localhost"),
            ("PGHOSTADDR", "127.0.0.1"),
            ("PGPORT", &port),
            ("PGDATABASE", &self.shop.database),
            ("PGUSER", ANA),
            ("PGPASSWORD", password),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", &root),
        ];
        common.into_iter().chain(more.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn psql(&self, password: &str, more: &[(&str, &str)], sql: &str) -> Said {
        Psql::at(self.proxy.port, &self.shop.database, ANA, password)
            .among(&self.variables(password, more))
            .with(&["-c", sql])
            .run()
    }

    /// By the libpq 18 that psycopg brings: what it answers, or how it fails.
    fn psycopg(&self, password: &str, more: &[(&str, &str)]) -> String {
        let text = "import psycopg\nwith psycopg.connect('') as c: print(c.execute('SELECT current_user::text').fetchone()[0])";
        let output = Command::new("timeout")
            .args(["60", &python(), "-B", "-c", text])
            .envs(self.variables(password, more))
            .output()
            .expect("`timeout` of coreutils starts");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

const WHO: &str = "SELECT current_user";
const SCRAM: (&str, &str) = ("PGOPTIONS", "-c pgusher.auth=scram-sha-256");
const BOUND: (&str, &str) = ("PGCHANNELBINDING", "require");

#[test]
fn libpq_logs_in_by_scram_bound_to_the_channel() {
    let place = Place::new("required = true\nclient_certificates = \"either\"\n");
    let password = place.password();
    for more in [&[SCRAM][..], &[SCRAM, BOUND], &[SCRAM, ("PGCHANNELBINDING", "disable")]] {
        assert_eq!(place.psql(&password, more, WHO).out.trim(), ANA, "{more:?}");
        assert_eq!(place.psycopg(&password, more).trim(), ANA, "{more:?}");
    }
    // With psycopg's libpq one can demand it; a token in the clear is then not even sent.
    assert_eq!(place.psycopg(&password, &[SCRAM, BOUND, ("PGREQUIREAUTH", "scram-sha-256")]).trim(), ANA);
    assert!(place.psycopg(&password, &[BOUND]).contains("channel binding"));
    let wrong = format!("password authentication failed for user \"{ANA}\"");
    assert!(place.psql("wrong", &[SCRAM, BOUND], WHO).err.contains(&wrong));
    assert!(place.psycopg("wrong", &[SCRAM, BOUND]).contains(&wrong));
}

#[test]
fn libpq_logs_in_by_a_certificate() {
    let place = Place::new("required = true\nclient_certificates = \"credential\"\n");
    let (certificate, key) = place.pki.files(&place.pki.client(ANA, |_| {}));
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let shown = [("PGSSLCERT", certificate.as_str()), ("PGSSLKEY", key.as_str())];
    assert_eq!(place.psql("", &shown, WHO).out.trim(), ANA);
    assert_eq!(place.psycopg("", &shown).trim(), ANA);
    let (certificate, key) = place.pki.files(&place.pki.client("bob@example.com", |_| {}));
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let bobs = place.psql("", &[("PGSSLCERT", &certificate), ("PGSSLKEY", &key)], WHO);
    assert!(bobs.err.contains(&format!("certificate authentication failed for user \"{ANA}\"")), "{}", bobs.err);
}

/// `\password` asks at a terminal, or, where there is none, at its input.
#[test]
fn the_password_command_of_psql_sets_a_password_that_nobody_else_has_seen() {
    let place = Place::new("client_certificates = \"either\"\n");
    let mut command = Command::new("setsid");
    command.args(["--wait", "timeout", "60", &program("psql"), "-X", "-w"]).envs(place.variables(place.shop.token(ANA), &[]));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("psql starts");
    let mut input = child.stdin.take().expect("a pipe to psql");
    std::io::Write::write_all(&mut input, b"\\password\ncorrect horse\ncorrect horse\n").expect("psql reads");
    drop(input);
    let output = child.wait_with_output().expect("psql ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.psql("correct horse", &[SCRAM, BOUND], WHO).out.trim(), ANA, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!place.proxy.log().contains("correct horse"));
}
