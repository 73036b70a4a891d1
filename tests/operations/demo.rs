//! `pgusher demo`: from nothing to a shop that keeps its promises, and back to nothing.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{Client, free_port, until, within};

/// Making a cluster and loading 120,000 orders takes its time on a busy machine.
const OPENING: std::time::Duration = std::time::Duration::from_secs(180);

struct Demo {
    process: Child,
    folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Demo {
        // Below /tmp and open to be entered: as root, the server runs as somebody else.
        let folder = tempfile::Builder::new().prefix("pgusher-demo-test-").tempdir().expect("a scratch directory");
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("our own folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgusher"));
        command.args(["demo", "--dir"]).arg(folder.path()).args(["--port", &free_port().to_string()]);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pgusher starts");
        Demo { process, folder }
    }

    fn variables(&mut self) -> HashMap<String, String> {
        let file = self.folder.path().join("demo.env");
        within(OPENING, "demo.env", || {
            if let Some(status) = self.process.try_wait().expect("our own child") {
                let mut said = String::new();
                let _ = self.process.stderr.take().expect("piped").read_to_string(&mut said);
                panic!("the demo ended with {status}: {said}");
            }
            std::fs::metadata(&file).ok().filter(|m| m.len() > 0).map(|m| {
                assert_eq!(std::os::unix::fs::PermissionsExt::mode(&m.permissions()) & 0o777, 0o600);
            })
        });
        let text = std::fs::read_to_string(&file).expect("our own file");
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_string(), value.trim_matches('\'').to_string()));
        text.lines().filter_map(pair).collect()
    }

    fn interrupt(&mut self) -> std::process::ExitStatus {
        // The shell's own: a small system has no program of that name.
        let sent =
            Command::new("/bin/sh").args(["-c", &format!("kill -s INT {}", self.process.id())]).status().expect("/bin/sh runs");
        assert!(sent.success());
        until("the demo to end", || self.process.try_wait().expect("our own child"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its server's keeper notices.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The processes whose command lines name the folder.
fn processes(folder: &Path) -> Vec<String> {
    let marker = folder.to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|e| std::fs::read_to_string(e.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(&marker)).collect()
}

#[test]
fn the_demo_opens_a_shop_and_leaves_nothing_behind() {
    let mut demo = Demo::start();
    let variables = demo.variables();
    let port = |name: &str| variables[name].parse::<u16>().expect("a port");
    let connect = |prefix: &str| {
        let (user, token) = (&variables[&format!("{prefix}_USER")], &variables[&format!("{prefix}_TOKEN")]);
        Client::try_connect(port("PGUSHER_PORT"), &variables["PGUSHER_DATABASE"], user, token)
            .unwrap_or_else(|refusal| panic!("{user}: {refusal}"))
    };
    assert_eq!(variables["PGUSHER_HOST"], "127.0.0.1");
    let secret =
        std::fs::read_to_string(demo.folder.path().join("postgres").join("superuser.password")).expect("the superuser's password");
    let truth = Client::try_connect(port("PGUSHER_UPSTREAM_PORT"), &variables["PGUSHER_DATABASE"], "postgres", secret.trim())
        .expect("the upstream");
    let orders = "SELECT count(*) FROM orders";
    assert!(truth.one(orders).parse::<u32>().expect("a number") >= 100_000);
    assert_eq!(connect("PGUSHER_ADMIN").one(orders), truth.one(orders));
    for (prefix, region) in [("ANA", "EMEA"), ("BOB", "AMER")] {
        let analyst = connect(prefix);
        assert_eq!(analyst.one(orders), truth.one(&format!("{orders} WHERE region = '{region}'")));
        assert_eq!(analyst.one("SELECT max(salary) FROM employees"), "0");
    }
    assert_eq!(connect("HANA").one("SELECT max(salary) FROM employees"), truth.one("SELECT max(salary) FROM employees"));
    assert_eq!(connect("BI_TOOL").one(orders), truth.one(orders));
    let ivan = connect("IVAN");
    ivan.refused("SELECT name, email, ssn, salary FROM employees", "42501");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port("PGUSHER_HTTP_PORT"))).is_ok());
    let status = demo.interrupt();
    assert!(status.success(), "{status}");
    assert_eq!(processes(demo.folder.path()), Vec::<String>::new());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port("PGUSHER_UPSTREAM_PORT"))).is_err());
}

#[test]
fn a_demo_that_is_killed_takes_its_server_along() {
    let mut demo = Demo::start();
    let port: u16 = demo.variables()["PGUSHER_UPSTREAM_PORT"].parse().expect("a port");
    demo.process.kill().expect("our own child");
    demo.process.wait().expect("our own child");
    until("the server to go", || std::net::TcpStream::connect(("127.0.0.1", port)).is_err().then_some(()));
    until("its processes to go", || processes(demo.folder.path()).is_empty().then_some(()));
}
