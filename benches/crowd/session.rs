//! Who connects, and how an answer is checked.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, Row};

/// Everybody.
pub struct Crowd {
    pub port: u16,
    pub database: String,
    pub rows: i64,
    pub people: Vec<(String, String)>,
    /// The first so many connect.
    pub taking_part: usize,
    pub seed: u64,
}

impl Crowd {
    /// Connects as a principal. The task is the connection: who aborts it hangs up.
    pub async fn connect(&self, who: usize) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let (name, token) = &self.people[who];
        let (client, connection) = Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .dbname(&self.database)
            .user(name)
            .password(token)
            .connect(NoTls)
            .await?;
        let task = tokio::spawn(async move {
            // What went wrong is told to whoever waits for an answer.
            let _ = connection.await;
        });
        Ok((client, task))
    }

    /// The first of ten ids of which one belongs to the principal.
    pub fn window(&self, who: usize, random: &mut StdRng) -> i64 {
        let everybody = self.people.len() as i64;
        let own = random.random_range(0..self.rows / everybody) * everybody + who as i64;
        (own - random.random_range(0..10)).clamp(0, self.rows - 10)
    }

    /// Whether an answer about ten ids is the one row that the principal may see.
    pub fn is_right(&self, who: usize, rows: &[Row]) -> bool {
        matches!(rows, [row] if row.get::<_, &str>(1) == self.people[who].0)
    }

    pub fn random(&self, number: usize) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(number as u64))
    }
}

/// Ten ids; of the rows that the row filter leaves.
pub const WINDOW: &str = "SELECT id, owner, value FROM owned WHERE id BETWEEN $1 AND $1 + 9";
