//! Functions that were replaced: filters and masks that hold their bodies take over the new ones.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::Settings;
use crate::catalog::{Footing, SearchPath};
use crate::name::{Name, quote_literal};
use crate::policy::{Oid, PolicySource};
use crate::sql::rewrite::inline::{FunctionBody, inline_call};
use crate::sql::rewrite::policy::PolicyExpression;
use crate::store::governed::governed;
use crate::store::load::Known;
use crate::store::names::oids_sql;
use crate::store::{StoreError, load};
use crate::upstream::OwnerChannel;

#[derive(Deserialize)]
struct Replaced {
    relation: Oid,
    column: Option<String>,
    source: PolicySource,
    /// The search path of the session that set it.
    search_path: Option<Vec<Name>>,
}

#[derive(Deserialize)]
struct Body {
    source: String,
    strict: bool,
    configured: bool,
}

/// Analyses filters and masks whose functions were replaced anew, as when they were set; whether there were any. What can no longer be
/// understood stays as it was, and its table is refused.
pub(in crate::store) async fn renew(
    channel: &mut dyn OwnerChannel,
    settings: &Settings,
    known: Option<&Known>,
) -> Result<bool, StoreError> {
    let rows: Vec<Replaced> = serde_json::from_value(channel.fetch(REPLACED).await?).map_err(load::malformed)?;
    if rows.is_empty() {
        return Ok(false);
    }
    let catalog = Arc::new(load::catalog(channel, known, 0).await?);
    let policies = Arc::new(load::policies(channel, known).await?);
    let governed = governed(&catalog, &policies, settings, &HashMap::new());
    let footing = Footing::new(catalog, policies, governed);
    let mut renewed = false;
    for row in rows {
        if let Some((function, made)) = anew(channel, &footing, &row).await? {
            let (table, column) = match &row.column {
                None => ("filter", String::new()),
                Some(column) => ("mask", format!(" AND x.\"column\" = {}", quote_literal(column))),
            };
            let (expression, reads) = (quote_literal(&made.sql), oids_sql(&made.reads));
            let sql = format!(
                "UPDATE pgusher.{table} AS x SET expression = {expression}, reads = {reads}, body = pgusher.body_of({function}) \
                 WHERE x.relation = {}{column}",
                row.relation
            );
            channel.execute(&sql).await?;
            renewed = true;
        }
    }
    Ok(renewed)
}

/// The function, and the expression that its call is now.
async fn anew(
    channel: &mut dyn OwnerChannel,
    footing: &Footing,
    row: &Replaced,
) -> Result<Option<(Oid, PolicyExpression)>, StoreError> {
    let PolicySource::Function { oid, arguments, .. } = &row.source else { return Ok(None) };
    let (Some(relation), Some(function)) = (footing.catalog.relation(row.relation), footing.catalog.function(*oid)) else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE '' END AS source, p.proisstrict AS strict, \
         p.proconfig IS NOT NULL AS configured FROM pg_catalog.pg_proc AS p WHERE p.oid = {oid}"
    );
    let bodies: Vec<Body> = serde_json::from_value(channel.fetch(&sql).await?).map_err(load::malformed)?;
    let body = bodies.first().map(|b| FunctionBody { source: &b.source, strict: b.strict, configured: b.configured });
    let given: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
    let path = SearchPath { schemas: row.search_path.clone().unwrap_or_default() };
    Ok(inline_call(function, body, &given, relation, footing, &path).ok().map(|made| (*oid, made)))
}

const REPLACED: &str =
    "SELECT r.relation::pg_catalog.int8 AS relation, r.\"column\", r.source, r.search_path FROM pgusher.replaced AS r";
