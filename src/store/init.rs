//! `pgusher init`: makes upstream ready, again and again without harm.
//!
//! In: an administrator's connection to the database, and the two logins the proxy will use. Out: roles, schema and functions; the
//! application's schemas adopted; upstream in line with whatever policies there are; on request an administrator and its token.

use std::time::Duration;

use serde::Deserialize;
use tracing::info;

use super::StoreError;
use super::channel::{Control, Owned, owner_error};
use super::load::malformed;
use super::migrations::{Script, script};
use super::reconcile::{self, Settings};
use crate::authn::Token;
use crate::name::quote_literal;
use crate::upstream::{Account, OwnerChannel, Upstream};

/// What init needs to know.
#[derive(Clone, Debug)]
pub struct Init {
    /// The database to be governed.
    pub upstream: Upstream,
    /// Who may make roles there; a superuser, or a role with CREATEROLE that owns what is to be governed.
    pub administrator: Account,
    /// The login of sessions: always `pgusher_session`; its password is set when there is one.
    pub session: Account,
    /// The login of administrators' sessions and of the control connection: always `pgusher_control`.
    pub control: Account,
    /// How policies are enforced.
    pub settings: Settings,
    /// Take from the shared login what every login may do by default; only a superuser can.
    pub harden: bool,
    /// The name of a first administrator, to be made if it does not exist, and to be given a token.
    pub admin: Option<String>,
}

/// What init did.
#[derive(Debug)]
pub struct Done {
    /// The new token of the administrator that was asked for; shown once.
    pub token: Option<Token>,
}

impl Init {
    /// The complete SQL, for a DBA to run. Passwords are in it as SCRAM verifiers only.
    pub fn print(&self) -> String {
        script(&Script {
            session_verifier: self.session.verifier(),
            control_verifier: self.control.verifier(),
            harden: self.harden,
        })
    }

    /// Does it.
    pub async fn run(&self) -> Result<Done, StoreError> {
        let mut administrator = Control::connect_administrator(&self.upstream, &self.administrator).await?;
        self.examine(&mut administrator).await?;
        self.run_script(&administrator).await?;
        info!("roles, schema and functions are in place");
        drop(administrator);
        self.finish().await
    }

    /// What comes after the script, over the control login: upstream in line, and the first administrator. A DBA who ran the printed
    /// script leaves this to the proxy's start.
    pub async fn finish(&self) -> Result<Done, StoreError> {
        let mut control = Control::connect(&self.upstream, &self.control).await?;
        let mut owned = control.begin().await?;
        reconcile::run(&mut owned, &self.settings, &[], None, None).await?;
        let token = match &self.admin {
            Some(name) => Some(first_administrator(&mut owned, name).await?),
            None => None,
        };
        reconcile::changed(&mut owned).await?;
        owned.commit().await?;
        Ok(Done { token })
    }

    /// Roles belong to the whole cluster: an init of another database at the same time may get in the way.
    async fn run_script(&self, administrator: &Control) -> Result<(), StoreError> {
        let script = self.print();
        let mut left = ATTEMPTS;
        loop {
            let Err(error) = administrator.client().batch_execute(&script).await else { return Ok(()) };
            let error = owner_error(&error);
            left -= 1;
            if left == 0 || !IN_THE_WAY.contains(&error.code.as_str()) {
                return Err(StoreError::Init(error));
            }
            administrator.client().batch_execute("ROLLBACK").await.map_err(|e| StoreError::Init(owner_error(&e)))?;
            tokio::time::sleep(PAUSE * (ATTEMPTS - left)).await;
        }
    }

    async fn examine(&self, administrator: &mut Control) -> Result<(), StoreError> {
        let mut owned = administrator.begin().await?;
        let found: Vec<Preflight> = serde_json::from_value(owned.fetch(PREFLIGHT).await?).map_err(malformed)?;
        owned.commit().await?;
        let Some(found) = found.into_iter().next() else { return Err(StoreError::NotInitialized) };
        match found.wrong() {
            Some(wrong) => Err(StoreError::Preflight(wrong)),
            None => Ok(()),
        }
    }
}

async fn first_administrator(channel: &mut Owned<'_>, name: &str) -> Result<Token, StoreError> {
    let quoted = quote_literal(name);
    channel
        .execute(&format!("INSERT INTO pgusher.principal (name, kind) VALUES ({quoted}, 'user') ON CONFLICT (name) DO NOTHING"))
        .await?;
    let kind = channel.fetch(&format!("SELECT p.kind FROM pgusher.principal AS p WHERE p.name = {quoted}")).await?;
    if kind.pointer("/0/kind").and_then(serde_json::Value::as_str) == Some("group") {
        return Err(StoreError::Preflight(format!("principal \"{name}\" is a group and cannot have a token")));
    }
    channel
        .execute(&format!(
            "INSERT INTO pgusher.membership (group_id, member_id) SELECT g.id, p.id FROM pgusher.principal AS g, pgusher.principal AS p \
             WHERE g.name = 'admins' AND g.kind = 'group' AND p.name = {quoted} ON CONFLICT DO NOTHING"
        ))
        .await?;
    let token = Token::mint();
    channel
        .execute(&format!(
            "INSERT INTO pgusher.token (id, hash, principal, comment, expires_at) \
             SELECT '{}', pg_catalog.decode('{}', 'hex'), p.id, 'made by init', pg_catalog.now() + interval '{FIRST_TOKEN_DAYS} days' \
             FROM pgusher.principal AS p WHERE p.name = {quoted}",
            hex::encode(rand::random::<[u8; 8]>()),
            hex::encode(token.hash()),
        ))
        .await?;
    Ok(token)
}

#[derive(Deserialize)]
struct Preflight {
    version: i32,
    version_text: String,
    recovery: bool,
    encoding: String,
    user: String,
    superuser: bool,
    create_role: bool,
    create_here: bool,
    roles: i64,
    database: String,
}

impl Preflight {
    fn wrong(&self) -> Option<String> {
        if self.version < OLDEST {
            return Some(format!("upstream is PostgreSQL {}; 14 or newer is needed", self.version_text));
        }
        if self.recovery {
            return Some("upstream is a standby; identities need a primary".to_owned());
        }
        if self.encoding != "UTF8" {
            return Some(format!("database \"{}\" has encoding {}; UTF8 is needed", self.database, self.encoding));
        }
        if !self.superuser && !self.create_role && self.roles < OUR_ROLES {
            return Some(format!(
                "role \"{}\" may not create roles; it needs CREATEROLE, or run \"pgusher init --print\" for a DBA",
                self.user
            ));
        }
        if !self.superuser && !self.create_here {
            return Some(format!(
                "role \"{}\" may not grant CREATE on database \"{}\"; it must own the database",
                self.user, self.database
            ));
        }
        None
    }
}

const PREFLIGHT: &str = "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version, \
  pg_catalog.current_setting('server_version') AS version_text, pg_catalog.pg_is_in_recovery() AS recovery, \
  pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, r.rolname AS user, r.rolsuper AS superuser, r.rolcreaterole AS create_role, \
  pg_catalog.has_database_privilege(d.datname, 'CREATE WITH GRANT OPTION') AS create_here, \
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles AS o WHERE o.rolname IN \
    ('pgusher_owner', 'pgusher_viewer', 'pgusher_ddl', 'pgusher_session', 'pgusher_control')) AS roles, \
  d.datname AS database \
  FROM pg_catalog.pg_roles AS r, pg_catalog.pg_database AS d WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()";

/// Unique violation, duplicate object, tuple concurrently updated, deadlock, serialization.
const IN_THE_WAY: [&str; 5] = ["23505", "42710", "XX000", "40P01", "40001"];
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(50);
const OLDEST: i32 = 140_000;
const OUR_ROLES: i64 = 5;
const FIRST_TOKEN_DAYS: u32 = 90;
