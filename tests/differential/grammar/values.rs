//! Literals: mostly such as occur in the data.

use super::{Grammar, Ty};

impl Grammar<'_> {
    /// A literal, or a parameter where there may be one.
    pub(super) fn literal(&mut self, ty: Ty) -> String {
        let value = self.value(ty);
        let taken = self.parameters.as_ref().map_or(0, Vec::len);
        if self.parameters.is_some() && taken < 9 && self.tape.chance(40) {
            let null = self.tape.chance(4);
            if let Some(parameters) = &mut self.parameters {
                parameters.push((!null).then(|| value.clone()));
            }
            return format!("${}::{}", taken + 1, ty.sql());
        }
        match ty {
            Ty::Int => {
                if value.starts_with('-') {
                    format!("({value})")
                } else {
                    value
                }
            }
            Ty::Big => format!("({value})::bigint"),
            Ty::Bool => value,
            Ty::Text if self.tape.chance(70) => quoted(&value),
            Ty::Text | Ty::Num | Ty::Date | Ty::Stamp | Ty::Float | Ty::Texts | Ty::Ints | Ty::Json => {
                format!("{}::{}", quoted(&value), ty.sql())
            }
        }
    }

    fn value(&mut self, ty: Ty) -> String {
        match ty {
            Ty::Int => (*self.tape.one(&["1", "0", "2", "3", "7", "10", "25", "-1", "42", "100", "1000", "40000"])).into(),
            Ty::Big => (*self.tape.one(&["1", "0", "5", "33", "-2", "90000", "5000000000"])).into(),
            Ty::Num => (*self.tape.one(&["1.00", "0.00", "10.50", "99.99", "-3.25", "500.00", "1234.56"])).into(),
            Ty::Float => (*self.tape.one(&["1", "0.5", "-2.25", "8", "100"])).into(),
            Ty::Bool => (*self.tape.one(&["true", "false"])).into(),
            Ty::Text => (*self.tape.one(&[
                "a",
                "EMEA",
                "AMER",
                "APAC",
                "",
                "open",
                "paid",
                "shipped",
                "red",
                "apple",
                "12",
                "x%y",
                "o'hara",
                "Manager",
                "ana@example.com",
                "g1",
                "hidden",
                "***-**-1007",
                "Falcon",
                "SKU-00007",
                "été",
            ]))
            .into(),
            Ty::Date => (*self.tape.one(&["2024-01-01", "2023-07-04", "2025-10-01", "2020-02-29"])).into(),
            Ty::Stamp => (*self.tape.one(&["2024-01-01 00:00:00", "2024-06-30 12:30:00", "2025-01-01 01:02:03"])).into(),
            Ty::Texts => (*self.tape.one(&["{}", "{red}", "{red,blue}", "{green,NULL}"])).into(),
            Ty::Ints => (*self.tape.one(&["{}", "{1}", "{1,2,3}", "{7,NULL}"])).into(),
            Ty::Json => {
                (*self.tape.one(&["{}", "1", "{\"k\": 1}", "{\"s\": \"a\"}", "[1, \"x\", null]", "{\"o\": {\"in\": true}}"])).into()
            }
        }
    }
}

/// A string literal.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
