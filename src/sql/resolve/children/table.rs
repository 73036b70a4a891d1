//! The parts of table definitions.

use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, CreateStmt, DefElem, FunctionParameter, IndexStmt, ObjectWithArgs,
    PartitionBoundSpec, PartitionCmd, PartitionElem, PartitionRangeDatum, PartitionSpec, StatsElem, TableLikeClause,
    VacuumRelation,
};

use super::expression::collate_clause;
use super::{Part, Visit, all, one};
use crate::sql::resolve::ResolveError;

pub(super) fn column_def(node: &mut ColumnDef, visit: Visit) -> Result<(), ResolveError> {
    let ColumnDef {
        type_name,
        raw_default,
        cooked_default,
        identity_sequence,
        coll_clause,
        constraints,
        fdwoptions,
        colname: _,
        compression: _,
        inhcount: _,
        is_local: _,
        is_not_null: _,
        is_from_type: _,
        storage: _,
        storage_name: _,
        identity: _,
        generated: _,
        coll_oid: _,
        location: _,
    } = node;
    if let Some(inner) = type_name.as_mut() {
        visit(Part::Type(inner))?;
    }
    one(raw_default.as_deref_mut(), visit)?;
    one(cooked_default.as_deref_mut(), visit)?;
    if let Some(inner) = identity_sequence.as_mut() {
        visit(Part::Relation(inner))?;
    }
    if let Some(inner) = coll_clause.as_deref_mut() {
        collate_clause(inner, visit)?;
    }
    all(constraints, visit)?;
    all(fdwoptions, visit)?;
    Ok(())
}

pub(super) fn constraint(node: &mut Constraint, visit: Visit) -> Result<(), ResolveError> {
    let Constraint {
        raw_expr,
        keys,
        including,
        exclusions,
        options,
        where_clause,
        pktable,
        fk_attrs,
        pk_attrs,
        fk_del_set_cols,
        old_conpfeqop,
        contype: _,
        conname: _,
        deferrable: _,
        initdeferred: _,
        is_enforced: _,
        skip_validation: _,
        initially_valid: _,
        is_no_inherit: _,
        cooked_expr: _,
        generated_when: _,
        generated_kind: _,
        nulls_not_distinct: _,
        without_overlaps: _,
        indexname: _,
        indexspace: _,
        reset_default_tblspc: _,
        access_method: _,
        fk_with_period: _,
        pk_with_period: _,
        fk_matchtype: _,
        fk_upd_action: _,
        fk_del_action: _,
        old_pktable_oid: _,
        location: _,
    } = node;
    one(raw_expr.as_deref_mut(), visit)?;
    all(keys, visit)?;
    all(including, visit)?;
    all(exclusions, visit)?;
    all(options, visit)?;
    one(where_clause.as_deref_mut(), visit)?;
    if let Some(inner) = pktable.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(fk_attrs, visit)?;
    all(pk_attrs, visit)?;
    all(fk_del_set_cols, visit)?;
    all(old_conpfeqop, visit)?;
    Ok(())
}

pub(super) fn def_elem(node: &mut DefElem, visit: Visit) -> Result<(), ResolveError> {
    let DefElem { arg, defnamespace: _, defname: _, defaction: _, location: _, arg_location: _ } = node;
    one(arg.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn alter_table_cmd(node: &mut AlterTableCmd, visit: Visit) -> Result<(), ResolveError> {
    let AlterTableCmd { def, subtype: _, name: _, num: _, newowner: _, behavior: _, missing_ok: _, recurse: _ } = node;
    one(def.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn partition_cmd(node: &mut PartitionCmd, visit: Visit) -> Result<(), ResolveError> {
    let PartitionCmd { name, bound, concurrent: _ } = node;
    if let Some(inner) = name.as_mut() {
        visit(Part::Relation(inner))?;
    }
    if let Some(inner) = bound.as_mut() {
        partition_bound_spec(inner, visit)?;
    }
    Ok(())
}

pub(super) fn partition_bound_spec(node: &mut PartitionBoundSpec, visit: Visit) -> Result<(), ResolveError> {
    let PartitionBoundSpec {
        listdatums,
        lowerdatums,
        upperdatums,
        strategy: _,
        is_default: _,
        modulus: _,
        remainder: _,
        location: _,
    } = node;
    all(listdatums, visit)?;
    all(lowerdatums, visit)?;
    all(upperdatums, visit)?;
    Ok(())
}

pub(super) fn partition_spec(node: &mut PartitionSpec, visit: Visit) -> Result<(), ResolveError> {
    let PartitionSpec { part_params, strategy: _, location: _ } = node;
    all(part_params, visit)?;
    Ok(())
}

pub(super) fn partition_elem(node: &mut PartitionElem, visit: Visit) -> Result<(), ResolveError> {
    let PartitionElem { expr, collation, opclass, name: _, location: _ } = node;
    one(expr.as_deref_mut(), visit)?;
    all(collation, visit)?;
    all(opclass, visit)?;
    Ok(())
}

pub(super) fn partition_range_datum(node: &mut PartitionRangeDatum, visit: Visit) -> Result<(), ResolveError> {
    let PartitionRangeDatum { value, kind: _, location: _ } = node;
    one(value.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn table_like_clause(node: &mut TableLikeClause, visit: Visit) -> Result<(), ResolveError> {
    let TableLikeClause { relation, options: _, relation_oid: _ } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    Ok(())
}

pub(super) fn stats_elem(node: &mut StatsElem, visit: Visit) -> Result<(), ResolveError> {
    let StatsElem { expr, name: _ } = node;
    one(expr.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn object_with_args(node: &mut ObjectWithArgs, visit: Visit) -> Result<(), ResolveError> {
    let ObjectWithArgs { objname, objargs, objfuncargs, args_unspecified: _ } = node;
    all(objname, visit)?;
    all(objargs, visit)?;
    all(objfuncargs, visit)?;
    Ok(())
}

pub(super) fn function_parameter(node: &mut FunctionParameter, visit: Visit) -> Result<(), ResolveError> {
    let FunctionParameter { arg_type, defexpr, name: _, mode: _, location: _ } = node;
    if let Some(inner) = arg_type.as_mut() {
        visit(Part::Type(inner))?;
    }
    one(defexpr.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn vacuum_relation(node: &mut VacuumRelation, visit: Visit) -> Result<(), ResolveError> {
    let VacuumRelation { relation, va_cols, oid: _ } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(va_cols, visit)?;
    Ok(())
}

pub(super) fn create_stmt(node: &mut CreateStmt, visit: Visit) -> Result<(), ResolveError> {
    let CreateStmt {
        relation,
        table_elts,
        inh_relations,
        partbound,
        partspec,
        of_typename,
        constraints,
        nnconstraints,
        options,
        oncommit: _,
        tablespacename: _,
        access_method: _,
        if_not_exists: _,
    } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(table_elts, visit)?;
    all(inh_relations, visit)?;
    if let Some(inner) = partbound.as_mut() {
        partition_bound_spec(inner, visit)?;
    }
    if let Some(inner) = partspec.as_mut() {
        partition_spec(inner, visit)?;
    }
    if let Some(inner) = of_typename.as_mut() {
        visit(Part::Type(inner))?;
    }
    all(constraints, visit)?;
    all(nnconstraints, visit)?;
    all(options, visit)?;
    Ok(())
}

pub(super) fn index_stmt(node: &mut IndexStmt, visit: Visit) -> Result<(), ResolveError> {
    let IndexStmt {
        relation,
        index_params,
        index_including_params,
        options,
        where_clause,
        exclude_op_names,
        idxname: _,
        access_method: _,
        table_space: _,
        idxcomment: _,
        index_oid: _,
        old_number: _,
        old_create_subid: _,
        old_first_relfilelocator_subid: _,
        unique: _,
        nulls_not_distinct: _,
        primary: _,
        isconstraint: _,
        iswithoutoverlaps: _,
        deferrable: _,
        initdeferred: _,
        transformed: _,
        concurrent: _,
        if_not_exists: _,
        reset_default_tblspc: _,
    } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(index_params, visit)?;
    all(index_including_params, visit)?;
    all(options, visit)?;
    one(where_clause.as_deref_mut(), visit)?;
    all(exclude_op_names, visit)?;
    Ok(())
}

pub(super) fn alter_table_stmt(node: &mut AlterTableStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterTableStmt { relation, cmds, objtype: _, missing_ok: _ } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(cmds, visit)?;
    Ok(())
}
