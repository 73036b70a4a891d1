//! Items of FROM.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    Alias, JoinExpr, JsonTable, Node, RangeFunction, RangeSubselect, RangeTableFunc, RangeTableSample, RangeVar,
};

use super::ResolveError;
use super::columns::SYSTEM_COLUMNS;
use super::names::{offset, string};
use super::relations::{Access, Found};
use super::scope::{Bare, Item, Twin};
use super::select::{Columns, renamed};
use super::walk::{Purpose, Walk};

impl Walk<'_> {
    /// Walks an item of FROM and puts it into the innermost scope.
    pub(super) fn source_item(&mut self, node: &mut Node) -> Result<(), ResolveError> {
        match node.node.as_mut() {
            Some(Kind::RangeVar(inner)) => self.range_var(inner),
            Some(Kind::JoinExpr(inner)) => self.join(inner),
            Some(Kind::RangeSubselect(inner)) => self.range_subselect(inner),
            Some(Kind::RangeFunction(inner)) => self.range_function(inner),
            Some(Kind::RangeTableFunc(inner)) => self.range_table_func(inner),
            Some(Kind::RangeTableSample(inner)) => self.range_table_sample(inner),
            Some(Kind::JsonTable(inner)) => self.json_table(inner),
            _ => Err(ResolveError::misplaced("FROM item")),
        }
    }

    fn add_item(&mut self, item: Item) {
        self.scopes.top().items.push(item);
    }

    fn range_var(&mut self, name: &mut RangeVar) -> Result<(), ResolveError> {
        let start = self.log.len();
        if name.schemaname.is_empty()
            && name.catalogname.is_empty()
            && let Some(cte) = self.scopes.cte(&name.relname)
        {
            let columns = cte.columns.clone();
            let item = aliased(name.alias.as_ref(), &name.relname, columns, start..start);
            self.add_item(item);
            return Ok(());
        }
        let original = name.relname.clone();
        let client_alias = name.alias.clone();
        let parts = 1 + usize::from(!name.schemaname.is_empty()) + usize::from(!name.catalogname.is_empty());
        let mut found = self.find(name, Access::Read)?;
        let renames = client_alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty());
        let twin = if renames { None } else { self.twin_to_read(&mut found) };
        self.replace_name(name, &found.now)?;
        let mut item = aliased(client_alias.as_ref(), &original, Some(found.columns()), start..self.log.len());
        item.stands_for = (!found.in_place(self.ground.footing)).then_some(found.relation.oid);
        item.viewed = twin.is_none() && found.table.is_some() && !found.in_place(self.ground.footing);
        item.twin = twin;
        let system = self.ground.footing.catalog.schema(found.relation.schema).is_some_and(|s| s.name.as_str() == "pg_catalog");
        if system && client_alias.as_ref().is_none_or(|alias| alias.colnames.is_empty()) {
            item.catalog = Some(found.relation.name.to_string());
        }
        if client_alias.is_none() {
            item.bare = Some(Bare { oid: found.relation.oid, aliased: name.alias.is_some(), now: found.now });
        }
        if !self.hidden.is_empty() {
            self.rename_hiding(name, &original, parts, &mut item)?;
        }
        self.add_item(item);
        Ok(())
    }

    /// The read view of a masked table has no system columns. A statement that names one reads the write twin, which has them.
    fn twin_to_read(&self, found: &mut Found) -> Option<Twin> {
        let table = found.table.filter(|table| table.twin() && found.relation.has_system_columns())?;
        if !matches!(self.purpose, Purpose::Statement) || !self.tokens().any_name(&SYSTEM_COLUMNS) {
            return None;
        }
        found.now = table.write.clone();
        Some(Twin::read(table))
    }

    fn join(&mut self, join: &mut JoinExpr) -> Result<(), ResolveError> {
        let JoinExpr { jointype: _, is_natural, larg, rarg, using_clause, join_using_alias, quals, alias, rtindex: _ } = join;
        let (first, start) = (self.scopes.top().items.len(), self.log.len());
        for side in [larg, rarg] {
            match side.as_deref_mut() {
                Some(side) => self.source_item(side)?,
                None => return Err(ResolveError::misplaced("join")),
            }
        }
        if *is_natural || !using_clause.is_empty() {
            if let Some(column) = self.hidden.first() {
                return Err(ResolveError::HiddenColumn { column: column.clone(), position: None });
            }
            self.operator(&["="])?;
        }
        if let Some(alias) = join_using_alias {
            let columns = using_clause.iter().map(|n| string(n).map(str::to_owned)).collect();
            self.add_item(Item::plain(&alias.aliasname, columns, start..start));
        }
        self.optional(quals)?;
        if let Some(alias) = alias {
            // The join's alias hides the names inside.
            self.scopes.top().items.truncate(first);
            let read = start..self.log.len();
            self.add_item(Item::plain(&alias.aliasname, None, read));
        }
        Ok(())
    }

    fn range_subselect(&mut self, item: &mut RangeSubselect) -> Result<(), ResolveError> {
        let RangeSubselect { lateral: _, subquery, alias } = item;
        let start = self.log.len();
        let columns = match subquery.as_deref_mut() {
            Some(query) => self.query(query)?,
            None => return Err(ResolveError::misplaced("sub-select")),
        };
        let item = aliased(alias.as_ref(), "", columns, start..self.log.len());
        self.add_item(item);
        Ok(())
    }

    fn range_function(&mut self, item: &mut RangeFunction) -> Result<(), ResolveError> {
        let RangeFunction { lateral: _, ordinality: _, is_rowsfrom, functions, alias, coldeflist } = item;
        let start = self.log.len();
        let mut lost = None;
        for function in functions.iter_mut() {
            let Some(Kind::List(pair)) = function.node.as_mut() else { return Err(ResolveError::misplaced("function in FROM")) };
            for (index, part) in pair.items.iter_mut().enumerate() {
                if index == 0 {
                    if let Some(column) = self.value_function_in_from(part)? {
                        if *is_rowsfrom || alias.is_none() {
                            lost = column;
                        }
                        continue;
                    }
                    // The outermost call must stay a call.
                    let bare = std::mem::replace(&mut self.bare_identity, true);
                    self.expression(part)?;
                    self.bare_identity = bare;
                } else {
                    self.expression(part)?;
                }
            }
        }
        if let Some(name) = lost {
            return Err(ResolveError::unsupported(format!("{name} in FROM without an alias"), None)
                .instead(format!("Write SELECT {name}.")));
        }
        self.expressions(coldeflist)?;
        let item = aliased(alias.as_ref(), "", None, start..self.log.len());
        self.add_item(item);
        Ok(())
    }

    fn range_table_func(&mut self, item: &mut RangeTableFunc) -> Result<(), ResolveError> {
        let RangeTableFunc { lateral: _, docexpr, rowexpr, namespaces, columns, alias, location: _ } = item;
        let start = self.log.len();
        self.optional(docexpr)?;
        self.optional(rowexpr)?;
        self.expressions(namespaces)?;
        self.expressions(columns)?;
        let item = aliased(alias.as_ref(), "xmltable", None, start..self.log.len());
        self.add_item(item);
        Ok(())
    }

    fn json_table(&mut self, item: &mut JsonTable) -> Result<(), ResolveError> {
        let JsonTable { context_item, pathspec, passing, columns, on_error, alias, lateral: _, location: _ } = item;
        let start = self.log.len();
        if let Some(context) = context_item.as_deref_mut() {
            self.optional(&mut context.raw_expr)?;
            self.optional(&mut context.formatted_expr)?;
        }
        if let Some(path) = pathspec.as_deref_mut() {
            self.optional(&mut path.string)?;
        }
        self.expressions(passing)?;
        self.expressions(columns)?;
        if let Some(behavior) = on_error.as_deref_mut() {
            self.optional(&mut behavior.expr)?;
        }
        let item = aliased(alias.as_ref(), "json_table", None, start..self.log.len());
        self.add_item(item);
        Ok(())
    }

    fn range_table_sample(&mut self, item: &mut RangeTableSample) -> Result<(), ResolveError> {
        let RangeTableSample { relation, method, args, repeatable, location } = item;
        match relation.as_deref_mut().and_then(|n| n.node.as_mut()) {
            Some(Kind::RangeVar(name)) => {
                let meant = if self.is_cte(name) { None } else { Some(self.look_up(name)?) };
                let before = self.governed.len();
                self.range_var(name)?;
                let in_place = meant.is_none_or(|relation| {
                    self.ground
                        .footing
                        .catalog
                        .qualified(relation)
                        .is_some_and(|own| own.schema.as_str() == name.schemaname && own.name.as_str() == name.relname)
                });
                if !in_place {
                    let mut what = String::from("TABLESAMPLE");
                    if self.governed.len() >= before {
                        what.push_str(&format!(" on \"{}\"", meant.map_or("", |r| r.name.as_str())));
                    }
                    return Err(ResolveError::unsupported(what, offset(*location))
                        .because("The table has column masks, or a row filter that is enforced by a view."));
                }
            }
            _ => return Err(ResolveError::misplaced("TABLESAMPLE")),
        }
        self.sampling_method(method, *location)?;
        self.expressions(args)?;
        self.optional(repeatable)
    }

    pub(super) fn is_cte(&self, name: &RangeVar) -> bool {
        name.schemaname.is_empty() && name.catalogname.is_empty() && self.scopes.cte(&name.relname).is_some()
    }
}

fn aliased(alias: Option<&Alias>, name: &str, columns: Columns, read: std::ops::Range<usize>) -> Item {
    match alias {
        Some(alias) => Item::plain(&alias.aliasname, renamed(columns, &alias.colnames), read),
        None => Item::plain(name, columns, read),
    }
}
