//! Class 2, statistics; class 5, plans: what the planner knows of hidden rows is not for everybody.

use super::{all_refused, keeps_secrets};
use crate::harness::both_mechanisms;

both_mechanisms! {
    fn statistics_are_refused(shop: shared) {
        for client in [shop.ana(), shop.ivan()] {
            all_refused(&client, &[
                "SELECT most_common_vals FROM pg_stats",
                "SELECT * FROM pg_statistic",
                "SELECT * FROM pg_catalog.pg_statistic",
                "SELECT * FROM pg_stats_ext",
                "SELECT * FROM pg_stats_ext_exprs",
                "SELECT * FROM pg_statistic_ext_data",
                "SELECT * FROM pg_authid",
                "SELECT * FROM pg_shadow",
                "SELECT * FROM pg_user_mappings",
                "SELECT * FROM pg_user_mapping",
                "SELECT * FROM pg_hba_file_rules",
                "SELECT * FROM pg_file_settings",
                "SELECT * FROM pg_stat_user_indexes",
                "SELECT * FROM pg_largeobject",
                "SELECT sequencename, last_value FROM pg_sequences",
                "SELECT pg_sequence_last_value('orders_id_seq')",
                "SELECT * FROM (SELECT * FROM U&\"pg_st\\0061ts\") s",
                "SELECT pg_stat_get_activity(NULL)",
                "SELECT * FROM pg_stat_get_activity(NULL)",
                "SELECT pg_stat_get_backend_activity(1)",
                "CREATE STATISTICS s ON ssn, salary FROM employees",
                "CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
            ], &["42501", "0A000", "42883"]);
        }
    }

    fn tables_are_listed_without_their_figures(shop: shared) {
        // Metabase joins them for its estimates, and would see no table at all.
        let ana = shop.ana();
        assert_eq!(ana.column("SELECT relname FROM pg_stat_user_tables WHERE relname IN ('orders', 'region_desk')").concat(), "orders");
        for client in [ana, shop.admin()] {
            let figures = client.column("SELECT count(n_live_tup) + count(seq_scan) + count(last_analyze) FROM pg_stat_all_tables");
            assert_eq!(figures.concat(), "0");
        }
    }

    fn definitions_of_policies_are_not_read_through_the_catalog(shop: shared) {
        let ana = shop.ana();
        for sql in [
            "SELECT * FROM pg_policies", "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy", "SELECT definition FROM pg_views WHERE schemaname LIKE 'pgusher%'",
            "SELECT pg_get_viewdef('pgusher_public.employees'::regclass)", "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'attach'",
            "SELECT view_definition FROM information_schema.views",
            "SELECT prosrc FROM pg_proc WHERE proname = 'region_visible' OR pronamespace = 'pgusher'::regnamespace",
            "SELECT proname, prosrc FROM pg_proc WHERE oid >= 16384", "SELECT query FROM pg_stat_activity",
        ] {
            if let Ok(rows) = ana.try_rows(sql) {
                let text = rows.concat().join(" ");
                assert!(!text.contains("is_member") && !text.contains("amer_analysts") && !text.contains("hmac"), "{sql}: {text}");
            }
        }
    }

    fn plans_show_no_values(shop: shared) {
        keeps_secrets(shop, &shop.ana(), &[
            "EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT * FROM employees WHERE ssn > '1'",
            "EXPLAIN (ANALYZE, VERBOSE) SELECT note FROM orders WHERE note > 'A'",
            "EXPLAIN (FORMAT json, VERBOSE) SELECT * FROM staff_directory",
        ]);
    }
}
