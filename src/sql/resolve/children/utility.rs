//! The parts of utility statements.

use pg_query::protobuf::{
    AlterCollationStmt, AlterDomainStmt, AlterEnumStmt, AlterFunctionStmt, AlterObjectSchemaStmt, AlterSeqStmt, AlterStatsStmt,
    AlterTypeStmt, ClusterStmt, CommentStmt, CompositeTypeStmt, CreateDomainStmt, CreateEnumStmt, CreateRangeStmt, CreateSeqStmt,
    CreateStatsStmt, CreateTrigStmt, DropStmt, LockStmt, RefreshMatViewStmt, ReindexStmt, RenameStmt, TruncateStmt, VacuumStmt,
};

use super::expression::collate_clause;
use super::table::object_with_args;
use super::{Part, Visit, all, one};
use crate::sql::resolve::ResolveError;

pub(super) fn create_seq_stmt(node: &mut CreateSeqStmt, visit: Visit) -> Result<(), ResolveError> {
    let CreateSeqStmt { sequence, options, owner_id: _, for_identity: _, if_not_exists: _ } = node;
    if let Some(inner) = sequence.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(options, visit)?;
    Ok(())
}

pub(super) fn alter_seq_stmt(node: &mut AlterSeqStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterSeqStmt { sequence, options, for_identity: _, missing_ok: _ } = node;
    if let Some(inner) = sequence.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(options, visit)?;
    Ok(())
}

pub(super) fn create_trig_stmt(node: &mut CreateTrigStmt, visit: Visit) -> Result<(), ResolveError> {
    let CreateTrigStmt {
        relation,
        funcname,
        args,
        columns,
        when_clause,
        transition_rels,
        constrrel,
        replace: _,
        isconstraint: _,
        trigname: _,
        row: _,
        timing: _,
        events: _,
        deferrable: _,
        initdeferred: _,
    } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(funcname, visit)?;
    all(args, visit)?;
    all(columns, visit)?;
    one(when_clause.as_deref_mut(), visit)?;
    all(transition_rels, visit)?;
    if let Some(inner) = constrrel.as_mut() {
        visit(Part::Relation(inner))?;
    }
    Ok(())
}

pub(super) fn create_enum_stmt(node: &mut CreateEnumStmt, visit: Visit) -> Result<(), ResolveError> {
    let CreateEnumStmt { type_name, vals } = node;
    all(type_name, visit)?;
    all(vals, visit)?;
    Ok(())
}

pub(super) fn composite_type_stmt(node: &mut CompositeTypeStmt, visit: Visit) -> Result<(), ResolveError> {
    let CompositeTypeStmt { typevar, coldeflist } = node;
    if let Some(inner) = typevar.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(coldeflist, visit)?;
    Ok(())
}

pub(super) fn create_range_stmt(node: &mut CreateRangeStmt, visit: Visit) -> Result<(), ResolveError> {
    let CreateRangeStmt { type_name, params } = node;
    all(type_name, visit)?;
    all(params, visit)?;
    Ok(())
}

pub(super) fn alter_enum_stmt(node: &mut AlterEnumStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterEnumStmt { type_name, old_val: _, new_val: _, new_val_neighbor: _, new_val_is_after: _, skip_if_new_val_exists: _ } =
        node;
    all(type_name, visit)?;
    Ok(())
}

pub(super) fn alter_type_stmt(node: &mut AlterTypeStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterTypeStmt { type_name, options } = node;
    all(type_name, visit)?;
    all(options, visit)?;
    Ok(())
}

pub(super) fn create_domain_stmt(node: &mut CreateDomainStmt, visit: Visit) -> Result<(), ResolveError> {
    let CreateDomainStmt { domainname, type_name, coll_clause, constraints } = node;
    all(domainname, visit)?;
    if let Some(inner) = type_name.as_mut() {
        visit(Part::Type(inner))?;
    }
    if let Some(inner) = coll_clause.as_deref_mut() {
        collate_clause(inner, visit)?;
    }
    all(constraints, visit)?;
    Ok(())
}

pub(super) fn alter_domain_stmt(node: &mut AlterDomainStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterDomainStmt { type_name, def, subtype: _, name: _, behavior: _, missing_ok: _ } = node;
    all(type_name, visit)?;
    one(def.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn create_stats_stmt(node: &mut CreateStatsStmt, visit: Visit) -> Result<(), ResolveError> {
    let CreateStatsStmt { defnames, stat_types, exprs, relations, stxcomment: _, transformed: _, if_not_exists: _ } = node;
    all(defnames, visit)?;
    all(stat_types, visit)?;
    all(exprs, visit)?;
    all(relations, visit)?;
    Ok(())
}

pub(super) fn alter_stats_stmt(node: &mut AlterStatsStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterStatsStmt { defnames, stxstattarget, missing_ok: _ } = node;
    all(defnames, visit)?;
    one(stxstattarget.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn comment_stmt(node: &mut CommentStmt, visit: Visit) -> Result<(), ResolveError> {
    let CommentStmt { object, objtype: _, comment: _ } = node;
    one(object.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn rename_stmt(node: &mut RenameStmt, visit: Visit) -> Result<(), ResolveError> {
    let RenameStmt { relation, object, rename_type: _, relation_type: _, subname: _, newname: _, behavior: _, missing_ok: _ } =
        node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    one(object.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn alter_object_schema_stmt(node: &mut AlterObjectSchemaStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterObjectSchemaStmt { relation, object, object_type: _, newschema: _, missing_ok: _ } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    one(object.as_deref_mut(), visit)?;
    Ok(())
}

pub(super) fn truncate_stmt(node: &mut TruncateStmt, visit: Visit) -> Result<(), ResolveError> {
    let TruncateStmt { relations, restart_seqs: _, behavior: _ } = node;
    all(relations, visit)?;
    Ok(())
}

pub(super) fn vacuum_stmt(node: &mut VacuumStmt, visit: Visit) -> Result<(), ResolveError> {
    let VacuumStmt { options, rels, is_vacuumcmd: _ } = node;
    all(options, visit)?;
    all(rels, visit)?;
    Ok(())
}

pub(super) fn cluster_stmt(node: &mut ClusterStmt, visit: Visit) -> Result<(), ResolveError> {
    let ClusterStmt { relation, params, indexname: _ } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(params, visit)?;
    Ok(())
}

pub(super) fn reindex_stmt(node: &mut ReindexStmt, visit: Visit) -> Result<(), ResolveError> {
    let ReindexStmt { relation, params, kind: _, name: _ } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    all(params, visit)?;
    Ok(())
}

pub(super) fn refresh_mat_view_stmt(node: &mut RefreshMatViewStmt, visit: Visit) -> Result<(), ResolveError> {
    let RefreshMatViewStmt { relation, concurrent: _, skip_data: _ } = node;
    if let Some(inner) = relation.as_mut() {
        visit(Part::Relation(inner))?;
    }
    Ok(())
}

pub(super) fn lock_stmt(node: &mut LockStmt, visit: Visit) -> Result<(), ResolveError> {
    let LockStmt { relations, mode: _, nowait: _ } = node;
    all(relations, visit)?;
    Ok(())
}

pub(super) fn drop_stmt(node: &mut DropStmt, visit: Visit) -> Result<(), ResolveError> {
    let DropStmt { objects, remove_type: _, behavior: _, missing_ok: _, concurrent: _ } = node;
    all(objects, visit)?;
    Ok(())
}

pub(super) fn alter_function_stmt(node: &mut AlterFunctionStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterFunctionStmt { func, actions, objtype: _ } = node;
    if let Some(inner) = func.as_mut() {
        object_with_args(inner, visit)?;
    }
    all(actions, visit)?;
    Ok(())
}

pub(super) fn alter_collation_stmt(node: &mut AlterCollationStmt, visit: Visit) -> Result<(), ResolveError> {
    let AlterCollationStmt { collname } = node;
    all(collname, visit)?;
    Ok(())
}
