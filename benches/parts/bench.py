"""A PostgreSQL cluster with the bench's tables, and what stands before it: PgBouncer twice, a bare relay, pgusher, others that were named."""

import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import BARRIER, DATABASE, FILTERED, MASKED, MODES, NATIVE, PASSWORD, PLAIN, SCALE, USER
from .machine import Running, account, dropped, free_port, program

POOL = 20  # upstream connections of what pools transactions

# The mask as SQL: `{}` asks whether the reader may see the value.
MASK = "CASE WHEN {} THEN abalance ELSE abalance / 100 * 100 END"


@dataclasses.dataclass
class Target:
    """Where statements go, and the process whose CPU is the proxy's own (none for a direct connection)."""

    name: str
    port: int
    password: str
    process: object = None
    table: str = PLAIN
    handwritten: bool = False  # the filter and the mask stand in the statement's text
    modes: tuple = MODES
    host: str = "127.0.0.1"

    @property
    def columns(self):
        return MASK.format("pg_has_role(current_user, 'bench_auditors', 'member')") + " AS abalance" if self.handwritten else "abalance"

    def where(self, alias=""):
        return f" AND {alias}bid > 0 AND pg_has_role(current_user, 'bench_readers', 'member')" if self.handwritten else ""


class Bench:
    def __init__(self, options):
        self.options = options
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgusher-bench-"))
        self.started = []
        self.most = getattr(options, "most", 350)  # sessions that stand upstream at a time, of each proxy
        self.clients = getattr(options, "idle", 0) + 2000
        self.others = []
        if account():
            os.chown(self.directory, account().pw_uid, account().pw_gid)

    def start(self, *arguments, **more):
        running = Running(*arguments, **more)
        self.started.append(running)
        return running

    def close(self):
        for running in reversed(self.started):
            running.stop()
        if self.options.keep:
            print(f"kept: {self.directory}", file=sys.stderr)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def sql(self, text, port=None, user="postgres", password="postgres", database=DATABASE):
        environment = os.environ | {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10", "PGSSLMODE": "disable"}
        command = [program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port or self.port), "-U", user, "-d", database, "-f", "-"]
        done = subprocess.run(command, input=text, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{text[:500]}\n{done.stderr}")
        return done.stdout

    def start_postgres(self):
        data, password = self.directory / "data", self.directory / "password"
        password.write_text("postgres\n")
        if account():
            os.chown(password, account().pw_uid, account().pw_gid)
        made = subprocess.run(
            dropped([program("initdb"), "-D", str(data), "-U", "postgres", "--pwfile", str(password), "-A", "md5", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]),
            capture_output=True, text=True, cwd=self.directory)
        if made.returncode:
            raise SystemExit(f"initdb: {made.stdout}{made.stderr}")
        self.port = getattr(self.options, "postgres_port", None) or free_port()
        self.make_certificate()
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.directory, "fsync": "off", "synchronous_commit": "off",
            "full_page_writes": "off", "autovacuum": "off", "jit": "off", "shared_buffers": "1GB", "max_connections": 3 * self.most + 150, "max_wal_size": "8GB",
            "wal_level": "minimal", "max_wal_senders": 0, "checkpoint_timeout": "1h", "ssl": "on", "ssl_cert_file": self.certificate, "ssl_key_file": self.private_key,
        }
        command = [program("postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.postgres = self.start("PostgreSQL", dropped(command), self.directory / "postgres.log", signal.SIGINT)
        self.postgres.wait_for(self.port)
        self.until_ready()

    def make_certificate(self):
        self.certificate, self.private_key = self.directory / "server.crt", self.directory / "server.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost",
             "-keyout", str(self.private_key), "-out", str(self.certificate)], check=True, capture_output=True)
        self.private_key.chmod(0o600)
        if account():
            for path in (self.certificate, self.private_key):
                os.chown(path, account().pw_uid, account().pw_gid)

    def until_ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            environment = os.environ | {"PGPASSWORD": "postgres"}
            ask = [program("psql"), "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-c", "SELECT 1"]
            if subprocess.run(ask, env=environment, capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        raise SystemExit("PostgreSQL takes no statements")

    def create_database(self):
        self.sql(f"CREATE DATABASE {DATABASE}", database="postgres")

    def fill(self):
        """pgbench's tables, and copies of its accounts for each kind of protection."""
        self.create_database()
        subprocess.run(
            [program("pgbench"), "-i", "-q", "-s", str(SCALE), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", DATABASE],
            env=os.environ | {"PGPASSWORD": "postgres"}, check=True, capture_output=True)
        member = "pg_has_role(current_user, 'bench_readers', 'member')"
        self.sql(f"""
            SET password_encryption = 'md5';
            CREATE ROLE "{USER}" LOGIN PASSWORD '{PASSWORD}';
            CREATE ROLE bench_owner NOLOGIN;
            CREATE ROLE bench_readers NOLOGIN ROLE "{USER}";
            CREATE ROLE bench_auditors NOLOGIN;
            UPDATE {PLAIN} SET abalance = aid % 9973;
            DO $$ DECLARE t text; BEGIN
                FOREACH t IN ARRAY '{{{FILTERED},{MASKED},{NATIVE}}}'::text[] LOOP
                    EXECUTE format('CREATE TABLE %I (LIKE {PLAIN} INCLUDING DEFAULTS)', t);
                    EXECUTE format('INSERT INTO %I SELECT * FROM {PLAIN} ORDER BY aid', t);
                    EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (aid)', t);
                END LOOP;
                CREATE TABLE incoming (LIKE {PLAIN});
                FOREACH t IN ARRAY '{{pgbench_accounts,pgbench_branches,pgbench_tellers,pgbench_history,incoming,{FILTERED},{MASKED},{NATIVE}}}'::text[] LOOP
                    EXECUTE format('ALTER TABLE %I OWNER TO bench_owner', t);
                    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO "{USER}"', t);
                END LOOP;
            END $$;
            ALTER TABLE {NATIVE} ENABLE ROW LEVEL SECURITY;
            CREATE POLICY readers ON {NATIVE} USING ((SELECT {member}) AND bid > 0);
            CREATE VIEW {BARRIER} WITH (security_barrier) AS
                SELECT aid, bid, {MASK.format("pg_has_role(current_user, 'bench_auditors', 'member')")} AS abalance, filler FROM {PLAIN} WHERE (SELECT {member}) AND bid > 0;
            GRANT SELECT ON {BARRIER} TO "{USER}";
            ALTER VIEW {BARRIER} OWNER TO bench_owner;
            VACUUM (FREEZE, ANALYZE);
            CHECKPOINT;""")

    def start_pgbouncers(self):
        self.session_pooler = self.start_pgbouncer("session", self.most)
        self.transaction_pooler = self.start_pgbouncer("transaction", POOL)

    def start_pgbouncer(self, mode, pool):
        port = free_port()
        digest = hashlib.md5(f"{PASSWORD}{USER}".encode()).hexdigest()
        users = self.directory / "userlist.txt"
        users.write_text(f'"{USER}" "md5{digest}"\n')
        config = self.directory / f"pgbouncer-{mode}.ini"
        config.write_text(
            f"[databases]\n{DATABASE} = host=127.0.0.1 port={self.port} dbname={DATABASE}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = md5\nauth_file = {users}\n"
            f"pool_mode = {mode}\ndefault_pool_size = {pool}\nmax_client_conn = {self.clients}\nlog_connections = 0\nlog_disconnections = 0\n"
            f"client_tls_sslmode = allow\nclient_tls_cert_file = {self.certificate}\nclient_tls_key_file = {self.private_key}\nserver_tls_sslmode = disable\n"
            "ignore_startup_parameters = extra_float_digits\n")
        for path in (users, config):
            path.chmod(0o644)
        running = self.start("PgBouncer", dropped([program("pgbouncer"), str(config)]), self.directory / f"pgbouncer-{mode}.log", signal.SIGINT)
        running.wait_for(port)
        running.port = port
        return running

    def start_relay(self):
        if not self.options.relay:
            self.relay = None
            return
        port = free_port()
        command = [str(pathlib.Path(self.options.relay).resolve()), f"127.0.0.1:{port}", f"127.0.0.1:{self.port}"]
        self.relay = self.start("relay", command, self.directory / "relay.log")
        self.relay.wait_for(port)
        self.relay.port = port

    def configuration(self, port, pool_mode=None, connections=None):
        """The text of a configuration of pgusher; without a mode its default."""
        return (
            f'[listen]\naddresses = ["127.0.0.1"]\nport = {port}\nconnections = {self.clients}\n'
            f'[tls]\ncertificate = "{self.certificate}"\nprivate_key = "{self.private_key}"\n'
            f'[upstream]\nhost = "127.0.0.1"\nport = {self.port}\ndatabase = "{DATABASE}"\nsession_connections = {connections or self.most}\nacquire_timeout_ms = 60000\n'
            + (f'pool_mode = "{pool_mode}"\n' if pool_mode else "")
            + '[http]\naddress = ""\n[log]\nlevel = "warn"\n')

    def start_pgusher(self):
        self.pgusher_port = free_port()
        config = self.directory / "pgusher.toml"
        config.write_text(self.configuration(self.pgusher_port))
        made = subprocess.run([self.binary(), "init", "--config", str(config), "--admin", "admin@example.com"], env=self.environment(), capture_output=True, text=True)
        if made.returncode:
            raise SystemExit(f"pgusher init: {made.stdout}{made.stderr}")
        self.admin_token = re.search(r"pgu_\S+", made.stdout).group(0)
        self.pgusher = self.serve("pgusher", config, self.pgusher_port)

    def start_pooled(self):
        """A second proxy over the same store, whose sessions share upstream connections."""
        port = free_port()
        config = self.directory / "pooled.toml"
        config.write_text(self.configuration(port, "transaction", POOL))
        self.pooled = self.serve("pooled", config, port)

    def serve(self, name, config, port):
        """Another pgusher over the same store."""
        command = [self.binary(), "serve", "--config", str(config)]
        running = self.start("pgusher", command, self.directory / f"{name}.log", env=self.environment())
        running.wait_for(port)
        running.port = port
        return running

    def binary(self):
        return str(pathlib.Path(self.options.pgusher).resolve())

    def environment(self):
        return os.environ | {
            "PGUSHER_UPSTREAM_SESSION_PASSWORD": "session", "PGUSHER_UPSTREAM_CONTROL_PASSWORD": "control", "PGUSER": "postgres", "PGPASSWORD": "postgres"}

    def govern(self, text, port=None):
        return self.sql(text, port or self.pgusher_port, "admin@example.com", self.admin_token)

    def token_for(self, principal):
        return re.search(r"pgu_[\w-]+", self.govern(f'CREATE TOKEN FOR "{principal}";')).group(0)

    def fill_policies(self):
        """Who reads and writes, and what they may."""
        tables = "".join(f"GRANT SELECT, MODIFY ON TABLE {table} TO readers;\n" for table in (PLAIN, FILTERED, MASKED, "incoming", "pgbench_branches", "pgbench_tellers", "pgbench_history"))
        mask = MASK.format("is_member('auditors')")
        filtered = "SET ROW FILTER (is_member('readers') AND bid > 0)"
        self.govern(
            f'CREATE USER "{USER}";\nCREATE GROUP readers;\nCREATE GROUP auditors;\nALTER GROUP readers ADD USER "{USER}";\n{tables}'
            f"ALTER TABLE {FILTERED} {filtered};\nALTER TABLE {MASKED} {filtered};\n"
            f"ALTER TABLE {MASKED} ALTER COLUMN abalance SET MASK ({mask});")
        self.token = self.token_for(USER)

    def add_others(self):
        """Poolers that were named as NAME=HOST:PORT, of this machine: their processes are found by the port they listen on."""
        for text in self.options.other or []:
            name, _, address = text.partition("=")
            host, _, port = address.rpartition(":")
            self.others.append(Target(name, int(port), PASSWORD, listener(port), host=host))

    def direct(self, **more):
        return Target("direct", self.port, PASSWORD, **more)

    def proxies(self):
        """Everything that reads the plain table."""
        found = [self.direct()]
        if self.relay:
            found.append(Target("relay", self.relay.port, PASSWORD, self.relay))
        found.append(Target("PgBouncer, session", self.session_pooler.port, PASSWORD, self.session_pooler))
        prepares = pgbouncer_version() >= (1, 21)
        found.append(Target("PgBouncer, transaction", self.transaction_pooler.port, PASSWORD, self.transaction_pooler, modes=MODES if prepares else MODES[:2]))
        found += self.others
        return found + [Target(f"pgusher, {mode}", process.port, self.token, process) for mode, process in self.modes()]

    def modes(self):
        return [("session", self.pgusher), ("transaction", self.pooled)]

    def governed(self):
        """pgusher's tables under policies."""
        tables = (("row filter", FILTERED), ("row filter and mask", MASKED))
        return [Target(f"pgusher, {mode}, {name}", process.port, self.token, process, table) for name, table in tables for mode, process in self.modes()]

    def by_hand(self):
        """The same protection without a proxy."""
        return [
            dataclasses.replace(self.direct(handwritten=True), name="direct, written by hand"),
            dataclasses.replace(self.direct(table=NATIVE), name="direct, row security"),
            dataclasses.replace(self.direct(table=BARRIER), name="direct, barrier view"),
        ]


class Found:
    """A process that somebody else started."""

    def __init__(self, pid):
        self.pid = pid

    cpu, cpu_split, resident = Running.cpu, Running.cpu_split, Running.resident


def listener(port):
    """The process that listens on a port of this machine."""
    shown = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True).stdout
    found = re.search(r"pid=(\d+)", shown)
    return Found(int(found.group(1))) if found else None


def pgbouncer_version():
    shown = subprocess.run([program("pgbouncer"), "--version"], capture_output=True, text=True).stdout
    return tuple(map(int, re.search(r"(\d+)\.(\d+)", shown).groups()))
