//! A client of HTTP that sends exactly what it is told to.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::{PATIENCE, Shop};

/// Who calls, and where.
#[derive(Clone, Debug)]
pub struct Http {
    address: SocketAddr,
    token: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body, as it came.
    pub text: String,
}

impl HttpAnswer {
    /// The body's JSON; null where there is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// Status, and the code of an error.
    pub fn verdict(&self) -> (u16, String) {
        (self.status, self.json()["error_code"].as_str().unwrap_or_default().to_string())
    }

    /// Reads one until the server closes.
    pub fn read(mut stream: impl Read) -> HttpAnswer {
        let mut bytes = Vec::new();
        // A server that closes on a client that still sends resets the connection: what came before counts.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, text) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        HttpAnswer { status, head: head.to_string(), text: text.to_string() }
    }
}

impl Http {
    /// Somebody of the shop.
    pub fn of(shop: &Shop, user: &str) -> Http {
        Http::with(shop, shop.token(user))
    }

    /// Whoever holds a token.
    pub fn with(shop: &Shop, token: &str) -> Http {
        Http { token: Some(token.to_string()), ..Http::nobody(shop) }
    }

    /// Nobody.
    pub fn nobody(shop: &Shop) -> Http {
        let port = shop.proxy.http_port.expect("the shop speaks HTTP");
        Http { address: SocketAddr::from(([127, 0, 0, 1], port)), token: None }
    }

    /// The same at another of the machine's addresses.
    pub fn at(mut self, address: IpAddr) -> Http {
        self.address.set_ip(address);
        self
    }

    /// A GET.
    pub fn get(&self, path: &str) -> HttpAnswer {
        self.call("GET", path, None)
    }

    /// A POST of JSON.
    pub fn post(&self, path: &str, body: Value) -> HttpAnswer {
        self.call("POST", path, Some(body))
    }

    /// Any call.
    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> HttpAnswer {
        let body = body.map(|body| body.to_string());
        let kind = if body.is_some() { "Content-Type: application/json\r\n" } else { "" };
        self.send(method, path, kind, body.as_deref().unwrap_or_default())
    }

    /// A call with more lines in its head, each ended by CR LF.
    pub fn send(&self, method: &str, path: &str, head: &str, body: &str) -> HttpAnswer {
        let authorization = self.token.as_ref().map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let length = body.len();
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: pgusher\r\nConnection: close\r\n{authorization}{head}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// Exactly these bytes.
    pub fn raw(&self, bytes: &str) -> HttpAnswer {
        let mut stream = self.socket();
        let _ = stream.write_all(bytes.as_bytes());
        HttpAnswer::read(stream)
    }

    /// A connection.
    pub fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("HTTP is served");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        stream
    }

    /// The id of a principal in SCIM.
    pub fn id(&self, resources: &str, name: &str) -> String {
        let attribute = if resources == "Groups" { "displayName" } else { "userName" };
        let answer = self.get(&format!("/api/2.0/preview/scim/v2/{resources}?filter={attribute}+eq+%22{name}%22"));
        answer.json()["Resources"][0]["id"].as_str().unwrap_or_else(|| panic!("no {name}: {}", answer.text)).to_string()
    }
}

/// The body of a SCIM PATCH.
pub fn patch(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}
