//! What names mean where: CTEs, FROM items and write targets, innermost scope last.

use std::sync::Arc;

use pg_query::protobuf::Node;

use crate::catalog::GovernedTable;
use crate::name::QualifiedName;
use crate::policy::Oid;

/// A common table expression.
#[derive(Clone, Debug)]
pub(super) struct Cte {
    pub(super) name: String,
    /// Its columns, where they are known.
    pub(super) columns: Option<Vec<String>>,
}

/// What stands behind a visible name.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The name by which the statement calls it; empty when it has none.
    pub(super) alias: String,
    /// Every column it has, where known (system columns left out).
    pub(super) columns: Option<Vec<String>>,
    /// The relation, when it is one and carries no alias of the client's: what `schema.name.column` can refer to.
    pub(super) bare: Option<Bare>,
    /// Set when it is a write twin (or `excluded` over one): its masked columns.
    pub(super) twin: Option<Twin>,
    /// A view stands for the table, without its system columns.
    pub(super) viewed: bool,
    /// The relations read in it: a range of the walk's log.
    pub(super) read: std::ops::Range<usize>,
    /// The governed table for which a view stands in the text: the view has no primary key of its own.
    pub(super) stands_for: Option<Oid>,
    /// The catalog relation that it shows under its own columns' names.
    pub(super) catalog: Option<String>,
    /// In a policy's expression: the columns that would hide the governed table's have been given other names.
    pub(super) renamed: bool,
}

/// A relation in FROM without an alias of the client's.
#[derive(Clone, Debug)]
pub(super) struct Bare {
    /// The relation.
    pub(super) oid: Oid,
    /// What stands in the text now.
    pub(super) now: QualifiedName,
    /// We gave it the alias that it would have had.
    pub(super) aliased: bool,
}

/// A write twin in scope.
#[derive(Clone, Debug)]
pub(super) struct Twin {
    /// Its masked columns.
    pub(super) masked: Vec<String>,
    /// What it is there for.
    pub(super) role: TwinRole,
}

/// What a write twin is in scope for.
#[derive(Clone, Debug)]
pub(super) enum TwinRole {
    /// It is written to.
    Written,
    /// It is read, because it has the table's system columns.
    Read,
    /// It is `excluded` over one: the constants and parameters that the statement itself proposes, by column.
    Excluded(Vec<Proposed>),
}

/// What an INSERT proposes for a column.
#[derive(Clone, Debug)]
pub(super) struct Proposed {
    /// The column.
    pub(super) column: String,
    /// Its type as SQL.
    pub(super) type_sql: Arc<str>,
    /// A constant or parameter.
    pub(super) value: Node,
}

impl Twin {
    fn of(table: &GovernedTable, role: TwinRole) -> Self {
        Self { masked: table.masked.iter().map(|m| m.as_str().to_owned()).collect(), role }
    }

    /// The target of a write.
    pub(super) fn written(table: &GovernedTable) -> Self {
        Self::of(table, TwinRole::Written)
    }

    /// A table of which system columns are read.
    pub(super) fn read(table: &GovernedTable) -> Self {
        Self::of(table, TwinRole::Read)
    }

    /// `excluded`.
    pub(super) fn excluded(table: &GovernedTable, given: Vec<Proposed>) -> Self {
        Self::of(table, TwinRole::Excluded(given))
    }
}

impl Item {
    /// An item of which only the alias and columns are known.
    pub(super) fn plain(alias: impl Into<String>, columns: Option<Vec<String>>, read: std::ops::Range<usize>) -> Self {
        Self {
            alias: alias.into(),
            columns,
            bare: None,
            twin: None,
            viewed: false,
            read,
            stands_for: None,
            catalog: None,
            renamed: false,
        }
    }
}

/// One level of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) ctes: Vec<Cte>,
    pub(super) items: Vec<Item>,
}

/// Every level of names, innermost last.
#[derive(Debug, Default)]
pub(super) struct Scopes(Vec<Scope>);

impl Scopes {
    pub(super) fn push(&mut self) {
        self.0.push(Scope::default());
    }

    pub(super) fn pop(&mut self) -> Scope {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn top(&mut self) -> &mut Scope {
        if self.0.is_empty() {
            self.0.push(Scope::default());
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// The CTE that an unqualified name in FROM means, if it means one.
    pub(super) fn cte(&self, name: &str) -> Option<&Cte> {
        self.0.iter().rev().find_map(|scope| scope.ctes.iter().rev().find(|cte| cte.name == name))
    }

    /// Every visible item with this alias, innermost first.
    pub(super) fn items<'a>(&'a self, alias: &'a str) -> impl Iterator<Item = &'a Item> + 'a {
        self.all().filter(move |item| item.alias == alias)
    }

    /// Every visible item, innermost first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Item> {
        self.0.iter().rev().flat_map(|scope| scope.items.iter())
    }

    /// Whether every item that the alias may mean certainly has the column.
    pub(super) fn proves_column(&self, alias: &str, column: &str) -> bool {
        let mut items = self.items(alias).peekable();
        items.peek().is_some() && items.all(|item| item.columns.as_ref().is_some_and(|all| all.iter().any(|c| c == column)))
    }

    /// How many levels there are.
    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Every visible item but those of the outermost level, innermost first.
    pub(super) fn inner_items(&self) -> impl Iterator<Item = &Item> {
        self.0.iter().skip(1).rev().flat_map(|scope| scope.items.iter())
    }

    /// The write twin that a name may mean.
    pub(super) fn twin<'a>(&'a self, alias: &'a str) -> Option<(&'a Item, &'a Twin)> {
        self.items(alias).find_map(|item| item.twin.as_ref().map(|twin| (item, twin)))
    }

    /// Whether a write twin is in scope.
    pub(super) fn in_twin(&self) -> bool {
        self.all().any(|item| item.twin.is_some())
    }
}
