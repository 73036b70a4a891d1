//! What exists upstream, indexed by oid and by name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::kinds::TypeKind;
use super::temporary::Temporaries;
use crate::name::{Name, QualifiedName};
use crate::policy::Oid;

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its oid.
    pub oid: Oid,
    /// Its name.
    pub name: Name,
    /// `pg_catalog`, `information_schema`, `pg_toast`.
    pub system: bool,
    /// `pgusher` and the schemas of governed views.
    pub ours: bool,
}

/// What kind of relation it is (`pg_class.relkind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelationKind {
    /// `r`
    Table,
    /// `p`
    PartitionedTable,
    /// `v`
    View,
    /// `m`
    MaterializedView,
    /// `f`
    ForeignTable,
    /// `S`
    Sequence,
    /// `c`
    CompositeType,
    /// `i`, `I`
    Index,
}

impl RelationKind {
    /// From `pg_class.relkind`.
    pub fn from_code(code: char) -> Option<Self> {
        Some(match code {
            'r' => Self::Table,
            'p' => Self::PartitionedTable,
            'v' => Self::View,
            'm' => Self::MaterializedView,
            'f' => Self::ForeignTable,
            'S' => Self::Sequence,
            'c' => Self::CompositeType,
            'i' | 'I' => Self::Index,
            _ => return None,
        })
    }

    /// Whether it is read and written as rows.
    pub fn has_rows(self) -> bool {
        match self {
            Self::Table | Self::PartitionedTable | Self::View | Self::MaterializedView | Self::ForeignTable => true,
            Self::Sequence | Self::CompositeType | Self::Index => false,
        }
    }

    /// The word PostgreSQL uses in "permission denied for …".
    pub fn noun(self) -> &'static str {
        match self {
            Self::Table | Self::PartitionedTable => "table",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::ForeignTable => "foreign table",
            Self::Sequence => "sequence",
            Self::CompositeType => "type",
            Self::Index => "index",
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// `pg_attribute.attnum`.
    pub number: i16,
    /// Its name.
    pub name: Name,
    /// Its type's oid.
    pub type_oid: Oid,
    /// Its type as SQL, length and precision included (`format_type`).
    pub type_sql: Arc<str>,
    /// `atttypmod`; -1 for none.
    pub type_modifier: i32,
    /// GENERATED ALWAYS AS (…) STORED.
    pub generated: bool,
    /// The numbers of the columns that a generated one is computed from.
    pub computed_from: Vec<i16>,
    /// GENERATED … AS IDENTITY: `a` always, `d` by default, blank none.
    pub identity: char,
    /// Its DEFAULT as SQL with every name in full; generated and identity columns have none.
    pub default: Option<Arc<str>>,
}

/// A constraint that ON CONFLICT may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arbiter {
    /// Its name.
    pub name: Name,
    /// The numbers of its columns; `None` for an exclusion constraint, which columns cannot stand for.
    pub columns: Option<Vec<i16>>,
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Its oid.
    pub oid: Oid,
    /// Its schema's oid.
    pub schema: Oid,
    /// Its name.
    pub name: Name,
    /// The type of its rows, or 0.
    pub row_type: Oid,
    /// Its kind.
    pub kind: RelationKind,
    /// The upstream role that owns it.
    pub owner: Name,
    /// Its columns in order; dropped and system columns left out.
    pub columns: Vec<Column>,
    /// Its primary key, unique and exclusion constraints.
    pub arbiters: Vec<Arbiter>,
    /// What it inherits from or is a partition of.
    pub parents: Vec<Oid>,
    /// For a view or materialized view: the relations its definition reads (pg_depend of its rule). For whatever has other rules: what
    /// these read and write, itself included.
    pub reads: Vec<Oid>,
    /// For a view: runs with the rights of whoever asks (`security_invoker`).
    pub security_invoker: bool,
    /// Row security is enabled on it.
    pub row_security: bool,
    /// For a sequence: the table whose column owns it. For an index: its table.
    pub owned_by: Option<Oid>,
    /// For a foreign table: its server's oid.
    pub server: Option<Oid>,
    /// In `pg_temp` of this session (only in a session's private catalog).
    pub temporary: bool,
}

impl Relation {
    /// Whether its rows have `ctid`, `xmin` and the like, all of them.
    pub fn has_system_columns(&self) -> bool {
        matches!(self.kind, RelationKind::Table | RelationKind::PartitionedTable)
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name.as_str() == name)
    }
}

/// What kind of function it is (`pg_proc.prokind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// `f`
    Function,
    /// `p`
    Procedure,
    /// `a`
    Aggregate,
    /// `w`
    Window,
}

/// A function outside pg_catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its oid.
    pub oid: Oid,
    /// Its schema's oid.
    pub schema: Oid,
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: FunctionKind,
    /// The fewest arguments a call can give (defaults taken into account).
    pub min_args: i16,
    /// The most; `i16::MAX` when variadic.
    pub max_args: i16,
    /// Its input arguments' names (empty text where unnamed), in order.
    pub arg_names: Vec<Arc<str>>,
    /// Its input arguments' types as SQL, in order.
    pub arg_types: Vec<Arc<str>>,
    /// SECURITY DEFINER.
    pub security_definer: bool,
    /// Its language; an aggregate's is that of the functions that it calls.
    pub language: Name,
    /// It, or a part of it if it is an aggregate, may do anything: VOLATILE.
    pub volatile: bool,
    /// Its result type as SQL.
    pub result_type: Arc<str>,
    /// Returns a set.
    pub returns_set: bool,
}

impl Function {
    /// Whether it runs no code but the server's own and that of libraries, which only a superuser of the upstream can make known.
    pub fn is_native(&self) -> bool {
        matches!(self.language.as_str(), "c" | "internal")
    }
}

/// A type outside pg_catalog that stands alone: no row type of a table or view, no array type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserType {
    /// Its oid.
    pub oid: Oid,
    /// Its schema's oid.
    pub schema: Oid,
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: TypeKind,
    /// The upstream role that owns it.
    pub owner: Name,
    /// For a composite type: its relation's oid.
    pub relation: Option<Oid>,
    /// The types it depends on: a domain's base, a range's subtype.
    pub made_of: Vec<Oid>,
    /// Functions outside pg_catalog that run where values of it are made: input and output, a domain's own constraints, those of a range.
    pub calls: Vec<Oid>,
}

/// An operator outside pg_catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its schema's oid.
    pub schema: Oid,
    /// Its symbol.
    pub name: Name,
    /// The function behind it.
    pub function: Oid,
}

/// A foreign server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its oid.
    pub oid: Oid,
    /// Its name.
    pub name: Name,
}

/// What the loader collects; [`CatalogSnapshot::new`] indexes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogParts {
    /// The connected database's name.
    pub database: Arc<str>,
    /// `server_version_num`.
    pub server_version: i32,
    /// Schemas, system ones included.
    pub schemas: Vec<Schema>,
    /// Relations, those of pg_catalog and information_schema included.
    pub relations: Vec<Relation>,
    /// Functions outside pg_catalog.
    pub functions: Vec<Function>,
    /// Operators outside pg_catalog.
    pub operators: Vec<Operator>,
    /// Functions outside pg_catalog behind casts: (the name in `pg_type` of the target type, of a domain over it, or of an array's
    /// element; function).
    pub casts: Vec<(Name, Oid)>,
    /// Foreign servers.
    pub servers: Vec<Server>,
    /// Types outside pg_catalog.
    pub types: Vec<UserType>,
    /// Foreign keys: (referencing table, referenced table).
    pub references: Vec<(Oid, Oid)>,
    /// Functions and schemas that `pgusher_ddl` owns upstream.
    pub of_ddl: Vec<Oid>,
    /// Functions outside pg_catalog that definitions of views call: (view, function).
    pub view_calls: Vec<(Oid, Oid)>,
    /// Functions outside pg_catalog that defaults, generated columns, checks, indexes and statistics of tables call: (table, function).
    pub part_calls: Vec<(Oid, Oid)>,
    /// Upstream roles whose relations `pgusher_owner` may not alter: superusers, and roles it is no member of.
    pub unalterable_owners: Vec<Name>,
    /// Primary keys of tables.
    pub keys: Vec<PrimaryKey>,
    /// Views of ours that stand for relations of the catalogs: (view, catalog).
    pub stand_ins: Vec<(Oid, Oid)>,
    /// DISCARD ALL takes away whatever code can leave in a connection's memory, as far as is known.
    pub forgetful: bool,
    /// Where functions of PostgreSQL's own that leave something behind run though a statement does not name them: tables by policies of
    /// row security, and 0 for types by their constraints and defaults.
    pub leaving: Vec<Oid>,
}

/// A table's primary key, checked at once: grouped by it, every other column has one value in each group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryKey {
    /// The table.
    pub relation: Oid,
    /// The numbers of its columns.
    pub columns: Vec<i16>,
    /// The numbers of the table's columns that GROUP BY can name: types without equality left out.
    pub groupable: Vec<i16>,
}

/// An immutable view of the catalog: what all sessions share, and what one session has of its own.
#[derive(Clone, Debug, Default)]
pub struct CatalogSnapshot {
    /// Counts up with each load that found a change; unique within the process.
    pub version: u64,
    /// The connected database's name.
    pub database: Arc<str>,
    /// `server_version_num`, for example 150018.
    pub server_version: i32,
    shared: Arc<Index>,
    own: Arc<Temporaries>,
}

/// Everything but temporary objects, by oid and by name.
#[derive(Debug, Default)]
struct Index {
    schemas: HashMap<Oid, Schema>,
    schema_by_name: HashMap<Name, Oid>,
    relations: HashMap<Oid, Relation>,
    relation_by_name: HashMap<(Oid, Name), Oid>,
    children: HashMap<Oid, Vec<Oid>>,
    functions: HashMap<Oid, Function>,
    functions_by_name: HashMap<Name, Vec<Oid>>,
    operators_by_name: HashMap<Name, Vec<Operator>>,
    casts: HashMap<Name, Vec<Oid>>,
    servers: HashMap<Oid, Server>,
    types: HashMap<Oid, UserType>,
    type_by_name: HashMap<(Oid, Name), Oid>,
    referencing: HashMap<Oid, Vec<Oid>>,
    of_ddl: HashSet<Oid>,
    view_calls: HashMap<Oid, Vec<Oid>>,
    part_calls: HashMap<Oid, Vec<Oid>>,
    unalterable_owners: HashSet<Name>,
    stand_ins: Vec<(Oid, Oid)>,
    forgetful: bool,
    leaving: HashSet<Oid>,
    keys: HashMap<Oid, PrimaryKey>,
}

impl Index {
    fn new(parts: CatalogParts) -> Self {
        let mut catalog = Self::default();
        for schema in parts.schemas {
            catalog.schema_by_name.insert(schema.name.clone(), schema.oid);
            catalog.schemas.insert(schema.oid, schema);
        }
        for relation in parts.relations {
            catalog.relation_by_name.insert((relation.schema, relation.name.clone()), relation.oid);
            for parent in &relation.parents {
                catalog.children.entry(*parent).or_default().push(relation.oid);
            }
            catalog.relations.insert(relation.oid, relation);
        }
        for function in parts.functions {
            catalog.functions_by_name.entry(function.name.clone()).or_default().push(function.oid);
            catalog.functions.insert(function.oid, function);
        }
        for operator in parts.operators {
            catalog.operators_by_name.entry(operator.name.clone()).or_default().push(operator);
        }
        for (target, function) in parts.casts {
            catalog.casts.entry(target).or_default().push(function);
        }
        catalog.unalterable_owners.extend(parts.unalterable_owners);
        catalog.stand_ins = parts.stand_ins;
        catalog.forgetful = parts.forgetful;
        catalog.leaving = parts.leaving.into_iter().collect();
        for (referencing, referenced) in parts.references {
            catalog.referencing.entry(referenced).or_default().push(referencing);
        }
        catalog.of_ddl.extend(parts.of_ddl);
        for (view, function) in parts.view_calls {
            catalog.view_calls.entry(view).or_default().push(function);
        }
        for (table, function) in parts.part_calls {
            catalog.part_calls.entry(table).or_default().push(function);
        }
        for one in parts.types {
            catalog.type_by_name.insert((one.schema, one.name.clone()), one.oid);
            catalog.types.insert(one.oid, one);
        }
        catalog.keys.extend(parts.keys.into_iter().map(|key| (key.relation, key)));
        catalog.servers.extend(parts.servers.into_iter().map(|s| (s.oid, s)));
        catalog
    }
}

impl CatalogSnapshot {
    /// Indexes the parts.
    pub fn new(version: u64, parts: CatalogParts) -> Self {
        let (database, server_version) = (parts.database.clone(), parts.server_version);
        Self { version, database, server_version, shared: Arc::new(Index::new(parts)), own: Arc::default() }
    }

    /// The same under another version.
    pub fn renumbered(&self, version: u64) -> Self {
        Self { version, ..self.clone() }
    }

    /// Whether another one shows the same, under whatever version: made of one load, without temporary objects.
    pub fn same_objects(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && Arc::ptr_eq(&self.own, &other.own)
    }

    /// The same with a session's temporary objects.
    pub fn with_temporaries(&self, own: Arc<Temporaries>) -> Self {
        Self { own, ..self.clone() }
    }

    /// The session's temporary objects.
    pub fn temporaries(&self) -> &Temporaries {
        &self.own
    }

    /// A schema by oid.
    pub fn schema(&self, oid: Oid) -> Option<&Schema> {
        self.own.schema.as_ref().filter(|s| s.oid == oid).or_else(|| self.shared.schemas.get(&oid))
    }

    /// A schema by name.
    pub fn schema_named(&self, name: &str) -> Option<&Schema> {
        let own = self.own.schema.as_ref().filter(|s| s.name.as_str() == name);
        own.or_else(|| self.shared.schema_by_name.get(name).and_then(|oid| self.shared.schemas.get(oid)))
    }

    /// Every schema, in no order.
    pub fn schemas(&self) -> impl Iterator<Item = &Schema> {
        self.shared.schemas.values().chain(&self.own.schema)
    }

    /// A relation by oid.
    pub fn relation(&self, oid: Oid) -> Option<&Relation> {
        self.shared.relations.get(&oid).or_else(|| self.own.relation(oid))
    }

    /// A relation by schema and name.
    pub fn relation_in(&self, schema: Oid, name: &Name) -> Option<&Relation> {
        match &self.own.schema {
            Some(own) if own.oid == schema => self.own.relations.iter().find(|r| r.name == *name),
            Some(_) | None => {
                self.shared.relation_by_name.get(&(schema, name.clone())).and_then(|oid| self.shared.relations.get(oid))
            }
        }
    }

    /// A table's primary key.
    pub fn primary_key(&self, oid: Oid) -> Option<&PrimaryKey> {
        self.shared.keys.get(&oid)
    }

    /// Every relation, in no order.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.shared.relations.values().chain(&self.own.relations)
    }

    /// Partitions and inheritance children, direct ones.
    pub fn children(&self, oid: Oid) -> &[Oid] {
        self.shared.children.get(&oid).map_or(&[], Vec::as_slice)
    }

    /// A relation's qualified name.
    pub fn qualified(&self, relation: &Relation) -> Option<QualifiedName> {
        self.schema(relation.schema).map(|s| QualifiedName { schema: s.name.clone(), name: relation.name.clone() })
    }

    /// A function outside pg_catalog by oid.
    pub fn function(&self, oid: Oid) -> Option<&Function> {
        self.shared.functions.get(&oid).or_else(|| self.own.functions.iter().find(|f| f.oid == oid))
    }

    /// Functions outside pg_catalog with a name, in every schema.
    pub fn functions_named(&self, name: &str) -> impl Iterator<Item = &Function> {
        let shared = self.shared.functions_by_name.get(name).into_iter().flatten();
        let own = self.own.functions.iter().filter(move |f| f.name.as_str() == name);
        shared.filter_map(|oid| self.shared.functions.get(oid)).chain(own)
    }

    /// Every function outside pg_catalog, in no order.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.shared.functions.values().chain(&self.own.functions)
    }

    /// Operators outside pg_catalog.
    pub fn operators(&self) -> impl Iterator<Item = &Operator> {
        self.shared.operators_by_name.values().flatten()
    }

    /// Whether a cast, which nothing in a statement needs to say, runs more than the server's own code and that of libraries.
    pub fn has_casts_by_code(&self) -> bool {
        self.shared.casts.values().flatten().any(|oid| !self.function(*oid).is_some_and(Function::is_native))
    }

    /// Operators outside pg_catalog with a symbol, in every schema.
    pub fn operators_named(&self, name: &str) -> &[Operator] {
        self.shared.operators_by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Functions outside pg_catalog that a cast to a type of this name calls.
    pub fn cast_functions(&self, type_name: &str) -> &[Oid] {
        self.shared.casts.get(type_name).map_or(&[], Vec::as_slice)
    }

    /// A type outside pg_catalog by oid.
    pub fn user_type(&self, oid: Oid) -> Option<&UserType> {
        self.shared.types.get(&oid)
    }

    /// A type outside pg_catalog by schema and name.
    pub fn user_type_in(&self, schema: Oid, name: &Name) -> Option<&UserType> {
        self.shared.type_by_name.get(&(schema, name.clone())).and_then(|oid| self.shared.types.get(oid))
    }

    /// Every type outside pg_catalog, in no order.
    pub fn user_types(&self) -> impl Iterator<Item = &UserType> {
        self.shared.types.values()
    }

    /// The tables with a foreign key to this one.
    pub fn referencing(&self, oid: Oid) -> &[Oid] {
        self.shared.referencing.get(&oid).map_or(&[], Vec::as_slice)
    }

    /// The functions outside pg_catalog that a view's definition calls.
    pub fn called_by_view(&self, oid: Oid) -> &[Oid] {
        self.shared.view_calls.get(&oid).map_or(&[], Vec::as_slice)
    }

    /// The functions outside pg_catalog that a table's defaults, generated columns, checks, indexes and statistics call.
    pub fn called_by_parts(&self, oid: Oid) -> &[Oid] {
        self.shared.part_calls.get(&oid).map_or(&[], Vec::as_slice)
    }

    /// Whether a function or schema belongs to `pgusher_ddl` upstream.
    pub fn is_of_ddl(&self, oid: Oid) -> bool {
        self.shared.of_ddl.contains(&oid)
    }

    /// Whether making a value of some type may call a function of PostgreSQL's own that leaves something behind.
    pub fn types_leave(&self) -> bool {
        self.shared.leaving.contains(&0)
    }

    /// Whether a relation's policies of row security call one.
    pub fn policies_leave(&self, oid: Oid) -> bool {
        self.shared.leaving.contains(&oid)
    }

    /// A foreign server by oid.
    pub fn server(&self, oid: Oid) -> Option<&Server> {
        self.shared.servers.get(&oid)
    }

    /// A foreign server by name.
    pub fn server_named(&self, name: &str) -> Option<&Server> {
        self.shared.servers.values().find(|s| s.name.as_str() == name)
    }

    /// Views of ours that stand for relations of the catalogs: (view, catalog). The views themselves are not among the relations.
    pub fn stand_ins(&self) -> &[(Oid, Oid)] {
        &self.shared.stand_ins
    }

    /// Whether DISCARD ALL takes away whatever code can leave in a connection's memory. Not so with languages that have variables of a
    /// session's (PL/Perl's `%_SHARED`), and libraries that may hold anything (connections of dblink).
    pub fn is_forgetful(&self) -> bool {
        self.shared.forgetful
    }

    /// Whether `pgusher_owner` may alter a relation (a superuser's it may not).
    pub fn alterable(&self, relation: &Relation) -> bool {
        !self.shared.unalterable_owners.contains(&relation.owner)
    }

    /// A relation's ancestors by inheritance or partitioning, nearest first, each once.
    pub fn ancestors(&self, oid: Oid) -> Vec<Oid> {
        let (mut found, mut seen, mut looked) = (vec![oid], HashSet::from([oid]), 0);
        while let Some(next) = found.get(looked) {
            looked += 1;
            let parents = self.relation(*next).map_or(&[][..], |r| &r.parents);
            found.extend(parents.iter().filter(|parent| seen.insert(**parent)));
        }
        found.split_off(1)
    }
}
