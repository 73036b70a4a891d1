//! A session from its first to its last byte: an upstream connection with the principal's identity, the greeting, the loop, the end.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::environment::Environment;
use super::exchange::{Clock, Exchange};
use super::pooling::{self, APPLICATION_NAME, Pooling};
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
use crate::upstream::{
    Attachment, Carried, Claim, Connection, Ending, Enlisted, Lease, Login, Opens, Permit, Shared, Sharing, Taker, UpstreamError,
    written,
};
use crate::wire::backend::{self, Status};
use crate::wire::frame::HEADER;
use crate::wire::{BackendTag, ClientStream};

/// Serves a client that has shown a good token, until one of us has had enough. What comes before the session and behind it takes more
/// memory than a session that waits for its client, and for a moment only: both are guests of its task.
pub fn run(authenticated: Authenticated, environment: Arc<Environment>) -> impl Future<Output = ()> + Send {
    let opening = Box::pin(open(authenticated, environment));
    async move {
        let Some(Open { mut session, enlisted, hold }) = opening.await else { return };
        let served = tokio::select! {
            biased;
            ending = enlisted.ended() => Err(over(ending)),
            served = session.serve() => served.map_err(SessionError::refine),
        };
        Box::pin(end(session, enlisted, served, hold)).await;
    }
}

/// A session that has been greeted.
struct Open {
    session: Box<Session>,
    enlisted: Enlisted,
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

/// Gives a client its session, or tells it why there is none.
async fn open(authenticated: Authenticated, environment: Arc<Environment>) -> Option<Open> {
    let enlisted = environment.registry.enlist(
        authenticated.minor,
        authenticated.session,
        authenticated.principal,
        authenticated.token.clone(),
    );
    let of = (authenticated.identity.clone(), authenticated.receipts.clone());
    let ready = match enlisted.ending() {
        Some(ending) => Err(over(ending)),
        None if !environment.events.admit() => Err(SessionError::Unrecorded),
        None => tokio::select! {
            biased;
            ending = enlisted.ended() => Err(over(ending)),
            ready = attached(&authenticated, &environment, &enlisted) => ready,
        },
    };
    let begun = match ready {
        Ok(ready) => begin(authenticated, &environment, ready, &enlisted),
        Err(error) => Err((authenticated.stream, error)),
    };
    match begun {
        Ok((session, hold)) => Some(Open { session: Box::new(session), enlisted, hold }),
        Err((stream, error)) => {
            turn_away(stream, &error, &environment, (&of.0, &of.1)).await;
            None
        }
    }
}

/// What a session begins with upstream.
struct Ready {
    upstream: Opening,
    attachment: Arc<Attachment>,
    path: PathTracker,
    /// What the client is told that `application_name` is, where upstream was not asked for its own.
    told: Option<String>,
    /// Its part in sharing connections.
    pooling: Option<Pooling>,
    hold: Hold,
}

async fn attached(of: &Authenticated, environment: &Environment, enlisted: &Enlisted) -> Result<Ready, SessionError> {
    let ready = if of.admin {
        own(of, environment, enlisted).await?
    } else {
        match of.pool_mode.unwrap_or(environment.pool.mode()) {
            PoolMode::Session => keep(of, environment, enlisted).await?,
            PoolMode::Transaction => share(of, environment, enlisted).await?,
        }
    };
    enlisted.attached(ready.attachment.slot);
    Ok(ready)
}

/// A connection that ends with the session.
async fn own(of: &Authenticated, environment: &Environment, enlisted: &Enlisted) -> Result<Ready, SessionError> {
    let connection = environment.pool.acquire(Login::Control, &of.parameters).await?;
    let Connection { stream, read_ahead, parameters, process_id, secret_key, permit } = connection;
    let mut upstream = Opening { link: Link::new(stream, read_ahead), parameters: Arc::new(parameters), process_id };
    let Attached { attachment, path } = upstream.attach(of, environment, &Opens::default(), None).await?;
    enlisted.aim(process_id, secret_key).await;
    let path = PathTracker::new(settings::parse(&path));
    Ok(Ready { upstream, attachment, path, told: None, pooling: None, hold: Hold::Own(permit) })
}

/// A connection for a whole session, which others had before and will have after. What they have left on it is gone, or was never there.
async fn keep(of: &Authenticated, environment: &Environment, enlisted: &Enlisted) -> Result<Ready, SessionError> {
    let sharing = environment.pool.shared();
    let profile = Arc::new(settings::given(&of.parameters));
    loop {
        let mut shared = sharing.acquire(Taker { attachment: None, principal: of.principal, profile: &profile }).await?;
        let used = shared.lease.used;
        match shared.clean().await {
            Ok(()) => {}
            // It was dead, and is gone now.
            Err(UpstreamError::Lost(_)) if used => continue,
            Err(error) => return Err(error.into()),
        }
        let found = shared.opens(&Carried::default());
        let Shared { link, mut lease } = *shared;
        lease.trace.kept();
        let mut upstream = Opening { link, parameters: lease.parameters.clone(), process_id: lease.process_id };
        let Attached { attachment, path } = match upstream.attach(of, environment, &found, None).await {
            Ok(attached) => attached,
            Err(SessionError::UpstreamLost(_)) if used => continue,
            Err(error) => return Err(error),
        };
        lease.has_path(&path);
        let path = PathTracker::new(settings::parse(&path));
        enlisted.aim(lease.process_id, lease.secret_key.clone()).await;
        let told = Some(called(of.parameters.get(APPLICATION_NAME)));
        return Ok(Ready { upstream, attachment, path, told, pooling: None, hold: Hold::Kept(sharing.clone(), lease) });
    }
}

/// Attaches a session on a connection that is given back at once. The session's first statement takes its turn like any other, but for
/// one that finds the connection as it is left here.
async fn share(of: &Authenticated, environment: &Environment, enlisted: &Enlisted) -> Result<Ready, SessionError> {
    let sharing = environment.pool.shared();
    let (profile, application) = pooling::profile(&of.parameters);
    let told = Some(called(application.as_ref()));
    let mut pooling = Pooling::new(sharing.clone(), enlisted.aim_of(), profile.clone(), application);
    loop {
        let shared = sharing.acquire(Taker { attachment: None, principal: of.principal, profile: &profile }).await?;
        match attach_on(shared, of, environment, pooling.carried()).await {
            Ok((shared, attachment)) => {
                let (parameters, process_id) = (shared.lease.parameters.clone(), shared.lease.process_id);
                let path = PathTracker::new(settings::parse(&shared.lease.path));
                pooling.begins_by(shared.lease.path.clone());
                sharing.release(shared);
                let upstream = Opening { link: Link::parked(), parameters, process_id };
                return Ok(Ready { upstream, attachment, path, told, pooling: Some(pooling), hold: Hold::Shared });
            }
            // It was dead, and is gone now.
            Err(SessionError::UpstreamLost(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Attaches a session on a shared connection, and sets its settings where nothing else is left there by others; the session's number.
async fn attach_on(
    mut shared: Box<Shared>,
    of: &Authenticated,
    environment: &Environment,
    carried: &Carried,
) -> Result<(Box<Shared>, Arc<Attachment>), SessionError> {
    let found = shared.opens(carried);
    let Shared { link, mut lease } = *shared;
    let mut upstream = Opening { link, parameters: lease.parameters.clone(), process_id: lease.process_id };
    let settings = found.restore.then(|| written(carried));
    let Attached { attachment, path } = upstream.attach(of, environment, &found, settings.as_deref()).await?;
    if found.bare || found.reset {
        lease.has_path(&path);
    }
    let mut shared = Box::new(Shared { link: upstream.link, lease });
    shared.opened(&attachment, &found, carried);
    Ok((shared, attachment))
}

/// What a client is told that `application_name` is.
fn called(application: Option<&String>) -> String {
    application.cloned().unwrap_or_else(|| "pgusher".to_owned())
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
    parameters: Arc<BTreeMap<String, String>>,
    process_id: i32,
}

/// What upstream answers to an attach.
struct Attached {
    /// By which it knows the session.
    attachment: Arc<Attachment>,
    /// The search path.
    path: String,
}

impl Opening {
    /// Gives the connection, as it is found, its identity, and settings, in one round trip.
    async fn attach(
        &mut self,
        of: &Authenticated,
        environment: &Environment,
        found: &Opens,
        settings: Option<&str>,
    ) -> Result<Attached, SessionError> {
        let version = environment.registry.attachments.version();
        let mut answer = self.try_to_attach(of, environment, found.reset, settings, found.writes.is_some()).await?;
        if let (Err(error), Some(writes)) = (&answer, &found.writes)
            && error.code == SqlState::READ_ONLY_SQL_TRANSACTION
        {
            // Nothing of it has happened.
            writes.store(false, Ordering::Relaxed);
            answer = self.try_to_attach(of, environment, found.reset, settings, false).await?;
        }
        let answer = answer.map_err(|error| {
            if error.code == SqlState::INVALID_PASSWORD {
                SessionError::NotGood { user: of.user.clone(), by: of.by }
            } else {
                SessionError::Attach(error.message)
            }
        })?;
        let mut columns = answer.rows.into_iter().flatten();
        let slot = columns.next().flatten().and_then(|slot| slot.parse().ok());
        let slot = slot.ok_or_else(|| SessionError::Attach("attach answered no number".to_owned()))?;
        let claim =
            Claim { principal: of.principal, token: of.token.clone(), bearing: of.bearing.clone(), actors: of.actors.clone() };
        let attachment = environment.registry.attachments.made(slot, claim, version);
        Ok(Attached { attachment, path: columns.next().flatten().unwrap_or_default() })
    }

    async fn try_to_attach(
        &mut self,
        of: &Authenticated,
        environment: &Environment,
        reset: bool,
        settings: Option<&str>,
        as_it_is: bool,
    ) -> Result<Result<Answer, Report>, SessionError> {
        let (key, proxy) = (environment.key.load_full(), environment.registry.proxy());
        let (payload, signature) = key.attach(proxy, self.process_id, None, of.principal, &of.token, &of.bearing, &of.actors);
        let attach = Housekeeping::Attach { payload: &payload, signature: &signature, as_it_is };
        if reset {
            self.link.stand_in(&Housekeeping::ResetAll);
        }
        let Some(settings) = settings else { return self.converse(attach).await };
        self.link.stand_in(&attach);
        self.converse(Housekeeping::Restore { settings }).await
    }

    async fn converse(&mut self, statement: Housekeeping<'_>) -> Result<Result<Answer, Report>, SessionError> {
        let parameters = &mut self.parameters;
        let mut aside = |tag: BackendTag, frame: &[u8]| {
            if tag == BackendTag::ParameterStatus
                && let Ok((name, value)) = backend::parameter_status(frame.get(HEADER..).unwrap_or_default())
                && name != APPLICATION_NAME
            {
                Arc::make_mut(parameters).insert(name.to_owned(), value.to_owned());
            }
        };
        match converse(&mut self.link, &statement, End::Sync, Status::Idle, &mut aside).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(ConverseError::Refused { error, .. }) => Ok(Err(Report::error(SqlState::from_code(&error.code), error.message))),
            Err(ConverseError::Lost(cause)) => Err(SessionError::UpstreamLost(cause)),
        }
    }
}

/// The session at its first ReadyForQuery.
fn begin(
    of: Authenticated,
    environment: &Arc<Environment>,
    ready: Ready,
    enlisted: &Enlisted,
) -> Result<(Session, Hold), (ClientStream, SessionError)> {
    let Ready { upstream, attachment, path, told, pooling, hold } = ready;
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
        attachment,
    };
    let Some(subject) = who.subject(&footing.policies) else {
        return Err((of.stream, SessionError::Revoked));
    };
    let identity = of.identity.clone();
    let receipts = of.receipts.clone();
    let expires = of.expires.map(|at| Instant::now() + at.duration_since(SystemTime::now()).unwrap_or_default());
    // What comes after a login seldom comes with it: then the room for that is given back.
    let read_ahead = if of.read_ahead.is_empty() { BytesMut::new() } else { of.read_ahead };
    let mut exchange = Exchange::new(of.stream, read_ahead, upstream.link, Clock::new(expires, environment.idle), receipts);
    // The login is on record before the client hears of it.
    exchange.hold(true);
    let out = &mut exchange.outbox;
    out.reserve(GREETING);
    backend::write_authentication_ok(out);
    let hidden = |name: &str| HIDDEN_PARAMETERS.contains(&name) || (told.is_some() && name == APPLICATION_NAME);
    for (name, value) in upstream.parameters.iter().filter(|(name, _)| !hidden(name)) {
        backend::write_parameter(out, name, value);
    }
    if let Some(told) = &told {
        backend::write_parameter(out, APPLICATION_NAME, told);
    }
    backend::write_parameter(out, "session_authorization", &who.name);
    backend::write_parameter(out, "is_superuser", "off");
    backend::write_key(out, enlisted.key().process_id, &enlisted.key().secret);
    backend::write_ready(out, Status::Idle);
    let environment = environment.clone();
    Ok((Session::new(Start { environment, who, identity, exchange, path, footing, subject, pooling }), hold))
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
    let mut out = BytesMut::new();
    Report::from(error).write(&mut out);
    let farewell = async {
        if stream.write_all(&out).await.is_ok() {
            let _ = stream.shutdown().await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), farewell).await;
}

/// Ends a session: the client is told why, and nothing goes on upstream.
async fn end(mut session: Box<Session>, enlisted: Enlisted, served: Result<(), SessionError>, hold: Hold) {
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
        if session.may_give_back()
            && let Err(error) = session.give_back().await
        {
            log(&error, &environment);
        }
    }
    enlisted.disarm().await;
    match hold {
        Hold::Kept(sharing, lease) if between && session.can_be_followed() => {
            // It is given back clean: nobody shall wait for that at a login.
            let mut shared = Box::new(Shared { link: session.exchange.link, lease });
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

/// How often a connection is given its identity, if that is canceled.
const ATTACHING: usize = 8;

/// The bytes of a usual greeting, most of them parameters.
const GREETING: usize = 768;

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
        | SessionError::NotGood { .. }
        | SessionError::Revoked
        | SessionError::Expired
        | SessionError::Draining
        | SessionError::Unrecorded
        | SessionError::Idle
        | SessionError::IdleInTransaction => {}
    }
}

impl Session {
    /// Gives the connection its identity again, under the slot it had. In a transaction that only reads that cannot be done, and in others a
    /// cancel may hit it: the transaction has failed then, with this error, and the identity comes back when it is over. A cancel
    /// outside of them came too late for what it was meant for, and is as good as none.
    pub(super) async fn attach_again(&mut self) -> Result<Result<(), Report>, SessionError> {
        self.detached = false;
        let mut within = self.block || self.lingering;
        let (mut tried, mut failed) = (0, None);
        while let Err(report) = self.attach_once(within).await? {
            tried += 1;
            let told = match report.code {
                SqlState::QUERY_CANCELED if tried < ATTACHING => report,
                SqlState::READ_ONLY_SQL_TRANSACTION if within => Report {
                    hint: Some("Do it outside of the transaction, or in one that writes.".into()),
                    ..Report::error(report.code, "cannot execute DISCARD SEQUENCES in a read-only transaction")
                },
                _ => return Err(SessionError::Attach(report.message)),
            };
            if self.status == Status::Failed {
                self.detached = true;
                return Ok(Err(told));
            }
            if self.skipping {
                // A batch's transaction that went on behind a Query: it is over.
                self.send_sync(false);
                self.quiesce().await?;
                (within, failed) = (false, Some(told));
            }
        }
        if let Some(pooling) = &mut self.pooling {
            pooling.attached(&self.who.attachment);
        }
        if !within {
            self.restore_name().await?;
        }
        Ok(failed.map_or(Ok(()), Err))
    }

    async fn attach_once(&mut self, within: bool) -> Result<Result<(), Report>, SessionError> {
        let key = self.environment.key.load();
        let (payload, signature) = key.attach(
            self.environment.registry.proxy(),
            self.who.process_id,
            Some(self.who.attachment.slot),
            self.who.principal,
            &self.who.token,
            &self.who.bearing,
            &[],
        );
        drop(key);
        let attach = Housekeeping::Attach { payload: &payload, signature: &signature, as_it_is: within };
        Ok(self.converse(attach).await?.map(drop))
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
