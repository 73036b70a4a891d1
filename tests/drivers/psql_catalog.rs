//! psql's describing commands: an analyst sees the catalog as it is, without what pgusher put there.

use super::psql::Psql;
use crate::harness::{Shop, both_mechanisms};

const ANA: &str = "ana@example.com";

/// What a command prints for the analyst and for the superuser directly, each line without what pgusher made.
fn both(shop: &Shop, command: &str) -> (String, String) {
    // Footers too: indexes, foreign keys, policies.
    let script = format!("\\pset tuples_only off\n{command}\n");
    let seen = Psql::of(shop, ANA).script(&script).well();
    (seen, Psql::direct(shop).script(&script).well())
}

/// psql asks a server of a later version for columns that it does not have any more.
fn is_asked_in_vain(shop: &Shop, command: &str) -> bool {
    let psql = Psql::direct(shop).with(&["--version"]).run().well();
    let major = psql.split(' ').find_map(|word| word.split('.').next()?.parse::<u32>().ok()).expect("a version");
    major < 17 && shop.upstream.major() >= 17 && matches!(command, "\\dO" | "\\l")
}

fn same(shop: &Shop, command: &str) {
    let (seen, truth) = both(shop, command);
    assert!(!truth.is_empty(), "{command} shows something");
    assert_eq!(seen, truth, "{command}");
}

both_mechanisms! {
    fn tables_views_indexes_and_sequences_are_listed(shop: shared) {
        for command in ["\\dt", "\\dv", "\\di", "\\ds", "\\d", "\\dt public.*", "\\dt ord*", "\\d public.*_pkey"] {
            same(shop, command);
        }
    }

    fn a_plain_table_is_described(shop: shared) {
        for command in ["\\d regions", "\\d products", "\\d+ region_desk", "\\d public.products", "\\d orders_pkey", "\\d orders_id_seq"] {
            same(shop, command);
        }
    }

    fn a_filtered_table_is_described_without_its_filter(shop: shared) {
        for command in ["\\d orders", "\\d+ orders", "\\d shipments", "\\d invoices"] {
            let (seen, _) = both(shop, command);
            assert!(seen.contains("region|text|") && seen.contains("_pkey"), "{command}: {seen}");
            assert!(!seen.contains("pgusher") && !seen.contains("region_visible"), "{command}: {seen}");
        }
    }

    fn a_masked_table_is_described_as_itself(shop: shared) {
        for command in ["\\d employees", "\\d+ employees", "\\d customers"] {
            let (seen, _) = both(shop, command);
            assert!(seen.contains("_pkey") && !seen.contains("pgusher"), "{command}: {seen}");
            assert!(!seen.contains("CASE") && !seen.contains("is_member"), "{command}: {seen}");
        }
    }

    fn a_view_is_described(shop: shared) {
        let (seen, _) = both(shop, "\\d recent_orders");
        assert!(seen.contains("customer_id|integer|"), "{seen}");
        let (seen, _) = both(shop, "\\d staff_directory");
        assert!(seen.contains("manager|text|") && !seen.contains("pgusher"), "{seen}");
    }

    fn functions_types_and_schemas_are_listed(shop: shared) {
        for command in ["\\df public.*", "\\df pg_catalog.upper", "\\dT pg_catalog.int4", "\\do pg_catalog.+", "\\dC", "\\dD", "\\dO", "\\dL", "\\dx"] {
            if is_asked_in_vain(shop, command) {
                continue;
            }
            let (seen, truth) = both(shop, command);
            assert_eq!(seen, truth, "{command}");
        }
    }

    fn everything_else_that_describes_answers(shop: shared) {
        for command in ["\\dn", "\\l", "\\dp", "\\du", "\\dd", "\\da pg_catalog.max", "\\dF", "\\dE", "\\dm", "\\dP", "\\dRp", "\\des", "\\dy", "\\dX", "\\dA", "\\dc", "\\ddp", "\\z orders"] {
            if !is_asked_in_vain(shop, command) {
                Psql::of(shop, ANA).script(&format!("{command}\n")).well();
            }
        }
    }

    fn definitions_and_sizes_are_refused_and_the_session_goes_on(shop: shared) {
        // They may hold what filters and masks hide.
        for command in ["\\sv recent_orders", "\\sf public.pick", "\\d+ recent_orders", "\\dt+"] {
            let said = Psql::of(shop, ANA).script(&format!("{command}\nSELECT 'still here';\n"));
            assert!(said.err.contains("ERROR:") && said.out.ends_with("still here\n"), "{command}: {said:?}");
        }
    }

    fn the_information_schema_answers(shop: shared) {
        let sql = "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'regions' ORDER BY ordinal_position";
        same(shop, &format!("{sql};"));
    }
}
