//! The pages, asked over a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Pages, serve};
use crate::catalog::{Footing, SearchPath};
use crate::config::{Http, PoolMode};
use crate::error::{Report, StoreError};
use crate::event::Events;
use crate::governance::Command;
use crate::listener::Web;
use crate::metrics::Metrics;
use crate::policy::Subject;
use crate::session::{Governor, Reply};
use crate::upstream::tls::UpstreamTls;
use crate::upstream::{Account, BoxFuture, Host, LaneSettings, OwnerChannel, Pool, PoolSettings, SharedSettings, Upstream};

/// Has a footing, or none.
struct Plane(AtomicBool);

impl Governor for Plane {
    fn footing(&self) -> Result<Arc<Footing>, Report> {
        let footing = Footing::new(Arc::default(), Arc::default(), std::collections::HashMap::new());
        if self.0.load(Ordering::Relaxed) { Ok(Arc::new(footing)) } else { Err(Report::from(&StoreError::NotLoaded)) }
    }

    fn govern<'a>(
        &'a self,
        _command: &'a Command,
        _subject: &'a Subject,
        _search_path: &'a SearchPath,
        _channel: &'a mut dyn OwnerChannel,
    ) -> BoxFuture<'a, Result<Reply, Report>> {
        Box::pin(async { Err(Report::from(&StoreError::NotLoaded)) })
    }

    fn footing_within<'a>(&'a self, _channel: &'a mut dyn OwnerChannel) -> BoxFuture<'a, Result<Arc<Footing>, Report>> {
        Box::pin(async { self.footing() })
    }

    fn follow_ddl<'a>(&'a self, _subject: &'a Subject, _channel: &'a mut dyn OwnerChannel) -> BoxFuture<'a, Result<(), Report>> {
        Box::pin(async { Ok(()) })
    }

    fn refresh(&self) -> BoxFuture<'_, Result<(), Report>> {
        Box::pin(async { Ok(()) })
    }
}

fn pool() -> Pool {
    let account = Account { user: "nobody".to_owned(), password: None };
    Pool::new(PoolSettings {
        upstream: Upstream {
            host: Host::Tcp("127.0.0.1".to_owned()),
            port: 1,
            database: "none".to_owned(),
            tls: UpstreamTls::Disabled,
            connect_timeout: Duration::from_secs(1),
        },
        shared: SharedSettings::plain(account.clone(), 7),
        mode: PoolMode::Session,
        control: LaneSettings { account, max_connections: 3 },
        wait: Duration::from_secs(1),
    })
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_pages_say_whether_the_process_lives_is_ready_and_what_it_counted() {
    let plane = Arc::new(Plane(AtomicBool::new(false)));
    let pages =
        Pages { metrics: Arc::new(Metrics::default()), governor: plane.clone(), pool: Arc::new(pool()), readings: None, api: None };
    let http = Http {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        connections: 10,
        body_bytes: 1024,
        request_timeout: Duration::from_secs(1),
    };
    let web = Web::bind(&http).unwrap();
    let address = web.address().unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let served = tokio::spawn(async move { serve(&web, pages, &Events::none(), stopped).await });
    assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    let unready = ask(address, "/readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503") && unready.contains("the policies have not been loaded yet"), "{unready}");
    plane.0.store(true, Ordering::Relaxed);
    assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = ask(address, "/metrics").await;
    assert!(
        metrics.contains("text/plain; version=0.0.4") && metrics.contains("\npgusher_statements_total{outcome=\"denied\"} 0\n")
    );
    assert!(metrics.contains("\npgusher_upstream_session_connections_free 7\n"), "{metrics}");
    assert!(ask(address, "/").await.starts_with("HTTP/1.1 404"));
    stop.send(true).unwrap();
    served.await.unwrap();
}
