//! Health and metrics over HTTP, without a login: meant for loopback.
//!
//! In: GET `/healthz` (the process answers), `/readyz` (statements would be decided: the footing is fresh), `/metrics`. Out: text.
//! Never: names of principals or objects.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::{Metrics, gauge};
use crate::session::Governor;
use crate::upstream::{Login, Pool};

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The control plane.
    pub governor: Arc<dyn Governor>,
    /// The upstream connections.
    pub pool: Arc<Pool>,
}

/// Serves the pages until `stop` is done.
pub async fn serve(listener: TcpListener, pages: Pages, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(pages);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
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
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

#[cfg(test)]
mod tests;
