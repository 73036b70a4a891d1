//! The walk: what it knows, what it collects, and how it goes through expressions.
//!
//! Every node kind is named here or in [`super::children`]: it is handled, walked through, or refused.

use std::cell::OnceCell;
use std::ops::Range;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Node, SqlValueFunction};

use super::ResolveError;
use super::asked::Onlooker;
use super::children::{Part, children};
use super::requirements::Requirements;
use super::scope::Scopes;
use super::spans::Tokens;
use crate::catalog::{Footing, SearchPath};
use crate::name::QualifiedName;
use crate::policy::{Holder, Oid};
use crate::sql::rewrite::splice::Edits;
use crate::sql::{Executor, Remembered, SessionObjects, Touched};

/// What the walk is for, which decides where reads go.
#[derive(Clone, Copy)]
pub(in crate::sql) enum Purpose<'a> {
    /// A client's statement, run with the rights of the session's login.
    Statement,
    /// A query inside an administrator's statement, run upstream with owner's rights: row security would not hold.
    Owner,
    /// A definition kept upstream and run with rights under which row security holds.
    Definition,
    /// The definition of a view made upstream, for its governed twin: nothing is required of anybody.
    ViewTwin(&'a dyn Fn(Oid) -> Option<QualifiedName>),
    /// The expression of a row filter or mask: nothing is required of its reader, and nothing governed may be read.
    Policy,
}

/// What a statement is analysed with.
#[derive(Clone, Copy)]
pub(in crate::sql) struct Ground<'a> {
    /// Catalog and policies.
    pub(in crate::sql) footing: &'a Footing,
    /// The session's search path.
    pub(in crate::sql) path: &'a SearchPath,
    /// An administrator's session: utility statements are open, and reasons are told.
    pub(in crate::sql) admin: bool,
    /// What may be asked about the principal; nothing for a definition of ours.
    pub(in crate::sql) onlooker: Option<&'a Onlooker<'a>>,
    /// The session's prepared statements and cursors.
    pub(in crate::sql) objects: &'a dyn SessionObjects,
}

/// Of a definition: there are no prepared statements and cursors.
pub(in crate::sql) struct NoObjects;

impl SessionObjects for NoObjects {
    fn prepared(&self, _name: &str) -> Option<Remembered> {
        None
    }

    fn cursor(&self, _name: &str) -> Option<Remembered> {
        None
    }
}

/// One statement being analysed.
pub(in crate::sql) struct Walk<'a> {
    pub(super) ground: Ground<'a>,
    pub(super) purpose: Purpose<'a>,
    pub(super) text: &'a str,
    tokens: OnceCell<Tokens<'a>>,
    pub(super) scopes: Scopes,
    pub(super) requirements: Requirements,
    pub(super) touched: Touched,
    pub(super) edits: Edits,
    /// Texts that go with the statement, each with the tree that it must have.
    pub(super) companions: Vec<(std::sync::Arc<str>, Node)>,
    /// Every relation read, in order: what FOR UPDATE looks back at.
    pub(super) log: Vec<Oid>,
    /// Every governed relation met: (oid, name).
    pub(super) governed: Vec<Oid>,
    /// Functions outside pg_catalog that are called.
    pub(super) functions: Vec<Oid>,
    /// Write targets whose columns are read if a column is named: (alias, read).
    pub(super) targets: Vec<(String, bool)>,
    /// References to columns in the grouped queries that are being walked, innermost last.
    pub(super) grouped: Vec<Vec<(Vec<String>, bool)>>,
    /// Identity calls stay bare calls (defaults and checks cannot hold sub-selects).
    pub(super) bare_identity: bool,
    /// SELECT INTO is open for the query at the top.
    pub(super) into_open: bool,
    /// What is made, changed or dropped is temporary.
    pub(super) temporary: bool,
    /// What is made, changed or dropped is not.
    pub(super) defining: bool,
    /// What the statement is to the catalogs.
    pub(super) outlook: super::catalogs::Outlook,
    /// Functions outside pg_catalog are refused: they would run with owner's rights.
    pub(super) builtins_only: bool,
    /// The table that the statement makes.
    pub(super) making: Option<QualifiedName>,
    /// Who runs a definition when the session is no administrator's.
    pub(super) by: Executor,
    /// Something in it writes, tells others, or asks to be let write, without a requirement that says so.
    pub(super) active: bool,
    /// Where calls of `set_config` stand whose arguments have been checked.
    pub(super) set_configs: Vec<i32>,
    /// The name that is replaced may take an alias (COPY and utility statements take none).
    pub(super) aliases: bool,
    /// The table whose filter or mask is analysed.
    pub(super) policy_table: Option<Oid>,
    /// Columns of that table that relations in sub-selects would hide: theirs are given other names.
    pub(in crate::sql) hidden: Vec<String>,
}

impl<'a> Walk<'a> {
    pub(in crate::sql) fn new(ground: Ground<'a>, purpose: Purpose<'a>, text: &'a str) -> Self {
        Self {
            ground,
            purpose,
            text,
            tokens: OnceCell::new(),
            scopes: Scopes::default(),
            requirements: Requirements::default(),
            touched: Touched::default(),
            edits: Edits::new(),
            companions: Vec::new(),
            log: Vec::new(),
            governed: Vec::new(),
            functions: Vec::new(),
            targets: Vec::new(),
            grouped: Vec::new(),
            bare_identity: false,
            into_open: false,
            temporary: false,
            defining: false,
            outlook: super::catalogs::Outlook::default(),
            builtins_only: false,
            making: None,
            by: Executor::Ddl,
            active: false,
            set_configs: Vec::new(),
            policy_table: None,
            hidden: Vec::new(),
            aliases: true,
        }
    }

    /// The edits made so far, handed over.
    pub(in crate::sql) fn take_edits(&mut self) -> Edits {
        std::mem::take(&mut self.edits)
    }

    /// The relations that were read, each once.
    pub(in crate::sql) fn read(&self) -> Vec<Oid> {
        let mut seen = std::collections::HashSet::new();
        self.log.iter().copied().filter(|oid| seen.insert(*oid)).collect()
    }

    /// The functions outside pg_catalog that are called.
    pub(in crate::sql) fn called_functions(&self) -> Vec<Oid> {
        self.functions.clone()
    }

    pub(super) fn tokens(&self) -> &Tokens<'a> {
        self.tokens.get_or_init(|| Tokens::new(self.text))
    }

    /// Replaces a range of the text.
    pub(super) fn edit(&mut self, range: Range<usize>, by: impl Into<String>) {
        self.edits.replace(range, by);
    }

    /// Inserts at a byte of the text.
    pub(super) fn insert_text(&mut self, at: usize, text: impl Into<String>) {
        self.edits.insert(at, text);
    }

    /// The holder of what the statement itself needs.
    pub(super) fn holder(&self) -> Holder {
        Holder::Session
    }

    /// Whether privileges are asked for at all.
    pub(super) fn requires(&self) -> bool {
        match self.purpose {
            Purpose::Statement | Purpose::Owner | Purpose::Definition => true,
            Purpose::ViewTwin(_) | Purpose::Policy => false,
        }
    }

    /// Walks an optional expression.
    pub(super) fn optional(&mut self, node: &mut Option<Box<Node>>) -> Result<(), ResolveError> {
        node.as_deref_mut().map_or(Ok(()), |inner| self.expression(inner))
    }

    /// Walks expressions in order.
    pub(super) fn expressions(&mut self, nodes: &mut [Node]) -> Result<(), ResolveError> {
        nodes.iter_mut().try_for_each(|node| self.expression(node))
    }

    /// Walks whatever a node without a rule of its own holds.
    pub(super) fn parts(&mut self, kind: &mut Kind) -> Result<(), ResolveError> {
        children(kind, &mut |part| self.part(part))
    }

    /// Walks one part of a node.
    pub(super) fn part(&mut self, part: Part) -> Result<(), ResolveError> {
        match part {
            Part::Node(node) => self.expression(node),
            Part::Type(name) => self.type_name(name),
            Part::Relation(_) => Err(ResolveError::misplaced("relation")),
        }
    }

    /// Walks an expression, or a part of one.
    pub(in crate::sql) fn expression(&mut self, node: &mut Node) -> Result<(), ResolveError> {
        let Some(kind) = node.node.as_mut() else { return Ok(()) };
        if let Kind::SqlvalueFunction(call) = kind {
            let call: SqlValueFunction = (**call).clone();
            return self.value_function(&call, node);
        }
        if let Kind::FuncCall(call) = kind {
            let hoist = self.call(call)?;
            return hoist.map_or(Ok(()), |hoist| self.hoist_membership(hoist, node));
        }
        if let Kind::ColumnRef(column) = kind
            && let Some(value) = self.proposed(column)?
        {
            *node = value;
            return Ok(());
        }
        self.plain_expression(kind)
    }

    fn plain_expression(&mut self, kind: &mut Kind) -> Result<(), ResolveError> {
        self.keyword_call(kind)?;
        match kind {
            Kind::ColumnRef(column) if self.policy_table.is_some() => self.policy_column(column),
            Kind::ColumnRef(column) => self.column_reference(column),
            Kind::ParamRef(parameter) if self.policy_table.is_some() => {
                Err(ResolveError::unsupported("a parameter in a row filter or mask", super::names::offset(parameter.location)))
            }
            Kind::AIndirection(inner) => self.indirection(inner),
            Kind::AExpr(inner) => self.operation(inner),
            Kind::SubLink(inner) => self.sub_link(inner),
            Kind::TypeCast(inner) => self.cast(inner),
            Kind::SortBy(inner) => self.sort_by(inner),
            Kind::CaseExpr(inner) => {
                if inner.arg.is_some() {
                    self.operator(&["="])?;
                }
                self.parts(kind)
            }
            Kind::SelectStmt(inner) => self.select(inner).map(|_| ()),
            Kind::JsonArrayQueryConstructor(inner) => {
                if let Some(name) = inner.output.as_mut().and_then(|output| output.type_name.as_mut()) {
                    self.type_name(name)?;
                }
                match inner.query.as_deref_mut() {
                    Some(query) => self.query(query).map(|_| ()),
                    None => Ok(()),
                }
            }
            Kind::CurrentOfExpr(_) => Ok(()),
            Kind::CollateClause(inner) => {
                self.object_name(&inner.collname, inner.location)?;
                self.parts(kind)
            }
            Kind::RangeVar(_)
            | Kind::JoinExpr(_)
            | Kind::RangeSubselect(_)
            | Kind::RangeFunction(_)
            | Kind::RangeTableFunc(_)
            | Kind::RangeTableSample(_)
            | Kind::JsonTable(_) => Err(ResolveError::misplaced("FROM item")),
            Kind::InsertStmt(_) | Kind::DeleteStmt(_) | Kind::UpdateStmt(_) | Kind::MergeStmt(_) => {
                Err(ResolveError::misplaced("data-modifying statement"))
            }
            // SQL/JSON and XMLSERIALIZE may reach the type that they name by a cast.
            Kind::JsonOutput(_) | Kind::JsonTableColumn(_) | Kind::XmlSerialize(_) => children(kind, &mut |part| match part {
                Part::Type(name) => self.conversion(name),
                Part::Node(_) | Part::Relation(_) => self.part(part),
            }),
            kind => self.parts(kind),
        }
    }
}
