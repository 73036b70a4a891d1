//! The closed list of statement kinds: one entry for every statement node of PostgreSQL's grammar.
//!
//! A node that is missing here does not compile. What each statement needs stands in the `surface`.

use pg_query::NodeEnum;

macro_rules! statement_kinds {
    ($($kind:ident $node:ident $label:literal $tag:literal;)*) => {
        /// The kind of a statement.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum StatementKind {
            $(#[doc = $label] $kind,)*
        }

        impl StatementKind {
            /// Every kind, in the list's order.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// What messages, audit and metrics call it.
            pub fn label(self) -> &'static str {
                match self { $(Self::$kind => $label,)* }
            }

            /// How its command tags begin; empty where they differ within the kind.
            pub fn tag(self) -> &'static str {
                match self { $(Self::$kind => $tag,)* }
            }

            /// The kind of a node; `None` when it is no statement.
            pub fn of(node: &NodeEnum) -> Option<Self> {
                match node {
                    $(NodeEnum::$node(_) => Some(Self::$kind),)*
                    NodeEnum::Alias(_)
                    | NodeEnum::RangeVar(_)
                    | NodeEnum::TableFunc(_)
                    | NodeEnum::IntoClause(_)
                    | NodeEnum::Var(_)
                    | NodeEnum::Param(_)
                    | NodeEnum::Aggref(_)
                    | NodeEnum::GroupingFunc(_)
                    | NodeEnum::WindowFunc(_)
                    | NodeEnum::WindowFuncRunCondition(_)
                    | NodeEnum::MergeSupportFunc(_)
                    | NodeEnum::SubscriptingRef(_)
                    | NodeEnum::FuncExpr(_)
                    | NodeEnum::NamedArgExpr(_)
                    | NodeEnum::OpExpr(_)
                    | NodeEnum::DistinctExpr(_)
                    | NodeEnum::NullIfExpr(_)
                    | NodeEnum::ScalarArrayOpExpr(_)
                    | NodeEnum::BoolExpr(_)
                    | NodeEnum::SubLink(_)
                    | NodeEnum::SubPlan(_)
                    | NodeEnum::AlternativeSubPlan(_)
                    | NodeEnum::FieldSelect(_)
                    | NodeEnum::FieldStore(_)
                    | NodeEnum::RelabelType(_)
                    | NodeEnum::CoerceViaIo(_)
                    | NodeEnum::ArrayCoerceExpr(_)
                    | NodeEnum::ConvertRowtypeExpr(_)
                    | NodeEnum::CollateExpr(_)
                    | NodeEnum::CaseExpr(_)
                    | NodeEnum::CaseWhen(_)
                    | NodeEnum::CaseTestExpr(_)
                    | NodeEnum::ArrayExpr(_)
                    | NodeEnum::RowExpr(_)
                    | NodeEnum::RowCompareExpr(_)
                    | NodeEnum::CoalesceExpr(_)
                    | NodeEnum::MinMaxExpr(_)
                    | NodeEnum::SqlvalueFunction(_)
                    | NodeEnum::XmlExpr(_)
                    | NodeEnum::JsonFormat(_)
                    | NodeEnum::JsonReturning(_)
                    | NodeEnum::JsonValueExpr(_)
                    | NodeEnum::JsonConstructorExpr(_)
                    | NodeEnum::JsonIsPredicate(_)
                    | NodeEnum::JsonBehavior(_)
                    | NodeEnum::JsonExpr(_)
                    | NodeEnum::JsonTablePath(_)
                    | NodeEnum::JsonTablePathScan(_)
                    | NodeEnum::JsonTableSiblingJoin(_)
                    | NodeEnum::NullTest(_)
                    | NodeEnum::BooleanTest(_)
                    | NodeEnum::MergeAction(_)
                    | NodeEnum::CoerceToDomain(_)
                    | NodeEnum::CoerceToDomainValue(_)
                    | NodeEnum::SetToDefault(_)
                    | NodeEnum::CurrentOfExpr(_)
                    | NodeEnum::NextValueExpr(_)
                    | NodeEnum::InferenceElem(_)
                    | NodeEnum::ReturningExpr(_)
                    | NodeEnum::TargetEntry(_)
                    | NodeEnum::RangeTblRef(_)
                    | NodeEnum::JoinExpr(_)
                    | NodeEnum::FromExpr(_)
                    | NodeEnum::OnConflictExpr(_)
                    | NodeEnum::Query(_)
                    | NodeEnum::TypeName(_)
                    | NodeEnum::ColumnRef(_)
                    | NodeEnum::ParamRef(_)
                    | NodeEnum::AExpr(_)
                    | NodeEnum::TypeCast(_)
                    | NodeEnum::CollateClause(_)
                    | NodeEnum::RoleSpec(_)
                    | NodeEnum::FuncCall(_)
                    | NodeEnum::AStar(_)
                    | NodeEnum::AIndices(_)
                    | NodeEnum::AIndirection(_)
                    | NodeEnum::AArrayExpr(_)
                    | NodeEnum::ResTarget(_)
                    | NodeEnum::MultiAssignRef(_)
                    | NodeEnum::SortBy(_)
                    | NodeEnum::WindowDef(_)
                    | NodeEnum::RangeSubselect(_)
                    | NodeEnum::RangeFunction(_)
                    | NodeEnum::RangeTableFunc(_)
                    | NodeEnum::RangeTableFuncCol(_)
                    | NodeEnum::RangeTableSample(_)
                    | NodeEnum::ColumnDef(_)
                    | NodeEnum::TableLikeClause(_)
                    | NodeEnum::IndexElem(_)
                    | NodeEnum::DefElem(_)
                    | NodeEnum::LockingClause(_)
                    | NodeEnum::XmlSerialize(_)
                    | NodeEnum::PartitionElem(_)
                    | NodeEnum::PartitionSpec(_)
                    | NodeEnum::PartitionBoundSpec(_)
                    | NodeEnum::PartitionRangeDatum(_)
                    | NodeEnum::PartitionCmd(_)
                    | NodeEnum::RangeTblEntry(_)
                    | NodeEnum::RtepermissionInfo(_)
                    | NodeEnum::RangeTblFunction(_)
                    | NodeEnum::TableSampleClause(_)
                    | NodeEnum::WithCheckOption(_)
                    | NodeEnum::SortGroupClause(_)
                    | NodeEnum::GroupingSet(_)
                    | NodeEnum::WindowClause(_)
                    | NodeEnum::RowMarkClause(_)
                    | NodeEnum::WithClause(_)
                    | NodeEnum::InferClause(_)
                    | NodeEnum::OnConflictClause(_)
                    | NodeEnum::CtesearchClause(_)
                    | NodeEnum::CtecycleClause(_)
                    | NodeEnum::CommonTableExpr(_)
                    | NodeEnum::MergeWhenClause(_)
                    | NodeEnum::ReturningOption(_)
                    | NodeEnum::ReturningClause(_)
                    | NodeEnum::TriggerTransition(_)
                    | NodeEnum::JsonOutput(_)
                    | NodeEnum::JsonArgument(_)
                    | NodeEnum::JsonFuncExpr(_)
                    | NodeEnum::JsonTablePathSpec(_)
                    | NodeEnum::JsonTable(_)
                    | NodeEnum::JsonTableColumn(_)
                    | NodeEnum::JsonKeyValue(_)
                    | NodeEnum::JsonParseExpr(_)
                    | NodeEnum::JsonScalarExpr(_)
                    | NodeEnum::JsonSerializeExpr(_)
                    | NodeEnum::JsonObjectConstructor(_)
                    | NodeEnum::JsonArrayConstructor(_)
                    | NodeEnum::JsonArrayQueryConstructor(_)
                    | NodeEnum::JsonAggConstructor(_)
                    | NodeEnum::JsonObjectAgg(_)
                    | NodeEnum::JsonArrayAgg(_)
                    | NodeEnum::AlterTableCmd(_)
                    | NodeEnum::AtalterConstraint(_)
                    | NodeEnum::ObjectWithArgs(_)
                    | NodeEnum::AccessPriv(_)
                    | NodeEnum::Constraint(_)
                    | NodeEnum::CreateOpClassItem(_)
                    | NodeEnum::StatsElem(_)
                    | NodeEnum::FunctionParameter(_)
                    | NodeEnum::InlineCodeBlock(_)
                    | NodeEnum::CallContext(_)
                    | NodeEnum::VacuumRelation(_)
                    | NodeEnum::PublicationTable(_)
                    | NodeEnum::PublicationObjSpec(_)
                    | NodeEnum::Integer(_)
                    | NodeEnum::Float(_)
                    | NodeEnum::Boolean(_)
                    | NodeEnum::String(_)
                    | NodeEnum::BitString(_)
                    | NodeEnum::List(_)
                    | NodeEnum::IntList(_)
                    | NodeEnum::OidList(_)
                    | NodeEnum::AConst(_) => None,
                }
            }
        }
    };
}

impl std::fmt::Display for StatementKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

statement_kinds! {
    Select SelectStmt "SELECT" "SELECT";
    Insert InsertStmt "INSERT" "INSERT";
    Update UpdateStmt "UPDATE" "UPDATE";
    Delete DeleteStmt "DELETE" "DELETE";
    Merge MergeStmt "MERGE" "MERGE";
    Copy CopyStmt "COPY" "COPY";
    Explain ExplainStmt "EXPLAIN" "EXPLAIN";
    Transaction TransactionStmt "TRANSACTION" "";
    Set VariableSetStmt "SET" "SET";
    Show VariableShowStmt "SHOW" "SHOW";
    SetConstraints ConstraintsSetStmt "SET CONSTRAINTS" "SET CONSTRAINTS";
    Prepare PrepareStmt "PREPARE" "PREPARE";
    Execute ExecuteStmt "EXECUTE" "EXECUTE";
    Deallocate DeallocateStmt "DEALLOCATE" "DEALLOCATE";
    DeclareCursor DeclareCursorStmt "DECLARE CURSOR" "DECLARE CURSOR";
    Fetch FetchStmt "FETCH" "FETCH";
    ClosePortal ClosePortalStmt "CLOSE CURSOR" "CLOSE CURSOR";
    Discard DiscardStmt "DISCARD" "DISCARD";
    Listen ListenStmt "LISTEN" "LISTEN";
    Notify NotifyStmt "NOTIFY" "NOTIFY";
    Unlisten UnlistenStmt "UNLISTEN" "UNLISTEN";
    CreateSchema CreateSchemaStmt "CREATE SCHEMA" "CREATE SCHEMA";
    CreateTable CreateStmt "CREATE TABLE" "CREATE TABLE";
    CreateTableAs CreateTableAsStmt "CREATE TABLE AS" "SELECT";
    CreateForeignTable CreateForeignTableStmt "CREATE FOREIGN TABLE" "CREATE FOREIGN TABLE";
    AlterTable AlterTableStmt "ALTER TABLE" "ALTER TABLE";
    CreateIndex IndexStmt "CREATE INDEX" "CREATE INDEX";
    CreateView ViewStmt "CREATE VIEW" "CREATE VIEW";
    RefreshMaterializedView RefreshMatViewStmt "REFRESH MATERIALIZED VIEW" "REFRESH MATERIALIZED VIEW";
    CreateSequence CreateSeqStmt "CREATE SEQUENCE" "CREATE SEQUENCE";
    AlterSequence AlterSeqStmt "ALTER SEQUENCE" "ALTER SEQUENCE";
    CreateTrigger CreateTrigStmt "CREATE TRIGGER" "CREATE TRIGGER";
    CreateStatistics CreateStatsStmt "CREATE STATISTICS" "CREATE STATISTICS";
    AlterStatistics AlterStatsStmt "ALTER STATISTICS" "ALTER STATISTICS";
    CreateFunction CreateFunctionStmt "CREATE FUNCTION" "CREATE FUNCTION";
    AlterFunction AlterFunctionStmt "ALTER FUNCTION" "ALTER FUNCTION";
    Do DoStmt "DO" "DO";
    Call CallStmt "CALL" "CALL";
    Define DefineStmt "CREATE AGGREGATE" "CREATE";
    CreateDomain CreateDomainStmt "CREATE DOMAIN" "CREATE DOMAIN";
    AlterDomain AlterDomainStmt "ALTER DOMAIN" "ALTER DOMAIN";
    CreateCompositeType CompositeTypeStmt "CREATE TYPE" "CREATE TYPE";
    CreateEnum CreateEnumStmt "CREATE TYPE" "CREATE TYPE";
    CreateRange CreateRangeStmt "CREATE TYPE" "CREATE TYPE";
    AlterEnum AlterEnumStmt "ALTER TYPE" "ALTER TYPE";
    AlterType AlterTypeStmt "ALTER TYPE" "ALTER TYPE";
    AlterCollation AlterCollationStmt "ALTER COLLATION" "ALTER COLLATION";
    AlterOperator AlterOperatorStmt "ALTER OPERATOR" "ALTER OPERATOR";
    AlterTextSearchDictionary AlterTsdictionaryStmt "ALTER TEXT SEARCH DICTIONARY" "ALTER TEXT SEARCH DICTIONARY";
    AlterTextSearchConfiguration AlterTsconfigurationStmt "ALTER TEXT SEARCH CONFIGURATION" "ALTER TEXT SEARCH CONFIGURATION";
    CreateCast CreateCastStmt "CREATE CAST" "CREATE CAST";
    CreateExtension CreateExtensionStmt "CREATE EXTENSION" "CREATE EXTENSION";
    AlterExtension AlterExtensionStmt "ALTER EXTENSION" "ALTER EXTENSION";
    CreateServer CreateForeignServerStmt "CREATE SERVER" "CREATE SERVER";
    AlterServer AlterForeignServerStmt "ALTER SERVER" "ALTER SERVER";
    CreateUserMapping CreateUserMappingStmt "CREATE USER MAPPING" "CREATE USER MAPPING";
    AlterUserMapping AlterUserMappingStmt "ALTER USER MAPPING" "ALTER USER MAPPING";
    DropUserMapping DropUserMappingStmt "DROP USER MAPPING" "DROP USER MAPPING";
    ImportForeignSchema ImportForeignSchemaStmt "IMPORT FOREIGN SCHEMA" "IMPORT FOREIGN SCHEMA";
    Drop DropStmt "DROP" "DROP";
    Truncate TruncateStmt "TRUNCATE TABLE" "TRUNCATE TABLE";
    Lock LockStmt "LOCK TABLE" "LOCK TABLE";
    Rename RenameStmt "ALTER RENAME" "ALTER";
    AlterObjectSchema AlterObjectSchemaStmt "ALTER SET SCHEMA" "ALTER";
    AlterObjectDepends AlterObjectDependsStmt "ALTER DEPENDS ON EXTENSION" "ALTER";
    Comment CommentStmt "COMMENT" "COMMENT";
    Vacuum VacuumStmt "VACUUM" "VACUUM";
    Cluster ClusterStmt "CLUSTER" "CLUSTER";
    Reindex ReindexStmt "REINDEX" "REINDEX";
    Grant GrantStmt "GRANT" "GRANT";
    GrantRole GrantRoleStmt "GRANT ROLE" "GRANT ROLE";
    AlterDefaultPrivileges AlterDefaultPrivilegesStmt "ALTER DEFAULT PRIVILEGES" "ALTER DEFAULT PRIVILEGES";
    AlterOwner AlterOwnerStmt "ALTER OWNER" "ALTER";
    CreateRole CreateRoleStmt "CREATE ROLE" "CREATE ROLE";
    AlterRole AlterRoleStmt "ALTER ROLE" "ALTER ROLE";
    AlterRoleSet AlterRoleSetStmt "ALTER ROLE SET" "ALTER ROLE";
    DropRole DropRoleStmt "DROP ROLE" "DROP ROLE";
    DropOwned DropOwnedStmt "DROP OWNED" "DROP OWNED";
    ReassignOwned ReassignOwnedStmt "REASSIGN OWNED" "REASSIGN OWNED";
    CreatePolicy CreatePolicyStmt "CREATE POLICY" "CREATE POLICY";
    AlterPolicy AlterPolicyStmt "ALTER POLICY" "ALTER POLICY";
    CreateRule RuleStmt "CREATE RULE" "CREATE RULE";
    CreateEventTrigger CreateEventTrigStmt "CREATE EVENT TRIGGER" "CREATE EVENT TRIGGER";
    AlterEventTrigger AlterEventTrigStmt "ALTER EVENT TRIGGER" "ALTER EVENT TRIGGER";
    AlterSystem AlterSystemStmt "ALTER SYSTEM" "ALTER SYSTEM";
    Checkpoint CheckPointStmt "CHECKPOINT" "CHECKPOINT";
    Load LoadStmt "LOAD" "LOAD";
    CreateDatabase CreatedbStmt "CREATE DATABASE" "CREATE DATABASE";
    AlterDatabase AlterDatabaseStmt "ALTER DATABASE" "ALTER DATABASE";
    AlterDatabaseRefreshCollation AlterDatabaseRefreshCollStmt "ALTER DATABASE REFRESH COLLATION VERSION" "ALTER DATABASE";
    AlterDatabaseSet AlterDatabaseSetStmt "ALTER DATABASE SET" "ALTER DATABASE";
    DropDatabase DropdbStmt "DROP DATABASE" "DROP DATABASE";
    CreateTablespace CreateTableSpaceStmt "CREATE TABLESPACE" "CREATE TABLESPACE";
    DropTablespace DropTableSpaceStmt "DROP TABLESPACE" "DROP TABLESPACE";
    AlterTablespace AlterTableSpaceOptionsStmt "ALTER TABLESPACE" "ALTER TABLESPACE";
    AlterTableMoveAll AlterTableMoveAllStmt "ALTER TABLE ALL IN TABLESPACE" "ALTER TABLE";
    CreatePublication CreatePublicationStmt "CREATE PUBLICATION" "CREATE PUBLICATION";
    AlterPublication AlterPublicationStmt "ALTER PUBLICATION" "ALTER PUBLICATION";
    CreateSubscription CreateSubscriptionStmt "CREATE SUBSCRIPTION" "CREATE SUBSCRIPTION";
    AlterSubscription AlterSubscriptionStmt "ALTER SUBSCRIPTION" "ALTER SUBSCRIPTION";
    DropSubscription DropSubscriptionStmt "DROP SUBSCRIPTION" "DROP SUBSCRIPTION";
    AlterExtensionContents AlterExtensionContentsStmt "ALTER EXTENSION ADD" "ALTER EXTENSION";
    CreateForeignDataWrapper CreateFdwStmt "CREATE FOREIGN DATA WRAPPER" "CREATE FOREIGN DATA WRAPPER";
    AlterForeignDataWrapper AlterFdwStmt "ALTER FOREIGN DATA WRAPPER" "ALTER FOREIGN DATA WRAPPER";
    CreateAccessMethod CreateAmStmt "CREATE ACCESS METHOD" "CREATE ACCESS METHOD";
    CreateLanguage CreatePlangStmt "CREATE LANGUAGE" "CREATE LANGUAGE";
    CreateTransform CreateTransformStmt "CREATE TRANSFORM" "CREATE TRANSFORM";
    CreateConversion CreateConversionStmt "CREATE CONVERSION" "CREATE CONVERSION";
    CreateOperatorClass CreateOpClassStmt "CREATE OPERATOR CLASS" "CREATE OPERATOR CLASS";
    CreateOperatorFamily CreateOpFamilyStmt "CREATE OPERATOR FAMILY" "CREATE OPERATOR FAMILY";
    AlterOperatorFamily AlterOpFamilyStmt "ALTER OPERATOR FAMILY" "ALTER OPERATOR FAMILY";
    SecurityLabel SecLabelStmt "SECURITY LABEL" "SECURITY LABEL";
    Raw RawStmt "RAW" "";
    SetOperation SetOperationStmt "SET OPERATION" "";
    Return ReturnStmt "RETURN" "";
    PlAssign PlassignStmt "ASSIGNMENT" "";
    ReplicaIdentity ReplicaIdentityStmt "REPLICA IDENTITY" "";
}
