//! The parts of SQL/JSON nodes.

use pg_query::protobuf::{
    JsonAggConstructor, JsonArgument, JsonArrayAgg, JsonArrayConstructor, JsonBehavior, JsonFuncExpr, JsonIsPredicate,
    JsonKeyValue, JsonObjectAgg, JsonObjectConstructor, JsonOutput, JsonParseExpr, JsonScalarExpr, JsonSerializeExpr,
    JsonTableColumn, JsonTablePathSpec, JsonValueExpr,
};

use super::expression::window_def;
use super::{Part, Visit, all, one};
use crate::sql::resolve::ResolveError;

pub(super) fn json_value_expr(node: &mut JsonValueExpr, visit: Visit) -> Result<(), ResolveError> {
    let JsonValueExpr { raw_expr, formatted_expr, format: _ } = node;
    one(raw_expr.as_deref_mut(), visit)?;
    one(formatted_expr.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn json_is_predicate(node: &mut JsonIsPredicate, visit: Visit) -> Result<(), ResolveError> {
    let JsonIsPredicate { expr, format: _, item_type: _, unique_keys: _, location: _ } = node;
    one(expr.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn json_behavior(node: &mut JsonBehavior, visit: Visit) -> Result<(), ResolveError> {
    let JsonBehavior { expr, btype: _, coerce: _, location: _ } = node;
    one(expr.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn json_output(node: &mut JsonOutput, visit: Visit) -> Result<(), ResolveError> {
    let JsonOutput { type_name, returning: _ } = node;
    if let Some(inner) = type_name.as_mut() {
        visit(Part::Type(inner))?;
    }
    Ok(())
}

pub(super) fn json_argument(node: &mut JsonArgument, visit: Visit) -> Result<(), ResolveError> {
    let JsonArgument { val, name: _ } = node;
    if let Some(inner) = val.as_deref_mut() {
        json_value_expr(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_func_expr(node: &mut JsonFuncExpr, visit: Visit) -> Result<(), ResolveError> {
    let JsonFuncExpr {
        context_item,
        pathspec,
        passing,
        output,
        on_empty,
        on_error,
        op: _,
        column_name: _,
        wrapper: _,
        quotes: _,
        location: _,
    } = node;
    if let Some(inner) = context_item.as_deref_mut() {
        json_value_expr(inner, visit)?;
    }
    one(pathspec.as_deref_mut(), visit)?;
    all(passing, visit)?;
    if let Some(inner) = output.as_mut() {
        json_output(inner, visit)?;
    }
    if let Some(inner) = on_empty.as_deref_mut() {
        json_behavior(inner, visit)?;
    }
    if let Some(inner) = on_error.as_deref_mut() {
        json_behavior(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_table_path_spec(node: &mut JsonTablePathSpec, visit: Visit) -> Result<(), ResolveError> {
    let JsonTablePathSpec { string, name: _, name_location: _, location: _ } = node;
    one(string.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn json_table_column(node: &mut JsonTableColumn, visit: Visit) -> Result<(), ResolveError> {
    let JsonTableColumn {
        type_name,
        pathspec,
        columns,
        on_empty,
        on_error,
        coltype: _,
        name: _,
        format: _,
        wrapper: _,
        quotes: _,
        location: _,
    } = node;
    if let Some(inner) = type_name.as_mut() {
        visit(Part::Type(inner))?;
    }
    if let Some(inner) = pathspec.as_deref_mut() {
        json_table_path_spec(inner, visit)?;
    }
    all(columns, visit)?;
    if let Some(inner) = on_empty.as_deref_mut() {
        json_behavior(inner, visit)?;
    }
    if let Some(inner) = on_error.as_deref_mut() {
        json_behavior(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_key_value(node: &mut JsonKeyValue, visit: Visit) -> Result<(), ResolveError> {
    let JsonKeyValue { key, value } = node;
    one(key.as_deref_mut(), visit)?;
    if let Some(inner) = value.as_deref_mut() {
        json_value_expr(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_parse_expr(node: &mut JsonParseExpr, visit: Visit) -> Result<(), ResolveError> {
    let JsonParseExpr { expr, output, unique_keys: _, location: _ } = node;
    if let Some(inner) = expr.as_deref_mut() {
        json_value_expr(inner, visit)?;
    }
    if let Some(inner) = output.as_mut() {
        json_output(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_scalar_expr(node: &mut JsonScalarExpr, visit: Visit) -> Result<(), ResolveError> {
    let JsonScalarExpr { expr, output, location: _ } = node;
    one(expr.as_deref_mut(), visit)?;
    if let Some(inner) = output.as_mut() {
        json_output(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_serialize_expr(node: &mut JsonSerializeExpr, visit: Visit) -> Result<(), ResolveError> {
    let JsonSerializeExpr { expr, output, location: _ } = node;
    if let Some(inner) = expr.as_deref_mut() {
        json_value_expr(inner, visit)?;
    }
    if let Some(inner) = output.as_mut() {
        json_output(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_object_constructor(node: &mut JsonObjectConstructor, visit: Visit) -> Result<(), ResolveError> {
    let JsonObjectConstructor { exprs, output, absent_on_null: _, unique: _, location: _ } = node;
    all(exprs, visit)?;
    if let Some(inner) = output.as_mut() {
        json_output(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_array_constructor(node: &mut JsonArrayConstructor, visit: Visit) -> Result<(), ResolveError> {
    let JsonArrayConstructor { exprs, output, absent_on_null: _, location: _ } = node;
    all(exprs, visit)?;
    if let Some(inner) = output.as_mut() {
        json_output(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_agg_constructor(node: &mut JsonAggConstructor, visit: Visit) -> Result<(), ResolveError> {
    let JsonAggConstructor { output, agg_filter, agg_order, over, location: _ } = node;
    if let Some(inner) = output.as_mut() {
        json_output(inner, visit)?;
    }
    one(agg_filter.as_deref_mut(), visit)?;
    all(agg_order, visit)?;
    if let Some(inner) = over.as_deref_mut() {
        window_def(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_object_agg(node: &mut JsonObjectAgg, visit: Visit) -> Result<(), ResolveError> {
    let JsonObjectAgg { constructor, arg, absent_on_null: _, unique: _ } = node;
    if let Some(inner) = constructor.as_deref_mut() {
        json_agg_constructor(inner, visit)?;
    }
    if let Some(inner) = arg.as_deref_mut() {
        json_key_value(inner, visit)?;
    }
    Ok(())
}

pub(super) fn json_array_agg(node: &mut JsonArrayAgg, visit: Visit) -> Result<(), ResolveError> {
    let JsonArrayAgg { constructor, arg, absent_on_null: _ } = node;
    if let Some(inner) = constructor.as_deref_mut() {
        json_agg_constructor(inner, visit)?;
    }
    if let Some(inner) = arg.as_deref_mut() {
        json_value_expr(inner, visit)?;
    }
    Ok(())
}
