use std::collections::HashSet;

use super::*;
use crate::catalog::{Governed, SearchPath};
use crate::name::Name;
use crate::policy::{
    Grant, PolicyParts, PolicySnapshot, PolicySource, Principal, PrincipalId, PrincipalKind, Privilege, RowFilter, Securable,
    Subject,
};
use crate::sql::AuthorizeError;
use crate::sql::fixture::{self, Held, admin, alice};

const ROOMY: Bounds = Bounds { entries: 1600, bytes: 16 << 20 };

fn ground(footing: &Arc<Footing>, subject: Subject, path: &[&str]) -> Ground {
    let schemas = path.iter().map(|name| Name::exact(name)).collect();
    Ground { footing: footing.clone(), subject, path: SearchPath { schemas } }
}

/// Somebody without a grant.
fn olga() -> Subject {
    let groups = Arc::new(HashSet::from([PrincipalId(1)]));
    Subject { principal: PrincipalId(5), name: "olga".into(), groups, ..alice() }
}

fn outlined(readings: &Readings, text: &str, ground: &Ground, published: Option<&Arc<Footing>>) -> Result<Outline, Refusal> {
    let (text, limits) = (Arc::from(text), Limits::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(readings.outline(&text, ground, published, &Held, &limits))
}

fn ask(readings: &Readings, text: &str, ground: &Ground, published: Option<&Arc<Footing>>) -> Result<String, Refusal> {
    match outlined(readings, text, ground, published)? {
        Outline::Together(script) => Ok(script.parts.iter().map(|part| &**part.rewritten.text()).collect::<Vec<_>>().join("; ")),
        Outline::Empty | Outline::Governance(_) | Outline::OneByOne(_) => Ok(String::new()),
    }
}

fn counts(readings: &Readings) -> (u64, u64) {
    let figures = readings.figures();
    (figures.hits, figures.misses)
}

#[test]
fn a_text_is_analysed_once_and_decided_on_for_each() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let (alice, olga) = (ground(&footing, alice(), &["public"]), ground(&footing, olga(), &["public"]));
    let sent = ask(&readings, "SELECT id FROM orders", &alice, Some(&footing)).unwrap();
    assert_eq!(ask(&readings, "SELECT id FROM orders", &alice, Some(&footing)).unwrap(), sent);
    assert_eq!(counts(&readings), (1, 1));
    let denied = ask(&readings, "SELECT id FROM orders", &olga, Some(&footing));
    let Err(Refusal::Authorize(AuthorizeError::Denied { denied, .. })) = denied else { panic!("{denied:?}") };
    assert_eq!(denied.missing[0].requirement.securable, Securable::Relation(fixture::ORDERS));
    assert_eq!(counts(&readings), (2, 1));
}

#[test]
fn what_is_denied_to_the_first_is_there_for_the_next() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let ask = |subject| ask(&readings, "SELECT id FROM orders", &ground(&footing, subject, &["public"]), Some(&footing));
    assert!(ask(olga()).is_err());
    assert!(ask(alice()).is_ok());
    assert!(ask(olga()).is_err());
}

#[test]
fn a_session_keeps_what_came_twice() {
    let footing = Arc::new(fixture::footing());
    let (text, alice) = (Arc::from("SELECT id FROM orders"), ground(&footing, alice(), &["public"]));
    let Ok(Outline::Together(script)) = outline(&text, &alice, &Held, &Limits::default()) else { panic!("it is allowed") };
    let mut cache = Cache::default();
    cache.keep(&script);
    assert!(cache.find(&text).is_none() && cache.scripts.capacity() == 0);
    cache.keep(&script);
    assert!(cache.find(&text).is_some());
}

#[test]
fn another_search_path_is_another_text() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let ask = |path: &[&str]| ask(&readings, "SELECT id FROM orders", &ground(&footing, admin(), path), Some(&footing)).unwrap();
    let first = ask(&["public"]);
    assert_ne!(ask(&["archive", "public"]), first);
    assert_eq!(ask(&["public"]), first);
    assert_eq!(counts(&readings), (1, 2));
}

#[test]
fn administrators_and_others_share_nothing() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let ask =
        |subject| ask(&readings, "SELECT id::regclass::text FROM orders", &ground(&footing, subject, &["public"]), Some(&footing));
    let whole = ask(admin()).unwrap();
    let other = ask(alice()).unwrap();
    assert_ne!(other, whole);
    assert_eq!((ask(admin()).unwrap(), ask(alice()).unwrap()), (whole, other));
    assert_eq!(counts(&readings), (2, 2));
}

/// A row of a catalog is read as it is where its number is known to be seen.
#[test]
fn what_one_principal_sees_is_not_taken_for_seen_by_another() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let text = format!("SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = '{}'", fixture::ORDERS);
    let ask = |subject| ask(&readings, &text, &ground(&footing, subject, &["public"]), Some(&footing)).unwrap();
    let (hers, others) = (ask(alice()), ask(olga()));
    assert!(!hers.contains("pgusher") && others.contains("pgusher"), "{hers}\n{others}");
    assert_eq!((ask(alice()), ask(olga())), (hers, others));
    assert_eq!(counts(&readings), (2, 2));
}

/// Of an open transaction, with temporary objects, or an older one: all bear the same versions.
#[test]
fn only_the_published_footing_is_shared_on() {
    let readings = Readings::new(ROOMY);
    let (published, own) = (Arc::new(fixture::footing()), Arc::new(fixture::footing()));
    assert_eq!(published.versions(), own.versions());
    let ask =
        |footing, published| ask(&readings, "SELECT id FROM orders", &ground(footing, alice(), &["public"]), published).unwrap();
    ask(&own, Some(&published));
    ask(&own, None);
    assert_eq!(readings.figures(), Figures::default());
    ask(&published, Some(&published));
    ask(&own, Some(&published));
    assert_eq!(counts(&readings), (0, 1));
}

#[test]
fn a_newer_footing_throws_out_everything() {
    let readings = Readings::new(ROOMY);
    let (old, new) = (Arc::new(fixture::footing()), Arc::new(fixture::footing()));
    for text in ["SELECT id FROM orders", "SELECT owner FROM orders", "SELECT region FROM orders"] {
        ask(&readings, text, &ground(&old, alice(), &["public"]), Some(&old)).unwrap();
    }
    assert_eq!(readings.figures().entries, 3);
    ask(&readings, "SELECT id FROM orders", &ground(&new, alice(), &["public"]), Some(&new)).unwrap();
    let Figures { entries, bytes, .. } = readings.figures();
    assert_eq!((entries, counts(&readings)), (1, (0, 4)));
    assert!(bytes > 0 && bytes < 2000, "{bytes}");
    assert_eq!(Arc::strong_count(&old), 1, "it keeps no footing alive");
}

#[test]
fn what_looks_at_a_sessions_own_objects_is_not_kept() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let alice = ground(&footing, alice(), &["public"]);
    for text in ["EXECUTE held", "FETCH 1 FROM held", "EXPLAIN EXECUTE held", "PREPARE p AS SELECT 1", "DISCARD ALL", "MOVE held"] {
        let _ = ask(&readings, text, &alice, Some(&footing));
        assert_eq!(readings.figures().entries, 0, "{text}");
    }
}

#[test]
fn it_grows_no_larger_than_its_bounds() {
    let (readings, footing) = (Readings::new(Bounds { entries: 64, bytes: 1 << 20 }), Arc::new(fixture::footing()));
    let alice = ground(&footing, alice(), &["public"]);
    for number in 0..1000 {
        ask(&readings, &format!("SELECT id AS a{number} FROM orders"), &alice, Some(&footing)).unwrap();
        ask(&readings, "SELECT id FROM orders", &alice, Some(&footing)).unwrap();
    }
    let Figures { entries, evicted, hits, .. } = readings.figures();
    assert!(entries <= 64 && evicted >= 900, "{entries} {evicted}");
    assert!(hits >= 900, "what is asked for again stays: {hits}");
    let small = Readings::new(Bounds { entries: 1000, bytes: 16 << 10 });
    for number in 0..1000 {
        ask(&small, &format!("SELECT id AS a{number} FROM orders"), &alice, Some(&footing)).unwrap();
    }
    let Figures { entries, bytes, .. } = small.figures();
    assert!(entries > 0 && bytes <= 16 << 10, "{entries} {bytes}");
    let none = Readings::new(Bounds { entries: 0, bytes: 0 });
    ask(&none, "SELECT 1", &alice, Some(&footing)).unwrap();
    assert_eq!((none.figures().entries, none.figures().bytes), (0, 0));
}

#[test]
fn who_asks_for_a_text_that_is_being_analysed_waits() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let (text, alice) = (Arc::from("SELECT id FROM orders"), ground(&footing, alice(), &["public"]));
    let find = |text: &Arc<str>| readings.find(readings.hash(text, &alice), text, &alice);
    let Found::Claim(claim) = find(&text) else { panic!("nobody has it") };
    let Found::Busy(done) = find(&text) else { panic!("somebody is at it") };
    assert!(matches!(find(&Arc::from("SELECT 1")), Found::Claim(_)), "another text waits for nobody");
    assert!(done.has_changed().is_ok(), "not done");
    let Ok(Outline::Together(script)) = outline(&text, &alice, &Held, &Limits::default()) else { panic!("it is allowed") };
    claim.keep(Arc::new(Reading::of(&script).unwrap()));
    assert!(done.has_changed().is_err(), "done");
    assert!(matches!(find(&text), Found::Reading(_)));
    // Whoever gives up leaves it to the next.
    let text = Arc::from("SELECT 2");
    drop(find(&text));
    assert!(matches!(find(&text), Found::Claim(_)));
}

#[test]
fn the_third_text_of_a_shape_is_not_analysed() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let (alice, olga) = (ground(&footing, alice(), &["public"]), ground(&footing, olga(), &["public"]));
    let text = |number: usize| format!("SELECT id FROM orders WHERE id = {number} AND owner = 'o{number}';");
    for number in 1..20 {
        let sent = ask(&readings, &text(number), &alice, Some(&footing)).unwrap();
        assert!(sent.ends_with(&format!("WHERE id = {number} AND owner = 'o{number}'")), "{sent}");
    }
    let Figures { filled, misses, entries, .. } = readings.figures();
    assert_eq!((filled, misses, entries), (17, 2, 3));
    assert!(ask(&readings, &text(20), &olga, Some(&footing)).is_err(), "each is decided on for itself");
    let other = Arc::new(fixture::footing());
    ask(&readings, &text(21), &ground(&other, alice.subject.clone(), &["public"]), Some(&footing)).unwrap();
    assert_eq!(readings.figures().filled, 18, "on another footing nothing is filled in");
    let _ = ask(&readings, &text(21), &ground(&footing, alice.subject.clone(), &["archive", "public"]), Some(&footing));
    assert_eq!(readings.figures().filled, 18, "nor on another search path");
}

#[test]
fn what_texts_of_a_shape_may_run_is_found_out_once_for_their_footing_and_for_no_other() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing_with(|parts| parts.casts.clear())));
    let alice = ground(&footing, alice(), &["public"]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask = |number: usize| {
        let (text, limits) = (Arc::from(format!("SELECT id FROM orders WHERE id = {number}")), Limits::default());
        let asked = readings.outline(&text, &alice, Some(&footing), &Held, &limits);
        let Ok(Outline::Together(script)) = runtime.block_on(asked) else { panic!("it is allowed") };
        script
    };
    let scripts = [ask(1), ask(2), ask(3), ask(4)];
    let [_, second, third, fourth] = scripts.each_ref().map(|script| &script.parts[0]);
    assert_eq!(readings.figures().filled, 2);
    assert!(Arc::ptr_eq(&second.behind, &third.behind) && Arc::ptr_eq(&second.behind, &fourth.behind));
    let expression: Arc<str> = "pg_advisory_lock(id) IS NOT NULL".into();
    let filter =
        RowFilter { relation: fixture::ORDERS, expression: expression.clone(), source: PolicySource::Expression(expression) };
    let parts = PolicyParts { filters: vec![filter], ..PolicyParts::default() };
    let filtered = Footing::new(footing.catalog.clone(), Arc::new(PolicySnapshot::new(1, parts)), HashMap::new());
    assert_eq!(third.behind.found(&third.rewritten, &footing), (false, false));
    assert_eq!(fourth.behind.found(&fourth.rewritten, &filtered), (false, true), "the filter leaves something");
    assert_eq!(second.behind.found(&second.rewritten, &footing), (false, false));
}

/// The row of pg_class is read as it is where its number is one that is seen: each number is asked about anew.
#[test]
fn a_number_that_is_seen_says_nothing_of_another() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let alice = ground(&footing, alice(), &["public"]);
    let ask = |number: u32| {
        let text = format!("SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = '{number}'");
        ask(&readings, &text, &alice, Some(&footing)).unwrap()
    };
    for (number, seen) in [(fixture::ORDERS, true), (104, true), (fixture::CUSTOMERS, false), (fixture::EMPLOYEES, false)].repeat(3)
    {
        assert_eq!(!ask(number).contains("pgusher"), seen, "{number}");
    }
    assert_eq!(ask(104), format!("SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = '104'"));
    assert!(readings.figures().filled > 0);
}

/// What a session knows of shapes, it knows of the shapes only: permission and sight are asked of each text and of whoever asks.
#[test]
fn a_session_fills_in_what_is_permitted_and_seen() {
    let (readings, footing) = (Readings::new(ROOMY), Arc::new(fixture::footing()));
    let alice = ground(&footing, alice(), &["public"]);
    let mut cache = Cache::default();
    let orders = |id: u32| format!("SELECT id FROM orders WHERE id = {id}");
    let relation = |number: u32| format!("SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = '{number}'");
    let numbers = [fixture::ORDERS, fixture::CUSTOMERS, 104, fixture::EMPLOYEES, 7, 9];
    for text in [orders(1), orders(2), orders(3)].into_iter().chain(numbers.map(relation)) {
        let Ok(Outline::Together(script)) = outlined(&readings, &text, &alice, Some(&footing)) else { panic!("it is allowed") };
        cache.keep(&script);
    }
    let sent = |cache: &Cache, text: &str, subject: &Subject| {
        cache.fill(text, &footing, subject).map(|script| (script.text.to_string(), script.parts[0].rewritten.text().to_string()))
    };
    let (his, hers) = (olga(), &alice.subject);
    let whole = |text: &str| Some((text.to_owned(), ask(&readings, text, &alice, None).unwrap()));
    assert_eq!(sent(&cache, &orders(77), hers), whole(&orders(77)));
    assert_eq!(sent(&cache, &orders(77), &his), None, "a decision is made for each");
    let filled = numbers.map(|number| sent(&cache, &relation(number), hers));
    for (number, filled) in numbers.into_iter().zip(&filled) {
        assert!(filled.is_none() || *filled == whole(&relation(number)), "{number}: {filled:?}");
    }
    assert!(filled.iter().any(Option::is_some));
    for text in [
        "SELECT id FROM orders WHERE id = 1 OR id = 2",
        "SELECT id FROM orders WHERE id = 'a'",
        "SELECT id FROM orders WHERE id = -1",
    ] {
        assert_eq!(sent(&cache, text, hers), None, "{text}");
    }
    cache.clear();
    assert_eq!(sent(&cache, &orders(77), hers), None);
}

/// A GRANT to somebody does not make everybody's statements new.
#[test]
fn what_is_known_outlives_a_grant_and_nothing_else() {
    let readings = Readings::new(ROOMY);
    let (catalog, text) = (Arc::clone(&fixture::footing().catalog), "SELECT id FROM orders");
    let footing = |change: &dyn Fn(&mut PolicyParts)| {
        let principal = |id, name: &str| Principal { id, name: name.into(), kind: PrincipalKind::User, enabled: true };
        let principals = vec![principal(fixture::ALICE, "alice"), principal(PrincipalId(5), "olga")];
        let mut parts = PolicyParts { principals, ..PolicyParts::default() };
        change(&mut parts);
        Footing::new(catalog.clone(), Arc::new(PolicySnapshot::new(1, parts)), HashMap::new())
    };
    let grant = |principal| Grant { principal, privilege: Privilege::Select, securable: Securable::Relation(fixture::ORDERS) };
    let ask = |footing: &Arc<Footing>, subject| ask(&readings, text, &ground(footing, subject, &["public"]), Some(footing));
    let first = Arc::new(footing(&|parts| parts.grants.push(grant(fixture::ALICE))));
    assert!(ask(&first, alice()).is_ok() && ask(&first, olga()).is_err());
    let other = Arc::new(footing(&|parts| parts.grants.push(grant(PrincipalId(5)))).following(&first));
    assert!(ask(&other, alice()).is_err() && ask(&other, olga()).is_ok(), "decisions follow the grants");
    assert_eq!(counts(&readings), (3, 1));
    let filter = RowFilter { relation: 121, expression: "true".into(), source: PolicySource::Expression("true".into()) };
    type Change<'a> = &'a dyn Fn(&mut PolicyParts);
    let changes: [Change<'_>; 4] = [
        &|parts| parts.filters.push(filter.clone()),
        &|parts| parts.trusted.push(104),
        &|parts| parts.owners.push((Securable::Relation(104), fixture::ALICE)),
        &|parts| parts.memberships.push((PrincipalId(9), fixture::ALICE)),
    ];
    for change in changes {
        assert!(!Arc::ptr_eq(footing(change).following(&first).basis(), first.basis()));
    }
    let governed = HashMap::from([(fixture::ORDERS, Governed::Derived)]);
    let governed = Footing::new(catalog.clone(), first.policies.clone(), governed);
    assert!(!Arc::ptr_eq(governed.following(&first).basis(), first.basis()));
    let elsewhere = Footing::new(fixture::footing().catalog, first.policies.clone(), HashMap::new());
    assert!(!Arc::ptr_eq(elsewhere.following(&first).basis(), first.basis()));
}
