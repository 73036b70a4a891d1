//! Accepted → negotiated: encryption settled, startup packet read.
//!
//! Source: PostgreSQL manual 54.2.11 (SSL session encryption), `ProcessSSLStartup` and `ProcessStartupPacket`.

use tokio_rustls::TlsAcceptor;

use super::intake::{Failure, Intake};
use super::packet::{Packet, Startup, TLS_HANDSHAKE};
use super::{Accepted, Admission, Rules};
use crate::error::edge::{Encryption, StartupError};
use crate::wire::ClientStream;

/// The name in ALPN that direct TLS must show, so that no other protocol's client can be led here.
const ALPN: &[u8] = b"postgresql";

/// A request for encryption made again, or after encryption began, counts as a version that does not exist, as in PostgreSQL.
const AGAIN_TLS: StartupError = StartupError::Version { major: 1234, minor: 5679 };
const AGAIN_GSS: StartupError = StartupError::Version { major: 1234, minor: 5680 };

/// A client that has settled how it talks to us and said what it wants.
#[derive(Debug)]
pub(super) struct Negotiated {
    pub accepted: AcceptedFacts,
    pub intake: Intake,
    pub startup: Startup,
}

/// What is known of a client from its socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct AcceptedFacts {
    pub address: Option<std::net::IpAddr>,
    pub session: crate::event::SessionId,
    pub admission: Admission,
}

/// Where negotiation leads.
#[derive(Debug)]
pub(super) enum Asked {
    /// A session.
    Session(Box<Negotiated>),
    /// To cancel a statement of another session.
    Cancel { process_id: i32, secret: bytes::Bytes },
}

/// Which requests for encryption a client may still make.
#[derive(Clone, Copy)]
enum Open {
    Both,
    TlsOnly,
    GssOnly,
    Neither,
}

impl Open {
    fn without_tls(self) -> Result<Self, StartupError> {
        match self {
            Open::Both => Ok(Open::GssOnly),
            Open::TlsOnly => Ok(Open::Neither),
            Open::GssOnly | Open::Neither => Err(AGAIN_TLS),
        }
    }

    fn without_gss(self) -> Result<Self, StartupError> {
        match self {
            Open::Both => Ok(Open::TlsOnly),
            Open::GssOnly => Ok(Open::Neither),
            Open::TlsOnly | Open::Neither => Err(AGAIN_GSS),
        }
    }
}

impl Accepted {
    pub(super) async fn negotiate(self, rules: &Rules) -> Result<Asked, Failure> {
        let accepted = AcceptedFacts { address: self.address, session: self.session, admission: self.admission };
        let (mut intake, mut open) = begin(self.stream, acceptor(rules)).await?;
        loop {
            let packet = match intake.packet().await {
                Ok(packet) => packet,
                Err(error) => return Err(intake.fail(error)),
            };
            match packet {
                Packet::Tls => match open.without_tls() {
                    Ok(left) => (intake, open) = answer_tls(intake, left, acceptor(rules)).await?,
                    Err(error) => return Err(intake.fail(error)),
                },
                Packet::Gss => match open.without_gss() {
                    Ok(left) => (intake, open) = (decline(intake, Encryption::Gss).await?, left),
                    Err(error) => return Err(intake.fail(error)),
                },
                Packet::Cancel { process_id, secret } => return Ok(Asked::Cancel { process_id, secret }),
                Packet::Startup(startup) => return Ok(Asked::Session(Box::new(Negotiated { accepted, intake, startup }))),
            }
        }
    }
}

fn acceptor(rules: &Rules) -> Option<&TlsAcceptor> {
    rules.tls.as_ref().map(|tls| &tls.acceptor)
}

/// Looks at the first byte: a TLS handshake's means direct TLS, as PostgreSQL 17's clients can.
async fn begin(stream: ClientStream, tls: Option<&TlsAcceptor>) -> Result<(Intake, Open), Failure> {
    let stream = match (stream, tls) {
        (ClientStream::Tcp(tcp), Some(acceptor)) => {
            // Looked at and left in the socket, where the TLS library will read it.
            let mut first = [0u8; 1];
            match tcp.peek(&mut first).await {
                Ok(1) if first == [TLS_HANDSHAKE] => return direct(tcp, acceptor).await.map(|intake| (intake, Open::Neither)),
                Ok(_) => ClientStream::Tcp(tcp),
                Err(error) => return Err(Intake::new(ClientStream::Tcp(tcp)).fail(StartupError::Gone(error))),
            }
        }
        (stream, _) => stream,
    };
    let mut intake = Intake::new(stream);
    match intake.first_byte().await {
        Ok(TLS_HANDSHAKE) => Err(intake.fail(StartupError::DirectTls)),
        Ok(_) => Ok((intake, Open::Both)),
        Err(error) => Err(intake.fail(error)),
    }
}

async fn direct(tcp: tokio::net::TcpStream, acceptor: &TlsAcceptor) -> Result<Intake, Failure> {
    let (intake, alpn) = handshake(tcp, acceptor).await?;
    if alpn { Ok(intake) } else { Err(intake.fail(StartupError::NoAlpn)) }
}

/// Answers an SSLRequest: S and a handshake where there is a certificate and a network, else N.
async fn answer_tls(mut intake: Intake, left: Open, tls: Option<&TlsAcceptor>) -> Result<(Intake, Open), Failure> {
    if !intake.buffer.is_empty() {
        return Err(intake.fail(StartupError::Injected(Encryption::Tls)));
    }
    let (ClientStream::Tcp(_), Some(acceptor)) = (&intake.stream, tls) else {
        return decline(intake, Encryption::Tls).await.map(|intake| (intake, left));
    };
    if let Err(error) = intake.send(b"S").await {
        return Err(intake.fail(error));
    }
    match intake.stream {
        ClientStream::Tcp(tcp) => handshake(tcp, acceptor).await.map(|(intake, _)| (intake, Open::Neither)),
        stream => Err(Intake::new(stream).fail(StartupError::DirectTls)),
    }
}

async fn decline(mut intake: Intake, encryption: Encryption) -> Result<Intake, Failure> {
    if !intake.buffer.is_empty() {
        return Err(intake.fail(StartupError::Injected(encryption)));
    }
    match intake.send(b"N").await {
        Ok(()) => Ok(intake),
        Err(error) => Err(intake.fail(error)),
    }
}

/// The handshake; says also whether both sides named PostgreSQL's protocol.
async fn handshake(tcp: tokio::net::TcpStream, acceptor: &TlsAcceptor) -> Result<(Intake, bool), Failure> {
    match acceptor.accept(tcp).into_fallible().await {
        Ok(stream) => {
            let alpn = stream.get_ref().1.alpn_protocol() == Some(ALPN);
            Ok((Intake::new(ClientStream::Tls(Box::new(stream))), alpn))
        }
        Err((error, tcp)) => Err(Intake::new(ClientStream::Tcp(tcp)).fail(StartupError::Handshake(error))),
    }
}
