//! [`Parsed`] → [`Resolved`]: names → securables on the catalog snapshot; requirements; the edits to make.
//!
//! In: one statement's tree, the footing, the session's search path. Out: what the statement needs, what it touches, its tree
//! as it is to reach upstream, and the same changes as edits of the client's text. Never: decisions, I/O. Whatever is not
//! understood is refused.

pub(in crate::sql) mod asked;
pub mod builtins;
mod catalog_relations;
pub(in crate::sql) mod catalogs;
mod children;
mod columns;
mod conflict;
mod copy;
mod defaults;
mod define;
mod error;
mod explain;
mod from;
mod functions;
mod grouping;
mod harmless;
mod identity;
pub(in crate::sql) mod indifferent;
pub(in crate::sql) mod leaves;
mod merge;
pub(in crate::sql) mod names;
pub(in crate::sql) mod naming;
mod narrow;
mod parameters;
mod plain;
mod policy;
mod reading;
mod relations;
mod requirements;
mod returning;
mod scope;
mod select;
mod sequences;
mod settings;
mod spans;
mod temporary;
pub(in crate::sql) mod ties;
mod utility;
pub(in crate::sql) mod walk;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use pg_query::{Node, NodeEnum as Kind};

use super::parse::{Support, Surface};
use super::rewrite::splice::Edits;
use super::{Effect, Parsed, SessionObjects, StatementKind, Touched};
use crate::catalog::{Footing, SearchPath};
use crate::policy::{Requirement, Subject};

pub use error::{Mistake, ResolveError};
pub use naming::check_declared;

use asked::{Onlooker, Seen, Watched};
use walk::{Ground, Purpose, Walk};

/// A statement with what it needs and what will be changed in it.
#[derive(Debug)]
pub struct Resolved {
    /// The statement; its tree is what is to reach upstream.
    pub(in crate::sql) parsed: Parsed,
    pub(in crate::sql) requirements: Arc<[Requirement]>,
    pub(in crate::sql) touched: Touched,
    pub(in crate::sql) effect: Effect,
    /// The changes of the client's text that give that tree.
    pub(in crate::sql) edits: Edits,
    /// It does more than read.
    pub(in crate::sql) active: bool,
    /// Texts that go with the statement, each with the tree that it must have.
    pub(in crate::sql) companions: Vec<(Arc<str>, Node)>,
    /// What was asked about the principal.
    pub(in crate::sql) seen: Vec<Seen>,
    /// Prepared statements or cursors of the session were asked for.
    pub(in crate::sql) refers: bool,
}

impl Resolved {
    /// What it needs.
    pub fn requirements(&self) -> &Arc<[Requirement]> {
        &self.requirements
    }

    /// What it touches.
    pub fn touched(&self) -> Touched {
        self.touched
    }

    /// What the session must know about it.
    pub fn effect(&self) -> &Effect {
        &self.effect
    }
}

/// Resolves one statement. The subject matters only for whether it is an administrator's, and for what is kept in [`Resolved`]: whether
/// it sees the relations that the text gives by their numbers.
pub fn resolve(
    parsed: Parsed,
    footing: &Footing,
    search_path: &SearchPath,
    subject: &Subject,
    objects: &dyn SessionObjects,
) -> Result<Resolved, ResolveError> {
    resolve_for(parsed, footing, search_path, subject.admin, Onlooker::new(subject), objects)
}

/// The same for whoever the answers of an onlooker are right for.
pub(in crate::sql) fn resolve_for(
    mut parsed: Parsed,
    footing: &Footing,
    path: &SearchPath,
    admin: bool,
    onlooker: Onlooker<'_>,
    objects: &dyn SessionObjects,
) -> Result<Resolved, ResolveError> {
    let kind = parsed.kind();
    let sql = parsed.sql.clone();
    let watched = Watched::new(objects);
    let ground = Ground { footing, path, admin, onlooker: Some(&onlooker), objects: &watched };
    let mut walk = Walk::new(ground, Purpose::Statement, &sql);
    let temporary = walk.is_temporary(&parsed.tree);
    match parsed.classified() {
        _ if temporary => {}
        Some(Surface { support: Support::Everyone, .. }) => {}
        Some(Surface { support: Support::Admins(_), .. }) if admin => {}
        Some(Surface { support: Support::Admins(reason), statement, .. }) => {
            return Err(ResolveError::AdministratorsOnly { statement, reason });
        }
        Some(Surface { support: Support::Nobody(reason), statement, .. }) => {
            return Err(ResolveError::unsupported(*statement, None).because(*reason));
        }
        None => return Err(ResolveError::unsupported(kind.label(), None)),
    }
    walk.look_ahead(&parsed.tree)?;
    let effect = if temporary { walk.define_temporary(kind, &mut parsed.tree)? } else { walk.statement(kind, &mut parsed.tree)? };
    let requirements: Arc<[Requirement]> = walk.requirements.take().into();
    let active = walk.active || !reading::only_reads(kind, &effect, &requirements, &footing.catalog);
    let (touched, edits, companions) = (walk.touched, std::mem::take(&mut walk.edits), std::mem::take(&mut walk.companions));
    let (refers, seen) = (watched.asked(), onlooker.told());
    Ok(Resolved { parsed, requirements, touched, effect, edits, active, companions, seen, refers })
}

impl Walk<'_> {
    fn statement(&mut self, kind: StatementKind, tree: &mut Node) -> Result<Effect, ResolveError> {
        match tree.node.as_mut() {
            Some(Kind::SelectStmt(inner)) if inner.into_clause.is_some() => self.define_or_maintain(kind, tree),
            Some(Kind::SelectStmt(inner)) => {
                let (setting, checked) = settings::set_configs(inner)?;
                self.set_configs = checked;
                self.select(inner)?;
                Ok(setting.unwrap_or(Effect::None))
            }
            Some(Kind::InsertStmt(_) | Kind::UpdateStmt(_) | Kind::DeleteStmt(_) | Kind::MergeStmt(_)) => {
                self.query(tree)?;
                Ok(Effect::None)
            }
            Some(Kind::TransactionStmt(inner)) => self.transaction(inner),
            Some(Kind::VariableSetStmt(inner)) => self.set(inner),
            Some(Kind::VariableShowStmt(inner)) if inner.name.eq_ignore_ascii_case("session_authorization") => {
                self.show_identity(tree)
            }
            Some(Kind::VariableShowStmt(inner)) => self.show(&inner.name),
            Some(Kind::ConstraintsSetStmt(inner)) => self.set_constraints(inner),
            Some(Kind::PrepareStmt(inner)) => self.prepare(inner),
            Some(Kind::ExecuteStmt(inner)) => self.execute(inner),
            Some(Kind::DeallocateStmt(inner)) => {
                Ok(Effect::Deallocate { name: (!inner.isall).then(|| crate::name::Name::exact(&inner.name)) })
            }
            Some(Kind::DeclareCursorStmt(inner)) => self.declare(inner),
            Some(Kind::FetchStmt(inner)) => self.fetch(inner),
            Some(Kind::ClosePortalStmt(inner)) => {
                Ok(Effect::Close { cursor: (!inner.portalname.is_empty()).then(|| crate::name::Name::exact(&inner.portalname)) })
            }
            Some(Kind::ExplainStmt(inner)) => self.explain(inner),
            Some(Kind::CopyStmt(inner)) => self.copy(inner),
            Some(Kind::DiscardStmt(inner)) => utility::discard(inner),
            Some(Kind::ListenStmt(inner)) => self.channel(&inner.conditionname),
            Some(Kind::NotifyStmt(inner)) => self.channel(&inner.conditionname),
            Some(Kind::DoStmt(_)) => {
                self.need_anonymous_function();
                Ok(Effect::None)
            }
            Some(Kind::CallStmt(inner)) => self.call_procedure(inner),
            Some(Kind::UnlistenStmt(inner)) => self.channel(&inner.conditionname),
            _ => self.define_or_maintain(kind, tree),
        }
    }
}
