//! A session from its first to its last byte: an upstream connection with the principal's identity, the greeting, the loop, the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::environment::Environment;
use super::exchange::{Clock, Exchange};
use super::pooling::{self, Pooling};
use super::relay::HIDDEN_PARAMETERS;
use super::run::{Rest, Session, Start, Who};
use super::settings::{self, PathTracker};
use crate::config::PoolMode;
use crate::error::Report;
use crate::error::session::SessionError;
use crate::event::{Event, Identity, Receipts};
use crate::startup::Authenticated;
use crate::upstream::housekeeping::Housekeeping;
use crate::upstream::owner::{Answer, ConverseError, converse};
use crate::upstream::send::{End, Link};
use crate::upstream::{Connection, Ending, Enlisted, Lease, Login, Permit, Profile, Shared, Sharing, Taker, UpstreamError};
use crate::wire::backend::{self, Status};
use crate::wire::frame::HEADER;
use crate::wire::{BackendTag, ClientStream};

/// Serves a client that has shown a good token, until one of us has had enough.
pub async fn run(authenticated: Authenticated, environment: Arc<Environment>) {
    let session = authenticated.session;
    let mut enlisted =
        environment.registry.enlist(authenticated.minor, session, authenticated.principal, authenticated.token.clone());
    let acquired = match enlisted.ending() {
        Some(ending) => Err(over(ending)),
        None if !environment.events.admit() => Err(SessionError::Unrecorded),
        None if !authenticated.admin => {
            return match authenticated.pool_mode.unwrap_or(environment.pool.mode()) {
                PoolMode::Session => keep(authenticated, environment, enlisted).await,
                PoolMode::Transaction => share(authenticated, environment, enlisted).await,
            };
        }
        None => tokio::select! {
            ending = enlisted.ended() => Err(over(ending)),
            acquired = environment.pool.acquire(Login::Control, &authenticated.parameters) => acquired.map_err(SessionError::from),
        },
    };
    match acquired {
        Ok(connection) => serve(authenticated, environment, connection, enlisted).await,
        Err(error) => {
            turn_away(authenticated.stream, &error, &environment, (&authenticated.identity, &authenticated.receipts)).await
        }
    }
}

/// A connection with a session's identity.
struct Opened {
    upstream: Opening,
    secret_key: Bytes,
    /// The identity's slot.
    slot: i64,
    path: PathTracker,
    hold: Hold,
}

/// What becomes of a session's connection when the session ends.
enum Hold {
    /// It ends, too.
    Own(#[allow(dead_code, reason = "held for its Drop")] Permit),
    /// Another session gets it.
    Kept(Arc<Sharing>, Box<Lease>),
    /// The session shares connections, and has none that is its own.
    Shared,
}

/// Serves a client over an upstream connection that ends with the session.
pub(super) async fn serve(
    authenticated: Authenticated,
    environment: Arc<Environment>,
    connection: Connection,
    mut enlisted: Enlisted,
) {
    let Connection { stream, read_ahead, parameters, process_id, secret_key, permit } = connection;
    let mut upstream = Opening { link: Link::new(stream, read_ahead), parameters, process_id };
    let opened = tokio::select! {
        biased;
        ending = enlisted.ended() => Err(over(ending)),
        opened = upstream.open(&authenticated, &environment) => opened,
    };
    let opened = opened.map(|(slot, path)| Opened { upstream, secret_key, slot, path, hold: Hold::Own(permit) });
    attend(authenticated, environment, opened, enlisted).await;
}

/// Serves a client over an upstream connection that it keeps, which others had before and will have after.
async fn keep(authenticated: Authenticated, environment: Arc<Environment>, mut enlisted: Enlisted) {
    let opened = tokio::select! {
        biased;
        ending = enlisted.ended() => Err(over(ending)),
        opened = open_kept(&authenticated, &environment) => opened,
    };
    attend(authenticated, environment, opened, enlisted).await;
}

async fn attend(
    authenticated: Authenticated,
    environment: Arc<Environment>,
    opened: Result<Opened, SessionError>,
    enlisted: Enlisted,
) {
    let of = (authenticated.identity.clone(), authenticated.receipts.clone());
    let Opened { upstream, secret_key, slot, path, hold } = match opened {
        Ok(opened) => opened,
        Err(error) => return turn_away(authenticated.stream, &error, &environment, (&of.0, &of.1)).await,
    };
    enlisted.aim(upstream.process_id, secret_key).await;
    enlisted.attached(slot);
    match begin(authenticated, &environment, upstream, (slot, path), (&enlisted, None)) {
        Ok(session) => go_on(session, enlisted, hold).await,
        Err((stream, error)) => turn_away(stream, &error, &environment, (&of.0, &of.1)).await,
    }
}

/// Serves a session that has been greeted.
async fn go_on(mut session: Session, mut enlisted: Enlisted, hold: Hold) {
    let served = tokio::select! {
        biased;
        ending = enlisted.ended() => Err(over(ending)),
        served = session.serve() => served.map_err(SessionError::refine),
    };
    end(session, enlisted, served, hold).await;
}

/// Serves a client that shares upstream connections with others.
async fn share(authenticated: Authenticated, environment: Arc<Environment>, mut enlisted: Enlisted) {
    let sharing = environment.pool.shared().clone();
    let (profile, application) = pooling::profile(&authenticated.parameters);
    let of = (authenticated.identity.clone(), authenticated.receipts.clone());
    let opened = tokio::select! {
        biased;
        ending = enlisted.ended() => Err(over(ending)),
        opened = open_shared(&authenticated, &environment, &sharing, &profile) => opened,
    };
    let (mut upstream, slot, path) = match opened {
        Ok(opened) => opened,
        Err(error) => return turn_away(authenticated.stream, &error, &environment, (&of.0, &of.1)).await,
    };
    upstream.calls_itself(application.as_ref());
    enlisted.attached(slot);
    let pooling = Pooling::new(sharing, enlisted.aim_of(), profile, application);
    match begin(authenticated, &environment, upstream, (slot, path), (&enlisted, Some(pooling))) {
        Ok(session) => go_on(session, enlisted, Hold::Shared).await,
        Err((stream, error)) => turn_away(stream, &error, &environment, (&of.0, &of.1)).await,
    }
}

/// A connection for a whole session. What others have left on it is gone, or was never there.
async fn open_kept(of: &Authenticated, environment: &Environment) -> Result<Opened, SessionError> {
    let sharing = environment.pool.shared();
    let mut profile = of.parameters.clone();
    // It is always the same.
    profile.remove("client_encoding");
    let profile = Arc::new(profile);
    loop {
        let mut shared = sharing.acquire(Taker { slot: None, principal: of.principal, profile: &profile }).await?;
        let used = shared.lease.used;
        match shared.clean().await {
            Ok(()) => {}
            // It was dead, and is gone now.
            Err(UpstreamError::Lost(_)) if used => continue,
            Err(error) => return Err(error.into()),
        }
        let Shared { link, mut lease } = shared;
        lease.trace.kept();
        let (parameters, path) = ((*lease.parameters).clone(), PathTracker::new(settings::parse(&lease.path)));
        let mut upstream = Opening { link, parameters, process_id: lease.process_id };
        let slot = match upstream.attach(of, environment).await {
            Ok(slot) => slot,
            Err(SessionError::UpstreamLost(_)) if used => continue,
            Err(error) => return Err(error),
        };
        upstream.calls_itself(of.parameters.get("application_name"));
        let secret_key = lease.secret_key.clone();
        return Ok(Opened { upstream, secret_key, slot, path, hold: Hold::Kept(sharing.clone(), Box::new(lease)) });
    }
}

/// Attaches a session on a connection that is given back at once: the session's first statement takes its turn like any other.
async fn open_shared(
    of: &Authenticated,
    environment: &Environment,
    sharing: &Arc<Sharing>,
    profile: &Profile,
) -> Result<(Opening, i64, PathTracker), SessionError> {
    loop {
        let shared = sharing.acquire(Taker { slot: None, principal: of.principal, profile }).await?;
        match open_on(shared, of, environment, sharing).await {
            // It was dead, and is gone now.
            Err(SessionError::UpstreamLost(_)) => {}
            opened => return opened,
        }
    }
}

async fn open_on(
    mut shared: Shared,
    of: &Authenticated,
    environment: &Environment,
    sharing: &Arc<Sharing>,
) -> Result<(Opening, i64, PathTracker), SessionError> {
    let lease = &mut shared.lease;
    let (parameters, path) = ((*lease.parameters).clone(), PathTracker::new(settings::parse(&lease.path)));
    let mut opening = Opening { link: shared.link, parameters, process_id: lease.process_id };
    if !lease.trace.applied.is_empty() {
        opening.converse(Housekeeping::ResetAll).await?.map_err(|error| SessionError::Attach(error.message))?;
    }
    lease.trace.taken_apart();
    let slot = opening.attach(of, environment).await?;
    let link = std::mem::replace(&mut opening.link, Link::parked());
    sharing.release(Shared { link, lease: shared.lease });
    opening.parameters.remove("application_name");
    Ok((opening, slot, path))
}

fn over(ending: Ending) -> SessionError {
    match ending {
        Ending::Revoked => SessionError::Revoked,
        Ending::Draining => SessionError::Draining,
    }
}

/// An upstream connection on its way to being a session's.
struct Opening {
    link: Link,
    parameters: BTreeMap<String, String>,
    process_id: i32,
}

impl Opening {
    /// Gives the connection its identity; the identity's slot and the search path.
    async fn open(&mut self, of: &Authenticated, environment: &Environment) -> Result<(i64, PathTracker), SessionError> {
        let slot = self.attach(of, environment).await?;
        let shown = self.converse(Housekeeping::ShowSearchPath).await?.map_err(|error| SessionError::Attach(error.message))?;
        let shown = shown.rows.into_iter().flatten().flatten().next().unwrap_or_default();
        Ok((slot, PathTracker::new(settings::parse(&shown))))
    }

    /// What a client is told that `application_name` is.
    fn calls_itself(&mut self, application: Option<&String>) {
        let told = application.cloned().unwrap_or_else(|| "pgusher".to_owned());
        self.parameters.insert("application_name".to_owned(), told);
    }

    async fn attach(&mut self, of: &Authenticated, environment: &Environment) -> Result<i64, SessionError> {
        let (key, proxy) = (environment.key.load_full(), environment.registry.proxy());
        let (payload, signature) = key.attach(proxy, self.process_id, None, of.principal, &of.token, &of.bearing, &of.actors);
        let attach = Housekeeping::Attach { payload: &payload, signature: &signature, inside: false };
        slot(&self.converse(attach).await?.map_err(|error| SessionError::Attach(error.message))?)
    }

    async fn converse(&mut self, statement: Housekeeping<'_>) -> Result<Result<Answer, Report>, SessionError> {
        let parameters = &mut self.parameters;
        let mut aside = |tag: BackendTag, frame: &[u8]| {
            if tag == BackendTag::ParameterStatus
                && let Ok((name, value)) = backend::parameter_status(frame.get(HEADER..).unwrap_or_default())
            {
                parameters.insert(name.to_owned(), value.to_owned());
            }
        };
        match converse(&mut self.link, &statement, End::Sync, Status::Idle, &mut aside).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(ConverseError::Refused { error, .. }) => Ok(Err(Report::error(SqlState::from_code(&error.code), error.message))),
            Err(ConverseError::Lost(cause)) => Err(SessionError::UpstreamLost(cause)),
        }
    }
}

fn slot(answer: &Answer) -> Result<i64, SessionError> {
    let text = answer.rows.iter().flatten().flatten().next().map_or("", String::as_str);
    text.parse().map_err(|_| SessionError::Attach("attach answered no number".to_owned()))
}

/// The session at its first ReadyForQuery.
fn begin(
    of: Authenticated,
    environment: &Arc<Environment>,
    upstream: Opening,
    (slot, path): (i64, PathTracker),
    (enlisted, pooling): (&Enlisted, Option<Pooling>),
) -> Result<Session, (ClientStream, SessionError)> {
    let footing = match environment.governor.footing() {
        Ok(footing) => footing,
        Err(report) => return Err((of.stream, SessionError::Footing(Box::new(report)))),
    };
    let who = Who {
        principal: of.principal,
        name: of.name,
        token: of.token,
        bearing: of.bearing,
        admin: of.admin,
        process_id: upstream.process_id,
        shown_process_id: enlisted.key().process_id,
        slot,
    };
    let Some(subject) = who.subject(&footing.policies) else {
        return Err((of.stream, SessionError::Revoked));
    };
    let identity = of.identity.clone();
    let receipts = of.receipts.clone();
    let expires = of.expires.map(|at| Instant::now() + at.duration_since(SystemTime::now()).unwrap_or_default());
    let mut exchange = Exchange::new(of.stream, of.read_ahead, upstream.link, Clock::new(expires, environment.idle), receipts);
    // The login is on record before the client hears of it.
    exchange.hold(true);
    let out = &mut exchange.outbox;
    backend::write_authentication_ok(out);
    for (name, value) in upstream.parameters.iter().filter(|(name, _)| !HIDDEN_PARAMETERS.contains(&name.as_str())) {
        backend::write_parameter(out, name, value);
    }
    backend::write_parameter(out, "session_authorization", &who.name);
    backend::write_parameter(out, "is_superuser", "off");
    backend::write_key(out, enlisted.key().process_id, &enlisted.key().secret);
    backend::write_ready(out, Status::Idle);
    Ok(Session::new(Start { environment: environment.clone(), who, identity, exchange, path, footing, subject, pooling }))
}

/// Tells a client that has no session yet why it gets none.
async fn turn_away(
    stream: ClientStream,
    error: &SessionError,
    environment: &Environment,
    (who, receipts): (&Arc<Identity>, &Receipts),
) {
    log(error, environment);
    let (session, address, user) = (who.session, who.address, who.principal.clone());
    environment.events.emit_for(Event::LoginRefused { session, address, user, reason: error.to_string().into() }, receipts);
    // It is turned away all the same when that cannot be written.
    if !matches!(error, SessionError::Unrecorded) {
        let _ = receipts.all().await;
    }
    use tokio::io::AsyncWriteExt;
    let mut stream = stream;
    let mut out = bytes::BytesMut::new();
    Report::from(error).write(&mut out);
    let farewell = async {
        if stream.write_all(&out).await.is_ok() {
            let _ = stream.shutdown().await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), farewell).await;
}

/// Ends a session: the client is told why, and nothing goes on upstream.
async fn end(mut session: Session, enlisted: Enlisted, served: Result<(), SessionError>, hold: Hold) {
    let environment = session.environment.clone();
    let between = served.is_ok();
    session.record_unfinished(served.as_ref().err());
    if let Err(error) = &served {
        log(error, &environment);
        if matches!(error, SessionError::Revoked | SessionError::Expired) {
            let event = Event::Revoked { who: session.identity.clone(), reason: error.to_string().into() };
            environment.events.emit_for(event, &session.exchange.receipts);
            session.hold();
        }
        // What still runs must not go on.
        if !session.expected.is_empty() && !matches!(error, SessionError::UpstreamLost(_) | SessionError::CommitUnknown(_)) {
            let _ = enlisted.cancel().await;
        }
        let error = served.err().map(|error| session.commit_unknown(error));
        let gone = matches!(error, Some(SessionError::ClientGone(_)) | None);
        let between_frames = match error {
            Some(SessionError::Unrecorded) => session.exchange.abandon(),
            Some(_) | None => !matches!(session.upstream_rest, Rest::Relay(_)),
        };
        // Nothing can be said inside a frame that the client has in part.
        if let Some(error) = error
            && !gone
            && !session.told_fatal
            && between_frames
        {
            Report::from(&error).write(&mut session.exchange.outbox);
        }
        if !gone {
            session.exchange.farewell().await;
        }
    } else {
        session.exchange.farewell().await;
    }
    if between {
        // Nothing of it is left on the connection, or it would not be given back.
        if let Err(error) = session.give_back().await.map(|_| ()) {
            log(&error, &environment);
        }
    }
    enlisted.disarm().await;
    match hold {
        Hold::Kept(sharing, lease) if between && session.can_be_followed() => {
            // It is given back clean: nobody shall wait for that at a login.
            let mut shared = Shared { link: session.exchange.link, lease: *lease };
            let cleaned = tokio::time::timeout(CLEANING, shared.clean()).await;
            if matches!(cleaned, Ok(Ok(()))) {
                sharing.release(shared);
            }
        }
        Hold::Kept(..) | Hold::Own(_) | Hold::Shared => session.exchange.part().await,
    }
}

/// How long upstream may take to forget a session.
const CLEANING: Duration = Duration::from_secs(10);

fn log(error: &SessionError, environment: &Environment) {
    match error {
        SessionError::Upstream(_)
        | SessionError::UpstreamLost(_)
        | SessionError::CommitUnknown(_)
        | SessionError::Nonsense(_)
        | SessionError::Attach(_)
        | SessionError::Footing(_)
        | SessionError::Broken(_) => {
            environment.events.emit(Event::Trouble { part: "session", message: error.to_string().into() });
        }
        SessionError::ClientGone(_)
        | SessionError::Frame(_)
        | SessionError::UnknownTag(_)
        | SessionError::Revoked
        | SessionError::Expired
        | SessionError::Draining
        | SessionError::Unrecorded
        | SessionError::Idle
        | SessionError::IdleInTransaction => {}
    }
}

impl Session {
    /// Gives the connection its identity again, under the slot it had.
    pub(super) async fn attach_again(&mut self) -> Result<(), SessionError> {
        self.detached = false;
        let key = self.environment.key.load();
        let (payload, signature) = key.attach(
            self.environment.registry.proxy(),
            self.who.process_id,
            Some(self.who.slot),
            self.who.principal,
            &self.who.token,
            &self.who.bearing,
            &[],
        );
        drop(key);
        let attach = Housekeeping::Attach { payload: &payload, signature: &signature, inside: self.block };
        self.converse(attach).await?.map_err(|report| SessionError::Attach(report.message))?;
        if let Some(pooling) = &mut self.pooling {
            pooling.attached(self.who.slot);
        }
        Ok(())
    }

    /// A connection that is lost while a COMMIT is outstanding leaves its outcome unknown.
    fn commit_unknown(&self, error: SessionError) -> SessionError {
        use super::expected::Expected;
        use crate::sql::{Effect, Transaction};
        let mut parts = self.expected.iter().filter_map(Expected::running).flat_map(|r| &r.script).flat_map(|script| &script.parts);
        let commits = parts.any(|part| matches!(part.rewritten.effect(), Effect::Transaction(Transaction::Commit { .. })));
        match error {
            SessionError::UpstreamLost(cause) if commits => SessionError::CommitUnknown(cause),
            error => error,
        }
    }
}
