//! Tokens looked up, on a connection that many logins share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use tokio_postgres::Statement;

use super::channel::{Control, owner_error};
use super::{StoreError, StoreSettings};
use crate::authn::{Credential, Directory, DirectoryError, Lookup, TokenHash};
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
        let line = Arc::new(Line { control, lookup });
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
        let Some(token) = row.get::<_, Option<String>>(0) else { return Ok(None) };
        let token: Arc<str> = token.into();
        let scopes: Vec<String> = row.get(7);
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), SystemTime::now());
        Ok(Some(Credential {
            token,
            principal: PrincipalId(row.get(1)),
            name: row.get::<_, String>(2).into(),
            enabled: row.get(3),
            admin: row.get(4),
            expires: row.get(5),
            revoked: row.get(6),
            scopes: scopes.into_iter().map(Arc::from).collect(),
        }))
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
}

/// How long a lookup may take before its connection is given up.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// One row, and the same work, whether or not the token exists.
const LOOKUP: &str = "SELECT t.id, t.principal, p.name, coalesce(p.enabled, false), 'admins' = ANY (g.groups), t.expires_at, t.revoked_at, \
   coalesce(t.scopes, '{}') \
 FROM (SELECT $1::pg_catalog.bytea AS hash) AS given LEFT JOIN pgusher.token AS t ON t.hash = given.hash \
 LEFT JOIN pgusher.principal AS p ON p.id = t.principal \
 CROSS JOIN LATERAL (SELECT pgusher.groups_of(coalesce(p.id, 0)) AS groups) AS g";

const USED: &str = "UPDATE pgusher.token AS t SET last_used_at = u.at \
 FROM (SELECT * FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.timestamptz[])) AS u(id, at)) AS u \
 WHERE t.id = u.id AND (t.last_used_at IS NULL OR t.last_used_at < u.at)";

const STILL_THERE: &str = "SELECT o.oid FROM (SELECT c.oid FROM pg_catalog.pg_class AS c UNION ALL SELECT p.oid FROM pg_catalog.pg_proc AS p \
   UNION ALL SELECT n.oid FROM pg_catalog.pg_namespace AS n UNION ALL SELECT t.oid FROM pg_catalog.pg_type AS t) AS o WHERE o.oid = ANY ($1::pg_catalog.oid[])";
