//! Random statements: typed enough that most succeed, over whatever tables there are.
//!
//! What two databases with the same rows may answer differently is never generated: LIMIT and windows stand on total orders
//! (a row's text is the last key), aggregates that depend on order have one, sums of floats are exact, numerics have two
//! decimals wherever equal ones of different scale could stand for each other.

mod aggregate;
mod expression;
mod from;
mod json;
mod query;
mod source;
mod tape;
mod values;
mod write;

pub use source::{Catalog, Ty};
pub use tape::{Tape, shrink};

use super::side::Step;

/// A generated script: what is sent, step by step.
#[derive(Clone, Debug)]
pub struct Script {
    pub steps: Vec<Step>,
    /// Whether rows are to come in the same order.
    pub ordered: bool,
}

impl Script {
    /// The SQL of all steps.
    pub fn text(&self) -> String {
        let step = |s: &Step| match s {
            Step::Simple(sql) => sql.clone(),
            Step::Extended { sql, values, binary } => {
                format!("{sql}   -- extended{}, {values:?}", if *binary { ", binary" } else { "" })
            }
        };
        self.steps.iter().map(step).collect::<Vec<_>>().join(";\n")
    }
}

/// Makes statements.
pub struct Grammar<'a> {
    catalog: &'a Catalog,
    tape: Tape,
    /// Sources in reach, innermost scope last.
    scopes: Vec<Vec<source::Source>>,
    /// Common table expressions in reach.
    ctes: Vec<source::Relation>,
    names: usize,
    /// Values of parameters, where there may be any.
    parameters: Option<Vec<Option<String>>>,
    /// Whether expressions may fail when they run.
    wild: bool,
    /// Whether something may be wrong with the statement itself, and has not been yet.
    broken: bool,
}

impl<'a> Grammar<'a> {
    /// Makes statements of these choices.
    pub fn new(catalog: &'a Catalog, tape: Tape) -> Grammar<'a> {
        Grammar { catalog, tape, scopes: Vec::new(), ctes: Vec::new(), names: 0, parameters: None, wild: false, broken: false }
    }

    /// The choices made.
    pub fn choices(&self) -> Vec<u32> {
        self.tape.choices().to_vec()
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// A script that reads, or now and then writes and takes it back.
    pub fn script(&mut self) -> Script {
        self.wild = self.tape.chance(20);
        self.broken = self.tape.chance(6);
        if self.tape.chance(18) {
            return self.writing();
        }
        let mode = self.tape.below(12);
        if (6..9).contains(&mode) {
            self.parameters = Some(Vec::new());
        }
        let (sql, ordered) = self.statement();
        let simple = |texts: &[String]| texts.iter().map(|t| Step::Simple(t.clone())).collect::<Vec<_>>();
        let steps = match mode {
            6..9 => vec![Step::Extended { sql, values: self.parameters.take().unwrap_or_default(), binary: mode == 8 }],
            9 => simple(&[format!("PREPARE q AS {sql}"), "EXECUTE q".into(), "EXECUTE q".into()]),
            10 => simple(&[
                "BEGIN".into(),
                format!("DECLARE c SCROLL CURSOR FOR {sql}"),
                if ordered { "FETCH 3 FROM c".into() } else { "FETCH FORWARD 0 FROM c".into() },
                "FETCH ALL FROM c".into(),
                "ROLLBACK".into(),
            ]),
            11 => simple(&[format!("COPY ({sql}) TO STDOUT{}", self.tape.one(&["", " (FORMAT csv, HEADER)", " WITH BINARY"]))]),
            _ => simple(&[sql]),
        };
        Script { steps, ordered }
    }
}
