//! Tokens looked up, on a connection that many logins share.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::channel::{Control, owner_error};
use super::recent::Recent;
use super::{StoreError, StoreSettings};
use crate::authn::scram::{Known, Verifier};
use crate::authn::{Credential, Directory, DirectoryError, Found, Knowing, Lookup, TokenHash, Vouched};
use crate::policy::{Oid, PrincipalId};

/// The shared connection and what waits to be written.
pub(super) struct Tokens {
    settings: Arc<StoreSettings>,
    line: tokio::sync::Mutex<Option<Arc<Line>>>,
    /// Where JWTs are kept.
    writer: tokio::sync::Mutex<Option<Control>>,
    used: Mutex<HashMap<Arc<str>, SystemTime>>,
    recent: Recent,
}

struct Line {
    control: Control,
    lookup: Statement,
    vouched: Statement,
    acts: Statement,
    known: Statement,
    password: Statement,
}

impl Tokens {
    pub(super) fn new(settings: Arc<StoreSettings>) -> Self {
        Self {
            settings,
            line: tokio::sync::Mutex::new(None),
            writer: tokio::sync::Mutex::new(None),
            used: Mutex::new(HashMap::new()),
            recent: Recent::default(),
        }
    }

    async fn line(&self) -> Result<Arc<Line>, StoreError> {
        let mut held = self.line.lock().await;
        if let Some(line) = held.as_ref().filter(|l| !l.control.lost()) {
            return Ok(line.clone());
        }
        let control = Control::connect(&self.settings.upstream, &self.settings.control).await?;
        let lookup = control.client().prepare(&LOOKUP).await.map_err(|e| owner_error(&e))?;
        let vouched = control.client().prepare(VOUCHED).await.map_err(|e| owner_error(&e))?;
        let acts = control.client().prepare(ACTS).await.map_err(|e| owner_error(&e))?;
        let known = control.client().prepare(KNOWN).await.map_err(|e| owner_error(&e))?;
        let password = control.client().prepare(&PASSWORD).await.map_err(|e| owner_error(&e))?;
        let line = Arc::new(Line { control, lookup, vouched, acts, known, password });
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

    /// The row of a look-up, if there is one. A line that does not answer is given up.
    async fn row(
        &self,
        statement: fn(&Line) -> &Statement,
        terms: &[&(dyn ToSql + Sync)],
        what: &str,
    ) -> Result<Option<Row>, StoreError> {
        let line = self.line().await?;
        match timeout(LOOKUP_TIME, line.control.client().query_opt(statement(&line), terms)).await {
            Ok(row) => Ok(row.map_err(|e| owner_error(&e))?),
            Err(_) => {
                self.give_up(&line).await;
                Err(StoreError::Lost(format!("{what} was looked up for too long")))
            }
        }
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Credential>, StoreError> {
        let row = self.row(|line| &line.lookup, &[&&hash[..]], "a token").await?;
        Ok(row.and_then(|row| self.credential(&row)))
    }

    /// An issuer's JWT. One that was seen before is only looked up; what has to be written is written on a connection of its own, one
    /// after the other: it may have to wait for somebody, and no other login waits with it.
    async fn vouched(&self, vouched: &Vouched) -> Result<Option<Credential>, StoreError> {
        let (known, found) = self.seen(vouched).await?;
        if found.is_some() || !(known || vouched.create) {
            return Ok(found);
        }
        let created = match timeout(LOOKUP_TIME, self.keep(vouched)).await {
            Ok(kept) => kept?,
            Err(_) => return Err(StoreError::Lost("a JWT was kept for too long".to_owned())),
        };
        let (_, found) = self.seen(vouched).await?;
        Ok(found.map(|found| Credential { created, ..found }))
    }

    /// Whether there is the principal of a JWT, and the token that it is, if it was kept.
    async fn seen(&self, vouched: &Vouched) -> Result<(bool, Option<Credential>), StoreError> {
        let Vouched { hash, issuer, name, groups, expires, .. } = vouched;
        let (given, issuer, name) = (&hash[..], &**issuer, &**name);
        let terms: [&(dyn ToSql + Sync); 5] = [&given, &issuer, &name, expires, groups];
        let row = self.row(|line| &line.vouched, &terms, "a JWT").await?;
        Ok((row.is_some(), row.and_then(|row| self.credential(&row))))
    }

    /// What SCRAM needs of whoever has that name. A verifier that cannot be read is none.
    async fn known(&self, name: &str) -> Result<Known, StoreError> {
        let row = self.row(|line| &line.known, &[&name], "a password").await?;
        let row =
            row.ok_or_else(|| StoreError::Malformed("the policy store has no secret for names without passwords".to_owned()))?;
        let (token, verifier) = (row.get::<_, Option<String>>(0), row.get::<_, Option<String>>(1));
        let verifier = verifier.as_deref().and_then(Verifier::parse);
        let mock_salt = row.get::<_, Vec<u8>>(2).try_into();
        Ok(Known {
            verifier: token.map(Arc::from).zip(verifier),
            mock_salt: mock_salt.map_err(|_| StoreError::Malformed("a salt of another length".to_owned()))?,
        })
    }

    async fn password(&self, token: Option<&str>) -> Result<Option<Credential>, StoreError> {
        let row = self.row(|line| &line.password, &[&token], "a password").await?;
        Ok(row.and_then(|row| self.credential(&row)))
    }

    async fn acts(&self, terms: &[&(dyn ToSql + Sync)]) -> Result<Option<PrincipalId>, StoreError> {
        let row = self.row(|line| &line.acts, terms, "a right to act").await?;
        Ok(row.map(|row| PrincipalId(row.get(0))))
    }

    async fn keep(&self, vouched: &Vouched) -> Result<bool, StoreError> {
        let mut writer = self.writer.lock().await;
        let control = match writer.take().filter(|control| !control.lost()) {
            Some(control) => control,
            None => Control::connect(&self.settings.upstream, &self.settings.control).await?,
        };
        let Vouched { hash, issuer, name, actors, expires, create, .. } = vouched;
        let (given, issuer, name) = (&hash[..], &**issuer, &**name);
        let terms: [&(dyn ToSql + Sync); 6] = [&given, &issuer, &name, expires, actors, create];
        let kept = control.client().query_one("SELECT pgusher.vouch($1, $2, $3, $4, $5, $6)", &terms).await;
        // Given up on, it is dropped instead.
        *writer = Some(control);
        Ok(kept.map_err(|e| owner_error(&e))?.get(0))
    }

    fn credential(&self, row: &Row) -> Option<Credential> {
        let token: Arc<str> = row.get::<_, Option<String>>(0)?.into();
        self.use_now(&token);
        let texts = |column| row.get::<_, Vec<String>>(column).into_iter().map(Arc::from).collect();
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
            vouched: row.get(10),
            created: false,
        })
    }

    fn use_now(&self, token: &Arc<str>) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), SystemTime::now());
    }

    /// Writes when tokens were last used, many at once.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return Ok(());
        }
        let (ids, times): (Vec<String>, Vec<SystemTime>) = used.into_iter().map(|(id, at)| (id.to_string(), at)).unzip();
        let line = self.line().await?;
        match timeout(LOOKUP_TIME, line.control.client().execute(USED, &[&ids, &times])).await {
            Ok(done) => done.map(drop).map_err(|e| StoreError::from(owner_error(&e))),
            Err(_) => {
                self.give_up(&line).await;
                Ok(())
            }
        }
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
            let version = self.published().ok().map(|footing| footing.policies.version);
            let found = again(|| tokens.find(&hash)).await?;
            if let (Some(found), Some(version)) = (&found, version) {
                tokens.recent.keep(hash, version, found);
            }
            Ok(found)
        })
    }

    fn recent(&self, hash: &TokenHash) -> Option<Credential> {
        let tokens = self.tokens();
        let found = tokens.recent.find(hash, self.published().ok()?.policies.version)?;
        tokens.use_now(&found.token);
        Some(found)
    }

    fn vouched<'a>(&'a self, vouched: &'a Vouched) -> Lookup<'a> {
        Box::pin(async move {
            let tokens = self.tokens();
            let found = again(|| tokens.vouched(vouched)).await?;
            // Whoever was made for this login stands in no footing yet.
            let unknown =
                |of: &Credential| self.published().is_ok_and(|footing| footing.policies.principal(of.principal).is_none());
            if found.as_ref().is_some_and(unknown) {
                self.reload().await.map_err(|e| DirectoryError(e.to_string()))?;
            }
            Ok(found)
        })
    }

    fn known<'a>(&'a self, name: &'a str) -> Knowing<'a> {
        Box::pin(async move {
            let tokens = self.tokens();
            again(|| tokens.known(name)).await
        })
    }

    fn password<'a>(&'a self, token: Option<&'a str>) -> Lookup<'a> {
        Box::pin(async move {
            let tokens = self.tokens();
            again(|| tokens.password(token)).await
        })
    }

    fn acts<'a>(&'a self, actor: PrincipalId, person: &'a str, consent: Option<&'a str>, allowed: bool) -> Found<'a> {
        Box::pin(async move {
            let tokens = self.tokens();
            let terms: [&(dyn ToSql + Sync); 4] = [&actor.0, &person, &consent, &allowed];
            again(|| tokens.acts(&terms)).await
        })
    }
}

/// The line may have died since the last login: a fresh one is tried once.
async fn again<T, F: Future<Output = Result<T, StoreError>>>(look: impl Fn() -> F) -> Result<T, DirectoryError> {
    let found = match look().await {
        Err(error) if super::channel::lost(&error) => look().await,
        found => found,
    };
    found.map_err(|e| DirectoryError(e.to_string()))
}

/// How long a lookup may take before its connection is given up.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// One row, and the same work, whether or not the token exists. A JWT that was kept is none: it is not believed without its signature.
static LOOKUP: LazyLock<String> =
    LazyLock::new(|| lookup("$1::pg_catalog.bytea AS hash", "t.hash = given.hash AND t.issuer IS NULL"));

/// The same by a password's id; NULL finds nothing.
static PASSWORD: LazyLock<String> =
    LazyLock::new(|| lookup("$1::pg_catalog.text AS id", "t.id = given.id AND t.verifier IS NOT NULL"));

fn lookup(given: &str, meant: &str) -> String {
    format!(
        "SELECT t.id, t.principal, p.name, coalesce(p.enabled, false), 'admins' = ANY (g.groups), t.expires_at, t.revoked_at, \
           coalesce(t.scopes, '{{}}'), '{{}}'::pg_catalog.int8[], '{{}}'::pg_catalog.text[], false \
         FROM (SELECT {given}) AS given LEFT JOIN pgusher.token AS t ON {meant} \
         LEFT JOIN pgusher.principal AS p ON p.id = t.principal \
         CROSS JOIN LATERAL (SELECT pgusher.groups_of(coalesce(p.id, 0)) AS groups) AS g"
    )
}

/// One row, whoever is named: whoever has no password is given a salt that is always the same for the name.
const KNOWN: &str = "SELECT t.id, t.verifier, pg_catalog.substr(pg_catalog.sha256(m.secret || pg_catalog.convert_to(given.name, 'UTF8')), 1, 16) \
 FROM (SELECT $1::pg_catalog.text AS name) AS given CROSS JOIN pgusher.mock AS m \
 LEFT JOIN pgusher.principal AS p ON p.name = given.name AND p.kind <> 'group' \
 LEFT JOIN pgusher.token AS t ON t.principal = p.id AND t.verifier IS NOT NULL AND t.revoked_at IS NULL";

const VOUCHED: &str = "SELECT v.token, v.principal, v.name, v.enabled, v.admin, v.expires, v.revoked, v.scopes, v.claimed, v.actors, true \
 FROM pgusher.vouched($1, $2, $3, $4, $5) AS v";

const ACTS: &str = "SELECT p.id FROM pgusher.principal AS p WHERE p.name = $2 AND pgusher.acts($1, p.id, $3, $4)";

/// A row that somebody holds (who revokes the token, perhaps without a COMMIT) is left out: everybody's login uses the same connection.
const USED: &str = "WITH used AS (SELECT * FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.timestamptz[])) AS u(id, at)), \
 free AS (SELECT t.id FROM pgusher.token AS t WHERE t.id = ANY ($1::pg_catalog.text[]) FOR NO KEY UPDATE SKIP LOCKED) \
 UPDATE pgusher.token AS t SET last_used_at = u.at FROM used AS u JOIN free AS f ON f.id = u.id \
 WHERE t.id = u.id AND (t.last_used_at IS NULL OR t.last_used_at < u.at)";

const STILL_THERE: &str = "SELECT o.oid FROM (SELECT c.oid FROM pg_catalog.pg_class AS c UNION ALL SELECT p.oid FROM pg_catalog.pg_proc AS p \
   UNION ALL SELECT n.oid FROM pg_catalog.pg_namespace AS n UNION ALL SELECT t.oid FROM pg_catalog.pg_type AS t) AS o WHERE o.oid = ANY ($1::pg_catalog.oid[])";
