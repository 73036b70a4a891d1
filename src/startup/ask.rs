//! How a client is asked who it is, and what it answers.

use std::sync::Arc;

use bytes::BytesMut;

use super::intake::{Intake, Secret};
use super::{Rules, bearer, sasl};
use crate::authn::scram::{Answered, First, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use crate::authn::{self, Asked, Directory, Proven, Refusal, Shown};
use crate::config::{CertificateRole, SaslLogin};
use crate::error::edge::{Malformed, Method, StartupError};
use crate::wire::ClientStream;

/// AuthenticationCleartextPassword.
const ASK: &[u8] = b"R\0\0\0\x08\0\0\0\x03";

/// One way to ask.
pub(super) enum Way<'a> {
    /// A token as the cleartext password.
    Password,
    /// SASL OAUTHBEARER, and what a client without a good token is told.
    Bearer(&'a str),
    /// SASL SCRAM-SHA-256, and what it can be bound to.
    Scram(Option<&'a [u8]>),
    /// Nothing is asked: the certificate that was shown. `None`: one that cannot be read.
    Certificate(Option<Shown>),
}

impl<'a> Way<'a> {
    /// A message asks for one way, so it has to be known before: by the configuration, by what the startup packet says, and by whom a
    /// certificate names; never by what is known of the user.
    pub(super) fn of(
        rules: &'a Rules,
        wanted: Option<Method>,
        stream: &ClientStream,
        user: &Arc<str>,
    ) -> Result<Self, StartupError> {
        if let Some(certificate) = by_certificate(rules, wanted, stream, user)? {
            return Ok(Way::Certificate(certificate));
        }
        let scram = || {
            let bound = rules.tls.as_ref().filter(|_| matches!(stream, ClientStream::Tls(_)));
            Ok(Way::Scram(bound.and_then(|tls| tls.end_point.as_deref())))
        };
        match (rules.bearer.login, rules.bearer.discovery.as_deref(), rules.scram, wanted) {
            (SaslLogin::Always, Some(discovery), _, _) => Ok(Way::Bearer(discovery)),
            (_, _, SaslLogin::Always, _) => scram(),
            (SaslLogin::Asked, Some(discovery), _, Some(Method::Bearer)) => Ok(Way::Bearer(discovery)),
            (_, _, _, Some(Method::Bearer)) => Err(StartupError::NoBearer { user: Arc::clone(user), told: false }),
            (_, _, SaslLogin::Asked, Some(Method::Scram)) => scram(),
            (_, _, SaslLogin::Off, Some(Method::Scram)) => Err(StartupError::NotOffered(Method::Scram)),
            (_, _, _, Some(Method::Certificate)) => Err(StartupError::NotOffered(Method::Certificate)),
            (_, _, _, Some(Method::Password) | None) => Ok(Way::Password),
        }
    }

    /// Its name.
    pub(super) fn method(&self) -> Method {
        match self {
            Way::Password => Method::Password,
            Way::Bearer(_) => Method::Bearer,
            Way::Scram(_) => Method::Scram,
            Way::Certificate(_) => Method::Certificate,
        }
    }

    /// Asks, with what has to be sent before, and checks the answer.
    pub(super) async fn prove(
        &self,
        intake: &mut Intake,
        out: BytesMut,
        asked: Asked<'_>,
        (directory, rules): (&dyn Directory, &Rules),
    ) -> Result<Result<Proven, Refusal>, StartupError> {
        match self {
            Way::Password => {
                let given = password(intake, out).await?;
                Ok(authn::prove(given.as_bytes(), asked, directory, &rules.issuers).await?)
            }
            Way::Bearer(discovery) => {
                let given = token(intake, out, discovery, asked.user).await?;
                let proven = authn::prove(given.as_bytes(), asked, directory, &rules.issuers).await?;
                if proven.is_err() {
                    send_away(intake, discovery).await?;
                }
                Ok(proven)
            }
            Way::Scram(end_point) => {
                let Answered { token, message } = scram(intake, out, (*end_point, asked.user), directory).await?;
                let proven = authn::prove_password(token.as_deref(), asked, directory).await?;
                // Whoever is refused for another reason does not learn that the password was right.
                if proven.is_ok() {
                    let mut out = BytesMut::new();
                    sasl::write_final(&mut out, message.as_bytes());
                    intake.send(&out).await?;
                }
                Ok(proven)
            }
            Way::Certificate(shown) => {
                intake.send(&out).await?;
                match shown {
                    Some(shown) => Ok(authn::prove_certificate(shown, asked, directory).await?),
                    None => Ok(Err(Refusal::Certificate)),
                }
            }
        }
    }
}

/// The certificate to go by, if it is to go by one.
fn by_certificate(
    rules: &Rules,
    wanted: Option<Method>,
    stream: &ClientStream,
    user: &str,
) -> Result<Option<Option<Shown>>, StartupError> {
    let (Some((role, name)), ClientStream::Tls(tls)) = (rules.certificates, stream) else { return Ok(None) };
    let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let shown = certificate.and_then(|certificate| Shown::read(certificate, name));
    match (role, wanted) {
        (CertificateRole::Beside, _) => Ok(None),
        // The handshake lets nobody through who shows none.
        (CertificateRole::Credential, _) => Ok(Some(shown)),
        (CertificateRole::Either, Some(Method::Certificate)) if certificate.is_none() => Err(StartupError::NoCertificate),
        (CertificateRole::Either, Some(Method::Certificate)) => Ok(Some(shown)),
        (CertificateRole::Either, Some(Method::Password | Method::Bearer | Method::Scram)) => Ok(None),
        (CertificateRole::Either, None) => Ok(shown.filter(|shown| shown.name_for(user).is_some()).map(Some)),
    }
}

/// Asks for a token as the password.
async fn password(intake: &mut Intake, mut out: BytesMut) -> Result<Secret, StartupError> {
    out.extend_from_slice(ASK);
    intake.send(&out).await?;
    let given = intake.password().await?;
    if given.as_bytes().is_empty() { Err(StartupError::NoToken) } else { Ok(given) }
}

/// Asks for a token by OAUTHBEARER.
async fn token(intake: &mut Intake, out: BytesMut, discovery: &str, user: &str) -> Result<Secret, StartupError> {
    let (_, message) = begin(intake, out, &[bearer::MECHANISM]).await?;
    match bearer::token(message.as_bytes()).map_err(StartupError::Malformed)? {
        Some(within) => Ok(message.part(within)),
        None => {
            send_away(intake, discovery).await?;
            Err(StartupError::NoBearer { user: Arc::from(user), told: true })
        }
    }
}

/// Asks for a password by SCRAM.
async fn scram(
    intake: &mut Intake,
    out: BytesMut,
    (end_point, user): (Option<&[u8]>, &str),
    directory: &dyn Directory,
) -> Result<Answered, StartupError> {
    let offered: &[&str] = if end_point.is_some() { &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256] } else { &[SCRAM_SHA_256] };
    let (mechanism, message) = begin(intake, out, offered).await?;
    let plus = offered.get(mechanism) == Some(&SCRAM_SHA_256_PLUS);
    let first = First::read(message.as_bytes(), plus, end_point)?;
    let asked = first.challenge(directory.known(user).await?);
    challenge(intake, asked.message().as_bytes()).await?;
    let answer = intake.response().await?;
    Ok(asked.answered(answer.as_bytes())?)
}

/// Offers mechanisms; the one that was chosen, and the client's first message.
async fn begin(intake: &mut Intake, mut out: BytesMut, offered: &[&str]) -> Result<(usize, Secret), StartupError> {
    sasl::write_ask(&mut out, offered);
    intake.send(&out).await?;
    let first = intake.response().await?;
    let (mechanism, within) = sasl::initial(first.as_bytes(), offered).map_err(StartupError::Malformed)?;
    match within {
        Some(within) => Ok((mechanism, first.part(within))),
        None => {
            challenge(intake, &[]).await?;
            Ok((mechanism, intake.response().await?))
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
    sasl::write_challenge(&mut out, data);
    intake.send(&out).await
}
