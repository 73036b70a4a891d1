//! An issuer of JWTs: keys of its own, served as a JWK set over HTTP on the loopback.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// The audience that pgusher is told to be.
const AUDIENCE: &str = "pgusher";

/// A running issuer.
pub struct Issuer {
    /// Where it serves its keys; also the name it goes by.
    pub url: String,
    key: Mutex<(String, EcdsaKeyPair)>,
    set: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// Starts one.
    pub fn start() -> Issuer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let url = format!("http://{}/keys", listener.local_addr().expect("a bound socket has an address"));
        let (set, asked) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicUsize::new(0)));
        let (served, counted) = (Arc::clone(&set), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                counted.fetch_add(1, Ordering::SeqCst);
                let body = served.lock().expect("nobody panics with it").clone();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            }
        });
        let issuer = Issuer { url, key: Mutex::new(fresh("first")), set, asked };
        issuer.publish();
        issuer
    }

    /// The lines of pgusher's configuration that take its tokens, and `more` about it.
    pub fn settings(&self, more: &str) -> String {
        let url = &self.url;
        format!("[[identity.issuers]]\nissuer = \"{url}\"\naudiences = [\"{AUDIENCE}\"]\njwks_url = \"{url}\"\n{more}\n")
    }

    /// Signs with another key from now on, and serves that one only.
    pub fn rotate(&self, id: &str) {
        *self.key.lock().expect("nobody panics with it") = fresh(id);
        self.publish();
    }

    /// How often its keys were fetched.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A token for somebody, good for an hour.
    pub fn token(&self, email: &str) -> String {
        self.claiming(email, json!({}))
    }

    /// The same with other claims, or none where they are null.
    pub fn claiming(&self, email: &str, other: Value) -> String {
        let mut claims = json!({"iss": self.url, "aud": AUDIENCE, "exp": seconds(3600), "email": email, "email_verified": true, "jti": rand::random::<u64>()});
        for (name, value) in other.as_object().expect("claims are an object") {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("an object").remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let key = self.key.lock().expect("nobody panics with it");
        let message = format!("{}.{}", part(&json!({"alg": "ES256", "kid": key.0, "typ": "JWT"})), part(&claims));
        let signature = key.1.sign(&SystemRandom::new(), message.as_bytes()).expect("a good key signs");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn publish(&self) {
        let key = self.key.lock().expect("nobody panics with it");
        let (x, y) = key.1.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.0, "x": x, "y": y}]});
        *self.set.lock().expect("nobody panics with it") = set.to_string();
    }
}

/// So many seconds from now, since 1970.
pub fn seconds(from_now: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_secs()).expect("a clock of this age") + from_now
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn fresh(id: &str) -> (String, EcdsaKeyPair) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("randomness");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).expect("a key just made");
    (id.to_owned(), key)
}
