//! Tokens looked up, on a connection that many logins share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::channel::{Control, owner_error};
use super::{StoreError, StoreSettings};
use crate::authn::{Credential, Directory, DirectoryError, Lookup, TokenHash, Vouched};
use crate::policy::{Oid, PrincipalId};

/// The shared connection and what waits to be written.
pub(super) struct Tokens {
    settings: Arc<StoreSettings>,
    line: tokio::sync::Mutex<Option<Arc<Line>>>,
    used: Mutex<HashMap<Arc<str>, SystemTime>>,
}

struct Line {
    control: Control,
    lookup: Statement,
    vouch: Statement,
}

impl Tokens {
    pub(super) fn new(settings: Arc<StoreSettings>) -> Self {
        Self { settings, line: tokio::sync::Mutex::new(None), used: Mutex::new(HashMap::new()) }
    }

    async fn line(&self) -> Result<Arc<Line>, StoreError> {
        let mut held = self.line.lock().await;
        if let Some(line) = held.as_ref().filter(|l| !l.control.lost()) {
            return Ok(line.clone());
        }
        let control = Control::connect(&self.settings.upstream, &self.settings.control).await?;
        let lookup = control.client().prepare(LOOKUP).await.map_err(|e| owner_error(&e))?;
        let vouch = control.client().prepare(VOUCH).await.map_err(|e| owner_error(&e))?;
        let line = Arc::new(Line { control, lookup, vouch });
        *held = Some(line.clone());
        Ok(line)
    }

    /// The next lookup takes another line.
    async fn give_up(&self, silent: &Arc<Line>) {
        let mut held = self.line.lock().await;
        if held.as_ref().is_some_and(|line| Arc::ptr_eq(line, silent)) {
            *held = None;
        }
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Credential>, StoreError> {
        let line = self.line().await?;
        let row = match timeout(LOOKUP_TIME, line.control.client().query_one(&line.lookup, &[&&hash[..]])).await {
            Ok(row) => row.map_err(|e| owner_error(&e))?,
            Err(_) => {
                self.give_up(&line).await;
                return Err(StoreError::Lost("a token was looked up for too long".to_owned()));
            }
        };
        Ok(self.credential(&row))
    }

    /// An issuer's JWT. A principal is made on a connection of its own: it may have to wait for whoever changes policies, and nobody's
    /// login waits with it.
    async fn vouched(&self, hash: &TokenHash, vouched: &Vouched) -> Result<Option<Credential>, StoreError> {
        let Vouched { issuer, name, groups, actors, expires, create } = vouched;
        let (issuer, name) = (&**issuer, &**name);
        let line = self.line().await?;
        let given = &hash[..];
        let terms: [&(dyn ToSql + Sync); 7] = [&given, &issuer, &name, expires, groups, actors, &false];
        let row = match timeout(LOOKUP_TIME, line.control.client().query_opt(&line.vouch, &terms)).await {
            Ok(row) => row.map_err(|e| owner_error(&e))?,
            Err(_) => {
                self.give_up(&line).await;
                return Err(StoreError::Lost("a JWT was looked up for too long".to_owned()));
            }
        };
        if row.is_some() || !create {
            return Ok(row.and_then(|row| self.credential(&row)));
        }
        let control = Control::connect(&self.settings.upstream, &self.settings.control).await?;
        let terms: [&(dyn ToSql + Sync); 7] = [&given, &issuer, &name, expires, groups, actors, &true];
        let made = control.client().query_opt(VOUCH, &terms).await;
        Ok(made.map_err(|e| owner_error(&e))?.and_then(|row| self.credential(&row)))
    }

    fn credential(&self, row: &Row) -> Option<Credential> {
        let token: Arc<str> = row.get::<_, Option<String>>(0)?.into();
        let texts = |column| row.get::<_, Vec<String>>(column).into_iter().map(Arc::from).collect();
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), SystemTime::now());
        Some(Credential {
            token,
            principal: PrincipalId(row.get(1)),
            name: row.get::<_, String>(2).into(),
            enabled: row.get(3),
            admin: row.get(4),
            expires: row.get(5),
            revoked: row.get(6),
            scopes: texts(7),
            claimed: row.get::<_, Vec<i64>>(8).into_iter().map(PrincipalId).collect(),
            actors: texts(9),
            created: row.get(10),
        })
    }

    /// Writes when tokens were last used, many at once.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return Ok(());
        }
        let (ids, times): (Vec<String>, Vec<SystemTime>) = used.into_iter().map(|(id, at)| (id.to_string(), at)).unzip();
        let line = self.line().await?;
        line.control.client().execute(USED, &[&ids, &times]).await.map_err(|e| owner_error(&e))?;
        Ok(())
    }

    /// Which of these objects the committed catalog still has: what only an open transaction has dropped.
    pub(super) async fn still_there(&self, objects: &[Oid]) -> Result<Vec<Oid>, StoreError> {
        let line = self.line().await?;
        let rows = line.control.client().query(STILL_THERE, &[&objects]).await.map_err(|e| owner_error(&e))?;
        Ok(rows.into_iter().map(|row| row.get(0)).collect())
    }
}

impl Directory for super::Store {
    fn credential<'a>(&'a self, hash: TokenHash) -> Lookup<'a> {
        Box::pin(async move {
            let tokens = self.tokens();
            let found = match tokens.find(&hash).await {
                // The line may have died since the last login; a fresh one is tried once.
                Err(error) if super::channel::lost(&error) => tokens.find(&hash).await,
                found => found,
            };
            found.map_err(|e| DirectoryError(e.to_string()))
        })
    }

    fn vouched<'a>(&'a self, hash: TokenHash, vouched: &'a Vouched) -> Lookup<'a> {
        Box::pin(async move {
            let tokens = self.tokens();
            let found = match tokens.vouched(&hash, vouched).await {
                Err(error) if super::channel::lost(&error) => tokens.vouched(&hash, vouched).await,
                found => found,
            };
            let found = found.map_err(|e| DirectoryError(e.to_string()))?;
            // Whoever was made for this login stands in no footing yet.
            let unknown =
                |of: &Credential| self.published().is_ok_and(|footing| footing.policies.principal(of.principal).is_none());
            if found.as_ref().is_some_and(unknown) {
                self.reload().await.map_err(|e| DirectoryError(e.to_string()))?;
            }
            Ok(found)
        })
    }
}

/// How long a lookup may take before its connection is given up.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// One row, and the same work, whether or not the token exists. A JWT that was kept is none: it is not believed without its signature.
const LOOKUP: &str = "SELECT t.id, t.principal, p.name, coalesce(p.enabled, false), 'admins' = ANY (g.groups), t.expires_at, t.revoked_at, \
   coalesce(t.scopes, '{}'), '{}'::pg_catalog.int8[], '{}'::pg_catalog.text[], false \
 FROM (SELECT $1::pg_catalog.bytea AS hash) AS given LEFT JOIN pgusher.token AS t ON t.hash = given.hash AND t.issuer IS NULL \
 LEFT JOIN pgusher.principal AS p ON p.id = t.principal \
 CROSS JOIN LATERAL (SELECT pgusher.groups_of(coalesce(p.id, 0)) AS groups) AS g";

const VOUCH: &str = "SELECT v.token, v.principal, v.name, v.enabled, v.admin, v.expires, v.revoked, v.scopes, v.claimed, v.actors, v.created \
 FROM pgusher.vouch($1, $2, $3, $4, $5, $6, $7) AS v";

const USED: &str = "UPDATE pgusher.token AS t SET last_used_at = u.at \
 FROM (SELECT * FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.timestamptz[])) AS u(id, at)) AS u \
 WHERE t.id = u.id AND (t.last_used_at IS NULL OR t.last_used_at < u.at)";

const STILL_THERE: &str = "SELECT o.oid FROM (SELECT c.oid FROM pg_catalog.pg_class AS c UNION ALL SELECT p.oid FROM pg_catalog.pg_proc AS p \
   UNION ALL SELECT n.oid FROM pg_catalog.pg_namespace AS n UNION ALL SELECT t.oid FROM pg_catalog.pg_type AS t) AS o WHERE o.oid = ANY ($1::pg_catalog.oid[])";
