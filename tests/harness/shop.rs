//! The demo's shop (small), its policies and its people, behind a running pgusher.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use super::{Client, Passing, Proxy, ProxySettings, RawClient, Refusal, Upstream};

const SHOP: &str = include_str!("../../config/demo/shop.sql");
const POLICIES: &str = include_str!("../../config/demo/policies.sql");

/// The administrator.
pub const ADMIN: &str = "admin@example.com";
/// Who gets a token.
const PEOPLE: [&str; 5] = ["ana@example.com", "bob@example.com", "hana@example.com", "ivan@example.com", "bi_tool"];

/// How row filters are enforced upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    Rls,
    View,
    /// `rls`, in strict mode.
    Strict,
}

impl Mechanism {
    /// As the configuration spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mechanism::Rls => "rls",
            Mechanism::View => "view",
            Mechanism::Strict => "rls",
        }
    }

    /// The rest of `[policies]`.
    pub fn more(self) -> &'static str {
        match self {
            Mechanism::Rls | Mechanism::View => "",
            Mechanism::Strict => "strict = true",
        }
    }

    fn database(self) -> &'static str {
        match self {
            Mechanism::Rls => "shop_rls",
            Mechanism::View => "shop_view",
            Mechanism::Strict => "shop_strict",
        }
    }
}

/// Makes of each function two tests, one per mechanism. `fn name(shop: shared)` gets a shop that others read too and must
/// leave it as it is; `fn name(shop: fresh)` gets one of its own.
macro_rules! both_mechanisms {
    ($($(#[$meta:meta])* fn $name:ident($shop:ident: $kind:ident) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            fn proven($shop: &$crate::harness::Shop) $body
            #[test]
            fn rls() { proven(&$crate::harness::Shop::$kind($crate::harness::Mechanism::Rls)); }
            #[test]
            fn view() { proven(&$crate::harness::Shop::$kind($crate::harness::Mechanism::View)); }
        }
    )* };
}
pub(crate) use both_mechanisms;

/// The same with a third test in strict mode.
macro_rules! every_mechanism {
    ($($(#[$meta:meta])* fn $name:ident($shop:ident: $kind:ident) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            fn proven($shop: &$crate::harness::Shop) $body
            #[test]
            fn rls() { proven(&$crate::harness::Shop::$kind($crate::harness::Mechanism::Rls)); }
            #[test]
            fn view() { proven(&$crate::harness::Shop::$kind($crate::harness::Mechanism::View)); }
            #[test]
            fn strict() { proven(&$crate::harness::Shop::$kind($crate::harness::Mechanism::Strict)); }
        }
    )* };
}
pub(crate) use every_mechanism;

/// A database with the shop in it and a proxy before it.
pub struct Shop {
    pub upstream: &'static Upstream,
    pub mechanism: Mechanism,
    /// The database's name.
    pub database: String,
    pub proxy: Proxy,
    tokens: HashMap<String, String>,
    // The last field: the proxy has ended before the database goes.
    _passing: Passing,
}

struct Template {
    database: String,
    tokens: HashMap<String, String>,
}

impl Shop {
    /// A shop that tests only read.
    pub fn shared(mechanism: Mechanism) -> &'static Shop {
        static RLS: OnceLock<Shop> = OnceLock::new();
        static VIEW: OnceLock<Shop> = OnceLock::new();
        static STRICT: OnceLock<Shop> = OnceLock::new();
        match mechanism {
            Mechanism::Rls => &RLS,
            Mechanism::View => &VIEW,
            Mechanism::Strict => &STRICT,
        }
        .get_or_init(|| Shop::fresh(mechanism))
    }

    /// A shop of one's own.
    pub fn fresh(mechanism: Mechanism) -> Shop {
        Shop::configured(mechanism, "")
    }

    /// The same with more lines of configuration.
    pub fn configured(mechanism: Mechanism, toml: &str) -> Shop {
        Shop::set_up(mechanism, |settings| settings.with(toml))
    }

    /// A shop of one's own that speaks HTTP, with more lines about that.
    pub fn with_http(toml: &str) -> Shop {
        Shop::set_up(Mechanism::Rls, |settings| settings.with_http(toml))
    }

    /// A shop of one's own with a proxy set up like that.
    pub fn set_up(mechanism: Mechanism, set: impl FnOnce(ProxySettings) -> ProxySettings) -> Shop {
        Shop::on(Upstream::shared(), Template::of(mechanism), mechanism, set)
    }

    /// The same on a cluster of its own, for what would be in the way of others: settings of the server are the cluster's.
    pub fn alone(mechanism: Mechanism, set: impl FnOnce(ProxySettings) -> ProxySettings) -> Shop {
        let upstream = Upstream::alone();
        Shop::on(upstream, &Template::make(upstream, mechanism), mechanism, set)
    }

    fn on(
        upstream: &'static Upstream,
        template: &Template,
        mechanism: Mechanism,
        set: impl FnOnce(ProxySettings) -> ProxySettings,
    ) -> Shop {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let database = format!("{}_{}", template.database, NUMBER.fetch_add(1, Ordering::Relaxed));
        upstream.copy_database(&template.database, &database);
        let settings = set(ProxySettings::new(&database, mechanism));
        let proxy = Proxy::start(upstream, settings);
        let _passing = Passing(database.clone());
        Shop { upstream, mechanism, database, proxy, tokens: template.tokens.clone(), _passing }
    }

    /// A principal's token.
    pub fn token(&self, user: &str) -> &str {
        &self.tokens[user]
    }

    /// A session of a principal.
    pub fn connect(&self, user: &str) -> Client {
        self.try_connect(user, self.token(user)).unwrap_or_else(|refusal| panic!("{user}: {refusal}"))
    }

    /// A session with any user name and password.
    pub fn try_connect(&self, user: &str, password: &str) -> Result<Client, Refusal> {
        Client::try_connect(self.proxy.port, &self.database, user, password)
    }

    /// The administrator's session.
    pub fn admin(&self) -> Client {
        self.connect(ADMIN)
    }

    /// The EMEA analyst's session.
    pub fn ana(&self) -> Client {
        self.connect("ana@example.com")
    }

    /// The AMER analyst's session.
    pub fn bob(&self) -> Client {
        self.connect("bob@example.com")
    }

    /// HR's session.
    pub fn hana(&self) -> Client {
        self.connect("hana@example.com")
    }

    /// The intern's session.
    pub fn ivan(&self) -> Client {
        self.connect("ivan@example.com")
    }

    /// The truth: a superuser's connection straight to the upstream.
    pub fn truth(&self) -> Client {
        self.upstream.superuser(&self.database)
    }

    /// A raw connection of a principal, logged in.
    pub fn raw(&self, user: &str) -> RawClient {
        let mut raw = RawClient::connect(self.proxy.port);
        raw.login(&self.database, user, self.token(user), &[]);
        raw
    }

    /// Makes a token for a principal with the given clauses of CREATE TOKEN; its text.
    pub fn make_token(&self, user: &str, clauses: &str) -> String {
        token_of(&self.admin(), user, clauses)
    }
}

impl Template {
    fn of(mechanism: Mechanism) -> &'static Template {
        static RLS: OnceLock<Option<Template>> = OnceLock::new();
        static VIEW: OnceLock<Option<Template>> = OnceLock::new();
        static STRICT: OnceLock<Option<Template>> = OnceLock::new();
        // Roles belong to the whole cluster, so the two templates are made one after the other.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let cell = match mechanism {
            Mechanism::Rls => &RLS,
            Mechanism::View => &VIEW,
            Mechanism::Strict => &STRICT,
        };
        cell.get_or_init(|| {
            let _turn = ONE_AT_A_TIME.lock();
            // Tried once: the first test tells why it failed, the others only that it did.
            std::panic::catch_unwind(|| Template::make(Upstream::shared(), mechanism)).ok()
        })
        .as_ref()
        .expect("the shop could be set up")
    }

    fn make(upstream: &'static Upstream, mechanism: Mechanism) -> Template {
        let database = mechanism.database().to_owned();
        upstream.superuser("postgres").run(&format!("CREATE DATABASE {database}"));
        let superuser = upstream.superuser(&database);
        superuser.run(&format!("SET shop.orders = 3000; {SHOP}"));
        // A mark in every row, so that a hidden one is known by it wherever it comes out.
        superuser.run("UPDATE orders SET note = region || '-note-' || id; ANALYZE");
        drop(superuser);
        let settings = ProxySettings::new(&database, mechanism);
        let admin_token = settings.init(upstream, ADMIN);
        let proxy = Proxy::start(upstream, settings);
        let admin = Client::try_connect(proxy.port, &database, ADMIN, &admin_token)
            .unwrap_or_else(|refusal| panic!("the first administrator: {refusal}"));
        for statement in statements(POLICIES) {
            admin.run(&statement);
        }
        let mut tokens: HashMap<String, String> =
            PEOPLE.iter().map(|who| ((*who).to_string(), token_of(&admin, who, ""))).collect();
        tokens.insert(ADMIN.into(), admin_token);
        Template { database, tokens }
    }
}

/// The statements of a script in which each ends with a semicolon at the end of a line.
pub fn statements(script: &str) -> Vec<String> {
    let lines: Vec<&str> = script.lines().filter(|l| !l.trim_start().starts_with("--")).collect();
    lines.join("\n").split_inclusive(";\n").map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect()
}

fn token_of(admin: &Client, user: &str, clauses: &str) -> String {
    let statement = format!("CREATE TOKEN FOR \"{user}\" {clauses}");
    let rows = admin.rows(&statement);
    rows[0].iter().find(|v| v.starts_with("pgu_")).unwrap_or_else(|| panic!("no token in {rows:?}")).clone()
}
