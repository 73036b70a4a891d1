//! `nextval('s')`, `setval('s', …)`, `currval('s')`: the sequence must be named by a literal.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{FuncCall, Node, RangeVar, a_const};

use super::ResolveError;
use super::names::{offset, string};
use super::settings::dotted;
use super::walk::Walk;
use crate::catalog::{Relation, RelationKind};
use crate::name::quote_literal;
use crate::policy::{Privilege, Securable};

impl<'a> Walk<'a> {
    /// Needs MODIFY on the table that owns the sequence, or on the sequence itself (so on its schema); the literal becomes a qualified name.
    pub(super) fn sequence_function(&mut self, function: &str, call: &mut FuncCall) -> Result<(), ResolveError> {
        let position = offset(call.location);
        let refuse =
            |reason: &str| ResolveError::ProtectedFunction { name: function.to_owned(), reason: reason.to_owned(), position };
        let (text, location) =
            call.args.first_mut().and_then(name_literal).ok_or_else(|| refuse("The sequence must be named by a literal."))?;
        let sequence = self.sequence_named(text, offset(location))?;
        if sequence.kind != RelationKind::Sequence {
            return Err(refuse("The relation is not a sequence."));
        }
        let catalog = &self.ground.footing.catalog;
        let schema = catalog.schema(sequence.schema).ok_or(ResolveError::misplaced("sequence"))?;
        if schema.ours || schema.system {
            return Err(ResolveError::ProtectedSchema { name: schema.name.to_string(), position });
        }
        let qualified = catalog.qualified(sequence).ok_or(ResolveError::misplaced("sequence"))?.quoted();
        if *text != qualified {
            text.clone_from(&qualified);
            let tokens = self.tokens();
            let range = tokens
                .at(location)
                .and_then(|index| tokens.range(index, tokens.after_token(index)))
                .ok_or(ResolveError::misplaced("location"))?;
            self.edit(range, quote_literal(&qualified));
        }
        let holder = self.holder();
        if sequence.temporary || !self.requires() {
            return Ok(());
        }
        match sequence.owned_by.and_then(|table| catalog.relation(table)) {
            Some(table) => {
                let (on, label) = (Securable::Relation(table.oid), table.name.as_str());
                self.requirements.need(holder, Privilege::Modify, on, Some(table.schema), label, table.kind.noun());
            }
            None => {
                let (on, label) = (Securable::Relation(sequence.oid), sequence.name.as_str());
                self.requirements.need(holder, Privilege::Modify, on, Some(schema.oid), label, "sequence");
            }
        }
        Ok(())
    }

    fn sequence_named(&self, text: &str, position: Option<usize>) -> Result<&'a Relation, ResolveError> {
        let missing = || ResolveError::UndefinedRelation { name: text.to_owned(), position };
        let trimmed = text.trim();
        if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit()) {
            return trimmed.parse().ok().and_then(|oid| self.ground.footing.catalog.relation(oid)).ok_or_else(missing);
        }
        let mut parts = dotted(text).ok_or_else(missing)?;
        let relname = parts.pop().ok_or_else(missing)?;
        let schemaname = parts.pop().unwrap_or_default();
        let catalogname = parts.pop().unwrap_or_default();
        if !parts.is_empty() {
            return Err(missing());
        }
        let location = position.and_then(|p| i32::try_from(p).ok()).unwrap_or(-1);
        self.look_up(&RangeVar { catalogname, schemaname, relname, location, ..RangeVar::default() })
    }
}

/// The text and location of `'name'`, `'name'::regclass`, `'name'::text`.
fn name_literal(node: &mut Node) -> Option<(&mut String, i32)> {
    match node.node.as_mut()? {
        Kind::AConst(constant) => {
            let location = constant.location;
            match constant.val.as_mut()? {
                a_const::Val::Sval(text) => Some((&mut text.sval, location)),
                a_const::Val::Ival(_) | a_const::Val::Fval(_) | a_const::Val::Boolval(_) | a_const::Val::Bsval(_) => None,
            }
        }
        Kind::TypeCast(cast) => {
            let to = cast.type_name.as_ref()?.names.last().and_then(string)?;
            matches!(to, "regclass" | "text").then_some(())?;
            cast.arg.as_deref_mut().and_then(name_literal)
        }
        _ => None,
    }
}
