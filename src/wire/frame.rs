//! Frames: one tag byte, four bytes of length (which counts itself), the body.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The bytes of a tag and a length.
pub const HEADER: usize = 5;

/// The most that PostgreSQL takes in a frame that carries data (`PQ_LARGE_MESSAGE_LIMIT`).
pub const LARGE: usize = 0x3fff_ffff - 1;

/// The most that PostgreSQL takes in a frame that carries none (`PQ_SMALL_MESSAGE_LIMIT`).
pub const SMALL: usize = 10_000;

/// Gives back the memory of a buffer that is empty, if it has more than is to be kept. (Its capacity does not say: what was taken from
/// its front is not counted, but held.)
pub fn give_back(buffer: &mut BytesMut, kept: usize) {
    if buffer.is_empty() && buffer.try_reclaim(kept + 1) {
        *buffer = BytesMut::new();
    }
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length below four or above the limit for its tag.
    #[error("invalid message length")]
    Length,
    /// The body does not have the shape of its message.
    #[error("invalid message format")]
    Format,
    /// Text that is not UTF-8.
    #[error("invalid byte sequence for encoding \"UTF8\"")]
    Encoding,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tag.
    pub tag: u8,
    /// The bytes of the body, at most a gibibyte.
    pub body: usize,
}

impl Header {
    /// Reads the header at the start of some bytes; `None` while it is incomplete.
    pub fn peek(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let [tag, a, b, c, d, ..] = bytes else { return Ok(None) };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let body = length.checked_sub(4).filter(|body| *body <= 1 << 30).ok_or(FrameError::Length)?;
        Ok(Some(Self { tag: *tag, body }))
    }

    /// The bytes of the whole frame.
    pub fn whole(self) -> usize {
        HEADER + self.body
    }

    /// Writes the header.
    pub fn write(self, out: &mut BytesMut) {
        out.put_u8(self.tag);
        out.put_u32(u32::try_from(self.body + 4).unwrap_or(u32::MAX));
    }
}

/// A frame that is here as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The tag.
    pub tag: u8,
    /// The body.
    pub body: Bytes,
}

/// Bytes as they arrive, taken out frame by frame.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: BytesMut,
}

impl FrameBuffer {
    /// A buffer that starts with bytes that were read ahead.
    pub fn new(bytes: BytesMut) -> Self {
        Self { bytes }
    }

    /// The bytes, to read more into.
    pub fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// What is here.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The next header; `None` while it is incomplete.
    pub fn header(&self) -> Result<Option<Header>, FrameError> {
        Header::peek(&self.bytes)
    }

    /// The next frame, if it is here as a whole and its body has at most `limit` bytes.
    pub fn frame(&mut self, limit: usize) -> Result<Option<Frame>, FrameError> {
        let Some(header) = self.header()? else { return Ok(None) };
        if header.body > limit {
            return Err(FrameError::Length);
        }
        Ok((self.bytes.len() >= header.whole()).then(|| self.take(header)))
    }

    /// Takes out the frame whose header was peeked; what is missing of it is left out.
    pub fn take(&mut self, header: Header) -> Frame {
        let mut whole = self.bytes.split_to(header.whole().min(self.bytes.len()));
        whole.advance(HEADER.min(whole.len()));
        Frame { tag: header.tag, body: whole.freeze() }
    }

    /// Drops up to `count` bytes and says how many were here to drop.
    pub fn skip(&mut self, count: usize) -> usize {
        let here = count.min(self.bytes.len());
        self.bytes.advance(here);
        here
    }
}

/// Writes a frame whose body is made by `body`.
pub fn write(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    body(out);
    let length = u32::try_from(out.len() - at).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&length);
    }
}

/// Writes text and its terminating zero. Zeros inside are left out: they cannot be sent.
pub fn put_text(out: &mut BytesMut, text: &str) {
    if text.as_bytes().contains(&0) {
        out.extend(text.bytes().filter(|b| *b != 0));
    } else {
        out.put_slice(text.as_bytes());
    }
    out.put_u8(0);
}

/// Takes a zero-terminated text off the front of some bytes.
pub fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, FrameError> {
    let end = bytes.iter().position(|b| *b == 0).ok_or(FrameError::Format)?;
    let (text, rest) = bytes.split_at(end);
    *bytes = rest.get(1..).unwrap_or_default();
    std::str::from_utf8(text).map_err(|_| FrameError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_large_is_given_back_however_it_was_emptied() {
        let emptied = |empty: fn(&mut BytesMut)| {
            let mut buffer = BytesMut::from(&[7; 10_000][..]);
            empty(&mut buffer);
            give_back(&mut buffer, 512);
            // Nothing is left to be had without asking for more.
            !buffer.try_reclaim(1)
        };
        assert!(
            emptied(BytesMut::clear) && emptied(|buffer| buffer.advance(10_000)) && emptied(|buffer| drop(buffer.split_to(10_000)))
        );
        let mut small = BytesMut::with_capacity(100);
        give_back(&mut small, 512);
        assert!(small.capacity() >= 100);
        let mut used = BytesMut::from(&[7; 10_000][..]);
        give_back(&mut used, 512);
        assert_eq!(used.len(), 10_000);
    }

    #[test]
    fn a_header_is_read_only_when_whole_and_sane() {
        assert_eq!(Header::peek(b"Q\0\0\0"), Ok(None));
        assert_eq!(Header::peek(b"Q\0\0\0\x04"), Ok(Some(Header { tag: b'Q', body: 0 })));
        assert_eq!(Header::peek(b"Q\0\0\0\x03"), Err(FrameError::Length));
        assert_eq!(Header::peek(b"Q\xff\xff\xff\xff"), Err(FrameError::Length));
    }

    #[test]
    fn a_frame_comes_out_when_its_last_byte_is_here() {
        let mut out = BytesMut::new();
        write(&mut out, b'Q', |b| put_text(b, "SELECT 1"));
        let last = out.split_off(out.len() - 1);
        let mut buffer = FrameBuffer::new(out);
        assert_eq!(buffer.frame(SMALL), Ok(None));
        buffer.bytes().extend_from_slice(&last);
        let frame = buffer.frame(SMALL).unwrap().unwrap();
        assert_eq!((frame.tag, &frame.body[..]), (b'Q', &b"SELECT 1\0"[..]));
        assert!(buffer.as_slice().is_empty());
    }

    #[test]
    fn a_text_without_its_end_is_refused() {
        let mut bytes = &b"abc"[..];
        assert_eq!(take_text(&mut bytes), Err(FrameError::Format));
        let mut bytes = &b"a\0b\0"[..];
        assert_eq!(take_text(&mut bytes), Ok("a"));
        assert_eq!(take_text(&mut bytes), Ok("b"));
    }
}
