//! COPY in both directions.

use crate::harness::{Mechanism, Shop, every_mechanism};

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

every_mechanism! {
    fn copy_out_of_a_filtered_table_gives_permitted_rows(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let by_hand = truth.copy_out("COPY (SELECT * FROM orders WHERE region = 'EMEA') TO STDOUT");
        for copy in ["COPY orders TO STDOUT", "COPY public.orders TO STDOUT", "COPY (SELECT * FROM orders) TO STDOUT", "COPY (TABLE orders) TO STDOUT"] {
            assert_eq!(lines(&ana.copy_out(copy)), lines(&by_hand), "{copy}");
        }
        let csv = "WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'nil')";
        assert_eq!(
            lines(&ana.copy_out(&format!("COPY orders (id, note) TO STDOUT {csv}"))),
            lines(&truth.copy_out(&format!("COPY (SELECT id, note FROM orders WHERE region = 'EMEA') TO STDOUT {csv}")))
        );
    }

    fn copy_out_of_a_masked_table_gives_masks(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let text = ana.copy_out("COPY employees TO STDOUT");
        assert_eq!(text.lines().count(), 200);
        for ssn in truth.column("SELECT ssn FROM employees LIMIT 20") {
            assert!(!text.contains(&ssn));
        }
        assert_eq!(lines(&shop.hana().copy_out("COPY employees TO STDOUT")), lines(&truth.copy_out("COPY employees TO STDOUT")));
    }

    fn copy_needs_the_grants_of_what_it_does(shop: shared) {
        let ivan = shop.ivan();
        assert_eq!(ivan.try_copy_out("COPY employees TO STDOUT").expect_err("not granted").code, "42501");
        assert_eq!(ivan.copy_in("COPY products FROM STDIN", "1\n").expect_err("not granted").code, "42501");
        for statement in ["COPY regions TO '/tmp/regions'", "COPY regions FROM '/etc/passwd'", "COPY regions TO PROGRAM 'cat'", "COPY regions FROM PROGRAM 'id'"] {
            shop.ana().refused(statement, "42501");
        }
    }

    fn copy_into_a_filtered_table_checks_each_row(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let copy = "COPY orders (id, customer_id, region, sales_rep, status, ordered_on) FROM STDIN";
        let good = "900001\t1\tEMEA\tana@example.com\topen\t2025-01-01\n900002\t1\tEMEA\tana@example.com\topen\t2025-01-01\n";
        assert_eq!(ana.copy_in(copy, good).expect("rows of her own region"), 2);
        assert_eq!(truth.one("SELECT count(*) FROM orders WHERE id > 900000"), "2");
        let bad = "900003\t1\tEMEA\tana@example.com\topen\t2025-01-01\n900004\t1\tAMER\tana@example.com\topen\t2025-01-01\n";
        let refusal = ana.copy_in(copy, bad).expect_err("a row of another region");
        assert!(["42501", "44000"].contains(&refusal.code.as_str()), "{refusal}");
        assert_eq!(truth.one("SELECT count(*) FROM orders WHERE id > 900000"), "2", "all or nothing");
        assert_eq!(ana.copy_in("COPY orders (id, customer_id, region, sales_rep, status, ordered_on, amount) FROM STDIN WITH (FORMAT csv)", "900005,1,EMEA,ana@example.com,open,2025-01-01,12.50\n").expect("CSV"), 1);
        assert_eq!(ana.copy_in(copy, "not a number\t1\n").expect_err("nonsense").code, "22P02");
        assert_eq!(ana.one("SELECT 1"), "1");
    }

    fn copy_into_a_masked_table_writes_values(shop: fresh) {
        let (hana, truth) = (shop.hana(), shop.truth());
        let row = "501\tNew\tnew@example.com\t\\N\tClerk\tEMEA\t\\N\t2025-01-01\t45000\t999-99-9999\n";
        assert_eq!(hana.copy_in("COPY employees FROM STDIN", row).expect("HR may write"), 1);
        assert_eq!(truth.rows("SELECT salary, ssn FROM employees WHERE id = 501"), [["45000", "999-99-9999"]]);
    }

    fn copy_inside_a_transaction_rolls_back_with_it(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        ana.run("BEGIN");
        ana.copy_in("COPY orders (id, customer_id, region, sales_rep, status, ordered_on) FROM STDIN", "900001\t1\tEMEA\tana@example.com\topen\t2025-01-01\n").expect("her own region");
        assert_eq!(ana.one("SELECT count(*) FROM orders WHERE id > 900000"), "1");
        ana.run("ROLLBACK");
        assert_eq!(truth.one("SELECT count(*) FROM orders WHERE id > 900000"), "0");
    }
}

/// Copying a plain table there and back through the proxy changes nothing, whatever the size.
#[test]
fn a_large_copy_goes_there_and_back() {
    let shop = Shop::fresh(Mechanism::Rls);
    let admin = shop.admin();
    admin.run("CREATE TABLE public.big (id integer, body text)");
    let text: String = (0..60_000).map(|n| format!("{n}\t{}\n", "x".repeat(n % 97))).collect();
    assert_eq!(admin.copy_in("COPY big FROM STDIN", &text).expect("an ungoverned table"), 60_000);
    let back = admin.copy_out("COPY (SELECT * FROM big ORDER BY id) TO STDOUT");
    let first = text.lines().zip(back.lines()).enumerate().find(|(_, (sent, got))| sent != got);
    assert!(back == text, "{} bytes went, {} came back; they differ first at {first:?}", text.len(), back.len());
}
