//! Negotiated → authenticated: the credential checked, then what else the startup packet asks for.
//!
//! PostgreSQL's order: nothing about databases or settings is said to somebody who has not shown a token.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;

use super::ask::Way;
use super::intake::Failure;
use super::negotiate::{AcceptedFacts, Negotiated};
use super::packet::Named;
use super::parameters::{self, Admitted};
use super::{Admission, Authenticated, Rules, TlsDemand};
use crate::authn::{self, Asked, Directory, Purpose};
use crate::error::edge::StartupError;
use crate::event::{Identity, Receipts};
use crate::upstream::connect::is_loopback;
use crate::wire::ClientStream;

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
            let wanted = admitted.as_ref().ok().and_then(|admitted| admitted.auth);
            let way = Way::of(rules, wanted, &intake.stream, &user)?;
            let mut before = BytesMut::new();
            if let Some(negotiate) = negotiate {
                negotiate.write(&mut before);
            }
            let asked = Asked { user: &user, purpose: Purpose::Sql, create: database == rules.database, attaches: true };
            let proven = way.prove(&mut intake, before, asked, (directory, rules)).await?;
            let refused = |refusal| StartupError::Refused { user: Arc::clone(&user), refusal, by: way.method() };
            let proven = proven.map_err(refused)?;
            if database != rules.database {
                return Err(StartupError::Database(Arc::clone(&database)));
            }
            let Admitted { mut settings, on_behalf_of, pool_mode, auth: _ } = admitted?;
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
            Ok((proven, settings, pool_mode, way.method()))
        }
        .await;
        match outcome {
            Ok((proven, parameters, pool_mode, by)) => Ok(Authenticated {
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
                user,
                by,
                admin: proven.admin,
                bearing: proven.bearing,
                actors: proven.actors,
                created: proven.created,
                token: proven.token,
                expires: proven.expires,
                parameters,
                pool_mode,
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
