//! ALTER … OWNER TO.

use super::{Ground, follow};
use crate::error::GovernError;
use crate::governance::SecurableName;
use crate::store::load::securable_key;
use crate::upstream::OwnerChannel;

pub(super) async fn alter(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    on: &SecurableName,
    owner: &str,
) -> Result<(), GovernError> {
    let target = ground.target(on)?;
    ground.manager(&target)?;
    let principal = ground.principal(owner)?;
    let definer = matches!(target.noun, "view" | "materialized view" | "function");
    if definer && !ground.subject.admin && !ground.is_own(principal.id) {
        return Err(GovernError::NotGivable { noun: target.noun, label: target.label, owner: owner.to_owned() });
    }
    let (kind, object) = securable_key(target.securable);
    let sql = format!(
        "INSERT INTO pgusher.owner (kind, object, principal) VALUES ('{kind}', {object}, {}) \
         ON CONFLICT (kind, object) DO UPDATE SET principal = EXCLUDED.principal",
        principal.id.0
    );
    channel.execute(&sql).await?;
    match target.securable.relation() {
        Some(relation) => follow(ground, channel, &[relation]).await,
        None => Ok(()),
    }
}
