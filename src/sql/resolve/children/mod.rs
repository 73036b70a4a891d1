//! The parts of a node: what the walk finds inside a node that means nothing special to it.
//!
//! In: a node. Out: its parts, in order, to a visitor. Every kind of the grammar is named: it has parts, is a leaf, has a rule
//! of its own elsewhere in the walk, or is refused. There is no wildcard over kinds nor over fields.

mod expression;
mod json;
mod table;
mod utility;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Node, RangeVar, TypeName};

use super::ResolveError;

/// What a node holds.
pub(super) enum Part<'a> {
    /// Any node.
    Node(&'a mut Node),
    /// A relation's name outside FROM.
    Relation(&'a mut RangeVar),
    /// A type's name.
    Type(&'a mut TypeName),
}

/// Takes the parts.
pub(super) type Visit<'a> = &'a mut dyn FnMut(Part<'_>) -> Result<(), ResolveError>;

/// Visits the parts of a node that has no rule of its own.
pub(super) fn children(node: &mut Kind, visit: Visit) -> Result<(), ResolveError> {
    match node {
        Kind::GroupingFunc(inner) => expression::grouping_func(inner, visit),
        Kind::NamedArgExpr(inner) => expression::named_arg_expr(inner, visit),
        Kind::BoolExpr(inner) => expression::bool_expr(inner, visit),
        Kind::CaseExpr(inner) => expression::case_expr(inner, visit),
        Kind::CaseWhen(inner) => expression::case_when(inner, visit),
        Kind::CoalesceExpr(inner) => expression::coalesce_expr(inner, visit),
        Kind::MinMaxExpr(inner) => expression::min_max_expr(inner, visit),
        Kind::XmlExpr(inner) => expression::xml_expr(inner, visit),
        Kind::JsonValueExpr(inner) => json::json_value_expr(inner, visit),
        Kind::JsonIsPredicate(inner) => json::json_is_predicate(inner, visit),
        Kind::JsonBehavior(inner) => json::json_behavior(inner, visit),
        Kind::NullTest(inner) => expression::null_test(inner, visit),
        Kind::BooleanTest(inner) => expression::boolean_test(inner, visit),
        Kind::SetToDefault(inner) => expression::set_to_default(inner, visit),
        Kind::RowExpr(inner) => expression::row_expr(inner, visit),
        Kind::MergeSupportFunc(inner) => expression::merge_support_func(inner, visit),
        Kind::AIndices(inner) => expression::a_indices(inner, visit),
        Kind::AArrayExpr(inner) => expression::a_array_expr(inner, visit),
        Kind::ResTarget(inner) => expression::res_target(inner, visit),
        Kind::MultiAssignRef(inner) => expression::multi_assign_ref(inner, visit),
        Kind::WindowDef(inner) => expression::window_def(inner, visit),
        Kind::XmlSerialize(inner) => expression::xml_serialize(inner, visit),
        Kind::GroupingSet(inner) => expression::grouping_set(inner, visit),
        Kind::JsonOutput(inner) => json::json_output(inner, visit),
        Kind::JsonArgument(inner) => json::json_argument(inner, visit),
        Kind::JsonFuncExpr(inner) => json::json_func_expr(inner, visit),
        Kind::JsonTablePathSpec(inner) => json::json_table_path_spec(inner, visit),
        Kind::JsonTableColumn(inner) => json::json_table_column(inner, visit),
        Kind::JsonKeyValue(inner) => json::json_key_value(inner, visit),
        Kind::JsonParseExpr(inner) => json::json_parse_expr(inner, visit),
        Kind::JsonScalarExpr(inner) => json::json_scalar_expr(inner, visit),
        Kind::JsonSerializeExpr(inner) => json::json_serialize_expr(inner, visit),
        Kind::JsonObjectConstructor(inner) => json::json_object_constructor(inner, visit),
        Kind::JsonArrayConstructor(inner) => json::json_array_constructor(inner, visit),
        Kind::JsonAggConstructor(inner) => json::json_agg_constructor(inner, visit),
        Kind::JsonObjectAgg(inner) => json::json_object_agg(inner, visit),
        Kind::JsonArrayAgg(inner) => json::json_array_agg(inner, visit),
        Kind::List(inner) => expression::list(inner, visit),
        Kind::RangeTableFuncCol(inner) => expression::range_table_func_col(inner, visit),
        Kind::IndexElem(inner) => expression::index_elem(inner, visit),
        Kind::CollateClause(inner) => expression::collate_clause(inner, visit),
        Kind::TypeName(inner) => visit(Part::Type(inner)),
        Kind::ColumnDef(inner) => table::column_def(inner, visit),
        Kind::Constraint(inner) => table::constraint(inner, visit),
        Kind::DefElem(inner) => table::def_elem(inner, visit),
        Kind::AlterTableCmd(inner) => table::alter_table_cmd(inner, visit),
        Kind::PartitionCmd(inner) => table::partition_cmd(inner, visit),
        Kind::PartitionBoundSpec(inner) => table::partition_bound_spec(inner, visit),
        Kind::PartitionSpec(inner) => table::partition_spec(inner, visit),
        Kind::PartitionElem(inner) => table::partition_elem(inner, visit),
        Kind::PartitionRangeDatum(inner) => table::partition_range_datum(inner, visit),
        Kind::TableLikeClause(inner) => table::table_like_clause(inner, visit),
        Kind::StatsElem(inner) => table::stats_elem(inner, visit),
        Kind::ObjectWithArgs(inner) => table::object_with_args(inner, visit),
        Kind::FunctionParameter(inner) => table::function_parameter(inner, visit),
        Kind::VacuumRelation(inner) => table::vacuum_relation(inner, visit),
        Kind::CreateStmt(inner) => table::create_stmt(inner, visit),
        Kind::IndexStmt(inner) => table::index_stmt(inner, visit),
        Kind::AlterTableStmt(inner) => table::alter_table_stmt(inner, visit),
        Kind::CreateSeqStmt(inner) => utility::create_seq_stmt(inner, visit),
        Kind::AlterSeqStmt(inner) => utility::alter_seq_stmt(inner, visit),
        Kind::CreateTrigStmt(inner) => utility::create_trig_stmt(inner, visit),
        Kind::CreateEnumStmt(inner) => utility::create_enum_stmt(inner, visit),
        Kind::CompositeTypeStmt(inner) => utility::composite_type_stmt(inner, visit),
        Kind::CreateRangeStmt(inner) => utility::create_range_stmt(inner, visit),
        Kind::AlterEnumStmt(inner) => utility::alter_enum_stmt(inner, visit),
        Kind::AlterTypeStmt(inner) => utility::alter_type_stmt(inner, visit),
        Kind::CreateDomainStmt(inner) => utility::create_domain_stmt(inner, visit),
        Kind::AlterDomainStmt(inner) => utility::alter_domain_stmt(inner, visit),
        Kind::CreateStatsStmt(inner) => utility::create_stats_stmt(inner, visit),
        Kind::AlterStatsStmt(inner) => utility::alter_stats_stmt(inner, visit),
        Kind::CommentStmt(inner) => utility::comment_stmt(inner, visit),
        Kind::RenameStmt(inner) => utility::rename_stmt(inner, visit),
        Kind::AlterObjectSchemaStmt(inner) => utility::alter_object_schema_stmt(inner, visit),
        Kind::TruncateStmt(inner) => utility::truncate_stmt(inner, visit),
        Kind::VacuumStmt(inner) => utility::vacuum_stmt(inner, visit),
        Kind::ClusterStmt(inner) => utility::cluster_stmt(inner, visit),
        Kind::ReindexStmt(inner) => utility::reindex_stmt(inner, visit),
        Kind::RefreshMatViewStmt(inner) => utility::refresh_mat_view_stmt(inner, visit),
        Kind::LockStmt(inner) => utility::lock_stmt(inner, visit),
        Kind::DropStmt(inner) => utility::drop_stmt(inner, visit),
        Kind::AlterFunctionStmt(inner) => utility::alter_function_stmt(inner, visit),
        Kind::AlterCollationStmt(inner) => utility::alter_collation_stmt(inner, visit),
        Kind::AStar(_)
        | Kind::JsonFormat(_)
        | Kind::JsonReturning(_)
        | Kind::ParamRef(_)
        | Kind::Integer(_)
        | Kind::Float(_)
        | Kind::Boolean(_)
        | Kind::String(_)
        | Kind::BitString(_)
        | Kind::AConst(_)
        | Kind::AtalterConstraint(_)
        | Kind::ReplicaIdentityStmt(_)
        | Kind::RoleSpec(_)
        | Kind::TriggerTransition(_) => Ok(()),
        Kind::SubLink(_)
        | Kind::SqlvalueFunction(_)
        | Kind::CurrentOfExpr(_)
        | Kind::ColumnRef(_)
        | Kind::AExpr(_)
        | Kind::TypeCast(_)
        | Kind::FuncCall(_)
        | Kind::AIndirection(_)
        | Kind::SortBy(_)
        | Kind::JsonArrayQueryConstructor(_)
        | Kind::RangeVar(_)
        | Kind::JoinExpr(_)
        | Kind::RangeSubselect(_)
        | Kind::RangeFunction(_)
        | Kind::RangeTableFunc(_)
        | Kind::RangeTableSample(_)
        | Kind::JsonTable(_)
        | Kind::LockingClause(_)
        | Kind::WithClause(_)
        | Kind::CommonTableExpr(_)
        | Kind::CtesearchClause(_)
        | Kind::CtecycleClause(_)
        | Kind::InferClause(_)
        | Kind::OnConflictClause(_)
        | Kind::MergeWhenClause(_)
        | Kind::ReturningOption(_)
        | Kind::ReturningClause(_)
        | Kind::InsertStmt(_)
        | Kind::DeleteStmt(_)
        | Kind::UpdateStmt(_)
        | Kind::MergeStmt(_)
        | Kind::SelectStmt(_)
        | Kind::IntoClause(_)
        | Kind::Alias(_) => Err(ResolveError::misplaced("query part")),
        Kind::TableFunc(_)
        | Kind::Var(_)
        | Kind::Param(_)
        | Kind::Aggref(_)
        | Kind::WindowFunc(_)
        | Kind::WindowFuncRunCondition(_)
        | Kind::SubscriptingRef(_)
        | Kind::FuncExpr(_)
        | Kind::OpExpr(_)
        | Kind::DistinctExpr(_)
        | Kind::NullIfExpr(_)
        | Kind::ScalarArrayOpExpr(_)
        | Kind::SubPlan(_)
        | Kind::AlternativeSubPlan(_)
        | Kind::FieldSelect(_)
        | Kind::FieldStore(_)
        | Kind::RelabelType(_)
        | Kind::CoerceViaIo(_)
        | Kind::ArrayCoerceExpr(_)
        | Kind::ConvertRowtypeExpr(_)
        | Kind::CollateExpr(_)
        | Kind::CaseTestExpr(_)
        | Kind::ArrayExpr(_)
        | Kind::RowCompareExpr(_)
        | Kind::JsonConstructorExpr(_)
        | Kind::JsonExpr(_)
        | Kind::JsonTablePath(_)
        | Kind::JsonTablePathScan(_)
        | Kind::JsonTableSiblingJoin(_)
        | Kind::MergeAction(_)
        | Kind::CoerceToDomain(_)
        | Kind::CoerceToDomainValue(_)
        | Kind::NextValueExpr(_)
        | Kind::InferenceElem(_)
        | Kind::ReturningExpr(_)
        | Kind::TargetEntry(_)
        | Kind::RangeTblRef(_)
        | Kind::FromExpr(_)
        | Kind::OnConflictExpr(_)
        | Kind::Query(_)
        | Kind::RangeTblEntry(_)
        | Kind::RtepermissionInfo(_)
        | Kind::RangeTblFunction(_)
        | Kind::TableSampleClause(_)
        | Kind::WithCheckOption(_)
        | Kind::SortGroupClause(_)
        | Kind::WindowClause(_)
        | Kind::RowMarkClause(_)
        | Kind::RawStmt(_)
        | Kind::SetOperationStmt(_)
        | Kind::ReturnStmt(_)
        | Kind::PlassignStmt(_)
        | Kind::CreateSchemaStmt(_)
        | Kind::GrantStmt(_)
        | Kind::AccessPriv(_)
        | Kind::GrantRoleStmt(_)
        | Kind::AlterDefaultPrivilegesStmt(_)
        | Kind::CopyStmt(_)
        | Kind::VariableSetStmt(_)
        | Kind::VariableShowStmt(_)
        | Kind::CreateTableSpaceStmt(_)
        | Kind::DropTableSpaceStmt(_)
        | Kind::AlterTableSpaceOptionsStmt(_)
        | Kind::AlterTableMoveAllStmt(_)
        | Kind::CreateExtensionStmt(_)
        | Kind::AlterExtensionStmt(_)
        | Kind::AlterExtensionContentsStmt(_)
        | Kind::CreateFdwStmt(_)
        | Kind::AlterFdwStmt(_)
        | Kind::CreateForeignServerStmt(_)
        | Kind::AlterForeignServerStmt(_)
        | Kind::CreateForeignTableStmt(_)
        | Kind::CreateUserMappingStmt(_)
        | Kind::AlterUserMappingStmt(_)
        | Kind::DropUserMappingStmt(_)
        | Kind::ImportForeignSchemaStmt(_)
        | Kind::CreatePolicyStmt(_)
        | Kind::AlterPolicyStmt(_)
        | Kind::CreateAmStmt(_)
        | Kind::CreateEventTrigStmt(_)
        | Kind::AlterEventTrigStmt(_)
        | Kind::CreatePlangStmt(_)
        | Kind::CreateRoleStmt(_)
        | Kind::AlterRoleStmt(_)
        | Kind::AlterRoleSetStmt(_)
        | Kind::DropRoleStmt(_)
        | Kind::DefineStmt(_)
        | Kind::CreateOpClassStmt(_)
        | Kind::CreateOpClassItem(_)
        | Kind::CreateOpFamilyStmt(_)
        | Kind::AlterOpFamilyStmt(_)
        | Kind::SecLabelStmt(_)
        | Kind::DeclareCursorStmt(_)
        | Kind::ClosePortalStmt(_)
        | Kind::FetchStmt(_)
        | Kind::CreateFunctionStmt(_)
        | Kind::DoStmt(_)
        | Kind::InlineCodeBlock(_)
        | Kind::CallStmt(_)
        | Kind::CallContext(_)
        | Kind::AlterObjectDependsStmt(_)
        | Kind::AlterOwnerStmt(_)
        | Kind::AlterOperatorStmt(_)
        | Kind::RuleStmt(_)
        | Kind::NotifyStmt(_)
        | Kind::ListenStmt(_)
        | Kind::UnlistenStmt(_)
        | Kind::TransactionStmt(_)
        | Kind::ViewStmt(_)
        | Kind::LoadStmt(_)
        | Kind::CreatedbStmt(_)
        | Kind::AlterDatabaseStmt(_)
        | Kind::AlterDatabaseRefreshCollStmt(_)
        | Kind::AlterDatabaseSetStmt(_)
        | Kind::DropdbStmt(_)
        | Kind::AlterSystemStmt(_)
        | Kind::ExplainStmt(_)
        | Kind::CreateTableAsStmt(_)
        | Kind::CheckPointStmt(_)
        | Kind::DiscardStmt(_)
        | Kind::ConstraintsSetStmt(_)
        | Kind::CreateConversionStmt(_)
        | Kind::CreateCastStmt(_)
        | Kind::CreateTransformStmt(_)
        | Kind::PrepareStmt(_)
        | Kind::ExecuteStmt(_)
        | Kind::DeallocateStmt(_)
        | Kind::DropOwnedStmt(_)
        | Kind::ReassignOwnedStmt(_)
        | Kind::AlterTsdictionaryStmt(_)
        | Kind::AlterTsconfigurationStmt(_)
        | Kind::PublicationTable(_)
        | Kind::PublicationObjSpec(_)
        | Kind::CreatePublicationStmt(_)
        | Kind::AlterPublicationStmt(_)
        | Kind::CreateSubscriptionStmt(_)
        | Kind::AlterSubscriptionStmt(_)
        | Kind::DropSubscriptionStmt(_)
        | Kind::IntList(_)
        | Kind::OidList(_) => Err(ResolveError::misplaced("node kind")),
    }
}

fn one(node: Option<&mut Node>, visit: Visit) -> Result<(), ResolveError> {
    node.map_or(Ok(()), |inner| visit(Part::Node(inner)))
}

fn all(nodes: &mut [Node], visit: Visit) -> Result<(), ResolveError> {
    nodes.iter_mut().try_for_each(|inner| visit(Part::Node(inner)))
}
