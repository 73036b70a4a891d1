//! Row filters and their mechanism.

use super::arguments::{Purpose, make, read_by_no_other};
use super::{Ground, Rows, follow};
use crate::catalog::{Governed, Relation, RelationKind};
use crate::error::{GovernError, StoreError};
use crate::governance::{ObjectName, PolicyBody};
use crate::name::quote_literal;
use crate::policy::{Mechanism, Oid, PolicySource};
use crate::store::names::oids_sql;
use crate::upstream::{OwnerChannel, OwnerError};

pub(super) async fn set(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    table: &ObjectName,
    body: &PolicyBody,
) -> Result<(), GovernError> {
    let relation = governable(ground, table, "row filters")?;
    let made = make(ground, channel, relation, body, Purpose::Filter).await?;
    read_by_no_other(ground, channel, relation).await?;
    let (expression, source) = (quote_literal(&made.expression), source_sql(&made.source)?);
    let (oid, author) = (relation.oid, ground.author());
    let sql = format!(
        "INSERT INTO pgusher.filter (relation, name, expression, source, set_by, search_path, reads, free) \
         VALUES ({oid}, '', {expression}, {source}::pg_catalog.jsonb, {author}, {path}, {reads}, {free}) \
         ON CONFLICT (relation) DO UPDATE SET expression = EXCLUDED.expression, source = EXCLUDED.source, \
         set_by = EXCLUDED.set_by, search_path = EXCLUDED.search_path, reads = EXCLUDED.reads, free = EXCLUDED.free, set_at = pg_catalog.clock_timestamp()",
        path = path_sql(ground),
        reads = oids_sql(&made.reads),
        free = ground.subject.admin,
    );
    channel.execute(&sql).await?;
    forget_lost(channel, oid, None).await?;
    follow(ground, channel, &[oid]).await.map_err(in_our_words)
}

pub(super) async fn drop(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, table: &ObjectName) -> Result<(), GovernError> {
    let relation = managed(ground, table)?;
    let forgotten = forget_lost(channel, relation.oid, None).await?;
    if ground.footing.policies.filter(relation.oid).is_none() && !forgotten {
        return Err(GovernError::NothingToDrop { what: format!("row filter for table \"{}\" does not exist", relation.name) });
    }
    channel.execute(&format!("DELETE FROM pgusher.filter WHERE relation = {}", relation.oid)).await?;
    follow(ground, channel, &[relation.oid]).await
}

pub(super) async fn set_mechanism(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    table: &ObjectName,
    mechanism: Option<Mechanism>,
) -> Result<(), GovernError> {
    let relation = governable(ground, table, "filter mechanisms")?;
    let oid = relation.oid;
    let sql = match mechanism {
        None => format!("DELETE FROM pgusher.mechanism WHERE relation = {oid}"),
        Some(mechanism) => format!(
            "INSERT INTO pgusher.mechanism (relation, mechanism) VALUES ({oid}, '{}') \
             ON CONFLICT (relation) DO UPDATE SET mechanism = EXCLUDED.mechanism",
            mechanism_text(mechanism)
        ),
    };
    channel.execute(&sql).await?;
    follow(ground, channel, &[oid]).await
}

/// The filters of the tables that the subject manages.
pub(super) fn show(ground: &Ground<'_>, table: Option<&ObjectName>) -> Result<Rows, GovernError> {
    let rows = shown(ground, table)?.into_iter().filter_map(|relation| {
        let filter = ground.footing.policies.filter(relation.oid)?;
        let mechanism = ground.footing.policies.mechanism(relation.oid).unwrap_or(ground.terms.enforcement.row_filters);
        let [schema, name] = place(ground, relation);
        Some(vec![
            schema,
            name,
            Some(source_text(&filter.source, "ON")),
            Some(mechanism_text(mechanism).to_owned()),
            state(ground, relation),
        ])
    });
    Ok(rows.collect())
}

/// Another table had this name and policies, or the table was a part of one: these are none of its own any more. Whether there were any.
pub(super) async fn forget_lost(channel: &mut dyn OwnerChannel, relation: Oid, column: Option<&str>) -> Result<bool, GovernError> {
    let column = column.map_or_else(|| "NULL".to_owned(), quote_literal);
    let rows = channel.fetch(&format!("SELECT pgusher.forget_lost({relation}, {column}) AS forgotten")).await?;
    Ok(rows.pointer("/0/forgotten").and_then(serde_json::Value::as_i64).is_some_and(|n| n > 0))
}

/// The session's search path as an array.
pub(super) fn path_sql(ground: &Ground<'_>) -> String {
    let names: Vec<String> = ground.search_path.schemas.iter().map(|name| quote_literal(name.as_str())).collect();
    format!("ARRAY[{}]::pg_catalog.text[]", names.join(", "))
}

/// PostgreSQL names the clause that the filter stands in upstream.
fn in_our_words(error: GovernError) -> GovernError {
    match error {
        GovernError::Store(StoreError::Upstream(OwnerError { code, message })) => {
            let message = message.replace("argument of POLICY", "row filter").replace("argument of WHERE", "row filter");
            GovernError::Store(StoreError::Upstream(OwnerError { code, message }))
        }
        other => other,
    }
}

/// A table that the subject manages.
pub(super) fn managed<'a>(ground: &'a Ground<'_>, table: &ObjectName) -> Result<&'a Relation, GovernError> {
    let relation = ground.relation(table)?;
    ground.manager(&ground.relation_target(relation))?;
    Ok(relation)
}

/// A table that the subject manages and that can carry filters and masks.
pub(super) fn governable<'a>(ground: &'a Ground<'_>, table: &ObjectName, what: &str) -> Result<&'a Relation, GovernError> {
    let relation = managed(ground, table)?;
    match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable | RelationKind::MaterializedView => {}
        RelationKind::View => {
            return Err(GovernError::Unsupported {
                what: format!("{what} on views are not supported"),
                hint: Some("Set them on the tables, or make the view itself depend on current_user() and is_member()."),
            });
        }
        RelationKind::Sequence | RelationKind::CompositeType | RelationKind::Index => {
            return Err(GovernError::WrongObjectKind { label: table.plain(), wanted: "table", hint: None });
        }
    }
    if !relation.parents.is_empty() {
        return Err(GovernError::Unsupported {
            what: format!("{what} on partitions and inheritance children are not supported"),
            hint: Some("Set them on the topmost table: what inherits from it takes them over."),
        });
    }
    Ok(relation)
}

/// The relations to show: one that the subject manages, or every one it does.
pub(super) fn shown<'a>(ground: &'a Ground<'_>, table: Option<&ObjectName>) -> Result<Vec<&'a Relation>, GovernError> {
    if let Some(table) = table {
        return managed(ground, table).map(|relation| vec![relation]);
    }
    let mut found: Vec<&Relation> = ground
        .footing
        .policies
        .governed()
        .into_iter()
        .filter_map(|oid| ground.footing.catalog.relation(oid))
        .filter(|relation| ground.manages(&ground.relation_target(relation)))
        .collect();
    found.sort_by_key(|relation| place(ground, relation));
    Ok(found)
}

/// Schema and name.
pub(super) fn place(ground: &Ground<'_>, relation: &Relation) -> [Option<String>; 2] {
    [ground.footing.catalog.schema(relation.schema).map(|s| s.name.to_string()), Some(relation.name.to_string())]
}

/// `ok`, or why the relation is refused.
pub(super) fn state(ground: &Ground<'_>, relation: &Relation) -> Option<String> {
    let refused = match ground.footing.governed(relation.oid) {
        Some(Governed::Refused(why)) => Some(why),
        Some(Governed::Table(_) | Governed::View { .. } | Governed::Derived) | None => ground.footing.policies.broken(relation.oid),
    };
    Some(refused.map_or_else(|| "ok".to_owned(), |why| format!("refused: {why}")))
}

/// A filter or mask as it was written.
pub(super) fn source_text(source: &PolicySource, before: &str) -> String {
    match source {
        PolicySource::Expression(text) => format!("({text})"),
        PolicySource::Function { name, arguments, .. } => {
            let listed = arguments.iter().map(|argument| &**argument).collect::<Vec<_>>().join(", ");
            format!("{name} {before} ({listed})")
        }
    }
}

/// A source as a JSON literal.
pub(super) fn source_sql(source: &PolicySource) -> Result<String, GovernError> {
    let json = serde_json::to_string(source).map_err(|error| GovernError::Store(StoreError::Malformed(error.to_string())))?;
    Ok(quote_literal(&json))
}

fn mechanism_text(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Rls => "rls",
        Mechanism::View => "view",
    }
}
