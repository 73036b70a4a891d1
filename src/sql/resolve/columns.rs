//! References to columns and whole rows.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::ColumnRef;

use super::ResolveError;
use super::names::{offset, string, string_node};
use super::scope::{Bare, Twin, TwinRole};
use super::walk::Walk;
use crate::policy::{Oid, Privilege, Securable};

impl Walk<'_> {
    /// `c`, `t.c`, `s.t.c`, `db.s.t.c`, each also with `*` at its end.
    pub(super) fn column_reference(&mut self, column: &mut ColumnRef) -> Result<(), ResolveError> {
        let star = matches!(column.fields.last().and_then(|n| n.node.as_ref()), Some(Kind::AStar(_)));
        let names: Vec<String> = column.fields.iter().filter_map(string).map(str::to_owned).collect();
        if names.len() + usize::from(star) != column.fields.len() {
            return Err(ResolveError::misplaced("column reference"));
        }
        let position = offset(column.location);
        self.note_read(&names, star);
        self.note_columns_read(&names, star);
        self.refuse_system_column(&names, star, position)?;
        match (names.as_slice(), star) {
            ([], _) => self.refuse_wide_star(position),
            ([name], false) => self.bare_reference(name, position),
            ([alias], true) => self.refuse_twin_row(alias, position),
            ([alias, field], false) => self.field_reference(alias, field, position),
            ([schema, relation], true) => self.qualified_reference(column, None, schema, relation, None),
            ([schema, relation, field], false) => self.qualified_reference(column, None, schema, relation, Some(field)),
            ([database, schema, relation], true) => self.qualified_reference(column, Some(database), schema, relation, None),
            ([database, schema, relation, field], false) => {
                self.qualified_reference(column, Some(database), schema, relation, Some(field))
            }
            _ => Err(ResolveError::misplaced("column reference")),
        }
    }

    /// Remembers that a write's target may be read by this reference.
    fn note_read(&mut self, names: &[String], star: bool) {
        for references in &mut self.grouped {
            references.push((names.to_vec(), star));
        }
        let of_other = match names {
            [alias, _] if !star => Some(alias),
            [alias] if star => Some(alias),
            _ => None,
        };
        let known = of_other.is_some_and(|alias| self.scopes.items(alias).next().is_some());
        for (target, read) in &mut self.targets {
            if !known || of_other == Some(target) {
                *read = true;
            }
        }
    }

    /// For the audit: the columns that a reference may be of, by their names. Where two relations have a column of that name, both count.
    fn note_columns_read(&mut self, names: &[String], star: bool) {
        let (alias, field) = match (names, star) {
            ([.., alias, field], false) => (Some(alias), Some(field)),
            ([field], false) => (None, Some(field)),
            ([.., alias], true) => (Some(alias), None),
            ([], _) => (None, None),
        };
        let all_here = alias.is_none() && field.is_none();
        let here = if all_here { self.scopes.top().items.len() } else { usize::MAX };
        let mut found: Vec<(Oid, bool)> = Vec::new();
        for item in self.scopes.all().take(here).filter(|item| alias.is_none_or(|alias| item.alias == *alias)) {
            let whole = alias.is_none() && field.is_some_and(|field| item.alias == *field);
            found.extend(self.log.get(item.read.clone()).unwrap_or_default().iter().map(|oid| (*oid, whole)));
        }
        for (oid, whole) in found {
            let Some(relation) = self.ground.footing.catalog.relation(oid) else { continue };
            let columns = relation.columns.iter().map(|column| column.name.as_str());
            let meant = columns.filter(|name| whole || field.is_none_or(|field| field == name)).map(str::to_owned);
            let meant: Vec<String> = meant.collect();
            self.requirements.note_columns(Privilege::Select, Securable::Relation(oid), &meant);
        }
    }

    /// System columns of a table that a view stands for.
    fn refuse_system_column(&mut self, names: &[String], star: bool, position: Option<usize>) -> Result<(), ResolveError> {
        let Some(field) = names.last().filter(|last| !star && SYSTEM_COLUMNS.contains(&last.as_str())) else { return Ok(()) };
        let alias = names.len().checked_sub(2).and_then(|at| names.get(at));
        let viewed = match alias {
            Some(alias) => self.scopes.items(alias).next().filter(|item| item.viewed),
            None => self.scopes.top().items.iter().find(|item| item.viewed),
        };
        match viewed {
            Some(item) => {
                let what = format!("system column \"{field}\" of \"{}\"", item.alias);
                Err(ResolveError::unsupported(what, position)
                    .because("The table has column masks, or a row filter that is enforced by a view."))
            }
            None => Ok(()),
        }
    }

    /// The raw columns of a write twin are no columns of the table.
    fn refuse_raw(&self, name: &str, position: Option<usize>) -> Result<(), ResolveError> {
        let Some(column) = name.strip_suffix("$raw") else { return Ok(()) };
        match self.scopes.all().find(|item| item.twin.as_ref().is_some_and(|twin| twin.masked.iter().any(|m| m == column))) {
            Some(item) => {
                let (column, relation) = (name.to_owned(), item.alias.clone());
                Err(ResolveError::UndefinedColumn { column, relation, position })
            }
            None => Ok(()),
        }
    }

    /// `x`: a column, or the whole row of an item called so.
    fn bare_reference(&mut self, name: &str, position: Option<usize>) -> Result<(), ResolveError> {
        self.refuse_raw(name, position)?;
        if self.scopes.twin(name).is_some_and(|(item, _)| !item.columns.as_ref().is_some_and(|all| all.iter().any(|c| c == name))) {
            return self.refuse_twin_row(name, position);
        }
        Ok(())
    }

    /// `*` where a write twin is read: it has more columns than its table.
    fn refuse_wide_star(&mut self, position: Option<usize>) -> Result<(), ResolveError> {
        let read = |twin: &Twin| matches!(twin.role, TwinRole::Read);
        if self.scopes.top().items.iter().any(|item| item.twin.as_ref().is_some_and(read)) {
            return Err(ResolveError::unsupported("\"*\" beside a system column", position)
                .because("A table in FROM has column masks.")
                .instead("Name the columns."));
        }
        Ok(())
    }

    fn refuse_twin_row(&self, alias: &str, position: Option<usize>) -> Result<(), ResolveError> {
        let renamed = self.scopes.in_twin() && matches!(alias, "old" | "new") && self.scopes.items(alias).next().is_none();
        if renamed || self.scopes.twin(alias).is_some() {
            return Err(ResolveError::unsupported(format!("a reference to the whole row of \"{alias}\" here"), position)
                .because("The table has column masks.")
                .instead("Name the columns."));
        }
        Ok(())
    }

    /// `t.f`
    fn field_reference(&mut self, alias: &str, field: &str, position: Option<usize>) -> Result<(), ResolveError> {
        self.refuse_raw(field, position)?;
        if self.scopes.in_twin() && matches!(alias, "old" | "new") && self.scopes.items(alias).next().is_none() {
            return Err(ResolveError::unsupported(format!("{alias}.{field}"), position)
                .because("The table that is written to has column masks."));
        }
        if self.scopes.proves_column(alias, field) {
            return Ok(());
        }
        self.attribute_call(field)
    }

    /// `s.t.f`, `s.t.*`: the relation may stand under another name now.
    fn qualified_reference(
        &mut self,
        column: &mut ColumnRef,
        database: Option<&str>,
        schema: &str,
        relation: &str,
        field: Option<&str>,
    ) -> Result<(), ResolveError> {
        let position = offset(column.location);
        let catalog = &self.ground.footing.catalog;
        if let Some(database) = database
            && database != &*catalog.database
        {
            let name = format!("{database}.{schema}.{relation}.{}", field.unwrap_or("*"));
            return Err(ResolveError::CrossDatabase { name, position });
        }
        self.may_name(schema, position)?;
        let meant = catalog
            .schema_named(schema)
            .and_then(|s| catalog.relation_in(s.oid, &crate::name::Name::exact(relation)))
            .map(|r| r.oid);
        let item = self.scopes.all().find(|item| item.bare.as_ref().is_some_and(|bare| Some(bare.oid) == meant));
        let Some(item) = item else {
            return match field {
                Some(field) => self.attribute_call(field),
                None => Ok(()),
            };
        };
        field.map_or(Ok(()), |field| self.refuse_raw(field, position))?;
        let twin = item.twin.is_some();
        let proved = field.is_some_and(|f| item.columns.as_ref().is_some_and(|all| all.iter().any(|c| c == f)));
        let bare = item.bare.clone();
        if twin && field.is_none() {
            return self.refuse_twin_row(relation, position);
        }
        if let Some(field) = field
            && !proved
        {
            self.attribute_call(field)?;
        }
        bare.map_or(Ok(()), |bare| self.requalify(column, usize::from(database.is_some()), schema, relation, &bare))
    }

    fn requalify(
        &mut self,
        column: &mut ColumnRef,
        before: usize,
        schema: &str,
        relation: &str,
        bare: &Bare,
    ) -> Result<(), ResolveError> {
        if !bare.aliased && bare.now.schema.as_str() == schema && bare.now.name.as_str() == relation {
            return Ok(());
        }
        let parts = before + 2;
        let tokens = self.tokens();
        let range = tokens
            .at(column.location)
            .and_then(|index| tokens.range(index, *tokens.name_ends(index, parts)?.last()?))
            .ok_or(ResolveError::misplaced("location"))?;
        if bare.aliased {
            self.edit(range, crate::name::quote_identifier(relation));
            column.fields.splice(..parts, [string_node(relation)]);
        } else {
            self.edit(range, bare.now.quoted());
            column.fields.splice(..parts, [string_node(bare.now.schema.as_str()), string_node(bare.now.name.as_str())]);
        }
        Ok(())
    }
}

/// The system columns.
pub(super) const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
