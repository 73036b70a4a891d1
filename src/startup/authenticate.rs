//! Negotiated → authenticated: the token checked, then what else the startup packet asks for.
//!
//! PostgreSQL's order: nothing about databases or settings is said to somebody who has not shown a token.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;

use super::bearer;
use super::intake::{Failure, Intake, Secret};
use super::negotiate::{AcceptedFacts, Negotiated};
use super::packet::{Named, Negotiate};
use super::parameters::{self, Admitted};
use super::{Admission, Authenticated, Rules, TlsDemand};
use crate::authn::{self, Asked, Directory, Purpose};
use crate::config::BearerLogin;
use crate::error::edge::{Malformed, StartupError};
use crate::event::{Identity, Receipts};
use crate::upstream::connect::is_loopback;
use crate::wire::ClientStream;

/// AuthenticationCleartextPassword.
const ASK: &[u8] = b"R\0\0\0\x08\0\0\0\x03";

/// What sessions by a token for reading set upstream, whatever the client asks for: PostgreSQL, too, refuses what such a session would write.
const READING: (&str, &str) = ("default_transaction_read_only", "on");

impl Negotiated {
    pub(super) async fn authenticate(self, rules: &Rules, directory: &dyn Directory) -> Result<Authenticated, Failure> {
        let Negotiated { accepted, mut intake, startup } = self;
        let (minor, negotiate) = (startup.minor, startup.negotiate.clone());
        let named = startup.named();
        let user: Arc<str> = Arc::from(named.user.as_deref().unwrap_or_default());
        let database: Arc<str> = Arc::from(named.database.as_deref().filter(|name| !name.is_empty()).unwrap_or(&user));
        let outcome = async {
            admit(&accepted, &named, &user)?;
            check_privacy(&intake.stream, accepted.address, rules)?;
            // What is wrong with it is told afterwards.
            let admitted = parameters::admit(named.options.as_deref(), &named.settings);
            let way = way(rules, admitted.as_ref().is_ok_and(|admitted| admitted.bearer), &user)?;
            let given = ask(&mut intake, negotiate, way, &user).await?;
            let asked = Asked { user: &user, purpose: Purpose::Sql, create: database == rules.database };
            let proven = match authn::prove(given.as_bytes(), asked, directory, &rules.issuers).await? {
                Ok(proven) => proven,
                Err(refusal) => {
                    if let Way::Bearer(discovery) = way {
                        send_away(&mut intake, discovery).await?;
                    }
                    let bearer = matches!(way, Way::Bearer(_));
                    return Err(StartupError::Refused { user: Arc::clone(&user), refusal, bearer });
                }
            };
            drop(given);
            if database != rules.database {
                return Err(StartupError::Database(Arc::clone(&database)));
            }
            let Admitted { mut settings, on_behalf_of, .. } = admitted?;
            let proven = match on_behalf_of {
                Some(person) => {
                    let actor = Arc::clone(&proven.name);
                    let acting = authn::act(proven, &person, Purpose::Sql, directory, &rules.issuers).await?;
                    acting.map_err(|refusal| StartupError::NotActing { actor, refusal })?
                }
                None => proven,
            };
            if proven.bearing.reading {
                settings.insert(READING.0.to_owned(), READING.1.to_owned());
            }
            Ok((proven, settings))
        }
        .await;
        match outcome {
            Ok((proven, parameters)) => Ok(Authenticated {
                identity: Arc::new(Identity {
                    session: accepted.session,
                    principal: Arc::clone(&proven.name),
                    actors: proven.actors.clone(),
                    token: Arc::clone(&proven.token),
                    address: accepted.address,
                    application: Arc::from(parameters.get("application_name").map_or("", String::as_str)),
                    database: Arc::clone(&database),
                }),
                receipts: Receipts::default(),
                stream: intake.stream,
                read_ahead: intake.buffer,
                principal: proven.principal,
                name: proven.name,
                admin: proven.admin,
                bearing: proven.bearing,
                actors: proven.actors,
                created: proven.created,
                token: proven.token,
                expires: proven.expires,
                parameters,
                database,
                minor,
                address: accepted.address,
                session: accepted.session,
            }),
            Err(error) => Err(intake.fail(error).of(&user)),
        }
    }
}

/// What can be refused before a token is asked for.
fn admit(accepted: &AcceptedFacts, named: &Named, user: &str) -> Result<(), StartupError> {
    if user.is_empty() {
        return Err(StartupError::NoUser);
    }
    if named.wants_replication() {
        return Err(StartupError::Replication);
    }
    match accepted.admission {
        Admission::Open => Ok(()),
        Admission::Full => Err(StartupError::Full),
        Admission::Draining => Err(StartupError::Draining),
    }
}

/// A token is read only where nobody can read along: inside TLS, from this machine, or from a Unix socket.
fn check_privacy(stream: &ClientStream, address: Option<IpAddr>, rules: &Rules) -> Result<(), StartupError> {
    let required = StartupError::TlsRequired { offered: rules.tls.is_some() };
    match stream {
        ClientStream::Tls(_) | ClientStream::Unix(_) => Ok(()),
        ClientStream::Tcp(_) => match rules.demand {
            TlsDemand::Prefer if address.is_some_and(is_loopback) => Ok(()),
            TlsDemand::Prefer | TlsDemand::Require => Err(required),
        },
        #[cfg(test)]
        ClientStream::Memory(_) => Ok(()),
    }
}

/// How a token is asked for.
#[derive(Clone, Copy)]
enum Way<'a> {
    Password,
    /// SASL OAUTHBEARER, and what a client without a good token is told.
    Bearer(&'a str),
}

/// A message asks for one way, so it has to be known before: by the configuration, or by what the startup packet says.
fn way<'a>(rules: &'a Rules, wanted: bool, user: &Arc<str>) -> Result<Way<'a>, StartupError> {
    match (rules.bearer.login, rules.bearer.discovery.as_deref()) {
        (BearerLogin::Always, Some(discovery)) => Ok(Way::Bearer(discovery)),
        (BearerLogin::Asked, Some(discovery)) if wanted => Ok(Way::Bearer(discovery)),
        _ if wanted => Err(StartupError::NoBearer { user: Arc::clone(user), told: false }),
        _ => Ok(Way::Password),
    }
}

/// Asks for the token.
async fn ask(intake: &mut Intake, negotiate: Option<Negotiate>, way: Way<'_>, user: &Arc<str>) -> Result<Secret, StartupError> {
    let mut out = BytesMut::with_capacity(ASK.len());
    if let Some(negotiate) = negotiate {
        negotiate.write(&mut out);
    }
    let Way::Bearer(discovery) = way else {
        out.extend_from_slice(ASK);
        intake.send(&out).await?;
        let given = intake.password().await?;
        return if given.as_bytes().is_empty() { Err(StartupError::NoToken) } else { Ok(given) };
    };
    bearer::write_ask(&mut out);
    intake.send(&out).await?;
    let first = intake.response().await?;
    let message = match bearer::initial(first.as_bytes()).map_err(StartupError::Malformed)? {
        Some(within) => first.part(within),
        None => {
            challenge(intake, &[]).await?;
            intake.response().await?
        }
    };
    match bearer::token(message.as_bytes()).map_err(StartupError::Malformed)? {
        Some(within) => Ok(message.part(within)),
        None => {
            send_away(intake, discovery).await?;
            Err(StartupError::NoBearer { user: Arc::clone(user), told: true })
        }
    }
}

/// Tells a client where tokens are to be had, and hears that it has heard.
async fn send_away(intake: &mut Intake, discovery: &str) -> Result<(), StartupError> {
    challenge(intake, discovery.as_bytes()).await?;
    let heard = intake.response().await?;
    if bearer::is_nothing_more(heard.as_bytes()) { Ok(()) } else { Err(StartupError::Malformed(Malformed::Sasl)) }
}

async fn challenge(intake: &mut Intake, data: &[u8]) -> Result<(), StartupError> {
    let mut out = BytesMut::new();
    bearer::write_challenge(&mut out, data);
    intake.send(&out).await
}
