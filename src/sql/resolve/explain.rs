//! EXPLAIN: needs READ_METADATA on every relation; a plan over governed relations shows filters and estimates.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{CreateTableAsStmt, ExplainStmt, IntoClause, Node, a_const};

use super::ResolveError;
use super::names::string;
use super::walk::Walk;
use crate::policy::{Holder, Privilege, Requirement, Securable};
use crate::sql::Effect;

impl Walk<'_> {
    /// EXPLAIN of a query, of EXECUTE, of DECLARE CURSOR, or of what makes a relation of a query, as long as it is not made.
    pub(super) fn explain(&mut self, statement: &mut ExplainStmt) -> Result<Effect, ResolveError> {
        let ExplainStmt { query, options } = statement;
        let analyze = options.iter().any(is_analyze);
        let query = query.as_deref_mut().ok_or(ResolveError::misplaced("EXPLAIN"))?;
        // What EXECUTE names decides what is explained: the session must look at it as for EXECUTE itself.
        let mut effect = Effect::None;
        match query.node.as_mut() {
            Some(Kind::SelectStmt(inner)) if inner.into_clause.is_some() => {
                if analyze {
                    return Err(makes());
                }
                self.into_open = true;
                self.query(query)?;
                if let Some(Kind::SelectStmt(inner)) = query.node.as_mut() {
                    self.explain_making(inner.into_clause.as_deref_mut())?;
                }
            }
            Some(Kind::SelectStmt(_) | Kind::InsertStmt(_) | Kind::UpdateStmt(_) | Kind::DeleteStmt(_) | Kind::MergeStmt(_)) => {
                self.query(query)?;
            }
            Some(Kind::ExecuteStmt(inner)) => {
                effect = self.execute(inner)?;
            }
            Some(Kind::DeclareCursorStmt(inner)) => match inner.query.as_deref_mut() {
                Some(query) => {
                    self.query(query)?;
                }
                None => return Err(ResolveError::misplaced("EXPLAIN")),
            },
            Some(Kind::CreateTableAsStmt(inner)) if !analyze => self.explain_filling(inner)?,
            Some(Kind::CreateTableAsStmt(_)) => return Err(makes()),
            _ => return Err(ResolveError::unsupported("EXPLAIN of this kind of statement", None)),
        }
        let governed = std::mem::take(&mut self.governed);
        // Of an EXECUTE only this much is remembered.
        let all_governed = governed.is_empty() && (self.touched.filtered || self.touched.masked);
        let requirements = self.requirements.take();
        // Plans count the rows that are left out.
        let catalogs = all_governed && !requirements.iter().any(|r| matches!(r.securable, Securable::Relation(_)));
        if (catalogs || self.outlook.read) && !self.ground.admin {
            return Err(ResolveError::unsupported("EXPLAIN over the catalogs", None)
                .because("The plan would tell of objects without a grant on them."));
        }
        for requirement in requirements {
            let Securable::Relation(oid) = requirement.securable else {
                self.requirements.add(requirement);
                continue;
            };
            let instead = |privilege| Requirement { privilege, ..requirement.clone() };
            self.requirements.add(instead(Privilege::ReadMetadata));
            if requirement.holder == Holder::Session && (all_governed || governed.contains(&oid)) {
                self.requirements.add(instead(Privilege::Manage));
            }
            if analyze {
                self.requirements.add(requirement);
            }
        }
        Ok(effect)
    }
}

impl Walk<'_> {
    /// What would fill the relation is planned for the session itself.
    fn explain_filling(&mut self, statement: &mut CreateTableAsStmt) -> Result<(), ResolveError> {
        let query = statement.query.as_deref_mut().filter(|query| matches!(query.node, Some(Kind::SelectStmt(_))));
        self.query(query.ok_or(ResolveError::unsupported("EXPLAIN of this kind of statement", None))?)?;
        self.explain_making(statement.into.as_deref_mut())
    }

    fn explain_making(&mut self, into: Option<&mut IntoClause>) -> Result<(), ResolveError> {
        let into = into.ok_or(ResolveError::misplaced("EXPLAIN"))?;
        self.aliases = false;
        self.temporary = into.rel.as_ref().is_some_and(|name| self.is_made_temporary(name));
        self.create_name(into.rel.as_mut())?;
        self.definitions(&mut into.options)
    }
}

fn makes() -> ResolveError {
    ResolveError::unsupported("EXPLAIN ANALYZE of CREATE TABLE AS and its like", None).instead("Explain the query alone.")
}

fn is_analyze(option: &Node) -> bool {
    let Some(Kind::DefElem(option)) = option.node.as_ref() else { return true };
    if option.defname != "analyze" {
        return false;
    }
    let Some(value) = option.arg.as_deref() else { return true };
    if let Some(text) = string(value) {
        return !matches!(text.to_ascii_lowercase().as_str(), "off" | "false" | "0");
    }
    match value.node.as_ref() {
        Some(Kind::Integer(number)) => number.ival != 0,
        Some(Kind::Boolean(flag)) => flag.boolval,
        Some(Kind::AConst(constant)) => !matches!(constant.val, Some(a_const::Val::Boolval(ref flag)) if !flag.boolval),
        _ => true,
    }
}
