//! What a run has done, for people to read.

use std::collections::BTreeMap;

use super::compare::Verdict;
use super::grammar::Catalog;
use super::run::knob;
use super::world::Policies;

/// Figures of a run.
#[derive(Default)]
pub struct Figures {
    pub worlds: usize,
    pub statements: usize,
    pub same: usize,
    pub by_plan: usize,
    pub inconclusive: usize,
    /// Rows that were equal, and statements that gave any.
    pub rows: usize,
    pub with_rows: usize,
    pub errors: BTreeMap<String, (usize, String)>,
    pub refusals: BTreeMap<String, (usize, String)>,
    pub differences: Vec<String>,
    /// How many statements have a thing in them, and how many of these gave rows.
    shares: BTreeMap<String, (usize, usize)>,
}

impl Figures {
    /// Counts a verdict; `text` is the statement, `rows` how many were equal.
    pub fn count(&mut self, verdict: &Verdict, text: &str, rows: usize) {
        self.statements += 1;
        if matches!(verdict, Verdict::Same) {
            self.rows += rows;
            self.with_rows += usize::from(rows > 0);
        }
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::SameError(code) => self.errors.entry(code.clone()).or_insert_with(|| (0, text.to_owned())).0 += 1,
            Verdict::SameByPlan => self.by_plan += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
            Verdict::Refused(reason) => {
                self.refusals.entry(reason.clone()).or_insert_with(|| (0, text.to_owned())).0 += 1;
            }
            Verdict::Different(_) => {}
        }
    }

    /// Counts what a random statement is made of.
    pub fn share(&mut self, text: &str, set: &Policies, catalog: &Catalog, rows: bool) {
        let mut found: Vec<String> =
            THINGS.iter().filter(|(_, marks)| marks.iter().any(|m| text.contains(m))).map(|(t, _)| (*t).to_owned()).collect();
        for (table, filter) in &set.filters {
            if names(text, table) {
                found.push("a filtered table".into());
                if filter.contains("SELECT") {
                    found.push("a filtered table: filter with a sub-query".into());
                }
                if filter.contains("o_visible") || filter.contains("quantity_seen") {
                    found.push("a filtered table: filter that calls a function".into());
                }
            }
        }
        for (table, column) in set.masks.keys() {
            if names(text, table) {
                found.push("a masked table".into());
                if names(text, column) {
                    found.push("a masked column".into());
                    let kind = catalog
                        .relations
                        .iter()
                        .find(|r| &r.name == table)
                        .and_then(|r| r.columns.iter().find(|c| &c.name == column));
                    found.extend(kind.map(|c| format!("a masked column: {}", c.ty.sql())));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        for thing in found {
            let share = self.shares.entry(thing).or_default();
            share.0 += 1;
            share.1 += usize::from(rows);
        }
    }

    /// How many were refused.
    pub fn refused(&self) -> usize {
        self.refusals.values().map(|(n, _)| n).sum()
    }

    /// The figures as text.
    pub fn report(&self, name: &str) -> String {
        let mut text = format!(
            "{name}: {} worlds, {} statements: {} answers equal, {} errors equal, {} equal under another plan, {} refused, {} over the time limit, {} different\n",
            self.worlds,
            self.statements,
            self.same,
            self.errors.values().map(|(n, _)| n).sum::<usize>(),
            self.by_plan,
            self.refused(),
            self.inconclusive,
            self.differences.len()
        );
        let errors: Vec<String> = self.errors.iter().map(|(code, (n, _))| format!("{code} {n}")).collect();
        text.push_str(&format!("  {} statements gave rows, {} rows compared\n", self.with_rows, self.rows));
        text.push_str(&format!("  errors: {}\n", errors.join(", ")));
        if knob("PGUSHER_ERRORS").is_some() {
            text.extend(self.errors.iter().map(|(code, (_, example))| format!("  {code}: {}\n", example.replace('\n', " "))));
        }
        for (thing, (all, rows)) in &self.shares {
            text.push_str(&format!(
                "  {all} ({}.{} %) with {thing}, {rows} of them gave rows\n",
                all * 100 / self.statements,
                all * 1000 / self.statements % 10
            ));
        }
        for (reason, (count, example)) in &self.refusals {
            text.push_str(&format!(
                "  refused {count}: {reason}   e.g. {}\n",
                example.chars().take(160).collect::<String>().replace('\n', " ")
            ));
        }
        text
    }
}

/// Whether a statement names this.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// What random statements are to have in them, and how it is seen in their text.
const THINGS: [(&str, &[&str]); 40] = [
    ("joins", &[" JOIN "]),
    ("joins: outer", &["LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]),
    ("joins: USING and NATURAL", &[" USING (", "NATURAL"]),
    ("sub-queries", &["(SELECT", "((SELECT"]),
    ("sub-queries: EXISTS", &["EXISTS ("]),
    ("sub-queries: IN, ANY, ALL", &["IN (SELECT", "ANY (SELECT", "ALL (SELECT", "IN ((", "ANY ((", "ALL (("]),
    ("LATERAL", &["LATERAL"]),
    ("windows", &[" OVER "]),
    ("windows: frames", &[" ROWS BETWEEN", " GROUPS BETWEEN"]),
    ("grouping", &[" GROUP BY"]),
    ("grouping: sets, rollup, cube", &["ROLLUP", "CUBE", "GROUPING SETS"]),
    ("grouping: HAVING", &[" HAVING "]),
    ("aggregates: FILTER", &["FILTER (WHERE"]),
    ("aggregates: ORDER BY, WITHIN GROUP", &["_agg(DISTINCT", "WITHIN GROUP", "array_agg(", "string_agg(", "jsonb_agg("]),
    ("casts", &["::", "CAST("]),
    ("CASE", &["CASE "]),
    ("set operations", &[" UNION ", " INTERSECT ", " EXCEPT "]),
    ("common table expressions", &["WITH w", "WITH m", "WITH RECURSIVE"]),
    ("common table expressions: recursive", &["WITH RECURSIVE"]),
    ("common table expressions: that write", &["WITH m"]),
    ("VALUES", &["(VALUES "]),
    ("DISTINCT ON", &["DISTINCT ON"]),
    ("row comparisons", &["(ROW("]),
    ("JSON", &["json"]),
    ("JSON: paths", &["jsonb_path", " @? ", " @@ "]),
    ("arrays", &["ARRAY", "array_", "unnest(", "[]", "cardinality("]),
    (
        "functions in FROM",
        &["unnest(", "generate_series(", "jsonb_each_text(", "_to_table(", "jsonb_to_recordset(", "jsonb_object_keys("],
    ),
    ("whole rows", &["row_to_json", "to_jsonb(t", "::text LIKE '%1%'", ".*"]),
    ("LIMIT", &[" LIMIT ", "FETCH FIRST", "OFFSET"]),
    ("locks", &[" FOR UPDATE", " FOR SHARE", " FOR NO KEY", " FOR KEY"]),
    ("writes: INSERT", &["INSERT INTO"]),
    ("writes: ON CONFLICT", &["ON CONFLICT"]),
    ("writes: UPDATE", &["UPDATE things", "UPDATE order_items", "UPDATE shipments"]),
    ("writes: DELETE", &["DELETE FROM"]),
    ("writes: MERGE", &["MERGE INTO"]),
    ("writes: RETURNING", &["RETURNING"]),
    ("cursors", &["DECLARE c"]),
    ("PREPARE", &["PREPARE q"]),
    ("COPY", &["COPY ("]),
    ("the extended protocol", &["-- extended"]),
];
