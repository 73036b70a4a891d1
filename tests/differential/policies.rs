//! Random filters and masks over the small shop.

use super::grammar::Tape;
use super::world::Policies;

/// Filters by table: the first are the simplest.
const FILTERS: [(&str, &[&str]); 7] = [
    (
        "orders",
        &[
            "region = 'EMEA'",
            "is_member('g1') AND region <> 'APAC'",
            "sales_rep = current_user() OR id % 3 = 0",
            "region IN (SELECT d.region FROM public.region_desk AS d WHERE d.principal = current_user())",
            "amount > 500.00 OR is_member('g2')",
            "o_visible(region, id)",
            "false",
            "NULLIF(status, 'open') IS NOT NULL",
        ],
    ),
    ("order_items", &["region = 'EMEA'", "order_id % 2 = 0", "quantity_seen(line)", "is_member('g1')"]),
    (
        "customers",
        &[
            "region <> 'APAC'",
            "city LIKE '%o%'",
            "is_member('g2') OR id < 40",
            "EXISTS (SELECT FROM public.region_desk AS d WHERE d.region = customers.region)",
        ],
    ),
    (
        "employees",
        &[
            "region = 'EMEA' OR manager_id IS NULL",
            "id % 2 = 1",
            "hired_on < date '2020-01-01'",
            "NOT is_member('g1') OR salary < 90000",
        ],
    ),
    ("products", &["price < 250.00", "id % 5 <> 0", "sku > 'SKU-00100'"]),
    ("shipments", &["region = 'EMEA'", "carrier <> 'Heron'", "shipped_on < date '2025-03-01'", "is_member('g1')", "id % 2 = 0"]),
    (
        "things",
        &[
            "flag",
            "flag IS NOT TRUE",
            "small > 0",
            "region = 'AMER' OR is_member('g2')",
            "tags @> '{red}'",
            "doc ->> 's' = 'a'",
            "cost / 2 > 10",
            "word IS NOT NULL AND word <> 'apple'",
            "region IN (SELECT d.region FROM public.region_desk AS d WHERE d.principal <> current_user())",
            "NOT EXISTS (SELECT FROM public.regions AS r JOIN public.region_desk AS d ON d.region = r.code WHERE r.code = things.region AND things.id % 3 = 0)",
        ],
    ),
];

/// Masks by column: the first are the simplest.
const MASKS: [(&str, &str, &[&str]); 23] = [
    ("orders", "amount", &["0", "CASE WHEN is_member('g2') THEN amount ELSE round(amount, -2) END", "amount * 2"]),
    ("orders", "status", &["'open'", "CASE WHEN region = 'EMEA' THEN status ELSE 'paid' END"]),
    ("orders", "ordered_on", &["date_trunc('year', ordered_on)::date", "date '2024-01-01'"]),
    ("customers", "email", &["'hidden'", "CASE WHEN is_member('g1') THEN email ELSE left(email, 1) || '***' END", "md5(email)"]),
    ("customers", "city", &["upper(city)", "CASE WHEN id % 2 = 0 THEN city ELSE 'Nowhere' END"]),
    ("customers", "phone", &["NULL", "right(phone, 4)"]),
    (
        "employees",
        "salary",
        &["0", "salary / 10000 * 10000", "CASE WHEN current_user() = 'bob@example.com' THEN salary ELSE -1 END"],
    ),
    ("employees", "ssn", &["'***-**-' || right(ssn, 4)", "NULL", "'x'"]),
    ("employees", "name", &["left(name, 1) || '.'", "initial(name)"]),
    ("employees", "title", &["lower(title)", "'Staff'"]),
    ("employees", "manager_id", &["NULL", "CASE WHEN is_member('g2') THEN manager_id END"]),
    ("customers", "region", &["'EMEA'", "left(region, 1)"]),
    ("products", "price", &["round(price, -1)", "1.00"]),
    ("products", "name", &["reverse(name)", "name || ' ' || sku"]),
    (
        "things",
        "word",
        &[
            "NULL",
            "'secret'",
            "CASE WHEN flag THEN word END",
            "upper(word)",
            "(SELECT r.name FROM public.regions AS r WHERE r.code = things.region)",
        ],
    ),
    ("things", "small", &["0::smallint", "-small", "CASE WHEN region = 'EMEA' THEN small END"]),
    ("things", "cost", &["NULL", "cost / 2", "round(cost, 0)"]),
    ("things", "ratio", &["0", "-ratio"]),
    ("things", "seen", &["date_trunc('day', seen)", "seen - interval '1 day'"]),
    ("things", "tags", &["'{}'", "array_append(tags, 'masked')", "CASE WHEN is_member('g1') THEN tags END"]),
    ("things", "doc", &["'{}'", "doc - 's'", "jsonb_build_object('k', id)"]),
    ("things", "nums", &["NULL", "nums[2:3]"]),
    ("things", "secret", &["'***'", "md5(secret)", "initial(secret)"]),
];

/// What the filters and masks above call.
const FUNCTIONS: [&str; 3] = [
    "CREATE OR REPLACE FUNCTION public.o_visible(region text, id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT region = 'EMEA' AND is_member('g1') OR id % 7 = 0 $$",
    "CREATE OR REPLACE FUNCTION public.quantity_seen(line smallint) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN line < 3; END $$",
    "CREATE OR REPLACE FUNCTION public.initial(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN pg_catalog.left(t, 1); END $$",
];

/// Filters and masks of a seed.
pub fn random(seed: u64) -> Policies {
    let mut tape = Tape::random(seed);
    let mut policies = Policies { functions: FUNCTIONS.map(str::to_owned).to_vec(), ..Policies::default() };
    for (table, filters) in FILTERS {
        if tape.chance(65) {
            policies.filters.insert(table.into(), (*tape.one(filters)).into());
        }
    }
    for (table, column, masks) in MASKS {
        if tape.chance(35) {
            policies.masks.insert((table.into(), column.into()), (*tape.one(masks)).into());
        }
    }
    policies
}
