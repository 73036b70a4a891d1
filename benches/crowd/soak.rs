//! Clients that do everything a client may do, and stop in the midst of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

use super::session::{Crowd, WINDOW};

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// What went otherwise than it must.
type Wrong = String;

pub async fn run(crowd: Arc<Crowd>, sessions: usize, length: Duration) -> String {
    let deadline = Instant::now() + length;
    let counts = Counts::default();
    let mut tasks = Vec::new();
    for number in 0..sessions {
        let (crowd, counts) = (crowd.clone(), counts.clone());
        tasks.push(tokio::spawn(async move {
            let mut random = crowd.random(number);
            // They do not all begin at once.
            tokio::time::sleep(Duration::from_millis(random.random_range(0..3000))).await;
            while Instant::now() < deadline {
                let who = random.random_range(0..crowd.taking_part);
                if let Err(wrong) = visit(&crowd, who, &mut random, &counts, deadline).await {
                    eprintln!("{}: {wrong}", crowd.people[who].0);
                    count(&counts, "wrong");
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("every client ends well");
    }
    let counts = counts.lock().unwrap();
    let fields = counts.iter().map(|(what, times)| format!("\"{what}\": {times}")).collect::<Vec<_>>();
    format!("{{{}}}", fields.join(", "))
}

fn count(counts: &Counts, what: &str) {
    *counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
}

/// A session from its connection to its end.
async fn visit(crowd: &Crowd, who: usize, random: &mut StdRng, counts: &Counts, deadline: Instant) -> Result<(), Wrong> {
    let (client, task) = match crowd.connect(who).await {
        Ok(connected) => connected,
        // More have left in the midst of something than there are upstream connections.
        Err(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => {
            count(counts, "turned away");
            return Ok(());
        }
        Err(error) => return Err(format!("cannot connect: {error:?}")),
    };
    let visitor = Visitor { crowd, who, client };
    visitor.starts_clean().await?;
    for _ in 0..random.random_range(1..20) {
        if Instant::now() > deadline {
            break;
        }
        let (name, done) = visitor.act(random).await;
        done.map_err(|wrong| format!("{name}: {wrong}"))?;
        count(counts, name);
        // A cancel that was on its way may still meet whatever comes next, which must be nobody else's.
        if name == "canceled" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..40))).await;
    }
    visitor.leave(task, random).await;
    count(counts, "sessions");
    Ok(())
}

struct Visitor<'a> {
    crowd: &'a Crowd,
    who: usize,
    client: Client,
}

impl Visitor<'_> {
    fn name(&self) -> &str {
        &self.crowd.people[self.who].0
    }

    /// Nothing of whoever had the upstream connection before is here.
    async fn starts_clean(&self) -> Result<(), Wrong> {
        self.code("SELECT * FROM scratch", "42P01").await?;
        self.text("SHOW statement_timeout", "0").await?;
        self.text("SELECT current_user", self.name()).await
    }

    async fn act(&self, random: &mut StdRng) -> (&'static str, Result<(), Wrong>) {
        match random.random_range(0..14) {
            0 | 1 => ("simple", self.simple(random).await),
            2 | 3 => ("prepared", self.prepared(random).await),
            4 => ("pipelined", self.pipelined(random).await),
            5 => ("transaction", self.transaction(random).await),
            6 => ("failed transaction", self.failed_transaction().await),
            7 => ("errors", self.errors().await),
            8 => ("canceled", self.canceled(random).await),
            9 => ("temporary table", self.temporary().await),
            10 => ("settings", self.settings().await),
            11 => ("cursor", self.cursor().await),
            12 => ("copy", self.copy().await),
            _ => ("whole table", self.whole().await),
        }
    }

    async fn simple(&self, random: &mut StdRng) -> Result<(), Wrong> {
        let first = self.crowd.window(self.who, random);
        self.owners(&format!("SELECT id, owner FROM owned WHERE id BETWEEN {first} AND {first} + 9"), 1..=1).await
    }

    async fn prepared(&self, random: &mut StdRng) -> Result<(), Wrong> {
        let statement = self.client.prepare(WINDOW).await.map_err(told)?;
        for _ in 0..random.random_range(1..5) {
            let rows = self.client.query(&statement, &[&self.crowd.window(self.who, random)]).await.map_err(told)?;
            if !self.crowd.is_right(self.who, &rows) {
                return Err(format!("{rows:?}"));
            }
        }
        Ok(())
    }

    async fn pipelined(&self, random: &mut StdRng) -> Result<(), Wrong> {
        let windows = [(); 3].map(|()| self.crowd.window(self.who, random));
        let ask = async |first: i64| self.client.query_typed(WINDOW, &[(&first, Type::INT8)]).await;
        let [first, second, third] = windows;
        let (a, b, c) = tokio::try_join!(ask(first), ask(second), ask(third)).map_err(told)?;
        for rows in [a, b, c] {
            if !self.crowd.is_right(self.who, &rows) {
                return Err(format!("{rows:?}"));
            }
        }
        Ok(())
    }

    async fn transaction(&self, random: &mut StdRng) -> Result<(), Wrong> {
        let first = self.crowd.window(self.who, random);
        self.run("BEGIN").await?;
        let value = random.random_range(0..1_000_000).to_string();
        let changed = self.client.execute("UPDATE owned SET value = $1 WHERE id BETWEEN $2 AND $2 + 9", &[&value, &first]).await;
        // Others of the same principal may hold the row: then one of two waits, and nothing else happens.
        if changed.map_err(told)? != 1 {
            return Err("not one row was changed".into());
        }
        self.owners(&format!("SELECT id, owner FROM owned WHERE value = '{value}' AND id BETWEEN {first} AND {first} + 9"), 1..=1)
            .await?;
        self.run(if random.random() { "COMMIT" } else { "ROLLBACK" }).await
    }

    async fn failed_transaction(&self) -> Result<(), Wrong> {
        self.run("BEGIN").await?;
        self.code("SELECT * FROM secrets", "42501").await?;
        self.code("SELECT 1", "25P02").await?;
        self.run("ROLLBACK").await?;
        self.text("SELECT current_user", self.name()).await
    }

    async fn errors(&self) -> Result<(), Wrong> {
        self.code("SELECT 1 / 0", "22012").await?;
        self.code("SELECT * FROM nowhere", "42P01").await?;
        self.code("SELECT nonsense FROM", "42601").await?;
        self.code("DROP TABLE owned", "42501").await
    }

    async fn canceled(&self, random: &mut StdRng) -> Result<(), Wrong> {
        let token = self.client.cancel_token();
        let sleeping = self.client.simple_query("SELECT pg_sleep(60)");
        let pause = Duration::from_millis(random.random_range(5..50));
        let ask = async {
            // Until one meets the statement: the first may come before it.
            loop {
                tokio::time::sleep(pause).await;
                if let Err(error) = token.cancel_query(NoTls).await {
                    return told(error);
                }
            }
        };
        tokio::select! {
            answer = sleeping => self.expect_code(answer.map(|_| ()), "57014"),
            wrong = ask => Err(wrong),
        }
    }

    async fn temporary(&self) -> Result<(), Wrong> {
        match self.client.batch_execute("CREATE TEMPORARY TABLE scratch AS SELECT id, owner FROM owned WHERE id < 200").await {
            Err(error) if error.code().is_some_and(|code| code.code() == "42P07") => {}
            done => done.map_err(told)?,
        }
        self.owners("SELECT id, owner FROM scratch", 1..=200).await
    }

    async fn settings(&self) -> Result<(), Wrong> {
        self.run("SET statement_timeout = '70s'").await?;
        self.text("SHOW statement_timeout", "70s").await?;
        self.run("RESET statement_timeout").await?;
        self.text("SHOW statement_timeout", "0").await
    }

    async fn cursor(&self) -> Result<(), Wrong> {
        self.run("BEGIN").await?;
        self.run("DECLARE c CURSOR FOR SELECT id, owner FROM owned WHERE id < 1000").await?;
        self.owners("FETCH 3 FROM c", 1..=3).await?;
        self.run("COMMIT").await
    }

    async fn copy(&self) -> Result<(), Wrong> {
        let stream = self.client.copy_out("COPY (SELECT owner FROM owned WHERE id < 20000) TO STDOUT").await.map_err(told)?;
        let lines: Vec<_> = stream.try_collect().await.map_err(told)?;
        let mut text = Vec::new();
        lines.iter().for_each(|line| text.extend_from_slice(line));
        let text = String::from_utf8(text).map_err(|error| error.to_string())?;
        match text.lines().find(|owner| *owner != self.name()) {
            Some(other) => Err(format!("a row of {other}")),
            None if text.is_empty() => Err("no rows".into()),
            None => Ok(()),
        }
    }

    async fn whole(&self) -> Result<(), Wrong> {
        let each = (self.crowd.rows / self.crowd.people.len() as i64).to_string();
        self.text("SELECT count(*) FROM owned", &each).await?;
        self.text("SELECT min(owner) FROM owned", self.name()).await
    }

    /// One of the ways to go.
    async fn leave(self, task: JoinHandle<()>, random: &mut StdRng) {
        match random.random_range(0..4) {
            // Terminate.
            0 => {
                drop(self.client);
                let _ = task.await;
            }
            // Hangs up while nothing happens.
            1 => task.abort(),
            // Hangs up in the middle of an answer.
            2 => {
                let pause = Duration::from_micros(random.random_range(0..20_000));
                let _ = tokio::time::timeout(pause, self.client.simple_query("SELECT * FROM owned")).await;
                task.abort();
            }
            // Hangs up with a transaction open and a statement that runs.
            _ => {
                let _ = self.client.batch_execute("BEGIN; UPDATE owned SET value = 'lost' WHERE id < 20").await;
                let _ = tokio::time::timeout(Duration::from_millis(20), self.client.simple_query("SELECT pg_sleep(1)")).await;
                task.abort();
            }
        }
    }

    async fn run(&self, sql: &str) -> Result<(), Wrong> {
        self.client.batch_execute(sql).await.map_err(|error| format!("{sql}: {}", told(error)))
    }

    /// The first value of the first row.
    async fn text(&self, sql: &str, expected: &str) -> Result<(), Wrong> {
        let answer = self.client.simple_query(sql).await.map_err(|error| format!("{sql}: {}", told(error)))?;
        let value = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        if value == Some(expected) { Ok(()) } else { Err(format!("{sql}: {value:?} instead of {expected}")) }
    }

    /// So many rows, and each one's second column is the principal.
    async fn owners(&self, sql: &str, count: std::ops::RangeInclusive<usize>) -> Result<(), Wrong> {
        let answer = self.client.simple_query(sql).await.map_err(|error| format!("{sql}: {}", told(error)))?;
        let mut rows = 0;
        for message in &answer {
            if let SimpleQueryMessage::Row(row) = message {
                rows += 1;
                if row.get(1) != Some(self.name()) {
                    return Err(format!("{sql}: {row:?}"));
                }
            }
        }
        if count.contains(&rows) { Ok(()) } else { Err(format!("{sql}: {rows} rows")) }
    }

    async fn code(&self, sql: &str, code: &str) -> Result<(), Wrong> {
        let answer = self.client.simple_query(sql).await;
        self.expect_code(answer.map(|_| ()), code).map_err(|wrong| format!("{sql}: {wrong}"))
    }

    fn expect_code(&self, answer: Result<(), Error>, code: &str) -> Result<(), Wrong> {
        match answer {
            Ok(()) => Err(format!("no error, instead of {code}")),
            Err(error) if error.code().is_some_and(|found| found.code() == code) => Ok(()),
            Err(error) => Err(format!("{}, instead of {code}", told(error))),
        }
    }
}

fn told(error: Error) -> Wrong {
    match error.as_db_error() {
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => format!("{error:?}"),
    }
}
