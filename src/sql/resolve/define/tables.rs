//! Tables, indexes, sequences, triggers, statistics.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    AlterSeqStmt, AlterTableStmt, AlterTableType, CreateSeqStmt, CreateStatsStmt, CreateStmt, CreateTrigStmt, IndexStmt,
};

use super::{ALONE, DEFINES};
use crate::sql::Effect;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::walk::Walk;

impl Walk<'_> {
    pub(super) fn create_table(&mut self, statement: &mut CreateStmt) -> Result<Effect, ResolveError> {
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
        } = statement;
        self.create_name(relation.as_mut())?;
        self.definitions(table_elts)?;
        self.definitions(inh_relations)?;
        self.definitions(constraints)?;
        self.definitions(nnconstraints)?;
        self.definitions(options)?;
        if let Some(bound) = partbound {
            self.definitions(&mut bound.listdatums)?;
            self.definitions(&mut bound.lowerdatums)?;
            self.definitions(&mut bound.upperdatums)?;
        }
        if let Some(spec) = partspec {
            self.definitions(&mut spec.part_params)?;
        }
        of_typename.as_mut().map_or(Ok(()), |name| self.type_name(name))?;
        Ok(DEFINES)
    }

    pub(super) fn alter_table(&mut self, statement: &mut AlterTableStmt) -> Result<Effect, ResolveError> {
        let AlterTableStmt { relation, cmds, objtype: _, missing_ok } = statement;
        let relation = relation.as_mut().ok_or(ResolveError::misplaced("ALTER TABLE"))?;
        self.existing(relation, *missing_ok)?;
        // Expressions are evaluated for the rows that are there, with the rights of the table's owner.
        self.builtins_only = true;
        let mut effect = DEFINES;
        for cmd in cmds.iter_mut() {
            let Some(Kind::AlterTableCmd(inner)) = cmd.node.as_ref() else { return Err(ResolveError::misplaced("ALTER TABLE")) };
            if inner.newowner.is_some() {
                return Err(owner());
            }
            let kind = AlterTableType::try_from(inner.subtype).unwrap_or(AlterTableType::Undefined);
            may_alter(kind)?;
            let concurrent =
                matches!(inner.def.as_deref().and_then(|d| d.node.as_ref()), Some(Kind::PartitionCmd(p)) if p.concurrent);
            if concurrent {
                effect = ALONE;
            }
            self.definition(cmd)?;
        }
        Ok(effect)
    }

    pub(super) fn create_index(&mut self, statement: &mut IndexStmt) -> Result<Effect, ResolveError> {
        let relation = statement.relation.as_mut().ok_or(ResolveError::misplaced("CREATE INDEX"))?;
        self.existing(relation, false)?;
        self.builtins_only = true;
        self.definitions(&mut statement.index_params)?;
        self.definitions(&mut statement.index_including_params)?;
        self.definitions(&mut statement.options)?;
        self.definitions(&mut statement.exclude_op_names)?;
        self.optional(&mut statement.where_clause)?;
        Ok(if statement.concurrent { ALONE } else { DEFINES })
    }

    pub(super) fn create_sequence(&mut self, statement: &mut CreateSeqStmt) -> Result<Effect, ResolveError> {
        self.create_name(statement.sequence.as_mut())?;
        self.sequence_options(&mut statement.options)?;
        Ok(DEFINES)
    }

    pub(super) fn alter_sequence(&mut self, statement: &mut AlterSeqStmt) -> Result<Effect, ResolveError> {
        let sequence = statement.sequence.as_mut().ok_or(ResolveError::misplaced("ALTER SEQUENCE"))?;
        self.existing(sequence, statement.missing_ok)?;
        self.sequence_options(&mut statement.options)?;
        Ok(DEFINES)
    }

    fn sequence_options(&mut self, options: &mut [pg_query::Node]) -> Result<(), ResolveError> {
        for option in options.iter() {
            if let Some(Kind::DefElem(option)) = option.node.as_ref()
                && option.defname == "owned_by"
                && let Some(Kind::List(list)) = option.arg.as_deref().and_then(|n| n.node.as_ref())
            {
                self.dotted_name(&list.items)?;
            }
        }
        self.definitions(options)
    }

    pub(super) fn create_trigger(&mut self, statement: &mut CreateTrigStmt) -> Result<Effect, ResolveError> {
        let relation = statement.relation.as_mut().ok_or(ResolveError::misplaced("CREATE TRIGGER"))?;
        self.existing(relation, false)?;
        if let Some(other) = statement.constrrel.as_mut() {
            self.existing(other, false)?;
        }
        self.dotted_name(&statement.funcname)?;
        self.definitions(&mut statement.args)?;
        self.optional(&mut statement.when_clause)?;
        Ok(DEFINES)
    }

    pub(super) fn create_statistics(&mut self, statement: &mut CreateStatsStmt) -> Result<Effect, ResolveError> {
        self.dotted_name(&statement.defnames)?;
        self.builtins_only = true;
        self.existing_all(&mut statement.relations)?;
        self.definitions(&mut statement.exprs)?;
        Ok(DEFINES)
    }
}

pub(super) fn owner() -> ResolveError {
    ResolveError::unsupported("this form of OWNER TO", None).instead("Use ALTER TABLE ... OWNER TO with a principal.")
}

fn may_alter(kind: AlterTableType) -> Result<(), ResolveError> {
    use AlterTableType as T;
    match kind {
        T::AtAddColumn
        | T::AtColumnDefault
        | T::AtDropNotNull
        | T::AtSetNotNull
        | T::AtSetExpression
        | T::AtDropExpression
        | T::AtSetStatistics
        | T::AtSetOptions
        | T::AtResetOptions
        | T::AtSetStorage
        | T::AtSetCompression
        | T::AtDropColumn
        | T::AtAddIndex
        | T::AtAddConstraint
        | T::AtAlterConstraint
        | T::AtValidateConstraint
        | T::AtAddIndexConstraint
        | T::AtDropConstraint
        | T::AtAlterColumnType
        | T::AtClusterOn
        | T::AtDropCluster
        | T::AtSetLogged
        | T::AtSetUnLogged
        | T::AtSetAccessMethod
        | T::AtSetTableSpace
        | T::AtSetRelOptions
        | T::AtResetRelOptions
        | T::AtEnableTrig
        | T::AtDisableTrig
        | T::AtEnableTrigUser
        | T::AtDisableTrigUser
        | T::AtAddInherit
        | T::AtDropInherit
        | T::AtAttachPartition
        | T::AtDetachPartition
        | T::AtDetachPartitionFinalize
        | T::AtAddIdentity
        | T::AtSetIdentity
        | T::AtDropIdentity => Ok(()),
        T::AtChangeOwner => Err(owner()),
        T::AtEnableRowSecurity | T::AtDisableRowSecurity | T::AtForceRowSecurity | T::AtNoForceRowSecurity => {
            Err(ResolveError::unsupported("changing row security", None)
                .because("Row filters are enforced by row security.")
                .instead("Use ALTER TABLE ... SET ROW FILTER or DROP ROW FILTER."))
        }
        T::Undefined
        | T::AtAddColumnToView
        | T::AtCookedColumnDefault
        | T::AtReAddIndex
        | T::AtReAddConstraint
        | T::AtReAddDomainConstraint
        | T::AtReAddComment
        | T::AtAlterColumnGenericOptions
        | T::AtDropOids
        | T::AtReplaceRelOptions
        | T::AtEnableAlwaysTrig
        | T::AtEnableReplicaTrig
        | T::AtEnableTrigAll
        | T::AtDisableTrigAll
        | T::AtEnableRule
        | T::AtEnableAlwaysRule
        | T::AtEnableReplicaRule
        | T::AtDisableRule
        | T::AtAddOf
        | T::AtDropOf
        | T::AtReplicaIdentity
        | T::AtGenericOptions
        | T::AtReAddStatistics => Err(ResolveError::unsupported("this form of ALTER TABLE", None)),
    }
}
