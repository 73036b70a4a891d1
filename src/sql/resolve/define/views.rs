//! Views and materialized views.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{RefreshMatViewStmt, ViewStmt};

use super::needs::Need;
use super::{DEFINES, MAINTAINS};
use crate::catalog::{Function, RelationKind};
use crate::policy::{Holder, Oid, Privilege, Securable};
use crate::sql::Effect;
use crate::sql::resolve::walk::{Purpose, Walk};
use crate::sql::resolve::{Mistake, ResolveError};

impl Walk<'_> {
    /// CREATE VIEW: upstream it will belong to a role for which row security holds. To put another definition into a view is for its
    /// owner, with whose grants it reads.
    pub(super) fn create_view(&mut self, statement: &mut ViewStmt) -> Result<Effect, ResolveError> {
        let ViewStmt { view, aliases: _, query, replace, options, with_check_option: _ } = statement;
        let query = query.as_deref_mut().ok_or(ResolveError::misplaced("CREATE VIEW"))?;
        match &query.node {
            Some(Kind::SelectStmt(select)) if select.into_clause.is_some() => {
                let message = "views must not contain SELECT INTO".to_owned();
                return Err(ResolveError::Refused { message, mistake: Mistake::Feature, position: None });
            }
            Some(Kind::SelectStmt(_)) => {}
            _ => return Err(ResolveError::misplaced("CREATE VIEW")),
        }
        self.with_functions(|walk| walk.inner_query(query, Purpose::Definition))?;
        self.refuse_temporary()?;
        let name = self.create_name(view.as_mut())?;
        self.definitions(options)?;
        if let Some(there) = self.already(&name).filter(|_| *replace) {
            self.need_on(there, Need::Own)?;
        }
        Ok(DEFINES)
    }

    /// What stays may not read what goes with the session.
    fn refuse_temporary(&self) -> Result<(), ResolveError> {
        let temporary = |oid: &Oid| self.ground.footing.catalog.relation(*oid).is_some_and(|r| r.temporary);
        if self.log.iter().any(temporary) {
            return Err(ResolveError::unsupported("a view over a temporary table", None));
        }
        Ok(())
    }

    /// Views call no functions of the database's own, and nor do those that they read: they would be called with the rights of the owner
    /// upstream of what is materialized. `trusted` views may.
    pub(in crate::sql::resolve) fn views_call_nothing(
        &self,
        views: Vec<Oid>,
        trusted: impl Fn(Oid) -> bool,
    ) -> Result<(), ResolveError> {
        let catalog = &self.ground.footing.catalog;
        let mut open = views;
        let mut seen = std::collections::HashSet::new();
        while let Some(oid) = open.pop() {
            if !seen.insert(oid) {
                continue;
            }
            let native = |f: &Oid| catalog.function(*f).is_some_and(Function::is_native);
            if !trusted(oid) && !catalog.called_by_view(oid).iter().all(native) {
                return Err(ResolveError::unsupported(
                    "a materialized view over a view that calls functions outside pg_catalog",
                    None,
                )
                .because("The functions would run with owner's rights."));
            }
            open.extend(catalog.relation(oid).map_or(&[][..], |r| &r.reads));
        }
        Ok(())
    }

    /// REFRESH MATERIALIZED VIEW: by its owner, who still reads what it reads.
    pub(super) fn refresh(&mut self, statement: &mut RefreshMatViewStmt) -> Result<Effect, ResolveError> {
        let name = statement.relation.as_mut().ok_or(ResolveError::misplaced("REFRESH"))?;
        if let Some(view) = self.existing(name, false, Need::Own)?
            && view.kind == RelationKind::MaterializedView
        {
            let catalog = &self.ground.footing.catalog;
            for read in view.reads.iter().filter_map(|oid| catalog.relation(*oid)) {
                self.need_relation(read, Holder::OwnerOfView(view.oid), Privilege::Select);
            }
            // Who owns a view may have put other calls into it since, whoever refreshes what reads it.
            let policies = &self.ground.footing.policies;
            let owner = |oid| policies.owner(Securable::Relation(oid));
            let by_administrator = |oid| owner(oid).is_none_or(|id| policies.subject(id).is_some_and(|owner| owner.admin));
            self.views_call_nothing(vec![view.oid], by_administrator)?;
        }
        Ok(MAINTAINS)
    }
}
