//! Class 21, what those miss that mask results on their way: long results, values in pieces, other names, binary formats.

use super::Secrets;
use crate::harness::{both_mechanisms, frame};

both_mechanisms! {
    fn a_long_export_shows_masks_to_its_last_row(shop: shared) {
        let (ana, secrets) = (shop.ana(), Secrets::of(shop));
        let long = "SELECT e.ssn AS note, e.salary + 0 AS n, e.email || '' AS x, g FROM employees e, generate_series(1, 25) g";
        let rows = ana.rows(long);
        assert_eq!(rows.len(), 5_000);
        for row in rows.iter().chain(&ana.rows(&format!("{long} ORDER BY g DESC"))).step_by(37) {
            assert!(row[0].starts_with("***-**-") && row[1] == "0" && row[2].contains("***@"), "{row:?}");
        }
        assert_eq!(secrets.first_in(&ana.copy_out(&format!("COPY ({long} WHERE g = 25) TO STDOUT"))), None);
    }

    fn values_in_pieces_and_in_binary_are_masked(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        assert_eq!(ana.column("SELECT DISTINCT left(ssn, 1) FROM employees"), ["*"]);
        assert_eq!(ana.column("SELECT DISTINCT get_byte(ssn::bytea, n) FROM employees, generate_series(0, 2) n"), ["42"]);
        assert_eq!(ana.column("SELECT DISTINCT unnest(string_to_array(left(ssn, 6), '-')) FROM employees ORDER BY 1 DESC"), ["***", "**"]);
        let salary: i32 = truth.one("SELECT salary FROM employees WHERE id = 12").parse().expect("a number");
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[
            frame::parse("", "SELECT id, salary, ssn FROM employees ORDER BY id"),
            frame::bind("", "", &[], 1),
            frame::execute("", 0),
            frame::sync(),
        ]);
        let rows: Vec<_> = raw.until_ready().into_iter().filter(|f| f.tag == 'D').map(|f| f.values()).collect();
        assert_eq!(rows.len(), 200);
        for row in rows {
            assert_eq!(row[1].as_deref(), Some(&0_i32.to_be_bytes()[..]), "no salary, {salary} or another");
            assert!(row[2].as_deref().is_some_and(|ssn| ssn.starts_with(b"***-**-")));
        }
    }
}
