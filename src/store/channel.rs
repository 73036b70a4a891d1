//! The control connection.
//!
//! In: statements of our own. Out: their JSON. Every connection acts as `pgusher_owner`, with `search_path = pg_catalog, pg_temp`;
//! sockets and TLS are [`crate::upstream::connect`]'s, so the same rules hold as for sessions.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, IsolationLevel, NoTls, Transaction};

use super::StoreError;
use crate::catalog::load::Source;
use crate::upstream::connect::dial;
use crate::upstream::{Account, BoxFuture, OwnerChannel, OwnerError, Upstream};

/// A connection whose statements run one transaction at a time.
pub struct Control {
    client: Client,
    role: Option<&'static str>,
}

/// A transaction of a control connection. Dropped, it is rolled back.
pub struct Owned<'a> {
    transaction: Transaction<'a>,
}

impl Control {
    /// Connects with the control login and acts as `pgusher_owner`.
    pub async fn connect(upstream: &Upstream, account: &Account) -> Result<Self, StoreError> {
        Self::connect_listening(upstream, account, Arc::new(Notify::new())).await
    }

    /// The same; `noticed` is told of every NOTIFY on channels that the connection listens to, and when the connection ends.
    pub async fn connect_listening(upstream: &Upstream, account: &Account, noticed: Arc<Notify>) -> Result<Self, StoreError> {
        let client = connect(upstream, account, noticed).await?;
        client.batch_execute(SETTINGS).await.map_err(|e| owner_error(&e))?;
        client.batch_execute("SET ROLE pgusher_owner").await.map_err(|e| match owner_error(&e) {
            OwnerError { code, .. } if code == UNDEFINED_OBJECT || code == INVALID_PARAMETER => StoreError::NotInitialized,
            error => StoreError::Upstream(error),
        })?;
        Ok(Self { client, role: None })
    }

    /// Connects as an administrator of the database, with its own rights.
    pub async fn connect_administrator(upstream: &Upstream, account: &Account) -> Result<Self, StoreError> {
        let client = connect(upstream, account, Arc::new(Notify::new())).await?;
        client.batch_execute(SETTINGS).await.map_err(|e| owner_error(&e))?;
        Ok(Self { client, role: None })
    }

    /// From now on transactions act as `pgusher_owner`.
    pub fn as_owner(mut self) -> Self {
        self.role = Some("SET LOCAL ROLE pgusher_owner");
        self
    }

    /// The connection itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a transaction.
    pub async fn begin(&mut self) -> Result<Owned<'_>, StoreError> {
        let role = self.role;
        let transaction = self.client.transaction().await.map_err(|e| owner_error(&e))?;
        if let Some(role) = role {
            transaction.batch_execute(role).await.map_err(|e| owner_error(&e))?;
        }
        Ok(Owned { transaction })
    }

    /// Begins a transaction at an isolation level.
    pub(super) async fn begin_at(&mut self, level: IsolationLevel) -> Result<Owned<'_>, StoreError> {
        let begun = self.client.build_transaction().isolation_level(level).start().await;
        Ok(Owned { transaction: begun.map_err(|e| owner_error(&e))? })
    }

    /// Whether the connection is lost.
    pub fn lost(&self) -> bool {
        self.client.is_closed()
    }
}

impl Owned<'_> {
    /// Commits.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(|e| owner_error(&e).into())
    }

    /// The transaction itself.
    pub fn transaction(&self) -> &Transaction<'_> {
        &self.transaction
    }
}

impl OwnerChannel for Owned<'_> {
    fn execute<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), OwnerError>> {
        Box::pin(async move { self.transaction.batch_execute(sql).await.map_err(|e| owner_error(&e)) })
    }

    fn fetch<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<serde_json::Value, OwnerError>> {
        Box::pin(async move {
            let text =
                format!("SELECT coalesce(pg_catalog.json_agg(pg_catalog.to_json(q)), '[]')::pg_catalog.text FROM ({sql}) AS q");
            let row = self.transaction.query_one(&text, &[]).await.map_err(|e| owner_error(&e))?;
            let answer: &str = row.try_get(0).map_err(|e| owner_error(&e))?;
            serde_json::from_str(answer)
                .map_err(|e| OwnerError { code: "XX000".to_owned(), message: format!("upstream's JSON cannot be read: {e}") })
        })
    }
}

impl Source for dyn OwnerChannel + '_ {
    type Error = OwnerError;

    fn rows<'a>(&'a mut self, sql: &'a str) -> Pin<Box<dyn Future<Output = Result<serde_json::Value, OwnerError>> + Send + 'a>> {
        self.fetch(sql)
    }
}

/// An error of tokio-postgres as the channel's. Without a code the connection is to blame.
pub(super) fn owner_error(error: &tokio_postgres::Error) -> OwnerError {
    match error.as_db_error() {
        Some(db) => OwnerError { code: db.code().code().to_owned(), message: db.message().to_owned() },
        None => {
            let mut message = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(next) = cause {
                message = format!("{message}: {next}");
                cause = next.source();
            }
            OwnerError { code: CONNECTION_FAILURE.to_owned(), message }
        }
    }
}

/// Whether an error means that the connection is of no more use.
pub(super) fn lost(error: &StoreError) -> bool {
    matches!(error, StoreError::Upstream(OwnerError { code, .. }) if code.starts_with("08") || code.starts_with("57P"))
        || matches!(error, StoreError::Lost(_) | StoreError::Connect(_))
}

async fn connect(upstream: &Upstream, account: &Account, noticed: Arc<Notify>) -> Result<Client, StoreError> {
    let attempt = async {
        let dialed = dial(upstream).await.map_err(|e| StoreError::Connect(e.to_string()))?;
        let mut config = Config::new();
        config.user(&account.user).dbname(&upstream.database).application_name("pgusher");
        if let Some(password) = &account.password {
            config.password(password.reveal());
        }
        // The socket is encrypted already where it must be.
        config.ssl_mode(SslMode::Disable).channel_binding(ChannelBinding::Disable);
        config.connect_raw(dialed.stream, NoTls).await.map_err(|e| StoreError::Connect(owner_error(&e).message))
    };
    let (client, mut connection) = tokio::time::timeout(upstream.connect_timeout, attempt)
        .await
        .map_err(|_| StoreError::Connect("connecting took too long".to_owned()))??;
    tokio::spawn(async move {
        while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(AsyncMessage::Notification(_)) => noticed.notify_one(),
                Ok(AsyncMessage::Notice(notice)) => tracing::debug!("upstream: {}", notice.message()),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!("control connection: {}", owner_error(&error).message);
                    break;
                }
            }
        }
        noticed.notify_one();
    });
    Ok(client)
}

/// As `pgusher.execute` sets it for sessions, so that upstream prints and reads the same on every channel.
/// Compiling the catalog queries would take longer than they do: seconds against milliseconds.
const SETTINGS: &str = "SET search_path = pg_catalog, pg_temp; SET jit = off; SET standard_conforming_strings = on; SET quote_all_identifiers = off; \
     SET DateStyle = 'ISO, YMD'; SET IntervalStyle = postgres; SET TimeZone = 'UTC'; SET extra_float_digits = 1; \
     SET client_min_messages = warning; SET row_security = on; SET lock_timeout = 0; SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; SET default_transaction_read_only = off; \
     SET default_transaction_isolation = 'read committed'";

const CONNECTION_FAILURE: &str = "08006";
const UNDEFINED_OBJECT: &str = "42704";
const INVALID_PARAMETER: &str = "22023";
