//! What clients send after startup.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::frame::{self, FrameError, LARGE, SMALL, put_text, take_text};

/// The tags of frontend messages, a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontendTag {
    /// `Q`
    Query,
    /// `P`
    Parse,
    /// `B`
    Bind,
    /// `D`
    Describe,
    /// `E`
    Execute,
    /// `C`
    Close,
    /// `H`
    Flush,
    /// `S`
    Sync,
    /// `d`
    CopyData,
    /// `c`
    CopyDone,
    /// `f`
    CopyFail,
    /// `F`
    FunctionCall,
    /// `p`, legal only during authentication.
    Password,
    /// `X`
    Terminate,
}

impl FrontendTag {
    /// The tag of a byte; `None` for what PostgreSQL does not know.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'Q' => Self::Query,
            b'P' => Self::Parse,
            b'B' => Self::Bind,
            b'D' => Self::Describe,
            b'E' => Self::Execute,
            b'C' => Self::Close,
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'd' => Self::CopyData,
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail,
            b'F' => Self::FunctionCall,
            b'p' => Self::Password,
            b'X' => Self::Terminate,
            _ => return None,
        })
    }

    /// Its byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Query => b'Q',
            Self::Parse => b'P',
            Self::Bind => b'B',
            Self::Describe => b'D',
            Self::Execute => b'E',
            Self::Close => b'C',
            Self::Flush => b'H',
            Self::Sync => b'S',
            Self::CopyData => b'd',
            Self::CopyDone => b'c',
            Self::CopyFail => b'f',
            Self::FunctionCall => b'F',
            Self::Password => b'p',
            Self::Terminate => b'X',
        }
    }

    /// The most bytes its body may have (`SocketBackend` in `postgres.c`).
    pub fn limit(self) -> usize {
        match self {
            Self::Query | Self::Parse | Self::Bind | Self::CopyData | Self::FunctionCall => LARGE,
            Self::Describe
            | Self::Execute
            | Self::Close
            | Self::Flush
            | Self::Sync
            | Self::CopyDone
            | Self::CopyFail
            | Self::Password
            | Self::Terminate => SMALL,
        }
    }
}

/// A statement or a portal, in Describe and Close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `S`
    Statement,
    /// `P`
    Portal,
}

impl Target {
    /// Its byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Statement => b'S',
            Self::Portal => b'P',
        }
    }
}

/// A Parse message: the types are left as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The prepared statement's name.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
    /// The count and the parameter types, undecoded.
    pub types: &'a [u8],
}

/// Decodes Query.
pub fn query(mut body: &[u8]) -> Result<&str, FrameError> {
    let text = take_text(&mut body)?;
    if body.is_empty() { Ok(text) } else { Err(FrameError::Format) }
}

/// Decodes Parse.
pub fn parse(mut body: &[u8]) -> Result<Parse<'_>, FrameError> {
    let name = take_text(&mut body)?;
    let text = take_text(&mut body)?;
    let [high, low, oids @ ..] = body else { return Err(FrameError::Format) };
    if oids.len() == usize::from(u16::from_be_bytes([*high, *low])) * 4 {
        Ok(Parse { name, text, types: body })
    } else {
        Err(FrameError::Format)
    }
}

/// Reads the two names at the start of a Bind: portal, prepared statement, and how many bytes they take. `None` while incomplete.
pub fn bind_names(body: &[u8]) -> Result<Option<(&str, &str, usize)>, FrameError> {
    let mut rest = body;
    if !(rest.contains(&0) && rest.iter().filter(|b| **b == 0).nth(1).is_some()) {
        return Ok(None);
    }
    let portal = take_text(&mut rest)?;
    let statement = take_text(&mut rest)?;
    Ok(Some((portal, statement, body.len() - rest.len())))
}

/// The values in a whole Bind, as text; binary ones in hexadecimal. `None` if it has not the shape of one.
pub fn bind_values(body: &[u8]) -> Option<Arc<[Option<String>]>> {
    let (_, _, at) = bind_names(body).ok()??;
    let mut rest = body.get(at..)?;
    let formats: Vec<i16> = (0..take_i16(&mut rest)?).map(|_| take_i16(&mut rest)).collect::<Option<_>>()?;
    (0..take_i16(&mut rest)?)
        .map(|at| {
            let (length, after) = rest.split_first_chunk::<4>()?;
            rest = after;
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Some(None) };
            let (value, after) = rest.split_at_checked(length)?;
            rest = after;
            let format = if let [only] = formats[..] { only } else { formats.get(usize::try_from(at).ok()?).copied().unwrap_or(0) };
            let text = if format == 0 { std::str::from_utf8(value).ok() } else { None };
            Some(Some(text.map_or_else(|| format!("\\x{}", hex::encode(value)), str::to_owned)))
        })
        .collect()
}

fn take_i16(rest: &mut &[u8]) -> Option<i16> {
    let (number, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(i16::from_be_bytes(*number))
}

/// Decodes Describe and Close.
pub fn target(body: &[u8]) -> Result<(Target, &str), FrameError> {
    let (kind, mut rest) = body.split_first().ok_or(FrameError::Format)?;
    let target = match kind {
        b'S' => Target::Statement,
        b'P' => Target::Portal,
        _ => return Err(FrameError::Format),
    };
    let name = take_text(&mut rest)?;
    if rest.is_empty() { Ok((target, name)) } else { Err(FrameError::Format) }
}

/// Decodes Execute: the portal and the row limit (0 for none).
pub fn execute(mut body: &[u8]) -> Result<(&str, i32), FrameError> {
    let portal = take_text(&mut body)?;
    let rows = <[u8; 4]>::try_from(body).map_err(|_| FrameError::Format)?;
    Ok((portal, i32::from_be_bytes(rows)))
}

/// Writes Query.
pub fn write_query(out: &mut BytesMut, text: &str) {
    frame::write(out, b'Q', |b| put_text(b, text));
}

/// Writes Parse; `types` are the count and oids as in the message.
pub fn write_parse(out: &mut BytesMut, name: &str, text: &str, types: &[u8]) {
    frame::write(out, b'P', |b| {
        put_text(b, name);
        put_text(b, text);
        b.put_slice(if types.is_empty() { &[0, 0] } else { types });
    });
}

/// Writes Bind with text parameters and text results.
pub fn write_bind<'p>(out: &mut BytesMut, portal: &str, statement: &str, parameters: impl ExactSizeIterator<Item = &'p str>) {
    frame::write(out, b'B', |b| {
        put_text(b, portal);
        put_text(b, statement);
        b.put_u16(0);
        b.put_u16(u16::try_from(parameters.len()).unwrap_or(u16::MAX));
        for parameter in parameters {
            b.put_u32(u32::try_from(parameter.len()).unwrap_or(u32::MAX));
            b.put_slice(parameter.as_bytes());
        }
        b.put_u16(0);
    });
}

/// Writes Describe.
pub fn write_describe(out: &mut BytesMut, target: Target, name: &str) {
    frame::write(out, b'D', |b| {
        b.put_u8(target.byte());
        put_text(b, name);
    });
}

/// Writes Close.
pub fn write_close(out: &mut BytesMut, target: Target, name: &str) {
    frame::write(out, b'C', |b| {
        b.put_u8(target.byte());
        put_text(b, name);
    });
}

/// Writes Execute.
pub fn write_execute(out: &mut BytesMut, portal: &str, rows: i32) {
    frame::write(out, b'E', |b| {
        put_text(b, portal);
        b.put_i32(rows);
    });
}

/// Writes Sync.
pub fn write_sync(out: &mut BytesMut) {
    out.put_slice(b"S\0\0\0\x04");
}

/// Writes Flush.
pub fn write_flush(out: &mut BytesMut) {
    out.put_slice(b"H\0\0\0\x04");
}

/// Writes CopyFail.
pub fn write_copy_fail(out: &mut BytesMut, reason: &str) {
    frame::write(out, b'f', |b| put_text(b, reason));
}

/// Writes Terminate.
pub fn write_terminate(out: &mut BytesMut) {
    out.put_slice(b"X\0\0\0\x04");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out);
        out[frame::HEADER..].to_vec()
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(query(&body(|b| write_query(b, "SELECT 1"))), Ok("SELECT 1"));
        let written = body(|b| write_parse(b, "s", "SELECT $1", &[0, 1, 0, 0, 0, 23]));
        assert_eq!(parse(&written), Ok(Parse { name: "s", text: "SELECT $1", types: &[0, 1, 0, 0, 0, 23] }));
        let written = body(|b| write_bind(b, "p", "s", ["1"].into_iter()));
        assert_eq!(bind_names(&written), Ok(Some(("p", "s", 4))));
        assert_eq!(target(&body(|b| write_describe(b, Target::Portal, "p"))), Ok((Target::Portal, "p")));
        assert_eq!(execute(&body(|b| write_execute(b, "p", 5))), Ok(("p", 5)));
    }

    #[test]
    fn bodies_of_the_wrong_shape_are_refused() {
        assert_eq!(query(b"a\0b"), Err(FrameError::Format));
        assert_eq!(parse(b"\0a\0\0\x01"), Err(FrameError::Format));
        assert_eq!(parse(b"\0a\0"), Err(FrameError::Format));
        assert_eq!(bind_names(b"portal\0half"), Ok(None));
        assert_eq!(target(b""), Err(FrameError::Format));
        assert_eq!(target(b"Xn\0"), Err(FrameError::Format));
        assert_eq!(execute(b"p\0\0\0"), Err(FrameError::Format));
    }
}
