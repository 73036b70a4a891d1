//! Writes and locks, taken back again: what they answer and what can be seen after them.

use super::source::{Column, Relation, Source, relation};
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
        let extended = self.tape.below(4);
        if extended > 1 {
            self.parameters = Some(Vec::new());
        }
        let mut look = "*".to_owned();
        let sql = match self.tape.below(20) {
            0..7 => self.rows_changed(&target),
            7..10 => self.rows_changed_by_others(&target),
            10..13 => self.locked(&target),
            13..16 => self.changed_within(&target),
            _ if target.filled => {
                look = plain_columns(&target).join(", ");
                match target.name.as_str() {
                    "shipments" => self.shipments_made(&target),
                    "order_items" => self.items_made(&target),
                    _ => self.things_made(&target),
                }
            }
            _ => self.rows_changed(&target),
        };
        let write = match self.parameters.take() {
            Some(values) => Step::Extended { sql, values, binary: extended == 3 },
            None => Step::Simple(sql),
        };
        let [begin, look, end] =
            ["BEGIN".to_owned(), format!("SELECT {look} FROM {}", target.name), "ROLLBACK".to_owned()].map(Step::Simple);
        Script { steps: vec![begin, write, look, end], ordered: false }
    }

    /// A table in reach under its own name.
    fn reach(&mut self, table: &Relation) {
        self.scopes.push(vec![Source { alias: table.name.clone(), columns: table.columns.clone() }]);
    }

    /// RETURNING, or nothing. The written table must be in reach.
    fn returning(&mut self, all: &str) -> String {
        match self.tape.below(5) {
            0 | 1 => String::new(),
            2 => format!(" RETURNING {all}"),
            _ => {
                let (first, second) = (*self.tape.one(&Ty::ALL), *self.tape.one(&Ty::ALL));
                format!(" RETURNING {} AS r1, ({})::text AS r2", self.expr(first, 1), self.expr(second, 2))
            }
        }
    }

    /// A column that may be written, and its type.
    fn free(&mut self, target: &Relation) -> (String, Ty) {
        let free: Vec<(String, Ty)> =
            target.columns.iter().filter(|c| is_free(target, c)).map(|c| (c.name.clone(), c.ty)).collect();
        self.tape.one(&free).clone()
    }

    /// A new value for it.
    fn value_for(&mut self, column: &str, ty: Ty) -> String {
        let value = self.expr(ty, 2);
        match column {
            "quantity" => format!("COALESCE(abs({value} % 1000), 0) + 1"),
            "tracking" => format!("COALESCE({value}, 'none')"),
            _ => value,
        }
    }

    /// UPDATE and DELETE.
    fn rows_changed(&mut self, target: &Relation) -> String {
        self.reach(target);
        let (column, ty) = self.free(target);
        let sql = match self.tape.below(4) {
            0 | 1 => {
                let value = self.value_for(&column, ty);
                format!("UPDATE {} SET {column} = {value} WHERE {}", target.name, self.mostly_true(2))
            }
            2 => {
                // Sub-queries of one row give the values of several columns.
                let all: Vec<(String, Ty)> =
                    target.columns.iter().filter(|c| is_free(target, c)).map(|c| (c.name.clone(), c.ty)).collect();
                let from = self.open_scope(2);
                let values: Vec<String> = all
                    .iter()
                    .map(|(c, ty)| {
                        let value = self.aggregate(*ty, 1);
                        if c == "quantity" {
                            format!("COALESCE(abs({value} % 1000), 0) + 1")
                        } else {
                            format!("COALESCE({value}, {c})")
                        }
                    })
                    .collect();
                let filter = self.boolean(1);
                self.scopes.pop();
                let names: Vec<&str> = all.iter().map(|(c, _)| c.as_str()).collect();
                let row = format!("({}) = (SELECT {} FROM {from} WHERE {filter})", names.join(", "), values.join(", "));
                format!("UPDATE {} SET {row} WHERE {}", target.name, self.mostly_true(2))
            }
            _ => format!("DELETE FROM {} WHERE {}", target.name, self.mostly_true(2)),
        };
        let sql = sql + &self.returning("*");
        self.scopes.pop();
        sql
    }

    /// UPDATE … FROM, DELETE … USING and MERGE, with at most one partner for each row.
    fn rows_changed_by_others(&mut self, target: &Relation) -> String {
        let keys: Vec<(String, Ty)> = target
            .columns
            .iter()
            .filter(|c| matches!(c.ty, Ty::Int | Ty::Big | Ty::Text))
            .map(|c| (c.name.clone(), c.ty))
            .collect();
        let (key, key_ty) = self.tape.one(&keys).clone();
        let (column, ty) = self.free(target);
        let from = self.open_scope(2);
        let partner = self.column(key_ty).unwrap_or_else(|| self.literal(key_ty));
        let value = self.aggregate(ty, 1);
        let filter = self.boolean(1);
        self.scopes.pop();
        let others = format!("(SELECT {partner}, {value} FROM {from} WHERE {filter} GROUP BY 1) AS n(k, v)");
        self.reach(target);
        let partner = Source { alias: "n".into(), columns: relation("", &["k", "v"], &[key_ty, ty]).columns };
        self.add(partner);
        let link = format!("{}.{key} = n.k", target.name);
        if target.name != "things" && self.tape.chance(25) {
            let (value, also) = (self.value_for(&column, ty), self.mostly_true(1));
            let action = self.tape.one(&[format!("UPDATE SET {column} = {value}"), "DELETE".to_owned()]).clone();
            self.scopes.pop();
            return format!(
                "MERGE INTO {} USING {others} ON {link} WHEN MATCHED AND {also} THEN {action} WHEN MATCHED THEN DO NOTHING",
                target.name
            );
        }
        let sql = if self.tape.chance(60) {
            let value = self.value_for(&column, ty);
            format!("UPDATE {} SET {column} = {value} FROM {others} WHERE {link} AND {}", target.name, self.boolean(1))
        } else {
            format!("DELETE FROM {} USING {others} WHERE {link} AND {}", target.name, self.boolean(1))
        };
        let sql = sql + &self.returning(&format!("n.v, {}.*", target.name));
        self.scopes.pop();
        sql
    }

    /// A common table expression that writes, and a query that reads what it returns.
    fn changed_within(&mut self, target: &Relation) -> String {
        self.reach(target);
        let (first, second) = (*self.tape.one(&Ty::ALL), *self.tape.one(&[Ty::Text, Ty::Int, Ty::Date]));
        let (column, ty) = self.free(target);
        let sql = if self.tape.chance(50) {
            let value = self.value_for(&column, ty);
            format!("UPDATE {} SET {column} = {value} WHERE {}", target.name, self.mostly_true(2))
        } else {
            format!("DELETE FROM {} WHERE {}", target.name, self.boolean(1))
        };
        let sql = format!("{sql} RETURNING {} AS k1, {}::{} AS k2", self.expr(first, 1), self.expr(second, 1), second.sql());
        self.scopes.pop();
        self.ctes.push(relation("m", &["k1", "k2"], &[first, second]));
        let query = match self.tape.below(3) {
            0 => "SELECT * FROM m".to_owned(),
            1 => "SELECT count(*), count(k1), max(k2) FROM m".to_owned(),
            _ => self.sub_select(&[second, Ty::Big], 2),
        };
        self.ctes.clear();
        format!("WITH m AS ({sql}) {query}")
    }

    /// Rows read under a lock.
    fn locked(&mut self, target: &Relation) -> String {
        self.scopes.push(vec![Source { alias: "l".into(), columns: target.columns.clone() }]);
        let tys: Vec<Ty> = (0..1 + self.tape.below(3)).map(|_| *self.tape.one(&Ty::ALL)).collect();
        let items: Vec<String> =
            tys.iter().enumerate().map(|(n, ty)| format!("({})::{} AS c{}", self.expr(*ty, 2), ty.sql(), n + 1)).collect();
        let filter = self.mostly_true(2);
        self.scopes.pop();
        let strength = *self.tape.one(&[
            "UPDATE",
            "SHARE",
            "NO KEY UPDATE",
            "KEY SHARE",
            "UPDATE OF l",
            "SHARE OF l SKIP LOCKED",
            "UPDATE NOWAIT",
        ]);
        format!("SELECT {} FROM {} AS l WHERE {filter} FOR {strength}", items.join(", "), target.name)
    }

    /// INSERT in its forms, and MERGE, into a table without masks and references, from rows that can be seen.
    fn shipments_made(&mut self, target: &Relation) -> String {
        self.scopes.push(vec![Source { alias: "s".into(), columns: target.columns.clone() }]);
        let filter = self.mostly_true(2);
        let (day, text) = (*self.tape.one(&["s.shipped_on", "s.shipped_on + 400", "date '2024-05-05'"]), self.expr(Ty::Text, 1));
        self.scopes.pop();
        self.reach(target);
        let also = self.mostly_true(1);
        let returning = self.returning("*");
        self.scopes.pop();
        let region = *self.tape.one(&["s.region", "s.region", "'AMER'"]);
        let rows = |id: &str, day: &str| {
            format!(
                "SELECT {id}, s.order_id, {region}, s.carrier, COALESCE({text}, 'none'), {day} FROM shipments AS s WHERE {filter}"
            )
        };
        let key = "(id, shipped_on, region)";
        match self.tape.below(6) {
            0 => format!("INSERT INTO shipments {}{returning}", rows("s.id + 10000", day)),
            1 => format!("INSERT INTO shipments {} ON CONFLICT DO NOTHING{returning}", rows("s.id", "s.shipped_on")),
            2 | 3 => format!(
                "INSERT INTO shipments {} ON CONFLICT {key} DO UPDATE SET tracking = excluded.tracking || shipments.carrier WHERE {also}{returning}",
                rows("s.id", "s.shipped_on")
            ),
            4 => format!(
                "INSERT INTO shipments {} ON CONFLICT {key} DO UPDATE SET carrier = excluded.tracking{returning}",
                rows("s.id", "s.shipped_on")
            ),
            _ => format!(
                "MERGE INTO shipments USING (SELECT s.id, s.shipped_on FROM shipments AS s WHERE {filter}) AS n ON shipments.id = n.id AND shipments.shipped_on = n.shipped_on
                 WHEN MATCHED AND {also} THEN {} WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN DO NOTHING",
                self.tape.one(&["DELETE", "UPDATE SET tracking = 'merged'", "UPDATE SET carrier = 'Heron'"])
            ),
        }
    }

    /// Items that are there already: the reference may lack the orders that new ones would belong to.
    fn items_made(&mut self, target: &Relation) -> String {
        self.scopes.push(vec![Source { alias: "s".into(), columns: target.columns.clone() }]);
        let filter = self.mostly_true(2);
        let number = self.value_for("quantity", Ty::Int);
        self.scopes.pop();
        self.reach(target);
        let also = self.mostly_true(1);
        let returning = self.returning("*");
        self.scopes.pop();
        let action = match self.tape.below(3) {
            0 => "NOTHING".to_owned(),
            1 => format!("UPDATE SET quantity = excluded.quantity + order_items.line WHERE {also}"),
            _ => "UPDATE SET (quantity, price) = (SELECT excluded.quantity, max(t.price) FROM order_items AS t WHERE t.order_id = excluded.order_id)".to_owned(),
        };
        format!(
            "INSERT INTO order_items SELECT s.order_id, s.line, s.region, s.product_id, {number}, s.price FROM order_items AS s WHERE {filter} ON CONFLICT (order_id, line) DO {action}{returning}"
        )
    }

    /// New rows of the table with masks, of columns that no policy masks.
    fn things_made(&mut self, target: &Relation) -> String {
        let plain: Vec<Column> = target.columns.iter().filter(|c| PLAIN.contains(&c.name.as_str())).cloned().collect();
        self.scopes.push(vec![Source { alias: "s".into(), columns: target.columns.clone() }]);
        let filter = self.mostly_true(2);
        let (day, big) = (self.expr(Ty::Date, 2), self.expr(Ty::Big, 2));
        self.scopes.pop();
        self.scopes.push(vec![Source { alias: "things".into(), columns: plain }]);
        let also = self.mostly_true(1);
        let returning = self.returning(&plain_columns(target).join(", "));
        self.scopes.pop();
        let id = *self.tape.one(&["s.id + 1000", "s.id"]);
        // A view checks rows once they are in, row security before they meet others: only an upsert proposes such.
        let (id, action) = match self.tape.below(3) {
            0 => ("s.id + 1000", " ON CONFLICT DO NOTHING".to_owned()),
            1 => ("s.id + 1000", String::new()),
            _ => (id, format!(" ON CONFLICT (id) DO UPDATE SET day = excluded.day, big = excluded.big - things.id WHERE {also}")),
        };
        format!(
            "INSERT INTO things (id, code, region, flag, secret, day, big) SELECT {id}, left(s.code, 4), s.region, s.flag, 'new', {day}, {big} FROM things AS s WHERE {filter}{action}{returning}"
        )
    }
}

/// Columns of the table with masks that no random policy masks.
const PLAIN: [&str; 6] = ["id", "code", "region", "flag", "day", "big"];

/// Values of keys and of what filters and masks read would change what is seen: these columns none of them reads.
const FREE: [(&str, &str); 4] = [("order_items", "quantity"), ("shipments", "tracking"), ("things", "day"), ("things", "big")];

fn is_free(table: &Relation, column: &Column) -> bool {
    FREE.contains(&(table.name.as_str(), column.name.as_str()))
}

fn plain_columns(table: &Relation) -> Vec<String> {
    table.columns.iter().map(|c| c.name.clone()).filter(|c| table.name != "things" || PLAIN.contains(&c.as_str())).collect()
}
