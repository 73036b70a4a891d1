//! Functions and procedures. Bodies in SQL are analysed and rewritten like statements; a body in another language stays as it
//! is, and what it does is the administrator's responsibility.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{AlterFunctionStmt, CreateFunctionStmt, DefElem, Node, VariableSetKind, VariableSetStmt};

use super::DEFINES;
use crate::name::quote_literal;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::names::{offset, string, string_node};
use crate::sql::resolve::settings::literal;
use crate::sql::resolve::walk::{Purpose, Walk};
use crate::sql::rewrite::guard;
use crate::sql::{Effect, Limits, StatementKind, parse};

impl<'a> Walk<'a> {
    pub(super) fn create_function(&mut self, statement: &mut CreateFunctionStmt) -> Result<Effect, ResolveError> {
        let CreateFunctionStmt { is_procedure, replace: _, funcname, parameters, return_type, options, sql_body } = statement;
        let keyword = if *is_procedure { "procedure" } else { "function" };
        let token = self.tokens().find_word(0, keyword).ok_or(ResolveError::misplaced("location"))?;
        self.new_name_at(token + 1, funcname)?;
        self.definitions(parameters)?;
        return_type.as_mut().map_or(Ok(()), |name| self.type_name(name))?;
        // A SECURITY DEFINER function will run with owner's rights, where row security does not hold.
        let definer = options.iter().filter_map(element).any(is_definer);
        if definer && !options.iter().filter_map(element).any(keeps_its_path) {
            return Err(without_path());
        }
        let purpose = if definer { Purpose::Owner } else { Purpose::Definition };
        let language = options.iter().filter_map(element).find(|o| o.defname == "language").and_then(|o| o.arg.as_deref());
        let language = language.and_then(string).map_or_else(|| "sql".to_owned(), str::to_ascii_lowercase);
        if matches!(language.as_str(), "c" | "internal") {
            return Err(ResolveError::unsupported(format!("LANGUAGE {language}"), None));
        }
        for option in options.iter_mut() {
            self.option(option, &language, purpose)?;
        }
        if let Some(body) = sql_body.as_deref_mut() {
            self.standard_body(body, purpose)?;
        }
        Ok(DEFINES)
    }

    pub(super) fn alter_function(&mut self, statement: &mut AlterFunctionStmt) -> Result<Effect, ResolveError> {
        let function = statement.func.as_ref().ok_or(ResolveError::misplaced("ALTER FUNCTION"))?;
        self.dotted_name(&function.objname)?;
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

    /// AS 'SELECT …; …'
    fn text_body(&mut self, option: &mut DefElem, purpose: Purpose<'a>) -> Result<(), ResolveError> {
        let token = self.tokens().at(option.location).map(|at| at + 1).ok_or(ResolveError::misplaced("location"))?;
        let Some(Kind::List(list)) = option.arg.as_deref_mut().and_then(|n| n.node.as_mut()) else {
            return Err(ResolveError::misplaced("body"));
        };
        let [body] = list.items.as_mut_slice() else { return Err(ResolveError::misplaced("body")) };
        let text = string(body).ok_or(ResolveError::misplaced("body"))?.to_owned();
        let rewritten = self.rewritten_body(&text, purpose, offset(option.location))?;
        if rewritten != text {
            let range = self.tokens().range(token, self.tokens().after_token(token)).ok_or(ResolveError::misplaced("location"))?;
            self.edit(range, quote_literal(&rewritten));
            *body = string_node(&rewritten);
        }
        Ok(())
    }

    fn rewritten_body(&mut self, text: &str, purpose: Purpose<'a>, position: Option<usize>) -> Result<String, ResolveError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            ResolveError::unsupported("this body", position).because(format!("In the function's body: {error}."))
        };
        let statements = parse(text, &Limits::default()).map_err(|error| unreadable(&error))?;
        let mut rewritten = String::with_capacity(text.len());
        let mut changed = false;
        for mut parsed in statements {
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
            changed |= !walk.edits.is_empty();
            let spliced = walk.take_edits().apply(&sql).map_err(|error| unreadable(&error))?;
            guard::prove(&spliced.text, &parsed.tree).map_err(|error| unreadable(&error))?;
            if !rewritten.is_empty() {
                rewritten.push('\n');
            }
            rewritten.push_str(&spliced.text);
            rewritten.push(';');
        }
        Ok(if changed { rewritten } else { text.to_owned() })
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
