//! Writes, taken back again: what they answer and what can be seen after them.

use super::source::{Relation, Source};
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
        let returning = if self.tape.chance(50) { " RETURNING *" } else { "" };
        let sql = if target.name == MADE && self.tape.chance(60) {
            self.rows_made(&target, returning)
        } else {
            self.rows_changed(&target, returning)
        };
        let steps = ["BEGIN".to_owned(), sql, format!("SELECT * FROM {}", target.name), "ROLLBACK".to_owned()];
        Script { steps: steps.into_iter().map(Step::Simple).collect(), ordered: false }
    }

    /// UPDATE and DELETE.
    fn rows_changed(&mut self, target: &Relation, returning: &str) -> String {
        self.scopes.push(vec![Source { alias: target.name.clone(), columns: target.columns.clone() }]);
        // Values of keys and of what filters and masks read would change what is seen: the tables' free columns only.
        let free: Vec<(String, Ty)> =
            target.columns.iter().filter(|c| FREE.contains(&c.name.as_str())).map(|c| (c.name.clone(), c.ty)).collect();
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
        sql
    }

    /// INSERT in its forms, and MERGE, into a table without masks and references, from rows that can be seen.
    fn rows_made(&mut self, target: &Relation, returning: &str) -> String {
        self.scopes.push(vec![Source { alias: "s".into(), columns: target.columns.clone() }]);
        let filter = self.boolean(2);
        let (day, text) = (*self.tape.one(&["s.shipped_on", "s.shipped_on + 400", "date '2024-05-05'"]), self.expr(Ty::Text, 1));
        self.scopes.pop();
        self.scopes.push(vec![Source { alias: target.name.clone(), columns: target.columns.clone() }]);
        let also = self.boolean(1);
        self.scopes.pop();
        let region = *self.tape.one(&["s.region", "s.region", "'AMER'"]);
        let rows = |id: &str, day: &str| {
            format!("SELECT {id}, s.order_id, {region}, s.carrier, COALESCE({text}, 'none'), {day} FROM {MADE} AS s WHERE {filter}")
        };
        let key = "(id, shipped_on, region)";
        match self.tape.below(6) {
            0 => format!("INSERT INTO {MADE} {}{returning}", rows("s.id + 10000", day)),
            1 => format!("INSERT INTO {MADE} {} ON CONFLICT DO NOTHING{returning}", rows("s.id", "s.shipped_on")),
            2 | 3 => format!(
                "INSERT INTO {MADE} {} ON CONFLICT {key} DO UPDATE SET tracking = excluded.tracking || {MADE}.carrier WHERE {also}{returning}",
                rows("s.id", "s.shipped_on")
            ),
            4 => format!("INSERT INTO {MADE} {} ON CONFLICT {key} DO UPDATE SET carrier = excluded.tracking{returning}", rows("s.id", "s.shipped_on")),
            _ => format!(
                "MERGE INTO {MADE} USING (SELECT s.id, s.shipped_on FROM {MADE} AS s WHERE {filter}) AS n ON {MADE}.id = n.id AND {MADE}.shipped_on = n.shipped_on
                 WHEN MATCHED AND {also} THEN {} WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN DO NOTHING",
                self.tape.one(&["DELETE", "UPDATE SET tracking = 'merged'", "UPDATE SET carrier = 'Heron'"])
            ),
        }
    }
}

/// The table that rows are put into.
const MADE: &str = "shipments";

/// Columns that no random policy reads or masks.
pub(in crate::differential) const FREE: [&str; 4] = ["note", "quantity", "tracking", "day"];
