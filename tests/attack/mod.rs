//! Attacks: for each published class of bypass that applies, statements that try it and secrets that must not come out.
//!
//! The secrets: real social security numbers, addresses, phones and salaries of `employees` (masked for analysts), and the notes of
//! orders of other regions, which all begin with the region's name.

mod acting;
mod alike;
mod anonymous;
mod audit;
mod barriers;
mod cached_plans;
mod catalogs;
mod claims;
mod classification;
mod code_bodies;
mod coverage;
mod dangling;
mod definitions;
mod error_places;
mod error_texts;
mod error_values;
mod evasion;
mod forged;
mod http;
mod identity;
mod leavings;
pub(crate) mod locks;
mod names;
mod operators;
mod pipelines;
mod pooling;
mod predicates;
mod printers;
mod rights;
mod scopes;
mod shapes;
mod sharing;
mod side_doors;
mod standing;
mod startup;
mod statistics;
mod streams;
mod strict;
mod swaps;
mod temporary;
mod ties;
mod tools;
mod turns;

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock};

use crate::harness::{Client, Mechanism, Shop};

/// What the EMEA analyst must never read.
pub struct Secrets(HashSet<String>);

impl Secrets {
    /// The secrets of the small shop: the same in every copy.
    pub fn of(_: &Shop) -> &'static Secrets {
        static SECRETS: OnceLock<Secrets> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock();
        SECRETS.get_or_init(|| {
            // From a shop that nobody changes.
            let truth = Shop::shared(Mechanism::Rls).truth();
            let mut all: HashSet<String> = HashSet::new();
            for column in ["ssn", "phone", "email", "salary"] {
                // Some addresses are no secrets: the testers' own, and those that orders name as sales representative.
                all.extend(truth.column(&format!(
                    "SELECT DISTINCT {column} FROM employees WHERE id > 4 AND email NOT IN (SELECT sales_rep FROM orders)"
                )));
            }
            all.extend(truth.column("SELECT DISTINCT ssn FROM employees"));
            Secrets(all)
        })
    }

    /// The first secret in a text.
    pub fn first_in<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        if let Some(at) = text.find("AMER-note-").or_else(|| text.find("APAC-note-")) {
            return Some(&text[at..at + 10]);
        }
        let word = |c: char| c.is_ascii_alphanumeric() || "-.@+ ".contains(c);
        self.0.iter().map(String::as_str).find(|secret| {
            text.match_indices(*secret).any(|(at, _)| {
                let before = text[..at].chars().next_back().is_some_and(|c| c.is_ascii_digit());
                let after = text[at + secret.len()..].chars().next().is_some_and(|c| c.is_ascii_digit());
                !(before || after) && secret.chars().all(word)
            })
        })
    }
}

/// Everything that came back of a statement: rows, or the refusal's fields, and notices.
pub fn everything(client: &Client, sql: &str) -> String {
    let answer = match client.try_rows(sql) {
        Ok(rows) => rows.into_iter().flatten().collect::<Vec<_>>().join("|"),
        Err(refusal) => refusal.to_string(),
    };
    format!("{answer}\n{}", client.notices().join("\n"))
}

/// Runs each statement and fails when a secret comes out, by the simple and by the extended protocol. Leaves no transaction open.
pub fn keeps_secrets(shop: &Shop, client: &Client, statements: &[&str]) {
    let secrets = Secrets::of(shop);
    for sql in statements {
        let text = everything(client, sql);
        if let Some(secret) = secrets.first_in(&text) {
            panic!("{sql}\ngave away {secret:?} in: {}", &text[..text.len().min(2000)]);
        }
        if let Ok(statement) = client.try_prepare(sql)
            && statement.params().is_empty()
        {
            let text = match client.try_execute(&statement, &[]) {
                Ok(rows) => rows.iter().map(|r| format!("{r:?}")).collect(),
                Err(refusal) => refusal.to_string(),
            };
            assert_eq!(secrets.first_in(&text), None, "{sql} (extended)");
        }
        let _ = client.try_rows("ROLLBACK");
    }
}

/// Runs each statement, which must be refused with one of the codes.
pub fn all_refused(client: &Client, statements: &[&str], codes: &[&str]) {
    for sql in statements {
        match client.try_rows(sql) {
            Ok(rows) => panic!("{sql}\nwas not refused: {rows:?}"),
            Err(refusal) => assert!(codes.contains(&refusal.code.as_str()), "{sql}\n{refusal}"),
        }
        let _ = client.try_rows("ROLLBACK");
    }
}
