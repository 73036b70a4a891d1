//! Functions and procedures. Bodies in SQL are analysed and rewritten like statements; a body in another language stays as it
//! is, and what it does is the administrator's responsibility.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{AlterFunctionStmt, CreateFunctionStmt, DefElem, List, Node, VariableSetKind, VariableSetStmt};

use super::DEFINES;
use crate::catalog::Function;
use crate::name::{Name, quote_literal};
use crate::policy::{Level, Oid, Privilege};
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::builtins::{Verdict, lookup};
use crate::sql::resolve::names::{offset, string, string_node, strings};
use crate::sql::resolve::settings::literal;
use crate::sql::resolve::walk::{Purpose, Walk};
use crate::sql::rewrite::guard;
use crate::sql::{Effect, Limits, StatementKind, parse};

impl<'a> Walk<'a> {
    pub(super) fn create_function(&mut self, statement: &mut CreateFunctionStmt) -> Result<Effect, ResolveError> {
        let CreateFunctionStmt { is_procedure, replace: _, funcname, parameters, return_type, options, sql_body } = statement;
        // Whatever it does, it does with the rights of whoever calls it.
        self.builtins_only = false;
        let keyword = if *is_procedure { "procedure" } else { "function" };
        let token = self.tokens().find_word(0, keyword).ok_or(ResolveError::misplaced("location"))?;
        self.new_name_at(token + 1, funcname, Privilege::CreateNamedFunction)?;
        self.definitions(parameters)?;
        return_type.as_mut().map_or(Ok(()), |name| self.defined_type(name))?;
        // A SECURITY DEFINER function will run with owner's rights, where row security does not hold.
        let definer = options.iter().filter_map(element).any(is_definer);
        if definer {
            self.admins_only(
                "CREATE FUNCTION",
                "SECURITY DEFINER would give the rights of a role that others' objects belong to.",
            )?;
        }
        if definer && !options.iter().filter_map(element).any(keeps_its_path) {
            return Err(without_path());
        }
        let purpose = if definer { Purpose::Owner } else { Purpose::Definition };
        let language = options.iter().filter_map(element).find(|o| o.defname == "language").and_then(|o| o.arg.as_deref());
        let language = language.and_then(string).map_or_else(|| "sql".to_owned(), str::to_ascii_lowercase);
        if matches!(language.as_str(), "c" | "internal") {
            return Err(ResolveError::unsupported(format!("LANGUAGE {language}"), None));
        }
        if language != "sql" {
            self.admins_only("CREATE FUNCTION", "What a body in another language than SQL does cannot be seen here.")?;
        }
        // A name that somebody else's function has: calls of theirs could come to mean this one.
        if let [schema, name] = strings(funcname)?.as_slice()
            && let Some(schema) = self.ground.footing.catalog.schema_named(schema)
        {
            self.need_free_function_name(schema.oid, name)?;
        }
        let text = options.iter().position(|option| element(option).is_some_and(|option| option.defname == "as"));
        let bound = match text {
            Some(at) if language == "sql" && !self.ground.admin => {
                if parameters.iter().any(is_polymorphic) {
                    return Err(ResolveError::unsupported("polymorphic arguments", None)
                        .because("The names in the function's body are looked up when it is made."));
                }
                self.bound_body(options.get_mut(at).ok_or(ResolveError::misplaced("body"))?, purpose)?
            }
            Some(_) | None => None,
        };
        if let (Some(at), Some(body)) = (text, bound) {
            options.remove(at);
            *sql_body = Some(Box::new(body));
        } else if let Some(body) = sql_body.as_deref_mut() {
            self.standard_body(body, purpose)?;
        }
        for option in options.iter_mut() {
            self.option(option, &language, purpose)?;
        }
        Ok(DEFINES)
    }

    /// Functions that have the name already must be one's own: what calls them would else find another. Nor may it be PostgreSQL's: calls of
    /// that would ask for a grant on this one.
    pub(super) fn need_free_function_name(&mut self, schema: Oid, name: &str) -> Result<(), ResolveError> {
        if !self.ground.admin && lookup(name) != Verdict::Unknown {
            return Err(ResolveError::unsupported(format!("a function named \"{name}\""), None)
                .because("PostgreSQL has one of this name, and whoever calls that would need EXECUTE on this.")
                .instead("Give it another name."));
        }
        let catalog = &self.ground.footing.catalog;
        let there: Vec<&'a Function> = catalog.functions_named(name).filter(|f| f.schema == schema).collect();
        there.into_iter().for_each(|function| self.need_on_function(function, Level::Ownership));
        Ok(())
    }

    /// Asks for a level of rights on every function that a name with arguments can mean; whether there is any.
    pub(super) fn functions_meant(&mut self, named: &Node, level: Level) -> Result<bool, ResolveError> {
        let Some(Kind::ObjectWithArgs(object)) = named.node.as_ref() else { return Err(ResolveError::misplaced("function")) };
        self.dotted_name(&object.objname)?;
        let meant = self.functions_named(named)?;
        meant.iter().for_each(|function| self.need_on_function(function, level));
        Ok(!meant.is_empty())
    }

    pub(super) fn schemas_of_functions(&self, named: &Node) -> Result<Vec<Oid>, ResolveError> {
        Ok(self.functions_named(named)?.iter().map(|f| f.schema).collect())
    }

    /// Those whose arguments can be the ones given; where that is unclear, all of the name.
    fn functions_named(&self, named: &Node) -> Result<Vec<&'a Function>, ResolveError> {
        let Some(Kind::ObjectWithArgs(object)) = named.node.as_ref() else { return Err(ResolveError::misplaced("function")) };
        let mut names = strings(&object.objname)?;
        let name = names.pop().ok_or(ResolveError::misplaced("function"))?;
        let schema = names.pop();
        let catalog = &self.ground.footing.catalog;
        let found: Vec<&'a Function> =
            catalog.functions_named(&name).filter(|f| self.is_found(f.schema, schema.as_deref())).collect();
        if object.args_unspecified {
            return Ok(found);
        }
        let given: Option<Vec<String>> = object.objargs.iter().map(type_spelled).collect();
        let Some(given) = given else { return Ok(found) };
        let fits = |f: &&&'a Function| {
            f.arg_types.len() == given.len() && f.arg_types.iter().zip(&given).all(|(has, given)| last_part(has) == *given)
        };
        let fitting: Vec<&'a Function> = found.iter().filter(fits).copied().collect();
        Ok(if fitting.is_empty() { found } else { fitting })
    }

    pub(super) fn alter_function(&mut self, statement: &mut AlterFunctionStmt) -> Result<Effect, ResolveError> {
        let function = statement.func.as_ref().ok_or(ResolveError::misplaced("ALTER FUNCTION"))?;
        let named = Node { node: Some(Kind::ObjectWithArgs(function.clone())) };
        if !self.functions_meant(&named, Level::Ownership)? {
            self.unknown("function", &strings(&function.objname)?.join("."))?;
        }
        let name = function.objname.last().and_then(string).unwrap_or_default();
        let definer = self.ground.footing.catalog.functions_named(name).any(|function| function.security_definer);
        for action in &mut statement.actions {
            if definer && element(action).is_some_and(|option| changes_path(option) && !keeps_its_path(option)) {
                return Err(without_path());
            }
            if element(action).is_some_and(|option| option.defname == "security") {
                return Err(ResolveError::unsupported("ALTER FUNCTION ... SECURITY", None)
                    .because("The body was analysed for the rights that the function has.")
                    .instead("Use CREATE OR REPLACE FUNCTION."));
            }
            self.option(action, "", Purpose::Definition)?;
        }
        Ok(DEFINES)
    }

    fn option(&mut self, node: &mut Node, language: &str, purpose: Purpose<'a>) -> Result<(), ResolveError> {
        let Some(Kind::DefElem(option)) = node.node.as_mut() else { return Err(ResolveError::misplaced("option")) };
        match option.defname.as_str() {
            "as" if language == "sql" => self.text_body(option, purpose),
            "as" | "language" | "volatility" | "strict" | "security" | "leakproof" | "cost" | "rows" | "parallel" | "window" => {
                Ok(())
            }
            "set" => match option.arg.as_deref_mut().and_then(|n| n.node.as_mut()) {
                Some(Kind::VariableSetStmt(setting)) => self.set(setting).map(|_| ()),
                _ => Err(ResolveError::misplaced("option")),
            },
            "support" | "transform" => Err(ResolveError::unsupported(option.defname.to_ascii_uppercase(), offset(option.location))),
            _ => Err(ResolveError::unsupported("this option of a function", offset(option.location))),
        }
    }

    /// AS 'SELECT …; …' of others than administrators becomes BEGIN ATOMIC SELECT …; … END: names in a text would mean what whoever calls
    /// the function has on the search path, or what others have made by then. An empty body stays.
    fn bound_body(&mut self, option: &mut Node, purpose: Purpose<'a>) -> Result<Option<Node>, ResolveError> {
        let misplaced = || ResolveError::misplaced("body");
        let Some(Kind::DefElem(option)) = option.node.as_mut() else { return Err(misplaced()) };
        let (from, text) = (self.tokens().at(option.location).ok_or_else(misplaced)?, body_text(option)?.to_owned());
        let statements = self.body_statements(&text, purpose, offset(option.location))?;
        if statements.is_empty() {
            return Ok(None);
        }
        let texts: String = statements.iter().map(|statement| format!("{}\n; ", statement.now)).collect();
        let body = format!("BEGIN ATOMIC {texts}END");
        let range = self.tokens().range(from, self.tokens().after_token(from + 1)).ok_or_else(misplaced)?;
        let end = self.tokens().end();
        if range.end == end {
            self.edit(range, body);
        } else {
            self.edit(range, "");
            self.insert_text(end, format!(" {body}"));
        }
        let list = |items| Node { node: Some(Kind::List(List { items })) };
        Ok(Some(list(vec![list(statements.into_iter().map(|statement| statement.tree).collect())])))
    }

    /// AS 'SELECT …; …'
    fn text_body(&mut self, option: &mut DefElem, purpose: Purpose<'a>) -> Result<(), ResolveError> {
        let token = self.tokens().at(option.location).map(|at| at + 1).ok_or(ResolveError::misplaced("location"))?;
        let text = body_text(option)?.to_owned();
        let statements = self.body_statements(&text, purpose, offset(option.location))?;
        if statements.iter().any(|statement| statement.changed) {
            let texts: Vec<String> = statements.iter().map(|statement| format!("{};", statement.now)).collect();
            let rewritten = texts.join("\n");
            let range = self.tokens().range(token, self.tokens().after_token(token)).ok_or(ResolveError::misplaced("location"))?;
            self.edit(range, quote_literal(&rewritten));
            if let Some(Kind::List(list)) = option.arg.as_deref_mut().and_then(|n| n.node.as_mut()) {
                list.items = vec![string_node(&rewritten)];
            }
        }
        Ok(())
    }

    /// The statements of a body as they are to be.
    fn body_statements(
        &mut self,
        text: &str,
        purpose: Purpose<'a>,
        position: Option<usize>,
    ) -> Result<Vec<BodyStatement>, ResolveError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            ResolveError::unsupported("this body", position).because(format!("In the function's body: {error}."))
        };
        let mut statements = Vec::new();
        for mut parsed in parse(text, &Limits::default()).map_err(|error| unreadable(&error))? {
            let kind = parsed.kind();
            if !matches!(
                kind,
                StatementKind::Select
                    | StatementKind::Insert
                    | StatementKind::Update
                    | StatementKind::Delete
                    | StatementKind::Merge
            ) {
                return Err(ResolveError::unsupported(format!("{kind} in a function's body"), position));
            }
            let sql = parsed.sql.clone();
            let mut walk = Walk::new(self.ground, purpose, &sql);
            walk.query(&mut parsed.tree).map_err(|error| unreadable(&error))?;
            for requirement in walk.requirements.take() {
                self.requirements.add(requirement);
            }
            let changed = !walk.edits.is_empty();
            let now = walk.take_edits().apply(&sql).map_err(|error| unreadable(&error))?.text;
            guard::prove(&now, &parsed.tree).map_err(|error| unreadable(&error))?;
            statements.push(BodyStatement { now, tree: parsed.tree, changed });
        }
        Ok(statements)
    }

    /// BEGIN ATOMIC … END, RETURN …
    fn standard_body(&mut self, body: &mut Node, purpose: Purpose<'a>) -> Result<(), ResolveError> {
        match body.node.as_mut() {
            Some(Kind::List(list)) => list.items.iter_mut().try_for_each(|item| self.standard_body(item, purpose)),
            Some(Kind::ReturnStmt(inner)) => {
                let outer = (self.purpose, self.aliases, self.bare_identity);
                (self.purpose, self.aliases, self.bare_identity) = (purpose, true, false);
                let done = self.optional(&mut inner.returnval);
                (self.purpose, self.aliases, self.bare_identity) = outer;
                done
            }
            None => Ok(()),
            Some(_) => self.inner_query(body, purpose).map(|_| ()),
        }
    }
}

/// A statement of a body: its text and tree after analysis.
struct BodyStatement {
    now: String,
    tree: Node,
    changed: bool,
}

/// The one string of AS.
fn body_text(option: &DefElem) -> Result<&str, ResolveError> {
    let misplaced = || ResolveError::misplaced("body");
    let Some(Kind::List(list)) = option.arg.as_deref().and_then(|n| n.node.as_ref()) else { return Err(misplaced()) };
    let [body] = list.items.as_slice() else { return Err(misplaced()) };
    string(body).ok_or_else(misplaced)
}

/// An argument of a type like anyelement.
fn is_polymorphic(parameter: &Node) -> bool {
    let Some(Kind::FunctionParameter(parameter)) = parameter.node.as_ref() else { return false };
    let name = parameter.arg_type.as_ref().and_then(|name| name.names.last()).and_then(string);
    name.is_some_and(|name| name.starts_with("any"))
}

fn element(node: &Node) -> Option<&DefElem> {
    match node.node.as_ref() {
        Some(Kind::DefElem(option)) => Some(option),
        _ => None,
    }
}

/// Its caller would decide what its names mean: relations are looked for in pg_temp first where the path does not name it.
fn without_path() -> ResolveError {
    ResolveError::unsupported("SECURITY DEFINER without a search_path that ends with pg_temp", None)
        .because(
            "Whoever calls the function would decide which objects its names mean, and it would use them with its owner's rights.",
        )
        .instead("Add SET search_path = ..., pg_temp.")
}

fn setting(option: &DefElem) -> Option<&VariableSetStmt> {
    match option.arg.as_deref().and_then(|n| n.node.as_ref()) {
        Some(Kind::VariableSetStmt(setting)) if option.defname == "set" => Some(setting),
        _ => None,
    }
}

/// SET or RESET search_path, RESET ALL.
fn changes_path(option: &DefElem) -> bool {
    setting(option).is_some_and(|setting| setting.name == "search_path" || setting.kind == VariableSetKind::VarResetAll as i32)
}

/// SET search_path = …, pg_temp
fn keeps_its_path(option: &DefElem) -> bool {
    setting(option).is_some_and(|setting| {
        setting.name == "search_path"
            && setting.kind == VariableSetKind::VarSetValue as i32
            && setting.args.last().and_then(literal).is_some_and(|schema| schema == "pg_temp")
    })
}

fn is_definer(option: &DefElem) -> bool {
    option.defname == "security"
        && match option.arg.as_deref().and_then(|n| n.node.as_ref()) {
            Some(Kind::Boolean(flag)) => flag.boolval,
            Some(Kind::Integer(number)) => number.ival != 0,
            _ => true,
        }
}

/// A type as `format_type` spells it, without its schema; nothing where that cannot be told.
fn type_spelled(node: &Node) -> Option<String> {
    let Some(Kind::TypeName(name)) = node.node.as_ref() else { return None };
    if name.pct_type || !name.typmods.is_empty() {
        return None;
    }
    let last = name.names.last().and_then(string)?;
    let spelled = match last {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "bool" => "boolean",
        "bpchar" => "character",
        "varchar" => "character varying",
        "varbit" => "bit varying",
        "timestamp" => "timestamp without time zone",
        "timestamptz" => "timestamp with time zone",
        "time" => "time without time zone",
        "timetz" => "time with time zone",
        other => other,
    };
    let spelled = if spelled == last { Name::exact(last).as_str().to_owned() } else { spelled.to_owned() };
    Some(if name.array_bounds.is_empty() { spelled } else { format!("{spelled}[]") })
}

/// The last part of a type as `format_type` spells it.
fn last_part(spelled: &str) -> String {
    spelled.rsplit('.').next().unwrap_or(spelled).replace('"', "")
}
