//! The socket while it starts up: reads no more than a packet needs, and tells the client how it ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::packet::{self, Packet};
use crate::error::Report;
use crate::error::edge::{Malformed, StartupError};
use crate::wire::frame::HEADER;
use crate::wire::{ClientStream, Header};

/// The room that nearly every startup packet fits in. More is taken only as bytes arrive.
const ROOM: usize = 512;

/// The longest password message: a token has 47 bytes, a JWT seldom more than 4 KiB.
const MAX_PASSWORD: usize = 16 * 1024;

/// How long a client may take to hear why it was turned away, and how many bytes more it may send meanwhile.
const LAST_WORDS: Duration = Duration::from_secs(2);
const LAST_BYTES: usize = 64 * 1024;

/// A socket and what was read from it and not yet used.
#[derive(Debug)]
pub(super) struct Intake {
    pub stream: ClientStream,
    pub buffer: BytesMut,
}

/// A startup that failed: why, for whom if that is known, and the socket if somebody may still listen there.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: StartupError,
    pub user: Option<Arc<str>>,
    pub intake: Intake,
}

impl Intake {
    pub(super) fn new(stream: ClientStream) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(ROOM) }
    }

    pub(super) fn fail(self, error: StartupError) -> Failure {
        Failure { error, user: None, intake: self }
    }

    /// The first byte of what comes next, left where it is.
    pub(super) async fn first_byte(&mut self) -> Result<u8, StartupError> {
        self.fill(1).await?;
        self.buffer.first().copied().ok_or_else(gone)
    }

    /// The next startup packet.
    pub(super) async fn packet(&mut self) -> Result<Packet, StartupError> {
        self.fill(packet::LENGTH).await?;
        let declared = self.buffer.first_chunk::<{ packet::LENGTH }>().copied().ok_or_else(gone)?;
        let length = packet::body_length(declared).map_err(StartupError::Malformed)?;
        self.fill(packet::LENGTH + length).await?;
        self.buffer.advance(packet::LENGTH);
        packet::decode(&self.buffer.split_to(length))
    }

    /// The password message's text, without its end.
    pub(super) async fn password(&mut self) -> Result<Secret, StartupError> {
        let body = self.response().await?;
        match body.as_bytes().split_last() {
            Some((0, text)) if !text.contains(&0) => {
                let length = text.len();
                Ok(body.part(0..length))
            }
            Some(_) | None => Err(StartupError::Malformed(Malformed::PasswordLength)),
        }
    }

    /// The body of the next message, which has to be an answer to what was asked of the client.
    pub(super) async fn response(&mut self) -> Result<Secret, StartupError> {
        self.fill(1).await?;
        match self.buffer.first() {
            Some(b'p') => {}
            Some(other) => return Err(StartupError::Malformed(Malformed::NotPassword(*other))),
            None => return Err(gone()),
        }
        self.fill(HEADER).await?;
        let wrong = || StartupError::Malformed(Malformed::PasswordLength);
        let header = Header::peek(&self.buffer).map_err(|_| wrong())?.ok_or_else(gone)?;
        if header.body > MAX_PASSWORD {
            return Err(wrong());
        }
        self.fill(header.whole()).await?;
        let mut body = self.buffer.split_to(header.whole());
        body.advance(HEADER);
        Ok(Secret(body))
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), StartupError> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads until `count` bytes are here. The buffer grows with what arrives, never with what was announced.
    async fn fill(&mut self, count: usize) -> Result<(), StartupError> {
        while self.buffer.len() < count {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(gone());
            }
        }
        Ok(())
    }
}

impl Failure {
    /// The same, with the user it was about.
    pub(super) fn of(self, user: &str) -> Self {
        Self { user: Some(Arc::from(user)), ..self }
    }

    /// Tells the client, and closes so that it can hear it.
    pub(super) async fn tell(mut self) {
        match self.error {
            // Nobody listens, or not in plain text.
            StartupError::Gone(_) | StartupError::DirectTls | StartupError::Handshake(_) | StartupError::TooSlow => return,
            _ => {}
        }
        let mut out = BytesMut::new();
        Report::from(&self.error).write(&mut out);
        // Ends when the client has closed, has said too much, or takes too long; which of them does not matter.
        let _ = tokio::time::timeout(LAST_WORDS, self.intake.farewell(&out)).await;
    }
}

impl Intake {
    /// Sends the last bytes and waits for the client to close: a socket closed with unread bytes resets the connection, and the
    /// client might never see what was sent.
    async fn farewell(&mut self, bytes: &[u8]) -> Result<(), StartupError> {
        self.send(bytes).await?;
        self.stream.shutdown().await?;
        let mut rest = [0u8; 1024];
        let mut read = 0;
        while read < LAST_BYTES {
            match self.stream.read(&mut rest).await? {
                0 => break,
                count => read += count,
            }
        }
        Ok(())
    }
}

/// What a client gave as its token; overwritten when dropped.
pub(super) struct Secret(BytesMut);

impl Secret {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Only this part of it; the rest is overwritten.
    pub(super) fn part(mut self, within: std::ops::Range<usize>) -> Secret {
        let part = self.0.get(within).map(BytesMut::from).unwrap_or_default();
        self.0.fill(0);
        Secret(part)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
    }
}

fn gone() -> StartupError {
    StartupError::Gone(io::ErrorKind::UnexpectedEof.into())
}
