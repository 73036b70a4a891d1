//! Logging in upstream: from the startup packet to the first ReadyForQuery.
//!
//! We speak protocol 3.0 upstream: nothing newer is needed, and every server has it.

use std::collections::BTreeMap;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect::{Account, Connection, Dialed, UpstreamError};
use super::pool::Permit;
use super::scram::{Binding, Keys, Opened};
use crate::config::Password;
use crate::wire::UpstreamStream;

/// No message of a login is longer than this.
const MAX_MESSAGE: usize = 64 * 1024;

/// No login has more messages than this.
const MAX_MESSAGES: usize = 1000;

/// The startup parameters of every connection beside user and database: what the analysis of statements relies on.
const PARAMETERS: [(&str, &str); 3] =
    [("client_encoding", "UTF8"), ("standard_conforming_strings", "on"), ("application_name", "pgusher")];

/// Those of them that nobody may change.
const PINNED: [&str; 2] = ["client_encoding", "standard_conforming_strings"];

/// Logs in on a fresh socket.
pub(super) async fn login(
    dialed: Dialed,
    database: &str,
    (account, keys): (&Account, &Keys),
    parameters: &BTreeMap<String, String>,
    permit: Permit,
) -> Result<Connection, UpstreamError> {
    let mut line = Line { stream: dialed.stream, buffer: BytesMut::with_capacity(1024), messages: 0 };
    line.send(|out| {
        let named = [("user", account.user.as_str()), ("database", database)];
        let given = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given = given.filter(|(name, _)| !PINNED.contains(name));
        // Of a parameter that comes twice, upstream takes the last.
        frontend::startup_message(named.into_iter().chain(PARAMETERS).chain(given), out)
    })
    .await?;
    authenticate(&mut line, (account, keys), dialed.private, dialed.end_point).await?;
    let greeting = greet(&mut line).await?;
    Ok(Connection {
        stream: line.stream,
        read_ahead: line.buffer,
        parameters: greeting.parameters,
        process_id: greeting.process_id,
        secret_key: greeting.secret_key,
        permit,
    })
}

/// Answers whatever upstream asks until it says AuthenticationOk.
async fn authenticate(
    line: &mut Line,
    (account, keys): (&Account, &Keys),
    private: bool,
    end_point: Option<Vec<u8>>,
) -> Result<(), UpstreamError> {
    let mut body = line.receive_authentication().await?;
    match take_i32(&mut body)? {
        0 => return Ok(()),
        3 if private => {
            let password = password(account)?;
            line.send(|out| frontend::password_message(password.reveal().as_bytes(), out)).await?;
        }
        3 => return Err(UpstreamError::Cleartext),
        5 => {
            let salt: [u8; 4] = body
                .get(..4)
                .and_then(|salt| salt.try_into().ok())
                .ok_or(UpstreamError::Violation("an MD5 salt of a wrong length"))?;
            let answer = md5_hash(account.user.as_bytes(), password(account)?.reveal().as_bytes(), salt);
            line.send(|out| frontend::password_message(answer.as_bytes(), out)).await?;
        }
        10 => scram(line, &body, (password(account)?, keys), end_point).await?,
        2 => return Err(UpstreamError::Method("Kerberos V5".into())),
        7 => return Err(UpstreamError::Method("GSSAPI".into())),
        9 => return Err(UpstreamError::Method("SSPI".into())),
        other => return Err(UpstreamError::Method(format!("number {other}"))),
    }
    let mut body = line.receive_authentication().await?;
    if take_i32(&mut body)? == 0 { Ok(()) } else { Err(UpstreamError::Violation("a second authentication request")) }
}

/// SCRAM-SHA-256, bound to upstream's certificate where both sides can.
async fn scram(
    line: &mut Line,
    offered: &[u8],
    (password, keys): (&Password, &Keys),
    end_point: Option<Vec<u8>>,
) -> Result<(), UpstreamError> {
    let offers = |mechanism: &str| offered.split(|b| *b == 0).any(|offer| offer == mechanism.as_bytes());
    let (mechanism, binding) = match end_point {
        Some(hash) if offers(SCRAM_SHA_256_PLUS) => (SCRAM_SHA_256_PLUS, Binding::EndPoint(hash)),
        // Says that we could have bound and upstream did not offer to: if somebody in between cut the offer, upstream will know.
        Some(_) if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, Binding::Unrequested),
        None if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, Binding::Unsupported),
        Some(_) | None => return Err(UpstreamError::Method("SASL without SCRAM-SHA-256".into())),
    };
    let opened = Opened::new(binding);
    line.send(|out| frontend::sasl_initial_response(mechanism, opened.message().as_bytes(), out)).await?;
    let mut body = line.receive_authentication().await?;
    if take_i32(&mut body)? != 11 {
        return Err(UpstreamError::Violation("no SASLContinue in a SCRAM exchange"));
    }
    let answered = opened.answer(&body, password, keys).map_err(UpstreamError::Scram)?;
    line.send(|out| frontend::sasl_response(answered.message().as_bytes(), out)).await?;
    let mut body = line.receive_authentication().await?;
    if take_i32(&mut body)? != 12 {
        return Err(UpstreamError::Violation("no SASLFinal in a SCRAM exchange"));
    }
    answered.finish(&body, keys).map_err(UpstreamError::Scram)
}

fn password(account: &Account) -> Result<&Password, UpstreamError> {
    account.password.as_ref().ok_or(UpstreamError::NoPassword)
}

/// What upstream says of itself after AuthenticationOk.
struct Greeting {
    parameters: BTreeMap<String, String>,
    process_id: i32,
    secret_key: Bytes,
}

async fn greet(line: &mut Line) -> Result<Greeting, UpstreamError> {
    let mut parameters = BTreeMap::new();
    let mut key = None;
    loop {
        let (tag, mut body) = line.receive().await?;
        match tag {
            b'S' => {
                let name = take_text(&mut body)?;
                parameters.insert(name, take_text(&mut body)?);
            }
            b'K' => {
                let process_id = take_i32(&mut body)?;
                key = Some((process_id, body));
            }
            b'Z' => {
                let (process_id, secret_key) = key.ok_or(UpstreamError::Violation("no cancel key"))?;
                return Ok(Greeting { parameters, process_id, secret_key });
            }
            _ => return Err(UpstreamError::Violation("an unexpected message after authentication")),
        }
    }
}

/// The socket while we log in.
struct Line {
    stream: UpstreamStream,
    buffer: BytesMut,
    messages: usize,
}

impl Line {
    async fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), UpstreamError> {
        let mut out = BytesMut::new();
        write(&mut out).map_err(UpstreamError::Lost)?;
        self.stream.write_all(&out).await.map_err(UpstreamError::Lost)?;
        self.stream.flush().await.map_err(UpstreamError::Lost)
    }

    async fn receive_authentication(&mut self) -> Result<Bytes, UpstreamError> {
        match self.receive().await? {
            (b'R', body) => Ok(body),
            _ => Err(UpstreamError::Violation("no authentication request where one was due")),
        }
    }

    /// The next message but notices; an ErrorResponse is an error.
    async fn receive(&mut self) -> Result<(u8, Bytes), UpstreamError> {
        loop {
            let (tag, body) = self.receive_any().await?;
            match tag {
                b'E' => return Err(refused(&body)),
                b'N' => {}
                _ => return Ok((tag, body)),
            }
        }
    }

    async fn receive_any(&mut self) -> Result<(u8, Bytes), UpstreamError> {
        self.messages += 1;
        if self.messages > MAX_MESSAGES {
            return Err(UpstreamError::Violation("too many messages in a login"));
        }
        self.fill(5).await?;
        let tag = self.buffer.get_u8();
        let length = usize::try_from(self.buffer.get_u32()).unwrap_or(usize::MAX);
        let length =
            length.checked_sub(4).filter(|l| *l <= MAX_MESSAGE).ok_or(UpstreamError::Violation("a message of a wrong length"))?;
        self.fill(length).await?;
        Ok((tag, self.buffer.split_to(length).freeze()))
    }

    async fn fill(&mut self, count: usize) -> Result<(), UpstreamError> {
        while self.buffer.len() < count {
            if self.stream.read_buf(&mut self.buffer).await.map_err(UpstreamError::Lost)? == 0 {
                return Err(UpstreamError::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Ok(())
    }
}

fn take_i32(body: &mut Bytes) -> Result<i32, UpstreamError> {
    body.try_get_i32().map_err(|_| UpstreamError::Violation("a message that is too short"))
}

fn take_text(body: &mut Bytes) -> Result<String, UpstreamError> {
    let end = body.iter().position(|b| *b == 0).ok_or(UpstreamError::Violation("a text without its end"))?;
    let text = String::from_utf8_lossy(&body.split_to(end)).into_owned();
    body.advance(1);
    Ok(text)
}

/// An ErrorResponse's code and message.
fn refused(body: &[u8]) -> UpstreamError {
    let (mut code, mut message) = (String::new(), String::new());
    for field in body.split(|b| *b == 0) {
        match field.split_first() {
            Some((b'C', text)) => code = String::from_utf8_lossy(text).into_owned(),
            Some((b'M', text)) => message = String::from_utf8_lossy(text).into_owned(),
            Some(_) | None => {}
        }
    }
    UpstreamError::Refused { code, message }
}

#[cfg(test)]
mod tests;
