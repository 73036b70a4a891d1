//! psql's describing commands: everybody sees what they have a right on, without what pgusher put there; administrators see all of it.

use super::psql::{Psql, Said};
use crate::harness::{ADMIN, Shop, both_mechanisms};

const ANA: &str = "ana@example.com";
const IVAN: &str = "ivan@example.com";

/// What a command prints, and complains of.
fn said(psql: Psql, command: &str) -> Said {
    // Footers too: indexes, foreign keys, policies.
    psql.script(&format!("\\pset tuples_only off\n{command}\n"))
}

/// What a command prints for a principal.
fn seen(shop: &Shop, user: &str, command: &str) -> String {
    said(Psql::of(shop, user), command).well()
}

fn truth(shop: &Shop, command: &str) -> String {
    said(Psql::direct(shop), command).well()
}

/// The same for a principal and for the superuser directly.
fn same(shop: &Shop, user: &str, command: &str) {
    if outdated(shop, user, command) {
        return;
    }
    let expected = truth(shop, command);
    assert!(!expected.is_empty(), "{command} shows something");
    assert_eq!(seen(shop, user, command), expected, "{command}");
}

/// Whether this psql asks an upstream that is newer for columns which that has no more: it hears the same through pgusher as directly.
fn outdated(shop: &Shop, user: &str, command: &str) -> bool {
    if shop.upstream.major() < 17 {
        return false;
    }
    let direct = said(Psql::direct(shop), command);
    let outdated = direct.err.contains("does not exist");
    if outdated {
        let through = said(Psql::of(shop, user), command);
        assert_eq!((through.out, through.err), (direct.out, direct.err), "{command}");
    }
    outdated
}

/// The first two columns of a listing: schema and name.
fn names(listing: &str) -> Vec<String> {
    listing.lines().filter(|l| l.contains('|')).map(|l| l.split('|').take(2).collect::<Vec<_>>().join(".")).collect()
}

both_mechanisms! {
    fn an_administrator_sees_what_there_is(shop: shared) {
        for command in ["\\dt", "\\dv", "\\di", "\\ds", "\\d", "\\dt public.*", "\\dt ord*", "\\df public.*", "\\dn", "\\dm", "\\dT public.*"] {
            let mut expected = names(&truth(shop, command));
            expected.retain(|name| !name.contains("pgusher"));
            assert_eq!(names(&seen(shop, ADMIN, command)), expected, "{command}");
        }
    }

    fn others_see_what_they_have_a_right_on(shop: shared) {
        assert_eq!(
            names(&seen(shop, IVAN, "\\dt")),
            ["Schema.Name", "public.customers", "public.products", "public.regions"]
        );
        for command in ["\\dt", "\\dv", "\\di", "\\ds", "\\d", "\\dt *.*", "\\d public.*", "\\di *.*", "\\ds *.*", "\\d+ customers", "\\dT *", "\\dd *.*", "\\dp", "\\df *e*", "\\dX *.*", "\\dP *.*"] {
            let text = seen(shop, IVAN, command);
            for hidden in ["employees", "region_desk", "staff_directory", "region_visible", "pgusher", "ssn"] {
                assert!(!text.contains(hidden), "{command} shows {hidden}: {text}");
            }
        }
        let ana = names(&seen(shop, ANA, "\\dt"));
        assert!(ana.contains(&"public.employees".to_owned()) && !ana.contains(&"public.region_desk".to_owned()), "{ana:?}");
    }

    fn a_hidden_table_is_like_one_that_is_not_there(shop: shared) {
        let hidden = Psql::of(shop, IVAN).script("\\d employees\n");
        let missing = Psql::of(shop, IVAN).script("\\d employeez\n");
        assert_eq!(hidden.err.replace("employees", "employeez"), missing.err);
        assert_eq!(hidden.out, missing.out);
    }

    fn a_plain_table_is_described(shop: shared) {
        // Of who refers to it, those that are seen.
        let mut expected = truth(shop, "\\d regions");
        expected = expected.split_inclusive('\n').filter(|line| !line.contains("region_desk")).collect();
        assert_eq!(seen(shop, ANA, "\\d regions"), expected);
        for command in ["\\d products", "\\d public.products", "\\d orders_pkey", "\\d orders_id_seq"] {
            same(shop, ANA, command);
        }
    }

    fn a_filtered_table_is_described_without_its_filter(shop: shared) {
        for command in ["\\d orders", "\\d+ orders", "\\d shipments", "\\d invoices"] {
            let seen = seen(shop, ANA, command);
            assert!(seen.contains("region|text|") && seen.contains("_pkey"), "{command}: {seen}");
            assert!(!seen.contains("pgusher") && !seen.contains("region_visible"), "{command}: {seen}");
        }
    }

    fn a_masked_table_is_described_as_itself(shop: shared) {
        for command in ["\\d employees", "\\d+ employees", "\\d customers"] {
            let seen = seen(shop, ANA, command);
            assert!(seen.contains("_pkey") && !seen.contains("pgusher"), "{command}: {seen}");
            assert!(!seen.contains("CASE") && !seen.contains("is_member"), "{command}: {seen}");
        }
    }

    fn a_view_is_described_and_its_definition_is_its_owners(shop: shared) {
        for command in ["\\d recent_orders", "\\d+ recent_orders", "\\sv recent_orders"] {
            let text = seen(shop, ANA, command);
            assert!(!text.contains("FROM"), "{command}: {text}");
            let text = seen(shop, ADMIN, command);
            assert!(!text.contains("pgusher"), "{command}: {text}");
        }
        let text = seen(shop, ADMIN, "\\sv my_orders");
        assert!(text.contains(if shop.upstream.major() < 16 { "WHERE orders.sales_rep" } else { "WHERE sales_rep" }), "{text}");
        assert!(seen(shop, ANA, "\\d recent_orders").contains("customer_id|integer|"));
        let text = seen(shop, ANA, "\\d staff_directory");
        assert!(text.contains("manager|text|") && !text.contains("pgusher"), "{text}");
    }

    fn what_is_built_in_is_listed_as_it_is(shop: shared) {
        for command in ["\\df pg_catalog.upper", "\\dT pg_catalog.int4", "\\do pg_catalog.+", "\\dD", "\\dO", "\\dL", "\\dx", "\\dF", "\\dA", "\\da pg_catalog.max"] {
            same(shop, ANA, command);
        }
    }

    fn everything_else_that_describes_answers(shop: shared) {
        for user in [ANA, ADMIN] {
            for command in ["\\dn", "\\dn+", "\\l", "\\dp", "\\du", "\\dg", "\\dd", "\\dF", "\\dE", "\\dm", "\\dP", "\\dRp", "\\des", "\\dew", "\\det", "\\dy", "\\dX", "\\dA", "\\dAc", "\\dAf", "\\dAo", "\\dAp", "\\dc", "\\dC", "\\ddp", "\\drds", "\\z orders", "\\df+", "\\dt+", "\\di+", "\\dv+", "\\ds+", "\\dT+", "\\dS pg_class", "\\sf upper(text)"] {
                if !outdated(shop, user, command) {
                    Psql::of(shop, user).script(&format!("{command}\n")).well();
                }
            }
        }
    }

    fn sizes_and_function_bodies_are_for_owners(shop: shared) {
        let sizes = seen(shop, ANA, "SELECT pg_relation_size('orders'), pg_total_relation_size('orders'), pg_table_size('orders'), pg_indexes_size('orders');");
        assert!(sizes.contains("\n|||\n"), "{sizes}");
        assert!(!seen(shop, ADMIN, "SELECT pg_relation_size('orders');").contains("\n\n"));
    }

    fn the_information_schema_answers(shop: shared) {
        same(shop, ANA, "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'regions' ORDER BY ordinal_position;");
        let tables = seen(shop, IVAN, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1;");
        assert_eq!(tables.lines().filter(|l| !l.starts_with('(')).collect::<Vec<_>>(), ["table_name", "customers", "products", "regions"]);
    }
}

/// Drivers ask the catalogs about the table that a result column is said to be of: that is the catalog, and no view of ours.
#[test]
fn columns_of_the_catalogs_are_told_as_the_catalogs() {
    let shop = Shop::shared(crate::harness::Mechanism::Rls);
    let (ana, truth) = (shop.ana(), shop.truth());
    for query in [
        "SELECT * FROM pg_class",
        "SELECT oid, relname, tableoid, xmin, ctid FROM pg_class WHERE relname = 'orders'",
        "SELECT c.relname, a.attname, n.nspname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace",
        "SELECT name FROM pg_cursors",
        "SELECT tablename FROM pg_tables",
        "SELECT table_name, table_type FROM information_schema.tables",
        "SELECT * FROM pg_proc WHERE proname = 'lower'",
        "SELECT name, setting FROM pg_settings",
    ] {
        let origins = |client: &crate::harness::Client| {
            let statement = client.prepare(query);
            statement.columns().iter().map(|c| (c.name().to_owned(), c.table_oid(), c.column_id())).collect::<Vec<_>>()
        };
        assert_eq!(origins(&ana), origins(&truth), "{query}");
    }
}
