//! Policies of a large company: 100,000 principals, a thousand nested groups, a million grants on ten thousand tables. How long a snapshot of them
//! takes to make, and a decision on it.
//!
//! `cargo bench --bench scale`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use pgusher::policy::{
    Grant, Holder, Level, PolicyChanges, PolicyParts, PolicySnapshot, Principal, PrincipalId, PrincipalKind, Privilege,
    Requirement, Securable, Subject, decide,
};

const USERS: i64 = 100_000;
const GROUPS: i64 = 1000;
const GRANTS: u32 = 1_000_000;
const TABLES: u32 = 10_000;
const FIRST_GROUP: i64 = 1_000_000;

/// A small generator of numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn main() {
    let (before, given) = (resident(), parts());
    let began = (Instant::now(), cpu());
    let snapshot = PolicySnapshot::new(1, given);
    println!(
        "snapshot of {USERS} principals, {GRANTS} grants: {:.2} s ({:.2} s of CPU), {:.0} MiB",
        began.0.elapsed().as_secs_f64(),
        cpu() - began.1,
        resident() - before
    );
    let began = Instant::now();
    let subjects = subjects(&snapshot);
    println!("who is a principal, with its groups: {:.2} µs", began.elapsed().as_secs_f64() * 1e6 / subjects.len() as f64);
    decisions(&snapshot, &subjects);
    changes(&snapshot);
    let (people, all) = (bytes(&|| PolicyParts { grants: Vec::new(), ..parts() }), bytes(&parts));
    let per_grant = (all - people) / f64::from(GRANTS);
    println!("memory: {:.0} bytes a principal with its name and five memberships, {per_grant:.0} a grant", people / USERS as f64);
}

/// What a snapshot takes: the growth by three more, for which what the first left behind is used again.
fn bytes(parts: &dyn Fn() -> PolicyParts) -> f64 {
    let first = PolicySnapshot::new(1, parts());
    let before = resident();
    let more: Vec<PolicySnapshot> = (0..3).map(|_| PolicySnapshot::new(1, parts())).collect();
    let grown = resident() - before;
    // Not given back, or what is measured next would live in its place.
    std::mem::forget((first, more));
    grown / 3.0 * f64::from(1 << 20)
}

/// Snapshots with one grant more or less than the one before.
fn changes(snapshot: &PolicySnapshot) {
    const TIMES: u32 = 10_000;
    let mut random = Numbers(17);
    let mut latest = snapshot.clone();
    let began = Instant::now();
    for number in 0..TIMES {
        let securable = Securable::Relation(20_000 + random.below(u64::from(TABLES)) as u32);
        let principal = PrincipalId(10 + random.below(USERS as u64) as i64);
        let grant = Grant { principal, privilege: Privilege::Select, securable };
        let grants = vec![(grant, number % 2 == 0)];
        latest = latest.after(i64::from(number), PolicyChanges { grants, ..PolicyChanges::default() });
    }
    println!("a snapshot with one grant more or less: {:.1} µs", began.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES));
}

fn parts() -> PolicyParts {
    let mut random = Numbers(7);
    let principal = |id, name: String, kind| Principal { id: PrincipalId(id), name: name.into(), kind, enabled: true };
    let mut parts = PolicyParts::default();
    parts.principals.push(principal(1, "users".into(), PrincipalKind::Group));
    parts.principals.push(principal(2, "admins".into(), PrincipalKind::Group));
    for number in 0..GROUPS {
        let id = FIRST_GROUP + number;
        parts.principals.push(principal(id, format!("group {number}"), PrincipalKind::Group));
        // Half of them are in another.
        if number % 2 == 1 {
            parts.memberships.push((PrincipalId(FIRST_GROUP + number / 2), PrincipalId(id)));
        }
    }
    for number in 0..USERS {
        let id = 10 + number;
        parts.principals.push(principal(id, format!("user.{number}@example.com"), PrincipalKind::User));
        for _ in 0..5 {
            parts.memberships.push((PrincipalId(FIRST_GROUP + random.below(GROUPS as u64) as i64), PrincipalId(id)));
        }
    }
    for number in 0..GRANTS {
        // Four of five are groups'.
        let principal =
            if number % 5 == 0 { 10 + random.below(USERS as u64) as i64 } else { FIRST_GROUP + random.below(GROUPS as u64) as i64 };
        let privilege = if number % 3 == 0 { Privilege::Modify } else { Privilege::Select };
        let table = 20_000 + random.below(u64::from(TABLES)) as u32;
        parts.grants.push(Grant { principal: PrincipalId(principal), privilege, securable: Securable::Relation(table) });
    }
    parts
}

fn subjects(snapshot: &PolicySnapshot) -> Vec<Subject> {
    let mut random = Numbers(11);
    (0..1000).filter_map(|_| snapshot.subject(PrincipalId(10 + random.below(USERS as u64) as i64))).collect()
}

/// Decisions for a thousand people on tables of all sorts: µs of one, median and the 99th of a hundred.
fn decisions(snapshot: &PolicySnapshot, subjects: &[Subject]) {
    let mut random = Numbers(13);
    let wants: Vec<(&Subject, [Requirement; 1])> = (0..100_000)
        .map(|_| {
            (
                &subjects[random.below(subjects.len() as u64) as usize],
                [requirement(20_000 + random.below(u64::from(TABLES)) as u32)],
            )
        })
        .collect();
    let mut samples: Vec<f64> = Vec::new();
    let mut allowed = 0_u32;
    for batch in wants.chunks(20) {
        let began = Instant::now();
        for (subject, requirements) in batch {
            allowed += u32::from(black_box(decide(snapshot, subject, requirements)).is_ok());
        }
        samples.push(began.elapsed().as_secs_f64() * 1e6 / batch.len() as f64);
    }
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize];
    println!("decision, {} % of them allowed: median {:.2} µs, p99 {:.2} µs", allowed / 1000, at(0.5), at(0.99));
}

fn requirement(table: u32) -> Requirement {
    Requirement {
        holder: Holder::Session,
        privilege: Privilege::Select,
        level: Level::Privilege,
        securable: Securable::Relation(table),
        schema: Some(2200),
        label: Arc::from("t"),
        noun: "table",
        columns: Vec::new(),
    }
}

/// Seconds of CPU of this thread; 0 where they cannot be asked.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|spent| spent.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// MiB of resident memory; 0 where it cannot be asked.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
