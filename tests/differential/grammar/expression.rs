//! Expressions of a wanted type.

use super::values::quoted;
use super::{Grammar, Ty};

/// What is wrong with a statement that is meant to be wrong.
const MISTAKES: [&str; 14] = [
    "nosuch",
    "nosuch.id",
    "nosuch(1)",
    "('x' + 1)",
    "(1 + date '2024-01-01' + date '2024-01-01')",
    "lower(1, 2)",
    "(SELECT word FROM vault LIMIT 1)",
    "(SELECT id FROM nosuch)",
    "'zz'::nosuch",
    "(ARRAY[1] || true)",
    "count(count(*))",
    "(SELECT 1, 2)",
    "(1 = 'x'::jsonb)",
    "'2024-13-77'::date",
];

impl Grammar<'_> {
    /// A column of this type, if there is one in reach.
    pub(super) fn column(&mut self, ty: Ty) -> Option<String> {
        let inner = self.scopes.len().checked_sub(1)?;
        let scope = if inner > 0 && self.tape.chance(15) { self.tape.below(inner) } else { inner };
        let found: Vec<String> = self.scopes[scope]
            .iter()
            .flat_map(|s| s.columns.iter().filter(|c| c.ty == ty).map(move |c| (s, c)))
            .map(|(s, c)| if c.exact { format!("{}.{}", s.alias, c.name) } else { format!("{}.{}::{}", s.alias, c.name, ty.sql()) })
            .collect();
        if found.is_empty() { None } else { Some(self.tape.one(&found).clone()) }
    }

    /// A column of a table in the innermost scope: never a constant.
    pub(super) fn table_column(&mut self, ty: Ty) -> Option<String> {
        let tables = self.scopes.last()?.iter().filter(|s| s.alias.starts_with('t'));
        let found: Vec<String> = tables
            .flat_map(|s| s.columns.iter().filter(|c| c.ty == ty).map(move |c| format!("{}.{}::{}", s.alias, c.name, ty.sql())))
            .collect();
        if found.is_empty() { None } else { Some(self.tape.one(&found).clone()) }
    }

    /// A type; more often one that many tables have columns of.
    pub(super) fn ty(&mut self) -> Ty {
        if self.tape.chance(50) {
            *self.tape.one(&[Ty::Text, Ty::Int, Ty::Num, Ty::Date, Ty::Text])
        } else {
            *self.tape.one(&Ty::ALL)
        }
    }

    fn leaf(&mut self, ty: Ty) -> String {
        if self.broken && self.tape.chance(12) {
            self.broken = false;
            return (*self.tape.one(&MISTAKES)).to_owned();
        }
        if !self.tape.chance(15)
            && let Some(column) = self.column(ty)
        {
            return column;
        }
        self.literal(ty)
    }

    /// An expression of a type.
    pub(super) fn expr(&mut self, ty: Ty, depth: usize) -> String {
        if depth == 0 || !self.tape.chance(55) {
            return self.leaf(ty);
        }
        if self.tape.chance(22) {
            return self.any_type(ty, depth - 1);
        }
        let depth = depth - 1;
        match ty {
            Ty::Int => self.int(depth),
            Ty::Big => self.big(depth),
            Ty::Num => self.num(depth),
            Ty::Float => self.float(depth),
            Ty::Text => self.text(depth),
            Ty::Bool => self.boolean(depth),
            Ty::Date => self.date(depth),
            Ty::Stamp => self.stamp(depth),
            Ty::Texts => self.texts(depth),
            Ty::Ints => self.ints(depth),
            Ty::Json => self.json(depth),
        }
    }

    /// Whether to make an expression that may fail: only in wild statements.
    fn dares(&mut self) -> bool {
        self.wild && self.tape.chance(30)
    }

    /// Forms that there are for every type.
    fn any_type(&mut self, ty: Ty, depth: usize) -> String {
        let text = match self.tape.below(7) {
            0 => format!("COALESCE({}, {})", self.expr(ty, depth), self.expr(ty, depth)),
            1 => {
                format!("CASE WHEN {} THEN {} ELSE {} END", self.expr(Ty::Bool, depth), self.expr(ty, depth), self.expr(ty, depth))
            }
            2 => format!("CASE WHEN {} THEN {} END", self.expr(Ty::Bool, depth), self.expr(ty, depth)),
            3 => format!("NULLIF({}, {})", self.expr(ty, depth), self.expr(ty, depth)),
            4 => self.scalar(ty, depth),
            5 if ty != Ty::Json => format!("greatest({}, {})", self.expr(ty, depth), self.expr(ty, depth)),
            5 => format!("(ARRAY[{}, {}])[2]", self.expr(ty, depth), self.expr(ty, depth)),
            _ => {
                let subject = *self.tape.one(&[Ty::Text, Ty::Int, Ty::Date]);
                let (subject_text, first, second) = (self.expr(subject, depth), self.literal(subject), self.literal(subject));
                let values = (self.expr(ty, depth), self.expr(ty, depth));
                format!("CASE {subject_text} WHEN {first} THEN {} WHEN {second} THEN {} ELSE NULL END", values.0, values.1)
            }
        };
        if ty == Ty::Num { format!("round({text}, 2)") } else { text }
    }

    /// A sub-query of one value.
    fn scalar(&mut self, ty: Ty, depth: usize) -> String {
        if depth == 0 {
            return self.leaf(ty);
        }
        let alias = self.open_scope(1);
        let value = self.aggregate(ty, depth - 1);
        let filter = if self.tape.chance(50) { format!(" WHERE {}", self.mostly_true(depth - 1)) } else { String::new() };
        self.scopes.pop();
        format!("(SELECT {value} FROM {alias}{filter})")
    }

    fn int(&mut self, depth: usize) -> String {
        match self.tape.below(14) {
            0 => format!("({} + {})", self.expr(Ty::Int, depth), self.expr(Ty::Int, depth)),
            1 => format!("({} - {})", self.expr(Ty::Int, depth), self.expr(Ty::Int, depth)),
            2 => format!("({} % {})", self.expr(Ty::Int, depth), self.tape.one(&["2", "3", "7", "10"])),
            3 => format!("length({})", self.expr(Ty::Text, depth)),
            4 => format!("abs({} * {})", self.expr(Ty::Int, depth), self.tape.one(&["1", "2", "-3"])),
            5 => format!(
                "extract({} FROM {})::integer",
                self.tape.one(&["year", "month", "dow", "doy"]).to_owned(),
                self.expr(Ty::Date, depth)
            ),
            6 => format!("position({} IN {})", self.expr(Ty::Text, depth), self.expr(Ty::Text, depth)),
            7 => format!("cardinality({})", self.expr(Ty::Texts, depth)),
            8 => format!("({})[{}]", self.expr(Ty::Ints, depth), self.tape.one(&["1", "2", "4"])),
            9 => format!("({} & {})", self.expr(Ty::Int, depth), self.tape.one(&["1", "7", "15"])),
            10 => format!("({} - {})", self.expr(Ty::Date, depth), self.expr(Ty::Date, depth)),
            11 if self.dares() => format!("({} / {})", self.expr(Ty::Int, depth), self.expr(Ty::Int, depth)),
            12 if self.dares() => format!("({})::integer", self.expr(Ty::Text, depth)),
            13 => format!("ascii({})", self.expr(Ty::Text, depth)),
            _ => format!("({}::boolean)::integer", self.expr(Ty::Bool, depth)),
        }
    }

    fn big(&mut self, depth: usize) -> String {
        match self.tape.below(5) {
            0 => format!("({} + {})", self.expr(Ty::Big, depth), self.expr(Ty::Int, depth)),
            1 => format!("{}::bigint", self.expr(Ty::Int, depth)),
            2 => format!("({} % {})", self.expr(Ty::Big, depth), self.tape.one(&["5", "1000"])),
            3 if self.dares() => format!("({} / {})", self.expr(Ty::Big, depth), self.expr(Ty::Int, depth)),
            _ => format!("(-{})", self.expr(Ty::Big, depth)),
        }
    }

    fn num(&mut self, depth: usize) -> String {
        let text = match self.tape.below(8) {
            0 => format!("{} + {}", self.expr(Ty::Num, depth), self.expr(Ty::Num, depth)),
            1 => format!("{} * {}", self.expr(Ty::Num, depth), self.tape.one(&["2", "0.5", "-1"])),
            2 => format!("{}::numeric", self.expr(Ty::Int, depth)),
            3 => format!("{} / {}", self.expr(Ty::Num, depth), self.tape.one(&["2", "3", "7.5"])),
            4 => format!("abs({})", self.expr(Ty::Num, depth)),
            5 if self.dares() => format!("{} / {}", self.expr(Ty::Num, depth), self.expr(Ty::Int, depth)),
            6 if self.dares() => format!("sqrt({})", self.expr(Ty::Num, depth)),
            _ => format!("{}::numeric", self.expr(Ty::Big, depth)),
        };
        format!("round({text}, 2)")
    }

    fn float(&mut self, depth: usize) -> String {
        match self.tape.below(4) {
            0 => format!("({} * 2)", self.expr(Ty::Float, depth)),
            1 => format!("{}::double precision", self.expr(Ty::Int, depth)),
            2 => format!("{}::double precision", self.expr(Ty::Num, depth)),
            _ => format!("({} + {})", self.expr(Ty::Float, depth), self.expr(Ty::Float, depth)),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        match self.tape.below(24) {
            0 => format!("({} || {})", self.expr(Ty::Text, depth), self.expr(Ty::Text, depth)),
            1 => format!("upper({})", self.expr(Ty::Text, depth)),
            2 => format!("left({}, {})", self.expr(Ty::Text, depth), self.tape.one(&["1", "3", "-1"])),
            3 => {
                let ty = *self.tape.one(&Ty::ALL);
                format!("({})::text", self.expr(ty, depth))
            }
            4 => format!("substring({} FROM {} FOR 4)", self.expr(Ty::Text, depth), self.tape.one(&["1", "2", "5"])),
            5 => format!("replace({}, {}, 'z')", self.expr(Ty::Text, depth), self.literal(Ty::Text)),
            6 => format!("md5({})", self.expr(Ty::Text, depth)),
            7 => format!("({})[1]", self.expr(Ty::Texts, depth)),
            8 => format!("({} ->> 's')", self.expr(Ty::Json, depth)),
            9 => format!("to_char({}, {})", self.expr(Ty::Date, depth), self.tape.one(&["'YYYY-MM'", "'Day'", "'IW'"])),
            10 => format!("split_part({}, {}, 1)", self.expr(Ty::Text, depth), self.tape.one(&["'-'", "'@'", "' '"])),
            11 => format!("trim(BOTH 'a' FROM {})", self.expr(Ty::Text, depth)),
            12 => format!("concat_ws('/', {}, {})", self.expr(Ty::Text, depth), self.expr(Ty::Int, depth)),
            13 => format!("format('%s-%s', {}, {})", self.expr(Ty::Text, depth), self.expr(Ty::Num, depth)),
            14 => format!("overlay({} PLACING 'X' FROM 2 FOR 1)", self.expr(Ty::Text, depth)),
            15 => (*self.tape.one(&["current_user::text", "session_user::text", "current_role::text", "user::text"])).into(),
            16 => self.whole_row().map_or_else(|| quoted("no row"), |row| format!("{row}::text")),
            17 => format!("regexp_replace({}, '[aeiou]', '_', 'g')", self.expr(Ty::Text, depth)),
            18 => format!("array_to_string({}, ',', '*')", self.expr(Ty::Texts, depth)),
            19 => format!("{}::varchar(3)::text", self.expr(Ty::Text, depth)),
            20 => format!("CAST({} AS character(4))::text", self.expr(Ty::Text, depth)),
            21 => format!("({} #>> '{{l,1}}')", self.expr(Ty::Json, depth)),
            22 => format!("COALESCE({}::date::timestamp::text, {})", self.expr(Ty::Date, depth), self.expr(Ty::Text, depth)),
            _ => format!("lpad({}, 6, '.')", self.expr(Ty::Text, depth)),
        }
    }

    /// A reference to the whole row of a source.
    pub(super) fn whole_row(&mut self) -> Option<String> {
        let aliases: Vec<String> = self.scopes.last()?.iter().map(|s| s.alias.clone()).collect();
        if aliases.is_empty() { None } else { Some(self.tape.one(&aliases).clone()) }
    }

    fn comparable(&mut self) -> Ty {
        *self.tape.one(&[
            Ty::Int,
            Ty::Text,
            Ty::Date,
            Ty::Num,
            Ty::Big,
            Ty::Stamp,
            Ty::Float,
            Ty::Texts,
            Ty::Ints,
            Ty::Json,
            Ty::Bool,
        ])
    }

    pub(super) fn boolean(&mut self, depth: usize) -> String {
        let comparison = *self.tape.one(&["=", "<>", "<", ">", "<=", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
        let ty = self.comparable();
        match self.tape.below(27) {
            0 | 1 => format!("({} {comparison} {})", self.expr(ty, depth), self.expr(ty, depth)),
            2 => format!("({} AND {})", self.expr(Ty::Bool, depth), self.expr(Ty::Bool, depth)),
            3 => format!("({} OR {})", self.expr(Ty::Bool, depth), self.expr(Ty::Bool, depth)),
            4 => format!("(NOT {})", self.expr(Ty::Bool, depth)),
            5 => format!("({} IS {}NULL)", self.expr(ty, depth), self.tape.one(&["", "NOT "])),
            6 => format!("({} BETWEEN {} AND {})", self.expr(ty, depth), self.expr(ty, depth), self.expr(ty, depth)),
            7 => format!(
                "({} {}IN ({}, {}))",
                self.expr(ty, depth),
                self.tape.one(&["", "NOT "]).to_owned(),
                self.literal(ty),
                self.literal(ty)
            ),
            8 => {
                let pattern = *self.tape.one(&["'%a%'", "'E%'", "'_e%'", "'%-%'", "'***%'", "'%\\%%'"]);
                format!("({} {} {pattern})", self.expr(Ty::Text, depth), self.tape.one(&["LIKE", "ILIKE", "NOT LIKE", "~~"]))
            }
            9 => self.exists(depth),
            10 | 11 => self.membership(ty, depth),
            12 => format!("({} ~ {})", self.expr(Ty::Text, depth), self.tape.one(&["'^[A-E]'", "'[0-9]+'", "'(a|e).*n$'"])),
            13 => {
                let rows = ((self.expr(Ty::Int, depth), self.expr(ty, depth)), (self.expr(Ty::Int, depth), self.expr(ty, depth)));
                let row = self.tape.one(&["ROW", ""]).to_owned();
                format!("({row}({}, {}) {comparison} {row}({}, {}))", rows.0.0, rows.0.1, rows.1.0, rows.1.1)
            }
            14 => format!("({} @> {})", self.expr(Ty::Json, depth), self.literal(Ty::Json)),
            15 => format!("({} ? {})", self.expr(Ty::Json, depth), self.tape.one(&["'k'", "'s'", "'nosuch'"])),
            16 => format!(
                "({} {} {})",
                self.expr(Ty::Texts, depth),
                self.tape.one(&["@>", "<@", "&&"]).to_owned(),
                self.literal(Ty::Texts)
            ),
            17 => format!("({} = ANY ({}))", self.expr(Ty::Int, depth), self.expr(Ty::Ints, depth)),
            18 => format!("is_member({})", self.tape.one(&["'g1'", "'g2'", "'g3'"])),
            19 => self.whole_row().map_or_else(|| "true".into(), |row| format!("({row} IS {}NULL)", self.tape.one(&["NOT ", ""]))),
            21 | 22 => self.asks_json(depth),
            23 => {
                let subject = (self.expr(Ty::Int, depth), self.expr(Ty::Text, depth));
                let inner = self.sub_select(&[Ty::Int, Ty::Text], depth.saturating_sub(1));
                format!("(ROW({}, {}) {}IN ({inner}))", subject.0, subject.1, self.tape.one(&["", "NOT "]).to_owned())
            }
            24 => self.elsewise(depth),
            20 => format!("({} IS {})", self.expr(Ty::Bool, depth), self.tape.one(&["TRUE", "NOT TRUE", "UNKNOWN", "FALSE"])),
            _ => self.whole_row().map_or_else(
                || "true".into(),
                |row| format!("({row}::text LIKE {})", self.tape.one(&["'%1%'", "'%hidden%'", "'(2%'"])),
            ),
        }
    }

    /// Questions of several kinds.
    fn elsewise(&mut self, depth: usize) -> String {
        match self.tape.below(5) {
            0 => format!("({} SIMILAR TO {})", self.expr(Ty::Text, depth), self.tape.one(&["'[A-Z]%'", "'%(a|e)_'"])),
            1 => format!("({} < ALL ({}))", self.literal(Ty::Int), self.expr(Ty::Ints, depth)),
            2 => format!("({} ^@ {})", self.expr(Ty::Text, depth), self.literal(Ty::Text)),
            3 => format!(
                "(({}, interval '1 year') OVERLAPS ({}, interval '1 month'))",
                self.expr(Ty::Date, depth),
                self.expr(Ty::Date, depth)
            ),
            _ => format!("({} = ANY (string_to_array({}, '-')))", self.expr(Ty::Text, depth), self.expr(Ty::Text, depth)),
        }
    }

    fn exists(&mut self, depth: usize) -> String {
        let from = self.open_scope(if depth > 1 { 2 } else { 1 });
        let condition = self.boolean(depth.saturating_sub(1));
        self.scopes.pop();
        format!(
            "{}EXISTS (SELECT {}FROM {from} WHERE {condition})",
            self.tape.one(&["", "NOT "]).to_owned(),
            self.tape.one(&["", "1 ", "* "])
        )
    }

    fn membership(&mut self, ty: Ty, depth: usize) -> String {
        let ty = if ty == Ty::Json { Ty::Int } else { ty };
        let subject = self.expr(ty, depth.saturating_sub(1));
        let inner = self.sub_select(&[ty], depth.saturating_sub(1));
        match self.tape.below(4) {
            0 => format!("({subject} IN ({inner}))"),
            1 => format!("({subject} NOT IN ({inner}))"),
            2 => format!("({subject} {} ANY ({inner}))", self.tape.one(&["=", "<", ">="])),
            _ => format!("({subject} {} ALL ({inner}))", self.tape.one(&["<>", "<=", ">"])),
        }
    }

    fn date(&mut self, depth: usize) -> String {
        match self.tape.below(5) {
            0 => format!("({} + {})", self.expr(Ty::Date, depth), self.tape.one(&["1", "30", "-365"])),
            1 => format!(
                "date_trunc({}, {})::date",
                self.tape.one(&["'month'", "'year'", "'week'"]).to_owned(),
                self.expr(Ty::Date, depth)
            ),
            2 => format!("{}::date", self.expr(Ty::Stamp, depth)),
            3 if self.dares() => format!("({})::date", self.expr(Ty::Text, depth)),
            _ => format!("({} + interval '1 month')::date", self.expr(Ty::Date, depth)),
        }
    }

    fn stamp(&mut self, depth: usize) -> String {
        match self.tape.below(3) {
            0 => format!(
                "({} + interval {})",
                self.expr(Ty::Stamp, depth),
                self.tape.one(&["'1 day'", "'-3 hours'", "'1 year 2 mons'"])
            ),
            1 => format!("date_trunc('hour', {})", self.expr(Ty::Stamp, depth)),
            _ => format!("{}::timestamp", self.expr(Ty::Date, depth)),
        }
    }

    fn texts(&mut self, depth: usize) -> String {
        match self.tape.below(6) {
            0 => format!("ARRAY[{}, {}]", self.expr(Ty::Text, depth), self.expr(Ty::Text, depth)),
            1 => format!("({} || {})", self.expr(Ty::Texts, depth), self.expr(Ty::Texts, depth)),
            2 => format!("string_to_array({}, {})", self.expr(Ty::Text, depth), self.tape.one(&["'-'", "'e'", "NULL"])),
            3 => format!("array_remove({}, {})", self.expr(Ty::Texts, depth), self.expr(Ty::Text, depth)),
            4 => {
                let inner = self.sub_select(&[Ty::Text], depth.saturating_sub(1));
                format!("ARRAY(SELECT x.v FROM ({inner}) AS x(v) ORDER BY x.v)")
            }
            _ => format!("({})[1:2]", self.expr(Ty::Texts, depth)),
        }
    }

    fn ints(&mut self, depth: usize) -> String {
        match self.tape.below(4) {
            0 => format!("ARRAY[{}, {}]", self.expr(Ty::Int, depth), self.expr(Ty::Int, depth)),
            1 => format!("array_append({}, {})", self.expr(Ty::Ints, depth), self.expr(Ty::Int, depth)),
            2 => {
                let inner = self.sub_select(&[Ty::Int], depth.saturating_sub(1));
                format!("ARRAY(SELECT x.v FROM ({inner}) AS x(v) ORDER BY x.v)")
            }
            _ => format!("({})[2:]", self.expr(Ty::Ints, depth)),
        }
    }
}
