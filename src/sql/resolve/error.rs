//! Why a statement could not be resolved.

use std::sync::Arc;

/// Why a statement could not be resolved. Positions are byte offsets into the client's statement, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A relation that does not exist.
    #[error("relation \"{name}\" does not exist")]
    UndefinedRelation {
        /// As written.
        name: String,
        /// Where, in bytes from 0.
        position: Option<usize>,
    },
    /// A relation that does not exist where a WITH item has that name, further on.
    #[error("relation \"{name}\" does not exist")]
    LaterItem {
        /// As written.
        name: String,
        /// Where, in bytes from 0.
        position: Option<usize>,
    },
    /// A schema that does not exist.
    #[error("schema \"{name}\" does not exist")]
    UndefinedSchema {
        /// As written.
        name: String,
        /// Where.
        position: Option<usize>,
    },
    /// CREATE SCHEMA with something for another schema.
    #[error("CREATE specifies a schema ({given}) different from the one being created ({made})")]
    ElsewhereThan {
        /// The other schema.
        given: String,
        /// The new one.
        made: String,
    },
    /// No schema of the search path exists in which something could be made.
    #[error("no schema has been selected to create in")]
    NoSchema,
    /// A function that does not exist.
    #[error("function {name} does not exist")]
    UndefinedFunction {
        /// As written.
        name: String,
        /// Where.
        position: Option<usize>,
    },
    /// A column that does not exist.
    #[error("column \"{column}\" of relation \"{relation}\" does not exist")]
    UndefinedColumn {
        /// The column.
        column: String,
        /// The relation.
        relation: String,
        /// Where.
        position: Option<usize>,
    },
    /// A constraint that does not exist.
    #[error("constraint \"{constraint}\" for table \"{relation}\" does not exist")]
    UndefinedConstraint {
        /// The constraint.
        constraint: String,
        /// The table.
        relation: String,
    },
    /// A column of the governed table that a column in a sub-select hides.
    #[error("column \"{column}\" means another column inside the sub-select")]
    HiddenColumn {
        /// The column.
        column: String,
        /// Where.
        position: Option<usize>,
    },
    /// A governed relation in a row filter or mask.
    #[error("row filters and masks cannot read \"{relation}\", which is itself under a row filter or mask")]
    GovernedInPolicy {
        /// The relation.
        relation: String,
        /// Where.
        position: Option<usize>,
    },
    /// A name that starts with another database's name.
    #[error("cross-database references are not implemented: {name}")]
    CrossDatabase {
        /// As written.
        name: String,
        /// Where.
        position: Option<usize>,
    },
    /// A relation that cannot be read as a table.
    #[error("cannot open relation \"{name}\"")]
    NotATable {
        /// Its name.
        name: String,
        /// What it is, in the plural.
        kind: &'static str,
        /// Where.
        position: Option<usize>,
    },
    /// Something that we do not support for anybody, or not here.
    #[error("{what} is not supported")]
    Unsupported {
        /// What, as the subject of the sentence.
        what: String,
        /// Why.
        detail: Option<String>,
        /// What to do instead.
        hint: Option<String>,
        /// Where.
        position: Option<usize>,
    },
    /// Something that PostgreSQL does not take either, in its words.
    #[error("{message}")]
    Refused {
        /// The message.
        message: String,
        /// What kind of mistake.
        mistake: Mistake,
        /// Where.
        position: Option<usize>,
    },
    /// A statement that is open to administrators only.
    #[error("must be administrator to run {statement}")]
    AdministratorsOnly {
        /// The statement, as its command tag.
        statement: &'static str,
        /// Why, a full sentence.
        reason: &'static str,
    },
    /// A type or other object that does not exist.
    #[error("{noun} \"{name}\" does not exist")]
    UndefinedObject {
        /// What it would be.
        noun: &'static str,
        /// As written.
        name: String,
        /// Where.
        position: Option<usize>,
    },
    /// A schema that nobody may name.
    #[error("permission denied for schema {name}")]
    ProtectedSchema {
        /// Its name.
        name: String,
        /// Where.
        position: Option<usize>,
    },
    /// A catalog relation that is not shown.
    #[error("permission denied for {noun} {name}")]
    ProtectedRelation {
        /// Its name.
        name: String,
        /// Its kind.
        noun: &'static str,
        /// Why, a full sentence.
        reason: &'static str,
        /// Where.
        position: Option<usize>,
    },
    /// A function that is refused.
    #[error("permission denied for function {name}")]
    ProtectedFunction {
        /// Its name.
        name: String,
        /// Why, a full sentence.
        reason: String,
        /// Where.
        position: Option<usize>,
    },
    /// A parameter that may not be set or shown.
    #[error("permission denied to set parameter \"{name}\"")]
    ProtectedParameter {
        /// Its name.
        name: String,
        /// Why, a full sentence.
        reason: &'static str,
    },
    /// SET ROLE and its like.
    #[error("permission denied to {what}")]
    ProtectedCommand {
        /// What, as in "set role".
        what: &'static str,
        /// Why, a full sentence.
        reason: &'static str,
    },
    /// A value that a parameter may not take here.
    #[error("invalid value for parameter \"{name}\": \"{value}\"")]
    ParameterValue {
        /// The parameter.
        name: String,
        /// The value.
        value: String,
        /// Why, a full sentence.
        reason: &'static str,
    },
    /// A relation whose governance is broken; the reason is there for administrators only.
    #[error("cannot access {noun} \"{name}\" safely")]
    Broken {
        /// Its name.
        name: String,
        /// Its kind.
        noun: &'static str,
        /// Why, for administrators.
        reason: Option<Arc<str>>,
    },
    /// A prepared statement that does not exist.
    #[error("prepared statement \"{name}\" does not exist")]
    UndefinedStatement {
        /// Its name.
        name: String,
    },
    /// A cursor that does not exist.
    #[error("cursor \"{name}\" does not exist")]
    UndefinedCursor {
        /// Its name.
        name: String,
    },
    /// A tree that the grammar does not make, or a text that does not hold what its tree says: refused.
    #[error("unexpected {what} in the statement")]
    Unexpected {
        /// What.
        what: &'static str,
    },
}

/// What kind of mistake PostgreSQL takes something for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It stands where it may not.
    Syntax,
    /// It is not supported there.
    Feature,
    /// There is no such thing.
    Missing,
}

impl ResolveError {
    pub(in crate::sql) fn misplaced(what: &'static str) -> Self {
        Self::Unexpected { what }
    }

    /// The same of a statement whose names PostgreSQL looks up without a place to point to (COPY).
    pub(in crate::sql) fn nowhere(mut self) -> Self {
        if let Self::UndefinedRelation { position, .. } | Self::UndefinedColumn { position, .. } = &mut self {
            *position = None;
        }
        self
    }

    pub(in crate::sql) fn unsupported(what: impl Into<String>, position: Option<usize>) -> Self {
        Self::Unsupported { what: what.into(), detail: None, hint: None, position }
    }

    pub(in crate::sql) fn because(mut self, text: impl Into<String>) -> Self {
        if let Self::Unsupported { detail, .. } = &mut self {
            *detail = Some(text.into());
        }
        self
    }

    pub(in crate::sql) fn instead(mut self, text: impl Into<String>) -> Self {
        if let Self::Unsupported { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// The same where WITH items of these names come later.
    pub(in crate::sql) fn before(self, items: &[String]) -> Self {
        match self {
            Self::UndefinedRelation { name, position } if items.contains(&name) => Self::LaterItem { name, position },
            other => other,
        }
    }

    /// Something that is not there, by what it would be.
    pub(in crate::sql) fn missing(noun: &'static str, name: &str) -> Self {
        let name = name.to_owned();
        match noun {
            "relation" => Self::UndefinedRelation { name, position: None },
            "schema" => Self::UndefinedSchema { name, position: None },
            "function" => Self::UndefinedFunction { name, position: None },
            noun => Self::UndefinedObject { noun, name, position: None },
        }
    }

    /// The same, with a place when it has none.
    pub(in crate::sql) fn at(mut self, place: Option<usize>) -> Self {
        if let Self::UndefinedRelation { position, .. }
        | Self::UndefinedSchema { position, .. }
        | Self::UndefinedObject { position, .. } = &mut self
        {
            *position = position.or(place);
        }
        self
    }

    /// Where in the client's statement, in bytes from 0.
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::UndefinedRelation { position, .. }
            | Self::LaterItem { position, .. }
            | Self::UndefinedSchema { position, .. }
            | Self::UndefinedFunction { position, .. }
            | Self::UndefinedObject { position, .. }
            | Self::UndefinedColumn { position, .. }
            | Self::HiddenColumn { position, .. }
            | Self::GovernedInPolicy { position, .. }
            | Self::CrossDatabase { position, .. }
            | Self::NotATable { position, .. }
            | Self::Unsupported { position, .. }
            | Self::Refused { position, .. }
            | Self::ProtectedSchema { position, .. }
            | Self::ProtectedRelation { position, .. }
            | Self::ProtectedFunction { position, .. } => *position,
            Self::ElsewhereThan { .. }
            | Self::NoSchema
            | Self::UndefinedConstraint { .. }
            | Self::AdministratorsOnly { .. }
            | Self::ProtectedParameter { .. }
            | Self::ProtectedCommand { .. }
            | Self::ParameterValue { .. }
            | Self::Broken { .. }
            | Self::UndefinedStatement { .. }
            | Self::UndefinedCursor { .. }
            | Self::Unexpected { .. } => None,
        }
    }
}
