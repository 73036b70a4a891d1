//! One of the two sides of a comparison: a connection that keeps everything it is told, as bytes.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Frame, Refusal, frame};

/// How long an answer may take; statements have a shorter limit of their own.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a binary COPY begins: this, flags, and the length of an extension.
const COPY_SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const COPY_HEADER: usize = 19;

/// What is set on both sides from the start, so that nothing runs for ever.
const OPTIONS: &str = "-c statement_timeout=6000";

/// One step of a script: a message, or a round of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Query.
    Simple(String),
    /// Parse, Bind, Describe, Execute, Sync with values in text.
    Extended { sql: String, values: Vec<Option<String>>, binary: bool },
}

impl Step {
    /// The SQL of it.
    pub fn sql(&self) -> &str {
        match self {
            Step::Simple(sql) | Step::Extended { sql, .. } => sql,
        }
    }
}

/// A column as RowDescription gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub type_oid: u32,
    pub type_modifier: i32,
    pub format: i16,
    /// Table and column number, where the column is one of a table.
    pub origin: (u32, i16),
}

/// What came back of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub columns: Vec<Column>,
    /// Bodies of DataRow and CopyData messages, in order.
    pub rows: Vec<Vec<u8>>,
    pub tags: Vec<String>,
    pub error: Option<Refusal>,
    /// Warnings and notices, by SQLSTATE and text.
    pub notices: Vec<(String, String)>,
    /// Parameter types, for steps of the extended protocol.
    pub parameters: Vec<u8>,
    /// The status after it: I, T or E.
    pub status: char,
}

impl Outcome {
    /// The SQLSTATE of the error, or nothing.
    pub fn code(&self) -> &str {
        self.error.as_ref().map_or("", |e| e.code.as_str())
    }

    /// Something to read about it.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        if let Some(error) = &self.error {
            text.push_str(&format!("{} {}", error.code, error.message));
            if let Some(at) = error.position {
                text.push_str(&format!(" at {at}"));
            }
            for (name, field) in [("DETAIL", &error.detail), ("HINT", &error.hint), ("CONTEXT", &error.context)] {
                if let Some(field) = field {
                    text.push_str(&format!(" {name}: {field}"));
                }
            }
        }
        let columns: Vec<String> = self.columns.iter().map(|c| format!("{}:{}:{}", c.name, c.type_oid, c.type_modifier)).collect();
        text.push_str(&format!(" [{}] {} rows, {:?}, {}", columns.join(" "), self.rows.len(), self.tags, self.status));
        for row in self.rows.iter().take(8) {
            text.push_str(&format!("\n      {}", readable(row)));
        }
        text
    }
}

/// A row for people.
pub fn readable(row: &[u8]) -> String {
    row.iter().skip(2).map(|b| if (32..127).contains(b) || *b >= 128 { *b as char } else { '·' }).collect()
}

trait Socket: Read + Write + Send {}
impl<T: Read + Write + Send> Socket for T {}

/// A connection.
pub struct Side {
    stream: BufReader<Box<dyn Socket>>,
}

impl Side {
    /// Through the proxy, with a token.
    pub fn through(port: u16, database: &str, user: &str, token: &str) -> Side {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        stream.set_nodelay(true).expect("a socket takes an option");
        Side::greet(Box::new(stream), database, user, token)
    }

    /// Straight to PostgreSQL, as a role.
    pub fn direct(directory: &Path, port: u16, database: &str, role: &str) -> Side {
        let stream = UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).expect("PostgreSQL listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        Side::greet(Box::new(stream), database, role, "")
    }

    fn greet(stream: Box<dyn Socket>, database: &str, user: &str, token: &str) -> Side {
        let mut side = Side { stream: BufReader::with_capacity(1 << 16, stream) };
        side.send(&[frame::startup(3, 0, &[("user", user), ("database", database), ("options", OPTIONS)])]);
        loop {
            let frame = side.next();
            match frame.tag {
                'R' if frame.body == 3_i32.to_be_bytes() => side.send(&[frame::password(token)]),
                'R' | 'S' | 'K' | 'N' => {}
                'Z' => return side,
                _ => panic!("{user} cannot log in to {database}: {}", frame.refusal()),
            }
        }
    }

    fn send(&mut self, frames: &[Vec<u8>]) {
        self.stream.get_mut().write_all(&frames.concat()).expect("the other end reads");
    }

    fn next(&mut self) -> Frame {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).expect("a frame came in time");
        let length = i32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let mut body = vec![0; usize::try_from(length - 4).expect("a length covers itself")];
        self.stream.read_exact(&mut body).expect("a whole frame");
        Frame { tag: header[0] as char, body }
    }

    /// Sends a step and does not wait.
    pub fn ask(&mut self, step: &Step) {
        match step {
            Step::Simple(sql) => self.send(&[frame::query(sql)]),
            Step::Extended { sql, values, binary } => {
                let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                self.send(&[
                    frame::parse("", sql),
                    frame::describe('S', ""),
                    frame::bind("", "", &values, i16::from(*binary)),
                    frame::describe('P', ""),
                    frame::execute("", 0),
                    frame::sync(),
                ]);
            }
        }
    }

    /// Reads what came of the step that was sent.
    pub fn hear(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let frame = self.next();
            match frame.tag {
                'T' => outcome.columns = columns(&frame.body),
                // The file header of a binary COPY comes with its first row.
                'd' if frame.body.starts_with(COPY_SIGNATURE) => {
                    let (header, row) = frame.body.split_at(COPY_HEADER.min(frame.body.len()));
                    outcome.rows.extend([header.to_vec(), row.to_vec()]);
                }
                'D' | 'd' => outcome.rows.push(frame.body),
                'C' => outcome.tags.push(frame.command()),
                'E' => outcome.error = Some(frame.refusal()),
                'N' => {
                    let notice = frame.refusal();
                    outcome.notices.push((notice.code, notice.message));
                }
                't' => outcome.parameters = frame.body,
                'G' => self.send(&[frame::copy_fail("nothing to copy")]),
                'Z' => {
                    outcome.status = frame.body[0] as char;
                    return outcome;
                }
                'S' | 'A' | '1' | '2' | '3' | 'n' | 'I' | 's' | 'H' | 'c' => {}
                other => panic!("a frame {other} was not expected"),
            }
        }
    }

    /// Runs a step.
    pub fn run(&mut self, step: &Step) -> Outcome {
        self.ask(step);
        self.hear()
    }

    /// Runs SQL that must succeed.
    pub fn must(&mut self, sql: &str) -> Outcome {
        let outcome = self.run(&Step::Simple(sql.to_owned()));
        assert!(outcome.error.is_none(), "{sql}\n{}", outcome.summary());
        outcome
    }
}

fn columns(body: &[u8]) -> Vec<Column> {
    let mut found = Vec::new();
    let mut rest = &body[2..];
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let fixed = &rest[end + 1..end + 19];
        let long = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let short = |at: usize| i16::from_be_bytes([fixed[at], fixed[at + 1]]);
        found.push(Column {
            name,
            origin: (long(0), short(4)),
            type_oid: long(6),
            type_modifier: long(12).cast_signed(),
            format: short(16),
        });
        rest = &rest[end + 19..];
    }
    found
}
