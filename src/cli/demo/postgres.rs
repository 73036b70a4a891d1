//! A PostgreSQL of the demo's own: in a scratch directory, on a free port of the loopback, gone when the demo is gone.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use super::DemoError;
use super::folder::{Folder, write_secret};

/// Where PostgreSQL's programs are, and whom to run the server as.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// Root's stand-in, because PostgreSQL refuses to run as root: (user id, group id).
    stand_in: Option<(u32, u32)>,
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Server {
    programs: Programs,
    /// Its port on 127.0.0.1.
    pub(super) port: u16,
    keeper: Child,
    /// The keeper reads this pipe: when it closes, because we drop it or die in whatever way, it stops the server.
    leash: Option<ChildStdin>,
}

impl Programs {
    /// Finds them, newest version first.
    pub(super) fn find() -> Result<Self, DemoError> {
        let all = ["initdb", "postgres", "psql"];
        let folder = places().into_iter().find(|folder| all.iter().all(|name| folder.join(name).is_file()));
        let folder = folder.ok_or(DemoError::NoPostgres)?;
        Ok(Self { folder, stand_in: stand_in()? })
    }

    /// A program that may run as anybody.
    pub(super) fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join(name))
    }

    /// The words that run a program as the server's user.
    fn words(&self, name: &str) -> Vec<String> {
        let program = self.folder.join(name).to_string_lossy().into_owned();
        match self.stand_in {
            None => vec![program],
            Some((user, group)) => {
                let drop =
                    ["setpriv".to_owned(), format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()];
                drop.into_iter().chain([program]).collect()
            }
        }
    }

    /// Makes a folder that the server's user owns.
    fn folder_for_server(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)?;
        match self.stand_in {
            None => Ok(()),
            Some((user, group)) => std::os::unix::fs::chown(path, Some(user), Some(group)),
        }
    }
}

impl Server {
    /// Makes a cluster in `folder` whose superuser `postgres` has this password, and starts it.
    pub(super) fn start(programs: Programs, scratch: &Folder, password: &str) -> Result<Self, DemoError> {
        let folder = &scratch.join("postgres");
        let trouble = |doing: &'static str| move |error: io::Error| DemoError::Files { doing, error };
        programs.folder_for_server(folder).map_err(trouble("make the server's folder"))?;
        let data = folder.join("data");
        let secret = folder.join("superuser.password");
        write_secret(&secret, password)?;
        if let Some((user, group)) = programs.stand_in {
            std::os::unix::fs::chown(&secret, Some(user), Some(group)).map_err(trouble("hand the server its password"))?;
        }
        let mut words = programs.words("initdb");
        words.extend(["-D".into(), data.to_string_lossy().into(), "-U".into(), "postgres".into()]);
        words.extend(["--pwfile".into(), secret.to_string_lossy().into()]);
        words.extend(["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"].map(String::from));
        run(Command::new(&words[0]).args(&words[1..]).current_dir(folder), "initdb")?;
        let port = free_port().map_err(trouble("find a free port"))?;
        let (keeper, leash) = serve(&programs, scratch, folder, port)?;
        let mut server = Self { programs, port, keeper, leash };
        server.wait_until_ready(password, &folder.join("postgres.log"))?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, password: &str, log: &Path) -> Result<(), DemoError> {
        let deadline = Instant::now() + STARTING;
        loop {
            let asked =
                self.psql(password, "postgres").args(["-Atc", "SELECT 1"]).stderr(Stdio::null()).stdout(Stdio::null()).status();
            match asked {
                Ok(status) if status.success() => return Ok(()),
                Ok(_) if self.running() && Instant::now() < deadline => std::thread::sleep(PAUSE),
                Ok(_) => return Err(DemoError::NotStarted { log: log.to_owned() }),
                Err(error) => return Err(DemoError::Files { doing: "run psql", error }),
            }
        }
    }

    /// psql as the superuser, straight to this server.
    pub(super) fn psql(&self, password: &str, database: &str) -> Command {
        self.psql_at(self.port, "postgres", password, database)
    }

    /// psql to a port of the loopback, reading no one's settings.
    pub(super) fn psql_at(&self, port: u16, user: &str, password: &str, database: &str) -> Command {
        let mut command = self.programs.command("psql");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("PGPASSWORD", password).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p"]);
        command.arg(port.to_string()).args(["-U", user, "-d", database]).stdin(Stdio::null());
        command
    }

    /// Whether it still runs.
    pub(super) fn running(&mut self) -> bool {
        matches!(self.keeper.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.leash = None;
        // The keeper ends when the server has ended, which fast shutdown makes soon.
        let _ = self.keeper.wait();
    }
}

/// Runs a program to its end; its output is the error's text when it fails.
pub(super) fn run(command: &mut Command, what: &'static str) -> Result<String, DemoError> {
    let output = command.output().map_err(|error| DemoError::Files { doing: what, error })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stderr, output.stdout].map(|text| String::from_utf8_lossy(&text).trim().to_owned()).join("\n");
    Err(DemoError::Step { what, said: said.trim().to_owned() })
}

fn serve(programs: &Programs, scratch: &Folder, folder: &Path, port: u16) -> Result<(Child, Option<ChildStdin>), DemoError> {
    let trouble = |error: io::Error| DemoError::Files { doing: "start PostgreSQL", error };
    let log = File::create(folder.join("postgres.log")).map_err(trouble)?;
    let mut words = programs.words("postgres");
    words.extend(["-D".into(), folder.join("data").to_string_lossy().into(), "-p".into(), port.to_string()]);
    let sockets = format!("unix_socket_directories={}", folder.display());
    for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=300", "log_min_messages=warning", sockets.as_str()]
    {
        words.extend(["-c".into(), setting.to_owned()]);
    }
    let mut keeper = Command::new("/bin/sh");
    keeper.args(["-c", KEEPER, "keeper"]).arg(scratch.to_be_removed()).args(words).current_dir("/").stdin(Stdio::piped());
    keeper.stdout(log.try_clone().map_err(trouble)?).stderr(log);
    // A group of its own: Ctrl-C is for us, and we stop the server after our sessions.
    let mut keeper = std::os::unix::process::CommandExt::process_group(&mut keeper, 0).spawn().map_err(trouble)?;
    let leash = keeper.stdin.take();
    Ok((keeper, leash))
}

/// A port of the loopback that nobody listened on a moment ago.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Folders that may hold PostgreSQL's programs: Debian's by version, newest first; Homebrew's; PATH.
fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let mut versions: Vec<PathBuf> =
            std::fs::read_dir(parent).into_iter().flatten().flatten().map(|e| e.path().join("bin")).collect();
        let number = |path: &PathBuf| -> u32 {
            let name = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
        };
        versions.sort_by_key(number);
        places.extend(versions.into_iter().rev());
    }
    places.push(PathBuf::from("/usr/local/pgsql/bin"));
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    places
}

/// Root gives way to `postgres`, or to `nobody`; anybody else stays who they are.
fn stand_in() -> Result<Option<(u32, u32)>, DemoError> {
    let own = std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    if !matches!(own, Ok(0)) {
        return Ok(None);
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = |wanted: &&str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ["postgres", "nobody"].iter().find_map(account).map(Some).ok_or(DemoError::OnlyRoot)
}

/// Starts the server, stops it (fast) when standard input ends, removes the scratch folder if it is told to, and ends.
const KEEPER: &str = r#"
scratch=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; kill -s INT $child 2>/dev/null; } & reader=$!
wait $child; code=$?
while kill -0 $child 2>/dev/null; do wait $child; done
kill $reader 2>/dev/null
[ -z "$scratch" ] || rm -rf "$scratch"
exit $code
"#;

const STARTING: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
