//! The closed list of statement kinds: one entry for every statement node of PostgreSQL's grammar.
//!
//! A node that is missing here does not compile. The reasons end up in the DETAIL of 0A000.

use pg_query::NodeEnum;

/// Who may run a kind of statement at all (privileges are checked besides).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Everybody.
    Everyone,
    /// Administrators, with the rights of `pgusher_owner`.
    Admin,
    /// Nobody: why.
    Nobody(&'static str),
}

macro_rules! statement_kinds {
    ($($kind:ident $node:ident $label:literal $tag:literal $support:expr;)*) => {
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

            /// Who may run it at all.
            pub fn support(self) -> Support {
                match self { $(Self::$kind => $support,)* }
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
    Select SelectStmt "SELECT" "SELECT" Support::Everyone;
    Insert InsertStmt "INSERT" "INSERT" Support::Everyone;
    Update UpdateStmt "UPDATE" "UPDATE" Support::Everyone;
    Delete DeleteStmt "DELETE" "DELETE" Support::Everyone;
    Merge MergeStmt "MERGE" "MERGE" Support::Everyone;
    Copy CopyStmt "COPY" "COPY" Support::Everyone;
    Explain ExplainStmt "EXPLAIN" "EXPLAIN" Support::Everyone;
    Transaction TransactionStmt "TRANSACTION" "" Support::Everyone;
    Set VariableSetStmt "SET" "SET" Support::Everyone;
    Show VariableShowStmt "SHOW" "SHOW" Support::Everyone;
    SetConstraints ConstraintsSetStmt "SET CONSTRAINTS" "SET CONSTRAINTS" Support::Everyone;
    Prepare PrepareStmt "PREPARE" "PREPARE" Support::Everyone;
    Execute ExecuteStmt "EXECUTE" "EXECUTE" Support::Everyone;
    Deallocate DeallocateStmt "DEALLOCATE" "DEALLOCATE" Support::Everyone;
    DeclareCursor DeclareCursorStmt "DECLARE CURSOR" "DECLARE CURSOR" Support::Everyone;
    Fetch FetchStmt "FETCH" "FETCH" Support::Everyone;
    ClosePortal ClosePortalStmt "CLOSE CURSOR" "CLOSE CURSOR" Support::Everyone;
    Discard DiscardStmt "DISCARD" "DISCARD" Support::Everyone;
    Listen ListenStmt "LISTEN" "LISTEN" Support::Everyone;
    Notify NotifyStmt "NOTIFY" "NOTIFY" Support::Everyone;
    Unlisten UnlistenStmt "UNLISTEN" "UNLISTEN" Support::Everyone;
    CreateSchema CreateSchemaStmt "CREATE SCHEMA" "CREATE SCHEMA" Support::Admin;
    CreateTable CreateStmt "CREATE TABLE" "CREATE TABLE" Support::Admin;
    CreateTableAs CreateTableAsStmt "CREATE TABLE AS" "SELECT" Support::Admin;
    CreateForeignTable CreateForeignTableStmt "CREATE FOREIGN TABLE" "CREATE FOREIGN TABLE" Support::Admin;
    AlterTable AlterTableStmt "ALTER TABLE" "ALTER TABLE" Support::Admin;
    CreateIndex IndexStmt "CREATE INDEX" "CREATE INDEX" Support::Admin;
    CreateView ViewStmt "CREATE VIEW" "CREATE VIEW" Support::Admin;
    RefreshMaterializedView RefreshMatViewStmt "REFRESH MATERIALIZED VIEW" "REFRESH MATERIALIZED VIEW" Support::Admin;
    CreateSequence CreateSeqStmt "CREATE SEQUENCE" "CREATE SEQUENCE" Support::Admin;
    AlterSequence AlterSeqStmt "ALTER SEQUENCE" "ALTER SEQUENCE" Support::Admin;
    CreateTrigger CreateTrigStmt "CREATE TRIGGER" "CREATE TRIGGER" Support::Admin;
    CreateStatistics CreateStatsStmt "CREATE STATISTICS" "CREATE STATISTICS" Support::Admin;
    AlterStatistics AlterStatsStmt "ALTER STATISTICS" "ALTER STATISTICS" Support::Admin;
    CreateFunction CreateFunctionStmt "CREATE FUNCTION" "CREATE FUNCTION" Support::Admin;
    AlterFunction AlterFunctionStmt "ALTER FUNCTION" "ALTER FUNCTION" Support::Admin;
    Do DoStmt "DO" "DO" Support::Everyone;
    Call CallStmt "CALL" "CALL" Support::Everyone;
    Define DefineStmt "CREATE AGGREGATE" "CREATE" Support::Admin;
    CreateDomain CreateDomainStmt "CREATE DOMAIN" "CREATE DOMAIN" Support::Admin;
    AlterDomain AlterDomainStmt "ALTER DOMAIN" "ALTER DOMAIN" Support::Admin;
    CreateCompositeType CompositeTypeStmt "CREATE TYPE" "CREATE TYPE" Support::Admin;
    CreateEnum CreateEnumStmt "CREATE TYPE" "CREATE TYPE" Support::Admin;
    CreateRange CreateRangeStmt "CREATE TYPE" "CREATE TYPE" Support::Admin;
    AlterEnum AlterEnumStmt "ALTER TYPE" "ALTER TYPE" Support::Admin;
    AlterType AlterTypeStmt "ALTER TYPE" "ALTER TYPE" Support::Admin;
    AlterCollation AlterCollationStmt "ALTER COLLATION" "ALTER COLLATION" Support::Admin;
    AlterOperator AlterOperatorStmt "ALTER OPERATOR" "ALTER OPERATOR" Support::Admin;
    AlterTextSearchDictionary AlterTsdictionaryStmt "ALTER TEXT SEARCH DICTIONARY" "ALTER TEXT SEARCH DICTIONARY" Support::Admin;
    AlterTextSearchConfiguration AlterTsconfigurationStmt "ALTER TEXT SEARCH CONFIGURATION" "ALTER TEXT SEARCH CONFIGURATION" Support::Admin;
    CreateCast CreateCastStmt "CREATE CAST" "CREATE CAST" Support::Admin;
    CreateExtension CreateExtensionStmt "CREATE EXTENSION" "CREATE EXTENSION" Support::Admin;
    AlterExtension AlterExtensionStmt "ALTER EXTENSION" "ALTER EXTENSION" Support::Admin;
    CreateServer CreateForeignServerStmt "CREATE SERVER" "CREATE SERVER" Support::Admin;
    AlterServer AlterForeignServerStmt "ALTER SERVER" "ALTER SERVER" Support::Admin;
    CreateUserMapping CreateUserMappingStmt "CREATE USER MAPPING" "CREATE USER MAPPING" Support::Admin;
    AlterUserMapping AlterUserMappingStmt "ALTER USER MAPPING" "ALTER USER MAPPING" Support::Admin;
    DropUserMapping DropUserMappingStmt "DROP USER MAPPING" "DROP USER MAPPING" Support::Admin;
    ImportForeignSchema ImportForeignSchemaStmt "IMPORT FOREIGN SCHEMA" "IMPORT FOREIGN SCHEMA" Support::Admin;
    Drop DropStmt "DROP" "DROP" Support::Admin;
    Truncate TruncateStmt "TRUNCATE TABLE" "TRUNCATE TABLE" Support::Admin;
    Lock LockStmt "LOCK TABLE" "LOCK TABLE" Support::Admin;
    Rename RenameStmt "ALTER RENAME" "ALTER" Support::Admin;
    AlterObjectSchema AlterObjectSchemaStmt "ALTER SET SCHEMA" "ALTER" Support::Admin;
    AlterObjectDepends AlterObjectDependsStmt "ALTER DEPENDS ON EXTENSION" "ALTER" Support::Admin;
    Comment CommentStmt "COMMENT" "COMMENT" Support::Admin;
    Vacuum VacuumStmt "VACUUM" "VACUUM" Support::Admin;
    Cluster ClusterStmt "CLUSTER" "CLUSTER" Support::Admin;
    Reindex ReindexStmt "REINDEX" "REINDEX" Support::Admin;
    Grant GrantStmt "GRANT" "GRANT" Support::Nobody("Privileges are granted by pgusher's own GRANT and REVOKE.");
    GrantRole GrantRoleStmt "GRANT ROLE" "GRANT ROLE" Support::Nobody("Roles of the upstream are no principals; groups are changed with ALTER GROUP.");
    AlterDefaultPrivileges AlterDefaultPrivilegesStmt "ALTER DEFAULT PRIVILEGES" "ALTER DEFAULT PRIVILEGES" Support::Nobody("A grant on a schema covers what will be made in it.");
    AlterOwner AlterOwnerStmt "ALTER OWNER" "ALTER" Support::Nobody("Only schemas, tables, views and functions have owners that can be changed here.");
    CreateRole CreateRoleStmt "CREATE ROLE" "CREATE ROLE" Support::Nobody("Roles of the upstream are no principals; use CREATE USER or CREATE GROUP.");
    AlterRole AlterRoleStmt "ALTER ROLE" "ALTER ROLE" Support::Nobody("Roles of the upstream are no principals.");
    AlterRoleSet AlterRoleSetStmt "ALTER ROLE SET" "ALTER ROLE" Support::Nobody("Roles of the upstream are no principals.");
    DropRole DropRoleStmt "DROP ROLE" "DROP ROLE" Support::Nobody("Roles of the upstream are no principals; use DROP USER or DROP GROUP.");
    DropOwned DropOwnedStmt "DROP OWNED" "DROP OWNED" Support::Nobody("All objects of the upstream belong to few roles.");
    ReassignOwned ReassignOwnedStmt "REASSIGN OWNED" "REASSIGN OWNED" Support::Nobody("All objects of the upstream belong to few roles.");
    CreatePolicy CreatePolicyStmt "CREATE POLICY" "CREATE POLICY" Support::Nobody("Row security is set with ALTER TABLE ... SET ROW FILTER.");
    AlterPolicy AlterPolicyStmt "ALTER POLICY" "ALTER POLICY" Support::Nobody("Row security is set with ALTER TABLE ... SET ROW FILTER.");
    CreateRule RuleStmt "CREATE RULE" "CREATE RULE" Support::Nobody("A rule would change statements after they were authorized.");
    CreateEventTrigger CreateEventTrigStmt "CREATE EVENT TRIGGER" "CREATE EVENT TRIGGER" Support::Nobody("Event triggers run with the rights of whoever issues a command.");
    AlterEventTrigger AlterEventTrigStmt "ALTER EVENT TRIGGER" "ALTER EVENT TRIGGER" Support::Nobody("Event triggers run with the rights of whoever issues a command.");
    AlterSystem AlterSystemStmt "ALTER SYSTEM" "ALTER SYSTEM" Support::Nobody("The server is configured at the upstream.");
    Checkpoint CheckPointStmt "CHECKPOINT" "CHECKPOINT" Support::Nobody("The server is operated at the upstream.");
    Load LoadStmt "LOAD" "LOAD" Support::Nobody("Libraries are loaded at the upstream.");
    CreateDatabase CreatedbStmt "CREATE DATABASE" "CREATE DATABASE" Support::Nobody("Databases are made at the upstream.");
    AlterDatabase AlterDatabaseStmt "ALTER DATABASE" "ALTER DATABASE" Support::Nobody("Databases are changed at the upstream.");
    AlterDatabaseRefreshCollation AlterDatabaseRefreshCollStmt "ALTER DATABASE REFRESH COLLATION VERSION" "ALTER DATABASE" Support::Nobody("Databases are changed at the upstream.");
    AlterDatabaseSet AlterDatabaseSetStmt "ALTER DATABASE SET" "ALTER DATABASE" Support::Nobody("Databases are changed at the upstream.");
    DropDatabase DropdbStmt "DROP DATABASE" "DROP DATABASE" Support::Nobody("Databases are dropped at the upstream.");
    CreateTablespace CreateTableSpaceStmt "CREATE TABLESPACE" "CREATE TABLESPACE" Support::Nobody("Tablespaces are made at the upstream.");
    DropTablespace DropTableSpaceStmt "DROP TABLESPACE" "DROP TABLESPACE" Support::Nobody("Tablespaces are dropped at the upstream.");
    AlterTablespace AlterTableSpaceOptionsStmt "ALTER TABLESPACE" "ALTER TABLESPACE" Support::Nobody("Tablespaces are changed at the upstream.");
    AlterTableMoveAll AlterTableMoveAllStmt "ALTER TABLE ALL IN TABLESPACE" "ALTER TABLE" Support::Nobody("Tablespaces are changed at the upstream.");
    CreatePublication CreatePublicationStmt "CREATE PUBLICATION" "CREATE PUBLICATION" Support::Nobody("Replication copies rows past every filter and mask.");
    AlterPublication AlterPublicationStmt "ALTER PUBLICATION" "ALTER PUBLICATION" Support::Nobody("Replication copies rows past every filter and mask.");
    CreateSubscription CreateSubscriptionStmt "CREATE SUBSCRIPTION" "CREATE SUBSCRIPTION" Support::Nobody("Replication copies rows past every filter and mask.");
    AlterSubscription AlterSubscriptionStmt "ALTER SUBSCRIPTION" "ALTER SUBSCRIPTION" Support::Nobody("Replication copies rows past every filter and mask.");
    DropSubscription DropSubscriptionStmt "DROP SUBSCRIPTION" "DROP SUBSCRIPTION" Support::Nobody("Replication copies rows past every filter and mask.");
    AlterExtensionContents AlterExtensionContentsStmt "ALTER EXTENSION ADD" "ALTER EXTENSION" Support::Nobody("Extensions are packaged at the upstream.");
    CreateForeignDataWrapper CreateFdwStmt "CREATE FOREIGN DATA WRAPPER" "CREATE FOREIGN DATA WRAPPER" Support::Nobody("Foreign data wrappers are made at the upstream.");
    AlterForeignDataWrapper AlterFdwStmt "ALTER FOREIGN DATA WRAPPER" "ALTER FOREIGN DATA WRAPPER" Support::Nobody("Foreign data wrappers are changed at the upstream.");
    CreateAccessMethod CreateAmStmt "CREATE ACCESS METHOD" "CREATE ACCESS METHOD" Support::Nobody("Access methods are made at the upstream.");
    CreateLanguage CreatePlangStmt "CREATE LANGUAGE" "CREATE LANGUAGE" Support::Nobody("Languages are made at the upstream.");
    CreateTransform CreateTransformStmt "CREATE TRANSFORM" "CREATE TRANSFORM" Support::Nobody("Transforms are made at the upstream.");
    CreateConversion CreateConversionStmt "CREATE CONVERSION" "CREATE CONVERSION" Support::Nobody("Conversions are made at the upstream.");
    CreateOperatorClass CreateOpClassStmt "CREATE OPERATOR CLASS" "CREATE OPERATOR CLASS" Support::Nobody("Operator classes are made at the upstream.");
    CreateOperatorFamily CreateOpFamilyStmt "CREATE OPERATOR FAMILY" "CREATE OPERATOR FAMILY" Support::Nobody("Operator families are made at the upstream.");
    AlterOperatorFamily AlterOpFamilyStmt "ALTER OPERATOR FAMILY" "ALTER OPERATOR FAMILY" Support::Nobody("Operator families are changed at the upstream.");
    SecurityLabel SecLabelStmt "SECURITY LABEL" "SECURITY LABEL" Support::Nobody("Security labels are set at the upstream.");
    Raw RawStmt "RAW" "" Support::Nobody("It is no statement by itself.");
    SetOperation SetOperationStmt "SET OPERATION" "" Support::Nobody("It is no statement by itself.");
    Return ReturnStmt "RETURN" "" Support::Nobody("It is no statement by itself.");
    PlAssign PlassignStmt "ASSIGNMENT" "" Support::Nobody("It is no statement by itself.");
    ReplicaIdentity ReplicaIdentityStmt "REPLICA IDENTITY" "" Support::Nobody("It is no statement by itself.");
}
