//! Reads of the catalogs: views of ours in the place of catalog relations, functions of ours in the place of those that tell of
//! objects, and types whose values bear names of what is seen only.

use pg_query::protobuf::{ColumnRef, FuncCall, Node, TypeCast, TypeName, a_const};
use pg_query::{Node as Tree, NodeEnum as Kind};

use super::ResolveError;
use super::catalog_relations::{self, Answer, Key, LeavesOut, Sight, answer};
use super::harmless;
use super::names::{offset, string, string_node};
use super::naming;
use super::relations::Access;
use super::ties::{self, Named};
use super::walk::{Purpose, Walk};
use crate::catalog::Relation;
use crate::name::{Name, QualifiedName};
use crate::policy::Oid;

/// What a statement is to the catalogs, found before it is walked.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// How it may read them; behind a barrier when it was not looked at.
    sight: Option<Sight>,
    /// Relations whose rows are tied to something that is seen: where each stands, and what it goes by.
    tied: Vec<(i64, String)>,
    /// What the statement calls things.
    named: Named,
    /// It reads views of ours over catalogs.
    pub(super) read: bool,
    /// It names system columns.
    system_columns: bool,
    /// Where values that bear names may stand.
    safe: Vec<i64>,
    /// What it does with columns whose type would be lent, when that was looked at.
    lent: Option<Option<(String, Option<i64>)>>,
    /// Parameters that are not cast wherever they stand.
    loose: Vec<i64>,
    /// Literals that name sequences: resolved already.
    settled: Vec<i32>,
}

/// The functions that have a stand-in of the same name in schema pgusher, for all their overloads.
const STAND_INS: &[&str] = &[
    "col_description",
    "format_type",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_schema_privilege",
    "has_sequence_privilege",
    "has_server_privilege",
    "has_table_privilege",
    "obj_description",
    "pg_column_is_updatable",
    "pg_database_size",
    "pg_describe_object",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arg_default",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_function_sqlbody",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_partition_constraintdef",
    "pg_get_partkeydef",
    "pg_get_replica_identity_index",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions",
    "pg_get_triggerdef",
    "pg_get_userbyid",
    "pg_get_viewdef",
    "pg_has_role",
    "pg_identify_object",
    "pg_identify_object_as_address",
    "pg_indexes_size",
    "pg_partition_ancestors",
    "pg_partition_root",
    "pg_partition_tree",
    "pg_relation_is_publishable",
    "pg_relation_is_updatable",
    "pg_relation_size",
    "pg_sequence_parameters",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "row_security_active",
    "shobj_description",
    "to_regclass",
    "to_regnamespace",
    "to_regoper",
    "to_regoperator",
    "to_regproc",
    "to_regprocedure",
    "to_regtype",
];

/// Functions that tell of objects in ways that nobody has a stand-in for.
const UNTOLD: &[&str] = &[
    "pg_get_object_address",
    "to_regrole",
    "to_regcollation",
    "has_type_privilege",
    "has_language_privilege",
    "has_foreign_data_wrapper_privilege",
    "has_tablespace_privilege",
    "has_parameter_privilege",
    "has_largeobject_privilege",
    "pg_get_acl",
    "pg_filenode_relation",
    "pg_get_catalog_foreign_keys",
    "pg_prepared_statement",
    "oidvectortypes",
    "satisfies_hash_partition",
    "regclass",
    "text_regclass",
];

/// Types whose values are numbers and whose text is the name of what has that number.
const NAMING: &[&str] = &["regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regoper", "regoperator"];
const NAMING_UNTOLD: &[&str] = &["regrole", "regcollation", "regconfig", "regdictionary"];

/// Words of a text, in lower case, that a system column may be meant by.
pub(in crate::sql) const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "ctid", "xmax", "cmin", "cmax"];

/// Those without which it names no catalog.
pub(in crate::sql) const CATALOGS: [&str; 2] = ["pg_", "information_schema"];

/// Those without which it names neither a catalog nor a type whose values bear names: what those types' names begin with, and escapes
/// that could spell them. A column called `region` is no reason to look at a whole tree.
pub(in crate::sql) const TELLING: [&str; 10] =
    ["regclass", "regtype", "regproc", "regnamespace", "regoper", "regrole", "regcollation", "regconfig", "regdictionary", "u&"];

/// Whether a text in lower case may be about catalogs.
pub(in crate::sql) fn names_catalogs(text: &str) -> bool {
    CATALOGS.iter().any(|word| text.contains(word))
}

/// Whether a text in lower case may name a type whose values bear names.
fn names_types(text: &str) -> bool {
    (text.contains("reg") || text.contains("u&")) && TELLING.iter().any(|word| text.contains(word))
}

impl Walk<'_> {
    /// Looks at a statement before it is walked.
    pub(super) fn look_ahead(&mut self, tree: &Tree) -> Result<(), ResolveError> {
        let text = self.text.to_ascii_lowercase();
        self.outlook.system_columns = SYSTEM_COLUMNS.iter().any(|name| text.contains(name));
        let catalogs = names_catalogs(&text);
        let named = !self.ground.admin && (catalogs || names_types(&text));
        if !catalogs && !named {
            return Ok(());
        }
        let tree = serde_json::to_value(tree).map_err(|_| ResolveError::misplaced("tree"))?;
        if catalogs {
            self.outlook.sight = Some(if self.ground.admin {
                harmless::sight_of_admin(&tree)
            } else {
                harmless::sight(&tree, &self.ground.footing.catalog, self.ground.path)
            });
            if self.outlook.sight != Some(Sight::Fenced) && harmless::is_plain(self.ground.path) {
                self.outlook.tied = ties::tied(&tree, &self.ground.footing.catalog, &|number, at| self.sees(number, at));
                self.outlook.named = Named::of(&tree);
            }
        }
        if named {
            self.outlook.safe = naming::safe_names(&tree);
            self.outlook.loose = naming::loose_parameters(&tree);
            self.outlook.lent = Some(naming::lent(&tree));
        }
        Ok(())
    }

    /// Whether the principal sees the relation of a number that stands at a place, as far as catalog and policies say.
    fn sees(&self, number: Oid, at: i64) -> bool {
        self.ground.onlooker.is_some_and(|onlooker| onlooker.sees(self.ground.footing, number, at))
    }

    /// Whether catalogs are shown as the session's principal sees them: not in what administrators define, and not in policies.
    fn looks_at_catalogs(&self) -> bool {
        match self.purpose {
            Purpose::Statement => true,
            Purpose::Owner | Purpose::Definition => !self.ground.admin,
            Purpose::ViewTwin(_) | Purpose::Policy => false,
        }
    }

    /// What is read for a relation of pg_catalog or information_schema.
    pub(super) fn catalog_relation(
        &mut self,
        relation: &Relation,
        own: &QualifiedName,
        access: Access,
        position: Option<usize>,
    ) -> Result<QualifiedName, ResolveError> {
        let refuse = |reason| {
            let (name, noun) = (relation.name.to_string(), relation.kind.noun());
            Err(ResolveError::ProtectedRelation { name, noun, reason, position })
        };
        if access != Access::Read {
            return refuse("Catalogs are changed by commands only.");
        }
        let sight = match self.purpose {
            // What reads a definition is not known.
            Purpose::Statement if !self.defining => self.outlook.sight.unwrap_or(Sight::Fenced),
            Purpose::Statement | Purpose::Owner | Purpose::Definition | Purpose::ViewTwin(_) | Purpose::Policy => Sight::Fenced,
        };
        if !self.ground.admin && self.looks_at_catalogs() && naming::is_bearing(own.name.as_str()) {
            match &self.outlook.lent {
                Some(None) => {}
                Some(Some((what, at))) => return Err(unsafe_place(what, at.and_then(|at| usize::try_from(at).ok()))),
                None => return Err(unsafe_place(own.name.as_str(), position)),
            }
        }
        let alias = position.and_then(|at| self.outlook.tied.iter().find(|(tied, _)| usize::try_from(*tied) == Ok(at)));
        let leaves_out = alias.map(|(_, alias)| |columns: &[&str]| self.outlook.named.leaves_out(columns, alias));
        let tied = leaves_out.as_ref().filter(|_| sight != Sight::Fenced).map(|test| test as LeavesOut);
        let answer = answer(own.schema.as_str(), own.name.as_str(), sight, self.outlook.system_columns, tied);
        let looked_at = match answer {
            Answer::Refused(reason) => return refuse(reason),
            Answer::View(_) => self.looks_at_catalogs(),
            Answer::Itself => tied.is_some(),
        };
        if looked_at && !self.ground.admin {
            // What upstream says of our views and functions is not for the client.
            self.touched.filtered = true;
            self.outlook.read = true;
        }
        match answer {
            Answer::View(name) if looked_at => Ok(QualifiedName { schema: Name::exact("pgusher"), name: Name::exact(&name) }),
            Answer::View(_) | Answer::Itself | Answer::Refused(_) => Ok(own.clone()),
        }
    }

    /// Puts a function of ours in the place of one that tells of objects; whether the call is settled by that.
    pub(super) fn stand_in_call(&mut self, name: &str, call: &mut FuncCall) -> Result<bool, ResolveError> {
        if !self.looks_at_catalogs() {
            return Ok(false);
        }
        let position = offset(call.location);
        if UNTOLD.contains(&name) && !self.ground.admin {
            let reason = "It tells of objects whether there is a grant on them or not.".to_owned();
            return Err(ResolveError::ProtectedFunction { name: name.to_owned(), reason, position });
        }
        let bears = name.starts_with("to_reg") || matches!(name, "pg_typeof" | "pg_get_replica_identity_index");
        if bears && !self.ground.admin && !self.may_bear_name(call.location) {
            return Err(unsafe_place(name, position));
        }
        // Administrators see every partition, and its name.
        let told = self.ground.admin && name.starts_with("pg_partition_");
        if told || !STAND_INS.contains(&name) {
            return Ok(false);
        }
        if self.tells_of_seen(name, call) {
            return Ok(true);
        }
        self.call_ours(call, name)?;
        Ok(true)
    }

    /// Calls our function instead of PostgreSQL's own of the same name.
    pub(super) fn call_ours(&mut self, call: &mut FuncCall, name: &str) -> Result<(), ResolveError> {
        let at = offset(call.location).ok_or(ResolveError::misplaced("location"))?;
        match call.funcname.as_mut_slice() {
            [_] => self.insert_text(at, "pgusher."),
            [_, _] => {
                let token = self.tokens().at(call.location).ok_or(ResolveError::misplaced("location"))?;
                let range = self.tokens().range(token, token + 1).ok_or(ResolveError::misplaced("location"))?;
                self.edit(range, "pgusher");
                call.funcname.remove(0);
            }
            _ => return Err(ResolveError::unsupported(format!("{name} by this name"), Some(at))),
        }
        call.funcname.insert(0, string_node("pgusher"));
        Ok(())
    }

    /// Whether PostgreSQL's own function may answer, because it is asked of what stands in a row that is seen.
    fn tells_of_seen(&self, name: &str, call: &FuncCall) -> bool {
        let of = |index: usize, key| call.args.get(index).is_some_and(|arg| self.is_key(arg, key));
        match name {
            "format_type" => of(0, Key::Type),
            "pg_get_expr" => of(1, Key::Relation),
            "col_description" | "pg_get_indexdef" | "pg_get_partkeydef" | "pg_get_partition_constraintdef" => of(0, Key::Relation),
            "pg_get_constraintdef" => of(0, Key::Row("pg_constraint")),
            "pg_get_triggerdef" => of(0, Key::Row("pg_trigger")),
            "pg_get_statisticsobjdef_columns" => of(0, Key::Row("pg_statistic_ext")),
            "pg_get_function_arguments" | "pg_get_function_identity_arguments" | "pg_get_function_result" => of(0, Key::Function),
            "obj_description" => match call.args.get(1).and_then(text_constant) {
                Some("pg_class") => of(0, Key::Relation),
                Some("pg_proc") => of(0, Key::Function),
                Some("pg_type") => of(0, Key::Type),
                Some("pg_namespace") => of(0, Key::Schema),
                Some(_) | None => false,
            },
            _ => false,
        }
    }

    /// Whether an expression is a column of a view of ours that holds numbers of what is seen.
    fn is_key(&self, arg: &Node, key: Key) -> bool {
        let Some(Kind::ColumnRef(ColumnRef { fields, .. })) = arg.node.as_ref() else { return false };
        let names: Vec<&str> = fields.iter().filter_map(string).collect();
        match names.as_slice() {
            [alias, column] if fields.len() == 2 => {
                let mut items = self.scopes.items(alias).peekable();
                items.peek().is_some()
                    && items.all(|item| item.catalog.as_deref().is_some_and(|of| catalog_relations::holds(of, column, key)))
            }
            [column] if fields.len() == 1 => {
                let mut found = false;
                for item in self.scopes.all() {
                    if item.columns.as_ref().is_some_and(|all| !all.iter().any(|c| c == column)) {
                        continue;
                    }
                    if !item.catalog.as_deref().is_some_and(|of| catalog_relations::holds(of, column, key)) {
                        return false;
                    }
                    found = true;
                }
                found
            }
            _ => false,
        }
    }

    fn may_bear_name(&self, location: i32) -> bool {
        self.outlook.safe.contains(&i64::from(location))
    }

    /// The arguments of a function on sequences have been resolved.
    pub(super) fn settle_sequence(&mut self, call: &FuncCall) {
        if let Some(Kind::TypeCast(cast)) = call.args.first().and_then(|arg| arg.node.as_ref()) {
            self.outlook.settled.push(cast.location);
        }
    }

    /// A cast to a type whose values bear names: it stands where names may come out, and of what is not known to be seen it is made by
    /// a domain of ours that asks.
    /// Says whether it is made by ours now.
    pub(super) fn naming_cast(&mut self, cast: &mut TypeCast) -> Result<bool, ResolveError> {
        let Some(target) = cast.type_name.as_mut() else { return Ok(false) };
        let Some(name) = naming_type(target) else { return Ok(false) };
        if !self.looks_at_catalogs() || self.ground.admin || self.outlook.settled.contains(&cast.location) {
            return Ok(false);
        }
        let position = offset(cast.location);
        if NAMING_UNTOLD.contains(&name) || !target.array_bounds.is_empty() {
            return Err(ResolveError::unsupported(format!("a cast to {name} here"), position)
                .because("It tells of objects whether there is a grant on them or not."));
        }
        if let Some(Kind::ParamRef(parameter)) = cast.arg.as_deref().and_then(|arg| arg.node.as_ref())
            && self.outlook.loose.contains(&i64::from(parameter.number))
        {
            return Err(unsafe_place(&format!("${} as {name} here, and without a cast elsewhere", parameter.number), position));
        }
        let range = {
            let tokens = self.tokens();
            tokens
                .at(target.location)
                .and_then(|index| tokens.range(index, *tokens.name_ends(index, target.names.len())?.last()?))
                .ok_or(ResolveError::misplaced("location"))?
        };
        if !self.may_bear_name(cast.location) {
            // A number that is written out stays one.
            let number = cast.arg.as_deref().and_then(text_constant).filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
            if number.is_some_and(|text| !text.is_empty()) {
                self.edit(range, "pg_catalog.oid");
                target.names = vec![string_node("pg_catalog"), string_node("oid")];
                return Ok(true);
            }
        }
        let as_text = !self.may_bear_name(cast.location);
        if as_text && !self.tokens().at(cast.location).is_some_and(|index| self.tokens().is_symbol(index, "::")) {
            return Err(unsafe_place(name, position));
        }
        let key = match name {
            "regclass" => Some(Key::Relation),
            "regtype" => Some(Key::Type),
            "regproc" | "regprocedure" => Some(Key::Function),
            "regnamespace" => Some(Key::Schema),
            _ => None,
        };
        if key.is_some_and(|key| cast.arg.as_deref().is_some_and(|arg| self.is_key(arg, key))) {
            if !as_text {
                return Ok(false);
            }
            self.insert_text(range.end, "::pg_catalog.text");
        } else {
            self.edit(range, format!("pgusher.{name}{}", if as_text { "::pg_catalog.text" } else { "" }));
            target.names = vec![string_node("pgusher"), string_node(name)];
        }
        if as_text {
            let Some(Kind::TypeCast(text)) = super::identity::fragment("NULL::pg_catalog.text")?.node else {
                return Err(ResolveError::misplaced("fragment"));
            };
            let inner = std::mem::replace(cast, *text);
            cast.arg = Some(Box::new(Node { node: Some(Kind::TypeCast(Box::new(inner))) }));
        }
        Ok(true)
    }

    /// The type of the rows of a catalog: a number in one would come out as a name.
    pub(super) fn refuse_row_type(&self, schema: Option<&str>, name: &str, location: i32) -> Result<(), ResolveError> {
        let of_catalog = schema.is_none_or(|schema| schema == "pg_catalog");
        let hidden = of_catalog && naming::is_bearing(name.strip_prefix('_').unwrap_or(name));
        if hidden && self.looks_at_catalogs() && !self.ground.admin {
            return Err(unsafe_place(name, offset(location)));
        }
        Ok(())
    }

    /// Such a type anywhere else: its values would come in unasked.
    pub(super) fn refuse_naming_type(&self, target: &TypeName) -> Result<(), ResolveError> {
        match naming_type(target) {
            Some(name) if self.looks_at_catalogs() && !self.ground.admin => Err(unsafe_place(name, offset(target.location))),
            Some(_) | None => Ok(()),
        }
    }
}

fn unsafe_place(name: &str, position: Option<usize>) -> ResolveError {
    ResolveError::unsupported(format!("{name} in this place"), position)
        .because("Its type would lend the names of objects to other values.")
        .instead("Make it text where it stands: x::regclass::text.")
}

fn naming_type(target: &TypeName) -> Option<&'static str> {
    let names: Vec<&str> = target.names.iter().filter_map(string).collect();
    let last = match names.as_slice() {
        [name] | ["pg_catalog", name] => name.strip_prefix('_').unwrap_or(name),
        _ => return None,
    };
    NAMING.iter().chain(NAMING_UNTOLD).copied().find(|name| *name == last)
}

fn text_constant(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        Kind::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(&text.sval),
            a_const::Val::Ival(_) | a_const::Val::Fval(_) | a_const::Val::Boolval(_) | a_const::Val::Bsval(_) => None,
        },
        Kind::TypeCast(cast) => cast.arg.as_deref().and_then(text_constant),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_type_that_bears_names_makes_a_text_one_to_look_at() {
        for name in NAMING.iter().chain(NAMING_UNTOLD) {
            assert!(names_types(name), "{name}");
        }
        let functions = STAND_INS.iter().chain(UNTOLD).filter(|name| name.starts_with("to_reg"));
        for name in functions {
            assert!(names_types(name), "{name}");
        }
        assert!(names_types("u&\"\\0072egclass\"") && !names_types("select r_regionkey from region where registered"));
    }
}
