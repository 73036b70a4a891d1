//! CREATE SCHEMA, and the statements within it: each is analysed and run on its own once the schema is there, in one transaction.

use std::ops::Range;
use std::sync::Arc;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{CreateSchemaStmt, Node, RangeVar, RoleSpecType};

use super::owned;
use crate::name::Name;
use crate::sql::parse::{only, tree};
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::walk::Walk;
use crate::sql::{Effect, Executor, Fill, Owned};

impl Walk<'_> {
    pub(super) fn create_schema(&mut self, statement: &mut CreateSchemaStmt) -> Result<Effect, ResolveError> {
        self.take_own_authorization(statement)?;
        self.own_schema(&statement.schemaname)?;
        self.need_create_in_catalog();
        self.by = Executor::Owner;
        let fill = self.take_elements(statement)?;
        Ok(match owned(None, true) {
            Effect::AsOwner(made) => Effect::AsOwner(Owned { fill, ..made }),
            other => other,
        })
    }

    /// AUTHORIZATION of oneself says what is so anyway.
    fn take_own_authorization(&mut self, statement: &mut CreateSchemaStmt) -> Result<(), ResolveError> {
        let Some(role) = statement.authrole.take() else { return Ok(()) };
        let own = matches!(
            RoleSpecType::try_from(role.roletype),
            Ok(RoleSpecType::RolespecCurrentUser | RoleSpecType::RolespecCurrentRole | RoleSpecType::RolespecSessionUser)
        );
        if !own || statement.schemaname.is_empty() {
            return Err(ResolveError::unsupported("CREATE SCHEMA with AUTHORIZATION", None)
                .because("Who makes a schema owns it.")
                .instead("Name the schema, and use ALTER SCHEMA ... OWNER TO."));
        }
        let tokens = self.tokens();
        let clause = tokens.find_word(0, "authorization").and_then(|at| tokens.range(at, at + 2));
        self.edit(clause.ok_or(ResolveError::misplaced("location"))?, "");
        Ok(())
    }

    /// What is to be made in the schema leaves the statement.
    fn take_elements(&mut self, statement: &mut CreateSchemaStmt) -> Result<Option<Fill>, ResolveError> {
        if statement.schema_elts.is_empty() {
            return Ok(None);
        }
        let ranges = self.element_ranges().ok_or(ResolveError::misplaced("location"))?;
        let same = |(range, node): (&Range<usize>, &Node)| {
            let found = self.text.get(range.clone()).and_then(|text| only(text).ok()?);
            found.is_some_and(|found| tree::equal(&found, node))
        };
        if ranges.len() != statement.schema_elts.len() || !ranges.iter().zip(&statement.schema_elts).all(same) {
            return Err(ResolveError::unsupported("CREATE SCHEMA with these elements", None)
                .instead("Make what is in the schema by statements of its own."));
        }
        let mut ordered = Vec::with_capacity(ranges.len());
        for (range, node) in ranges.iter().zip(&statement.schema_elts) {
            ordered.push((rank(node, &statement.schemaname)?, self.alone(range)?));
        }
        // As in PostgreSQL, whatever the order in which they stand.
        ordered.sort_by_key(|(rank, _)| *rank);
        let from = ranges.first().map_or(0, |range| range.start);
        self.edit(from..self.tokens().end(), "");
        statement.schema_elts.clear();
        let statements = ordered.into_iter().map(|(_, text)| text).collect();
        Ok(Some(Fill::Schema { name: Name::exact(&statement.schemaname), statements }))
    }

    /// Where the elements stand: each begins with a word that nothing else in them is.
    fn element_ranges(&self) -> Option<Vec<Range<usize>>> {
        let tokens = self.tokens();
        let begins = |from| {
            let words = ["create", "grant"].into_iter().filter_map(|word| tokens.find_word(from, word));
            words.min()
        };
        let mut ranges = Vec::new();
        let mut at = begins(1)?;
        loop {
            let next = begins(at + 1);
            ranges.push(tokens.range(at, next.unwrap_or(tokens.count()))?);
            match next {
                Some(next) => at = next,
                None => return Some(ranges),
            }
        }
    }

    /// The statement with blanks for all but the range, so that places in it stay what they are.
    fn alone(&self, range: &Range<usize>) -> Result<Arc<str>, ResolveError> {
        let text = self.text.get(range.clone()).ok_or(ResolveError::misplaced("location"))?;
        Ok(format!("{}{text}", " ".repeat(range.start)).into())
    }
}

/// When an element's turn comes. It may name no other schema.
fn rank(node: &Node, schema: &str) -> Result<u8, ResolveError> {
    let within = |name: Option<&RangeVar>, rank| match name {
        Some(name) if name.schemaname.is_empty() || name.schemaname == schema => Ok(rank),
        Some(name) => Err(ResolveError::ElsewhereThan { given: name.schemaname.clone(), made: schema.to_owned() }),
        None => Err(ResolveError::misplaced("CREATE SCHEMA")),
    };
    match node.node.as_ref() {
        Some(Kind::CreateSeqStmt(inner)) => within(inner.sequence.as_ref(), 0),
        Some(Kind::CreateStmt(inner)) => within(inner.relation.as_ref(), 1),
        Some(Kind::ViewStmt(inner)) => within(inner.view.as_ref(), 2),
        Some(Kind::IndexStmt(inner)) => within(inner.relation.as_ref(), 3),
        Some(Kind::CreateTrigStmt(inner)) => within(inner.relation.as_ref(), 4),
        _ => Err(ResolveError::unsupported("GRANT in CREATE SCHEMA", None).instead("Grant by statements of their own.")),
    }
}
