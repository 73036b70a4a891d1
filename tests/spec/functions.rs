//! EXECUTE as a write boundary: who may call a function need not have the rights that its body uses.

use crate::harness::{Client, Shop, both_mechanisms, until};

const DEALS: &str =
    "CREATE TABLE public.deals (id integer PRIMARY KEY, region text NOT NULL, state text NOT NULL DEFAULT 'open', by text)";
const FILLED: &str = "INSERT INTO public.deals (id, region) VALUES (1, 'EMEA'), (2, 'AMER')";

/// Only sales representatives of the region may approve, whoever has EXECUTE: the body asks who is there.
const BODY: &str = "AS $$
DECLARE touched integer;
BEGIN
  IF NOT pgusher.is_member('analysts') THEN
    RAISE EXCEPTION 'only analysts approve deals, not %', pgusher.current_user() USING ERRCODE = '42501';
  END IF;
  UPDATE public.deals SET state = 'approved', by = pgusher.current_user() WHERE id = deal AND state = 'open';
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END $$";

fn approve(rights: &str) -> String {
    format!("CREATE FUNCTION public.approve_deal(deal integer) RETURNS integer LANGUAGE plpgsql {rights} {BODY}")
}

fn deals(admin: &Client) {
    admin.run(DEALS);
    admin.run(FILLED);
}

fn state(shop: &Shop, deal: i32) -> Vec<String> {
    shop.truth().rows(&format!("SELECT state, coalesce(by, '') FROM public.deals WHERE id = {deal}")).remove(0)
}

/// Refused without EXECUTE, done with it as the human; what the table itself needs is still missing, and the body's own check holds.
fn is_a_boundary(shop: &Shop, admin: &Client) {
    let (ana, bob, ivan) = (shop.ana(), shop.bob(), shop.ivan());
    let refusal = ana.refused("SELECT approve_deal(1)", "42501");
    assert!(refusal.detail.expect("a DETAIL").contains("EXECUTE"));
    assert_eq!(state(shop, 1), ["open", ""]);
    admin.run("GRANT EXECUTE ON FUNCTION approve_deal TO \"ana@example.com\", \"ivan@example.com\"");
    assert_eq!(ana.one("SELECT approve_deal(1)"), "1");
    assert_eq!(state(shop, 1), ["approved", "ana@example.com"]);
    ana.refused("UPDATE deals SET state = 'approved' WHERE id = 2", "42501");
    ana.refused("SELECT * FROM deals", "42501");
    bob.refused("SELECT public.approve_deal(2)", "42501");
    let refusal = ivan.refused("SELECT approve_deal(2)", "42501");
    assert!(refusal.message.contains("not ivan@example.com"), "{refusal}");
    admin.run("REVOKE EXECUTE ON FUNCTION approve_deal FROM \"ana@example.com\"");
    ana.refused("SELECT approve_deal(2)", "42501");
    assert_eq!(state(shop, 2), ["open", ""]);
}

both_mechanisms! {
    fn execute_lets_a_function_with_its_callers_rights_write(shop: fresh) {
        let admin = shop.admin();
        deals(&admin);
        admin.run(&approve(""));
        is_a_boundary(shop, &admin);
    }

    fn execute_lets_a_function_with_its_definers_rights_write(shop: fresh) {
        let admin = shop.admin();
        deals(&admin);
        admin.run(&approve("SECURITY DEFINER SET search_path = public, pg_temp"));
        is_a_boundary(shop, &admin);
    }

    /// The same for a function that the application's owner made on the upstream.
    fn execute_holds_for_functions_made_upstream(shop: fresh) {
        let (truth, admin) = (shop.truth(), shop.admin());
        truth.run(&format!("SET ROLE shop_owner; {DEALS}; {FILLED}; {}; RESET ROLE", approve("SECURITY DEFINER SET search_path = public, pg_temp")));
        until("the function to be found", || admin.try_rows("GRANT EXECUTE ON FUNCTION approve_deal TO hr").ok());
        admin.run("REVOKE EXECUTE ON FUNCTION approve_deal FROM hr");
        is_a_boundary(shop, &admin);
    }

    /// With its caller's rights a function meets filters and masks; with its definer's it does not, and has to ask for itself.
    fn filters_bind_functions_with_their_callers_rights(shop: fresh) {
        let admin = shop.admin();
        let body = "AS $$ BEGIN RETURN (SELECT count(*) FROM public.orders); END $$";
        admin.run(&format!("CREATE FUNCTION public.invoked() RETURNS bigint LANGUAGE plpgsql {body}"));
        admin.run(&format!("CREATE FUNCTION public.defined() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp {body}"));
        admin.run("GRANT EXECUTE ON SCHEMA public TO analysts");
        let ana = shop.ana();
        if shop.mechanism == crate::harness::Mechanism::Rls {
            assert_eq!(ana.one("SELECT invoked()"), shop.truth().one("SELECT count(*) FROM orders WHERE region = 'EMEA'"));
        } else {
            // The filtered view is all that the session's role may read.
            ana.refused("SELECT invoked()", "42501");
        }
        assert_eq!(ana.one("SELECT defined()"), shop.truth().one("SELECT count(*) FROM orders"));
    }

    /// What a definer's function means must not be up to its caller.
    fn a_function_with_its_definers_rights_keeps_its_search_path(shop: fresh) {
        let admin = shop.admin();
        let refused = |sql: &str| {
            let refusal = admin.refused(sql, "0A000");
            assert!(refusal.hint.is_some_and(|hint| hint.contains("pg_temp")), "{sql}");
        };
        for rights in ["SECURITY DEFINER", "SECURITY DEFINER SET search_path = public", "SECURITY DEFINER SET search_path = pg_temp, public"] {
            refused(&format!("CREATE FUNCTION public.f() RETURNS integer LANGUAGE plpgsql {rights} AS $$ BEGIN RETURN 1; END $$"));
        }
        admin.run("CREATE FUNCTION public.f() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$ BEGIN RETURN 1; END $$");
        until("the function to be known", || admin.try_rows("ALTER FUNCTION public.f() COST 10").ok());
        for change in ["RESET search_path", "RESET ALL", "SET search_path = public", "SET search_path TO DEFAULT"] {
            refused(&format!("ALTER FUNCTION public.f() {change}"));
        }
        admin.run("ALTER FUNCTION public.f() SET search_path = public, pg_temp");
    }

    /// Defaults, checks, domains and triggers are the choice of whoever owns the table or the type: writers need no EXECUTE for them.
    fn what_a_table_calls_by_itself_needs_no_execute(shop: fresh) {
        let (truth, admin) = (shop.truth(), shop.admin());
        truth.run(
            "SET ROLE shop_owner; \
             CREATE FUNCTION public.stamp() RETURNS text LANGUAGE sql AS $$ SELECT 'stamped'::text $$; \
             CREATE FUNCTION public.is_fine(text) RETURNS boolean LANGUAGE sql AS $$ SELECT $1 <> 'bad' $$; \
             CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.loud := upper(NEW.word); RETURN NEW; END $$; \
             CREATE DOMAIN public.fine AS text CHECK (public.is_fine(VALUE)); \
             CREATE TABLE public.words (word public.fine, mark text DEFAULT public.stamp(), loud text, CHECK (public.is_fine(mark))); \
             CREATE TRIGGER shout BEFORE INSERT ON public.words FOR EACH ROW EXECUTE FUNCTION public.shout(); RESET ROLE",
        );
        until("the table to be found", || admin.try_rows("GRANT SELECT, MODIFY ON TABLE words TO analysts").ok());
        let ana = shop.ana();
        assert_eq!(ana.affected("INSERT INTO words (word) VALUES ('good')"), 1);
        assert_eq!(ana.rows("SELECT * FROM words"), [["good", "stamped", "GOOD"]]);
        ana.refused("INSERT INTO words (word) VALUES ('bad')", "23514");
        ana.refused("SELECT stamp()", "42501");
        ana.refused("SELECT is_fine('x')", "42501");
    }

    /// Who asks is the person in bodies too: PostgreSQL's own words in SQL that came through pgusher, pgusher's elsewhere.
    fn bodies_ask_who_is_there(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE FUNCTION public.who() RETURNS text LANGUAGE sql AS $$ SELECT current_user || ' ' || is_member('analysts') $$");
        admin.run("CREATE FUNCTION public.who_pl() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN pgusher.session_user() || ' ' || pgusher.is_member('analysts'); END $$");
        admin.run("GRANT EXECUTE ON SCHEMA public TO users");
        for (person, answer) in [("ana@example.com", "ana@example.com true"), ("ivan@example.com", "ivan@example.com false")] {
            let client = shop.connect(person);
            assert_eq!(client.one("SELECT who()"), answer);
            assert_eq!(client.one("SELECT who_pl()"), answer);
            assert_eq!(client.one("SELECT count(*) FROM regions WHERE who() = '' OR who_pl() = ''").len(), 1);
        }
    }

    /// The constructors of a range type are the server's own code.
    fn range_constructors_need_no_execute(shop: fresh) {
        let (truth, admin, ana) = (shop.truth(), shop.admin(), shop.ana());
        truth.run("SET ROLE shop_owner; CREATE TYPE public.\"Span\" AS RANGE (subtype = float8, multirange_type_name = spans); CREATE FUNCTION public.probe() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$; RESET ROLE");
        until("the type to be found", || admin.try_rows("GRANT EXECUTE ON FUNCTION probe TO hr").ok());
        assert_eq!(ana.one("SELECT \"Span\"(1, 2) @> 1.5::float8"), "t");
        assert_eq!(ana.one("SELECT spans(public.\"Span\"(1, 2, '[]'))"), "{[1,2]}");
        ana.refused("SELECT probe()", "42501");
    }

    /// A channel that is not written out is looked at when the call runs.
    fn pg_notify_reaches_channels_that_are_not_ours(shop: shared) {
        let ana = shop.ana();
        assert_eq!(ana.headings("SELECT pg_notify('the_bell', 'ding')"), ["pg_notify"]);
        assert_eq!(ana.headings("SELECT pg_catalog.pg_notify('the_' || 'bell', 'ding')"), ["pg_notify"]);
        let notify = ana.prepare("SELECT pg_notify($1, $2)");
        assert_eq!(ana.query("SELECT pg_notify('the_bell', $1)", &[&"ding"]).len(), 1);
        assert!(ana.try_execute(&notify, &[&"the_bell", &"ding"]).is_ok());
        assert_eq!(ana.try_execute(&notify, &[&"pgusher_policy", &"1"]).expect_err("it is ours").code, "42501");
        for ours in ["SELECT pg_notify('pgusher_policy', '1')", "SELECT pg_notify('pgusher' || '_policy', '1')", "SELECT pg_catalog.pg_notify(lower('PGUSHER_policy'), '1')"] {
            ana.refused(ours, "42501");
        }
    }
}
