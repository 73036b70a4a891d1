//! FROM: tables, sub-selects, functions, and the joins between them.

use super::source::{Source, relation};
use super::{Grammar, Ty};

impl Grammar<'_> {
    /// FROM of up to so many sources, which are in reach afterwards: the caller closes the scope.
    pub(super) fn open_scope(&mut self, most: usize) -> String {
        self.scopes.push(Vec::new());
        let count = 1 + if most > 1 { self.tape.below(most) } else { 0 };
        let (mut text, first) = self.source(false);
        self.add(first);
        for n in 1..count {
            let join = *self.tape.one(&["JOIN", "LEFT JOIN", "CROSS JOIN", "RIGHT JOIN", "FULL JOIN", "JOIN"]);
            let lateral = !matches!(join, "RIGHT JOIN" | "FULL JOIN");
            let (item, source) = self.source(lateral);
            let link = self.link(&source);
            // A full join without an equality fails or not as the planner folds its condition.
            let join = if join == "FULL JOIN" && link.is_none() { "LEFT JOIN" } else { join };
            let natural = n == 1 && link.is_some() && self.tape.chance(4);
            let using = link.is_some() && self.tape.chance(10);
            let shared = if using { self.shared_name(&source) } else { None };
            self.add(source);
            if natural && join != "CROSS JOIN" {
                text = format!("({text} NATURAL {join} {item})");
                continue;
            }
            let condition = match (join, shared, link) {
                ("CROSS JOIN", _, _) if n == 1 => String::new(),
                ("CROSS JOIN", _, Some(link)) => {
                    text = format!("{text} JOIN {item} ON {link}");
                    continue;
                }
                (_, Some(shared), _) if n == 1 => format!(" USING ({shared})"),
                (_, _, Some(link)) if join == "FULL JOIN" || !self.tape.chance(12) => {
                    if join != "FULL JOIN" && self.tape.chance(25) {
                        format!(" ON {link} AND {}", self.boolean(1))
                    } else {
                        format!(" ON {link}")
                    }
                }
                ("CROSS JOIN", _, None) => String::new(),
                _ if n == 1 => format!(" ON {}", self.boolean(1)),
                _ => " ON false".into(),
            };
            text = format!("{text} {join} {item}{condition}");
        }
        text
    }

    pub(super) fn add(&mut self, source: Source) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(source);
        }
    }

    /// An equality between a column in reach and one of the new source's.
    fn link(&mut self, source: &Source) -> Option<String> {
        let mut pairs = Vec::new();
        for old in self.scopes.last()? {
            for a in &old.columns {
                for b in source.columns.iter().filter(|b| b.ty == a.ty) {
                    // Keys first, so that joins usually find something.
                    let likely = a.name == b.name || a.name == "id" || b.name == "id" || a.name.ends_with("_id");
                    pairs.push((!likely || a.ty == Ty::Json, format!("{}.{} = {}.{}", old.alias, a.name, source.alias, b.name)));
                }
            }
        }
        pairs.sort();
        let likely = pairs.iter().filter(|(unlikely, _)| !unlikely).count();
        if likely > 0 && !self.tape.chance(30) {
            pairs.truncate(likely);
        }
        if pairs.is_empty() { None } else { Some(self.tape.one(&pairs).1.clone()) }
    }

    fn shared_name(&mut self, source: &Source) -> Option<String> {
        let old = self.scopes.last()?.first()?;
        let shared: Vec<String> = source
            .columns
            .iter()
            .filter(|b| old.columns.iter().any(|a| a.name == b.name && a.ty == b.ty))
            .map(|b| b.name.clone())
            .collect();
        if shared.is_empty() { None } else { Some(self.tape.one(&shared).clone()) }
    }

    /// An item of FROM.
    fn source(&mut self, lateral: bool) -> (String, Source) {
        match self.tape.below(20) {
            0..12 => self.table(),
            12 | 13 if !self.ctes.is_empty() => {
                let cte = self.tape.one(&self.ctes.clone()).clone();
                let alias = self.fresh("q");
                (format!("{} AS {alias}", cte.name), Source { alias, columns: cte.columns })
            }
            12..16 => {
                let tys: Vec<Ty> = (0..1 + self.tape.below(3)).map(|_| self.ty()).collect();
                let lateral = lateral && self.tape.chance(40);
                let hidden = if lateral { Vec::new() } else { self.scopes.last_mut().map(std::mem::take).unwrap_or_default() };
                let body = self.sub_select(&tys, 1);
                if !lateral && let Some(scope) = self.scopes.last_mut() {
                    *scope = hidden;
                }
                let alias = self.fresh("q");
                let columns: Vec<String> = (1..=tys.len()).map(|n| format!("d{n}")).collect();
                let named: Vec<&str> = columns.iter().map(String::as_str).collect();
                let source = Source { alias: alias.clone(), columns: relation("", &named, &tys).columns };
                (format!("{}({body}) AS {alias}({})", if lateral { "LATERAL " } else { "" }, columns.join(", ")), source)
            }
            16 => match self.tape.below(3) {
                0 => self.call("generate_series(1, 4)", &[("v", Ty::Int)]),
                1 => self.call("generate_series(3, 1, -1) WITH ORDINALITY", &[("v", Ty::Int), ("n", Ty::Big)]),
                _ => self.of_json(lateral),
            },
            17 => {
                let array = if lateral { self.expr(Ty::Ints, 0) } else { "ARRAY[1, 2, NULL, 7]".into() };
                self.call(&format!("unnest({array})"), &[("v", Ty::Int)])
            }
            18 => {
                let array = if lateral { self.expr(Ty::Texts, 0) } else { "ARRAY['red', 'EMEA', NULL]".into() };
                match self.tape.below(3) {
                    0 => self.call(&format!("unnest({array})"), &[("v", Ty::Text)]),
                    1 => self.call(&format!("unnest({array}, ARRAY[4, 5])"), &[("v", Ty::Text), ("n", Ty::Int)]),
                    _ => self
                        .call(&format!("ROWS FROM (unnest({array}), generate_series(1, 2))"), &[("v", Ty::Text), ("n", Ty::Int)]),
                }
            }
            _ => {
                let text = if lateral { self.expr(Ty::Text, 0) } else { "'a-b'".into() };
                self.call(&format!("regexp_split_to_table({text}, '-')"), &[("v", Ty::Text)])
            }
        }
    }

    /// A function in FROM, with these columns.
    pub(super) fn call(&mut self, call: &str, columns: &[(&str, Ty)]) -> (String, Source) {
        let alias = self.fresh("f");
        let (names, tys): (Vec<&str>, Vec<Ty>) = columns.iter().copied().unzip();
        let text = format!("{call} AS {alias}({})", names.join(", "));
        (text, Source { alias, columns: relation("", &names, &tys).columns })
    }

    fn table(&mut self) -> (String, Source) {
        // The first ones have the columns of many types, and the masks.
        let first = if self.tape.chance(55) { 4 } else { usize::MAX };
        let relation = self.tape.one(&self.catalog.relations[..first.min(self.catalog.relations.len())]).clone();
        let alias = self.fresh("t");
        let (before, after) = match self.tape.below(150) {
            149 if relation.table => ("ONLY ", ""),
            148 if relation.table => ("", " TABLESAMPLE SYSTEM (100)"),
            _ => ("", ""),
        };
        (format!("{before}{} AS {alias}{after}", relation.name), Source { alias, columns: relation.columns })
    }
}
