//! Class 20, masks and filters of the wrong type; class 23, policies whose table, column or function is gone.

use super::{Secrets, everything};
use crate::harness::{both_mechanisms, until};

both_mechanisms! {
    /// Class 23: what a policy rests on is dropped upstream, behind our back: the table closes, it does not open.
    fn a_policy_without_its_function_closes_the_table(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE FUNCTION public.hide(text) RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN 'hidden'; END $$");
        admin.run("ALTER TABLE employees ALTER COLUMN ssn SET MASK hide");
        let ana = shop.ana();
        assert_eq!(ana.column("SELECT DISTINCT ssn FROM employees"), ["hidden"]);
        let _ = shop.truth().try_rows("DROP FUNCTION public.hide(text) CASCADE");
        for _ in 0..20 {
            assert_eq!(Secrets::of(shop).first_in(&everything(&ana, "SELECT ssn, salary FROM employees")), None);
        }
    }

    /// Class 23: the table is dropped and made anew under its name: no old grant fits it, and no old row filter is lost.
    fn a_table_made_anew_is_not_read_under_old_policies(shop: fresh) {
        let truth = shop.truth();
        truth.run("BEGIN; DROP TABLE public.employees CASCADE; CREATE TABLE public.employees (id integer, ssn text); INSERT INTO employees VALUES (1, '885-41-1001'); ALTER TABLE employees OWNER TO shop_owner; COMMIT");
        let ana = shop.ana();
        for _ in 0..50 {
            let answer = everything(&ana, "SELECT ssn FROM employees");
            assert!(!answer.contains("885-41-1001"), "{answer}");
        }
        until("the new table to be found", || ana.try_rows("SELECT ssn FROM employees").err().filter(|r| r.code == "55000" || r.code == "42501"));
    }

    /// Class 23: a masked column dropped and added again, or renamed, upstream: never shown raw.
    fn a_masked_column_changed_upstream_is_never_shown_raw(shop: fresh) {
        let truth = shop.truth();
        let ana = shop.ana();
        let _ = truth.try_rows("ALTER TABLE public.employees RENAME COLUMN ssn TO social");
        for _ in 0..20 {
            for query in ["SELECT * FROM employees", "SELECT social FROM employees", "SELECT ssn FROM employees"] {
                assert_eq!(Secrets::of(shop).first_in(&everything(&ana, query)), None, "{query}");
            }
        }
    }

    /// Class 20: a mask whose result does not fit the column's type is an error, never NULL and never the value.
    fn a_mask_of_the_wrong_type_never_opens(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        let _ = admin.try_rows("ALTER TABLE employees ALTER COLUMN salary SET MASK (name)");
        let _ = admin.try_rows("ALTER TABLE employees ALTER COLUMN salary SET MASK (ssn)");
        let _ = admin.try_rows("ALTER TABLE orders SET ROW FILTER ('nonsense')");
        let _ = admin.try_rows("ALTER TABLE orders SET ROW FILTER (note)");
        assert_eq!(Secrets::of(shop).first_in(&everything(&ana, "SELECT salary FROM employees")), None);
        assert_eq!(Secrets::of(shop).first_in(&everything(&ana, "SELECT note FROM orders")), None);
    }
}
