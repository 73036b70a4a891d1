//! Brings upstream in line with the policies.
//!
//! In: catalog and policies, and what is upstream (`actual`). Out: a list of statements, empty when nothing is to do (`plan`), and
//! their execution (`apply`). What cannot be brought in line is refused by the footing, never served as it is.

mod actual;
mod apply;
mod plan;
mod privileges;
mod renew;
mod rls;
mod views;

use std::collections::HashMap;
use std::sync::Arc;

use apply::Patience;
pub(super) use renew::renew;

use super::governed::governed;
use super::load::Known;
use super::{StoreError, load};
use crate::catalog::{CatalogSnapshot, Footing, Governed};
use crate::policy::{Mechanism, Oid, PolicySnapshot};
use crate::upstream::OwnerChannel;

/// What the configuration says about how policies are enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How row filters are enforced where nothing else is chosen.
    pub row_filters: Mechanism,
    /// Strict mode: tables ask for grants themselves.
    pub strict: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { row_filters: Mechanism::Rls, strict: false }
    }
}

/// Waits until nobody else changes policies. Writers of policies and DDL of administrators stand in one row, so what is compared from
/// then on is what will be committed.
pub async fn lock_version(channel: &mut dyn OwnerChannel) -> Result<(), StoreError> {
    Ok(channel.execute("SELECT v.policy FROM pgusher.version AS v FOR UPDATE").await?)
}

/// Brings upstream in line with the policies, in the channel's transaction. Fails when a relation of `focus` (those that the command is
/// about) or what inherits from it cannot be; others that cannot are refused by the footing until mended. `known` is
/// what may be the same still, `catalog` the one that there is, where that was loaded after `lock_version`.
pub async fn run(
    channel: &mut dyn OwnerChannel,
    settings: &Settings,
    focus: &[Oid],
    known: Option<&Known>,
    catalog: Option<Arc<CatalogSnapshot>>,
) -> Result<(), StoreError> {
    lock_version(channel).await?;
    renew(channel, settings, known).await?;
    line_up(channel, settings, focus, known, catalog).await
}

/// The same for what changes no policy, while others may.
pub async fn line_up(
    channel: &mut dyn OwnerChannel,
    settings: &Settings,
    focus: &[Oid],
    known: Option<&Known>,
    mut catalog: Option<Arc<CatalogSnapshot>>,
) -> Result<(), StoreError> {
    let policies = Arc::new(load::policies(channel, known).await?);
    let mut failed: HashMap<Oid, Arc<str>> = HashMap::new();
    for _ in 0..ROUNDS {
        let catalog = match catalog.take() {
            Some(catalog) => catalog,
            None => Arc::new(load::catalog(channel, None, 0).await?),
        };
        let examined = examine(channel, catalog, policies.clone(), settings, failed.clone()).await?;
        check(&examined.footing, focus)?;
        if examined.tasks.is_empty() {
            return Ok(());
        }
        let failures = apply::apply(channel, &examined.tasks, Patience::COMMAND).await?;
        let footing = &examined.footing;
        let hit = focus
            .iter()
            .flat_map(|f| std::iter::once(*f).chain(descendants(&footing.catalog, *f)))
            .find_map(|oid| failures.get(&oid));
        if let Some(error) = hit {
            return Err(StoreError::Upstream(error.clone()));
        }
        for (oid, error) in failures {
            failed.insert(oid, error.message.into());
        }
    }
    tracing::warn!("upstream is not in line with the policies after {ROUNDS} rounds");
    Ok(())
}

/// Tells live sessions and every proxy that policies were changed; the last thing a governance command does. Returns the new version.
pub async fn changed(channel: &mut dyn OwnerChannel) -> Result<i64, StoreError> {
    let value = channel.fetch("SELECT pgusher.changed() AS version").await?;
    value
        .pointer("/0/version")
        .and_then(serde_json::Value::as_i64)
        .ok_or_else(|| StoreError::Malformed("pgusher.changed() gave no version".to_owned()))
}

/// A footing, and what is left to do upstream.
pub(super) struct Examined {
    pub(super) footing: Footing,
    tasks: Vec<plan::Task>,
    /// Functions of filters or masks were replaced, which may be taken over.
    replaced: bool,
}

impl Examined {
    /// Upstream is in line.
    pub(super) fn in_line(&self) -> bool {
        self.tasks.is_empty() && !self.replaced
    }

    /// The footing that may be served now: whatever is not in line is refused.
    pub(super) fn served(self, settings: &Settings) -> Footing {
        if self.tasks.is_empty() {
            return self.footing;
        }
        let Footing { catalog, policies, governed: known, .. } = self.footing;
        let mut failed: HashMap<Oid, Arc<str>> = known.iter().map(|(oid, g)| (*oid, g.clone())).filter_map(refusal).collect();
        for task in self.tasks {
            failed.entry(task.relation).or_insert_with(|| "upstream is not in line with its policies yet".into());
        }
        let governed = governed(&catalog, &policies, settings, &failed);
        Footing::new(catalog, policies, governed)
    }
}

/// Compares upstream with the policies; `failed` are relations that are known to be beyond repair.
pub(super) async fn examine(
    channel: &mut dyn OwnerChannel,
    catalog: Arc<CatalogSnapshot>,
    policies: Arc<PolicySnapshot>,
    settings: &Settings,
    mut failed: HashMap<Oid, Arc<str>>,
) -> Result<Examined, StoreError> {
    let first = governed(&catalog, &policies, settings, &failed);
    let actual = actual::load(channel, &first).await?;
    if let Some(wrong) = &actual.roles {
        return Err(StoreError::Roles(wrong.clone()));
    }
    let mut footing = Footing::new(catalog, policies, first);
    // Each failure may refuse what reads the relation; a handful of rounds reaches every view of views.
    loop {
        let plan = plan::plan(&footing, &actual, settings);
        let before = failed.len();
        failed.extend(plan.failed);
        if failed.len() == before {
            return Ok(Examined { footing, tasks: plan.tasks, replaced: actual.replaced });
        }
        footing.governed = Arc::new(governed(&footing.catalog, &footing.policies, settings, &failed));
    }
}

/// One attempt at what is left to do; gives what failed.
pub(super) async fn repair(channel: &mut dyn OwnerChannel, examined: &Examined) -> Result<HashMap<Oid, Arc<str>>, StoreError> {
    let failures = apply::apply(channel, &examined.tasks, Patience::REPAIR).await?;
    channel.execute("SELECT pgusher.follow_heirs(), pgusher.follow_ways()").await?;
    Ok(failures.into_iter().map(|(oid, error)| (oid, error.message.into())).collect())
}

fn check(footing: &Footing, focus: &[Oid]) -> Result<(), StoreError> {
    for oid in focus.iter().flat_map(|f| std::iter::once(*f).chain(descendants(&footing.catalog, *f))) {
        // What was broken before is mended step by step.
        if footing.policies.broken(oid).is_some() {
            continue;
        }
        if let Some(Governed::Refused(reason)) = footing.governed(oid) {
            let name = footing.catalog.relation(oid).and_then(|r| footing.catalog.qualified(r));
            let relation = name.map_or_else(|| format!("relation {oid}"), |n| format!("\"{n}\""));
            return Err(StoreError::Ungovernable { relation, reason: reason.clone() });
        }
    }
    Ok(())
}

fn descendants(catalog: &CatalogSnapshot, oid: Oid) -> Vec<Oid> {
    let mut found = Vec::new();
    let mut open = catalog.children(oid).to_vec();
    while let Some(next) = open.pop() {
        if !found.contains(&next) {
            found.push(next);
            open.extend(catalog.children(next));
        }
    }
    found
}

fn refusal((oid, governed): (Oid, Governed)) -> Option<(Oid, Arc<str>)> {
    match governed {
        Governed::Refused(reason) => Some((oid, reason)),
        Governed::Table(_) | Governed::View { .. } | Governed::Derived => None,
    }
}

/// More than one because views follow what they read, and grants follow views.
const ROUNDS: usize = 4;
