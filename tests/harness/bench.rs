//! A governed database without a proxy: for attacks on the upstream half alone, and for the store itself.

use std::sync::atomic::{AtomicU32, Ordering};

use pgusher::policy::{Mechanism, Oid, PrincipalId};
use pgusher::store::StoreError;
use pgusher::store::channel::Control;
use pgusher::store::init::Init;
use pgusher::store::reconcile::{self, Settings};
use pgusher::upstream::owner::SigningKey;
use pgusher::upstream::tls::UpstreamTls;
use pgusher::upstream::{Account, Host, OwnerChannel, Upstream as Target};

use super::{Client, PATIENCE, Passing, Upstream, connect_upstream};

/// A governed database without a proxy.
pub struct Bench {
    /// The database.
    pub database: String,
    /// Where it is.
    pub target: Target,
    /// How policies are enforced.
    pub settings: Settings,
    upstream: &'static Upstream,
    _passing: Option<Passing>,
}

/// Runs a future to its end.
pub fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A login without a password.
pub fn account(user: &str) -> Account {
    Account { user: user.to_owned(), password: None }
}

impl Bench {
    /// `app` owns what `tables` makes; then init, then `policies` as rows of the store.
    pub fn new(row_filters: Mechanism, tables: &str, policies: &str) -> Bench {
        Self::with(Settings { row_filters, strict: false }, tables, policies)
    }

    /// The same with any settings.
    pub fn with(settings: Settings, tables: &str, policies: &str) -> Bench {
        Self::on(Upstream::shared(), settings, tables, policies)
    }

    /// The same in a certain cluster.
    pub fn on(upstream: &'static Upstream, settings: Settings, tables: &str, policies: &str) -> Bench {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("locks_{}", COUNT.fetch_add(1, Ordering::SeqCst));
        let root = upstream.superuser("postgres");
        root.run("SELECT pg_advisory_lock(1)");
        for role in ["app", "other"] {
            root.run(&format!("DO $$BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN END$$"));
        }
        root.run(&format!("CREATE DATABASE {database} OWNER app"));
        connect_upstream(upstream, &database, "app").run(tables);
        let passing = std::ptr::eq(upstream, Upstream::shared()).then(|| Passing(database.clone()));
        let bench = Bench { settings, _passing: passing, ..Bench::within(upstream, &database, Mechanism::Rls) };
        block(bench.init("postgres").run()).unwrap();
        root.run("SELECT pg_advisory_unlock(1)");
        bench.govern(policies);
        bench
    }

    /// A database that is there already.
    pub fn existing(database: &str, row_filters: Mechanism) -> Bench {
        Self::within(Upstream::shared(), database, row_filters)
    }

    fn within(upstream: &'static Upstream, database: &str, row_filters: Mechanism) -> Bench {
        let target = Target {
            host: Host::Unix(upstream.directory.clone()),
            port: upstream.port,
            database: database.to_owned(),
            tls: UpstreamTls::Disabled,
            connect_timeout: PATIENCE,
        };
        let settings = Settings { row_filters, strict: false };
        Bench { database: database.to_owned(), target, settings, upstream, _passing: None }
    }

    /// Init as a role of upstream.
    pub fn init(&self, administrator: &str) -> Init {
        Init {
            upstream: self.target.clone(),
            administrator: account(administrator),
            session: account("pgusher_session"),
            control: account("pgusher_control"),
            settings: self.settings.clone(),
            harden: true,
            admin: None,
        }
    }

    /// Runs statements on the store as the proxy does, and brings upstream in line.
    pub fn govern(&self, sql: &str) {
        self.try_govern(sql, &[]).unwrap();
    }

    /// The same, for commands about certain relations; rolled back when it fails.
    pub fn try_govern(&self, sql: &str, focus: &[Oid]) -> Result<(), StoreError> {
        block(async {
            let mut control = Control::connect(&self.target, &account("pgusher_control")).await?;
            let mut owned = control.begin().await?;
            owned.execute(sql).await?;
            reconcile::run(&mut owned, &self.settings, focus, None, None).await?;
            reconcile::changed(&mut owned).await?;
            owned.commit().await
        })
    }

    /// A superuser's connection.
    pub fn superuser(&self) -> Client {
        connect_upstream(self.upstream, &self.database, "postgres")
    }

    /// Any role's connection.
    pub fn role(&self, role: &str) -> Client {
        connect_upstream(self.upstream, &self.database, role)
    }

    /// The session login, attached for a principal.
    pub fn session(&self, principal: &str) -> Client {
        let session = self.role("pgusher_session");
        self.attach(&session, principal);
        session
    }

    /// Attaches a connection for a principal.
    pub fn attach(&self, session: &Client, principal: &str) {
        let root = self.superuser();
        let secret = root.query("SELECT secret FROM pgusher.key", &[])[0].get::<_, Vec<u8>>(0);
        let found = root.rows(&format!(
            "SELECT p.id, t.id FROM pgusher.principal p JOIN pgusher.token t ON t.principal = p.id WHERE p.name = '{principal}'"
        ));
        let pid: i32 = session.one("SELECT pg_backend_pid()").parse().unwrap();
        let (payload, signature) = SigningKey::new(&secret).attach(
            0,
            pid,
            None,
            PrincipalId(found[0][0].parse().unwrap()),
            &found[0][1],
            &Default::default(),
            &[],
        );
        session.query("SELECT pgusher.attach($1, $2)", &[&payload, &signature]);
    }
}
