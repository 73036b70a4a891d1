//! Functions that a filter or mask calls run with the reader's search_path: what they read must not depend on it.

use serde::Deserialize;

use super::{Ground, fetch};
use crate::error::GovernError;
use crate::policy::Oid;
use crate::sql::rewrite::settled::is_settled;
use crate::upstream::OwnerChannel;

#[derive(Deserialize)]
struct CalledRow {
    /// It has a search_path of its own that ends in pg_temp, else temporary tables and types come first; or a body without names to look up.
    fixed: bool,
    /// Its body, where that is SQL to be looked at.
    source: Option<String>,
}

/// Refuses functions whose bodies find what they read by the search_path of whoever calls them.
pub(super) async fn all_settled(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, called: &[Oid]) -> Result<(), GovernError> {
    for oid in called {
        let rows: Vec<CalledRow> = fetch(channel, &query(*oid)).await?;
        let settled = rows.iter().all(|row| row.fixed || row.source.as_deref().is_some_and(is_settled));
        if !settled {
            let label = ground.footing.catalog.function(*oid).map_or_else(String::new, |function| ground.function_label(function));
            return Err(GovernError::UnsettledFunction { label });
        }
    }
    Ok(())
}

fn query(function: Oid) -> String {
    format!(
        "SELECT l.lanname IN ('c', 'internal') OR p.prosqlbody IS NOT NULL OR EXISTS ( \
         SELECT FROM pg_catalog.unnest(p.proconfig) AS c (setting) WHERE c.setting LIKE 'search\\_path=%, pg\\_temp') AS fixed, \
         CASE WHEN l.lanname = 'sql' THEN p.prosrc END AS source \
         FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang WHERE p.oid = {function}"
    )
}
