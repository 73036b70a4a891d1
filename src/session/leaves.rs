//! What statements leave on the connection that they run on, as far as that can be told beforehand.

use std::collections::HashSet;

use super::script::contains_folded;
use crate::catalog::{Footing, Function, RelationKind};
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
            asks: asks || shakes || unknown || mentions.lasting,
            shakes: shakes || unknown,
            writes: !requirements.iter().all(reads) || matches!(rewritten.effect(), Effect::AsOwner(_)),
            sets: matches!(rewritten.effect(), Effect::Set { .. }) || mentions.set_config,
            sequences: mentions.sequences,
        }
    }
}

/// What a statement may run through what it reads and writes: by definitions of views, by defaults, constraints, indexes and triggers, by the
/// types of columns, by row filters and column masks. First whether code that is not PostgreSQL's own; then whether functions of
/// PostgreSQL's own that leave something behind. In doubt it may.
pub(super) fn behind(rewritten: &Rewritten, footing: &Footing) -> (bool, bool) {
    let catalog = &footing.catalog;
    let foreign = |function: &Function| !catalog.schema(function.schema).is_some_and(|schema| schema.ours || schema.system);
    let ours = |oid: &Oid| catalog.function(*oid).is_some_and(|function| !foreign(function));
    let calls = |functions: &[Oid]| !functions.iter().all(ours);
    let requirements = rewritten.remembered().requirements;
    let writes = requirements.iter().any(|need| need.privilege == Privilege::Modify);
    let triggers = || catalog.functions().any(|function| foreign(function) && &*function.result_type == "trigger");
    if (writes && triggers()) || catalog.user_types().any(|made| calls(&made.calls)) {
        return (true, true);
    }
    let mut indirect = false;
    let mut open: Vec<Oid> = requirements.iter().filter_map(|need| need.securable.relation()).collect();
    let mut seen = HashSet::new();
    while let Some(oid) = open.pop() {
        if !seen.insert(oid) {
            continue;
        }
        let policies = &footing.policies;
        let filters = policies.filter(oid).map(|filter| &filter.expression).into_iter();
        let mut expressions = filters.chain(policies.masks(oid).iter().map(|mask| &mask.expression));
        let named = |text: &str| catalog.functions().any(|function| foreign(function) && text.contains(function.name.as_str()));
        indirect |= expressions.clone().any(|text| LEAVING.iter().any(|word| contains_folded(text, word)));
        if calls(catalog.called_by_view(oid)) || calls(catalog.called_by_parts(oid)) || expressions.any(|text| named(text)) {
            return (true, true);
        }
        open.extend_from_slice(catalog.children(oid));
        if let Some(relation) = catalog.relation(oid) {
            // What PostgreSQL's own functions its definition calls is not known.
            indirect |= relation.kind == RelationKind::View;
            open.extend_from_slice(&relation.reads);
            open.extend_from_slice(&relation.parents);
        }
    }
    (false, indirect)
}

/// In the names of PostgreSQL's own functions that leave something behind.
const LEAVING: [&str; 7] = ["advisory", "nextval", "setval", "currval", "lastval", "setseed", "set_config"];
