//! Column masks.

use serde::Deserialize;

use super::arguments::{Purpose, column, make, read_by_no_other};
use super::filters::{forget_lost, governable, managed, path_sql, place, shown, source_sql, source_text, state};
use super::{Ground, Rows, fetch, follow};
use crate::catalog::Relation;
use crate::error::GovernError;
use crate::governance::{ObjectName, PolicyBody};
use crate::name::{Name, quote_literal};
use crate::policy::{Oid, PolicySource};
use crate::store::names::oids_sql;
use crate::upstream::OwnerChannel;

#[derive(Deserialize)]
struct Shows {
    relation: Oid,
    /// The generated column; absent where it is the partition key.
    generated: Option<Name>,
}

pub(super) async fn set(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    table: &ObjectName,
    name: &Name,
    body: &PolicyBody,
) -> Result<(), GovernError> {
    let relation = governable(ground, table, "column masks")?;
    column(relation, name)?;
    let made = make(ground, channel, relation, body, Purpose::Mask(name)).await?;
    read_by_no_other(ground, channel, relation).await?;
    shown_elsewhere(ground, channel, relation, name).await?;
    let (expression, source) = (quote_literal(&made.expression), source_sql(&made.source)?);
    let (oid, author) = (relation.oid, ground.author());
    let sql = format!(
        "INSERT INTO pgusher.mask (relation, \"column\", name, number, expression, source, set_by, search_path, reads, free) \
         VALUES ({oid}, {}, '', 0, {expression}, {source}::pg_catalog.jsonb, {author}, {path}, {reads}, {free}) \
         ON CONFLICT (relation, \"column\") DO UPDATE SET expression = EXCLUDED.expression, source = EXCLUDED.source, \
         set_by = EXCLUDED.set_by, search_path = EXCLUDED.search_path, reads = EXCLUDED.reads, free = EXCLUDED.free, set_at = pg_catalog.clock_timestamp()",
        quote_literal(name.as_str()),
        path = path_sql(ground),
        reads = oids_sql(&made.reads),
        free = ground.subject.admin,
    );
    channel.execute(&sql).await?;
    forget_lost(channel, oid, Some(name.as_str())).await?;
    follow(ground, channel, &[oid]).await
}

pub(super) async fn drop(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    table: &ObjectName,
    name: &Name,
) -> Result<(), GovernError> {
    let relation = managed(ground, table)?;
    // A mask whose column is gone can still be dropped: that is how such a table is mended.
    let forgotten = forget_lost(channel, relation.oid, Some(name.as_str())).await?;
    if !ground.footing.policies.masks(relation.oid).iter().any(|mask| mask.column == *name) && !forgotten {
        column(relation, name)?;
        let what = format!("mask of column \"{name}\" of table \"{}\" does not exist", relation.name);
        return Err(GovernError::NothingToDrop { what });
    }
    for feeding in masks_feeding(ground, relation, name) {
        let rows: Vec<Shows> = fetch(channel, &shows_query(&[relation.oid], feeding)).await?;
        if rows.iter().any(|row| row.generated.as_ref() == Some(name)) {
            return Err(GovernError::Unsupported {
                what: format!(
                    "cannot drop the mask of generated column \"{name}\": it is computed from masked column \"{feeding}\""
                ),
                hint: Some("Drop the mask of the other column first."),
            });
        }
    }
    let sql =
        format!("DELETE FROM pgusher.mask WHERE relation = {} AND \"column\" = {}", relation.oid, quote_literal(name.as_str()));
    channel.execute(&sql).await?;
    follow(ground, channel, &[relation.oid]).await
}

/// The other masked columns, if the column is a generated one.
fn masks_feeding<'a>(ground: &'a Ground<'_>, relation: &Relation, name: &Name) -> Vec<&'a Name> {
    if !relation.column(name.as_str()).is_some_and(|column| column.generated) {
        return Vec::new();
    }
    ground.footing.policies.masks(relation.oid).iter().map(|mask| &mask.column).filter(|column| *column != name).collect()
}

/// The masks of the tables that the subject manages.
pub(super) fn show(ground: &Ground<'_>, table: Option<&ObjectName>) -> Result<Rows, GovernError> {
    let rows = shown(ground, table)?.into_iter().flat_map(|relation| {
        ground.footing.policies.masks(relation.oid).iter().map(move |mask| {
            let [schema, name] = place(ground, relation);
            let written = Some(mask_text(&mask.source));
            vec![schema, name, Some(mask.column.to_string()), written, state(ground, relation)]
        })
    });
    Ok(rows.collect())
}

/// A mask as it was written: the masked column, which comes first, goes without saying.
fn mask_text(source: &PolicySource) -> String {
    match source {
        PolicySource::Function { oid, name, arguments } => {
            let rest = arguments.iter().skip(1).cloned().collect();
            source_text(&PolicySource::Function { oid: *oid, name: name.clone(), arguments: rest }, "USING COLUMNS")
        }
        PolicySource::Expression(_) => source_text(source, ""),
    }
}

/// Refuses to mask a column whose value shows elsewhere: in a generated column that is not masked itself, or in the choice of partition.
async fn shown_elsewhere(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    relation: &Relation,
    name: &Name,
) -> Result<(), GovernError> {
    let mut family = vec![relation.oid];
    let mut next = 0;
    while let Some(oid) = family.get(next).copied() {
        family.extend(
            ground.footing.catalog.children(oid).iter().filter(|child| !family.contains(child)).copied().collect::<Vec<_>>(),
        );
        next += 1;
    }
    let rows: Vec<Shows> = fetch(channel, &shows_query(&family, name)).await?;
    let masked = |column: &Name| ground.footing.policies.masks(relation.oid).iter().any(|mask| mask.column == *column);
    for row in rows {
        let table = ground.footing.catalog.relation(row.relation).map(|r| r.name.to_string()).unwrap_or_default();
        match row.generated {
            Some(generated) if masked(&generated) => {}
            Some(generated) => {
                return Err(GovernError::Unsupported {
                    what: format!(
                        "cannot mask column \"{name}\": generated column \"{generated}\" of table \"{table}\" is computed from it"
                    ),
                    hint: Some("Mask the generated column first."),
                });
            }
            None => {
                return Err(GovernError::Unsupported {
                    what: format!("cannot mask column \"{name}\": it is in the partition key of table \"{table}\""),
                    hint: Some("The partition that holds a row tells the column's value. Filter rows instead."),
                });
            }
        }
    }
    Ok(())
}

/// Generated columns whose expressions use the column, and partition keys that do. A column of a partition key, in an expression or
/// not, is recorded as an internal part of its table (PostgreSQL's `StorePartitionKey`).
fn shows_query(family: &[Oid], name: &Name) -> String {
    let list = family.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let name = quote_literal(name.as_str());
    format!(
        "SELECT a.attrelid::pg_catalog.int8 AS relation, g.attname AS generated \
         FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid \
         JOIN pg_catalog.pg_attribute AS g ON g.attrelid = d.adrelid AND g.attnum = d.adnum AND g.attgenerated <> '' \
         WHERE a.attrelid IN ({list}) AND a.attname = {name} AND NOT a.attisdropped AND g.attnum <> a.attnum AND EXISTS ( \
           SELECT FROM pg_catalog.pg_depend AS p \
           WHERE p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum \
             AND ((p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND p.objid = d.oid) \
               OR (p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.objid = d.adrelid AND p.objsubid = d.adnum))) \
         UNION ALL \
         SELECT a.attrelid::pg_catalog.int8, NULL \
         FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_partitioned_table AS t ON t.partrelid = a.attrelid \
         WHERE a.attrelid IN ({list}) AND a.attname = {name} AND (a.attnum = ANY (t.partattrs) OR EXISTS ( \
           SELECT FROM pg_catalog.pg_depend AS p \
           WHERE p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.objid = a.attrelid AND p.objsubid = a.attnum \
             AND p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.refobjid = a.attrelid AND p.refobjsubid = 0 \
             AND p.deptype = 'i'))"
    )
}
