//! A PostgreSQL cluster of our own, one for the whole test binary, with a database per test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::keeper::{Kept, tail};
use super::{Client, free_port, until};

/// A cluster: superuser `postgres` (password `postgres`) over TCP with SCRAM and over the Unix socket without a password.
pub struct Upstream {
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
    /// Where its socket and data are.
    pub directory: PathBuf,
    _server: Kept,
}

impl Upstream {
    /// The cluster of this test binary.
    pub fn shared() -> &'static Upstream {
        static SHARED: OnceLock<Upstream> = OnceLock::new();
        SHARED.get_or_init(Upstream::start)
    }

    /// A cluster of one test's own, for what would be in the way of others: roles and their memberships are the cluster's.
    pub fn alone() -> &'static Upstream {
        Box::leak(Box::new(Upstream::start()))
    }

    fn start() -> Upstream {
        let directory = scratch("upstream");
        let data = directory.join("data");
        let password = directory.join("password");
        std::fs::write(&password, "postgres\n").expect("the scratch directory can be written");
        let (data_text, password_text) = (data.to_string_lossy(), password.to_string_lossy());
        let mut command = vec![program("initdb")];
        // A chosen server that is not there must not become another one.
        if let Some(chosen) = std::env::var_os("PGUSHER_TEST_PG_BIN") {
            assert!(Path::new(&command[0]).starts_with(&chosen), "no initdb in {}", chosen.display());
        }
        command.extend(["-D", &data_text, "-U", "postgres", "--pwfile", &password_text].map(String::from));
        command
            .extend(["-E", "UTF8", "--locale=C.UTF-8", "-A", "scram-sha-256", "--no-sync", "--no-instructions"].map(String::from));
        let command = as_server_user(command);
        let made = Command::new(&command[0]).args(&command[1..]).current_dir(&directory).output().expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(data.join("pg_hba.conf"), "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            .expect("pg_hba.conf can be written");
        let (port, server) = Self::serve(&directory, &data);
        Upstream { port, directory, _server: server }
    }

    fn serve(directory: &Path, data: &Path) -> (u16, Kept) {
        let log = directory.join("postgres.log");
        for _ in 0..5 {
            let port = free_port();
            let mut command = vec![program("postgres"), "-D".into(), data.to_string_lossy().into(), "-p".into(), port.to_string()];
            let sockets = format!("unix_socket_directories={}", directory.display());
            for setting in [
                sockets.as_str(),
                "listen_addresses=127.0.0.1",
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "autovacuum=off",
                "jit=off",
                "max_connections=400",
                "shared_buffers=64MB",
                "wal_level=minimal",
                "max_wal_senders=0",
                "max_wal_size=1GB",
                "timezone=UTC",
                "log_min_messages=warning",
            ] {
                command.extend(["-c".into(), setting.into()]);
            }
            let command = as_server_user(command);
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let mut server = Kept::start(&words, "INT", Some(directory), &log);
            let up = until("PostgreSQL to accept connections", || {
                if !server.running() {
                    return Some(false);
                }
                Client::try_connect(port, "postgres", "postgres", "postgres").ok().map(|_| true)
            });
            if up {
                return (port, server);
            }
        }
        panic!("PostgreSQL does not start:\n{}", tail(&log));
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        static MAJOR: OnceLock<u32> = OnceLock::new();
        *MAJOR.get_or_init(|| {
            let number = self.superuser("postgres").one("SELECT current_setting('server_version_num')");
            number.parse::<u32>().expect("a number") / 10_000
        })
    }

    /// A superuser's connection to a database.
    pub fn superuser(&self, database: &str) -> Client {
        Client::try_connect(self.port, database, "postgres", "postgres")
            .unwrap_or_else(|refusal| panic!("superuser of {database}: {refusal}"))
    }

    /// Makes a database as a copy of another one, with the rights on the database itself, which a copy does not take along.
    pub fn copy_database(&self, template: &str, name: &str) {
        let superuser = self.superuser("postgres");
        superuser.run(&format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\""));
        let grants = superuser.column(&format!(
            "SELECT format('GRANT %s ON DATABASE %I TO %s', string_agg(a.privilege_type, ', '), '{name}', a.grantee::regrole) \
             FROM pg_database AS d, aclexplode(d.datacl) AS a WHERE d.datname = '{template}' AND a.grantee <> 0 GROUP BY a.grantee"
        ));
        superuser.run(&grants.join("; "));
    }
}

/// A database that is dropped with this object, whoever is still connected: hundreds of them would fill a small disk.
#[derive(Debug)]
pub struct Passing(pub String);

impl Drop for Passing {
    fn drop(&mut self) {
        let upstream = Upstream::shared();
        if let Ok(root) = Client::try_connect(upstream.port, "postgres", "postgres", "postgres") {
            let _ = root.try_rows(&format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.0));
        }
    }
}

/// A directory of our own under the system's temporary one, which the server's user may enter and write.
pub fn scratch(purpose: &str) -> PathBuf {
    let directory = tempfile::Builder::new().prefix(&format!("pgusher-{purpose}-")).tempdir().expect("a scratch directory").keep();
    if let Some((uid, gid, _)) = server_user() {
        std::os::unix::fs::chown(&directory, Some(uid), Some(gid)).expect("root may change owners");
    }
    directory
}

/// The command that runs a server program as an unprivileged user: PostgreSQL refuses to run as root.
pub fn as_server_user(command: Vec<String>) -> Vec<String> {
    let Some((uid, gid, _)) = server_user() else { return command };
    let mut dropped =
        vec!["setpriv".into(), format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into(), "--".into()];
    dropped.extend(command);
    dropped
}

/// Root gives way to `postgres`, or to `nobody` where there is none; anybody else stays who they are.
fn server_user() -> Option<(u32, u32, String)> {
    let root = std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0).unwrap_or(false);
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    root.then(|| {
        ["postgres", "nobody"]
            .iter()
            .find_map(|wanted| {
                let fields: Vec<&str> = accounts.lines().map(|l| l.split(':').collect()).find(|f: &Vec<&str>| f[0] == *wanted)?;
                Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?, (*wanted).to_string()))
            })
            .expect("root needs an account `postgres` or `nobody` to run PostgreSQL as")
    })
}

/// The path of a PostgreSQL program: from the directory `PGUSHER_TEST_PG_BIN` (which may hold the server's programs alone),
/// Debian's versioned directories (15 first, then the newest), Homebrew's, or PATH.
pub fn program(name: &str) -> String {
    let mut places: Vec<PathBuf> = std::env::var_os("PGUSHER_TEST_PG_BIN").map(PathBuf::from).into_iter().collect();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let mut versions: Vec<PathBuf> =
            std::fs::read_dir(parent).into_iter().flatten().flatten().map(|e| e.path().join("bin")).collect();
        versions.sort_by_key(|p| (p.to_string_lossy().contains("/15/"), p.to_string_lossy().into_owned()));
        places.extend(versions.into_iter().rev());
    }
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let found = places.into_iter().map(|p| p.join(name)).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: run `make setup`")).to_string_lossy().into_owned()
}

/// A backend that stands still, until this is dropped.
pub struct Halted(String);

impl Halted {
    /// Halts the backend of this process id.
    pub fn new(process: String) -> Halted {
        let halted = Halted(process);
        halted.signal("-STOP");
        halted
    }

    fn signal(&self, signal: &str) {
        // The shell's own: a small system has no program of that name.
        let kill = format!("kill {signal} {}", self.0);
        assert!(std::process::Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}
