//! The definition of a view made upstream → the definition of its governed twin.

use pg_query::NodeEnum as Kind;

use super::guard;
use super::policy::{DefinitionError, alone};
use crate::catalog::{Footing, SearchPath};
use crate::name::QualifiedName;
use crate::policy::Oid;
use crate::sql::Parsed;
use crate::sql::resolve::walk::{Ground, NoObjects, Purpose, Walk};

/// Replaces the relations of a view's definition (as `pg_get_viewdef` gives it while only pg_catalog is on the search path) by
/// their read targets; a relation without one stays. Identity calls become ours.
pub fn governed_definition(
    definition: &str,
    footing: &Footing,
    read_target: &dyn Fn(Oid) -> Option<QualifiedName>,
) -> Result<String, DefinitionError> {
    let shape = DefinitionError::Shape("a view's definition must be a single query");
    let Parsed { mut tree, sql, .. } = alone(definition, shape.clone())?;
    let path = SearchPath { schemas: Vec::new() };
    let ground = Ground { footing, path: &path, admin: true, onlooker: None, objects: &NoObjects };
    let mut walk = Walk::new(ground, Purpose::ViewTwin(read_target), &sql);
    match tree.node.as_mut() {
        Some(Kind::SelectStmt(select)) => walk.select(select)?,
        _ => return Err(shape),
    };
    let text = walk.take_edits().apply(&sql)?.text;
    guard::prove(&text, &tree)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fixture::{EMPLOYEES, footing};

    fn twin(definition: &str) -> Result<String, DefinitionError> {
        let target = |oid| (oid == EMPLOYEES).then(|| QualifiedName::new("pgusher_public", "employees"));
        governed_definition(definition, &footing(), &target)
    }

    #[test]
    fn governed_relations_are_replaced_and_others_stay() {
        assert_eq!(
            twin(" SELECT employees.id,\n    e.ssn\n   FROM public.employees\n     JOIN public.employees e USING (id);").unwrap(),
            " SELECT employees.id,\n    e.ssn\n   FROM \"pgusher_public\".\"employees\"\n     JOIN \"pgusher_public\".\"employees\" e USING (id)"
        );
        assert_eq!(
            twin("SELECT public.bonus(o.id) FROM public.orders o WHERE o.owner = CURRENT_USER").unwrap(),
            "SELECT public.bonus(o.id) FROM public.orders o WHERE o.owner = (SELECT pgusher.current_user() AS \"current_user\")"
        );
        assert_eq!(
            twin("SELECT 1 FROM public.orders WHERE (SELECT pgusher.is_member('g'::text) AS is_member)").unwrap(),
            "SELECT 1 FROM public.orders WHERE (SELECT pgusher.is_member('g'::text) AS is_member)"
        );
    }

    #[test]
    fn definitions_that_cannot_be_carried_over_are_refused() {
        for definition in [
            "SELECT 1; SELECT 2",
            "DELETE FROM public.orders",
            "SELECT * FROM public.employees TABLESAMPLE system (1)",
            "SELECT query_to_xml('SELECT * FROM public.employees', true, true, '')",
            "SELECT * FROM pgusher.token",
            "SELECT * FROM employees",
        ] {
            assert!(twin(definition).is_err(), "{definition}");
        }
    }
}
