//! Calls: which functions a name can mean, and what calling them needs.
//!
//! PostgreSQL picks among functions by argument types, which are unknown here; so every function outside pg_catalog that the
//! name and the number of arguments could mean needs EXECUTE, and a name that could also mean a refused built-in is refused.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{FuncCall, JsonExprOp};

use super::ResolveError;
use super::builtins::{self, Verdict};
use super::error::Mistake;
use super::identity::Hoist;
use super::names::{offset, string};
use super::settings::literal;
use super::walk::{Purpose, Walk};
use crate::catalog::{Function, Schema};
use crate::policy::{Oid, Privilege, Securable};

/// The number and names of a call's arguments.
struct Arguments {
    count: usize,
    /// The fewest that upstream may count: parameters of type void are none to it, as those by which pgjdbc asks for what a function
    /// returns (PostgreSQL's parse_func.c). A parameter gets a type in many ways, so every bare one may be of that.
    least: usize,
    named: Vec<String>,
    /// Ordered-set aggregates count their WITHIN GROUP arguments too: any number fits.
    any: bool,
}

impl Arguments {
    fn of(call: &FuncCall) -> Self {
        let named = call
            .args
            .iter()
            .filter_map(|arg| match arg.node.as_ref() {
                Some(Kind::NamedArgExpr(inner)) => Some(inner.name.clone()),
                _ => None,
            })
            .collect();
        let certain = call.args.iter().filter(|arg| !matches!(arg.node, Some(Kind::ParamRef(_)))).count();
        Self { count: call.args.len(), least: certain, named, any: call.agg_within_group || call.func_variadic }
    }

    fn one() -> Self {
        Self { count: 1, least: 1, named: Vec::new(), any: false }
    }

    /// Any number of them.
    fn unknown() -> Self {
        Self { count: 0, least: 0, named: Vec::new(), any: true }
    }

    /// What the review says of a built-in function: the first that is no leave, whatever number of them upstream counts.
    fn verdict(&self, name: &str) -> Verdict {
        let verdicts = (self.least..=self.count).map(|count| builtins::lookup_call(name, count));
        verdicts.into_iter().find(|verdict| *verdict != Verdict::Allow).unwrap_or(Verdict::Allow)
    }

    fn fit(&self, function: &Function) -> bool {
        let number = |count: usize| i16::try_from(count).unwrap_or(i16::MAX);
        let (count, least) = (number(self.count), number(self.least));
        let names = self.named.iter().all(|name| function.arg_names.iter().any(|known| **known == **name));
        self.any || (names && least <= function.max_args && (count >= function.min_args || !self.named.is_empty()))
    }
}

impl Walk<'_> {
    /// Walks a call; gives back what to hoist when it asks for the identity.
    pub(super) fn call(&mut self, call: &mut FuncCall) -> Result<Option<Hoist>, ResolveError> {
        let FuncCall { funcname, location, .. } = &*call;
        let position = offset(*location);
        let names: Vec<&str> = funcname.iter().filter_map(string).collect();
        if matches!(self.purpose, Purpose::ViewTwin(_) | Purpose::Policy)
            && let ["pgusher", name] = names.as_slice()
            && matches!(*name, "current_user" | "session_user" | "is_member")
        {
            let name = (*name).to_owned();
            return self.own_identity_call(call, &name).map(Some);
        }
        if names == ["is_member"] {
            return self.membership(call).map(Some);
        }
        let (schema, name) = self.object_name(&call.funcname.clone(), call.location)?;
        self.called(call, schema.as_deref(), &name, position)?;
        self.call_parts(call)?;
        Ok(None)
    }

    /// Walks everything inside a call.
    pub(super) fn call_parts(&mut self, call: &mut FuncCall) -> Result<(), ResolveError> {
        let FuncCall {
            funcname: _,
            args,
            agg_order,
            agg_filter,
            over,
            agg_within_group: _,
            agg_star: _,
            agg_distinct: _,
            func_variadic: _,
            funcformat: _,
            location: _,
        } = call;
        self.expressions(args)?;
        self.expressions(agg_order)?;
        self.optional(agg_filter)?;
        match over.as_deref_mut() {
            Some(window) => self.window(window),
            None => Ok(()),
        }
    }

    fn called(
        &mut self,
        call: &mut FuncCall,
        schema: Option<&str>,
        name: &str,
        position: Option<usize>,
    ) -> Result<(), ResolveError> {
        let arguments = Arguments::of(call);
        let candidates = self.candidates(schema, name, &arguments);
        if let Some(schema) = schema
            && !matches!(schema, "pg_catalog" | "information_schema")
        {
            if self.ground.footing.catalog.schema_named(schema).is_none() {
                return Err(ResolveError::UndefinedSchema { name: schema.to_owned(), position });
            }
            if candidates.is_empty() {
                return Err(ResolveError::UndefinedFunction { name: format!("{schema}.{name}"), position });
            }
            return self.need_execute(&candidates, position);
        }
        if self.stand_in_call(name, call)? {
            return Ok(());
        }
        // Of `VARIADIC array` the number of arguments says nothing.
        let verdict = if call.func_variadic { builtins::lookup(name) } else { arguments.verdict(name) };
        if let (Purpose::Policy, None, Some(first)) = (self.purpose, schema, candidates.first()) {
            if verdict != Verdict::Unknown {
                return Err(ResolveError::unsupported(format!("the unqualified function name {name} here"), position)
                    .because("A built-in function and one of the database have that name."));
            }
            let first = *first;
            return self.qualify_call(call, first, &candidates);
        }
        match verdict {
            Verdict::Allow => {}
            Verdict::Refuse(reason) => {
                return Err(ResolveError::ProtectedFunction { name: name.to_owned(), reason: sentence(reason), position });
            }
            Verdict::Special(about) => self.special(name, about, call)?,
            Verdict::Unknown if !candidates.is_empty() => {}
            Verdict::Unknown if schema.is_none() && self.is_column_notation(call, name) => {}
            Verdict::Unknown if call.args.len() == 1 && CALLED_AS_CASTS.contains(&name) => {}
            Verdict::Unknown if call.args.len() == 1 && self.ground.admin && NAMES_AS_CASTS.contains(&name) => {}
            Verdict::Unknown => return Err(ResolveError::UndefinedFunction { name: name.to_owned(), position }),
        }
        self.need_execute(&candidates, position)
    }

    /// Writes the schema before a function's name: the first one of the path that has it.
    fn qualify_call(&mut self, call: &mut FuncCall, first: Oid, candidates: &[Oid]) -> Result<(), ResolveError> {
        let catalog = &self.ground.footing.catalog;
        let in_schema = |name: &str| {
            candidates
                .iter()
                .copied()
                .find(|oid| catalog.function(*oid).and_then(|f| catalog.schema(f.schema)).is_some_and(|s| s.name.as_str() == name))
        };
        let found = self.ground.path.lookup().find_map(in_schema).unwrap_or(first);
        let schema = catalog
            .function(found)
            .and_then(|f| catalog.schema(f.schema))
            .ok_or(ResolveError::misplaced("function without schema"))?;
        let at = offset(call.location).ok_or(ResolveError::misplaced("location"))?;
        self.insert_text(at, format!("{}.", schema.name.quoted()));
        call.funcname.insert(0, super::names::string_node(schema.name.as_str()));
        let same: Vec<Oid> =
            candidates.iter().copied().filter(|oid| catalog.function(*oid).is_some_and(|f| f.schema == schema.oid)).collect();
        self.need_execute(&same, None)
    }

    /// The built-ins that depend on their arguments.
    fn special(&mut self, name: &str, about: &'static str, call: &mut FuncCall) -> Result<(), ResolveError> {
        match name {
            "set_config" => self.set_config(call),
            "current_setting" => self.current_setting(call),
            // Upstream asks for a right of its own, too.
            "pg_read_file" | "pg_read_binary_file" | "pg_stat_file" | "pg_ls_dir" if self.is_plain_statement() => {
                self.need_any_file(Privilege::Select);
                Ok(())
            }
            _ if self.policy_table.is_some() => {
                Err(ResolveError::unsupported(format!("{name} in a row filter or mask"), offset(call.location)))
            }
            "nextval" | "setval" | "currval" => {
                self.sequence_function(name, call)?;
                self.settle_sequence(call);
                Ok(())
            }
            // It tells only of a sequence that this session may use: upstream checks the privilege on it. The last one may be ours.
            "lastval" if self.is_plain_statement() => self.call_ours(call, name),
            "lastval" => Ok(()),
            "pg_notify" => self.notify_function(call),
            _ => Err(ResolveError::ProtectedFunction {
                name: name.to_owned(),
                reason: sentence(about),
                position: offset(call.location),
            }),
        }
    }

    /// `pg_notify(channel, …)`: a channel that is not written out is looked at when the call runs.
    fn notify_function(&mut self, call: &mut FuncCall) -> Result<(), ResolveError> {
        self.active = true;
        if let Some(channel) = call.args.first().and_then(literal) {
            return self.channel(&channel).map(|_| ());
        }
        self.call_ours(call, "pg_notify")
    }

    /// `f(item)` for the column `f` of an item of FROM.
    fn is_column_notation(&self, call: &FuncCall, name: &str) -> bool {
        let plain = call.args.len() == 1
            && call.agg_order.is_empty()
            && call.agg_filter.is_none()
            && call.over.is_none()
            && !(call.agg_star || call.agg_distinct || call.agg_within_group || call.func_variadic);
        let item = match call.args.first().and_then(|arg| arg.node.as_ref()) {
            Some(Kind::ColumnRef(column)) if column.fields.len() == 1 => column.fields.first().and_then(string),
            _ => None,
        };
        plain && item.is_some_and(|item| self.scopes.proves_column(item, name))
    }

    /// A call that this grammar has a keyword for. To an upstream older than the keyword it is an ordinary call, of whatever
    /// function of the database has the name.
    pub(super) fn keyword_call(&mut self, kind: &Kind) -> Result<(), ResolveError> {
        let name = match kind {
            Kind::JsonFuncExpr(call) => match JsonExprOp::try_from(call.op) {
                Ok(JsonExprOp::JsonExistsOp) => "json_exists",
                Ok(JsonExprOp::JsonQueryOp) => "json_query",
                Ok(JsonExprOp::JsonValueOp) => "json_value",
                Ok(JsonExprOp::JsonTableOp | JsonExprOp::Undefined) | Err(_) => {
                    return Err(ResolveError::misplaced("SQL/JSON function"));
                }
            },
            Kind::JsonParseExpr(_) => "json",
            Kind::JsonScalarExpr(_) => "json_scalar",
            Kind::JsonSerializeExpr(_) => "json_serialize",
            Kind::JsonObjectConstructor(_) => "json_object",
            Kind::JsonArrayConstructor(_) | Kind::JsonArrayQueryConstructor(_) => "json_array",
            Kind::JsonObjectAgg(_) => "json_objectagg",
            Kind::JsonArrayAgg(_) => "json_arrayagg",
            Kind::MergeSupportFunc(_) => "merge_action",
            _ => return Ok(()),
        };
        let functions = self.candidates(None, name, &Arguments::unknown());
        if let (Purpose::Policy, Some(_)) = (self.purpose, functions.first()) {
            return Err(ResolveError::unsupported(format!("the unqualified function name {name} here"), None)
                .because("A built-in function and one of the database have that name."));
        }
        self.need_execute(&functions, None)
    }

    /// The functions outside pg_catalog that a call can mean.
    fn candidates(&self, schema: Option<&str>, name: &str, arguments: &Arguments) -> Vec<Oid> {
        let catalog = &self.ground.footing.catalog;
        catalog
            .functions_named(name)
            .filter(|f| self.is_found(f.schema, schema) && arguments.fit(f))
            .filter(|f| catalog.schema(f.schema).is_some_and(|s| !s.system))
            .map(|f| f.oid)
            .collect()
    }

    fn need_execute(&mut self, functions: &[Oid], position: Option<usize>) -> Result<(), ResolveError> {
        for oid in functions {
            if self.is_constructor(*oid) {
                continue;
            }
            if self.builtins_only && !(self.ground.admin && self.is_native(*oid)) {
                return Err(ResolveError::unsupported("a function outside pg_catalog here", position)
                    .because("The statement would run the function with the rights of the table's owner."));
            }
            self.need_function(*oid);
        }
        Ok(())
    }

    /// Code of the server or of a library, which does with an owner's rights what it does with anybody's.
    fn is_native(&self, oid: Oid) -> bool {
        let function = self.ground.footing.catalog.function(oid);
        function.is_some_and(|function| function.is_native() && !function.security_definer)
    }

    /// What PostgreSQL makes along with a range type, under the type's name: its code is the server's own, and it only builds values.
    fn is_constructor(&self, oid: Oid) -> bool {
        let catalog = &self.ground.footing.catalog;
        catalog.function(oid).is_some_and(|function| {
            let named = |schema: &Schema| format!("{}.{}", schema.name, function.name) == function.result_type.replace('"', "");
            function.language.as_str() == "internal"
                && !function.security_definer
                && catalog.schema(function.schema).is_some_and(named)
        })
    }

    /// A function that is named, not called: any of that name may be meant.
    pub(super) fn named_function(&mut self, schema: Option<&str>, name: &str) -> Result<(), ResolveError> {
        schema.map_or(Ok(()), |schema| self.may_name(schema, None))?;
        let candidates = self.candidates(schema, name, &Arguments::unknown());
        if candidates.is_empty() && matches!(builtins::lookup(name), Verdict::Unknown | Verdict::Refuse(_)) {
            return Err(ResolveError::UndefinedFunction { name: name.to_owned(), position: None });
        }
        self.need_execute(&candidates, None)
    }

    /// EXECUTE on a function; what is in `pg_temp` was not looked at when it was made.
    pub(super) fn need_function(&mut self, oid: Oid) {
        if self.ground.footing.catalog.temporaries().has_function(oid) {
            if self.requires() {
                self.need_anonymous_function();
            }
            return;
        }
        let Some(function) = self.ground.footing.catalog.function(oid) else { return };
        if !self.functions.contains(&oid) {
            self.functions.push(oid);
        }
        if self.requires() {
            let (schema, label) = (Some(function.schema), function.name.as_str().to_owned());
            let holder = self.holder();
            self.requirements.need(holder, Privilege::Execute, Securable::Function(oid), schema, &label, "function");
        }
    }

    /// The function behind an operator or cast. Those in C came with an extension that a superuser installed: they are free.
    pub(super) fn need_support_function(&mut self, oid: Oid) -> Result<(), ResolveError> {
        let Some(function) = self.ground.footing.catalog.function(oid) else { return Ok(()) };
        if function.is_native() && !function.security_definer {
            return Ok(());
        }
        self.need_execute(&[oid], None)
    }

    /// `x.f` where `f` may be a function of one argument instead of a column.
    pub(super) fn attribute_call(&mut self, name: &str) -> Result<(), ResolveError> {
        let candidates = self.candidates(None, name, &Arguments::one());
        self.need_execute(&candidates, None)?;
        match builtins::lookup(name) {
            Verdict::Allow | Verdict::Unknown => Ok(()),
            Verdict::Refuse(reason) => {
                Err(ResolveError::ProtectedFunction { name: name.to_owned(), reason: sentence(reason), position: None })
            }
            Verdict::Special(_) => Err(ResolveError::ProtectedFunction {
                name: name.to_owned(),
                reason: "It may be called with plain arguments only.".to_owned(),
                position: None,
            }),
        }
    }

    /// A function named where a TABLESAMPLE method or the like stands.
    pub(super) fn sampling_method(&mut self, nodes: &[pg_query::protobuf::Node], location: i32) -> Result<(), ResolveError> {
        let (schema, name) = self.object_name(nodes, location)?;
        if matches!(name.as_str(), "system" | "bernoulli") && schema.as_deref().is_none_or(|s| s == "pg_catalog") {
            let shadowing = self.candidates(schema.as_deref(), &name, &Arguments::one());
            return self.need_execute(&shadowing, offset(location));
        }
        let candidates = self.candidates(schema.as_deref(), &name, &Arguments::one());
        if candidates.is_empty() {
            return Err(ResolveError::Refused {
                message: format!("tablesample method {name} does not exist"),
                mistake: Mistake::Missing,
                position: offset(location),
            });
        }
        self.need_execute(&candidates, offset(location))
    }
}

/// A reason of the list as a full sentence.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}

/// Types of pg_catalog without a function of their name: `tsquery('a & b')` is a cast by their input (PostgreSQL's parse_func.c).
const CALLED_AS_CASTS: [&str; 11] =
    ["bytea", "inet", "json", "jsonb", "jsonpath", "line", "pg_lsn", "tsquery", "tsvector", "uuid", "xid8"];

/// The like, for administrators: the names of objects come out of them.
const NAMES_AS_CASTS: [&str; 10] = [
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
];
