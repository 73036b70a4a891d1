//! Names as written → objects and principals.

use super::Ground;
use crate::catalog::{Function, Relation, RelationKind, Schema};
use crate::error::{GovernError, Object};
use crate::governance::{Member, ObjectName, SecurableName};
use crate::name::QualifiedName;
use crate::policy::{Oid, Principal, PrincipalKind, Securable};

/// A securable that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// What grants are recorded on.
    pub(super) securable: Securable,
    /// The schema it is in.
    pub(super) schema: Option<Oid>,
    /// PostgreSQL's word for its kind.
    pub(super) noun: &'static str,
    /// Its name, as messages show it.
    pub(super) label: String,
}

impl Ground<'_> {
    /// The securable of a name.
    pub(super) fn target(&self, name: &SecurableName) -> Result<Target, GovernError> {
        match name {
            SecurableName::Catalog(database) => {
                if let Some(database) = database.as_ref().filter(|d| d.as_str() != &*self.footing.catalog.database) {
                    return Err(GovernError::Undefined {
                        object: Object::Database,
                        what: format!("database \"{database}\" is not the connected one"),
                    });
                }
                Ok(Target {
                    securable: Securable::Catalog,
                    schema: None,
                    noun: "catalog",
                    label: self.footing.catalog.database.to_string(),
                })
            }
            SecurableName::Schema(name) => {
                self.this_database(name)?;
                let schema = self.schema(name.name.as_str())?;
                Ok(Target {
                    securable: Securable::Schema(schema.oid),
                    schema: None,
                    noun: "schema",
                    label: schema.name.to_string(),
                })
            }
            SecurableName::Table(name) => Ok(self.relation_target(self.relation(name)?)),
            SecurableName::View(name) => {
                let relation = self.relation(name)?;
                match relation.kind {
                    RelationKind::View | RelationKind::MaterializedView => Ok(self.relation_target(relation)),
                    RelationKind::Table
                    | RelationKind::PartitionedTable
                    | RelationKind::ForeignTable
                    | RelationKind::Sequence
                    | RelationKind::CompositeType
                    | RelationKind::Index => Err(GovernError::WrongObjectKind { label: name.plain(), wanted: "view", hint: None }),
                }
            }
            SecurableName::Function { name, arguments } => self.function_target(name, arguments.as_deref()),
            SecurableName::AnonymousFunction => Ok(Target {
                securable: Securable::AnonymousFunction,
                schema: None,
                noun: "anonymous function",
                label: "ANONYMOUS FUNCTION".to_owned(),
            }),
            SecurableName::AnyFile => {
                Ok(Target { securable: Securable::AnyFile, schema: None, noun: "any file", label: "ANY FILE".to_owned() })
            }
            SecurableName::Connection(name) => {
                let server = self.footing.catalog.server_named(name.as_str()).ok_or_else(|| GovernError::Undefined {
                    object: Object::Other,
                    what: format!("server \"{name}\" does not exist"),
                })?;
                Ok(Target {
                    securable: Securable::Connection(server.oid),
                    schema: None,
                    noun: "foreign server",
                    label: server.name.to_string(),
                })
            }
        }
    }

    /// The relation of a name: a schema's, or the first on the search path.
    pub(super) fn relation(&self, name: &ObjectName) -> Result<&Relation, GovernError> {
        self.this_database(name)?;
        let found = match &name.schema {
            Some(schema) => self.footing.catalog.relation_in(self.schema(schema.as_str())?.oid, &name.name),
            None => self.searched().find_map(|schema| self.footing.catalog.relation_in(schema.oid, &name.name)),
        };
        let relation = found.ok_or_else(|| GovernError::Undefined {
            object: Object::Relation,
            what: format!("relation \"{}\" does not exist", name.plain()),
        })?;
        if relation.temporary {
            return Err(GovernError::Unsupported {
                what: format!("\"{}\" is a temporary table, which is not governed", name.plain()),
                hint: None,
            });
        }
        if self.footing.catalog.schema(relation.schema).is_some_and(|schema| schema.system || schema.ours) {
            return Err(GovernError::SystemObject { label: name.plain() });
        }
        match relation.kind {
            RelationKind::Index | RelationKind::CompositeType => {
                Err(GovernError::WrongObjectKind { label: name.plain(), wanted: "table or view", hint: None })
            }
            RelationKind::Table
            | RelationKind::PartitionedTable
            | RelationKind::View
            | RelationKind::MaterializedView
            | RelationKind::ForeignTable
            | RelationKind::Sequence => Ok(relation),
        }
    }

    /// A relation as a securable.
    pub(super) fn relation_target(&self, relation: &Relation) -> Target {
        Target {
            securable: Securable::Relation(relation.oid),
            schema: Some(relation.schema),
            noun: relation.kind.noun(),
            label: relation.name.to_string(),
        }
    }

    /// Every function that a name can mean, procedures and aggregates too.
    pub(super) fn functions(&self, name: &ObjectName) -> Result<Vec<&Function>, GovernError> {
        self.this_database(name)?;
        let schemas: Vec<Oid> = match &name.schema {
            Some(schema) => vec![self.schema(schema.as_str())?.oid],
            None => self.searched().map(|schema| schema.oid).collect(),
        };
        let mut found: Vec<&Function> = self.footing.catalog.functions_named(name.name.as_str()).collect();
        found.retain(|function| {
            schemas.contains(&function.schema) && !self.footing.catalog.schema(function.schema).is_some_and(|s| s.ours || s.system)
        });
        // The first schema on the path hides later ones' functions with the same argument types only; all are candidates.
        found.sort_by_key(|function| schemas.iter().position(|oid| *oid == function.schema));
        Ok(found)
    }

    /// A principal by name.
    pub(super) fn principal(&self, name: &str) -> Result<&Principal, GovernError> {
        self.footing
            .policies
            .principal_named(name)
            .ok_or_else(|| GovernError::UndefinedPrincipal { kind: None, name: name.to_owned() })
    }

    /// A principal of a kind by name.
    pub(super) fn principal_of(&self, kind: PrincipalKind, name: &str) -> Result<&Principal, GovernError> {
        match self.footing.policies.principal_named(name) {
            None => Err(GovernError::UndefinedPrincipal { kind: Some(kind), name: name.to_owned() }),
            Some(found) if found.kind != kind => {
                Err(GovernError::WrongPrincipalKind { name: name.to_owned(), wanted: kind, found: found.kind })
            }
            Some(found) => Ok(found),
        }
    }

    /// The principal of a member.
    pub(super) fn member(&self, member: &Member) -> Result<&Principal, GovernError> {
        self.principal_of(member.kind, &member.name)
    }

    /// `schema.name(type, …)`.
    pub(super) fn function_label(&self, function: &Function) -> String {
        let schema = self.footing.catalog.schema(function.schema).map(|s| s.name.to_string()).unwrap_or_default();
        format!("{schema}.{}({})", function.name, function.arg_types.join(", "))
    }

    /// A function's qualified name.
    pub(super) fn function_name(&self, function: &Function) -> Option<QualifiedName> {
        let schema = self.footing.catalog.schema(function.schema)?;
        Some(QualifiedName { schema: schema.name.clone(), name: function.name.clone() })
    }

    fn function_target(&self, name: &ObjectName, arguments: Option<&[String]>) -> Result<Target, GovernError> {
        let mut found = self.functions(name)?;
        if let Some(wanted) = arguments {
            let wanted: Vec<String> = wanted.iter().map(|t| canonical_type(t)).collect();
            found.retain(|f| f.arg_types.iter().map(|t| canonical_type(t)).eq(wanted.iter().cloned()));
        }
        match found.as_slice() {
            [] => {
                let listed = arguments.map(|types| format!("({})", types.join(", "))).unwrap_or_default();
                let what = format!("function {}{listed} does not exist", name.plain());
                Err(GovernError::Undefined { object: Object::Function, what })
            }
            [function] => Ok(Target {
                securable: Securable::Function(function.oid),
                schema: Some(function.schema),
                noun: "function",
                label: function.name.to_string(),
            }),
            [first, second, ..] if arguments.is_some() && first.schema != second.schema => Ok(Target {
                securable: Securable::Function(first.oid),
                schema: Some(first.schema),
                noun: "function",
                label: first.name.to_string(),
            }),
            [..] => Err(GovernError::AmbiguousFunction { name: name.plain() }),
        }
    }

    fn searched(&self) -> impl Iterator<Item = &Schema> {
        std::iter::once("pg_temp").chain(self.search_path.lookup()).filter_map(|name| self.footing.catalog.schema_named(name))
    }

    fn schema(&self, name: &str) -> Result<&Schema, GovernError> {
        let schema = self
            .footing
            .catalog
            .schema_named(name)
            .ok_or_else(|| GovernError::Undefined { object: Object::Schema, what: format!("schema \"{name}\" does not exist") })?;
        if schema.ours || schema.system { Err(GovernError::SystemObject { label: name.to_owned() }) } else { Ok(schema) }
    }

    fn this_database(&self, name: &ObjectName) -> Result<(), GovernError> {
        match &name.database {
            Some(database) if database.as_str() != &*self.footing.catalog.database => {
                Err(GovernError::OtherDatabase { name: name.plain() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// One spelling for a type's names: those of `format_type`, without modifiers.
pub(super) fn canonical_type(written: &str) -> String {
    let lower = written.to_ascii_lowercase().replace('"', "");
    let without = match (lower.find('('), lower.find(')')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &lower[..open], &lower[close + 1..]),
        _ => lower,
    };
    let words = without.split_whitespace().collect::<Vec<_>>().join(" ");
    let (base, array) = words.strip_suffix("[]").map_or((words.as_str(), ""), |base| (base, "[]"));
    let base = base.strip_prefix("pg_catalog.").unwrap_or(base);
    let base = match base {
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "bool" => "boolean",
        "float8" | "float" => "double precision",
        "float4" => "real",
        "decimal" => "numeric",
        "varchar" => "character varying",
        "char" | "bpchar" => "character",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        "time" => "time without time zone",
        "varbit" => "bit varying",
        other => other,
    };
    format!("{base}{array}")
}

#[cfg(test)]
mod tests {
    use super::canonical_type;

    #[test]
    fn types_have_one_spelling() {
        for (written, expected) in [
            ("INT", "integer"),
            ("varchar(20)", "character varying"),
            ("character varying", "character varying"),
            ("timestamptz", "timestamp with time zone"),
            ("timestamp(3) with time zone", "timestamp with time zone"),
            ("pg_catalog.int8[]", "bigint[]"),
            ("shop.\"Mood\"", "shop.mood"),
        ] {
            assert_eq!(canonical_type(written), expected);
        }
    }
}
