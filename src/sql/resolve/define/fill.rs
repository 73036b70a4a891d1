//! CREATE TABLE AS, SELECT INTO, CREATE MATERIALIZED VIEW: the relation is made without rows, and filled by a statement of its own,
//! so that no query runs with the rights of those who make relations.

use std::ops::Range;
use std::sync::Arc;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{CreateTableAsStmt, Node, ObjectType, RangeVar};

use super::{DEFINES, owned};
use crate::name::{Name, QualifiedName};
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::copy::template;
use crate::sql::resolve::walk::{Purpose, Walk};
use crate::sql::{Effect, Fill, Owned};

impl Walk<'_> {
    /// CREATE TABLE AS, CREATE MATERIALIZED VIEW.
    pub(super) fn create_table_as(&mut self, statement: &mut CreateTableAsStmt) -> Result<Effect, ResolveError> {
        let materialized = statement.objtype == ObjectType::ObjectMatview as i32;
        let query = statement.query.as_deref_mut().ok_or(ResolveError::misplaced("CREATE TABLE AS"))?;
        if !matches!(query.node, Some(Kind::SelectStmt(_))) {
            return Err(ResolveError::unsupported("CREATE TABLE AS EXECUTE", None));
        }
        if materialized {
            self.materialized_query(query)?;
        } else {
            self.with_functions(|walk| walk.inner_query(query, Purpose::Statement))?;
        }
        let into = statement.into.as_deref_mut().ok_or(ResolveError::misplaced("CREATE TABLE AS"))?;
        let name = into.rel.as_mut().ok_or(ResolveError::misplaced("CREATE TABLE AS"))?;
        let (parts, location) = (parts(name), name.location);
        self.create_name(Some(name))?;
        let name = name.clone();
        self.definitions(&mut into.options)?;
        if into.skip_data || (materialized && self.ground.admin) {
            return Ok(DEFINES);
        }
        if statement.if_not_exists {
            if self.look_up(&name).is_ok() {
                return Ok(DEFINES);
            }
            // It is filled only if it is made now.
            let before = self.tokens().at(location).and_then(|at| self.tokens().range(at.checked_sub(3)?, at));
            self.edit(before.ok_or(ResolveError::misplaced("location"))?, "");
            statement.if_not_exists = false;
        }
        let (inner, data) = self.query_range(location, parts)?;
        let query = statement.query.as_deref().ok_or(ResolveError::misplaced("CREATE TABLE AS"))?;
        let fill = if materialized { self.refresh_of(&name)? } else { self.insert_of(&name, &inner, query)? };
        self.edit(data, " WITH NO DATA");
        if let Some(into) = statement.into.as_deref_mut() {
            into.skip_data = true;
        }
        Ok(filled(fill))
    }

    /// The query of a materialized view runs as the view's owner, whoever asks for it: an administrator's with owner's rights, so it
    /// reads governed views; everybody else's may read nothing that differs from reader to reader.
    fn materialized_query(&mut self, query: &mut Node) -> Result<(), ResolveError> {
        self.builtins_only = true;
        if self.ground.admin {
            return self.inner_query(query, Purpose::Owner).map(|_| ());
        }
        self.inner_query(query, Purpose::Definition)?;
        if self.governed.is_empty() && !self.touched.filtered && !self.touched.masked {
            return self.views_call_nothing(self.log.clone(), |_| false);
        }
        Err(ResolveError::unsupported("a materialized view over a relation with a row filter or masks", None)
            .because("It would keep the rows that one principal sees, for everybody.")
            .instead("Use CREATE TABLE AS, which keeps them for you."))
    }

    /// SELECT INTO at the top of a statement: it is sent as CREATE TABLE AS.
    pub(in crate::sql::resolve) fn select_into(&mut self, tree: &mut Node) -> Result<Effect, ResolveError> {
        self.into_open = true;
        self.with_functions(|walk| walk.inner_query(tree, Purpose::Statement))?;
        self.aliases = false;
        let misplaced = || ResolveError::misplaced("SELECT INTO");
        let Some(Kind::SelectStmt(select)) = tree.node.as_mut() else { return Err(misplaced()) };
        let mut into = select.into_clause.take().ok_or_else(misplaced)?;
        let name = into.rel.as_mut().ok_or_else(misplaced)?;
        let (parts, location) = (parts(name), name.location);
        // Its name goes where the new statement has it.
        let edits = self.edits.clone();
        self.create_name(Some(name))?;
        self.edits = edits;
        let clause = {
            let tokens = self.tokens();
            let ends = tokens.at(location).and_then(|at| tokens.name_ends(at, parts));
            let after = ends.and_then(|ends| ends.last().copied()).ok_or_else(misplaced)?;
            tokens.find_word(0, "into").and_then(|from| tokens.range(from, after)).ok_or_else(misplaced)?
        };
        self.edit(clause, "");
        let whole = self.tokens().get(0).map_or(0, |token| token.start)..self.tokens().end();
        let fill = self.insert_of(name, &whole, tree)?;
        let unlogged = if name.relpersistence == "u" { "UNLOGGED " } else { "" };
        self.insert_text(whole.start, format!("CREATE {unlogged}TABLE {} AS ", qualified(name).quoted()));
        self.insert_text(whole.end, " WITH NO DATA");
        let mut made = template("CREATE TABLE s.t AS SELECT 1 WITH NO DATA")?;
        if let Some(Kind::CreateTableAsStmt(inner)) = made.node.as_mut() {
            inner.query = Some(Box::new(tree.clone()));
            if let Some(clause) = inner.into.as_deref_mut() {
                clause.rel = Some(name.clone());
            }
        }
        *tree = made;
        Ok(filled(fill))
    }

    /// Where the query stands, and what comes after it and says whether it is run.
    fn query_range(&self, location: i32, parts: usize) -> Result<(Range<usize>, Range<usize>), ResolveError> {
        let tokens = self.tokens();
        let found = || {
            let after_name = *tokens.name_ends(tokens.at(location)?, parts)?.last()?;
            let from = tokens.find_word(after_name, "as")? + 1;
            let count = tokens.count();
            let with_data = count >= 2 && tokens.is_word(count - 2, "with") && tokens.is_word(count - 1, "data");
            let after = if with_data { count - 2 } else { count };
            let query = tokens.range(from, after)?;
            Some((query.clone(), query.end..tokens.end()))
        };
        found().ok_or(ResolveError::misplaced("location"))
    }

    /// INSERT of a query whose names have been looked up, into a relation that is there by then.
    fn insert_of(&mut self, name: &RangeVar, query: &Range<usize>, tree: &Node) -> Result<Fill, ResolveError> {
        let misplaced = || ResolveError::misplaced("query");
        let text = self.text.get(query.clone()).ok_or_else(misplaced)?;
        let text = self.edits.within(query).apply(text).map_err(|_| misplaced())?.text;
        let mut whole = template("INSERT INTO s.t SELECT 1")?;
        if let Some(Kind::InsertStmt(insert)) = whole.node.as_mut() {
            if let Some(relation) = insert.relation.as_mut() {
                (relation.schemaname, relation.relname) = (name.schemaname.clone(), name.relname.clone());
            }
            insert.select_stmt = Some(Box::new(tree.clone()));
        }
        let text: Arc<str> = format!("INSERT INTO {} {text}", qualified(name).quoted()).into();
        self.companions.push((text.clone(), whole));
        Ok(Fill::Insert(text))
    }

    fn refresh_of(&mut self, name: &RangeVar) -> Result<Fill, ResolveError> {
        let mut whole = template("REFRESH MATERIALIZED VIEW s.t")?;
        if let Some(Kind::RefreshMatViewStmt(refresh)) = whole.node.as_mut()
            && let Some(relation) = refresh.relation.as_mut()
        {
            (relation.schemaname, relation.relname) = (name.schemaname.clone(), name.relname.clone());
        }
        let view: Arc<str> = qualified(name).quoted().into();
        let text: Arc<str> = format!("REFRESH MATERIALIZED VIEW {view}").into();
        self.companions.push((text.clone(), whole));
        Ok(Fill::Refresh { view, text })
    }
}

fn filled(fill: Fill) -> Effect {
    match owned(None, true) {
        Effect::AsOwner(made) => Effect::AsOwner(Owned { tag: "SELECT", fill: Some(fill), ..made }),
        other => other,
    }
}

fn parts(name: &RangeVar) -> usize {
    1 + usize::from(!name.schemaname.is_empty()) + usize::from(!name.catalogname.is_empty())
}

fn qualified(name: &RangeVar) -> QualifiedName {
    QualifiedName { schema: Name::exact(&name.schemaname), name: Name::exact(&name.relname) }
}
