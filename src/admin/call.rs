//! One call of the API: read, logged in, carried out, recorded.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_postgres::error::SqlState;

use super::fault::{self, Dialect, Fault};
use super::query::{Query, decode};
use super::route::Route;
use super::{groups, scim, tokens};
use crate::authn::{self, ANY_USER, Asked, PREFIX, Proven, Purpose, Refusal};
use crate::catalog::Footing;
use crate::error::edge::StartupError;
use crate::error::{Report, session};
use crate::event::{Event, Identity, Outcome, Receipts, SessionId, Statement, Unwritten};
use crate::governance::Command;
use crate::listener::Gate;
use crate::policy::{PolicySnapshot, Subject};
use crate::session::Governor;
use crate::store::{Done, Errand, Store};
use crate::upstream::BoxFuture;

/// What the API works with.
pub struct Api {
    /// What every client passes: rules, credentials, failures, events.
    pub gate: Arc<Gate>,
    /// The policy store.
    pub store: Arc<Store>,
    /// The numbers of sessions; a call takes one.
    pub numbers: Arc<AtomicU64>,
    /// The most bytes of a body.
    pub body_bytes: usize,
    /// How long a body may take to come, and how long a change may take.
    pub timeout: Duration,
}

/// Where a call comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Nobody can read along.
    pub(super) private: bool,
}

/// What a call is answered when it went well.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer(pub(super) StatusCode, pub(super) Option<Value>);

impl Answer {
    /// 200 with JSON.
    pub(super) fn ok(body: Value) -> Self {
        Self(StatusCode::OK, Some(body))
    }
}

/// A call by somebody who is logged in.
pub(super) struct Call {
    api: Arc<Api>,
    pub(super) subject: Subject,
    pub(super) footing: Arc<Footing>,
    identity: Arc<Identity>,
    receipts: Receipts,
    pub(super) query: Query,
    body: Bytes,
}

impl Call {
    /// Demands an administrator, before anything is looked at.
    pub(super) fn admin(&self) -> Result<(), Fault> {
        if self.subject.admin { Ok(()) } else { Err(Fault::AdminOnly) }
    }

    /// The policies as published.
    pub(super) fn policies(&self) -> &PolicySnapshot {
        &self.footing.policies
    }

    /// The body's JSON, an object.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Fault::Invalid("the request's body is no JSON object".to_owned()));
        }
        serde_json::from_slice(&self.body).map_err(|error| Fault::Invalid(format!("the request's body makes no sense: {error}")))
    }

    /// Carries out one command.
    pub(super) async fn one(&self, command: Command) -> Result<Done, Fault> {
        self.errand(Errand::One(command)).await
    }

    /// Carries out commands that depend on what the policies are.
    pub(super) async fn planned(
        &self,
        plan: impl FnOnce(&PolicySnapshot) -> Result<Vec<Command>, Report> + Send + 'static,
    ) -> Result<Done, Fault> {
        self.errand(Errand::Planned(Box::new(plan))).await
    }

    /// In a task of its own: what has begun comes to its end even when the client has left meanwhile. What changes is on record first.
    async fn errand(&self, errand: Errand) -> Result<Done, Fault> {
        let (api, subject) = (Arc::clone(&self.api), self.subject.clone());
        let (who, receipts) = (Arc::clone(&self.identity), self.receipts.clone());
        let task = tokio::spawn(async move {
            let events = api.gate.events.clone();
            let record = move |done: &Done| -> BoxFuture<'static, Result<(), Report>> {
                for (command, _) in done.iter().filter(|(_, reply)| reply.changed) {
                    let command = Arc::from(command.redacted());
                    events.emit_for(Event::Governed { who: Arc::clone(&who), command }, &receipts);
                }
                Box::pin(async move { receipts.all().await.map_err(|Unwritten| Report::from(&session::Refusal::Unrecorded)) })
            };
            api.store.run_errand(errand, &subject, api.timeout, Box::new(record)).await
        });
        let lost = |_| Report::error(SqlState::INTERNAL_ERROR, "the change was cut off");
        task.await.map_err(lost)?.map_err(Fault::from)
    }

    /// The policies after a change.
    pub(super) fn renewed(&self) -> Result<Arc<Footing>, Fault> {
        self.api.store.footing().map_err(Fault::unavailable)
    }
}

/// Answers a call.
pub(super) async fn answer(Extension(api): Extension<Arc<Api>>, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let route = match Route::find(&parts.method, parts.uri.path()) {
        Ok(route) => route,
        Err((dialect, fault)) => return fault.response(dialect),
    };
    let dialect = route.dialect();
    match attend(api, peer, &parts, body, route).await {
        Ok(Answer(status, Some(body))) => fault::answer(status, dialect, &body),
        Ok(Answer(status, None)) => status.into_response(),
        Err(fault) => fault.response(dialect),
    }
}

async fn attend(api: Arc<Api>, peer: Peer, parts: &Parts, body: Body, route: Route) -> Result<Answer, Fault> {
    if !peer.private {
        return Err(Fault::Cleartext);
    }
    let given = credential(&parts.headers).ok_or(Fault::Unauthenticated)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    // The whole request is here before anybody logs in: a credential is not looked at long before it is used.
    let body =
        if matches!(parts.method, Method::GET | Method::DELETE) { Bytes::new() } else { read(&api, &parts.headers, body).await? };
    let visit = Visit::begin(&api, peer);
    if !api.gate.events.admit() {
        return Err(unrecorded());
    }
    let (identity, subject, footing) = login(&api, peer, given, &visit, agent(&parts.headers)).await?;
    let versions = footing.versions();
    let (who, receipts) = (Arc::clone(&identity), visit.receipts.clone());
    let call = Call { api: Arc::clone(&api), subject, footing, identity, receipts, query, body };
    let done = carry_out(&call, route).await;
    let (outcome, sqlstate) = match &done {
        Ok(_) => (Outcome::Allowed, SqlState::SUCCESSFUL_COMPLETION),
        Err(fault) => (outcome(fault), fault.sqlstate()),
    };
    let statement = Statement {
        who,
        parameters: None,
        objects: None,
        rows: 0,
        bytes: 0,
        text: Arc::from(format!("{} {}", parts.method, recorded(parts.uri.path()))),
        kind: "http",
        outcome,
        sqlstate: sqlstate.code().to_owned().into(),
        reason: None,
        versions,
        duration: visit.began.elapsed(),
    };
    api.gate.events.emit_for(Event::Statement(Box::new(statement)), &visit.receipts);
    visit.receipts.all().await.map_err(|Unwritten| unrecorded())?;
    done
}

/// No audit, no answer.
fn unrecorded() -> Fault {
    Fault::unavailable(Report::from(&session::Refusal::Unrecorded))
}

/// A path as the record has it: without what somebody took for a token's id, however it is encoded.
fn recorded(path: &str) -> String {
    let secret = |part: &str| decode(part).is_none_or(|part| part.contains(PREFIX) || part.contains(BEGINS_JWT));
    let parts = path.split('/').map(|part| if secret(part) { "…" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

const BEGINS_JWT: &str = "eyJ";

async fn carry_out(call: &Call, route: Route) -> Result<Answer, Fault> {
    match route {
        Route::Groups(group) => groups::carry_out(call, group).await,
        Route::Tokens(token) => tokens::carry_out(call, token).await,
        Route::Scim(scim) => scim::carry_out(call, scim).await,
    }
}

fn outcome(fault: &Fault) -> Outcome {
    match fault.response(Dialect::Databricks).status() {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Outcome::Denied,
        status if status.is_server_error() => Outcome::Failed,
        _ => Outcome::Refused,
    }
}

/// The credential that a request shows, if it shows one and no more.
fn credential(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (one, None) = (all.next()?, all.next()) else { return None };
    let (scheme, given) = one.as_bytes().split_at_checked(BEARER.len())?;
    let given = given.trim_ascii();
    (scheme.eq_ignore_ascii_case(BEARER) && !given.is_empty()).then_some(given)
}

const BEARER: &[u8] = b"Bearer ";

/// What the client calls itself, for the record.
fn agent(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Arc::from(given.get(..given.len().min(LONGEST_AGENT)).unwrap_or_default())
}

const LONGEST_AGENT: usize = 200;

async fn read(api: &Api, headers: &HeaderMap, body: Body) -> Result<Bytes, Fault> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > api.body_bytes) {
        return Err(Fault::TooLarge);
    }
    let bytes = tokio::time::timeout(api.timeout, to_bytes(body, api.body_bytes)).await.map_err(|_| Fault::TooSlow)?;
    // Too many, or cut off; then nobody hears it.
    let bytes = bytes.map_err(|_| Fault::TooLarge)?;
    if bytes.is_empty() || is_json(headers) { Ok(bytes) } else { Err(Fault::NoJson) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "text/json" || kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// A call as the record has it: from its credential to its end.
struct Visit {
    api: Arc<Api>,
    session: SessionId,
    receipts: Receipts,
    began: Instant,
}

impl Visit {
    fn begin(api: &Arc<Api>, peer: Peer) -> Self {
        let session = SessionId(api.numbers.fetch_add(1, Ordering::Relaxed));
        api.gate.events.emit(Event::Accepted { session, address: Some(peer.address) });
        Self { api: Arc::clone(api), session, receipts: Receipts::default(), began: Instant::now() }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.api.gate.events.emit(Event::Closed { session: self.session, duration: self.began.elapsed() });
    }
}

/// Who calls. Nobody is made for a call. (A JWT that acts for somebody is good for SQL alone.)
async fn login(
    api: &Api,
    peer: Peer,
    given: &[u8],
    visit: &Visit,
    application: Arc<str>,
) -> Result<(Arc<Identity>, Subject, Arc<Footing>), Fault> {
    let rules = api.gate.rules.load_full();
    let asked = Asked { user: ANY_USER, purpose: Purpose::Administration, create: false, attaches: false };
    let proven = authn::prove(given, asked, &*api.gate.directory, &rules.issuers).await;
    let refusal = match proven.map_err(|error| Fault::unavailable(Report::from(&StartupError::Directory(error))))? {
        Ok(proven) => match stand(api, &proven).await? {
            Some(found) => {
                let who = Arc::new(Identity {
                    session: visit.session,
                    principal: proven.name,
                    actors: proven.actors,
                    token: proven.token,
                    address: Some(peer.address),
                    application,
                    database: Arc::clone(&rules.database),
                });
                api.gate.events.emit_for(Event::LoggedIn { who: Arc::clone(&who), created: false }, &visit.receipts);
                return Ok((who, found.0, found.1));
            }
            None => Refusal::Disabled,
        },
        Err(refusal) => refusal,
    };
    let reason = Arc::from(refusal.to_string());
    let (session, address) = (visit.session, Some(peer.address));
    api.gate.events.emit_for(Event::LoginRefused { session, address, user: Arc::from(ANY_USER), reason }, &visit.receipts);
    // It is turned away all the same when that cannot be written.
    let _ = visit.receipts.all().await;
    if let Refusal::Scope(purpose) = refusal {
        return Err(Fault::Scope(purpose));
    }
    tokio::time::sleep(api.gate.throttle.failed(Some(peer.address), None, Instant::now())).await;
    Err(Fault::Unauthenticated)
}

/// Whom decisions are made for, and on what. Who is in no footing yet was made a moment ago.
async fn stand(api: &Api, proven: &Proven) -> Result<Option<(Subject, Arc<Footing>)>, Fault> {
    let find = || {
        let footing = api.store.footing().map_err(Fault::unavailable)?;
        let subject = footing.policies.subject_bearing(proven.principal, &proven.bearing);
        Ok(subject.map(|subject| {
            let admin = subject.admin && proven.admin;
            (Subject { admin, ..subject }, footing)
        }))
    };
    match find()? {
        Some(found) => Ok(Some(found)),
        None => {
            api.store.refresh().await.map_err(Fault::unavailable)?;
            find()
        }
    }
}
