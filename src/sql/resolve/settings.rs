//! SET, RESET, SHOW, and `set_config` where it can be followed or need not be.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{FuncCall, Node, SelectStmt, SetOperation, VariableSetKind, VariableSetStmt, a_const};

use super::ResolveError;
use super::names::{is_hidden, is_ours, offset, string};
use super::parameters::{self, Rule};
use super::reading;
use super::walk::Walk;
use crate::name::Name;
use crate::sql::Effect;

impl Walk<'_> {
    /// SET and RESET.
    pub(super) fn set(&mut self, statement: &mut VariableSetStmt) -> Result<Effect, ResolveError> {
        let VariableSetStmt { kind, name, args, jumble_args: _, is_local, location } = statement;
        let parameter = name.to_ascii_lowercase();
        self.active |= reading::lets_write(&parameter);
        match VariableSetKind::try_from(*kind) {
            Ok(VariableSetKind::VarSetValue) => {
                let values = args
                    .iter()
                    .map(|arg| {
                        literal(arg).ok_or_else(|| {
                            ResolveError::unsupported(format!("this form of SET {parameter}"), offset(*location))
                                .instead("Give the value as a string or number.")
                        })
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                check(&parameter, &values)?;
                self.active = self.active && !matches!(values.as_slice(), [value] if is_on(value));
                Ok(Effect::Set { parameter, value: Some(values), local: *is_local })
            }
            Ok(VariableSetKind::VarSetDefault) => {
                may_reset(&parameter)?;
                Ok(Effect::Set { parameter, value: None, local: *is_local })
            }
            Ok(VariableSetKind::VarReset) => {
                may_reset(&parameter)?;
                Ok(Effect::Reset { parameter: Some(parameter) })
            }
            Ok(VariableSetKind::VarResetAll) => Ok(Effect::Reset { parameter: None }),
            Ok(VariableSetKind::VarSetMulti) if matches!(name.as_str(), "TRANSACTION" | "SESSION CHARACTERISTICS") => {
                self.active |= reading::asks_to_write(args);
                Ok(Effect::None)
            }
            Ok(VariableSetKind::VarSetMulti) => Err(ResolveError::unsupported(format!("SET {name}"), None)),
            Ok(VariableSetKind::VarSetCurrent | VariableSetKind::Undefined) | Err(_) => {
                Err(ResolveError::unsupported(format!("SET {parameter} FROM CURRENT"), None))
            }
        }
    }

    /// SHOW session_authorization: the upstream's is the login that all sessions share.
    pub(super) fn show_identity(&mut self, tree: &mut Node) -> Result<Effect, ResolveError> {
        let sql = "SELECT pgusher.session_user() AS session_authorization";
        self.edit(0..self.text.len(), sql);
        *tree = crate::sql::parse::only(sql).ok().flatten().ok_or(ResolveError::misplaced("fragment"))?;
        Ok(Effect::Show { parameter: "session_authorization".to_owned() })
    }

    /// SHOW.
    pub(super) fn show(&mut self, name: &str) -> Result<Effect, ResolveError> {
        let parameter = name.to_ascii_lowercase();
        if parameters::is_ours(&parameter) {
            let reason = "Parameters of pgusher cannot be shown.";
            return Err(ResolveError::ProtectedParameter { name: parameter, reason });
        }
        Ok(Effect::Show { parameter })
    }

    /// `set_config`, where [`set_configs`] has checked it.
    pub(super) fn set_config(&mut self, call: &FuncCall) -> Result<(), ResolveError> {
        if !self.set_configs.contains(&call.location) {
            return Err(ResolveError::ProtectedFunction {
                name: "set_config".to_owned(),
                reason: "It may be called only as SELECT set_config('parameter', 'value', is_local).".to_owned(),
                position: offset(call.location),
            });
        }
        self.active |= call.args.first().and_then(literal).is_none_or(|name| reading::lets_write(&name.to_ascii_lowercase()));
        Ok(())
    }

    /// `current_setting`: with a literal that names no parameter of ours.
    pub(super) fn current_setting(&mut self, call: &FuncCall) -> Result<(), ResolveError> {
        let refuse = |reason: &str| ResolveError::ProtectedFunction {
            name: "current_setting".to_owned(),
            reason: reason.to_owned(),
            position: offset(call.location),
        };
        let name = call.args.first().and_then(literal).ok_or_else(|| refuse("The parameter must be a literal."))?;
        if parameters::is_ours(&name.to_ascii_lowercase()) {
            return Err(refuse("Parameters of pgusher cannot be shown."));
        }
        if name.eq_ignore_ascii_case("session_authorization") && matches!(self.purpose, super::walk::Purpose::Statement) {
            return Err(refuse("It would name the login that all sessions share; session_user has who is there."));
        }
        Ok(())
    }
}

/// The calls of `set_config` in a SELECT that may stand, by their places: one that is the whole statement, with literals, and
/// its effect, which the session follows; and entries of a target list without FROM that set a parameter which may have any
/// value, so that nothing depends on which one they set.
pub(super) fn set_configs(select: &SelectStmt) -> Result<(Option<Effect>, Vec<i32>), ResolveError> {
    let calls: Vec<&FuncCall> = select.target_list.iter().filter_map(bare_set_config).collect();
    if let [call] = calls.as_slice()
        && let [target] = select.target_list.as_slice()
        && *select == only_targets(select, target)
        && let Some(effect) = whole_set_config(call)?
    {
        return Ok((Some(effect), vec![call.location]));
    }
    let one_row = select.from_clause.is_empty() && select.op == SetOperation::SetopNone as i32;
    let free = |call: &&FuncCall| {
        let parameter = call.args.first().and_then(literal).map(|name| name.to_ascii_lowercase());
        call.args.len() == 3 && parameter.is_some_and(|name| matches!(parameters::rule(&name), Ok(Rule::Free)))
    };
    Ok((None, calls.into_iter().filter(|call| one_row && free(call)).map(|call| call.location).collect()))
}

/// The SELECT with nothing but its one target.
fn only_targets(select: &SelectStmt, target: &Node) -> SelectStmt {
    SelectStmt { target_list: vec![target.clone()], limit_option: select.limit_option, op: select.op, ..SelectStmt::default() }
}

/// A target that is a call of `set_config` with arguments and nothing else.
fn bare_set_config(target: &Node) -> Option<&FuncCall> {
    let Some(Kind::ResTarget(target)) = target.node.as_ref() else { return None };
    let Some(Kind::FuncCall(call)) = target.val.as_deref().and_then(|n| n.node.as_ref()) else { return None };
    let names: Vec<&str> = call.funcname.iter().filter_map(string).collect();
    let bare = FuncCall {
        funcname: call.funcname.clone(),
        args: call.args.clone(),
        funcformat: call.funcformat,
        location: call.location,
        ..FuncCall::default()
    };
    let meant = matches!(names.as_slice(), ["set_config"] | ["pg_catalog", "set_config"]);
    (meant && **call == bare && target.indirection.is_empty()).then_some(call)
}

/// The effect of `set_config('…', '…', true|false)`.
fn whole_set_config(call: &FuncCall) -> Result<Option<Effect>, ResolveError> {
    let [name, value, local] = call.args.as_slice() else { return Ok(None) };
    let (Some(name), Some(value), Some(local)) = (literal(name), literal(value), boolean(local)) else { return Ok(None) };
    let parameter = name.to_ascii_lowercase();
    let values = if parameter == "search_path" { identifiers(&value) } else { Some(vec![value]) };
    let Some(values) = values else {
        return Err(ResolveError::ParameterValue { name: parameter, value: String::new(), reason: "List syntax is invalid." });
    };
    check(&parameter, &values)?;
    Ok(Some(Effect::Set { parameter, value: Some(values), local }))
}

fn may_reset(parameter: &str) -> Result<(), ResolveError> {
    if matches!(parameter, "role" | "session_authorization") {
        return Ok(());
    }
    match parameters::rule(parameter) {
        Ok(Rule::Free | Rule::SearchPath | Rule::Encoding) => Ok(()),
        Ok(Rule::On) => Err(refused(parameter, "It is kept on.")),
        Err(reason) => Err(refused(parameter, reason)),
    }
}

fn refused(parameter: &str, reason: &'static str) -> ResolveError {
    match parameter {
        "role" => ResolveError::ProtectedCommand { what: "set role", reason },
        "session_authorization" => ResolveError::ProtectedCommand { what: "set session authorization", reason },
        _ => ResolveError::ProtectedParameter { name: parameter.to_owned(), reason },
    }
}

fn check(parameter: &str, values: &[String]) -> Result<(), ResolveError> {
    let wrong =
        |value: &str, reason| Err(ResolveError::ParameterValue { name: parameter.to_owned(), value: value.to_owned(), reason });
    match parameters::rule(parameter).map_err(|reason| refused(parameter, reason))? {
        Rule::Free => Ok(()),
        Rule::SearchPath => match values.iter().find(|v| is_ours(v) || is_hidden(v)) {
            Some(value) => Err(ResolveError::ProtectedSchema { name: value.clone(), position: None }),
            None => Ok(()),
        },
        Rule::Encoding => match values {
            [value] if is_utf8(value) => Ok(()),
            _ => wrong(&values.join(", "), "Only UTF8 is supported."),
        },
        Rule::On => match values {
            [value] if is_on(value) => Ok(()),
            _ => wrong(&values.join(", "), "It is kept on."),
        },
    }
}

fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "1")
}

fn is_utf8(value: &str) -> bool {
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    matches!(plain.as_str(), "utf8" | "unicode")
}

/// The value of a string, number or boolean literal, a cast to text or name looked through.
pub(super) fn literal(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        Kind::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(text.sval.clone()),
            a_const::Val::Ival(number) => Some(number.ival.to_string()),
            a_const::Val::Fval(number) => Some(number.fval.clone()),
            a_const::Val::Boolval(flag) => Some(if flag.boolval { "on" } else { "off" }.to_owned()),
            a_const::Val::Bsval(_) => None,
        },
        Kind::TypeCast(cast) => {
            let to = cast.type_name.as_ref()?.names.last().and_then(string)?;
            if matches!(to, "text" | "name" | "varchar") { cast.arg.as_deref().and_then(literal) } else { None }
        }
        _ => None,
    }
}

fn boolean(node: &Node) -> Option<bool> {
    match node.node.as_ref()? {
        Kind::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Boolval(flag) => Some(flag.boolval),
            a_const::Val::Sval(text) => match text.sval.to_ascii_lowercase().as_str() {
                "t" | "true" | "on" | "yes" | "1" => Some(true),
                "f" | "false" | "off" | "no" | "0" => Some(false),
                _ => None,
            },
            a_const::Val::Ival(_) | a_const::Val::Fval(_) | a_const::Val::Bsval(_) => None,
        },
        _ => None,
    }
}

/// A comma-separated list of identifiers (`SplitIdentifierString`).
pub(super) fn identifiers(list: &str) -> Option<Vec<String>> {
    split(list, ',')
}

/// A dotted name in a string, as `regclass` reads it.
pub(super) fn dotted(name: &str) -> Option<Vec<String>> {
    split(name, '.').filter(|parts| !parts.is_empty())
}

fn split(list: &str, separator: char) -> Option<Vec<String>> {
    let mut rest = list.trim_start_matches(is_blank);
    let mut found = Vec::new();
    if rest.is_empty() {
        return Some(found);
    }
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (mut name, mut at) = (String::new(), quoted);
            loop {
                let end = at.find('"')?;
                name.push_str(&at[..end]);
                at = &at[end + 1..];
                match at.strip_prefix('"') {
                    Some(more) => {
                        name.push('"');
                        at = more;
                    }
                    None => break,
                }
            }
            found.push(Name::exact(&name).as_str().to_owned());
            rest = at;
        } else {
            let end = rest.find(|c: char| c == separator || is_blank(c)).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            found.push(Name::folded(&rest[..end]).as_str().to_owned());
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches(is_blank);
        match rest.strip_prefix(separator) {
            Some(more) => rest = more.trim_start_matches(is_blank),
            None if rest.is_empty() => return Some(found),
            None => return None,
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}
