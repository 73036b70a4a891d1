//! Class 19, side doors: partitions, children, system columns, large objects, replication, the FunctionCall message.

use super::keeps_secrets;
use crate::harness::{RawClient, both_mechanisms, frame};

both_mechanisms! {
    /// Children of a governed table are governed, read directly or through their parent, and so are grandchildren.
    fn inheritance_children_are_governed(shop: fresh) {
        let (truth, admin) = (shop.truth(), shop.admin());
        truth.run("SET ROLE shop_owner; CREATE TABLE public.old_employees () INHERITS (public.employees); INSERT INTO public.old_employees SELECT 5000 + id, name, 'o' || email, phone, title, region, NULL, hired_on, salary, 'O' || ssn FROM ONLY public.employees; RESET ROLE");
        crate::harness::until("the child to be found", || admin.try_rows("GRANT SELECT ON TABLE old_employees TO analysts").ok());
        let ana = shop.ana();
        keeps_secrets(shop, &ana, &[
            "SELECT * FROM old_employees",
            "SELECT ssn, salary FROM employees",
            "SELECT * FROM ONLY old_employees",
            "SELECT e FROM old_employees e",
            "SELECT * FROM employees *",
        ]);
        assert!(!crate::attack::everything(&ana, "SELECT ssn FROM old_employees").contains("O1"), "values of the child are values too");
    }

    /// System columns tell where rows are, not what is in hidden ones.
    fn system_columns_show_permitted_rows_only(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let hidden = truth.one("SELECT ctid FROM orders WHERE region = 'AMER' LIMIT 1");
        for column in ["ctid", "xmin", "tableoid"] {
            if let Ok(rows) = ana.try_rows(&format!("SELECT {column} FROM orders")) {
                assert_eq!(rows.len().to_string(), ana.one("SELECT count(*) FROM orders"));
            }
        }
        if let Ok(rows) = ana.try_rows(&format!("SELECT note FROM orders WHERE ctid = '{hidden}'")) {
            assert!(rows.is_empty());
        }
    }

    /// The FunctionCall message goes around SQL, so it is refused, and the session goes on.
    fn function_call_is_refused(shop: shared) {
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[frame::function_call(89)]);
        let frames = raw.until_ready();
        assert_eq!(frames[0].refusal().code, "0A000");
        raw.send(&[frame::query("SELECT 1")]);
        assert_eq!(raw.tags(), "TDCZI");
    }

    /// Replication would stream every row.
    fn replication_is_refused(shop: shared) {
        for (parameter, value) in [("replication", "true"), ("replication", "database"), ("replication", "1")] {
            let mut raw = RawClient::connect(shop.proxy.port);
            raw.send(&[frame::startup(3, 0, &[("user", "ana@example.com"), ("database", &shop.database), (parameter, value)])]);
            let mut refusal = raw.next().expect("an answer");
            if refusal.tag == 'R' {
                raw.send(&[frame::password(shop.token("ana@example.com"))]);
                refusal = raw.next().expect("an answer");
            }
            assert_eq!((refusal.tag, refusal.refusal().code.as_str()), ('E', "0A000"));
        }
        let ana = shop.ana();
        assert!(ana.try_rows("IDENTIFY_SYSTEM").is_err() && ana.try_rows("START_REPLICATION 0/0").is_err());
    }

    /// Sequences, large objects and foreign keys do not tell of hidden rows.
    fn other_objects_are_closed(shop: shared) {
        let ana = shop.ana();
        for sql in ["SELECT last_value FROM invoice_number", "SELECT * FROM orders_id_seq", "SELECT pg_sequence_last_value('orders_id_seq')", "SELECT currval('orders_id_seq')"] {
            assert!(ana.try_rows(sql).is_err(), "{sql}");
        }
        // The store's own sequences are none of the session's.
        assert_eq!(ana.refused("SELECT lastval()", "55000").message, "lastval is not yet defined in this session");
        ana.run("CREATE TEMP SEQUENCE mine START 17");
        assert_eq!(ana.one("SELECT nextval('mine')"), "17");
        assert_eq!(ana.one("SELECT pg_catalog.lastval() + lastval()"), "34");
    }
}
