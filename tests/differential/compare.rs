//! Compares what both sides answered.

use std::collections::BTreeMap;

use super::side::{Outcome, Side, Step};

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same answer.
    Same,
    /// The same error.
    SameError(String),
    /// The same answer as PostgreSQL's under another plan: which of two errors is met first is for the planner to say.
    SameByPlan,
    /// pgusher said no where PostgreSQL did not: what it does not support, by reason.
    Refused(String),
    /// Neither answer is worth anything: a time limit was met.
    Inconclusive,
    /// Anything else.
    Different(String),
}

/// Plans that the reference tries when the answers differ by an error: whatever it answers under any of them comes from
/// permitted rows and masked values alone.
const PLANS: [&str; 7] = [
    "SET enable_hashjoin = off; SET enable_mergejoin = off",
    "SET enable_hashjoin = off; SET enable_nestloop = off",
    "SET enable_mergejoin = off; SET enable_nestloop = off",
    "SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off",
    "SET enable_hashagg = off; SET enable_memoize = off; SET enable_material = off",
    "SET enable_sort = off; SET enable_incremental_sort = off",
    "SET join_collapse_limit = 1; SET from_collapse_limit = 1; SET enable_seqscan = off",
];

/// The pair of sides.
pub struct Pair {
    /// pgusher, on the governed database.
    pub proxied: Side,
    /// PostgreSQL, on the database that holds only what the principal may see.
    pub direct: Side,
    /// Whether the texts of errors are compared, or their codes alone.
    pub texts: bool,
    /// Whether columns must come from the same tables.
    pub origins: bool,
    /// Row types of the governed views, and those of the tables that they stand for.
    pub row_types: BTreeMap<u32, u32>,
    /// Rows that were equal in the last comparison.
    pub rows: usize,
}

impl Pair {
    /// Runs the steps on both sides, each after the other has ended on both, up to the first difference. Ends any transaction.
    pub fn compare(&mut self, steps: &[Step], ordered: bool) -> Verdict {
        let mut verdict = Verdict::Same;
        let (mut open, mut denied) = (false, None);
        self.rows = 0;
        for (n, step) in steps.iter().enumerate() {
            self.proxied.ask(step);
            self.direct.ask(step);
            let (mut ours, mut theirs) = (self.proxied.hear(), self.direct.hear());
            // PREPARE of what is not granted is denied at once; PostgreSQL says so when it is executed.
            if step.sql().starts_with("PREPARE")
                && ours.code() == "42501"
                && theirs.error.is_none()
                && let Some(execute) = steps.get(n + 1)
            {
                theirs = self.direct.run(execute);
            }
            let origins = theirs.columns.iter().map(|c| c.origin).chain(std::iter::repeat((0, 0)));
            for (column, origin) in ours.columns.iter_mut().zip(origins) {
                if !self.origins {
                    column.origin = origin;
                }
                column.type_oid = *self.row_types.get(&column.type_oid).unwrap_or(&column.type_oid);
            }
            open = ours.status != 'I' || theirs.status != 'I';
            verdict = judge(&ours, &theirs, ordered, self.texts);
            let failed = ours.error.is_some() || theirs.error.is_some();
            if matches!(verdict, Verdict::Different(_)) && (failed || sets(step.sql())) {
                self.end(open);
                open = false;
                if (!failed && ours.columns == theirs.columns && distinct(&ours) == distinct(&theirs))
                    || self.by_plan(&steps[..=n], &ours, ordered)
                {
                    verdict = Verdict::SameByPlan;
                }
            }
            if verdict != Verdict::Same {
                denied = ours.error.filter(|error| error.code == "42501").map(|error| error.message);
                break;
            }
            self.rows += ours.rows.len();
        }
        self.end(open);
        if let (Verdict::Refused(_), Some(message)) = (&verdict, denied)
            && self.may(&message, steps)
        {
            verdict = Verdict::Different(format!("{message}, but PostgreSQL's grants allow it"));
        }
        if steps.iter().any(|s| s.sql().starts_with("PREPARE")) {
            self.proxied.must("DEALLOCATE ALL");
            self.direct.must("DEALLOCATE ALL");
        }
        verdict
    }

    /// Whether the reference lets this principal do what was denied: to read, or to do anything in scripts that write or lock.
    fn may(&mut self, message: &str, steps: &[Step]) -> bool {
        let Some((kind, name)) = message.strip_prefix("permission denied for ").and_then(|rest| rest.split_once(' ')) else {
            return false;
        };
        let writes =
            ["INSERT", "UPDATE", "DELETE", "MERGE", " FOR "].iter().any(|word| steps.iter().any(|s| s.sql().contains(word)));
        // What a view reads is its owner's matter.
        if !["table", "view"].contains(&kind) || steps.iter().any(|s| s.sql().contains(" seen")) {
            return false;
        }
        let privileges = if writes { &["SELECT", "INSERT", "UPDATE", "DELETE"][..] } else { &["SELECT"] };
        let asked: Vec<String> = privileges.iter().map(|p| format!("has_table_privilege(to_regclass('{name}'), '{p}')")).collect();
        let answer = self.direct.must(&format!("SELECT {}", asked.join(" AND ")));
        answer.rows.first().is_some_and(|row| row.ends_with(b"t"))
    }

    fn end(&mut self, open: bool) {
        if open {
            self.proxied.must("ROLLBACK");
            self.direct.must("ROLLBACK");
        }
    }

    /// Whether PostgreSQL gives our answer under another plan.
    fn by_plan(&mut self, steps: &[Step], ours: &Outcome, ordered: bool) -> bool {
        let runtime = |code: &str| code.is_empty() || code.starts_with("22") || code.starts_with("21") || code == "2BP01";
        if !runtime(ours.code()) {
            return false;
        }
        for plan in PLANS {
            self.direct.must(plan);
            let mut last = Outcome::default();
            for step in steps {
                last = self.direct.run(step);
            }
            if last.status != 'I' {
                self.direct.must("ROLLBACK");
            }
            self.direct.must("DEALLOCATE ALL");
            self.direct.must("RESET ALL");
            if matches!(judge(ours, &last, ordered, self.texts), Verdict::Same | Verdict::SameError(_)) {
                return true;
            }
        }
        false
    }
}

/// Whether a statement groups by sets: before 18, PostgreSQL takes a constant among their keys for a constant in the result,
/// though it is NULL in some rows, and so UNION and DISTINCT above find other duplicates by sorting than by hashing.
fn sets(sql: &str) -> bool {
    ["ROLLUP", "CUBE", "GROUPING SETS"].iter().any(|word| sql.contains(word))
}

/// The rows of an answer, each once.
fn distinct(outcome: &Outcome) -> std::collections::BTreeSet<&[u8]> {
    outcome.rows.iter().map(Vec::as_slice).collect()
}

/// Codes that say that something took too long.
const TIME: [&str; 2] = ["57014", "53400"];

/// System columns, which governed views do not have.
const SYSTEM: [&str; 6] = ["\"ctid\"", "\"tableoid\"", "\"xmin\"", "\"xmax\"", "\"cmin\"", "\"cmax\""];

/// How a denial is told where PostgreSQL does not deny: that may only be for what it does not run.
pub const UNREAD: &str = "denied what PostgreSQL allows";

/// Compares two answers.
pub fn judge(ours: &Outcome, theirs: &Outcome, ordered: bool, texts: bool) -> Verdict {
    if TIME.contains(&ours.code()) || TIME.contains(&theirs.code()) {
        return Verdict::Inconclusive;
    }
    let different =
        |what: &str| Verdict::Different(format!("{what}\n    pgusher: {}\n    direct:  {}", ours.summary(), theirs.summary()));
    match (&ours.error, &theirs.error) {
        (Some(our), Some(their)) if our.code == their.code && (!texts || alike(&our.message, &their.message)) => {
            // The parser does not tell where every error of the grammar is.
            let told = our.code != "42601" || our.position.is_some();
            if texts && told && our.position != their.position {
                different("the errors point to different places")
            } else if ours.status == theirs.status {
                Verdict::SameError(our.code.clone())
            } else {
                different("the transaction's status differs")
            }
        }
        (Some(our), _) if ["0A000", "54001", "54000"].contains(&our.code.as_str()) => Verdict::Refused(reason(&our.message)),
        (Some(our), None) if our.code == "42703" && SYSTEM.iter().any(|c| our.message.contains(c)) => {
            Verdict::Refused("a system column".into())
        }
        // A partition that nobody granted bears no name, though its rows are its parent's.
        (Some(our), None) if our.code == "42P01" && our.message.starts_with("relation with OID ") => {
            Verdict::Refused("the name of a partition that is not granted itself".into())
        }
        // Grants are asked for before other mistakes are looked for, and for tables in parts that PostgreSQL leaves out, too.
        (Some(our), Some(their)) if our.code == "42501" && ["42", "22"].iter().any(|class| their.code.starts_with(class)) => {
            Verdict::Refused(format!("denied before another mistake is found: {}", reason(&our.message)))
        }
        // So is what does not exist.
        (Some(our), Some(their)) if our.code == "42P01" && their.code.starts_with("42") => {
            Verdict::Refused("a missing relation is found before another mistake".into())
        }
        (Some(our), Some(their))
            if our.code == "42883"
                && our.message.starts_with("function ")
                && !our.message.contains('(')
                && their.code.starts_with("42") =>
        {
            Verdict::Refused("a missing function is found before another mistake".into())
        }
        (Some(our), None) if our.code == "42501" => Verdict::Refused(format!("{UNREAD}: {}", reason(&our.message))),
        (None, None) => answers(ours, theirs, ordered).map_or(Verdict::Same, different),
        _ => different("one of them failed, or both in different ways"),
    }
}

fn answers(ours: &Outcome, theirs: &Outcome, ordered: bool) -> Option<&'static str> {
    let plain = |o: &Outcome| o.columns.iter().map(|c| (c.name.clone(), c.type_oid, c.type_modifier, c.format)).collect::<Vec<_>>();
    if plain(ours) != plain(theirs) {
        return Some("columns differ");
    }
    let origins = |o: &Outcome| o.columns.iter().map(|c| c.origin).collect::<Vec<_>>();
    if origins(ours) != origins(theirs) {
        return Some("the columns' origins differ");
    }
    if ours.parameters != theirs.parameters {
        return Some("parameter types differ");
    }
    if ours.tags != theirs.tags {
        return Some("command tags differ");
    }
    if ours.status != theirs.status {
        return Some("the transaction's status differs");
    }
    if ours.notices != theirs.notices {
        return Some("notices differ");
    }
    if ours.rows == theirs.rows {
        return None;
    }
    if ordered {
        return Some("rows differ, or their order");
    }
    let (mut our, mut their) = (ours.rows.clone(), theirs.rows.clone());
    our.sort();
    their.sort();
    (our != their).then_some("rows differ")
}

/// Whether the texts of errors agree; what we withhold from one may be anything in the other.
fn alike(our: &str, their: &str) -> bool {
    // Which types the arguments of an unknown function have is not known before PostgreSQL sees them.
    let without_types =
        |t: &str| t.split_once('(').zip(t.split_once(')')).map(|((before, _), (_, after))| format!("{before}{after}"));
    let before_values = |t: &str| t.split('"').next().map(str::to_owned);
    our == their
        || our.contains('…') && before_values(our) == before_values(their)
        || without_types(their).is_some_and(|t| t == our)
}

/// A message without names and numbers.
fn reason(message: &str) -> String {
    let mut text = String::new();
    let mut quoted = false;
    for c in message.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                if quoted {
                    text.push('…');
                }
            }
            _ if quoted => {}
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            _ => text.push(c),
        }
    }
    text
}
