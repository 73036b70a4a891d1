//! Shared upstream connections: what runs though no statement names it (constraints of domains, policies of the application's own), and
//! what cannot be taken from one connection to another.

use crate::harness::{Mechanism, Shop, until};
use crate::spec::pooling::sharing;

/// Has something made upstream that the sessions' role may use, and waits until it is known.
fn furnished(sql: &str) -> Shop {
    let shop = sharing(Mechanism::Rls, 1, "");
    shop.truth().run(
        "CREATE SEQUENCE public.tickets START 4711; GRANT USAGE ON SEQUENCE public.tickets TO pgusher_session, shop_owner;
         CREATE TABLE public.ledger (id int); INSERT INTO public.ledger VALUES (1);",
    );
    shop.truth().run(sql);
    shop.truth().run("ALTER TABLE public.ledger OWNER TO shop_owner");
    shop.admin().run("GRANT SELECT ON SCHEMA public TO users");
    let ana = shop.ana();
    until("the new table to be known", || ana.try_rows("SELECT * FROM ledger").ok());
    ana.run("DISCARD ALL");
    shop
}

#[test]
fn what_a_domain_draws_from_a_sequence_is_not_told_to_the_next() {
    let shop = furnished("CREATE DOMAIN public.numbered AS int CHECK (nextval('public.tickets') > 0)");
    let (ana, bob) = (shop.ana(), shop.bob());
    for read in [
        "SELECT 1::numbered",
        "SELECT CAST('7' AS numbered)",
        "SELECT ARRAY[1]::numbered[]",
        "SELECT x::numbered FROM (VALUES (1)) v(x)",
    ] {
        until("the domain to be known", || ana.try_rows(read).ok());
        bob.refused("SELECT lastval()", "55000");
        bob.run("DISCARD ALL");
    }
}

#[test]
fn what_a_domain_locks_and_seeds_is_gone_with_its_session() {
    let shop = furnished(
        "CREATE DOMAIN public.locking AS int CHECK (pg_try_advisory_lock(42)); CREATE DOMAIN public.seeding AS int CHECK (setseed(0.5) IS NOT NULL)",
    );
    let (ana, bob) = (shop.ana(), shop.bob());
    until("the domain to be known", || ana.try_rows("SELECT 1::locking").ok());
    bob.run("SELECT 1");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(shop.truth().one(locks), "0");
    let seeded = || {
        ana.run("SELECT 1::seeding");
        bob.one("SELECT random()")
    };
    assert_ne!(seeded(), seeded());
}

#[test]
fn what_a_policy_of_the_applications_own_leaves_is_gone_with_its_session() {
    let shop = furnished(
        "ALTER TABLE public.ledger ENABLE ROW LEVEL SECURITY; CREATE POLICY drawn ON public.ledger USING (nextval('public.tickets') > 0)",
    );
    let (ana, bob) = (shop.ana(), shop.bob());
    assert_eq!(ana.one("SELECT count(*) FROM ledger"), "1");
    bob.refused("SELECT lastval()", "55000");
}

#[test]
fn what_code_behind_a_policy_of_the_applications_own_leaves_is_gone_with_its_session() {
    let shop = furnished(
        "CREATE FUNCTION public.noted() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
           PERFORM set_config('app.secret', 'of ana', false); PERFORM set_config('DateStyle', 'German', false); RETURN true; END $$;
         GRANT EXECUTE ON FUNCTION public.noted() TO PUBLIC;
         ALTER TABLE public.ledger ENABLE ROW LEVEL SECURITY; CREATE POLICY noted ON public.ledger USING (public.noted())",
    );
    let (ana, bob) = (shop.ana(), shop.bob());
    assert_eq!(ana.one("SELECT count(*) FROM ledger"), "1");
    assert_eq!(bob.one("SELECT coalesce(nullif(current_setting('app.secret', true), ''), 'nothing')"), "nothing");
    assert_eq!(bob.one("SHOW DateStyle"), "ISO, MDY");
}

/// PostgreSQL refuses other buffers where anybody has used temporary tables, so a turn that brings them along would fail.
#[test]
fn buffers_for_temporary_tables_keep_their_connection_and_end_nobodys_session() {
    let shop = sharing(Mechanism::Rls, 1, "");
    let (ana, bob) = (shop.ana(), shop.bob());
    bob.run("SET temp_buffers = '4MB'");
    ana.refused("SELECT 1", "53300");
    assert_eq!(bob.one("SHOW temp_buffers"), "4MB");
    bob.run("RESET temp_buffers");
    ana.run("CREATE TEMPORARY TABLE mine (id int)");
    ana.run("INSERT INTO mine VALUES (1)");
    ana.run("DROP TABLE mine");
    assert_eq!(bob.one("SELECT 1"), "1");
    assert_eq!(ana.one("SELECT 1"), "1");
}
