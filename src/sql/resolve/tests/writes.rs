//! Writes into governed tables.

use super::table;
use crate::sql::ResolveError;
use crate::sql::fixture::refusal;

#[test]
fn writes_to_masked_tables_go_to_the_twin() {
    let twin = "\"pgusher_public\".\"employees$w\" AS \"employees\"";
    let all =
        "\"employees\".\"id\", \"employees\".\"name\", \"employees\".\"ssn\", \"employees\".\"salary\", \"employees\".\"region\"";
    table(&[
        ("INSERT INTO employees VALUES (1, 'n')", &format!("INSERT INTO {twin} VALUES (1, 'n')")),
        ("INSERT INTO employees (id, ssn) VALUES (1, '2')", &format!("INSERT INTO {twin} (id, \"ssn$raw\") VALUES (1, '2')")),
        (
            "INSERT INTO employees AS e (\"ssn\") VALUES (1)",
            "INSERT INTO \"pgusher_public\".\"employees$w\" AS e (\"ssn$raw\") VALUES (1)",
        ),
        (
            "UPDATE employees SET salary = salary + 1 WHERE ssn = 'x'",
            &format!("UPDATE {twin} SET \"salary$raw\" = salary + 1 WHERE ssn = 'x'"),
        ),
        ("UPDATE employees SET (name, ssn) = ('a', 'b')", &format!("UPDATE {twin} SET (name, \"ssn$raw\") = ('a', 'b')")),
        (
            "UPDATE employees e SET ssn = 1 WHERE e.id = 2",
            "UPDATE \"pgusher_public\".\"employees$w\" e SET \"ssn$raw\" = 1 WHERE e.id = 2",
        ),
        ("UPDATE ONLY employees SET name = 1", "UPDATE ONLY \"pgusher_public\".\"employees$w\" AS \"employees\" SET name = 1"),
        ("UPDATE ONLY (employees) SET name = 1", "UPDATE ONLY (\"pgusher_public\".\"employees$w\") AS \"employees\" SET name = 1"),
        ("UPDATE employees * SET name = 1", "UPDATE \"pgusher_public\".\"employees$w\" * AS \"employees\" SET name = 1"),
        ("DELETE FROM employees WHERE id = 1 RETURNING *", &format!("DELETE FROM {twin} WHERE id = 1 RETURNING {all}")),
        ("DELETE FROM employees RETURNING employees.*, 1", &format!("DELETE FROM {twin} RETURNING {all}, 1")),
        (
            "UPDATE employees SET name = o.id FROM orders o RETURNING *",
            &format!("UPDATE {twin} SET name = o.id FROM \"public\".\"orders\" o RETURNING {all}, \"o\".*"),
        ),
        (
            "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = excluded.name, name = excluded.name",
            &format!(
                "INSERT INTO {twin} (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET \"ssn$raw\" = excluded.name, name = excluded.name"
            ),
        ),
        ("INSERT INTO notes VALUES (1)", "INSERT INTO \"pgusher_public\".\"notes$i\" AS \"notes\" VALUES (1)"),
        (
            "INSERT INTO notes VALUES (1) ON CONFLICT (id) DO NOTHING RETURNING id",
            "INSERT INTO \"pgusher_public\".\"notes$i\" AS \"notes\" VALUES (1) ON CONFLICT (id) DO NOTHING RETURNING id",
        ),
        ("UPDATE notes SET body = 'x'", "UPDATE \"pgusher_public\".\"notes\" SET body = 'x'"),
        ("UPDATE orders SET amount = 1 RETURNING *", "UPDATE \"public\".\"orders\" SET amount = 1 RETURNING *"),
        (
            "MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN DELETE",
            "MERGE INTO \"public\".\"orders\" o USING \"public\".\"customers\" c ON o.id = c.id WHEN MATCHED THEN DELETE",
        ),
        (
            "UPDATE employees SET name = 'x' FROM orders o JOIN customers c ON true RETURNING *",
            &format!(
                "UPDATE {twin} SET name = 'x' FROM \"public\".\"orders\" o JOIN \"public\".\"customers\" c ON true RETURNING {all}, \"o\".*, \"c\".*"
            ),
        ),
        (
            "INSERT INTO employees (id, ssn, salary) VALUES (1, $2, -5) ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn, salary = excluded.salary WHERE excluded . \"ssn\" <> ''",
            &format!(
                "INSERT INTO {twin} (id, \"ssn$raw\", \"salary$raw\") VALUES (1, $2, -5) ON CONFLICT (id) DO UPDATE SET \"ssn$raw\" = ($2)::text, \"salary$raw\" = (-5)::text WHERE ($2)::text <> ''"
            ),
        ),
        (
            "INSERT INTO employees VALUES (1, 'n', U&'s!0041' UESCAPE '!') ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn, name = excluded.name",
            &format!(
                "INSERT INTO {twin} VALUES (1, 'n', U&'s!0041' UESCAPE '!') ON CONFLICT (id) DO UPDATE SET \"ssn$raw\" = (U&'s!0041' UESCAPE '!')::text, name = excluded.name"
            ),
        ),
        (
            "INSERT INTO employees VALUES (1) ON CONFLICT ON CONSTRAINT employees_pkey DO NOTHING",
            &format!("INSERT INTO {twin} VALUES (1) ON CONFLICT (\"id\") DO NOTHING"),
        ),
        (
            "UPDATE employees SET ssn = DEFAULT, name = DEFAULT, (salary, region) = (DEFAULT, 'x')",
            &format!("UPDATE {twin} SET \"ssn$raw\" = ('none'::text), name = DEFAULT, (\"salary$raw\", region) = ((0), 'x')"),
        ),
        ("INSERT INTO employees (ssn) VALUES (DEFAULT)", &format!("INSERT INTO {twin} (\"ssn$raw\") VALUES (DEFAULT)")),
        ("UPDATE orders SET amount = DEFAULT", "UPDATE \"public\".\"orders\" SET amount = DEFAULT"),
        ("SELECT e.ctid, e.ssn FROM employees e", "SELECT e.ctid, e.ssn FROM \"pgusher_public\".\"employees$w\" e"),
        (
            "DELETE FROM employees WHERE ctid = ANY (ARRAY(SELECT ctid FROM employees LIMIT 1)) RETURNING tableoid",
            &format!("DELETE FROM {twin} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {twin} LIMIT 1)) RETURNING tableoid"),
        ),
        ("SELECT id FROM employees FOR UPDATE", "SELECT id FROM \"pgusher_public\".\"employees\" FOR UPDATE"),
        (
            "WITH d AS (DELETE FROM employees RETURNING *) SELECT * FROM d",
            &format!("WITH d AS (DELETE FROM {twin} RETURNING {all}) SELECT * FROM d"),
        ),
    ]);
}

#[test]
fn writes_that_a_view_cannot_carry_are_refused() {
    for sql in [
        "UPDATE employees SET ssn[1] = 'x'",
        "INSERT INTO employees (ssn[1]) VALUES (1)",
        "INSERT INTO employees (salary.x) VALUES (1)",
        "UPDATE employees SET name = employees::text",
        "UPDATE employees SET name = 'x' WHERE row_to_json(employees) IS NULL",
        "UPDATE employees SET name = 'x' WHERE (employees.*) IS NULL",
        "UPDATE employees SET name = 'x' WHERE public.employees.* IS NULL",
        "UPDATE employees e SET name = 'x' RETURNING e",
        "UPDATE employees e SET name = 'x' RETURNING (e).ssn",
        "UPDATE employees e SET name = 'x' RETURNING (SELECT e).ssn",
        "UPDATE employees e SET name = (SELECT count(e) FROM orders)",
        "UPDATE employees SET name = 'x' RETURNING old.ssn",
        "UPDATE employees SET name = 'x' RETURNING new.*",
        "UPDATE employees SET name = 'x' RETURNING WITH (OLD AS o) o.ssn",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (ssn) DO NOTHING",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT ((ssn || '')) DO NOTHING",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) WHERE ssn = 'x' DO NOTHING",
        "INSERT INTO employees (id, ssn) VALUES (1, lower('x')) ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn",
        "INSERT INTO employees (id, ssn) VALUES (1, 'x'), (2, 'y') ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn",
        "INSERT INTO employees SELECT * FROM orders ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn",
        "INSERT INTO employees (id, ssn) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded::text",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT ON CONSTRAINT employees_excl DO NOTHING",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT ON CONSTRAINT employees_ssn_key DO NOTHING",
        "SELECT ctid FROM notes",
        "UPDATE notes SET body = 'x' WHERE notes.ctid = '(0,1)'",
        "SELECT ctid, * FROM employees",
        "SELECT e.xmin, e.* FROM employees e",
        "SELECT tableoid, row_to_json(employees) FROM employees",
        "SELECT id FROM v_orders FOR UPDATE",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded::text",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = (excluded.*)::text",
        "INSERT INTO notes VALUES (1) ON CONFLICT (id) DO UPDATE SET body = 'x'",
        "INSERT INTO derived VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 1",
        "INSERT INTO v_orders VALUES (1)",
        "MERGE INTO employees e USING orders o ON true WHEN MATCHED THEN DELETE",
        "MERGE INTO notes e USING orders o ON true WHEN MATCHED THEN DELETE",
        "DELETE FROM employees WHERE CURRENT OF c",
        "UPDATE notes SET body = 'x' WHERE CURRENT OF c",
        "UPDATE employees SET name = 'x' FROM orders o JOIN customers c USING (id) RETURNING *",
    ] {
        assert!(matches!(refusal(sql), ResolveError::Unsupported { .. }), "{sql}: {:?}", refusal(sql));
    }
}

#[test]
fn raw_columns_of_a_twin_cannot_be_named() {
    for sql in [
        "UPDATE employees SET name = \"ssn$raw\"",
        "UPDATE employees SET \"ssn$raw\" = 'x'",
        "INSERT INTO employees (\"ssn$raw\") VALUES (1)",
        "UPDATE employees e SET name = e.\"salary$raw\"",
        "DELETE FROM employees WHERE public.employees.\"ssn$raw\" = 'x'",
        "DELETE FROM employees RETURNING \"ssn$raw\"",
        "DELETE FROM employees WHERE EXISTS (SELECT 1 FROM orders WHERE \"ssn$raw\" = id)",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.\"ssn$raw\"",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = \"ssn$raw\"",
    ] {
        assert!(matches!(refusal(sql), ResolveError::UndefinedColumn { .. }), "{sql}: {:?}", refusal(sql));
    }
}

#[test]
fn a_constraint_that_is_not_there_is_not_there() {
    let error = refusal("INSERT INTO employees (id) VALUES (1) ON CONFLICT ON CONSTRAINT nosuch DO NOTHING");
    assert_eq!(error.to_string(), "constraint \"nosuch\" for table \"employees\" does not exist");
}

#[test]
fn merge_takes_views_from_postgresql_17_on() {
    use crate::catalog::SearchPath;
    use crate::sql::fixture::{alice, analyse_as, footing_with};
    let new = footing_with(|catalog| catalog.server_version = 170_004);
    let merge = |sql: &str| analyse_as(sql, &alice(), &new, &SearchPath::default()).map(|analysed| analysed.text);
    let masked = "MERGE INTO employees e USING orders o ON e.id = o.id WHEN MATCHED THEN UPDATE SET ssn = 'x', name = e.ssn WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (1, '2') RETURNING e.*";
    assert_eq!(
        merge(masked).unwrap(),
        "MERGE INTO \"pgusher_public\".\"employees$w\" e USING \"public\".\"orders\" o ON e.id = o.id WHEN MATCHED THEN UPDATE SET \"ssn$raw\" = 'x', name = e.ssn WHEN NOT MATCHED THEN INSERT (id, \"ssn$raw\") VALUES (1, '2') RETURNING \"e\".\"id\", \"e\".\"name\", \"e\".\"ssn\", \"e\".\"salary\", \"e\".\"region\""
    );
    assert!(merge("MERGE INTO notes n USING orders o ON n.id = o.id WHEN MATCHED THEN DELETE").is_ok());
    assert!(
        merge("MERGE INTO notes n USING orders o ON n.id = o.id WHEN NOT MATCHED THEN INSERT VALUES (1)").is_err(),
        "it could take over hidden rows"
    );
}
