//! Queries: grouping, windows, set operations, common table expressions.

use super::source::{Column, Relation, relation};
use super::{Grammar, Ty};

impl Grammar<'_> {
    /// A whole reading statement, and whether its rows come in a total order.
    pub(super) fn statement(&mut self) -> (String, bool) {
        let form = self.tape.below(10);
        if form == 9 {
            return (self.star(), false);
        }
        let count = 1 + self.tape.below(4);
        let mut tys: Vec<Ty> = (0..count).map(|_| self.ty()).collect();
        if form == 8 && tys[0] == Ty::Json {
            tys[0] = Ty::Int;
        }
        let query = self.sub_select(&tys, 3);
        let names: Vec<String> = (1..=count).map(|n| format!("c{n}")).collect();
        let wrapped = format!("SELECT * FROM ({query}) AS s({})", names.join(", "));
        match form {
            0..3 => (query, false),
            3 => (format!("{wrapped} ORDER BY 1{}", if count > 1 { ", 2 DESC NULLS FIRST" } else { "" }), false),
            4 | 5 => (format!("{wrapped} ORDER BY s::text"), true),
            6 => {
                let limit =
                    self.tape.one(&["LIMIT 1", "LIMIT 5", "LIMIT 10 OFFSET 2", "OFFSET 3", "FETCH FIRST 4 ROWS ONLY", "LIMIT ALL"]);
                (format!("{wrapped} ORDER BY s::text {limit}"), true)
            }
            7 => {
                let outer = self.fresh("o");
                (
                    format!(
                        "SELECT {outer}.*, s::text AS row FROM ({query}) AS s({}) CROSS JOIN LATERAL (SELECT s.c1 AS again) AS {outer}",
                        names.join(", ")
                    ),
                    false,
                )
            }
            _ => (format!("{wrapped} ORDER BY c1 FETCH FIRST 3 ROWS WITH TIES"), false),
        }
    }

    /// `*`, whole rows and all columns of one source.
    fn star(&mut self) -> String {
        let from = self.open_scope(2);
        let row = self.whole_row().unwrap_or_default();
        let items = match self.tape.below(6) {
            0 | 1 => "*".to_owned(),
            2 => format!("{row}.*"),
            3 => format!("{row}.*, {row}::text AS whole"),
            4 => format!("row_to_json({row}) AS j"),
            _ => format!("to_jsonb({row}) AS j, {row}.*"),
        };
        let filter = self.condition(2);
        self.scopes.pop();
        format!("SELECT {items} FROM {from}{filter}")
    }

    fn condition(&mut self, depth: usize) -> String {
        if self.tape.chance(42) { format!(" WHERE {}", self.mostly_true(depth)) } else { String::new() }
    }

    /// A condition that more rows pass than not.
    pub(super) fn mostly_true(&mut self, depth: usize) -> String {
        match self.tape.below(5) {
            0 | 1 => self.boolean(depth),
            2 => format!("(({}) IS NOT TRUE)", self.boolean(depth)),
            3 => format!("({} OR {})", self.boolean(depth), self.boolean(depth)),
            _ => format!("({} IS NOT NULL OR {})", self.expr(Ty::Int, 0), self.boolean(depth)),
        }
    }

    /// A query that gives columns of these types; its rows in any order.
    pub(super) fn sub_select(&mut self, tys: &[Ty], depth: usize) -> String {
        let next = depth.saturating_sub(1);
        if depth == 0 {
            return self.plain(tys, 0);
        }
        match self.tape.below(14) {
            0..4 => self.plain(tys, next),
            4..7 => self.grouped(tys, next),
            7 => self.distinct(tys, next),
            8 | 9 => self.windowed(tys, next),
            10 => {
                let operation = *self.tape.one(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"]);
                format!("({}) {operation} ({})", self.sub_select(tys, next), self.sub_select(tys, next))
            }
            11 => self.rows_of_values(tys, next),
            12 => self.with(tys, next),
            _ => self.limited(tys, next),
        }
    }

    fn items(&mut self, tys: &[Ty], mut item: impl FnMut(&mut Self, Ty) -> String) -> String {
        let items: Vec<String> = tys
            .iter()
            .enumerate()
            .map(|(n, ty)| {
                let text = item(self, *ty);
                // An unknown literal would become text only at the end.
                let text = if *ty == Ty::Text { format!("{text}::text") } else { text };
                format!("{text} AS c{}", n + 1)
            })
            .collect();
        items.join(", ")
    }

    fn plain(&mut self, tys: &[Ty], depth: usize) -> String {
        let from = self.open_scope(if depth > 0 { 3 } else { 1 });
        let items = self.items(tys, |g, ty| g.expr(ty, depth));
        let filter = self.condition(depth);
        self.scopes.pop();
        format!("SELECT {items} FROM {from}{filter}")
    }

    fn limited(&mut self, tys: &[Ty], depth: usize) -> String {
        let from = self.open_scope(1);
        let items = self.items(tys, |g, ty| g.expr(ty, depth));
        let filter = self.condition(depth);
        let order = self.row_order();
        self.scopes.pop();
        format!("(SELECT {items} FROM {from}{filter} ORDER BY {order} LIMIT {})", self.tape.one(&["3", "1", "10", "25"]))
    }

    /// Keys that put the rows of the innermost scope into a total order, as far as they differ at all.
    fn row_order(&self) -> String {
        let rows: Vec<String> = self.scopes.last().into_iter().flatten().map(|s| format!("{}::text", s.alias)).collect();
        if rows.is_empty() { "NULL".into() } else { rows.join(", ") }
    }

    fn distinct(&mut self, tys: &[Ty], depth: usize) -> String {
        let from = self.open_scope(2);
        let items = self.items(tys, |g, ty| g.expr(ty, depth));
        let filter = self.condition(depth);
        let on = *self.tape.one(&[Ty::Text, Ty::Int, Ty::Date]);
        let key = if self.tape.chance(50) { self.column(on) } else { None };
        let order = self.row_order();
        self.scopes.pop();
        match key {
            Some(key) => format!("(SELECT DISTINCT ON ({key}) {items} FROM {from}{filter} ORDER BY {key}, {order})"),
            None => format!("SELECT DISTINCT {items} FROM {from}{filter}"),
        }
    }

    fn grouped(&mut self, tys: &[Ty], depth: usize) -> String {
        let from = self.open_scope(2);
        let form = self.tape.below(9);
        let sets = form >= 5;
        let mut keys = Vec::new();
        let mut grouped: Option<String> = None;
        let mut at = 0;
        let items = self.items(tys, |g, ty| {
            at += 1;
            let wanted = g.tape.chance(45) && ty != Ty::Float;
            // Before 18, PostgreSQL takes a constant among the keys of sets for a constant above them, too.
            let column = if wanted && sets { g.table_column(ty) } else { None };
            if wanted && (column.is_some() || !sets) {
                keys.push(at.to_string());
                let depth = if g.tape.chance(40) { depth } else { 0 };
                let key = column.unwrap_or_else(|| g.expr(ty, depth));
                grouped = Some(if ty == Ty::Text { format!("{key}::text") } else { key.clone() });
                key
            } else if let Some(key) = grouped.as_ref().filter(|_| ty == Ty::Int && g.tape.chance(30)) {
                format!("GROUPING({key})")
            } else {
                g.aggregate(ty, depth)
            }
        });
        let filter = self.condition(depth);
        let having =
            if self.tape.chance(25) { format!(" HAVING count(*) > {}", self.tape.one(&["0", "1", "3"])) } else { String::new() };
        self.scopes.pop();
        let group = match (keys.len(), form) {
            (0, 0..6) => String::new(),
            (0, _) => " GROUP BY ()".into(),
            (_, 5) => format!(" GROUP BY ROLLUP ({})", keys.join(", ")),
            (_, 6) => format!(" GROUP BY CUBE ({})", keys.join(", ")),
            (_, 7) => format!(" GROUP BY GROUPING SETS (({}), ({}), ())", keys.join(", "), keys[0]),
            (_, 8) => format!(" GROUP BY DISTINCT ROLLUP ({0}), CUBE ({0})", keys[0]),
            _ => format!(" GROUP BY {}", keys.join(", ")),
        };
        format!("SELECT {items} FROM {from}{filter}{group}{having}")
    }

    fn windowed(&mut self, tys: &[Ty], depth: usize) -> String {
        let from = self.open_scope(2);
        let order = self.row_order();
        let partition = if self.tape.chance(60) {
            let ty = *self.tape.one(&[Ty::Text, Ty::Int, Ty::Bool]);
            format!("PARTITION BY {} ", self.expr(ty, 1))
        } else {
            String::new()
        };
        let ty = *self.tape.one(&[Ty::Int, Ty::Date, Ty::Num, Ty::Text]);
        let window =
            format!("{partition}ORDER BY {}{}, {order}", self.expr(ty, depth), self.tape.one(&["", " DESC", " NULLS FIRST"]));
        let frame = *self.tape.one(&[
            "",
            " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW",
            " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            " ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING EXCLUDE TIES",
        ]);
        let named = self.tape.chance(30);
        let over = if named { "OVER w".to_owned() } else { format!("OVER ({window}{frame})") };
        let items = self.items(tys, |g, ty| if g.tape.chance(60) { g.window_call(ty, depth, &over) } else { g.expr(ty, depth) });
        let filter = self.condition(depth);
        self.scopes.pop();
        let clause = if named { format!(" WINDOW w AS ({window}{frame})") } else { String::new() };
        format!("SELECT {items} FROM {from}{filter}{clause}")
    }

    fn window_call(&mut self, ty: Ty, depth: usize, over: &str) -> String {
        let call = match (ty, self.tape.below(5)) {
            (Ty::Big, 0) => "row_number()".to_owned(),
            (Ty::Big, 1) => "rank()".to_owned(),
            (Ty::Big, 2) => "dense_rank()".to_owned(),
            (Ty::Big, 3) => format!("sum({})", self.expr(Ty::Int, depth)),
            (Ty::Big, _) => format!("count({})", self.expr(Ty::Text, depth)),
            (Ty::Int, 0) => "ntile(3)".to_owned(),
            (Ty::Num, 0) => return format!("round(sum({}) {over}, 2)", self.expr(Ty::Num, depth)),
            (Ty::Bool, 0) => format!("bool_or({})", self.expr(Ty::Bool, depth)),
            (_, 1) => format!("lag({})", self.expr(ty, depth)),
            (_, 2) => format!("lead({}, 2)", self.expr(ty, depth)),
            (_, 3) => format!("last_value({})", self.expr(ty, depth)),
            _ => format!("first_value({})", self.expr(ty, depth)),
        };
        format!("{call} {over}")
    }

    fn rows_of_values(&mut self, tys: &[Ty], depth: usize) -> String {
        self.scopes.push(Vec::new());
        let rows: Vec<String> = (0..1 + self.tape.below(3))
            .map(|_| {
                let values: Vec<String> = tys
                    .iter()
                    .map(|ty| {
                        let depth = if self.tape.chance(30) { depth } else { 0 };
                        format!("{}::{}", self.expr(*ty, depth), ty.sql())
                    })
                    .collect();
                format!("({})", values.join(", "))
            })
            .collect();
        self.scopes.pop();
        let names: Vec<String> = (1..=tys.len()).map(|n| format!("c{n}")).collect();
        format!("SELECT * FROM (VALUES {}) AS v({})", rows.join(", "), names.join(", "))
    }

    fn with(&mut self, tys: &[Ty], depth: usize) -> String {
        let before = self.ctes.len();
        let mut recursive = "";
        let mut parts = Vec::new();
        for _ in 0..1 + self.tape.below(2) {
            let name = self.fresh("w");
            if self.tape.chance(25)
                && let Some(walk) = self.walk(&name)
            {
                recursive = "RECURSIVE ";
                parts.push(walk);
                self.ctes.push(relation(&name, &["v"], &[Ty::Int]));
                continue;
            }
            let own: Vec<Ty> = (0..1 + self.tape.below(3)).map(|_| self.ty()).collect();
            let body = self.sub_select(&own, depth);
            let columns: Vec<String> = (1..=own.len()).map(|n| format!("k{n}")).collect();
            let materialized = *self.tape.one(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
            parts.push(format!("{name}({}) AS {materialized}({body})", columns.join(", ")));
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            self.ctes.push(relation(&name, &columns, &own));
        }
        let body = self.sub_select(tys, depth);
        self.ctes.truncate(before);
        format!("(WITH {recursive}{} {body})", parts.join(", "))
    }

    /// A recursive common table expression that ends because it only ever adds new numbers of a table.
    fn walk(&mut self, name: &str) -> Option<String> {
        let tables: Vec<Relation> =
            self.catalog.relations.iter().filter(|r| r.columns.iter().filter(|c| c.ty == Ty::Int).count() > 1).cloned().collect();
        if tables.is_empty() {
            return None;
        }
        let table = self.tape.one(&tables).clone();
        let ints: Vec<&Column> = table.columns.iter().filter(|c| c.ty == Ty::Int).collect();
        let (from, to) = (self.tape.one(&ints).name.clone(), self.tape.one(&ints).name.clone());
        if self.tape.chance(25) {
            return Some(format!(
                "{name}(v) AS (SELECT count(*)::integer % 5 FROM {0} UNION ALL SELECT {name}.v + 1 FROM {name} WHERE {name}.v < 12 AND NOT EXISTS (SELECT FROM {0} AS t WHERE t.{from} = {name}.v AND t.{to} > 9)) {1}",
                table.name,
                self.tape.one(&["SEARCH DEPTH FIRST BY v SET met", "CYCLE v SET again USING path"])
            ));
        }
        Some(format!(
            "{name}(v) AS (SELECT {to}::integer FROM {0} WHERE {from} < 20 UNION SELECT t.{to}::integer FROM {0} AS t JOIN {name} ON t.{from} = {name}.v)",
            table.name
        ))
    }
}
