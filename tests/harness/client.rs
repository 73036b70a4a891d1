//! A driver's connection with the conveniences that tests want: blocking calls, rows as text, refusals as values.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, NoTls, Row, SimpleQueryMessage, Statement};

use super::Upstream;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime for the clients")
});

/// Waits for an answer, but not for ever: a proxy that hangs is a failure, not a stuck test.
fn answered<T>(call: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Refusal> {
    RUNTIME.block_on(async {
        match tokio::time::timeout(super::PATIENCE, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Refusal { message: format!("no answer within {:?}", super::PATIENCE), ..Refusal::default() }),
        }
    })
}

/// How NULL is written in rows of text.
pub const NULL: &str = "∅";

/// An error as the client got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// ERROR or FATAL; empty when the connection broke without a message.
    pub severity: String,
    /// The SQLSTATE; empty when the connection broke without a message.
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub context: Option<String>,
    /// In characters from 1.
    pub position: Option<u32>,
    /// The schema, table, column, type and constraint that it names, as far as it does.
    pub names: Vec<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.code, self.message)?;
        for (name, field) in [("DETAIL", &self.detail), ("HINT", &self.hint), ("CONTEXT", &self.context)] {
            if let Some(text) = field {
                write!(f, "\n{name}: {text}")?;
            }
        }
        Ok(())
    }
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Refusal { message: format!("{error:?}"), ..Refusal::default() } };
        Refusal {
            severity: db.severity().into(),
            code: db.code().code().into(),
            message: db.message().into(),
            detail: db.detail().map(Into::into),
            hint: db.hint().map(Into::into),
            context: db.where_().map(Into::into),
            position: match db.position() {
                Some(tokio_postgres::error::ErrorPosition::Original(at)) => Some(*at),
                _ => None,
            },
            names: [db.schema(), db.table(), db.column(), db.datatype(), db.constraint()]
                .into_iter()
                .flatten()
                .map(Into::into)
                .collect(),
        }
    }
}

/// A connection.
pub struct Client {
    inner: tokio_postgres::Client,
    heard: Arc<Mutex<Vec<AsyncMessage>>>,
}

impl Client {
    /// Connects, or tells why not.
    pub fn try_connect(port: u16, database: &str, user: &str, password: &str) -> Result<Client, Refusal> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).dbname(database).user(user).password(password);
        config.connect_timeout(super::PATIENCE);
        Self::with(&config)
    }

    /// Connects with a driver configuration, or tells why not.
    pub fn with(config: &tokio_postgres::Config) -> Result<Client, Refusal> {
        answered(async {
            let (inner, mut connection) = config.connect(NoTls).await?;
            let heard = Arc::new(Mutex::new(Vec::new()));
            let ear = heard.clone();
            tokio::spawn(async move {
                while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                    ear.lock().expect("no test panics while listening").push(message);
                }
            });
            Ok(Client { inner, heard })
        })
    }

    /// What cancels whatever it runs.
    pub fn canceller(&self) -> impl Fn() + Send + 'static {
        let token = self.inner.cancel_token();
        move || {
            let _ = answered(token.cancel_query(NoTls));
        }
    }

    /// Runs text by the simple protocol; the rows of all its statements, as text.
    pub fn try_rows(&self, sql: &str) -> Result<Vec<Vec<String>>, Refusal> {
        let messages = answered(self.inner.simple_query(sql))?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).unwrap_or(NULL).to_string()).collect()),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Rows as text; the statement must succeed.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_rows(sql).unwrap_or_else(|refusal| panic!("{sql}\n{refusal}"))
    }

    /// The only value of the only row.
    pub fn one(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}\none value was expected, this came: {rows:?}");
        rows[0][0].clone()
    }

    /// The first column.
    pub fn column(&self, sql: &str) -> Vec<String> {
        self.rows(sql).into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    /// The names of the result's columns (extended protocol).
    pub fn headings(&self, sql: &str) -> Vec<String> {
        self.prepare(sql).columns().iter().map(|c| c.name().to_string()).collect()
    }

    /// Runs text that must succeed.
    pub fn run(&self, sql: &str) {
        self.rows(sql);
    }

    /// The number of rows that a writing statement says it touched.
    pub fn affected(&self, sql: &str) -> u64 {
        let messages = answered(self.inner.simple_query(sql)).unwrap_or_else(|refusal| panic!("{sql}\n{refusal}"));
        messages.iter().filter_map(|m| if let SimpleQueryMessage::CommandComplete(n) = m { Some(*n) } else { None }).sum()
    }

    /// Rows as text, and the number of rows that the statement says it touched; or the refusal.
    pub fn try_run(&self, sql: &str) -> Result<(Vec<Vec<String>>, u64), Refusal> {
        let messages = answered(self.inner.simple_query(sql))?;
        let (mut rows, mut count) = (Vec::new(), 0);
        for message in &messages {
            match message {
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|i| row.get(i).unwrap_or(NULL).to_string()).collect());
                }
                SimpleQueryMessage::CommandComplete(n) => count = *n,
                _ => {}
            }
        }
        Ok((rows, count))
    }

    /// Runs text that must fail with this SQLSTATE.
    pub fn refused(&self, sql: &str, code: &str) -> Refusal {
        match self.try_rows(sql) {
            Ok(rows) => panic!("{sql}\nSQLSTATE {code} was expected, this came: {rows:?}"),
            Err(refusal) => {
                assert_eq!(refusal.code, code, "{sql}\n{refusal}");
                refusal
            }
        }
    }

    /// Prepares by the extended protocol; must succeed.
    pub fn prepare(&self, sql: &str) -> Statement {
        self.try_prepare(sql).unwrap_or_else(|refusal| panic!("{sql}\n{refusal}"))
    }

    /// Prepares by the extended protocol.
    pub fn try_prepare(&self, sql: &str) -> Result<Statement, Refusal> {
        answered(self.inner.prepare(sql))
    }

    /// Runs by the extended protocol with binary values; must succeed.
    pub fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        answered(self.inner.query(sql, values)).unwrap_or_else(|refusal| panic!("{sql}\n{refusal}"))
    }

    /// Runs a prepared statement.
    pub fn try_execute(&self, statement: &Statement, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Refusal> {
        answered(self.inner.query(statement, values))
    }

    /// COPY … TO STDOUT as text.
    pub fn try_copy_out(&self, sql: &str) -> Result<String, Refusal> {
        answered(async {
            let stream = self.inner.copy_out(sql).await?;
            let mut stream = std::pin::pin!(stream);
            let mut text = Vec::new();
            while let Some(piece) = stream.next().await {
                text.extend_from_slice(&piece?);
            }
            Ok(String::from_utf8_lossy(&text).into_owned())
        })
    }

    /// COPY … TO STDOUT as text; must succeed.
    pub fn copy_out(&self, sql: &str) -> String {
        self.try_copy_out(sql).unwrap_or_else(|refusal| panic!("{sql}\n{refusal}"))
    }

    /// COPY … FROM STDIN; the number of rows.
    pub fn copy_in(&self, sql: &str, text: &str) -> Result<u64, Refusal> {
        answered(async {
            let sink = self.inner.copy_in::<_, Bytes>(sql).await?;
            let mut sink = std::pin::pin!(sink);
            sink.send(Bytes::copy_from_slice(text.as_bytes())).await?;
            sink.finish().await
        })
    }

    /// Whether the connection has ended.
    pub fn closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// The messages of notices heard so far.
    pub fn notices(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("no test panics while listening");
        heard.iter().filter_map(|m| if let AsyncMessage::Notice(n) = m { Some(n.message().to_string()) } else { None }).collect()
    }
}

/// A direct connection to the upstream over its Unix socket, where every role is let in: for attacks that skip the proxy.
pub fn connect_upstream(upstream: &Upstream, database: &str, role: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(&upstream.directory).port(upstream.port).dbname(database).user(role);
    Client::with(&config).unwrap_or_else(|refusal| panic!("{role} directly: {refusal}"))
}
