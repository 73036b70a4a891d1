//! Commands about the session: transactions, prepared statements, cursors, notifications, DISCARD.

use std::sync::Arc;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    ConstraintsSetStmt, DeclareCursorStmt, DiscardMode, DiscardStmt, ExecuteStmt, FetchStmt, PrepareStmt, TransactionStmt,
    TransactionStmtKind,
};

use super::ResolveError;
use super::reading;
use super::walk::Walk;
use crate::name::Name;
use crate::sql::{Discard, Effect, Remembered, Transaction};

/// CURSOR_OPT_HOLD of `parsenodes.h`.
const CURSOR_HOLD: i32 = 0x0020;

impl Walk<'_> {
    pub(super) fn transaction(&mut self, statement: &TransactionStmt) -> Result<Effect, ResolveError> {
        let TransactionStmt { kind, options, savepoint_name, gid: _, chain, location: _ } = statement;
        let name = || Name::exact(savepoint_name);
        self.active |= reading::asks_to_write(options);
        Ok(Effect::Transaction(match TransactionStmtKind::try_from(*kind) {
            Ok(TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart) => Transaction::Begin,
            Ok(TransactionStmtKind::TransStmtCommit) => Transaction::Commit { chain: *chain },
            Ok(TransactionStmtKind::TransStmtRollback) => Transaction::Rollback { chain: *chain },
            Ok(TransactionStmtKind::TransStmtSavepoint) => Transaction::Savepoint(name()),
            Ok(TransactionStmtKind::TransStmtRelease) => Transaction::Release(name()),
            Ok(TransactionStmtKind::TransStmtRollbackTo) => Transaction::RollbackTo(name()),
            Ok(
                TransactionStmtKind::TransStmtPrepare
                | TransactionStmtKind::TransStmtCommitPrepared
                | TransactionStmtKind::TransStmtRollbackPrepared,
            ) => {
                return Err(ResolveError::unsupported("two-phase commit", None)
                    .because("A prepared transaction would outlive its session, and with it the principal."));
            }
            Ok(TransactionStmtKind::Undefined) | Err(_) => return Err(ResolveError::misplaced("transaction command")),
        }))
    }

    pub(super) fn prepare(&mut self, statement: &mut PrepareStmt) -> Result<Effect, ResolveError> {
        let PrepareStmt { name, argtypes, query } = statement;
        self.expressions(argtypes)?;
        match query.as_deref_mut() {
            Some(query) => self.query(query)?,
            None => return Err(ResolveError::misplaced("PREPARE")),
        };
        let inner = self
            .tokens()
            .find_word(0, "as")
            .and_then(|at| self.tokens().get(at + 1))
            .and_then(|token| self.text.get(token.start..self.tokens().end()))
            .ok_or(ResolveError::misplaced("PREPARE"))?;
        Ok(Effect::Prepare { name: Name::exact(name), inner: Arc::from(inner) })
    }

    pub(super) fn execute(&mut self, statement: &mut ExecuteStmt) -> Result<Effect, ResolveError> {
        let ExecuteStmt { name, params } = statement;
        self.expressions(params)?;
        let remembered =
            self.ground.objects.prepared(name).ok_or_else(|| ResolveError::UndefinedStatement { name: name.clone() })?;
        self.remember(&remembered);
        Ok(Effect::Execute { name: Name::exact(name) })
    }

    fn remember(&mut self, remembered: &Remembered) {
        self.touched.filtered |= remembered.touched.filtered;
        self.touched.masked |= remembered.touched.masked;
        for requirement in remembered.requirements.iter() {
            self.requirements.add(requirement.clone());
        }
    }

    pub(super) fn declare(&mut self, statement: &mut DeclareCursorStmt) -> Result<Effect, ResolveError> {
        let DeclareCursorStmt { portalname, options, query } = statement;
        match query.as_deref_mut() {
            Some(query) if matches!(query.node, Some(Kind::SelectStmt(_))) => self.query(query)?,
            _ => return Err(ResolveError::unsupported("a cursor over anything but a query", None)),
        };
        Ok(Effect::Declare { cursor: Name::exact(portalname), hold: *options & CURSOR_HOLD != 0 })
    }

    pub(super) fn fetch(&mut self, statement: &FetchStmt) -> Result<Effect, ResolveError> {
        let name = &statement.portalname;
        let remembered = self.ground.objects.cursor(name).ok_or_else(|| ResolveError::UndefinedCursor { name: name.clone() })?;
        self.remember(&remembered);
        Ok(Effect::Fetch { cursor: Name::exact(name) })
    }

    /// LISTEN, NOTIFY, UNLISTEN: channels of ours are not open.
    pub(super) fn channel(&mut self, name: &str) -> Result<Effect, ResolveError> {
        if name.starts_with("pgusher") {
            return Err(ResolveError::ProtectedCommand { what: "use this channel", reason: "Channels named pgusher are ours." });
        }
        Ok(Effect::Notification)
    }

    pub(super) fn set_constraints(&mut self, statement: &ConstraintsSetStmt) -> Result<Effect, ResolveError> {
        for constraint in &statement.constraints {
            match constraint.node.as_ref() {
                Some(Kind::RangeVar(name)) => self.may_name(&name.schemaname, super::names::offset(name.location))?,
                _ => return Err(ResolveError::misplaced("constraint")),
            }
        }
        Ok(Effect::None)
    }
}

/// DISCARD.
pub(super) fn discard(statement: &DiscardStmt) -> Result<Effect, ResolveError> {
    Ok(Effect::Discard(match DiscardMode::try_from(statement.target) {
        Ok(DiscardMode::DiscardAll) => Discard::All,
        Ok(DiscardMode::DiscardPlans) => Discard::Plans,
        Ok(DiscardMode::DiscardSequences) => Discard::Sequences,
        Ok(DiscardMode::DiscardTemp) => Discard::Temporary,
        Ok(DiscardMode::Undefined) | Err(_) => return Err(ResolveError::misplaced("DISCARD")),
    }))
}
