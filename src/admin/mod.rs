//! HTTP: health and metrics without a login, and the API of principals, groups and tokens with one.
//!
//! In: GET `/healthz` (the process answers), `/readyz` (statements would be decided: the footing is fresh), `/metrics`; calls of the
//! Groups 2.0, Token 2.0 and SCIM APIs with a token. Out: text; JSON in those APIs' shapes. Never: names of principals or objects to
//! nobody in particular, a token read where others can read along, a change that does not go through governance.

mod call;
mod fault;
mod groups;
mod query;
mod route;
mod scim;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;

pub use call::Api;

use crate::event::Events;
use crate::listener::{Web, is_private};
use crate::metrics::{Metrics, gauge};
use crate::session::{Governor, Readings};
use crate::upstream::{Login, Pool};
use crate::wire::ClientStream;
use call::Peer;

/// How long the head of a request may take to come, also after the last one.
const HEAD: Duration = Duration::from_secs(10);

/// The most bytes of a request's head: a JWT may have 16 KiB.
const HEAD_BYTES: usize = 32 * 1024;

/// How long a connection may last, and how long its last request may take then: who does not read the answers is not waited for.
const LIFETIME: Duration = Duration::from_secs(300);
const LAST: Duration = Duration::from_secs(30);

/// What is served.
#[derive(Clone)]
pub struct Pages {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The control plane.
    pub governor: Arc<dyn Governor>,
    /// The upstream connections.
    pub pool: Arc<Pool>,
    /// Texts that were analysed before, where statements are.
    pub readings: Option<Arc<Readings>>,
    /// The API, where there is one.
    pub api: Option<Arc<Api>>,
}

/// Serves the pages until `stop` becomes true.
pub async fn serve(web: &Web, pages: Pages, events: &Events, stop: watch::Receiver<bool>) {
    let api = pages.api.clone();
    let router =
        Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).route("/metrics", get(metrics));
    let router = router.with_state(pages);
    let router = match api {
        Some(api) => router.fallback(call::answer).layer(Extension(api)),
        None => router,
    };
    let ended = stop.clone();
    let attend = move |stream: ClientStream, address: IpAddr| {
        let peer = Peer { address, private: is_private(&stream, address) };
        attend(stream, router.clone().layer(Extension(peer)), ended.clone())
    };
    web.serve(attend, events, stop).await;
}

/// One connection, from its first request to its last.
async fn attend(stream: ClientStream, router: Router, mut stop: watch::Receiver<bool>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES).max_headers(100);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // What went wrong between two programs is no news.
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(LIFETIME) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST, connection).await;
}

async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    match pages.governor.footing() {
        Ok(_) => (StatusCode::OK, "ready\n".to_owned()),
        Err(report) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", report.message)),
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let mut text = pages.metrics.text();
    let free = |login| i64::try_from(pages.pool.free(login)).unwrap_or(i64::MAX);
    let help = "Upstream connections that may still be opened.";
    gauge(&mut text, "pgusher_upstream_session_connections_free", help, free(Login::Session));
    gauge(&mut text, "pgusher_upstream_control_connections_free", help, free(Login::Control));
    if let Some(readings) = &pages.readings {
        crate::metrics::statement_cache(&mut text, &readings.figures());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

#[cfg(test)]
mod tests;
