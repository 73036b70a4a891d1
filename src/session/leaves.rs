//! What statements leave on the connection that they run on, as far as that can be told beforehand.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use super::script::contains_folded;
use crate::catalog::load::LEAVING;
use crate::catalog::{Basis, Footing, Function, Operator, Relation, RelationKind};
use crate::policy::{Oid, Privilege, Requirement};
use crate::sql::{Effect, Rewritten, StatementKind};

/// What a statement may leave on its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaves {
    /// Upstream is to be asked what is there when its transaction ends.
    pub(super) asks: bool,
    /// Code that is not PostgreSQL's own may have left anything behind.
    pub(super) shakes: bool,
    /// It writes, or reads through a definition: functions of PostgreSQL's own may have run that leave something behind.
    pub(super) writes: bool,
    /// It draws from sequences, or asks what was drawn.
    pub(super) sequences: bool,
    /// It sets something, if only for its transaction.
    pub(super) sets: bool,
}

impl Leaves {
    /// What a statement may leave; `shakes`: it calls what is not PostgreSQL's own, by itself or through what it reads and writes.
    pub(super) fn of(rewritten: &Rewritten, shakes: bool) -> Self {
        let mentions = rewritten.mentions();
        let shakes = shakes || matches!(rewritten.kind(), StatementKind::Do | StatementKind::Call);
        let requirements = rewritten.remembered().requirements;
        let reads = |need: &Requirement| matches!(need.privilege, Privilege::Select | Privilege::ReadMetadata);
        let (asks, unknown) = match rewritten.effect() {
            Effect::Set { local, .. } => (!local, false),
            Effect::Reset { .. } | Effect::Discard(_) | Effect::Temporary => (true, false),
            Effect::Notification => (rewritten.kind() != StatementKind::Notify, false),
            Effect::Prepare { .. } | Effect::Deallocate { .. } | Effect::Close { .. } => (true, false),
            Effect::Declare { hold, .. } => (*hold, false),
            // What it runs may be anything.
            Effect::Execute { .. } => (true, true),
            // Event triggers run with it.
            Effect::AsOwner(_) => (true, true),
            Effect::None
            | Effect::Transaction(_)
            | Effect::Show { .. }
            | Effect::Fetch { .. }
            | Effect::CopyOut
            | Effect::CopyIn
            | Effect::CopyInGoverned(_) => (false, false),
        };
        Self {
            asks: asks || shakes || unknown || mentions.lasting || mentions.escaped,
            shakes: shakes || unknown,
            writes: !requirements.iter().all(reads) || matches!(rewritten.effect(), Effect::AsOwner(_)),
            sets: matches!(rewritten.effect(), Effect::Set { .. }) || mentions.set_config || mentions.escaped,
            sequences: mentions.sequences || mentions.escaped,
        }
    }
}

/// What statements that need the same may run through what they read and write: found out once, when it is asked.
#[derive(Debug)]
pub(super) struct Behind {
    basis: Arc<Basis>,
    found: OnceLock<(bool, bool)>,
}

impl Behind {
    /// Of a statement that was analysed on this footing.
    pub(super) fn new(footing: &Footing) -> Arc<Self> {
        Arc::new(Self { basis: footing.basis().clone(), found: OnceLock::new() })
    }

    /// See [`behind`].
    pub(super) fn found(&self, rewritten: &Rewritten, footing: &Footing) -> (bool, bool) {
        if Arc::ptr_eq(&self.basis, footing.basis()) {
            *self.found.get_or_init(|| behind(rewritten, footing))
        } else {
            behind(rewritten, footing)
        }
    }
}

/// What a statement may run through what it reads and writes: by definitions of views, by defaults, constraints, indexes and triggers, by the
/// types of columns, by row filters and column masks. First whether code that is not PostgreSQL's own; then whether functions of
/// PostgreSQL's own that leave something behind. In doubt it may.
fn behind(rewritten: &Rewritten, footing: &Footing) -> (bool, bool) {
    let catalog = &footing.catalog;
    let ours = |oid: &Oid| catalog.function(*oid).is_some_and(|function| !is_foreign(function, footing));
    let calls = |functions: &[Oid]| !functions.iter().all(ours);
    let requirements = rewritten.remembered().requirements;
    let writes = requirements.iter().any(|need| need.privilege == Privilege::Modify);
    let triggers = || catalog.functions().any(|function| is_foreign(function, footing) && &*function.result_type == "trigger");
    if (writes && triggers()) || catalog.has_casts_by_code() || catalog.user_types().any(|made| calls(&made.calls)) {
        return (true, true);
    }
    // Values of types are made anywhere.
    let mut indirect = catalog.types_leave();
    let mut open: Vec<Oid> = requirements.iter().filter_map(|need| need.securable.relation()).collect();
    let mut seen = HashSet::new();
    while let Some(oid) = open.pop() {
        if !seen.insert(oid) {
            continue;
        }
        let mut expressions = policy_texts(oid, footing);
        indirect |= expressions.clone().any(|text| LEAVING.iter().any(|word| contains_folded(text, word)));
        if calls(catalog.called_by_view(oid))
            || calls(catalog.called_by_parts(oid))
            || expressions.clone().any(|text| says_code(text, footing))
        {
            return (true, true);
        }
        // What a subquery reads may be a view, and run anything.
        if expressions.any(|text| contains_folded(text, "select")) {
            let texts: Vec<&str> = policy_texts(oid, footing).collect();
            let named =
                |relation: &&Relation| relation.oid >= FIRST_OWN && texts.iter().any(|text| says(text, relation.name.as_str()));
            open.extend(catalog.relations().filter(named).map(|relation| relation.oid));
        }
        open.extend_from_slice(catalog.children(oid));
        if let Some(relation) = catalog.relation(oid) {
            // What PostgreSQL's own functions its definition calls is not known.
            indirect |= relation.kind == RelationKind::View || catalog.policies_leave(oid);
            open.extend_from_slice(&relation.reads);
            open.extend_from_slice(&relation.parents);
        }
    }
    (false, indirect)
}

/// The row filter and the column masks of a relation.
fn policy_texts(oid: Oid, footing: &Footing) -> impl Iterator<Item = &str> + Clone {
    let filter = footing.policies.filter(oid).into_iter().map(|filter| &*filter.expression);
    filter.chain(footing.policies.masks(oid).iter().map(|mask| &*mask.expression))
}

/// Whether an expression may call what is not PostgreSQL's own: by a function's name, by an operator, or by a name spelled in escapes.
fn says_code(text: &str, footing: &Footing) -> bool {
    let catalog = &footing.catalog;
    let coded = |operator: &Operator| !catalog.function(operator.function).is_some_and(Function::is_native);
    contains_folded(text, "u&\"")
        || catalog.functions().any(|function| is_foreign(function, footing) && says(text, function.name.as_str()))
        || catalog.operators().any(|operator| text.contains(operator.name.as_str()) && coded(operator))
}

/// Whether a name may stand in a text, in quotes or without.
fn says(text: &str, name: &str) -> bool {
    if name.contains('"') { text.contains(&name.replace('"', "\"\"")) } else { contains_folded(text, name) }
}

fn is_foreign(function: &Function, footing: &Footing) -> bool {
    !footing.catalog.schema(function.schema).is_some_and(|schema| schema.ours || schema.system)
}

/// Oids below are PostgreSQL's own (access/transam.h: FirstNormalObjectId).
const FIRST_OWN: Oid = 16384;
