//! Columns and names inside the expression of a row filter or mask: everything is said in full, so that it means the same
//! wherever upstream keeps it.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::ColumnRef;

use super::ResolveError;
use super::names::{offset, string, string_node};
use super::scope::Item;
use super::walk::Walk;
use crate::catalog::Relation;
use crate::name::quote_identifier;

/// Where a column reference leads.
enum Meaning {
    /// To a column of an item in a sub-select.
    Inner(String),
    /// To a column of the governed table.
    Own,
}

impl Walk<'_> {
    /// Begins the walk over a policy's expression: the table is the outermost scope.
    pub(in crate::sql) fn over_table(&mut self, relation: &Relation) {
        self.policy_table = Some(relation.oid);
        self.scopes.push();
        let columns = relation.columns.iter().map(|c| c.name.as_str().to_owned()).collect();
        self.scopes.top().items.push(Item::plain(relation.name.as_str(), Some(columns), 0..0));
    }

    /// A column reference in a policy's expression.
    pub(super) fn policy_column(&mut self, column: &mut ColumnRef) -> Result<(), ResolveError> {
        let star = matches!(column.fields.last().and_then(|n| n.node.as_ref()), Some(Kind::AStar(_)));
        let names: Vec<String> = column.fields.iter().filter_map(string).map(str::to_owned).collect();
        let inside = self.scopes.depth() > 1;
        if star {
            return match names.as_slice() {
                [] if inside => Ok(()),
                [alias] if inside && self.scopes.inner_items().any(|item| item.alias == *alias) => Ok(()),
                _ => Err(ResolveError::unsupported("a whole row in a row filter or mask", offset(column.location))),
            };
        }
        let (name, meaning) = match names.as_slice() {
            [name] => (name.clone(), self.meaning(name, offset(column.location))?),
            [alias, name] => (name.clone(), self.qualified_meaning(alias, name, offset(column.location))?),
            [schema, relation, name] if self.is_policy_table(schema, relation) => {
                (name.clone(), self.qualified_meaning(relation, name, offset(column.location))?)
            }
            _ => {
                return Err(ResolveError::unsupported(
                    "a column qualified by schema in a row filter or mask",
                    offset(column.location),
                ));
            }
        };
        let (text, fields) = match meaning {
            Meaning::Own => (quote_identifier(&name), vec![string_node(&name)]),
            Meaning::Inner(alias) => {
                (format!("{}.{}", quote_identifier(&alias), quote_identifier(&name)), vec![string_node(&alias), string_node(&name)])
            }
        };
        let tokens = self.tokens();
        let range = tokens
            .at(column.location)
            .and_then(|index| tokens.range(index, *tokens.name_ends(index, names.len())?.last()?))
            .ok_or(ResolveError::misplaced("location"))?;
        self.edit(range, text);
        column.fields = fields;
        Ok(())
    }

    fn is_policy_table(&self, schema: &str, relation: &str) -> bool {
        let catalog = &self.ground.footing.catalog;
        self.policy_table
            .and_then(|oid| catalog.relation(oid))
            .and_then(|own| catalog.qualified(own))
            .is_some_and(|own| own.schema.as_str() == schema && own.name.as_str() == relation)
    }

    fn meaning(&self, name: &str, position: Option<usize>) -> Result<Meaning, ResolveError> {
        for item in self.scopes.inner_items() {
            match &item.columns {
                None => {
                    return Err(ResolveError::unsupported(format!("the unqualified column \"{name}\" here"), position)
                        .because("The columns of another item in FROM are not known.")
                        .instead("Qualify the column."));
                }
                Some(columns) if columns.iter().any(|c| c == name) => {
                    if item.alias.is_empty() {
                        return Err(ResolveError::unsupported("an item of FROM without a name", position));
                    }
                    return Ok(Meaning::Inner(item.alias.clone()));
                }
                Some(_) => {}
            }
        }
        self.own_column(name, position)
    }

    fn qualified_meaning(&self, alias: &str, name: &str, position: Option<usize>) -> Result<Meaning, ResolveError> {
        if let Some(item) = self.scopes.inner_items().find(|item| item.alias == alias) {
            return match &item.columns {
                Some(columns) if !columns.iter().any(|c| c == name) => {
                    Err(ResolveError::UndefinedColumn { column: name.to_owned(), relation: alias.to_owned(), position })
                }
                _ => Ok(Meaning::Inner(alias.to_owned())),
            };
        }
        let own = self.policy_table.and_then(|oid| self.ground.footing.catalog.relation(oid));
        if own.is_none_or(|own| own.name.as_str() != alias) {
            return Err(ResolveError::UndefinedColumn { column: name.to_owned(), relation: alias.to_owned(), position });
        }
        // Without its qualifier it must not be caught by an inner item.
        if self.scopes.inner_items().any(|item| item.columns.as_ref().is_none_or(|all| all.iter().any(|c| c == name))) {
            return Err(ResolveError::HiddenColumn { column: name.to_owned(), position });
        }
        self.own_column(name, position)
    }

    fn own_column(&self, name: &str, position: Option<usize>) -> Result<Meaning, ResolveError> {
        let own = self.policy_table.and_then(|oid| self.ground.footing.catalog.relation(oid));
        match own {
            Some(own) if own.column(name).is_some() => Ok(Meaning::Own),
            Some(own) => Err(ResolveError::UndefinedColumn { column: name.to_owned(), relation: own.name.to_string(), position }),
            None => Err(ResolveError::misplaced("column")),
        }
    }
}
