//! Relation names → relations, requirements, and what stands for them upstream.

use pg_query::protobuf::{Alias, RangeVar};

use super::ResolveError;
use super::names::{is_ours, offset};
use super::walk::{Purpose, Walk};
use crate::catalog::{Footing, Governed, GovernedTable, Relation, RelationKind, governed_schema, reads_by_view};
use crate::name::{Name, QualifiedName};
use crate::policy::{Holder, Oid, Privilege, Securable};

/// What a statement does with a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads it.
    Read,
    /// Writes it: the target of UPDATE, DELETE, MERGE.
    Write,
    /// The target of INSERT and COPY FROM.
    Insert,
}

/// A relation name, resolved and replaced.
pub(super) struct Found<'a> {
    pub(super) relation: &'a Relation,
    /// What stands in the text now.
    pub(super) now: QualifiedName,
    /// Set when it is a governed table.
    pub(super) table: Option<&'a GovernedTable>,
    /// Set when it is a view over governed relations.
    pub(super) derived: bool,
}

impl Found<'_> {
    /// The relation's columns.
    pub(super) fn columns(&self) -> Vec<String> {
        self.relation.columns.iter().map(|c| c.name.as_str().to_owned()).collect()
    }

    /// The relation stands in the text itself, not a view for it.
    pub(super) fn in_place(&self, footing: &Footing) -> bool {
        footing.catalog.qualified(self.relation).is_some_and(|own| own == self.now)
    }
}

impl<'a> Walk<'a> {
    fn footing(&self) -> &'a Footing {
        self.ground.footing
    }

    /// The relation that a name means by PostgreSQL's rules.
    pub(super) fn look_up(&self, name: &RangeVar) -> Result<&'a Relation, ResolveError> {
        let position = offset(name.location);
        let spelled = spelled(name);
        let catalog = &self.footing().catalog;
        let missing = || ResolveError::UndefinedRelation { name: spelled.clone(), position };
        if !name.catalogname.is_empty() && name.catalogname != *catalog.database {
            return Err(ResolveError::CrossDatabase { name: format!("\"{spelled}\""), position });
        }
        let wanted = Name::exact(&name.relname);
        if name.schemaname.is_empty() {
            return self
                .ground
                .path
                .relations()
                .filter(|schema| !is_ours(schema))
                .filter_map(|schema| catalog.schema_named(schema))
                .find_map(|schema| catalog.relation_in(schema.oid, &wanted))
                .ok_or_else(missing);
        }
        self.may_name(&name.schemaname, position)?;
        let Some(schema) = catalog.schema_named(&name.schemaname) else {
            return Err(if name.schemaname == "pg_temp" {
                missing()
            } else {
                ResolveError::UndefinedRelation { name: spelled.clone(), position }
            });
        };
        if schema.ours {
            return Err(ResolveError::ProtectedSchema { name: name.schemaname.clone(), position });
        }
        catalog.relation_in(schema.oid, &wanted).ok_or_else(missing)
    }

    /// Resolves a name, collects what it needs, and puts in its place what stands for it upstream.
    pub(super) fn relation(&mut self, name: &mut RangeVar, access: Access) -> Result<Found<'a>, ResolveError> {
        let found = self.find(name, access)?;
        self.replace_name(name, &found.now)?;
        Ok(found)
    }

    /// Resolves a name and collects what it needs; the text stays.
    pub(super) fn find(&mut self, name: &RangeVar, access: Access) -> Result<Found<'a>, ResolveError> {
        let position = offset(name.location);
        let relation = self.look_up(name)?;
        self.is_table(relation, position)?;
        let own = self.footing().catalog.qualified(relation).ok_or(ResolveError::misplaced("relation without schema"))?;
        let system = self.footing().catalog.schema(relation.schema).is_some_and(|s| s.system);
        let (now, table, derived) = if system {
            (self.catalog_relation(relation, &own, access, position)?, None, false)
        } else {
            self.log.push(relation.oid);
            self.refuse_stricter_children(relation, position)?;
            self.need_relation(
                relation,
                self.holder(),
                match access {
                    Access::Read => Privilege::Select,
                    Access::Write | Access::Insert => Privilege::Modify,
                },
            );
            let stand_in = self.stand_in(relation, own.clone(), access, position)?;
            if !name.inh && stand_in.0 != own && !self.footing().catalog.children(relation.oid).is_empty() {
                return Err(ResolveError::unsupported(format!("ONLY on \"{}\"", relation.name), position)
                    .because("A view stands for the table, and it shows the rows of its children too."));
            }
            stand_in
        };
        Ok(Found { relation, now, table, derived })
    }

    fn is_table(&self, relation: &Relation, position: Option<usize>) -> Result<(), ResolveError> {
        let kind = match relation.kind {
            RelationKind::Table
            | RelationKind::PartitionedTable
            | RelationKind::View
            | RelationKind::MaterializedView
            | RelationKind::ForeignTable
            | RelationKind::Sequence => return Ok(()),
            RelationKind::CompositeType => "composite types",
            RelationKind::Index => "indexes",
        };
        Err(ResolveError::NotATable { name: relation.name.to_string(), kind, position })
    }

    /// What is read or written in a relation's place.
    fn stand_in(
        &mut self,
        relation: &'a Relation,
        own: QualifiedName,
        access: Access,
        position: Option<usize>,
    ) -> Result<(QualifiedName, Option<&'a GovernedTable>, bool), ResolveError> {
        if let Purpose::ViewTwin(target) = self.purpose {
            return Ok((target(relation.oid).unwrap_or(own), None, false));
        }
        let governed = self.footing().governed(relation.oid);
        if let Purpose::Policy = self.purpose
            && (governed.is_some() || self.policy_table == Some(relation.oid))
        {
            return Err(ResolveError::GovernedInPolicy { relation: relation.name.to_string(), position });
        }
        let Some(governed) = governed else {
            if self.is_overlooked(relation) {
                let reason = self.ground.admin.then(|| "it reads relations under a row filter or mask".into());
                return Err(ResolveError::Broken { name: relation.name.to_string(), noun: relation.kind.noun(), reason });
            }
            return Ok((own, None, false));
        };
        if !self.governed.contains(&relation.oid) {
            self.governed.push(relation.oid);
        }
        match governed {
            Governed::Table(table) => {
                if access != Access::Read && !relation.reads.is_empty() {
                    return Err(ResolveError::unsupported(format!("writing to \"{}\"", relation.name), position)
                        .because("A rule rewrites what is written to it, and the table has a row filter or masks."));
                }
                self.touched.filtered |= table.filtered;
                self.touched.masked |= table.twin();
                let now = match (access, self.purpose) {
                    (Access::Write | Access::Insert, Purpose::Owner) => {
                        return Err(ResolveError::unsupported(
                            format!("writing to \"{}\" with owner's rights", own.name),
                            position,
                        )
                        .because("Its row filter and masks would not hold."));
                    }
                    (Access::Write, _) => table.write.clone(),
                    (Access::Insert, _) => table.insert.clone(),
                    (Access::Read, Purpose::Owner) => {
                        QualifiedName { schema: governed_schema(own.schema.as_str()), name: own.name.clone() }
                    }
                    (Access::Read, Purpose::Statement | Purpose::Definition | Purpose::ViewTwin(_) | Purpose::Policy) => {
                        table.read.clone()
                    }
                };
                Ok((now, Some(table), false))
            }
            Governed::View { read } => {
                self.touched = crate::sql::Touched { filtered: true, masked: true };
                match access {
                    Access::Read => Ok((read.clone(), None, true)),
                    Access::Write | Access::Insert => {
                        Err(ResolveError::unsupported(format!("writing to view \"{}\"", relation.name), position)
                            .because("The view reads tables under a row filter or mask."))
                    }
                }
            }
            Governed::Derived => {
                self.touched = crate::sql::Touched { filtered: true, masked: true };
                let footing = self.footing();
                if access == Access::Insert && reads_by_view(&footing.catalog, &footing.governed, relation.oid) {
                    return Err(ResolveError::unsupported(format!("inserting into view \"{}\"", relation.name), position)
                        .because("The view reads a table whose row filter is enforced by a view.")
                        .instead("Insert into the table."));
                }
                Ok((own, None, true))
            }
            Governed::Refused(reason) => {
                let reason = self.ground.admin.then(|| reason.clone());
                Err(ResolveError::Broken { name: relation.name.to_string(), noun: relation.kind.noun(), reason })
            }
        }
    }

    /// Reading a parent reads its children without asking them: children with a filter or masks of their own forbid it.
    fn refuse_stricter_children(&self, relation: &Relation, position: Option<usize>) -> Result<(), ResolveError> {
        let footing = self.footing();
        let mut open = footing.catalog.children(relation.oid).to_vec();
        let mut seen = std::collections::HashSet::from([relation.oid]);
        while let Some(child) = open.pop() {
            if !seen.insert(child) {
                continue;
            }
            if self.is_stricter(relation, child) {
                return Err(ResolveError::unsupported(format!("access to \"{}\"", relation.name), position)
                    .because("A partition or child of it has a row filter or mask of its own.")
                    .instead("Set the row filter or mask on the parent."));
            }
            open.extend_from_slice(footing.catalog.children(child));
        }
        Ok(())
    }

    /// Whether a descendant hides what its ancestor shows.
    fn is_stricter(&self, ancestor: &Relation, child: Oid) -> bool {
        let footing = self.footing();
        let own = footing.policies.filter(child).is_some() || !footing.policies.masks(child).is_empty();
        let below = match footing.governed(child) {
            None => return own,
            Some(Governed::Table(table)) => table,
            Some(Governed::View { .. } | Governed::Derived | Governed::Refused(_)) => return true,
        };
        let (filtered, masked) = match footing.governed(ancestor.oid) {
            Some(Governed::Table(above)) => (above.filtered, above.masked.as_slice()),
            Some(Governed::View { .. } | Governed::Derived | Governed::Refused(_)) | None => (false, &[][..]),
        };
        let unmasked = |column: &&Name| ancestor.column(column.as_str()).is_some() && !masked.contains(column);
        own || (below.filtered && !filtered) || below.masked.iter().any(|column| unmasked(&column))
    }

    /// Whether a view reads governed relations that the footing does not know it for: then it is not to be trusted.
    fn is_overlooked(&self, relation: &Relation) -> bool {
        let footing = self.footing();
        if footing.policies.trusted(relation.oid) {
            return false;
        }
        let mut open = relation.reads.clone();
        let mut seen = std::collections::HashSet::new();
        while let Some(oid) = open.pop() {
            if !seen.insert(oid) || footing.policies.trusted(oid) {
                continue;
            }
            if footing.governed(oid).is_some() {
                return true;
            }
            if let Some(read) = footing.catalog.relation(oid) {
                open.extend_from_slice(&read.reads);
            }
        }
        false
    }

    /// What reading or writing a relation needs, views followed down to what they read.
    pub(super) fn need_relation(&mut self, relation: &'a Relation, holder: Holder, privilege: Privilege) {
        if !self.requires() {
            return;
        }
        let catalog = &self.footing().catalog;
        if catalog.schema(relation.schema).is_some_and(|s| s.system) {
            return;
        }
        let mut open: Vec<(&'a Relation, Holder)> = vec![(relation, holder)];
        let mut seen: std::collections::HashSet<(Oid, Holder)> = std::collections::HashSet::new();
        while let Some((relation, holder)) = open.pop() {
            if !seen.insert((relation.oid, holder)) || catalog.schema(relation.schema).is_some_and(|s| s.system) {
                continue;
            }
            if relation.temporary {
                // What a temporary view reads is read by whoever has the session, now as when it was made.
                open.extend(relation.reads.iter().filter_map(|oid| catalog.relation(*oid)).map(|read| (self.behind(read), holder)));
                let called: Vec<Oid> = catalog.temporaries().called_by(relation.oid).collect();
                called.into_iter().for_each(|function| self.need_function(function));
                continue;
            }
            let (schema, label) = (Some(relation.schema), relation.name.as_str());
            self.requirements.need(holder, privilege, Securable::Relation(relation.oid), schema, label, relation.kind.noun());
            if let Some(server) = relation.server.and_then(|oid| catalog.server(oid)) {
                let (on, label) = (Securable::Connection(server.oid), server.name.as_str());
                self.requirements.need(holder, Privilege::UseConnection, on, None, label, "foreign server");
            }
            if relation.kind == RelationKind::View {
                let below = if relation.security_invoker { Holder::Session } else { Holder::OwnerOfView(relation.oid) };
                let reads = relation.reads.iter().filter_map(|oid| catalog.relation(*oid));
                open.extend(reads.map(|read| (self.behind(read), below)));
            }
        }
    }

    /// The table that a governed view of ours stands for; every other relation is itself.
    fn behind(&self, relation: &'a Relation) -> &'a Relation {
        let footing = self.footing();
        let Some(own) = footing.catalog.qualified(relation) else { return relation };
        if !is_ours(own.schema.as_str()) {
            return relation;
        }
        let stands_for = |governed: &Governed| match governed {
            Governed::Table(table) => table.read == own || table.write == own || table.insert == own,
            Governed::View { read } => *read == own,
            Governed::Derived | Governed::Refused(_) => false,
        };
        let table = footing.governed.iter().find(|(_, governed)| stands_for(governed));
        table.and_then(|(oid, _)| footing.catalog.relation(*oid)).unwrap_or(relation)
    }

    /// Puts a qualified name in the place of one in the text, with the alias that the old name had by itself.
    pub(super) fn replace_name(&mut self, name: &mut RangeVar, now: &QualifiedName) -> Result<(), ResolveError> {
        let same = name.schemaname == now.schema.as_str() && name.relname == now.name.as_str();
        if same {
            return Ok(());
        }
        let parts = 1 + usize::from(!name.schemaname.is_empty()) + usize::from(!name.catalogname.is_empty());
        let tokens = self.tokens();
        let found = tokens.at(name.location).and_then(|index| {
            let after = *tokens.name_ends(index, parts)?.last()?;
            Some((index, after, tokens.range(index, after)?))
        });
        let (index, after, range) = found.ok_or(ResolveError::misplaced("location"))?;
        let needs_alias = self.aliases && name.alias.is_none() && name.relname != now.name.as_str();
        if needs_alias {
            let closed = tokens.is_symbol(after, "*")
                || (!name.inh && index > 0 && tokens.is_symbol(index - 1, "(") && tokens.is_symbol(after, ")"));
            let end = tokens.get(if closed { after } else { after - 1 }).map_or(range.end, |t| t.end);
            let alias = name.relname.clone();
            // No alias may follow TABLE.
            let command = index.checked_sub(1).filter(|before| tokens.is_word(*before, "table")).and_then(|at| tokens.get(at));
            match command.map(|word| word.start..range.end) {
                Some(range) => self.edit(range, format!("SELECT * FROM {}", now.quoted())),
                None => self.edit(range, now.quoted()),
            }
            self.insert_text(end, format!(" AS {}", crate::name::quote_identifier(&alias)));
            name.alias = Some(Alias { aliasname: alias, colnames: Vec::new() });
        } else {
            self.edit(range, now.quoted());
        }
        name.catalogname.clear();
        name.schemaname = now.schema.as_str().to_owned();
        name.relname = now.name.as_str().to_owned();
        Ok(())
    }
}

/// A name as messages show it.
pub(super) fn spelled(name: &RangeVar) -> String {
    [&name.catalogname, &name.schemaname, &name.relname]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(".")
}
