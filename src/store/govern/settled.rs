//! Functions that a filter or mask calls run with the reader's search_path: what they read must not depend on it.

use serde::Deserialize;

use super::{Ground, fetch};
use crate::error::GovernError;
use crate::policy::Oid;
use crate::sql::rewrite::settled::is_settled;
use crate::upstream::OwnerChannel;

/// A function without a search_path of its own that ends in pg_temp.
#[derive(Deserialize)]
struct UnfixedRow {
    /// Its body, where that is SQL, which may be without names to look up.
    source: Option<String>,
}

/// Refuses functions whose bodies find what they read by the search_path of whoever calls them, and in policies that are no
/// administrator's those that are none of an administrator's: they run as whoever reads the table, and may do all that those may.
pub(super) async fn all_settled(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, called: &[Oid]) -> Result<(), GovernError> {
    for oid in called {
        let catalog = &ground.footing.catalog;
        let label = || catalog.function(*oid).map_or_else(String::new, |function| ground.function_label(function));
        if !ground.subject.admin && catalog.is_of_ddl(*oid) {
            return Err(GovernError::OthersFunction { label: label() });
        }
        let query = format!("SELECT u.source FROM pgusher.unfixed AS u WHERE u.oid = {oid}");
        let rows: Vec<UnfixedRow> = fetch(channel, &query).await?;
        let settled = rows.iter().all(|row| row.source.as_deref().is_some_and(is_settled));
        if !settled {
            return Err(GovernError::UnsettledFunction { label: label() });
        }
    }
    Ok(())
}
