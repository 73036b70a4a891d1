//! Dotted names, operators, types and casts.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{AExpr, AExprKind, AIndirection, Node, SortBy, SubLink, SubLinkType, TypeCast, TypeName};

use super::ResolveError;
use super::leaves::is_identity;
use super::walk::Walk;
use crate::name::Name;
use crate::policy::{Oid, Privilege, Securable};

/// The strings of a dotted name.
pub(in crate::sql) fn strings(nodes: &[Node]) -> Result<Vec<String>, ResolveError> {
    nodes.iter().map(|node| string(node).map(str::to_owned).ok_or(ResolveError::misplaced("name"))).collect()
}

/// The text of a String node.
pub(in crate::sql) fn string(node: &Node) -> Option<&str> {
    match node.node.as_ref() {
        Some(Kind::String(inner)) => Some(&inner.sval),
        _ => None,
    }
}

/// A String node.
pub(in crate::sql) fn string_node(text: &str) -> Node {
    Node { node: Some(Kind::String(pg_query::protobuf::String { sval: text.to_owned() })) }
}

/// A location of the tree as a byte offset.
pub(in crate::sql) fn offset(location: i32) -> Option<usize> {
    usize::try_from(location).ok()
}

/// Whether a schema is ours by its name, or one that no statement may name.
pub(in crate::sql) fn is_ours(schema: &str) -> bool {
    schema == "pgusher" || schema.starts_with("pgusher_")
}

/// Whether a schema belongs to a session's temporary or to TOAST tables: nobody may name it.
pub(in crate::sql) fn is_hidden(schema: &str) -> bool {
    schema == "pg_toast" || schema.starts_with("pg_toast_") || schema.starts_with("pg_temp_")
}

impl Walk<'_> {
    /// Splits `db.schema.name`, `schema.name` or `name`; checks the database and that the schema may be named.
    pub(super) fn object_name(&mut self, nodes: &[Node], location: i32) -> Result<(Option<String>, String), ResolveError> {
        let mut names = strings(nodes)?;
        let position = offset(location);
        let name = names.pop().ok_or(ResolveError::misplaced("empty name"))?;
        let schema = names.pop();
        match (names.pop(), &schema) {
            (Some(database), Some(schema)) if database != *self.ground.footing.catalog.database => {
                return Err(ResolveError::CrossDatabase { name: format!("{database}.{schema}.{name}"), position });
            }
            _ if !names.is_empty() => return Err(ResolveError::misplaced("name of more than three parts")),
            _ => {}
        }
        if let Some(schema) = &schema {
            self.may_name(schema, position)?;
        }
        Ok((schema, name))
    }

    /// Refuses the schemas that no statement may name.
    pub(super) fn may_name(&self, schema: &str, position: Option<usize>) -> Result<(), ResolveError> {
        if is_ours(schema) || is_hidden(schema) {
            return Err(ResolveError::ProtectedSchema { name: schema.to_owned(), position });
        }
        Ok(())
    }

    /// Whether an object in this schema is found under its bare name, or under the schema it was qualified with.
    pub(super) fn is_found(&self, schema: Oid, given: Option<&str>) -> bool {
        let Some(schema) = self.ground.footing.catalog.schema(schema) else { return false };
        match given {
            Some(given) => schema.name.as_str() == given,
            None => self.ground.path.lookup().any(|name| name == schema.name.as_str()),
        }
    }

    /// An operator: those of pg_catalog are free, others need EXECUTE on their function.
    pub(super) fn operator(&mut self, names: &[&str]) -> Result<(), ResolveError> {
        let (schema, name) = match names {
            [name] => (None, *name),
            [schema, name] => (Some(*schema), *name),
            [database, schema, name] if *database == &*self.ground.footing.catalog.database => (Some(*schema), *name),
            _ => return Err(ResolveError::misplaced("operator name")),
        };
        if let Some(schema) = schema {
            self.may_name(schema, None)?;
        }
        let catalog = &self.ground.footing.catalog;
        let functions: Vec<Oid> =
            catalog.operators_named(name).iter().filter(|op| self.is_found(op.schema, schema)).map(|op| op.function).collect();
        functions.into_iter().try_for_each(|function| self.need_support_function(function))
    }

    fn operator_nodes(&mut self, nodes: &[Node]) -> Result<(), ResolveError> {
        let names = strings(nodes)?;
        self.operator(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(super) fn operation(&mut self, node: &mut AExpr) -> Result<(), ResolveError> {
        let AExpr { kind, name, lexpr, rexpr, rexpr_list_start: _, rexpr_list_end: _, location: _ } = node;
        match AExprKind::try_from(*kind) {
            Ok(AExprKind::AexprBetween | AExprKind::AexprBetweenSym) => {
                self.operator(&[">="])?;
                self.operator(&["<="])?;
            }
            Ok(AExprKind::AexprNotBetween | AExprKind::AexprNotBetweenSym) => {
                self.operator(&["<"])?;
                self.operator(&[">"])?;
            }
            Ok(
                AExprKind::AexprOp
                | AExprKind::AexprOpAny
                | AExprKind::AexprOpAll
                | AExprKind::AexprDistinct
                | AExprKind::AexprNotDistinct
                | AExprKind::AexprNullif
                | AExprKind::AexprIn
                | AExprKind::AexprLike
                | AExprKind::AexprIlike
                | AExprKind::AexprSimilar,
            ) => self.operator_nodes(name)?,
            Ok(AExprKind::Undefined) | Err(_) => return Err(ResolveError::misplaced("operator kind")),
        }
        self.optional(lexpr)?;
        self.optional(rexpr)
    }

    pub(super) fn sub_link(&mut self, node: &mut SubLink) -> Result<(), ResolveError> {
        let SubLink { xpr: _, sub_link_type, sub_link_id: _, testexpr, oper_name, subselect, location: _ } = node;
        if !oper_name.is_empty() {
            self.operator_nodes(oper_name)?;
        } else if SubLinkType::try_from(*sub_link_type) == Ok(SubLinkType::AnySublink) {
            self.operator(&["="])?;
        }
        self.optional(testexpr)?;
        let query = subselect.as_deref_mut().ok_or(ResolveError::misplaced("sub-select"))?;
        // What is asked once already stays as it is.
        let hoisted = matches!(query.node.as_ref(), Some(Kind::SelectStmt(select)) if is_identity(select));
        let bare = self.bare_identity;
        self.bare_identity |= hoisted;
        let done = self.query(query).map(|_| ());
        self.bare_identity = bare;
        done
    }

    pub(super) fn sort_by(&mut self, node: &mut SortBy) -> Result<(), ResolveError> {
        let SortBy { node, sortby_dir: _, sortby_nulls: _, use_op, location: _ } = node;
        if !use_op.is_empty() {
            self.operator_nodes(use_op)?;
        }
        self.optional(node)
    }

    pub(super) fn cast(&mut self, node: &mut TypeCast) -> Result<(), ResolveError> {
        self.optional(&mut node.arg)?;
        if self.naming_cast(node)? {
            return Ok(());
        }
        let Some(target) = node.type_name.as_mut() else { return Err(ResolveError::misplaced("cast")) };
        self.cast_target(target)
    }

    /// A type that a value is made to be: every function that a cast to a type of that name calls.
    pub(super) fn conversion(&mut self, target: &mut TypeName) -> Result<(), ResolveError> {
        self.refuse_naming_type(target)?;
        self.cast_target(target)
    }

    fn cast_target(&mut self, target: &mut TypeName) -> Result<(), ResolveError> {
        self.any_type_name(target)?;
        let Some(last) = target.names.last().and_then(string) else { return Ok(()) };
        let functions = self.ground.footing.catalog.cast_functions(last).to_vec();
        functions.into_iter().try_for_each(|function| self.need_support_function(function))
    }

    pub(super) fn type_name(&mut self, name: &mut TypeName) -> Result<(), ResolveError> {
        self.refuse_naming_type(name)?;
        self.any_type_name(name)
    }

    fn any_type_name(&mut self, name: &mut TypeName) -> Result<(), ResolveError> {
        let TypeName { names, type_oid: _, setof: _, pct_type, typmods, typemod: _, array_bounds, location } = name;
        if *pct_type {
            // schema.table.column%TYPE: the column is one part more.
            let parts = strings(names)?;
            parts.iter().try_for_each(|part| self.may_name(part, offset(*location)))?;
            if let [.., schema, table, _] = parts.as_slice() {
                self.need_row_type(Some(schema), table);
            } else if let [table, _] = parts.as_slice() {
                self.need_row_type(None, table);
            }
        } else {
            let (schema, last) = self.object_name(names, *location)?;
            self.refuse_row_type(schema.as_deref(), &last, *location)?;
            self.need_row_type(schema.as_deref(), &last);
            let bare = schema.is_none();
            if self.defining && (schema.as_deref() == Some("pg_temp") || (bare && self.is_temporary_type(&last))) {
                return Err(ResolveError::unsupported("a temporary type here", offset(*location))
                    .because("Its constraints would be checked with the rights of whoever owns what is defined."));
            }
        }
        self.expressions(typmods)?;
        self.expressions(array_bounds)
    }

    /// The type of a table's rows, or an array of them, tells of its columns as reading it does.
    fn need_row_type(&mut self, schema: Option<&str>, name: &str) {
        let catalog = &self.ground.footing.catalog;
        let within = |schema: &str, name: &str| {
            let schema = catalog.schema_named(schema).filter(|schema| !schema.system)?;
            catalog.relation_in(schema.oid, &Name::exact(name))
        };
        let found = |name: &str| match schema {
            Some(schema) => within(schema, name),
            None => self.ground.path.lookup().find_map(|schema| within(schema, name)),
        };
        let Some(relation) = found(name).or_else(|| found(name.strip_prefix('_')?)) else { return };
        if relation.kind.has_rows() && !relation.temporary && self.requires() {
            let (holder, schema, noun) = (self.holder(), Some(relation.schema), relation.kind.noun());
            let on = Securable::Relation(relation.oid);
            self.requirements.need(holder, Privilege::Select, on, schema, relation.name.as_str(), noun);
        }
    }

    fn is_temporary_type(&self, name: &str) -> bool {
        self.ground.footing.catalog.temporaries().has_type(name)
    }

    /// `(expression).field`, `(expression)[1]`, `(expression).*`.
    pub(super) fn indirection(&mut self, node: &mut AIndirection) -> Result<(), ResolveError> {
        let AIndirection { arg, indirection } = node;
        let of = match arg.as_deref().and_then(|n| n.node.as_ref()) {
            Some(Kind::ColumnRef(column)) if column.fields.len() == 1 => column.fields.first().and_then(string).map(str::to_owned),
            _ => None,
        };
        self.optional(arg)?;
        for (index, step) in indirection.iter_mut().enumerate() {
            if let Some(field) = string(step) {
                let proved = index == 0 && of.as_deref().is_some_and(|alias| self.scopes.proves_column(alias, field));
                if !proved {
                    let field = field.to_owned();
                    self.attribute_call(&field)?;
                }
            } else {
                self.expression(step)?;
            }
        }
        Ok(())
    }
}
