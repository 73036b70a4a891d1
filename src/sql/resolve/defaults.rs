//! DEFAULT in UPDATE: a view has no defaults, and PostgreSQL would set NULL. The column's own is spelled out.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::Node;

use super::ResolveError;
use super::copy::template;
use super::names::offset;
use super::walk::Walk;
use super::write::Target;

impl Walk<'_> {
    /// Puts a column's default in the place of DEFAULT, where a view stands for the table. Nothing of it is the client's to name,
    /// so it is not walked.
    pub(super) fn spell_default(&mut self, target: &Target, column: &str, value: &mut Node) -> Result<(), ResolveError> {
        let Some(Kind::SetToDefault(default)) = value.node.as_ref() else { return Ok(()) };
        if target.in_place {
            return Ok(());
        }
        let location = default.location;
        let Some(column) = target.found.relation.column(column) else { return Ok(()) };
        if column.generated || matches!(column.identity, 'a' | 'd') {
            let what = format!("setting column \"{}\" to DEFAULT", column.name);
            return Err(ResolveError::unsupported(what, offset(location))
                .because("The table has column masks, or a row filter that is enforced by a view.")
                .instead("Leave the column out."));
        }
        // Without one it is that of the type, or NULL: the same for the view.
        let Some(sql) = &column.default else { return Ok(()) };
        let text = format!("({sql})");
        let mut tree = template(&format!("SELECT {text}"))?;
        let targets = match tree.node.as_mut() {
            Some(Kind::SelectStmt(select)) => std::mem::take(&mut select.target_list),
            _ => Vec::new(),
        };
        let spelled = match targets.into_iter().next().and_then(|target| target.node) {
            Some(Kind::ResTarget(target)) => target.val,
            _ => None,
        };
        let range = self.tokens().at(location).and_then(|at| self.tokens().range(at, at + 1));
        let range = range.ok_or(ResolveError::misplaced("location"))?;
        *value = *spelled.ok_or(ResolveError::misplaced("template"))?;
        self.edit(range, text);
        Ok(())
    }
}
