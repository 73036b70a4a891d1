//! CREATE RULE, for administrators: its actions run with the rights of the table's owner when somebody writes to the table. They read
//! governed views, and write to nothing governed; what they touch is looked at again where the table is written.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{CmdType, RuleStmt};

use super::DEFINES;
use super::needs::Need;
use crate::sql::Effect;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::scope::Item;
use crate::sql::resolve::walk::{Purpose, Walk};

impl Walk<'_> {
    pub(super) fn create_rule(&mut self, statement: &mut RuleStmt) -> Result<Effect, ResolveError> {
        let RuleStmt { relation, rulename: _, where_clause, event, instead: _, actions, replace: _ } = statement;
        if !matches!(CmdType::try_from(*event), Ok(CmdType::CmdInsert | CmdType::CmdUpdate | CmdType::CmdDelete)) {
            return Err(ResolveError::unsupported("CREATE RULE ... ON SELECT", None)
                .because("It would make the table a view that no row filter and no mask knows.")
                .instead("Use CREATE VIEW."));
        }
        let name = relation.as_mut().ok_or(ResolveError::misplaced("CREATE RULE"))?;
        let Some(on) = self.existing(name, false, Need::Own)? else { return Err(ResolveError::misplaced("CREATE RULE")) };
        let columns: Vec<String> = on.columns.iter().map(|c| c.name.as_str().to_owned()).collect();
        // What is temporary belongs to the session's login, for which filters and masks hold.
        let purpose = if self.temporary { Purpose::Statement } else { Purpose::Owner };
        self.scopes.push();
        for row in ["old", "new"] {
            self.scopes.top().items.push(Item::plain(row, Some(columns.clone()), 0..0));
        }
        self.optional(where_clause)?;
        for action in actions {
            match action.node.as_ref() {
                Some(Kind::NotifyStmt(inner)) => self.channel(&inner.conditionname).map(|_| ())?,
                _ => self.inner_query(action, purpose).map(|_| ())?,
            }
        }
        self.scopes.pop();
        Ok(DEFINES)
    }
}
