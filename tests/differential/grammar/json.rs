//! JSON: values, questions, and rows made of it. PostgreSQL 15 has the path language of SQL/JSON; its constructors came later.

use super::source::Source;
use super::{Grammar, Ty};

/// Paths into the documents that there are.
const PATHS: [&str; 7] = [
    "'$.k'",
    "'$.l[*]'",
    "'$.l[*] ? (@ != null)'",
    "'$.**{1 to 2}'",
    "'$.keyvalue().key'",
    "'$ ? (@.k > 1)'",
    "'$.o.in ? (@ == true)'",
];

/// Questions to them.
const QUESTIONS: [&str; 4] = ["'$.k > 2'", "'exists($.l[*] ? (@ == 1))'", "'$.s starts with \"a\"'", "'$.s like_regex \"^[ab]\"'"];

impl Grammar<'_> {
    /// An expression of this type.
    pub(super) fn json(&mut self, depth: usize) -> String {
        match self.tape.below(15) {
            0 => format!("jsonb_build_object('a', {}, 'b', {})", self.expr(Ty::Text, depth), self.expr(Ty::Int, depth)),
            1 => format!("({} -> {})", self.expr(Ty::Json, depth), self.tape.one(&["'k'", "'l'", "0"])),
            2 => format!("({} || {})", self.expr(Ty::Json, depth), self.literal(Ty::Json)),
            3 => {
                let ty = *self.tape.one(&Ty::ALL);
                format!("to_jsonb({}::{})", self.expr(ty, depth), ty.sql())
            }
            4 => self.whole_row().map_or_else(|| "'{}'::jsonb".into(), |row| format!("to_jsonb({row})")),
            5 => format!("jsonb_build_array({}, {})", self.expr(Ty::Int, depth), self.expr(Ty::Date, depth)),
            6 => format!("({} #> '{{o,in}}')", self.expr(Ty::Json, depth)),
            7 => format!("jsonb_path_query_first({}, '$.l[*]')", self.expr(Ty::Json, depth)),
            8 => {
                format!("jsonb_path_query_array({}, {})", self.expr(Ty::Json, depth), self.tape.one(&PATHS))
            }
            9 => format!("jsonb_strip_nulls({})", self.expr(Ty::Json, depth)),
            10 => {
                let (subject, value) = (self.object(depth), self.expr(Ty::Text, depth));
                format!("jsonb_set({subject}, '{{k}}', to_jsonb({value}::text))")
            }
            11 => format!("jsonb_object(ARRAY['a', 'b'], ARRAY[{}, {}])", self.expr(Ty::Text, depth), self.expr(Ty::Text, depth)),
            12 => format!("json_build_object('n', {}, 'd', {})::jsonb", self.expr(Ty::Num, depth), self.expr(Ty::Date, depth)),
            13 => format!("to_jsonb(ROW({}, {}))", self.expr(Ty::Int, depth), self.expr(Ty::Text, depth)),
            _ => format!("({} - 'k')", self.expr(Ty::Json, depth)),
        }
    }

    /// A document that is an object for certain.
    fn object(&mut self, depth: usize) -> String {
        let value = self.expr(Ty::Json, depth);
        format!("(CASE WHEN jsonb_typeof({value}) = 'object' THEN {value} ELSE '{{}}' END)")
    }

    /// A question to a document.
    pub(super) fn asks_json(&mut self, depth: usize) -> String {
        let subject = self.expr(Ty::Json, depth);
        match self.tape.below(6) {
            0 => format!("({subject} @? {})", self.tape.one(&PATHS[..3])),
            1 => format!("({subject} @@ {})", self.tape.one(&QUESTIONS)),
            2 => format!("jsonb_path_exists({subject}, '$.k ? (@ > $n)', '{{\"n\": 2}}')"),
            3 => format!("({subject} ?| ARRAY['k', 'zz'])"),
            4 => format!("(jsonb_typeof({subject}) = {})", self.tape.one(&["'object'", "'array'", "'string'"])),
            _ => format!("({subject} <@ {})", self.expr(Ty::Json, depth)),
        }
    }

    /// Rows of a document.
    pub(super) fn of_json(&mut self, lateral: bool) -> (String, Source) {
        let document = if lateral { self.object(0) } else { "'{\"k\": 3, \"s\": \"a\", \"l\": [1, 2]}'::jsonb".into() };
        match self.tape.below(5) {
            0 => self.call(&format!("jsonb_each_text({document})"), &[("k", Ty::Text), ("v", Ty::Text)]),
            1 => self.call(&format!("jsonb_path_query({document}, '$.l[*]')"), &[("v", Ty::Json)]),
            2 => self.call(&format!("jsonb_object_keys({document})"), &[("v", Ty::Text)]),
            3 => {
                let path = self.tape.one(&PATHS).to_owned();
                self.call(&format!("jsonb_path_query({document}, {path}) WITH ORDINALITY"), &[("v", Ty::Json), ("n", Ty::Big)])
            }
            _ => {
                let (text, source) =
                    self.call(&format!("jsonb_to_recordset(jsonb_build_array({document}))"), &[("s", Ty::Text), ("o", Ty::Json)]);
                (text.replace("(s, o)", "(s text, o jsonb)"), source)
            }
        }
    }
}
