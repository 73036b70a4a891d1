//! Columns and names inside the expression of a row filter or mask: everything is said in full, so that it means the same
//! wherever upstream keeps it.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Alias, ColumnRef, RangeVar};

use super::ResolveError;
use super::names::{offset, string, string_node};
use super::scope::Item;
use super::walk::Walk;
use crate::catalog::Relation;
use crate::name::quote_identifier;

/// Where a column reference leads.
enum Meaning {
    /// To a column of an item in a sub-select: the item's name and the column's.
    Inner(String, String),
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
            Meaning::Inner(alias, name) => {
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
                    return Ok(Meaning::Inner(item.alias.clone(), self.inner_name(item, name)));
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
                _ => Ok(Meaning::Inner(alias.to_owned(), self.inner_name(item, name))),
            };
        }
        let own = self.policy_table.and_then(|oid| self.ground.footing.catalog.relation(oid));
        if own.is_none_or(|own| own.name.as_str() != alias) {
            return Err(ResolveError::UndefinedColumn { column: name.to_owned(), relation: alias.to_owned(), position });
        }
        // Without its qualifier it must not be caught by an inner item.
        let renamed = |item: &Item| item.renamed && self.hidden.iter().any(|hidden| hidden == name);
        if self
            .scopes
            .inner_items()
            .filter(|item| !renamed(item))
            .any(|item| item.columns.as_ref().is_none_or(|all| all.iter().any(|c| c == name)))
        {
            return Err(ResolveError::HiddenColumn { column: name.to_owned(), position });
        }
        self.own_column(name, position)
    }

    fn inner_name(&self, item: &Item, name: &str) -> String {
        if item.renamed && self.hidden.iter().any(|hidden| hidden == name) { other_name(name) } else { name.to_owned() }
    }

    /// Gives the columns of a relation in a sub-select other names where they would hide those of the governed table.
    /// `parts` is how many parts its name has in the text.
    pub(super) fn rename_hiding(
        &mut self,
        name: &mut RangeVar,
        original: &str,
        parts: usize,
        item: &mut Item,
    ) -> Result<(), ResolveError> {
        let Some(columns) = item.columns.as_ref().filter(|all| all.iter().any(|c| self.hidden.contains(c))) else { return Ok(()) };
        if !name.inh || name.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty()) {
            return Ok(());
        }
        let columns: Vec<String> =
            columns.iter().map(|c| if self.hidden.contains(c) { other_name(c) } else { c.clone() }).collect();
        let tokens = self.tokens();
        let after = tokens.at(name.location).and_then(|index| tokens.name_ends(index, parts)?.last().copied());
        let after = after.ok_or(ResolveError::misplaced("location"))?;
        if tokens.is_symbol(after, "*") {
            return Ok(());
        }
        let last = match &name.alias {
            Some(_) => tokens.after_token(after + usize::from(tokens.is_word(after, "as"))),
            None => after,
        };
        let end = tokens.get(last - 1).map(|t| t.end).ok_or(ResolveError::misplaced("location"))?;
        let list = columns.iter().map(|c| quote_identifier(c)).collect::<Vec<_>>().join(", ");
        let text = if name.alias.is_some() { format!(" ({list})") } else { format!(" AS {} ({list})", quote_identifier(original)) };
        self.insert_text(end, text);
        let alias = name.alias.get_or_insert_with(|| Alias { aliasname: original.to_owned(), colnames: Vec::new() });
        alias.colnames = columns.iter().map(|c| string_node(c)).collect();
        item.renamed = true;
        Ok(())
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

fn other_name(column: &str) -> String {
    crate::name::Name::exact(&format!("inner ${column}")).as_str().to_owned()
}
