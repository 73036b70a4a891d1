//! Aggregates.

use super::{Grammar, Ty};

impl Grammar<'_> {
    /// An aggregate of this type over the innermost scope, whatever the order of its rows.
    pub(super) fn aggregate(&mut self, ty: Ty, depth: usize) -> String {
        let text = match ty {
            Ty::Int => match self.tape.below(6) {
                0 => format!("max({})", self.expr(Ty::Int, depth)),
                1 => format!("min({})", self.expr(Ty::Int, depth)),
                2 => format!("bit_or({})", self.expr(Ty::Int, depth)),
                3 => return self.over_sorted("mode()", Ty::Int, depth),
                4 => format!("bit_and({} & 63)", self.expr(Ty::Int, depth)),
                _ => return self.over_sorted("percentile_disc(0.5)", Ty::Int, depth),
            },
            Ty::Big => match self.tape.below(6) {
                0 => "count(*)".to_owned(),
                1 => {
                    let ty = *self.tape.one(&Ty::ALL);
                    format!("count({})", self.expr(ty, depth))
                }
                2 => format!("sum({})", self.expr(Ty::Int, depth)),
                3 => {
                    let value = self.literal(Ty::Text);
                    return self.over_sorted(&format!("rank({value})"), Ty::Text, depth);
                }
                4 => format!("count(DISTINCT ({}, {}))", self.expr(Ty::Int, depth), self.expr(Ty::Text, depth)),
                _ => format!("count(DISTINCT {})", self.expr(Ty::Text, depth)),
            },
            Ty::Num => {
                let form = match self.tape.below(4) {
                    0 => format!("sum({})", self.expr(Ty::Num, depth)),
                    1 => format!("avg({})", self.expr(Ty::Int, depth)),
                    2 => format!("max({})", self.expr(Ty::Num, depth)),
                    _ => format!("stddev_pop({})", self.expr(Ty::Int, depth)),
                };
                return format!("round({form}, 2)");
            }
            Ty::Float => format!("max({})", self.expr(Ty::Float, depth)),
            Ty::Text => match self.tape.below(4) {
                0 => format!("max({})", self.expr(Ty::Text, depth)),
                1 => format!("min({})", self.expr(Ty::Text, depth)),
                2 => {
                    let inner = self.expr(Ty::Text, depth);
                    format!("string_agg({inner}, ',' ORDER BY {inner})")
                }
                _ => {
                    let inner = self.expr(Ty::Text, depth);
                    format!("string_agg(DISTINCT {inner}, ';')")
                }
            },
            Ty::Bool => format!("{}({})", self.tape.one(&["bool_or", "bool_and", "every"]).to_owned(), self.expr(Ty::Bool, depth)),
            Ty::Date | Ty::Stamp => format!("{}({})", self.tape.one(&["max", "min"]).to_owned(), self.expr(ty, depth)),
            Ty::Texts => {
                let inner = self.expr(Ty::Text, depth);
                format!("array_agg({inner} ORDER BY {inner})")
            }
            Ty::Ints => {
                let inner = self.expr(Ty::Int, depth);
                format!("array_agg({inner} ORDER BY {inner} DESC NULLS LAST)")
            }
            Ty::Json => {
                let inner = self.expr(Ty::Text, depth);
                match self.tape.below(3) {
                    0 => format!("jsonb_object_agg(COALESCE({inner}, '-'), length(COALESCE({inner}, '-')))"),
                    1 => format!("json_agg({inner} ORDER BY {inner} DESC)::jsonb"),
                    _ => format!("jsonb_agg({inner} ORDER BY {inner})"),
                }
            }
        };
        if self.tape.chance(20) { format!("{text} FILTER (WHERE {})", self.expr(Ty::Bool, depth)) } else { text }
    }

    fn over_sorted(&mut self, function: &str, ty: Ty, depth: usize) -> String {
        format!("{function} WITHIN GROUP (ORDER BY {})", self.expr(ty, depth))
    }
}
