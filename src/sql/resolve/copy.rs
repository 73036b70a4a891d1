//! COPY to and from the client. Files and programs of the server need ANY FILE, and that the upstream login may use them; an
//! administrator's COPY runs as `pgusher_owner` where nothing governed is in it, so that role may have been given the right.

use std::sync::Arc;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{CopyStmt, Node, OverridingKind, RangeVar, ResTarget, SelectStmt};

use super::ResolveError;
use super::leaves::{Leaf, leaves};
use super::names::{offset, string, string_node};
use super::relations::{Access, Found};
use super::scope::Item;
use super::walk::Walk;
use crate::catalog::GovernedTable;
use crate::name::{QualifiedName, quote_identifier};
use crate::policy::Privilege;
use crate::sql::{CopyInGoverned, Effect, Executor, Owned};

/// Where incoming rows wait for their INSERT.
const WAITING: (&str, &str) = ("pg_temp", "pgusher_copy");

impl Walk<'_> {
    /// COPY.
    pub(super) fn copy(&mut self, statement: &mut CopyStmt) -> Result<Effect, ResolveError> {
        let CopyStmt { is_from, is_program, filename, .. } = &*statement;
        let on_server = *is_program || !filename.is_empty();
        if on_server {
            // Upstream asks for a right of its own, too.
            self.need_any_file(if *is_from && !*is_program { Privilege::Select } else { Privilege::Modify });
        }
        self.builtins_only = on_server && self.ground.admin;
        let effect = self.copied_between(statement)?;
        if !on_server || !matches!(effect, Effect::CopyIn | Effect::CopyOut) {
            return Ok(effect);
        }
        // With owner's rights no filter and no mask would hold.
        let plain = self.governed.is_empty() && !self.touched.filtered && !self.touched.masked;
        if !self.ground.admin || !plain || self.views_call_nothing(self.log.clone(), |_| false).is_err() {
            return Ok(Effect::None);
        }
        Ok(Effect::AsOwner(Owned { alone: None, ddl: false, by: Executor::Owner, tag: "COPY", fill: None }))
    }

    fn copied_between(&mut self, statement: &mut CopyStmt) -> Result<Effect, ResolveError> {
        let CopyStmt { relation, query, is_from, .. } = &*statement;
        match (relation.is_some(), query.is_some(), *is_from) {
            (false, true, false) => {
                if let Some(query) = statement.query.as_deref_mut() {
                    if matches!(query.node.as_ref(), Some(Kind::SelectStmt(select)) if makes_table(select)) {
                        return Err(ResolveError::unsupported("COPY (SELECT INTO)", None));
                    }
                    self.query(query)?;
                }
                Ok(Effect::CopyOut)
            }
            (true, false, false) => self.copy_to(statement),
            (true, false, true) => self.copy_from(statement),
            _ => Err(ResolveError::misplaced("COPY")),
        }
    }

    fn copy_to(&mut self, statement: &mut CopyStmt) -> Result<Effect, ResolveError> {
        let name = statement.relation.as_mut().ok_or(ResolveError::misplaced("COPY"))?;
        let found = self.find(name, Access::Read).map_err(ResolveError::nowhere)?;
        if found.table.is_none() || found.in_place(self.ground.footing) {
            self.replace_name(name, &found.now)?;
            return Ok(Effect::CopyOut);
        }
        let columns = copied(&found, &statement.attlist, offset(name.location)).map_err(ResolveError::nowhere)?;
        let range = {
            let tokens = self.tokens();
            let parts = 1 + usize::from(!name.schemaname.is_empty()) + usize::from(!name.catalogname.is_empty());
            tokens
                .at(name.location)
                // COPY BINARY takes no query.
                .filter(|index| *index == 1)
                .and_then(|index| {
                    let after = *tokens.name_ends(index, parts)?.last()?;
                    let after = if statement.attlist.is_empty() { after } else { tokens.after_parenthesis(after)? };
                    tokens.range(index, after)
                })
                .ok_or_else(|| {
                    ResolveError::unsupported("this form of COPY", None).instead("Use COPY table TO STDOUT WITH (...).")
                })?
        };
        let select = format!("SELECT {} FROM {}", quoted(&columns), found.now.quoted());
        let mut tree = template("SELECT a FROM s.t")?;
        if let Some(Kind::SelectStmt(inner)) = tree.node.as_mut() {
            rename_targets(&mut inner.target_list, &columns, true)?;
            rename_from(&mut inner.from_clause, &found.now)?;
        }
        self.edit(range, format!("({select})"));
        statement.relation = None;
        statement.attlist.clear();
        statement.query = Some(Box::new(tree));
        Ok(Effect::CopyOut)
    }

    fn copy_from(&mut self, statement: &mut CopyStmt) -> Result<Effect, ResolveError> {
        let CopyStmt { relation, attlist, options, where_clause, .. } = statement;
        let name = relation.as_mut().ok_or(ResolveError::misplaced("COPY"))?;
        let position = offset(name.location);
        let found = self.find(name, Access::Insert).map_err(ResolveError::nowhere)?;
        self.scopes.push();
        self.scopes.top().items.push(Item::plain(found.relation.name.as_str(), Some(found.columns()), 0..0));
        self.optional(where_clause)?;
        self.scopes.pop();
        let plain = GovernedTable::plain(&found.now);
        let table = match found.table {
            Some(table) => table,
            // PostgreSQL takes no COPY FROM into a table under row security.
            None if found.relation.row_security => &plain,
            None => {
                self.replace_name(name, &found.now)?;
                return Ok(Effect::CopyIn);
            }
        };
        refuse_options(options, position)?;
        let columns = copied(&found, attlist, position).map_err(ResolveError::nowhere)?;
        if let Some(condition) = where_clause.as_deref() {
            refuse_others(condition, &columns, position)?;
        }
        let waiting = QualifiedName::new(WAITING.0, WAITING.1);
        let (create, insert) = (create(table, &columns, &waiting)?, insert(&found, table, &columns, &waiting)?);
        let drop = drop_waiting()?;
        // COPY takes no alias.
        self.aliases = false;
        self.replace_name(name, &waiting)?;
        let copy = self.edits.clone().apply(self.text).map_err(|_| ResolveError::misplaced("COPY"))?.text;
        let effect = CopyInGoverned {
            table: Arc::from(found.relation.name.as_str()),
            create: create.0.clone(),
            copy: Arc::from(copy),
            insert: insert.0.clone(),
            drop: drop.0.clone(),
        };
        self.companions.extend([create, insert, drop]);
        Ok(Effect::CopyInGoverned(effect))
    }
}

/// INTO stands in the first SELECT of a set operation.
fn makes_table(select: &SelectStmt) -> bool {
    select.into_clause.is_some() || select.larg.as_deref().is_some_and(makes_table)
}

fn refuse_options(options: &[Node], position: Option<usize>) -> Result<(), ResolveError> {
    for option in options {
        let Some(Kind::DefElem(option)) = option.node.as_ref() else { return Err(ResolveError::misplaced("COPY option")) };
        if matches!(option.defname.as_str(), "freeze" | "default") {
            let what = format!("COPY FROM with {} here", option.defname.to_ascii_uppercase());
            return Err(ResolveError::unsupported(what, position).because("The table has a row filter or masks."));
        }
    }
    Ok(())
}

/// Rows wait in a table of the copied columns only, under another name.
fn refuse_others(condition: &Node, columns: &[String], position: Option<usize>) -> Result<(), ResolveError> {
    let refused = |position, hint: &str| {
        Err(ResolveError::unsupported("this WHERE of COPY FROM", position)
            .because("The table has a row filter or masks.")
            .instead(hint))
    };
    let Some(found) = leaves(condition) else { return refused(position, "Use it without sub-queries.") };
    for leaf in found {
        match leaf {
            Leaf::Column { names, location } => match names.as_slice() {
                [only] if columns.contains(only) => {}
                _ => return refused(offset(location), "Name copied columns, without the table's name."),
            },
            Leaf::Parameter { location, .. } => return refused(offset(location), "Use no parameters."),
        }
    }
    Ok(())
}

/// The columns that are copied: those listed, or all that are not generated.
fn copied(found: &Found, listed: &[Node], position: Option<usize>) -> Result<Vec<String>, ResolveError> {
    if listed.is_empty() {
        return Ok(found.relation.columns.iter().filter(|c| !c.generated).map(|c| c.name.as_str().to_owned()).collect());
    }
    listed
        .iter()
        .map(|node| {
            let name = string(node).ok_or(ResolveError::misplaced("column"))?;
            match found.relation.column(name) {
                Some(_) => Ok(name.to_owned()),
                None => Err(ResolveError::UndefinedColumn {
                    column: name.to_owned(),
                    relation: found.relation.name.to_string(),
                    position,
                }),
            }
        })
        .collect()
}

fn quoted(columns: &[String]) -> String {
    columns.iter().map(|c| quote_identifier(c)).collect::<Vec<_>>().join(", ")
}

type Companion = (Arc<str>, Node);

/// An empty temporary table with the columns' types, as readers see them.
fn create(table: &GovernedTable, columns: &[String], waiting: &QualifiedName) -> Result<Companion, ResolveError> {
    let text = format!(
        "CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA",
        waiting.name.quoted(),
        quoted(columns),
        table.read.quoted()
    );
    let mut tree = template("CREATE TEMPORARY TABLE pgusher_copy ON COMMIT DROP AS SELECT a FROM s.t WITH NO DATA")?;
    let query = match tree.node.as_mut() {
        Some(Kind::CreateTableAsStmt(inner)) => inner.query.as_deref_mut().and_then(|n| n.node.as_mut()),
        _ => None,
    };
    let Some(Kind::SelectStmt(select)) = query else { return Err(ResolveError::misplaced("template")) };
    rename_targets(&mut select.target_list, columns, true)?;
    rename_from(&mut select.from_clause, &table.read)?;
    Ok((Arc::from(text), tree))
}

/// The rows' way into the table. As COPY, it takes the values given for identity columns.
fn insert(found: &Found, table: &GovernedTable, columns: &[String], waiting: &QualifiedName) -> Result<Companion, ResolveError> {
    let raw: Vec<String> = columns.iter().map(|c| if table.masks(c) { GovernedTable::raw_column(c) } else { c.clone() }).collect();
    let identity = columns.iter().filter_map(|c| found.relation.column(c)).any(|c| matches!(c.identity, 'a' | 'd'));
    let overriding = if identity { " OVERRIDING SYSTEM VALUE" } else { "" };
    let text = format!(
        "INSERT INTO {} ({}){overriding} SELECT {} FROM {}",
        table.insert.quoted(),
        quoted(&raw),
        quoted(columns),
        waiting.quoted()
    );
    let mut tree = template("INSERT INTO s.t (a) SELECT a FROM s.t")?;
    let Some(Kind::InsertStmt(inner)) = tree.node.as_mut() else { return Err(ResolveError::misplaced("template")) };
    if identity {
        inner.r#override = OverridingKind::OverridingSystemValue.into();
    }
    rename(inner.relation.as_mut().ok_or(ResolveError::misplaced("template"))?, &table.insert);
    rename_targets(&mut inner.cols, &raw, false)?;
    let Some(Kind::SelectStmt(select)) = inner.select_stmt.as_deref_mut().and_then(|n| n.node.as_mut()) else {
        return Err(ResolveError::misplaced("template"));
    };
    rename_targets(&mut select.target_list, columns, true)?;
    rename_from(&mut select.from_clause, waiting)?;
    Ok((Arc::from(text), tree))
}

fn drop_waiting() -> Result<Companion, ResolveError> {
    let text = "DROP TABLE pg_temp.pgusher_copy";
    Ok((Arc::from(text), template(text)?))
}

/// The tree of a text of ours.
pub(super) fn template(text: &str) -> Result<Node, ResolveError> {
    crate::sql::parse::only(text).ok().flatten().ok_or(ResolveError::misplaced("template"))
}

fn rename(relation: &mut RangeVar, now: &QualifiedName) {
    relation.schemaname = now.schema.as_str().to_owned();
    relation.relname = now.name.as_str().to_owned();
}

fn rename_from(from: &mut [Node], now: &QualifiedName) -> Result<(), ResolveError> {
    match from.first_mut().and_then(|n| n.node.as_mut()) {
        Some(Kind::RangeVar(relation)) => {
            rename(relation, now);
            Ok(())
        }
        _ => Err(ResolveError::misplaced("template")),
    }
}

/// One target for each column in the place of the template's only one.
fn rename_targets(targets: &mut Vec<Node>, columns: &[String], values: bool) -> Result<(), ResolveError> {
    let Some(Kind::ResTarget(only)) = targets.first().and_then(|n| n.node.as_ref()) else {
        return Err(ResolveError::misplaced("template"));
    };
    let only: ResTarget = (**only).clone();
    *targets = columns
        .iter()
        .map(|column| {
            let mut target = only.clone();
            if values {
                if let Some(Kind::ColumnRef(reference)) = target.val.as_deref_mut().and_then(|n| n.node.as_mut()) {
                    reference.fields = vec![string_node(column)];
                }
            } else {
                target.name.clone_from(column);
            }
            Node { node: Some(Kind::ResTarget(Box::new(target))) }
        })
        .collect();
    Ok(())
}
