"""Programs, the processes that we start, and what the kernel says of them."""

import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import sys
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")


def program(name):
    """A PostgreSQL program: Debian's version 15, else the newest, else from the search path."""
    places = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: ("/15/" not in f"{p}/", -int(re.sub(r"\D", "", p.parent.name) or 0)))
    for place in [*places, *map(pathlib.Path, os.environ.get("PATH", "").split(":")), pathlib.Path("/usr/sbin")]:
        if (place / name).is_file():
            return str(place / name)
    sys.exit(f"{name} is not installed: run `make setup-bench`")


def account():
    """Root gives way to an account that PostgreSQL and PgBouncer agree to run as."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    sys.exit("root needs an account `postgres` or `nobody` to run PostgreSQL as")


def dropped(command):
    """The command as that account, ended when we die."""
    who = account()
    if who is None:
        return command
    return ["setpriv", "--pdeathsig", "INT", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--", *command]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Running:
    """A process that we started, with what it logs."""

    def __init__(self, name, command, log, ending=signal.SIGTERM, **more):
        self.name, self.log, self.ending = name, log, ending
        with open(log, "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **more)
        self.pid = self.process.pid

    def wait_for(self, port, limit=60):
        deadline = time.monotonic() + limit
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = pathlib.Path(self.log).read_text(errors="replace")[-3000:]
                raise SystemExit(f"{self.name} does not come up:\n{tail}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.ending)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cpu(self):
        """Seconds of user and system time of the process, all its threads."""
        return sum(self.cpu_split())

    def cpu_split(self):
        """The same as a pair."""
        fields = stat_fields(self.pid)
        return int(fields[11]) / TICK, int(fields[12]) / TICK

    def family_cpu(self):
        """The same with its children, living and gone. Where one goes while they are counted, they are counted again."""
        for _ in range(10):
            before = stat_fields(self.pid)
            ticks = sum(int(f) for f in before[11:15])
            for child in pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                try:
                    mine = stat_fields(child)
                    ticks += int(mine[11]) + int(mine[12])
                except (FileNotFoundError, ProcessLookupError):
                    pass
            if stat_fields(self.pid)[13:15] == before[13:15]:
                break
        return ticks / TICK

    def resident(self):
        """MiB of resident memory now."""
        return memory(self.pid, "VmRSS")

    def peak(self):
        """MiB of resident memory at the most, since it began or `forget_peak`."""
        return memory(self.pid, "VmHWM")

    def ports_to(self, port):
        """Its own ends of connections to that port over IPv4."""
        mine = set()
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            try:
                mine.add(os.readlink(entry.path))
            except FileNotFoundError:
                pass
        rows = (line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])
        return [int(row[1].split(":")[1], 16) for row in rows if int(row[2].split(":")[1], 16) == port and f"socket:[{row[9]}]" in mine]

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")


def stat_fields(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def memory(pid, what):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text).group(1)) / 1024


class Watch(threading.Thread):
    """The highest resident memory of a process while it is watched."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.over = process, threading.Event()
        self.start_mib = self.highest = process.resident()
        self.start()

    def run(self):
        while not self.over.wait(0.02):
            self.highest = max(self.highest, self.process.resident())

    def growth(self):
        self.over.set()
        self.join()
        return self.highest - self.start_mib


def settle(process):
    """Until a process spends no more CPU: everything that could be buffered has been."""
    still, last = 0, process.cpu()
    deadline = time.monotonic() + 10
    while still < 10 and time.monotonic() < deadline:
        time.sleep(0.05)
        now = process.cpu()
        still, last = (still + 1 if now == last else 0), now


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return (done.stdout or done.stderr).splitlines()[0].strip()
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"


def description(options):
    """What was measured on what."""
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    total = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 1048576
    here = pathlib.Path(__file__).resolve().parents[2]
    return {
        "machine": f"{os.cpu_count()} CPUs ({cpu.group(1) if cpu else 'unknown'}), {total:.0f} GiB, {system.group(1) if system else 'unknown'}, Linux {os.uname().release}",
        "postgres": first_line([program("postgres"), "--version"]),
        "pgbouncer": first_line([program("pgbouncer"), "--version"]),
        "rustc": first_line(["rustc", "--version"]),
        "commit": options.commit or first_line(["git", "-C", str(here), "describe", "--always", "--dirty"]),
        "build": pathlib.Path(options.pgusher).resolve().parent.name,
    }
