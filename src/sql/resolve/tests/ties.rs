//! Which catalog relations of a statement are tied to something that is seen.

use super::super::ties::{Named, tied};
use crate::catalog::{Operator, RelationKind};
use crate::name::Name;
use crate::sql::fixture;
use crate::sql::parse::only;

const COLUMNS: &[(&str, &[&str])] = &[
    ("pg_index", &["indexrelid", "indrelid"]),
    ("pg_attribute", &["attrelid", "attname"]),
    ("pg_constraint", &["oid", "conrelid", "confrelid", "conindid"]),
    ("pg_namespace", &["oid", "nspname"]),
];

fn found(sql: &str, operators: bool) -> Vec<String> {
    let footing = fixture::footing_with(|parts| {
        if !operators {
            parts.operators.clear();
        }
        parts.operators.extend(operators.then(|| Operator { schema: fixture::PUBLIC, name: Name::exact("="), function: 300 }));
        let like = parts.relations.iter().find(|r| r.name.as_str() == "pg_class").unwrap().clone();
        for ((name, columns), oid) in COLUMNS.iter().zip(5000..) {
            let columns =
                columns.iter().map(|c| crate::catalog::Column { name: Name::exact(c), ..like.columns[0].clone() }).collect();
            let made =
                crate::catalog::Relation { oid, name: Name::exact(name), kind: RelationKind::Table, columns, ..like.clone() };
            parts.relations.push(made);
        }
    });
    let tree = serde_json::to_value(only(sql).unwrap().unwrap()).unwrap();
    let mut aliases: Vec<String> =
        tied(&tree, &footing.catalog, &|number, _| number == 16389).into_iter().map(|(_, alias)| alias).collect();
    aliases.sort();
    aliases
}

const C: &str = "SELECT 1 FROM pg_catalog.pg_class c";

#[test]
fn rows_of_what_is_seen_are_tied() {
    for (sql, expected) in [
        (format!("{C} WHERE c.oid = '16389'"), "c"),
        (format!("{C} WHERE '16389'::oid = c.oid AND c.relkind = 'r'"), "c"),
        (format!("{C} WHERE oid OPERATOR(pg_catalog.=) 16389::pg_catalog.oid"), "c"),
        (format!("{C} WHERE c.oid = 16389"), "c"),
        (format!("{C} LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'x'"), "n"),
        (format!("{C}, pg_catalog.pg_class c2, pg_catalog.pg_index i LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid) WHERE c.oid = '16389' AND c.oid = i.indrelid AND i.indexrelid = c2.oid"), "c c2 con i"),
        ("SELECT (SELECT 1 FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid) FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16389'".into(), "a d"),
        (format!("{C} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"), "a"),
        ("SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_index i ON a.attrelid = i.indrelid".into(), "a"),
        (format!("{C} RIGHT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"), "c"),
        (format!("DECLARE x CURSOR FOR {C} WHERE c.oid = '16389'"), "c"),
        (format!("SELECT 1 UNION {C} WHERE c.oid = '16389'"), "c"),
        (format!("WITH w AS ({C} WHERE c.oid = '16389') SELECT 1 FROM w, LATERAL (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = '16389') s"), "c i"),
    ] {
        assert_eq!(found(&sql, false).join(" "), expected, "{sql}");
    }
}

#[test]
fn what_may_be_another_row_is_not() {
    for sql in [
        format!("{C} WHERE c.oid = '16390'"),
        format!("{C} WHERE c.oid = '040005'"),
        format!("{C} WHERE c.oid = '16389' OR c.relname = 'x'"),
        format!("{C} WHERE NOT c.oid = '16389'"),
        format!("{C} WHERE c.oid <> '16389'"),
        format!("{C} WHERE c.oid >= '16389'"),
        format!("{C} WHERE c.oid = ANY ('{{16389}}')"),
        format!("{C} WHERE c.oid IN (16389, 16390)"),
        format!("{C} WHERE c.oid IS NOT DISTINCT FROM '16389'"),
        format!("{C} WHERE c.oid OPERATOR(public.=) '16389'"),
        format!("{C} WHERE c.oid = $1"),
        format!("{C} WHERE c.oid = '16389'::mine.oid"),
        format!("{C} WHERE c.relnamespace = '16389'"),
        format!("{C} WHERE (c.oid = '16389') IS NOT TRUE"),
        format!("{C} WHERE CASE WHEN c.oid = '16389' THEN true ELSE true END"),
        format!("{C} HAVING c.oid = '16389'"),
        "SELECT c.oid = '16389' FROM pg_catalog.pg_class c".into(),
        "SELECT 1 FROM pg_class c WHERE c.oid = '16389'".into(),
        "SELECT 1 FROM mine.pg_class c WHERE c.oid = '16389'".into(),
        "SELECT 1 FROM pg_catalog.pg_class AS c(relname, oid) WHERE c.oid = '16389'".into(),
        "SELECT 1 FROM pg_catalog.pg_class c, pg_catalog.pg_class c WHERE c.oid = '16389'".into(),
        "SELECT 1 FROM (pg_catalog.pg_class a JOIN pg_catalog.pg_namespace n ON true) AS c WHERE c.oid = '16389'".into(),
        "SELECT 1 FROM (pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON true) AS j(oid), pg_catalog.pg_class d WHERE j.oid = '16389' AND d.oid = c.oid".into(),
        "SELECT 1 FROM pg_catalog.pg_class c TABLESAMPLE system (1) WHERE c.oid = '16389'".into(),
        "SELECT 1 FROM (SELECT 1 AS oid) c, pg_catalog.pg_class d WHERE c.oid = '16389'".into(),
        format!("{C} LEFT JOIN pg_catalog.pg_index i ON c.oid = '16389'"),
        format!("{C} FULL JOIN pg_catalog.pg_index i ON c.oid = '16389' AND i.indrelid = '16389'"),
        "SELECT 1 FROM pg_catalog.pg_index i NATURAL JOIN pg_catalog.pg_class c WHERE i.indrelid = '16389'".into(),
        "SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c USING (oid) WHERE i.indrelid = '16389'".into(),
        // What is not certain to be filtered ties nothing.
        format!("{C}, (SELECT 16390 AS indrelid) i WHERE c.oid = i.indrelid"),
        format!("WITH pg_index(indrelid) AS (SELECT 16390::oid) {C}, pg_index i WHERE c.oid = i.indrelid"),
        format!("{C}, pg_catalog.pg_am a WHERE c.oid = a.oid"),
        format!("{C}, pg_catalog.generate_series(1, 2) i WHERE c.oid = i.indrelid"),
        "SELECT (SELECT 1 FROM (VALUES (1)) a(oid), LATERAL (SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = a.oid) z) FROM pg_catalog.pg_class a".into(),
        "SELECT (SELECT 1 FROM pg_catalog.pg_class a, (mine.x JOIN mine.y ON EXISTS (SELECT FROM pg_catalog.pg_attribute t WHERE t.attrelid = a.oid))) FROM mine.fake a".into(),
        "SELECT (SELECT 1 FROM mine.x, (pg_catalog.pg_class a CROSS JOIN mine.z), (mine.x1 JOIN pg_catalog.pg_attribute t ON t.attrelid = a.oid)) FROM mine.fake a".into(),
        "SELECT 1 FROM mine.fake a WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = a.oid)".into(),
        "UPDATE t SET x = 1 FROM pg_catalog.pg_class c WHERE c.oid = '16389'".into(),
        format!("EXPLAIN {C} WHERE c.oid = '16389'"),
    ] {
        assert_eq!(found(&sql, false).join(" "), "", "{sql}");
    }
    // An operator of the database's own may fit a number better than PostgreSQL's.
    assert!(found(&format!("{C} WHERE c.oid = 16389"), true).is_empty());
    assert_eq!(found(&format!("{C} WHERE c.oid = '16389'"), true), ["c"]);
}

#[test]
fn two_relations_are_not_tied_to_each_other() {
    for (sql, expected) in [
        (format!("{C}, pg_catalog.pg_attribute a WHERE c.oid = a.attrelid"), "a"),
        (format!("{C} LEFT JOIN pg_catalog.pg_attribute a ON c.oid = a.attrelid WHERE a.attrelid = c.oid"), "a"),
        ("SELECT 1 FROM pg_catalog.pg_index a, pg_catalog.pg_index b, pg_catalog.pg_index d WHERE a.indrelid = b.indrelid AND b.indrelid = d.indrelid AND d.indrelid = a.indrelid".into(), "a d"),
        (format!("{C} WHERE c.oid = c.oid"), ""),
    ] {
        assert_eq!(found(&sql, false).join(" "), expected, "{sql}");
    }
}

#[test]
fn a_column_comes_out_of_a_relation_by_name_by_star_and_by_row() {
    for (sql, left_out) in [
        ("SELECT relname FROM pg_catalog.pg_class c", true),
        ("SELECT count(*) FROM pg_catalog.pg_class c", true),
        ("SELECT relacl FROM pg_catalog.pg_class c", false),
        ("SELECT * FROM pg_catalog.pg_class c", false),
        ("SELECT c.* FROM pg_catalog.pg_class c", false),
        ("TABLE pg_catalog.pg_class", false),
        ("SELECT c FROM pg_catalog.pg_class c", false),
        ("SELECT row_to_json(c) FROM pg_catalog.pg_class c", false),
        ("SELECT relacl(x) FROM (SELECT 1) x", false),
        ("SELECT (x).relacl FROM (SELECT 1) x", false),
        ("SELECT U&\"rel\\0061cl\" FROM pg_catalog.pg_class c", false),
        ("SELECT 1 FROM pg_catalog.pg_class c JOIN mine.t USING (relacl)", false),
        ("SELECT 1 FROM pg_catalog.pg_class c NATURAL JOIN mine.t", false),
    ] {
        let tree = serde_json::to_value(only(sql).unwrap().unwrap()).unwrap();
        assert_eq!(Named::of(&tree).leaves_out(&["relacl"], "c"), left_out, "{sql}");
    }
}
