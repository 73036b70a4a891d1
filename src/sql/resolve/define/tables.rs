//! Tables, indexes, sequences, triggers, statistics.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    AlterSeqStmt, AlterStatsStmt, AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, ConstrType, Constraint, CreateSeqStmt,
    CreateStatsStmt, CreateStmt, CreateTrigStmt, IndexStmt, Node,
};

use super::needs::Need;
use super::{DEFINES, owned};
use crate::catalog::{Relation, RelationKind};
use crate::policy::Privilege;
use crate::sql::Effect;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::names::{string, strings};
use crate::sql::resolve::walk::Walk;

impl<'a> Walk<'a> {
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
        self.making = Some(self.create_name(relation.as_mut())?);
        // Children and partitions are read and written with their parent; its other children stay as they are.
        for parent in inh_relations.iter_mut() {
            let Some(Kind::RangeVar(name)) = parent.node.as_mut() else { return Err(ResolveError::misplaced("parent")) };
            if let Some(parent) = self.written_in_full(name, false)? {
                self.need_on(parent, Need::Change)?;
            }
        }
        self.definitions(table_elts)?;
        self.definitions(constraints)?;
        self.definitions(nnconstraints)?;
        self.definitions(options)?;
        partbound.as_mut().map_or(Ok(()), |bound| self.bound(bound))?;
        if let Some(spec) = partspec {
            self.definitions(&mut spec.part_params)?;
        }
        of_typename.as_mut().map_or(Ok(()), |name| self.defined_type(name))?;
        Ok(DEFINES)
    }

    pub(super) fn alter_table(&mut self, statement: &mut AlterTableStmt) -> Result<Effect, ResolveError> {
        let AlterTableStmt { relation, cmds, objtype: _, missing_ok } = statement;
        let name = relation.as_mut().ok_or(ResolveError::misplaced("ALTER TABLE"))?;
        let Some(relation) = self.written_in_full(name, *missing_ok)? else { return Ok(self.nothing_there()) };
        if name.inh && cmds.iter().any(reaches_children) {
            self.need_on_tree(relation, Need::Change)?;
        } else {
            self.need_on(relation, Need::Change)?;
        }
        // Expressions are evaluated for the rows that are there, with the rights of the table's owner.
        let mut effect = DEFINES;
        for cmd in cmds.iter_mut() {
            let Some(Kind::AlterTableCmd(inner)) = cmd.node.as_ref() else { return Err(ResolveError::misplaced("ALTER TABLE")) };
            let kind = AlterTableType::try_from(inner.subtype).unwrap_or(AlterTableType::Undefined);
            may_alter(kind, self.ground.admin)?;
            // A default is computed for rows to come, by whoever writes them.
            self.builtins_only = !self.ground.admin || kind != AlterTableType::AtColumnDefault;
            if inner.newowner.is_some() {
                return Err(owner());
            }
            if looks_at_rows(kind) || evaluates(inner) {
                self.need_reading(relation);
            }
            // Who may read the parent, reads it from now on.
            if kind == AlterTableType::AtAddInherit {
                self.need_on(relation, Need::Manage)?;
            }
            // With another security_invoker it reads with another's grants.
            let options = matches!(kind, AlterTableType::AtSetRelOptions | AlterTableType::AtResetRelOptions);
            if options && relation.kind == RelationKind::View {
                self.need_on(relation, Need::Own)?;
            }
            let concurrent =
                matches!(inner.def.as_deref().and_then(|d| d.node.as_ref()), Some(Kind::PartitionCmd(p)) if p.concurrent);
            if concurrent {
                effect = owned(Some("ALTER TABLE ... DETACH CONCURRENTLY"), true);
            }
            self.definition(cmd)?;
        }
        Ok(effect)
    }

    /// A statement about something that is missing, which it allows: the session itself runs it, so that nothing happens with an owner's
    /// rights should it be there by now.
    pub(super) fn nothing_there(&self) -> Effect {
        if self.ground.admin { DEFINES } else { Effect::None }
    }

    pub(super) fn create_index(&mut self, statement: &mut IndexStmt) -> Result<Effect, ResolveError> {
        let name = statement.relation.as_mut().ok_or(ResolveError::misplaced("CREATE INDEX"))?;
        // A unique one names values that are there twice.
        let relation = self.existing(name, false, Need::Change)?;
        relation.into_iter().for_each(|relation| self.need_reading(relation));
        self.builtins_only = true;
        self.definitions(&mut statement.index_params)?;
        self.definitions(&mut statement.index_including_params)?;
        self.definitions(&mut statement.options)?;
        self.definitions(&mut statement.exclude_op_names)?;
        self.optional(&mut statement.where_clause)?;
        Ok(owned(statement.concurrent.then_some("CREATE INDEX CONCURRENTLY"), true))
    }

    pub(super) fn create_sequence(&mut self, statement: &mut CreateSeqStmt) -> Result<Effect, ResolveError> {
        self.create_name(statement.sequence.as_mut())?;
        self.sequence_options(&mut statement.options)?;
        Ok(DEFINES)
    }

    pub(super) fn alter_sequence(&mut self, statement: &mut AlterSeqStmt) -> Result<Effect, ResolveError> {
        let sequence = statement.sequence.as_mut().ok_or(ResolveError::misplaced("ALTER SEQUENCE"))?;
        if self.existing(sequence, statement.missing_ok, Need::Change)?.is_none() {
            return Ok(self.nothing_there());
        }
        self.sequence_options(&mut statement.options)?;
        Ok(DEFINES)
    }

    /// OWNED BY names a column, and is a change of its table.
    fn sequence_options(&mut self, options: &mut [Node]) -> Result<(), ResolveError> {
        for option in options.iter_mut() {
            let Some(Kind::DefElem(element)) = option.node.as_mut() else { return Err(ResolveError::misplaced("option")) };
            if element.defname != "owned_by" {
                self.definition(option)?;
                continue;
            }
            let token = self.tokens().at(element.location).ok_or(ResolveError::misplaced("location"))? + 2;
            let Some(Kind::List(list)) = element.arg.as_deref_mut().and_then(|n| n.node.as_mut()) else {
                return Err(ResolveError::misplaced("OWNED BY"));
            };
            let parts = list.items.len().saturating_sub(1);
            if parts > 0 {
                self.part_of(token, &mut list.items, parts, Need::Change)?;
            }
        }
        Ok(())
    }

    /// A dotted name of something of a relation, at a token: the relation is written in full, and what is done to it is asked for.
    pub(super) fn part_of(
        &mut self,
        token: usize,
        nodes: &mut Vec<Node>,
        parts: usize,
        need: Need,
    ) -> Result<Option<&'a Relation>, ResolveError> {
        let names = strings(nodes)?;
        let (relation, _) = self.existing_at(token, nodes, parts)?;
        match relation {
            Some(relation) => self.need_on(relation, need).map(|()| Some(relation)),
            None => {
                let name = names.get(..parts).unwrap_or_default().join(".");
                self.unknown("relation", &name).map(|()| None)
            }
        }
    }

    pub(super) fn create_trigger(&mut self, statement: &mut CreateTrigStmt) -> Result<Effect, ResolveError> {
        let name = statement.relation.as_mut().ok_or(ResolveError::misplaced("CREATE TRIGGER"))?;
        self.existing(name, false, Need::Change)?;
        if let Some(other) = statement.constrrel.as_mut() {
            self.existing(other, false, Need::Reference)?;
        }
        self.dotted_name(&statement.funcname)?;
        if !self.ground.admin
            && let Some(name) = statement.funcname.last().and_then(string)
        {
            // With ON DELETE CASCADE and its like, triggers run with the rights of the table's owner.
            let known: Vec<_> = self.ground.footing.catalog.functions_named(name).map(|f| f.oid).collect();
            known.into_iter().try_for_each(|function| self.need_support_function(function))?;
        }
        self.definitions(&mut statement.args)?;
        self.optional(&mut statement.when_clause)?;
        Ok(DEFINES)
    }

    pub(super) fn create_statistics(&mut self, statement: &mut CreateStatsStmt) -> Result<Effect, ResolveError> {
        if !statement.defnames.is_empty() {
            let at = self.tokens().find_word(0, "statistics").ok_or(ResolveError::misplaced("location"))? + 1;
            let at = if self.tokens().is_word(at, "if") { at + 3 } else { at };
            self.new_name_at(at, &mut statement.defnames, Privilege::Create)?;
        }
        self.builtins_only = true;
        let computed = statement.exprs.iter().any(|n| matches!(n.node.as_ref(), Some(Kind::StatsElem(e)) if e.expr.is_some()));
        for item in &mut statement.relations {
            let Some(Kind::RangeVar(name)) = item.node.as_mut() else {
                return Err(ResolveError::unsupported("CREATE STATISTICS on anything but a table", None));
            };
            let relation = self.existing(name, false, Need::Change)?;
            relation.into_iter().filter(|_| computed).for_each(|relation| self.need_reading(relation));
        }
        self.definitions(&mut statement.exprs)?;
        Ok(DEFINES)
    }

    /// Which table they are about is not in the catalog here: whoever manages their schema.
    pub(super) fn alter_statistics(&mut self, statement: &mut AlterStatsStmt) -> Result<Effect, ResolveError> {
        self.need_on_schema_of(&statement.defnames)?;
        Ok(DEFINES)
    }
}

/// Whether a change of a parent is one of its children, too.
fn reaches_children(cmd: &Node) -> bool {
    use AlterTableType as T;
    let Some(Kind::AlterTableCmd(cmd)) = cmd.node.as_ref() else { return true };
    !matches!(
        AlterTableType::try_from(cmd.subtype),
        Ok(T::AtAttachPartition
            | T::AtDetachPartition
            | T::AtDetachPartitionFinalize
            | T::AtAddInherit
            | T::AtDropInherit
            | T::AtSetRelOptions
            | T::AtResetRelOptions
            | T::AtClusterOn
            | T::AtDropCluster)
    )
}

/// Whether an error of it may tell of the rows that are there: their values (unique and foreign keys), or that one does not fit.
fn looks_at_rows(kind: AlterTableType) -> bool {
    use AlterTableType as T;
    matches!(
        kind,
        T::AtAddConstraint
            | T::AtAddIndex
            | T::AtAddIndexConstraint
            | T::AtValidateConstraint
            | T::AtAlterColumnType
            | T::AtSetNotNull
            | T::AtAttachPartition
    )
}

/// Whether it computes something from the rows that are there: what it says of them is a reading.
fn evaluates(cmd: &AlterTableCmd) -> bool {
    let computes = |constraint: &Constraint| {
        matches!(
            ConstrType::try_from(constraint.contype),
            Ok(ConstrType::ConstrCheck | ConstrType::ConstrGenerated | ConstrType::ConstrExclusion)
        )
    };
    let constraints = |column: &ColumnDef| {
        column.constraints.iter().any(|c| matches!(c.node.as_ref(), Some(Kind::Constraint(inner)) if computes(inner)))
    };
    match cmd.def.as_deref().and_then(|d| d.node.as_ref()) {
        Some(Kind::Constraint(constraint)) => computes(constraint),
        Some(Kind::ColumnDef(column)) => column.raw_default.is_some() || constraints(column),
        Some(_) => AlterTableType::try_from(cmd.subtype) == Ok(AlterTableType::AtSetExpression),
        None => false,
    }
}

pub(super) fn owner() -> ResolveError {
    ResolveError::unsupported("this form of OWNER TO", None).instead("Use ALTER TABLE ... OWNER TO with a principal.")
}

fn may_alter(kind: AlterTableType, admin: bool) -> Result<(), ResolveError> {
    use AlterTableType as T;
    let form = || ResolveError::unsupported("this form of ALTER TABLE", None);
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
        T::AtAlterColumnGenericOptions
        | T::AtGenericOptions
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
        | T::AtReplicaIdentity => {
            if admin {
                Ok(())
            } else {
                Err(form())
            }
        }
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
        | T::AtDropOids
        | T::AtReplaceRelOptions
        | T::AtReAddStatistics => Err(form()),
    }
}
