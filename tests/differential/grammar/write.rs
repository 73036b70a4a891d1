//! Writes, taken back again: what they answer and what can be seen after them.

use super::source::Source;
use super::{Grammar, Script, Ty};
use crate::differential::side::Step;

impl Grammar<'_> {
    /// A transaction that writes into one table, looks at it, and ends in ROLLBACK.
    pub(super) fn writing(&mut self) -> Script {
        let writable: Vec<_> = self.catalog.relations.iter().filter(|r| r.writable).cloned().collect();
        if writable.is_empty() {
            let (sql, ordered) = self.statement();
            return Script { steps: vec![Step::Simple(sql)], ordered };
        }
        let target = self.tape.one(&writable).clone();
        self.scopes.push(vec![Source { alias: target.name.clone(), columns: target.columns.clone() }]);
        // Values of keys and of what filters and masks read would change what is seen: the tables' free columns only.
        let free: Vec<(String, Ty)> =
            target.columns.iter().filter(|c| FREE.contains(&c.name.as_str())).map(|c| (c.name.clone(), c.ty)).collect();
        let returning = if self.tape.chance(50) { " RETURNING *" } else { "" };
        let sql = match self.tape.below(3) {
            0 | 1 if !free.is_empty() => {
                let (column, ty) = self.tape.one(&free).clone();
                let value = self.expr(ty, 2);
                let filter = self.boolean(2);
                format!("UPDATE {} SET {column} = {value} WHERE {filter}{returning}", target.name)
            }
            _ => format!("DELETE FROM {} WHERE {}{returning}", target.name, self.boolean(2)),
        };
        self.scopes.pop();
        let steps = ["BEGIN".to_owned(), sql, format!("SELECT * FROM {}", target.name), "ROLLBACK".to_owned()];
        Script { steps: steps.into_iter().map(Step::Simple).collect(), ordered: false }
    }
}

/// Columns that no random policy reads or masks.
pub(in crate::differential) const FREE: [&str; 4] = ["note", "quantity", "tracking", "day"];
