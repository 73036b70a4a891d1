//! ALTER [MATERIALIZED] VIEW … {SET | UNSET} TRUSTED.

use super::{Ground, follow};
use crate::catalog::RelationKind;
use crate::error::GovernError;
use crate::governance::ObjectName;
use crate::upstream::OwnerChannel;

/// An administrator vouches for a view that shows rows of governed tables to all of its readers alike. It is the view as it is now
/// that is vouched for: with another definition it is trusted no more.
pub(super) async fn set(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    view: &ObjectName,
    trusted: bool,
) -> Result<(), GovernError> {
    ground.admin("decide which views are trusted")?;
    let relation = ground.relation(view)?;
    match relation.kind {
        RelationKind::View | RelationKind::MaterializedView => {}
        RelationKind::Table
        | RelationKind::PartitionedTable
        | RelationKind::ForeignTable
        | RelationKind::Sequence
        | RelationKind::CompositeType
        | RelationKind::Index => {
            return Err(GovernError::WrongObjectKind { label: view.plain(), wanted: "view", hint: None });
        }
    }
    let oid = relation.oid;
    let sql = match trusted {
        true => format!(
            "INSERT INTO pgusher.trusted (relation, definition) VALUES ({oid}, pgusher.vouched({oid})) \
             ON CONFLICT (relation) DO UPDATE SET definition = EXCLUDED.definition"
        ),
        false => format!("DELETE FROM pgusher.trusted WHERE relation = {oid}"),
    };
    channel.execute(&sql).await?;
    follow(ground, channel, &[]).await
}
