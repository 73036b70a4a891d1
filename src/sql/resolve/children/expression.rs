//! The parts of expression nodes. Each struct is taken apart field by field, so that a new field stops the build.

use pg_query::protobuf::{
    AArrayExpr, AIndices, BoolExpr, BooleanTest, CaseExpr, CaseWhen, CoalesceExpr, CollateClause, GroupingFunc, GroupingSet,
    IndexElem, List, MergeSupportFunc, MinMaxExpr, MultiAssignRef, NamedArgExpr, NullTest, RangeTableFuncCol, ResTarget, RowExpr,
    SetToDefault, WindowDef, XmlExpr, XmlSerialize,
};

use super::{Part, Visit, all, one};
use crate::sql::resolve::ResolveError;

pub(super) fn grouping_func(node: &mut GroupingFunc, visit: Visit) -> Result<(), ResolveError> {
    let GroupingFunc { xpr, args, refs, agglevelsup: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    all(args, visit)?;
    all(refs, visit)?;
    Ok(())
}

pub(super) fn named_arg_expr(node: &mut NamedArgExpr, visit: Visit) -> Result<(), ResolveError> {
    let NamedArgExpr { xpr, arg, name: _, argnumber: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    one(arg.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn bool_expr(node: &mut BoolExpr, visit: Visit) -> Result<(), ResolveError> {
    let BoolExpr { xpr, args, boolop: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    all(args, visit)?;
    Ok(())
}

pub(super) fn case_expr(node: &mut CaseExpr, visit: Visit) -> Result<(), ResolveError> {
    let CaseExpr { xpr, arg, args, defresult, casetype: _, casecollid: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    one(arg.as_deref_mut(), visit)?;
    all(args, visit)?;
    one(defresult.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn case_when(node: &mut CaseWhen, visit: Visit) -> Result<(), ResolveError> {
    let CaseWhen { xpr, expr, result, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    one(expr.as_deref_mut(), visit)?;
    one(result.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn coalesce_expr(node: &mut CoalesceExpr, visit: Visit) -> Result<(), ResolveError> {
    let CoalesceExpr { xpr, args, coalescetype: _, coalescecollid: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    all(args, visit)?;
    Ok(())
}

pub(super) fn min_max_expr(node: &mut MinMaxExpr, visit: Visit) -> Result<(), ResolveError> {
    let MinMaxExpr { xpr, args, minmaxtype: _, minmaxcollid: _, inputcollid: _, op: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    all(args, visit)?;
    Ok(())
}

pub(super) fn xml_expr(node: &mut XmlExpr, visit: Visit) -> Result<(), ResolveError> {
    let XmlExpr { xpr, named_args, arg_names, args, op: _, name: _, xmloption: _, indent: _, r#type: _, typmod: _, location: _ } =
        node;
    one(xpr.as_deref_mut(), visit)?;
    all(named_args, visit)?;
    all(arg_names, visit)?;
    all(args, visit)?;
    Ok(())
}

pub(super) fn null_test(node: &mut NullTest, visit: Visit) -> Result<(), ResolveError> {
    let NullTest { xpr, arg, nulltesttype: _, argisrow: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    one(arg.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn boolean_test(node: &mut BooleanTest, visit: Visit) -> Result<(), ResolveError> {
    let BooleanTest { xpr, arg, booltesttype: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    one(arg.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn set_to_default(node: &mut SetToDefault, visit: Visit) -> Result<(), ResolveError> {
    let SetToDefault { xpr, type_id: _, type_mod: _, collation: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn row_expr(node: &mut RowExpr, visit: Visit) -> Result<(), ResolveError> {
    let RowExpr { xpr, args, colnames, row_typeid: _, row_format: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    all(args, visit)?;
    all(colnames, visit)?;
    Ok(())
}

pub(super) fn merge_support_func(node: &mut MergeSupportFunc, visit: Visit) -> Result<(), ResolveError> {
    let MergeSupportFunc { xpr, msftype: _, msfcollid: _, location: _ } = node;
    one(xpr.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn a_indices(node: &mut AIndices, visit: Visit) -> Result<(), ResolveError> {
    let AIndices { lidx, uidx, is_slice: _ } = node;
    one(lidx.as_deref_mut(), visit)?;
    one(uidx.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn a_array_expr(node: &mut AArrayExpr, visit: Visit) -> Result<(), ResolveError> {
    let AArrayExpr { elements, list_start: _, list_end: _, location: _ } = node;
    all(elements, visit)?;
    Ok(())
}

pub(super) fn res_target(node: &mut ResTarget, visit: Visit) -> Result<(), ResolveError> {
    let ResTarget { indirection, val, name: _, location: _ } = node;
    all(indirection, visit)?;
    one(val.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn multi_assign_ref(node: &mut MultiAssignRef, visit: Visit) -> Result<(), ResolveError> {
    let MultiAssignRef { source, colno: _, ncolumns: _ } = node;
    one(source.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn window_def(node: &mut WindowDef, visit: Visit) -> Result<(), ResolveError> {
    let WindowDef { partition_clause, order_clause, start_offset, end_offset, name: _, refname: _, frame_options: _, location: _ } =
        node;
    all(partition_clause, visit)?;
    all(order_clause, visit)?;
    one(start_offset.as_deref_mut(), visit)?;
    one(end_offset.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn xml_serialize(node: &mut XmlSerialize, visit: Visit) -> Result<(), ResolveError> {
    let XmlSerialize { expr, type_name, xmloption: _, indent: _, location: _ } = node;
    one(expr.as_deref_mut(), visit)?;
    if let Some(inner) = type_name.as_mut() {
        visit(Part::Type(inner))?;
    }
    Ok(())
}

pub(super) fn grouping_set(node: &mut GroupingSet, visit: Visit) -> Result<(), ResolveError> {
    let GroupingSet { content, kind: _, location: _ } = node;
    all(content, visit)?;
    Ok(())
}

pub(super) fn list(node: &mut List, visit: Visit) -> Result<(), ResolveError> {
    let List { items } = node;
    all(items, visit)?;
    Ok(())
}

pub(super) fn range_table_func_col(node: &mut RangeTableFuncCol, visit: Visit) -> Result<(), ResolveError> {
    let RangeTableFuncCol { type_name, colexpr, coldefexpr, colname: _, for_ordinality: _, is_not_null: _, location: _ } = node;
    if let Some(inner) = type_name.as_mut() {
        visit(Part::Type(inner))?;
    }
    one(colexpr.as_deref_mut(), visit)?;
    one(coldefexpr.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn index_elem(node: &mut IndexElem, visit: Visit) -> Result<(), ResolveError> {
    let IndexElem { expr, collation, opclass, opclassopts, name: _, indexcolname: _, ordering: _, nulls_ordering: _ } = node;
    one(expr.as_deref_mut(), visit)?;
    all(collation, visit)?;
    all(opclass, visit)?;
    all(opclassopts, visit)?;
    Ok(())
}

pub(super) fn collate_clause(node: &mut CollateClause, visit: Visit) -> Result<(), ResolveError> {
    let CollateClause { arg, collname, location: _ } = node;
    one(arg.as_deref_mut(), visit)?;
    all(collname, visit)?;
    Ok(())
}
