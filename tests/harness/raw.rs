//! A socket that speaks frames: what no driver would send, and what no driver would show.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustls::{ClientConnection, StreamOwned};

use super::{PATIENCE, Refusal};

/// A backend frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its tag.
    pub tag: char,
    /// What follows the length.
    pub body: Vec<u8>,
}

impl Frame {
    /// An ErrorResponse or NoticeResponse as a refusal.
    pub fn refusal(&self) -> Refusal {
        let mut refusal = Refusal::default();
        for field in self.body.split(|b| *b == 0).filter(|f| !f.is_empty()) {
            let text = String::from_utf8_lossy(&field[1..]).into_owned();
            match field[0] {
                b'V' => refusal.severity = text,
                b'C' => refusal.code = text,
                b'M' => refusal.message = text,
                b'D' => refusal.detail = Some(text),
                b'H' => refusal.hint = Some(text),
                b'W' => refusal.context = Some(text),
                b'P' => refusal.position = text.parse().ok(),
                _ => {}
            }
        }
        refusal
    }

    /// The values of a DataRow.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.tag, 'D', "no DataRow: {self:?}");
        let mut rest = &self.body[2..];
        let mut values = Vec::new();
        while !rest.is_empty() {
            let (length, tail) = rest.split_at(4);
            let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
            rest = tail;
            if length < 0 {
                values.push(None);
            } else {
                let (value, tail) = rest.split_at(length as usize);
                values.push(Some(value.to_vec()));
                rest = tail;
            }
        }
        values
    }

    /// The text of a CommandComplete.
    pub fn command(&self) -> String {
        assert_eq!(self.tag, 'C', "no CommandComplete: {self:?}");
        String::from_utf8_lossy(&self.body[..self.body.len() - 1]).into_owned()
    }
}

/// Frontend frames, as bytes.
pub mod frame {
    /// Any tagged frame with a right length.
    pub fn tagged(tag: char, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag as u8];
        bytes.extend((body.len() as i32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn untagged(body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as i32 + 4).to_be_bytes().to_vec();
        bytes.extend(body);
        bytes
    }

    fn text(parts: &[&str]) -> Vec<u8> {
        parts.iter().flat_map(|p| p.bytes().chain([0])).collect()
    }

    /// StartupMessage of a protocol version.
    pub fn startup(major: u16, minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
        let mut body = [major.to_be_bytes(), minor.to_be_bytes()].concat();
        for (name, value) in parameters {
            body.extend(text(&[name, value]));
        }
        body.push(0);
        untagged(&body)
    }

    /// SSLRequest.
    pub fn ssl_request() -> Vec<u8> {
        untagged(&80_877_103_i32.to_be_bytes())
    }

    /// GSSENCRequest.
    pub fn gss_request() -> Vec<u8> {
        untagged(&80_877_104_i32.to_be_bytes())
    }

    /// CancelRequest.
    pub fn cancel(process: i32, key: &[u8]) -> Vec<u8> {
        untagged(&[&80_877_102_i32.to_be_bytes()[..], &process.to_be_bytes(), key].concat())
    }

    /// PasswordMessage.
    pub fn password(password: &str) -> Vec<u8> {
        tagged('p', &text(&[password]))
    }

    /// Query.
    pub fn query(sql: &str) -> Vec<u8> {
        tagged('Q', &text(&[sql]))
    }

    /// Parse without parameter types.
    pub fn parse(name: &str, sql: &str) -> Vec<u8> {
        tagged('P', &[text(&[name, sql]), vec![0, 0]].concat())
    }

    /// Parse with parameter types.
    pub fn parse_typed(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
        let mut body = [text(&[name, sql]), (types.len() as i16).to_be_bytes().to_vec()].concat();
        types.iter().for_each(|number| body.extend(number.to_be_bytes()));
        tagged('P', &body)
    }

    /// Bind with text values and one result format for all columns (0 text, 1 binary).
    pub fn bind(portal: &str, statement: &str, values: &[Option<&str>], result_format: i16) -> Vec<u8> {
        let mut body = text(&[portal, statement]);
        body.extend(0_i16.to_be_bytes());
        body.extend((values.len() as i16).to_be_bytes());
        for value in values {
            match value {
                None => body.extend((-1_i32).to_be_bytes()),
                Some(value) => {
                    body.extend((value.len() as i32).to_be_bytes());
                    body.extend(value.bytes());
                }
            }
        }
        body.extend(1_i16.to_be_bytes());
        body.extend(result_format.to_be_bytes());
        tagged('B', &body)
    }

    /// Describe of a statement ('S') or portal ('P').
    pub fn describe(kind: char, name: &str) -> Vec<u8> {
        tagged('D', &[vec![kind as u8], text(&[name])].concat())
    }

    /// Close of a statement ('S') or portal ('P').
    pub fn close(kind: char, name: &str) -> Vec<u8> {
        tagged('C', &[vec![kind as u8], text(&[name])].concat())
    }

    /// Execute with a row limit (0: none).
    pub fn execute(portal: &str, rows: i32) -> Vec<u8> {
        tagged('E', &[text(&[portal]), rows.to_be_bytes().to_vec()].concat())
    }

    /// What runs a statement that has no name: Parse, Bind and Execute.
    pub fn run(sql: &str) -> [Vec<u8>; 3] {
        [parse("", sql), bind("", "", &[], 0), execute("", 0)]
    }

    /// Sync.
    pub fn sync() -> Vec<u8> {
        tagged('S', &[])
    }

    /// Flush.
    pub fn flush() -> Vec<u8> {
        tagged('H', &[])
    }

    /// Terminate.
    pub fn terminate() -> Vec<u8> {
        tagged('X', &[])
    }

    /// CopyData.
    pub fn copy_data(text: &str) -> Vec<u8> {
        tagged('d', text.as_bytes())
    }

    /// CopyDone.
    pub fn copy_done() -> Vec<u8> {
        tagged('c', &[])
    }

    /// CopyFail.
    pub fn copy_fail(why: &str) -> Vec<u8> {
        tagged('f', &text(&[why]))
    }

    /// FunctionCall of an oid without arguments.
    pub fn function_call(oid: u32) -> Vec<u8> {
        let mut body = oid.to_be_bytes().to_vec();
        body.extend([0, 0, 0, 0, 0, 0]);
        tagged('F', &body)
    }
}

/// A raw connection.
pub struct RawClient {
    stream: Box<dyn Wire>,
}

/// What bytes go over: a socket, or TLS over one.
pub trait Wire: Read + Write + Send {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref()
    }
}

impl RawClient {
    /// Connects the socket and says nothing.
    pub fn connect(port: u16) -> RawClient {
        Self::over(Self::socket(port))
    }

    /// A socket that waits long enough and not for ever.
    pub fn socket(port: u16) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        stream.set_nodelay(true).expect("a socket takes an option");
        stream
    }

    /// Over whatever is open.
    pub fn over(stream: impl Wire + 'static) -> RawClient {
        RawClient { stream: Box::new(stream) }
    }

    /// Sends frames in one write.
    pub fn send(&mut self, frames: &[Vec<u8>]) {
        self.try_send(frames).expect("the proxy reads");
    }

    /// Sends frames in one write; an error when the proxy has closed.
    pub fn try_send(&mut self, frames: &[Vec<u8>]) -> io::Result<()> {
        self.stream.write_all(&frames.concat())?;
        self.stream.flush()
    }

    /// One byte, as the answer to SSLRequest is.
    pub fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).ok().map(|()| byte[0])
    }

    /// The next frame; `None` when the proxy has closed the connection.
    pub fn next(&mut self) -> Option<Frame> {
        let mut header = [0; 5];
        match self.stream.read_exact(&mut header) {
            Ok(()) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("no frame came within {PATIENCE:?}")
            }
            Err(_) => return None,
        }
        let length = i32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let mut body = vec![0; usize::try_from(length - 4).expect("a length covers itself")];
        self.stream.read_exact(&mut body).ok()?;
        Some(Frame { tag: header[0] as char, body })
    }

    /// The next frame, which must have this tag.
    pub fn expect(&mut self, tag: char) -> Frame {
        let frame = self.next().unwrap_or_else(|| panic!("{tag} was expected, the connection closed"));
        assert_eq!(frame.tag, tag, "{} {:?}", String::from_utf8_lossy(&frame.body), frame.refusal());
        frame
    }

    /// Frames up to and with ReadyForQuery; ParameterStatus and notices left out.
    pub fn until_ready(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("closed before ReadyForQuery, after {frames:?}"));
            match frame.tag {
                'S' | 'N' => {}
                'Z' => {
                    frames.push(frame);
                    return frames;
                }
                _ => frames.push(frame),
            }
        }
    }

    /// The tags up to and with ReadyForQuery as one word, for example `12TDCZ`; the last letter is followed by the transaction status.
    pub fn tags(&mut self) -> String {
        tags(&self.until_ready())
    }

    /// Whether nothing but the end of the connection is left, besides messages already under way.
    pub fn closed(&mut self) -> bool {
        loop {
            match self.next() {
                Some(_) => {}
                None => return true,
            }
        }
    }

    /// Logs in with a token and reads up to the first ReadyForQuery; the frames after AuthenticationOk.
    pub fn login(&mut self, database: &str, user: &str, token: &str, more: &[(&str, &str)]) -> Vec<Frame> {
        let mut parameters = vec![("user", user), ("database", database)];
        parameters.extend(more);
        self.send(&[frame::startup(3, 0, &parameters)]);
        let asked = self.expect('R');
        assert_eq!(asked.body, 3_i32.to_be_bytes(), "a cleartext password is asked for");
        self.send(&[frame::password(token)]);
        assert_eq!(self.expect('R').body, 0_i32.to_be_bytes(), "AuthenticationOk");
        let mut frames = Vec::new();
        loop {
            let frame = self.next().expect("a greeting");
            let ready = frame.tag == 'Z';
            frames.push(frame);
            if ready {
                return frames;
            }
        }
    }

    /// Sends nothing more.
    pub fn hang_up(&mut self) {
        let _ = self.stream.socket().shutdown(Shutdown::Write);
    }
}

/// Tags as one word, the transaction status after each `Z`.
pub fn tags(frames: &[Frame]) -> String {
    let mut word = String::new();
    for frame in frames {
        word.push(frame.tag);
        if frame.tag == 'Z' {
            word.push(frame.body[0] as char);
        }
    }
    word
}
