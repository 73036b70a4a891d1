//! Prepared reads by everybody for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use super::session::{Crowd, WINDOW};

pub async fn run(crowd: Arc<Crowd>, sessions: usize, length: Duration) -> String {
    let (over, answers, waited) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let ready = Arc::new(Barrier::new(sessions + 1));
    let mut tasks = Vec::new();
    for number in 0..sessions {
        let (crowd, over, answers, waited, ready) = (crowd.clone(), over.clone(), answers.clone(), waited.clone(), ready.clone());
        let who = number % crowd.taking_part;
        // Not all at once: a listen queue is short.
        if number % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tasks.push(tokio::spawn(async move {
            let mut random = crowd.random(number);
            let (client, _task) =
                crowd.connect(who).await.unwrap_or_else(|error| panic!("client {number} cannot connect: {error:?}"));
            let statement = client.prepare(WINDOW).await.expect("it is prepared");
            ready.wait().await;
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let rows = client.query(&statement, &[&crowd.window(who, &mut random)]).await.expect("an answer");
                assert!(crowd.is_right(who, &rows), "{} was answered {rows:?}", crowd.people[who].0);
                answers.fetch_add(1, Ordering::Relaxed);
                waited.fetch_add(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        }));
    }
    // Who waits for a client that has failed would wait for ever.
    let began = tokio::time::timeout(Duration::from_secs(120), ready.wait()).await.map(|_| Instant::now()).expect("all connect");
    let before = answers.load(Ordering::Relaxed);
    eprintln!("ready");
    tokio::time::sleep(length).await;
    let (count, elapsed) = (answers.load(Ordering::Relaxed) - before, began.elapsed());
    eprintln!("done");
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("every client ends well");
    }
    let total = answers.load(Ordering::Relaxed).max(1);
    format!(
        "{{\"answers\": {count}, \"tps\": {:.1}, \"ms\": {:.3}}}",
        count as f64 / elapsed.as_secs_f64(),
        waited.load(Ordering::Relaxed) as f64 / total as f64 / 1e3
    )
}
