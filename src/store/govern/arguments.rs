//! The body of a filter or mask as written → the expression to enforce.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;

use super::names::canonical_type;
use super::settled::all_settled;
use super::{Ground, fetch};
use crate::catalog::{Function, FunctionKind, Relation};
use crate::error::{GovernError, Object, Report};
use crate::governance::{Argument, ObjectName, PolicyBody};
use crate::name::Name;
use crate::policy::{Oid, PolicySource, Privilege, Securable, holds};
use crate::sql::rewrite::inline::{FunctionBody, inline_call};
use crate::sql::rewrite::policy::{DefinitionError, PolicyExpression, policy_expression};
use crate::upstream::OwnerChannel;

/// What a body computes.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// Which rows are seen.
    Filter,
    /// What is seen of a column.
    Mask(&'a Name),
}

/// A body that was checked.
pub(super) struct Made {
    /// The SQL to enforce.
    pub(super) expression: String,
    /// Where it came from.
    pub(super) source: PolicySource,
    /// The relations that it reads besides its own table.
    pub(super) reads: Vec<Oid>,
}

#[derive(Deserialize)]
struct BodyRow {
    source: String,
    strict: bool,
    configured: bool,
}

/// Checks a body against the table and the subject's rights.
pub(super) async fn make(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    relation: &Relation,
    body: &PolicyBody,
    purpose: Purpose<'_>,
) -> Result<Made, GovernError> {
    match body {
        PolicyBody::Expression(text) => {
            let made = policy_expression(text, relation, &ground.footing, ground.search_path).map_err(refused)?;
            may_use(ground, &made)?;
            all_settled(ground, channel, &made.called).await?;
            Ok(Made { expression: made.sql, source: PolicySource::Expression(Arc::from(text.as_str())), reads: made.reads })
        }
        PolicyBody::Function { function, arguments } => call(ground, channel, relation, function, arguments, purpose).await,
    }
}

/// Refuses to govern a table that the filter or mask of another table reads: it would then see different rows for each reader.
/// What a function that is called, not inlined, reads is not known.
pub(super) async fn read_by_no_other(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    relation: &Relation,
) -> Result<(), GovernError> {
    let policies = &ground.footing.policies;
    if policies.governed().contains(&relation.oid) {
        return Ok(());
    }
    for oid in policies.governed() {
        let Some(other) = ground.footing.catalog.relation(oid) else { continue };
        let filter = policies.filter(oid).map(|filter| (&filter.source, "row filter"));
        let masks = policies.masks(oid).iter().map(|mask| (&mask.source, "column mask"));
        for (source, what) in filter.into_iter().chain(masks) {
            if reads(ground, channel, other, source).await?.contains(&relation.oid) && is_free(channel, oid).await? {
                return Err(GovernError::ReadByPolicy { table: relation.name.to_string(), what, other: other.name.to_string() });
            }
        }
    }
    Ok(())
}

/// Whether an administrator set a table's filter or masks. What others set does not keep a table from being governed: it is refused then.
async fn is_free(channel: &mut dyn OwnerChannel, relation: Oid) -> Result<bool, GovernError> {
    let sql = format!(
        "SELECT s.free FROM (SELECT f.relation, f.free FROM pgusher.filter AS f UNION ALL SELECT m.relation, m.free FROM pgusher.mask AS m) AS s \
         WHERE s.relation = {relation} AND s.free"
    );
    let rows: Vec<serde_json::Value> = fetch(channel, &sql).await?;
    Ok(!rows.is_empty())
}

/// The relations that a filter or mask reads besides its own table; none where it is no longer understood.
async fn reads(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    relation: &Relation,
    source: &PolicySource,
) -> Result<Vec<Oid>, GovernError> {
    let made = match source {
        PolicySource::Expression(text) => policy_expression(text, relation, &ground.footing, ground.search_path),
        PolicySource::Function { oid, arguments, .. } => {
            let Some(function) = ground.footing.catalog.function(*oid) else { return Ok(Vec::new()) };
            let rows: Vec<BodyRow> = fetch(channel, &body_query(*oid)).await?;
            let given: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
            inline_call(function, body(&rows), &given, relation, &ground.footing, ground.search_path)
        }
    };
    Ok(made.map_or_else(|_| Vec::new(), |made| made.reads))
}

fn body(rows: &[BodyRow]) -> Option<FunctionBody<'_>> {
    rows.first().map(|row| FunctionBody { source: &row.source, strict: row.strict, configured: row.configured })
}

async fn call(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    relation: &Relation,
    name: &ObjectName,
    arguments: &[Argument],
    purpose: Purpose<'_>,
) -> Result<Made, GovernError> {
    let given = given(relation, arguments, purpose)?;
    let types = types(relation, arguments, purpose);
    let function = function(ground, name, &types)?;
    let label = ground.function_label(function);
    ground.executes(function.oid, function.schema, label.clone())?;
    if let Purpose::Filter = purpose
        && &*function.result_type != "boolean"
    {
        return Err(GovernError::NotBoolean { label, found: function.result_type.to_string() });
    }
    let rows: Vec<BodyRow> = fetch(channel, &body_query(function.oid)).await?;
    let made = inline_call(function, body(&rows), &given, relation, &ground.footing, ground.search_path).map_err(refused)?;
    all_settled(ground, channel, &made.called).await?;
    let qualified = ground.function_name(function).map(|name| name.to_string()).unwrap_or_default();
    let arguments = given.into_iter().map(Arc::from).collect();
    let source = PolicySource::Function { oid: function.oid, name: qualified.into(), arguments };
    Ok(Made { expression: made.sql, source, reads: made.reads })
}

/// The arguments as SQL, a mask's column before them.
fn given(relation: &Relation, arguments: &[Argument], purpose: Purpose<'_>) -> Result<Vec<String>, GovernError> {
    let mut seen: HashSet<&Name> = HashSet::new();
    let mut given = Vec::with_capacity(arguments.len() + 1);
    if let Purpose::Mask(column) = purpose {
        seen.insert(column);
        given.push(column.quoted());
    }
    for argument in arguments {
        match argument {
            Argument::Literal(sql) => given.push(sql.clone()),
            Argument::DottedColumn(text) => {
                return Err(GovernError::Unsupported {
                    what: format!("column \"{text}\" has more than one part"),
                    hint: Some("Only columns of the table itself can be given, by their plain names."),
                });
            }
            Argument::Column(name) => {
                column(relation, name)?;
                if !seen.insert(name) {
                    return Err(GovernError::DuplicateColumn { column: name.to_string() });
                }
                given.push(name.quoted());
            }
        }
    }
    Ok(given)
}

/// A column of the table.
pub(super) fn column<'a>(relation: &'a Relation, name: &Name) -> Result<&'a crate::catalog::Column, GovernError> {
    relation.column(name.as_str()).ok_or_else(|| GovernError::Undefined {
        object: Object::Column,
        what: format!("column \"{name}\" of relation \"{}\" does not exist", relation.name),
    })
}

/// The types of the arguments; a constant fits any.
fn types(relation: &Relation, arguments: &[Argument], purpose: Purpose<'_>) -> Vec<Option<String>> {
    let of = |name: &Name| relation.column(name.as_str()).map(|column| canonical_type(&column.type_sql));
    let masked = match purpose {
        Purpose::Mask(column) => Some(of(column)),
        Purpose::Filter => None,
    };
    let rest = arguments.iter().map(|argument| match argument {
        Argument::Column(name) => of(name),
        Argument::DottedColumn(_) | Argument::Literal(_) => None,
    });
    masked.into_iter().chain(rest).collect()
}

/// The one scalar function of this name that takes so many arguments; of several, the one that takes exactly these types.
fn function<'a>(ground: &'a Ground<'_>, name: &ObjectName, given: &[Option<String>]) -> Result<&'a Function, GovernError> {
    let found = ground.functions(name)?;
    let Some(first) = found.first() else {
        return Err(GovernError::Undefined { object: Object::Function, what: format!("function {} does not exist", name.plain()) });
    };
    let takes = |f: &Function| (count(f.min_args)..=count(f.max_args)).contains(&given.len());
    let fitting: Vec<&Function> = found.iter().copied().filter(|f| takes(f)).collect();
    let exact: Vec<&Function> = fitting.iter().copied().filter(|f| fits(f, given)).collect();
    let chosen = match (fitting.as_slice(), exact.as_slice()) {
        ([], _) => {
            let (label, takes) = (ground.function_label(first), in_words(first));
            return Err(GovernError::WrongNumberOfArguments { label, takes, given: given.len() });
        }
        ([only], _) | (_, [only]) => *only,
        // A function in an earlier schema of the path hides one with the same argument types.
        (_, [first, others @ ..]) if others.iter().all(|o| o.schema != first.schema && o.arg_types == first.arg_types) => *first,
        ([_, _, ..], _) => return Err(GovernError::AmbiguousPolicyFunction { name: name.plain() }),
    };
    match chosen.kind {
        FunctionKind::Function if !chosen.returns_set => Ok(chosen),
        FunctionKind::Function | FunctionKind::Procedure | FunctionKind::Aggregate | FunctionKind::Window => {
            Err(GovernError::WrongObjectKind { label: ground.function_label(chosen), wanted: "scalar function", hint: None })
        }
    }
}

fn fits(function: &Function, given: &[Option<String>]) -> bool {
    given.iter().zip(&function.arg_types).all(|(given, takes)| given.as_ref().is_none_or(|given| *given == canonical_type(takes)))
}

fn count(number: i16) -> usize {
    usize::try_from(number).unwrap_or_default()
}

fn in_words(function: &Function) -> String {
    let (least, most) = (function.min_args, function.max_args);
    match (least, most) {
        (_, i16::MAX) => format!("at least {least} arguments"),
        (1, 1) => "1 argument".to_owned(),
        _ if least == most => format!("{least} arguments"),
        _ => format!("{least} to {most} arguments"),
    }
}

/// What an inline expression reads and calls, its author must be allowed to read and call: it runs for everybody later.
fn may_use(ground: &Ground<'_>, made: &PolicyExpression) -> Result<(), GovernError> {
    for oid in &made.functions {
        if let Some(function) = ground.footing.catalog.function(*oid) {
            ground.executes(function.oid, function.schema, ground.function_label(function))?;
        }
    }
    made.reads.iter().try_for_each(|oid| may_read(ground, *oid))
}

fn may_read(ground: &Ground<'_>, oid: Oid) -> Result<(), GovernError> {
    let Some(relation) = ground.footing.catalog.relation(oid) else { return Ok(()) };
    let system = ground.footing.catalog.schema(relation.schema).is_some_and(|schema| schema.system);
    let held = holds(&ground.footing.policies, &ground.subject, Privilege::Select, Securable::Relation(oid), Some(relation.schema));
    if system || held.is_some() {
        return Ok(());
    }
    Err(GovernError::NotReadable { noun: relation.kind.noun(), label: relation.name.to_string() })
}

/// What the analysis says, without its position: that is one inside the expression.
fn refused(error: DefinitionError) -> GovernError {
    GovernError::Refused(Box::new(Report::from(&error).position(None)))
}

fn body_query(function: Oid) -> String {
    format!(
        "SELECT CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE '' END AS source, p.proisstrict AS strict, \
         p.proconfig IS NOT NULL AS configured FROM pg_catalog.pg_proc AS p WHERE p.oid = {function}"
    )
}
