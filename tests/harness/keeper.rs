//! A child process that never outlives the tests.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// The keeper: a shell that starts the program, ends it with the given signal as soon as the pipe on its standard input
/// closes (we drop it, or die in whatever way), waits for it and removes its scratch directory.
const KEEPER: &str = r#"
signal=$1 scratch=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; kill -s "$signal" $child 2>/dev/null; } & reader=$!
wait $child; code=$?
while kill -0 $child 2>/dev/null; do wait $child; done
kill $reader 2>/dev/null
[ -z "$scratch" ] || rm -rf "$scratch"
exit $code
"#;

/// A running program, ended when this object is dropped or the test process is gone.
pub struct Kept {
    keeper: Child,
    leash: Option<ChildStdin>,
}

impl Kept {
    /// Starts a program; `signal` ends it, `scratch` is removed afterwards, output goes to the file `log`.
    pub fn start(command: &[&str], signal: &str, scratch: Option<&Path>, log: &Path) -> Kept {
        let out = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("the log can be written");
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper", signal])
            .arg(scratch.map_or("".as_ref(), Path::as_os_str))
            .args(command)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().expect("a second handle of the log"))
            .stderr(out)
            .spawn()
            .expect("/bin/sh starts");
        let leash = keeper.stdin.take();
        Kept { keeper, leash }
    }

    /// Whether the program is still there.
    pub fn running(&mut self) -> bool {
        matches!(self.keeper.try_wait(), Ok(None))
    }

    /// Kills the program at once, as nothing it could do would prevent, and waits until it has gone.
    pub fn kill(&mut self) {
        let killed = Command::new("kill").args(["-s", "KILL", &self.program()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "the program can be killed");
        let _ = self.keeper.wait();
    }

    /// The process id of pgusher, if that is the program.
    pub fn program(&self) -> String {
        let keeper = self.keeper.id();
        let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap_or_default();
        let called = |child: &str| std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        let found = children.split_whitespace().find(|child| called(child).trim() == "pgusher");
        found.expect("pgusher runs").to_owned()
    }

    /// Ends the program and waits until it has gone.
    pub fn stop(&mut self) {
        self.leash = None;
        let _ = self.keeper.wait();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The end of a log, for the text of a failure.
pub fn tail(log: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = std::fs::File::open(log) {
        let _ = file.read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
