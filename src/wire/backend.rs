//! What upstream sends, and what we send to clients ourselves.

use sha2::{Digest, Sha256};

use bytes::{BufMut, BytesMut};

use super::frame::{self, FrameError, put_text, take_text};

/// The tags of backend messages after startup, a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendTag {
    /// `1`
    ParseComplete,
    /// `2`
    BindComplete,
    /// `3`
    CloseComplete,
    /// `A`
    NotificationResponse,
    /// `C`
    CommandComplete,
    /// `D`
    DataRow,
    /// `E`
    ErrorResponse,
    /// `G`
    CopyInResponse,
    /// `H`
    CopyOutResponse,
    /// `I`
    EmptyQueryResponse,
    /// `N`
    NoticeResponse,
    /// `S`
    ParameterStatus,
    /// `T`
    RowDescription,
    /// `Z`
    ReadyForQuery,
    /// `c`
    CopyDone,
    /// `d`
    CopyData,
    /// `n`
    NoData,
    /// `s`
    PortalSuspended,
    /// `t`
    ParameterDescription,
}

impl BackendTag {
    /// The tag of a byte; `None` for what has no place in a session (authentication, replication, function calls).
    #[inline]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'1' => Self::ParseComplete,
            b'2' => Self::BindComplete,
            b'3' => Self::CloseComplete,
            b'A' => Self::NotificationResponse,
            b'C' => Self::CommandComplete,
            b'D' => Self::DataRow,
            b'E' => Self::ErrorResponse,
            b'G' => Self::CopyInResponse,
            b'H' => Self::CopyOutResponse,
            b'I' => Self::EmptyQueryResponse,
            b'N' => Self::NoticeResponse,
            b'S' => Self::ParameterStatus,
            b'T' => Self::RowDescription,
            b'Z' => Self::ReadyForQuery,
            b'c' => Self::CopyDone,
            b'd' => Self::CopyData,
            b'n' => Self::NoData,
            b's' => Self::PortalSuspended,
            b't' => Self::ParameterDescription,
            _ => return None,
        })
    }
}

/// The transaction status of ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `I`: outside a transaction block.
    Idle,
    /// `T`: inside one.
    Transaction,
    /// `E`: inside one that failed.
    Failed,
}

impl Status {
    /// Its byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Transaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// A hash of the columns in a RowDescription: their names, types and type modifiers, which are what PostgreSQL compares
/// (`equalTupleDescs`) before it says "cached plan must not change result type".
pub fn shape(body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let (name, field) = rest.split_at(end + 1);
        hash.update(name);
        // Table, column, type, length, modifier, format.
        hash.update(field.get(6..10).unwrap_or_default());
        hash.update(field.get(12..16).unwrap_or_default());
        rest = field.get(18..).unwrap_or_default();
    }
    hash.finalize().into()
}

/// Decodes ReadyForQuery.
pub fn ready_status(body: &[u8]) -> Result<Status, FrameError> {
    match body {
        b"I" => Ok(Status::Idle),
        b"T" => Ok(Status::Transaction),
        b"E" => Ok(Status::Failed),
        _ => Err(FrameError::Format),
    }
}

/// Decodes CommandComplete.
pub fn command_tag(mut body: &[u8]) -> Result<&str, FrameError> {
    take_text(&mut body)
}

/// Decodes ParameterStatus.
pub fn parameter_status(mut body: &[u8]) -> Result<(&str, &str), FrameError> {
    let name = take_text(&mut body)?;
    Ok((name, take_text(&mut body)?))
}

/// The fields of ErrorResponse or NoticeResponse in their order. A field that is no UTF-8 is read with replacement characters.
pub fn fields(mut body: &[u8]) -> Result<Vec<(u8, String)>, FrameError> {
    let mut fields = Vec::with_capacity(8);
    loop {
        let (kind, rest) = body.split_first().ok_or(FrameError::Format)?;
        if *kind == 0 {
            return Ok(fields);
        }
        let end = rest.iter().position(|b| *b == 0).ok_or(FrameError::Format)?;
        let (text, rest) = rest.split_at(end);
        fields.push((*kind, String::from_utf8_lossy(text).into_owned()));
        body = rest.get(1..).unwrap_or_default();
    }
}

/// The columns of a DataRow, undecoded.
pub fn columns(body: &[u8]) -> Result<Vec<Option<&[u8]>>, FrameError> {
    let [high, low, rest @ ..] = body else { return Err(FrameError::Format) };
    let mut rest = rest;
    let mut columns = Vec::new();
    for _ in 0..u16::from_be_bytes([*high, *low]) {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(FrameError::Format)?;
        let length = i32::from_be_bytes(*length);
        rest = match usize::try_from(length) {
            Ok(length) => {
                let (value, after) = after.split_at_checked(length).ok_or(FrameError::Format)?;
                columns.push(Some(value));
                after
            }
            Err(_) => {
                columns.push(None);
                after
            }
        };
    }
    Ok(columns)
}

/// Writes ErrorResponse from its fields.
pub fn write_error<'a>(out: &mut BytesMut, fields: impl IntoIterator<Item = (u8, &'a str)>) {
    write_fields(out, b'E', fields);
}

/// Writes NoticeResponse from its fields.
pub fn write_notice<'a>(out: &mut BytesMut, fields: impl IntoIterator<Item = (u8, &'a str)>) {
    write_fields(out, b'N', fields);
}

fn write_fields<'a>(out: &mut BytesMut, tag: u8, fields: impl IntoIterator<Item = (u8, &'a str)>) {
    frame::write(out, tag, |b| {
        for (kind, text) in fields {
            b.put_u8(kind);
            put_text(b, text);
        }
        b.put_u8(0);
    });
}

/// Writes AuthenticationOk.
pub fn write_authentication_ok(out: &mut BytesMut) {
    out.put_slice(b"R\0\0\0\x08\0\0\0\0");
}

/// Writes BackendKeyData.
pub fn write_key(out: &mut BytesMut, process_id: i32, secret: &[u8]) {
    frame::write(out, b'K', |b| {
        b.put_i32(process_id);
        b.put_slice(secret);
    });
}

/// Writes ParameterStatus.
pub fn write_parameter(out: &mut BytesMut, name: &str, value: &str) {
    frame::write(out, b'S', |b| {
        put_text(b, name);
        put_text(b, value);
    });
}

/// Writes ReadyForQuery.
pub fn write_ready(out: &mut BytesMut, status: Status) {
    out.put_slice(&[b'Z', 0, 0, 0, 5, status.byte()]);
}

/// Writes CommandComplete.
pub fn write_complete(out: &mut BytesMut, tag: &str) {
    frame::write(out, b'C', |b| put_text(b, tag));
}

/// Writes EmptyQueryResponse.
pub fn write_empty_query(out: &mut BytesMut) {
    out.put_slice(b"I\0\0\0\x04");
}

/// Writes ParseComplete.
pub fn write_parse_complete(out: &mut BytesMut) {
    out.put_slice(b"1\0\0\0\x04");
}

/// Writes BindComplete.
pub fn write_bind_complete(out: &mut BytesMut) {
    out.put_slice(b"2\0\0\0\x04");
}

/// Writes CloseComplete.
pub fn write_close_complete(out: &mut BytesMut) {
    out.put_slice(b"3\0\0\0\x04");
}

/// Writes NoData.
pub fn write_no_data(out: &mut BytesMut) {
    out.put_slice(b"n\0\0\0\x04");
}

/// Writes PortalSuspended.
pub fn write_suspended(out: &mut BytesMut) {
    out.put_slice(b"s\0\0\0\x04");
}

/// Writes ParameterDescription for a statement without parameters.
pub fn write_no_parameters(out: &mut BytesMut) {
    out.put_slice(b"t\0\0\0\x06\0\0");
}

/// Writes RowDescription of columns of type text.
pub fn write_text_columns<'a>(out: &mut BytesMut, columns: impl ExactSizeIterator<Item = &'a str>) {
    frame::write(out, b'T', |b| {
        b.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
        for name in columns {
            put_text(b, name);
            b.put_u32(0);
            b.put_u16(0);
            b.put_u32(TEXT_OID);
            b.put_i16(-1);
            b.put_i32(-1);
            b.put_u16(0);
        }
    });
}

/// Writes DataRow of text values.
pub fn write_row<'a>(out: &mut BytesMut, values: impl ExactSizeIterator<Item = Option<&'a str>>) {
    frame::write(out, b'D', |b| {
        b.put_u16(u16::try_from(values.len()).unwrap_or(u16::MAX));
        for value in values {
            match value {
                Some(text) => {
                    b.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
                    b.put_slice(text.as_bytes());
                }
                None => b.put_i32(-1),
            }
        }
    });
}

/// The oid of type text.
const TEXT_OID: u32 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_an_error_are_read_back_as_written() {
        let mut out = BytesMut::new();
        write_error(&mut out, [(b'S', "ERROR"), (b'C', "42501"), (b'M', "no")]);
        let read = fields(&out[frame::HEADER..]).unwrap();
        assert_eq!(read, [(b'S', "ERROR".to_owned()), (b'C', "42501".to_owned()), (b'M', "no".to_owned())]);
        assert_eq!(fields(b"SERROR"), Err(FrameError::Format));
        assert_eq!(fields(b""), Err(FrameError::Format));
    }

    #[test]
    fn a_row_is_read_back_and_a_cut_one_is_refused() {
        let mut out = BytesMut::new();
        write_row(&mut out, [Some("a"), None].into_iter());
        assert_eq!(columns(&out[frame::HEADER..]), Ok(vec![Some(&b"a"[..]), None]));
        assert_eq!(columns(&out[frame::HEADER..out.len() - 1]), Err(FrameError::Format));
    }
}
