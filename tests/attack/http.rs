//! Attacks on the HTTP API: rights that one has not, credentials that are good no more, requests that are made to hurt, and what
//! answers and logs give away.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::harness::{ADMIN, Http, HttpAnswer, Mechanism, PATIENCE, Shop, patch, until};

const ANA: &str = "ana@example.com";
const BOB: &str = "bob@example.com";
const SCIM: &str = "/api/2.0/preview/scim/v2";

/// A shop that has little patience with requests.
fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| Shop::with_http("body_bytes = 4096\nrequest_timeout_ms = 1500"))
}

/// The id of a principal's only token with a comment.
fn token_id(admin: &Http, comment: &str) -> String {
    let all = admin.get("/api/2.0/token-management/tokens").json();
    let found = all["token_infos"].as_array().expect("a list").iter().find(|token| token["comment"] == comment).cloned();
    found.unwrap_or_else(|| panic!("{all}"))["token_id"].as_str().expect("an id").to_owned()
}

/// An answer without what time it is.
fn told(answer: &HttpAnswer) -> String {
    let head = answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    format!("{}\n{}", head.collect::<Vec<_>>().join("\n"), answer.text)
}

#[test]
fn nobody_but_administrators_revokes_anothers_token() {
    let shop = shop();
    let (admin, ana) = (Http::of(shop, ADMIN), Http::of(shop, ANA));
    let bobs = shop.make_token(BOB, "COMMENT 'bob keeps it'");
    let id = token_id(&admin, "bob keeps it");
    let delete = ana.post("/api/2.0/token/delete", json!({"token_id": id}));
    let unknown = ana.post("/api/2.0/token/delete", json!({"token_id": "0".repeat(16)}));
    assert_eq!(told(&delete).replace(&id, &"0".repeat(16)), told(&unknown), "nor hears that there is one");
    assert_eq!(ana.call("DELETE", &format!("/api/2.0/token-management/tokens/{id}"), None).status, 403);
    let wanted = json!({"application_id": "bi_tool"});
    assert_eq!(ana.post("/api/2.0/token-management/on-behalf-of/tokens", wanted).status, 403);
    assert_eq!(Http::with(shop, &bobs).get("/api/2.0/token/list").status, 200);
    assert!(!ana.get("/api/2.0/token/list").text.contains(&id));
}

#[test]
fn nobody_makes_oneself_an_administrator() {
    let shop = shop();
    let root = Http::of(shop, ADMIN);
    let [me, admins, own] =
        [("Users", ANA), ("Groups", "admins"), ("Groups", "emea_analysts")].map(|(kind, name)| root.id(kind, name));
    let add = || Some(patch(json!([{"op": "add", "path": "members", "value": [{"value": me}]}])));
    let into = |of: Value| Some(json!({"displayName": "admins", "members": [of]}));
    let scopes = shop.make_token(ANA, "SCOPES (admin)");
    for ana in [Http::of(shop, ANA), Http::with(shop, &scopes), Http::of(shop, "bi_tool")] {
        for (method, path, body) in [
            ("PATCH", format!("{SCIM}/Groups/{admins}"), add()),
            ("PUT", format!("{SCIM}/Groups/{admins}"), into(json!({"value": me}))),
            (
                "PATCH",
                format!("{SCIM}/Groups/{admins}"),
                Some(patch(json!([{"op": "add", "value": {"members": [{"value": own}]}}]))),
            ),
            ("DELETE", format!("{SCIM}/Groups/{own}"), None),
            (
                "PATCH",
                format!("{SCIM}/Users/{me}"),
                Some(patch(json!([{"op": "add", "path": "groups", "value": [{"value": admins}]}]))),
            ),
            ("PUT", format!("{SCIM}/Users/{me}"), Some(json!({"userName": ANA, "groups": [{"value": admins}]}))),
            ("POST", format!("{SCIM}/Groups"), Some(json!({"displayName": "mine", "members": [{"value": me}]}))),
            ("POST", "/api/2.0/groups/add-member".into(), Some(json!({"parent_name": "admins", "user_name": ANA}))),
            ("POST", "/api/2.0/groups/add-member".into(), Some(json!({"parent_name": "admins", "group_name": "emea_analysts"}))),
            ("POST", "/api/2.0/groups/remove-member".into(), Some(json!({"parent_name": "admins", "user_name": ADMIN}))),
        ] {
            let answer = ana.call(method, &path, body.clone());
            assert_eq!(answer.status, 403, "{method} {path} {body:?}: {}", answer.text);
        }
    }
    assert_eq!(shop.ana().one("SELECT is_member('admins')"), "f");
    let members = root.get("/api/2.0/groups/list-members?group_name=admins").json();
    assert_eq!(members, json!({"members": [{"user_name": ADMIN}]}));
    let users = root.post("/api/2.0/groups/add-member", json!({"parent_name": "admins", "group_name": "users"}));
    assert_eq!(users.verdict(), (400, "INVALID_STATE".to_owned()), "not even an administrator makes everybody one");
}

#[test]
fn a_token_that_a_login_has_shown_good_is_looked_up_for_each_request() {
    let shop = shop();
    let token = shop.make_token(ADMIN, "COMMENT 'of late'");
    let groups = || Http::with(shop, &token).get(&format!("{SCIM}/Groups")).status;
    for _ in 0..2 {
        shop.try_connect(ADMIN, &token).expect("it is good");
    }
    assert_eq!(groups(), 200);
    // Nothing tells the proxy.
    shop.truth().run("UPDATE pgusher.token SET revoked_at = now() WHERE comment = 'of late'");
    assert_eq!(groups(), 401);
}

#[test]
fn who_may_not_ask_hears_the_same_of_what_exists_and_what_does_not() {
    let shop = shop();
    let (root, ana) = (Http::of(shop, ADMIN), Http::of(shop, ANA));
    let same = |method: &str, there: String, not_there: &str, body: Option<Value>| {
        let (there, not_there) = (ana.call(method, &there, body.clone()), ana.call(method, not_there, body));
        assert_eq!((there.status, told(&there)), (403, told(&not_there)));
    };
    for (kind, name) in [("Users", BOB), ("Groups", "hr"), ("ServicePrincipals", "bi_tool")] {
        let there = || format!("{SCIM}/{kind}/{}", root.id(kind, name));
        let not_there = format!("{SCIM}/{kind}/987654");
        same("GET", there(), &not_there, None);
        same("DELETE", there(), &not_there, None);
        same("PUT", there(), &not_there, Some(json!({"displayName": name, "userName": name})));
        same("PATCH", there(), &not_there, Some(patch(json!([{"op": "replace", "path": "active", "value": true}]))));
    }
    let list = |name: &str| format!("/api/2.0/groups/list-members?group_name={name}");
    same("GET", list("hr"), &list("no_such_group"), None);
    let of = |name: &str| Some(json!({"group_name": name}));
    let [there, not_there] = ["hr", "no_such_group"].map(|name| ana.call("POST", "/api/2.0/groups/create", of(name)));
    assert_eq!((there.status, told(&there)), (403, told(&not_there)));
    shop.make_token(BOB, "COMMENT 'bob has it'");
    let id = token_id(&root, "bob has it");
    same("GET", format!("/api/2.0/token-management/tokens/{id}"), "/api/2.0/token-management/tokens/0", None);
}

#[test]
fn every_credential_that_is_not_accepted_is_told_the_same_and_at_once() {
    let shop = Shop::with_http("");
    let admin = shop.admin();
    let me = format!("{SCIM}/Me");
    let ask = |token: &str| Http::with(&shop, token).get(&me);
    let revoked = shop.make_token(ANA, "COMMENT 'revoked soon'");
    let disabled = shop.make_token("ivan@example.com", "");
    let dropped = shop.make_token("hana@example.com", "");
    let expired = shop.make_token(ANA, "LIFETIME 1 SECOND");
    assert!([&revoked, &disabled, &dropped].iter().all(|token| ask(token).status == 200));
    admin.run(&format!("REVOKE TOKEN '{}'", token_id(&Http::of(&shop, ADMIN), "revoked soon")));
    assert_eq!(ask(&revoked).status, 401, "at once");
    admin.run("ALTER USER \"ivan@example.com\" DISABLE");
    assert_eq!(ask(&disabled).status, 401, "at once");
    admin.run("DROP USER \"hana@example.com\"");
    assert_eq!(ask(&dropped).status, 401, "at once");
    until("a token to expire", || (ask(&expired).status == 401).then_some(()));
    let nobody = told(&Http::nobody(&shop).get(&me));
    for token in
        [revoked.as_str(), &disabled, &dropped, &expired, "pgu_", "x", "eyJ.e30.x", &shop.token(ANA)[..40], &"y".repeat(9000)]
    {
        assert_eq!(told(&ask(token)), nobody, "{token}");
    }
    let good = shop.token(ANA);
    for head in
        [format!("Authorization: Basic {good}\r\n"), format!("Authorization: {good}\r\n"), "Authorization: Bearer \r\n".into()]
    {
        let answer = Http::nobody(&shop).send("GET", &me, &head, "");
        assert_eq!(told(&answer), nobody, "{head}");
    }
    let twice = Http::of(&shop, ANA).send("GET", &me, &format!("Authorization: Bearer {good}\r\n"), "");
    assert_eq!(told(&twice), nobody, "two credentials are none");
}

#[test]
fn a_token_that_is_revoked_while_the_body_comes_changes_nothing() {
    let shop = Shop::with_http("");
    let token = shop.make_token(ADMIN, "COMMENT 'slow one'");
    let root = Http::of(&shop, ADMIN);
    let body = json!({"group_name": "too late"}).to_string();
    let mut socket = root.socket();
    let head = format!(
        "POST /api/2.0/groups/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).expect("sent");
    socket.write_all(&body.as_bytes()[..5]).expect("sent");
    let id = token_id(&root, "slow one");
    assert_eq!(root.call("DELETE", &format!("/api/2.0/token-management/tokens/{id}"), None).status, 200);
    socket.write_all(&body.as_bytes()[5..]).expect("sent");
    assert_eq!(HttpAnswer::read(socket).status, 401);
    assert!(!root.get("/api/2.0/groups/list").text.contains("too late"));
}

#[test]
fn bodies_that_are_too_long_too_deep_or_no_json_are_refused() {
    let shop = shop();
    let admin = Http::of(shop, ADMIN);
    let path = "/api/2.0/groups/create";
    let json = "Content-Type: application/json\r\n";
    let long = format!("{{\"group_name\": \"{}\"}}", "x".repeat(5000));
    let refused = admin.send("POST", path, json, &long);
    assert_eq!(refused.verdict(), (413, "MAX_REQUEST_SIZE_EXCEEDED".to_owned()));
    assert_eq!(Http::nobody(shop).send("POST", path, json, &long).status, 401, "and nobody's are not even read");
    let token = shop.token(ADMIN);
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{json}");
    let mut endless = admin.socket();
    endless.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).expect("sent");
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    // Sent until nobody listens any more.
    for _ in 0..10_000 {
        if endless.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    assert!(matches!(HttpAnswer::read(endless).status, 413 | 0), "an endless body comes to an end");
    let declared = admin.raw(&format!("{head}Content-Length: 99999999999\r\n\r\n"));
    assert_eq!(declared.status, 413, "by its own account it is too long");
    for (kind, body, status) in [
        ("text/plain", "{\"group_name\": \"a\"}", 415),
        ("application/x-www-form-urlencoded", "group_name=a", 415),
        ("multipart/form-data; boundary=application/json", "x", 415),
        ("", "{\"group_name\": \"a\"}", 415),
        ("application/json", &"[".repeat(4000), 400),
        ("application/json", "{\"group_name\": \"a\", \"group_name\": \"b\"}", 400),
        ("application/json", "{\"group_name\": \"\\ud800\"}", 400),
        ("application/json", "{\"group_name\": [\"a\"]}", 400),
        ("application/json", "", 400),
        ("application/json; charset=utf-8", "\u{feff}{}", 400),
    ] {
        let head = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let answer = admin.send("POST", path, &head, body);
        assert_eq!(answer.status, status, "{kind} {body:.40}: {}", answer.text);
    }
}

#[test]
fn slow_requests_are_cut_off_and_cannot_take_all_places() {
    let shop = Shop::with_http("connections = 8\nrequest_timeout_ms = 1500");
    let token = shop.token(ANA);
    let nobody = Http::nobody(&shop);
    let head = format!(
        "POST /api/2.0/token/create HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let mut body = nobody.socket();
    body.write_all(head.as_bytes()).expect("sent");
    let answer = HttpAnswer::read(body);
    assert_eq!(answer.verdict(), (408, "REQUEST_TIMEOUT".to_owned()), "a body that does not come");
    let slow: Vec<TcpStream> = (0..12)
        .map(|_| {
            let mut socket = nobody.socket();
            let _ = socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ");
            socket
        })
        .collect();
    let other = from("127.0.0.2", shop.proxy.http_port.expect("HTTP"));
    let healthy = ask(other, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(healthy.status, 200, "another host still has a place");
    for socket in slow {
        // A head that does not come is given up; those beyond half of the places were never listened to.
        let begun = Instant::now();
        let _ = HttpAnswer::read(socket);
        assert!(begun.elapsed() < PATIENCE);
    }
    until("the places to be free again", || (nobody.get("/healthz").status == 200).then_some(()));
}

#[test]
fn heads_that_mean_two_things_are_refused_and_nothing_gets_into_the_log_that_way() {
    let shop = Shop::with_http("");
    let admin = Http::of(&shop, ADMIN);
    let token = shop.token(ADMIN);
    let path = "/api/2.0/groups/list";
    let start = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for head in [
        format!("{start}Authorization: Bearer\r\n {token}\r\n\r\n"),
        format!("{start}Authorization : Bearer {token}\r\n\r\n"),
        format!("{start}Content-Length: 1\r\nContent-Length: 2\r\nAuthorization: Bearer {token}\r\n\r\nab"),
        format!("{start}X\0Y: z\r\nAuthorization: Bearer {token}\r\n\r\n"),
        format!("GET {path} HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\n\nGET /healthz HTTP/1.1\r\n\r\n",),
        format!("{start}{}Authorization: Bearer {token}\r\n\r\n", "X-More: y\r\n".repeat(200)),
        format!("{start}X-Long: {}\r\nAuthorization: Bearer {token}\r\n\r\n", "z".repeat(100_000)),
    ] {
        let answer = admin.raw(&head);
        assert!(answer.status != 200 || head.contains("\nHost"), "{head:.200}: {}", answer.text);
    }
    let smuggled = format!(
        "POST /api/2.0/groups/delete HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    assert!(!admin.raw(&smuggled).text.contains("group_names"), "what stands behind a body is no request");
    let forged = "x\u{1b}[2J\tevent=\"governed\" principal=\"ana\"";
    admin.send("GET", path, &format!("User-Agent: {forged}\r\n"), "");
    for name in ["a\r\nX-Injected: 1", "a\u{2028}b\u{0}", "\u{202e}sdrawkcab\n"] {
        let answer = admin.post("/api/2.0/groups/create", json!({"group_name": name}));
        assert!(!answer.head.contains("X-Injected"), "{}", answer.head);
        assert_eq!(answer.status, 400, "{name:?}");
    }
    let log = shop.proxy.log();
    assert!(!log.contains("\u{1b}[2J") && !log.contains("X-Injected"), "{log}");
}

#[test]
fn tokens_are_in_no_log_no_answer_and_no_metric() {
    let shop = Shop::with_http("");
    let admin = Http::of(&shop, ADMIN);
    let (own, root) = (shop.token(ANA), shop.token(ADMIN));
    let made = Http::of(&shop, ANA).post("/api/2.0/token/create", json!({"comment": "new"})).json();
    let new = made["token_value"].as_str().expect("a token").to_owned();
    let said = [
        admin.get(&format!("/api/2.0/token-management/tokens/{own}")).head,
        admin.get(&format!("/api/2.0/groups/list?token={own}")).text,
        admin.call("DELETE", &format!("/api/2.0/token-management/tokens/{new}x"), None).head,
        admin.get("/api/2.0/token-management/tokens").text,
        Http::with(&shop, &format!("{own}x")).get("/api/2.0/token/list").text,
        Http::with(&shop, &new).get(&format!("{SCIM}/Me")).text,
        admin.send("GET", "/api/2.0/groups/list", "User-Agent: mine\r\n", "").text,
        Http::nobody(&shop).get("/metrics").text,
        Http::nobody(&shop).get(&format!("/{own}")).text,
        shop.proxy.log(),
    ];
    for secret in [own, root, &new] {
        for text in &said {
            assert!(!text.contains(&secret[4..]), "{text}");
        }
    }
    let log = shop.proxy.log();
    assert!(log.contains("GET /api/2.0/token-management/tokens/…") && log.contains("login_refused"), "{log}");
}

#[test]
fn nobody_holds_up_an_administrators_revocation() {
    let shop = Shop::with_http("");
    let (root, ana) = (Http::of(&shop, ADMIN), Http::of(&shop, ANA));
    shop.admin().run("GRANT MANAGE ON TABLE regions TO \"ana@example.com\"");
    let bobs = shop.make_token(BOB, "COMMENT 'to be revoked'");
    let id = token_id(&root, "to be revoked");
    let own: Vec<Value> =
        (0..8).map(|_| ana.post("/api/2.0/token/create", json!({})).json()["token_info"]["token_id"].clone()).collect();
    let holder = shop.ana();
    holder.run("BEGIN");
    holder.run("GRANT SELECT ON TABLE regions TO bi_tool");
    let waiting: Vec<_> = own
        .into_iter()
        .map(|token| {
            let ana = ana.clone();
            std::thread::spawn(move || ana.post("/api/2.0/token/delete", json!({"token_id": token})).status)
        })
        .collect();
    let blocked = "SELECT count(*) FROM pg_locks WHERE relation = 'pgusher.schema_version'::regclass AND NOT granted";
    let truth = shop.truth();
    until("her calls to wait for her transaction", || (truth.one(blocked).as_str() >= "4").then_some(()));
    let begun = Instant::now();
    assert_eq!(root.call("DELETE", &format!("/api/2.0/token-management/tokens/{id}"), None).status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(Http::with(&shop, &bobs).get("/api/2.0/token/list").status, 401);
    assert!(waiting.into_iter().all(|call| call.join().expect("no panic") == 200), "and what waited goes on");
}

#[test]
fn whoever_fails_again_and_again_waits_and_nobody_else_does() {
    let shop = Shop::with_http("");
    let me = format!("{SCIM}/Me");
    let wrong = Http::with(&shop, "pgu_wrong");
    let threads: Vec<_> = (0..40)
        .map(|_| {
            let (wrong, me) = (wrong.clone(), me.clone());
            std::thread::spawn(move || wrong.get(&me).status)
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().expect("no panic") == 401));
    let timed = |who: &Http| {
        let begun = Instant::now();
        (who.get(&me).status, begun.elapsed())
    };
    let (refused, waited) = timed(&wrong);
    assert_eq!(refused, 401);
    assert!(waited >= Duration::from_millis(500), "{waited:?}");
    let begun = Instant::now();
    let refusal = shop.try_connect(ANA, "pgu_wrong").err().expect("refused");
    assert!(begun.elapsed() >= Duration::from_millis(500) && refusal.code == "28P01", "SQL and HTTP count together");
    // Good ones from the same address, as often as they like, and in the name that was guessed at.
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(timed(&Http::of(&shop, ANA)).0, 200);
        shop.ana();
    }
    assert!(begun.elapsed() < waited * 5, "{:?} for ten good logins, {waited:?} for a bad one", begun.elapsed());
}

#[test]
fn a_token_that_others_could_read_on_its_way_is_refused() {
    let shop = Shop::set_up(Mechanism::Rls, |proxy| proxy.with_http("").everywhere());
    assert_eq!(Http::of(&shop, ANA).get(&format!("{SCIM}/Me")).status, 200, "on loopback nobody can");
    let Some(address) = own_address() else {
        eprintln!("this machine has no address but loopback");
        return;
    };
    let ana = Http::of(&shop, ANA).at(address);
    let answer = ana.get(&format!("{SCIM}/Me"));
    assert_eq!(answer.verdict().0, 403, "{}", answer.text);
    assert!(answer.text.contains("TLS is required"), "{}", answer.text);
    assert_eq!(ana.get("/healthz").status, 200, "what needs no token is served");
    let forwarded = ana.send(
        "GET",
        &format!("{SCIM}/Me"),
        "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=127.0.0.1;proto=https\r\n",
        "",
    );
    assert_eq!(forwarded.status, 403, "who says to be near is not believed");
}

#[test]
fn inside_tls_a_token_is_taken_from_anywhere() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).expect("a certificate");
    let files = tempfile::tempdir().expect("a scratch directory");
    let (certificate, key) = (files.path().join("http.crt"), files.path().join("http.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("writable");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("writable");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("our own file");
    let toml = format!("certificate = \"{}\"\nprivate_key = \"{}\"", certificate.display(), key.display());
    let shop = Shop::set_up(Mechanism::Rls, |proxy| proxy.with_http(&toml).everywhere());
    let address = own_address().unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("our own certificate");
    let versions = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config =
        versions.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots).with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").expect("a name")).expect("a connection");
    let mut stream = StreamOwned::new(client, Http::nobody(&shop).at(address).socket());
    let token = shop.token(ANA);
    write!(stream, "GET {SCIM}/Me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n")
        .expect("sent");
    let answer = HttpAnswer::read(stream);
    assert_eq!((answer.status, answer.json()["userName"].clone()), (200, json!(ANA)), "{}", answer.text);
    let plain = Http::of(&shop, ANA).get(&format!("{SCIM}/Me"));
    assert_eq!(plain.status, 0, "in the clear nothing is answered: {}", plain.text);
}

/// An address of this machine that is no loopback one, if there is any. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// A connection from another address of the loopback.
fn from(address: &str, port: u16) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let at = |address: &str, port: u16| std::net::SocketAddr::new(address.parse().expect("an address"), port);
    socket.bind(&at(address, 0).into()).expect("loopback has many addresses");
    socket.connect(&at("127.0.0.1", port).into()).expect("HTTP is served");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    socket.into()
}

fn ask(mut stream: impl Read + Write, request: &str) -> HttpAnswer {
    stream.write_all(request.as_bytes()).expect("sent");
    HttpAnswer::read(stream)
}
