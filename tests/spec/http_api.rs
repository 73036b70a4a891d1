//! The HTTP API: who may call what, and what becomes of it, also for open SQL sessions.

use std::os::unix::fs::symlink;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{ADMIN, Http, Issuer, Mechanism, Shop, audit_settings, patch, records, until};

const ANA: &str = "ana@example.com";
const BOB: &str = "bob@example.com";
const SCIM: &str = "/api/2.0/preview/scim/v2";

fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| Shop::with_http(""))
}

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    Admins,
    Everybody,
}

/// Every verb, with a body that says what does not exist: nothing is changed by trying. What an administrator is answered comes last.
fn verbs() -> Vec<(&'static str, String, Option<Value>, May, u16)> {
    use May::{Admins, Everybody};
    let group = || Some(json!({"group_name": "no such"}));
    let member = || Some(json!({"parent_name": "no such", "user_name": ANA}));
    let active = || Some(patch(json!([{"op": "replace", "path": "active", "value": false}])));
    let mut verbs = vec![
        ("POST", "/api/2.0/groups/create".to_owned(), Some(json!({"group_name": "analysts"})), Admins, 400),
        ("GET", "/api/2.0/groups/list".to_owned(), None, Admins, 200),
        ("POST", "/api/2.0/groups/add-member".to_owned(), member(), Admins, 404),
        ("GET", "/api/2.0/groups/list-members?group_name=analysts".to_owned(), None, Admins, 200),
        ("GET", "/api/2.0/groups/list-parents?user_name=ana%40example.com".to_owned(), None, Admins, 200),
        ("POST", "/api/2.0/groups/remove-member".to_owned(), member(), Admins, 404),
        ("POST", "/api/2.0/groups/delete".to_owned(), group(), Admins, 404),
        ("POST", "/api/2.0/token/create".to_owned(), Some(json!({"lifetime_seconds": 60})), Everybody, 200),
        ("GET", "/api/2.0/token/list".to_owned(), None, Everybody, 200),
        ("POST", "/api/2.0/token/delete".to_owned(), Some(json!({"token_id": "no such"})), Everybody, 404),
        ("GET", "/api/2.0/token-management/tokens".to_owned(), None, Admins, 200),
        ("GET", "/api/2.0/token-management/tokens/no-such".to_owned(), None, Admins, 404),
        ("DELETE", "/api/2.0/token-management/tokens/no-such".to_owned(), None, Admins, 404),
        ("POST", "/api/2.0/token-management/on-behalf-of/tokens".to_owned(), Some(json!({"application_id": "x"})), Admins, 404),
        ("GET", format!("{SCIM}/Me"), None, Everybody, 200),
    ];
    for (kind, name) in [("Users", "userName"), ("ServicePrincipals", "displayName"), ("Groups", "displayName")] {
        verbs.extend([
            ("GET", format!("{SCIM}/{kind}"), None, Admins, 200),
            ("POST", format!("{SCIM}/{kind}"), Some(json!({name: "analysts"})), Admins, 409),
            ("GET", format!("{SCIM}/{kind}/999999"), None, Admins, 404),
            ("PUT", format!("{SCIM}/{kind}/999999"), Some(json!({name: "x"})), Admins, 404),
            ("DELETE", format!("{SCIM}/{kind}/999999"), None, Admins, 404),
        ]);
    }
    verbs.extend([
        ("PATCH", format!("{SCIM}/Users/999999"), active(), Admins, 404),
        ("PATCH", format!("{SCIM}/ServicePrincipals/999999"), active(), Admins, 404),
        ("PATCH", format!("{SCIM}/Groups/999999"), Some(patch(json!([{"op": "remove", "path": "members"}]))), Admins, 404),
    ]);
    verbs
}

#[test]
fn every_verb_is_for_whom_it_is_meant() {
    let shop = shop();
    let narrowed = shop.make_token(ADMIN, "SCOPES (sql)");
    let administrating = shop.make_token(ADMIN, "SCOPES (admin)");
    for (method, path, body, may, admin) in verbs() {
        let status = |who: &Http| who.call(method, &path, body.clone()).status;
        let told = format!("{method} {path}");
        assert_eq!(status(&Http::of(shop, ADMIN)), admin, "{told} by an administrator");
        assert_eq!(status(&Http::with(shop, &administrating)), admin, "{told} by an administrator's token for administration");
        assert_eq!(status(&Http::with(shop, &narrowed)), 403, "{told} by an administrator's token for SQL");
        assert_eq!(status(&Http::nobody(shop)), 401, "{told} by nobody");
        let other = if may == May::Everybody { admin } else { 403 };
        for who in [ANA, "bi_tool"] {
            assert_eq!(status(&Http::of(shop, who)), other, "{told} by {who}");
        }
    }
    let answer = Http::with(shop, &narrowed).get("/api/2.0/groups/list");
    assert_eq!(answer.json()["message"], "permission denied: the token lacks the scope \"admin\"");
}

#[test]
fn a_group_lives_through_groups_2_0_and_open_sessions_follow() {
    let shop = Shop::with_http("");
    let admin = Http::of(&shop, ADMIN);
    let bob = shop.bob();
    let regions = || bob.column("SELECT DISTINCT region FROM orders ORDER BY 1");
    assert_eq!(regions(), ["AMER"]);
    let post = |verb: &str, body: Value| admin.post(&format!("/api/2.0/groups/{verb}"), body);
    let made = post("create", json!({"group_name": "Zoë's \"group\""}));
    assert_eq!((made.status, made.json()), (200, json!({"group_name": "Zoë's \"group\""})));
    let twice = post("create", json!({"group_name": "Zoë's \"group\""}));
    assert_eq!(twice.verdict(), (400, "RESOURCE_ALREADY_EXISTS".to_owned()));
    let into = |name: &str| json!({"parent_name": "emea_analysts", "group_name": name});
    assert_eq!(post("add-member", into("Zoë's \"group\"")).json(), json!({}));
    let bob_in = json!({"parent_name": "Zoë's \"group\"", "user_name": BOB});
    assert_eq!(post("add-member", bob_in.clone()).status, 200);
    until("bob's session to see more", || (regions() == ["AMER", "EMEA"]).then_some(()));
    let members = admin.get("/api/2.0/groups/list-members?group_name=emea_analysts").json();
    assert_eq!(members, json!({"members": [{"user_name": ANA}, {"group_name": "Zoë's \"group\""}]}));
    let parents = |of: &str| admin.get(&format!("/api/2.0/groups/list-parents?{of}")).json()["group_names"].clone();
    assert_eq!(parents("user_name=bob%40example.com"), json!(["Zoë's \"group\"", "amer_analysts", "users"]));
    assert_eq!(parents("group_name=Zo%C3%AB%27s+%22group%22"), json!(["emea_analysts", "users"]));
    let cycle = post("add-member", json!({"parent_name": "Zoë's \"group\"", "group_name": "analysts"}));
    assert_eq!(cycle.verdict(), (400, "INVALID_PARAMETER_VALUE".to_owned()), "{}", cycle.text);
    assert_eq!(post("remove-member", bob_in).status, 200);
    until("bob's session to see less", || (regions() == ["AMER"]).then_some(()));
    let name = || json!({"group_name": "Zoë's \"group\""});
    assert_eq!(post("delete", name()).json(), json!({}));
    assert_eq!(post("delete", name()).verdict(), (404, "RESOURCE_DOES_NOT_EXIST".to_owned()));
    let groups = admin.get("/api/2.0/groups/list").json();
    assert_eq!(groups["group_names"], json!(["admins", "amer_analysts", "analysts", "emea_analysts", "hr", "interns", "users"]));
    let log = shop.proxy.log();
    assert!(log.contains("DROP GROUP") && log.contains("event=\"governed\""), "changes are recorded:\n{log}");
}

#[test]
fn what_groups_2_0_cannot_take_has_its_code() {
    let admin = Http::of(shop(), ADMIN);
    for (verb, body, verdict) in [
        ("create", json!({}), (400, "INVALID_PARAMETER_VALUE")),
        ("create", json!({"group_name": ""}), (400, "INVALID_PARAMETER_VALUE")),
        ("create", json!({"group_name": "a\u{0}b"}), (400, "INVALID_PARAMETER_VALUE")),
        ("create", json!({"group_name": "x".repeat(257)}), (400, "INVALID_PARAMETER_VALUE")),
        ("create", json!({"group_name": "token"}), (400, "INVALID_PARAMETER_VALUE")),
        ("create", json!({"group_name": "x", "owner": "y"}), (400, "INVALID_PARAMETER_VALUE")),
        ("add-member", json!({"parent_name": "hr"}), (400, "INVALID_PARAMETER_VALUE")),
        ("add-member", json!({"parent_name": "hr", "user_name": ANA, "group_name": "interns"}), (400, "INVALID_PARAMETER_VALUE")),
        ("add-member", json!({"parent_name": "hr", "user_name": "interns"}), (404, "RESOURCE_DOES_NOT_EXIST")),
        ("add-member", json!({"parent_name": "hr", "group_name": ANA}), (404, "RESOURCE_DOES_NOT_EXIST")),
        ("add-member", json!({"parent_name": "users", "user_name": ANA}), (400, "INVALID_STATE")),
        ("delete", json!({"group_name": "admins"}), (400, "INVALID_STATE")),
        ("delete", json!({"group_name": ANA}), (400, "INVALID_PARAMETER_VALUE")),
        ("remove-member", json!({"parent_name": "admins", "user_name": ADMIN}), (400, "INVALID_STATE")),
    ] {
        let answer = admin.post(&format!("/api/2.0/groups/{verb}"), body.clone());
        assert_eq!(answer.verdict(), (verdict.0, verdict.1.to_owned()), "{verb} {body}: {}", answer.text);
    }
    let missing = admin.get("/api/2.0/groups/list-members?group_name=nobody");
    assert_eq!(missing.verdict(), (404, "RESOURCE_DOES_NOT_EXIST".to_owned()));
    assert_eq!(admin.get("/api/2.0/groups/list-parents").status, 400);
    assert_eq!(admin.get("/api/2.0/groups/forget").verdict(), (404, "ENDPOINT_NOT_FOUND".to_owned()));
    assert_eq!(admin.call("PUT", "/api/2.0/groups/list", None).status, 405);
}

#[test]
fn a_token_lives_through_token_2_0() {
    let shop = shop();
    let hana = Http::of(shop, "hana@example.com");
    let made = hana.post("/api/2.0/token/create", json!({"comment": "it's mine", "lifetime_seconds": 3600}));
    let (value, info) = (made.json()["token_value"].as_str().expect("a token").to_owned(), made.json()["token_info"].clone());
    let lives = info["expiry_time"].as_i64().expect("an end") - info["creation_time"].as_i64().expect("a begin");
    assert!((3_590_000..=3_610_000).contains(&lives), "{info}");
    assert_eq!(info["comment"], "it's mine");
    assert!(made.head.to_ascii_lowercase().contains("cache-control: no-store"), "{}", made.head);
    let session = shop.try_connect("hana@example.com", &value).expect("it is a password");
    let by_it = Http::with(shop, &value);
    let listed = by_it.get("/api/2.0/token/list").json();
    let infos = listed["token_infos"].as_array().expect("a list");
    assert!(infos.iter().any(|found| found["token_id"] == info["token_id"] && found["comment"] == "it's mine"), "{listed}");
    assert!(!listed.to_string().contains(&value[4..]));
    let delete = || hana.post("/api/2.0/token/delete", json!({"token_id": info["token_id"]}));
    assert_eq!((delete().json(), delete().verdict()), (json!({}), (404, "RESOURCE_DOES_NOT_EXIST".to_owned())));
    assert_eq!(by_it.get("/api/2.0/token/list").status, 401, "it is refused at once");
    until("the session by it to end", || session.closed().then_some(()));
    for body in [
        json!({"lifetime_seconds": 0}),
        json!({"lifetime_seconds": -5}),
        json!({"lifetime_seconds": 1e18}),
        json!({"lifetime_seconds": 9_000_000_000i64}),
    ] {
        assert_eq!(hana.post("/api/2.0/token/create", body.clone()).status, 400, "{body}");
    }
    let narrowed = hana.post("/api/2.0/token/create", json!({"scopes": ["sql"]})).json();
    let narrowed = Http::with(shop, narrowed["token_value"].as_str().expect("a token"));
    assert_eq!(narrowed.get("/api/2.0/token/list").status, 403);
    assert_eq!(hana.post("/api/2.0/token/create", json!({"scopes": ["everything"]})).status, 501);
}

#[test]
fn administrators_manage_everybodys_tokens_and_make_those_of_service_principals() {
    let shop = shop();
    let admin = Http::of(shop, ADMIN);
    let managed = "/api/2.0/token-management";
    let wanted = json!({"application_id": "bi_tool", "comment": "nightly", "lifetime_seconds": 600});
    let made = admin.post(&format!("{managed}/on-behalf-of/tokens"), wanted).json();
    let value = made["token_value"].as_str().expect("a token");
    assert_eq!(Http::with(shop, value).get(&format!("{SCIM}/Me")).json()["userName"], "bi_tool");
    let id = made["token_info"]["token_id"].as_str().expect("an id");
    let one = admin.get(&format!("{managed}/tokens/{id}")).json()["token_info"].clone();
    assert_eq!((one["comment"].as_str(), one["created_by_username"].as_str()), (Some("nightly"), Some("bi_tool")));
    let all =
        |filter: &str| admin.get(&format!("{managed}/tokens{filter}")).json()["token_infos"].as_array().expect("a list").clone();
    let holders =
        |of: Vec<Value>| of.into_iter().map(|t| t["created_by_username"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!([ADMIN, ANA, "bi_tool"].iter().all(|name| holders(all("")).contains(&(*name).to_owned())));
    assert!(holders(all("?created_by_username=bi_tool")).iter().all(|name| name == "bi_tool"));
    let by_id = all(&format!("?created_by_id={}", one["created_by_id"]));
    assert!(by_id.iter().any(|token| token["token_id"] == id) && holders(by_id).iter().all(|name| name == "bi_tool"));
    let delete = || admin.call("DELETE", &format!("{managed}/tokens/{id}"), None);
    assert_eq!((delete().status, delete().status), (200, 404));
    assert_eq!(Http::with(shop, value).get(&format!("{SCIM}/Me")).status, 401);
    let for_user = admin.post(&format!("{managed}/on-behalf-of/tokens"), json!({"application_id": ANA}));
    assert_eq!(for_user.verdict(), (404, "RESOURCE_DOES_NOT_EXIST".to_owned()));
}

#[test]
fn users_live_through_scim_and_who_is_disabled_is_out_at_once() {
    let shop = Shop::with_http("");
    let admin = Http::of(&shop, ADMIN);
    let users = format!("{SCIM}/Users");
    let made = admin.post(&users, json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "eve@example.com", "name": {"givenName": "Eve"}}));
    assert_eq!(made.status, 201, "{}", made.text);
    let (id, eve) =
        (made.json()["id"].as_str().expect("an id").to_owned(), format!("{users}/{}", made.json()["id"].as_str().unwrap()));
    assert_eq!(made.json()["active"], true);
    let token = shop.make_token("eve@example.com", "");
    let session = shop.try_connect("eve@example.com", &token).expect("enabled");
    assert_eq!(Http::with(&shop, &token).get(&format!("{SCIM}/Me")).json()["id"], json!(id));
    let off = patch(json!([{"op": "Replace", "value": {"active": "False"}}]));
    assert_eq!(admin.call("PATCH", &eve, Some(off)).json()["active"], false);
    assert_eq!(Http::with(&shop, &token).get(&format!("{SCIM}/Me")).status, 401);
    until("her session to end", || session.closed().then_some(()));
    let on = admin.call("PUT", &eve, Some(json!({"userName": "eve@example.com", "active": true})));
    assert_eq!((on.status, on.json()["active"].clone()), (200, json!(true)));
    assert_eq!(admin.call("PUT", &eve, Some(json!({"userName": "root@example.com"}))).status, 400, "names stay");
    // The case of an attribute's name means nothing (RFC 7643 section 2.1); twice it is an error.
    let off = admin.call("PUT", &eve, Some(json!({"USERNAME": "eve@example.com", "Active": false})));
    assert_eq!((off.status, off.json()["active"].clone()), (200, json!(false)));
    assert_eq!(admin.call("PUT", &eve, Some(json!({"userName": "eve@example.com", "active": true, "Active": false}))).status, 400);
    assert_eq!(admin.call("PUT", &eve, Some(json!(["eve@example.com"]))).status, 400);
    assert_eq!(admin.call("PUT", &eve, Some(json!({"userName": "eve@example.com", "active": true}))).json()["active"], true);
    let plus = eve.replacen("/Users/", "/Users/+", 1);
    assert_eq!(admin.call("GET", &plus, None).status, 404);
    let rights = admin.post(&users, json!({"userName": "f@example.com", "groups": [{"value": "1"}]}));
    assert_eq!((rights.status, rights.json()["scimType"].clone()), (400, json!("mutability")));
    let off = admin.post(&users, json!({"userName": "off@example.com", "active": false}));
    assert_eq!((off.status, off.json()["active"].clone()), (201, json!(false)));
    assert_eq!((admin.call("DELETE", &eve, None).status, admin.call("DELETE", &eve, None).status), (204, 404));
    let last = admin.call(
        "PATCH",
        &format!("{users}/{}", admin.id("Users", ADMIN)),
        Some(patch(json!([{"op": "replace", "path": "active", "value": false}]))),
    );
    assert_eq!(last.status, 400, "the last administrator stays: {}", last.text);
}

#[test]
fn groups_live_through_scim() {
    let shop = Shop::with_http("");
    let admin = Http::of(&shop, ADMIN);
    let groups = format!("{SCIM}/Groups");
    let [ana, bob, hr] = [("Users", ANA), ("Users", BOB), ("Groups", "hr")].map(|(kind, name)| admin.id(kind, name));
    let made = admin.post(&groups, json!({"displayName": "crew", "members": [{"value": ana}]}));
    assert_eq!((made.status, made.json()["members"][0]["display"].clone()), (201, json!(ANA)), "{}", made.text);
    let crew = format!("{groups}/{}", made.json()["id"].as_str().expect("an id"));
    let members = |answer: &crate::harness::HttpAnswer| -> Vec<String> {
        let list = answer.json()["members"].as_array().unwrap_or_else(|| panic!("{}", answer.text)).clone();
        list.iter().map(|member| member["display"].as_str().unwrap().to_owned()).collect()
    };
    let patched = |operations: Value| members(&admin.call("PATCH", &crew, Some(patch(operations))));
    assert_eq!(patched(json!([{"op": "add", "value": {"members": [{"value": bob}, {"value": hr}]}}])), [ANA, BOB, "hr"]);
    assert_eq!(patched(json!([{"op": "remove", "path": format!("members[value eq \"{ana}\"]")}])), [BOB, "hr"]);
    assert_eq!(
        patched(
            json!([{"op": "add", "path": "members", "value": [{"value": ana}]}, {"op": "remove", "path": "members", "value": [{"value": hr}]}])
        ),
        [ANA, BOB]
    );
    assert_eq!(patched(json!([{"op": "replace", "path": "members", "value": [{"value": hr}]}])), ["hr"]);
    let put = |body: Value| admin.call("PUT", &crew, Some(body));
    assert_eq!(members(&put(json!({"displayName": "crew", "members": [{"value": bob}]}))), [BOB]);
    assert_eq!(put(json!({"displayName": "crew2"})).status, 400, "names stay");
    assert_eq!(members(&admin.get(&crew)), [BOB], "what fails changes nothing");
    for (operations, kind) in [
        (json!([{"op": "add", "value": {"members": [{"value": "999999"}]}}]), json!("invalidValue")),
        (json!([{"op": "replace", "path": "roles", "value": []}]), json!("invalidPath")),
        (json!([{"op": "shuffle", "path": "members"}]), json!("invalidSyntax")),
        (json!([{"op": "remove"}]), json!("noTarget")),
        (json!([]), json!("invalidSyntax")),
    ] {
        let answer = admin.call("PATCH", &crew, Some(patch(operations)));
        assert_eq!((answer.status, answer.json()["scimType"].clone()), (400, kind), "{}", answer.text);
    }
    assert_eq!(patched(json!([{"op": "remove", "path": "members"}])), Vec::<String>::new());
    assert_eq!((admin.call("DELETE", &crew, None).status, admin.get(&crew).status), (204, 404));
}

#[test]
fn lists_are_filtered_sorted_cut_and_paged() {
    let admin = Http::of(shop(), ADMIN);
    let list = |query: &str| admin.get(&format!("{SCIM}/Users?{query}")).json();
    let names = |list: Value| {
        let found = list["Resources"].as_array().expect("resources").clone();
        found.iter().map(|one| one["userName"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(list("filter=userName+sw+%22ana%22+and+active+eq+true")), [ANA]);
    assert_eq!(
        names(list("filter=userName+co+@example.com&sortBy=userName&sortOrder=descending&count=2")),
        ["ivan@example.com", "hana@example.com"]
    );
    let first = list("startIndex=1&count=2");
    let all = first["totalResults"].as_u64().expect("a number");
    assert_eq!((first["itemsPerPage"].as_u64(), first["startIndex"].as_u64()), (Some(2), Some(1)));
    let beyond = list(&format!("startIndex={}&count=10000", all + 1));
    assert_eq!((beyond["Resources"].clone(), beyond["totalResults"].as_u64()), (json!([]), Some(all)));
    let cut = list("attributes=userName&count=1")["Resources"][0].clone();
    assert_eq!(cut.as_object().expect("an object").keys().collect::<Vec<_>>(), ["id", "schemas", "userName"]);
    let without = admin.get(&format!("{SCIM}/Groups?excludedAttributes=members,groups&count=1")).json()["Resources"][0].clone();
    assert!(without.get("members").is_none() && without.get("displayName").is_some());
    let wrong = admin.get(&format!("{SCIM}/Users?filter=password+eq+a"));
    assert_eq!((wrong.status, wrong.json()["scimType"].clone()), (400, json!("invalidFilter")));
}

#[test]
fn a_jwt_calls_as_its_principal_and_makes_no_tokens() {
    let issuer = Issuer::start();
    let settings = issuer.settings("create_principals = true");
    let shop = Shop::set_up(Mechanism::Rls, |proxy| proxy.with_http("").with(&settings));
    let ana = Http::with(&shop, &issuer.token(ANA));
    let me = ana.get(&format!("{SCIM}/Me")).json();
    assert_eq!(me["userName"], ANA);
    assert_eq!(ana.post("/api/2.0/token/create", json!({})).verdict(), (403, "PERMISSION_DENIED".to_owned()));
    assert_eq!(ana.get("/api/2.0/groups/list").status, 403);
    assert_eq!(Http::with(&shop, &issuer.token(ADMIN)).get("/api/2.0/groups/list").status, 200);
    let acting = issuer.claiming(ADMIN, json!({"act": {"sub": "bi_tool"}}));
    assert_eq!(Http::with(&shop, &acting).get("/api/2.0/groups/list").status, 403, "who acts for an administrator is none");
    let stranger = issuer.token("stranger@example.com");
    assert_eq!(Http::with(&shop, &stranger).get(&format!("{SCIM}/Me")).status, 401);
    let known = shop.admin().column("SHOW USERS");
    assert!(!known.contains(&"stranger@example.com".to_owned()), "nobody is made for a call: {known:?}");
}

#[test]
fn a_call_is_on_record_and_without_a_record_nothing_is_changed() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let (file, real) = (directory.path().join("audit.jsonl"), directory.path().join("real.jsonl"));
    std::fs::write(&real, "").expect("a file");
    symlink(&real, &file).expect("a link");
    let shop = Shop::set_up(Mechanism::Rls, |proxy| proxy.with_http("").with(&audit_settings(&file, "")));
    let admin = Http::of(&shop, ADMIN);
    let create = |name: &str| admin.post("/api/2.0/groups/create", json!({"group_name": name})).status;
    assert_eq!(create("written"), 200);
    let refused = Http::of(&shop, ANA).post("/api/2.0/groups/create", json!({"group_name": "not hers"}));
    assert_eq!(refused.status, 403);
    let all = records(&file);
    let of = |event: &str, who: &str| {
        let found = all.iter().find(|record| record["event"] == event && record["principal"] == who);
        found.unwrap_or_else(|| panic!("no {event} of {who}: {all:#?}")).clone()
    };
    assert_eq!(of("change", ADMIN)["address"], "127.0.0.1");
    assert!(of("change", ADMIN).to_string().contains("CREATE GROUP"), "{all:#?}");
    let denied = of("statement", ANA);
    assert_eq!((denied["outcome"].as_str(), denied["sqlstate"].as_str()), (Some("denied"), Some("42501")), "{denied:#}");
    let link = directory.path().join("full");
    symlink("/dev/full", &link).expect("a link");
    std::fs::rename(&link, &file).expect("a link in its place");
    std::fs::remove_file(&real).expect("the file goes");
    assert_eq!(create("unwritten"), 503);
    std::fs::write(&real, "").expect("a file");
    symlink(&real, &link).expect("a link");
    std::fs::rename(&link, &file).expect("a link in its place");
    until("calls to go on", || (create("after") == 200).then_some(()));
    let groups = admin.get("/api/2.0/groups/list").json();
    let groups = groups["group_names"].as_array().expect("a list");
    assert!(groups.contains(&json!("after")) && !groups.contains(&json!("unwritten")), "{groups:?}");
}
