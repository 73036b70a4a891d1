//! Whoever the client is and however it came in: the human, on every path. The table goes into docs/identity.md.

use serde_json::json;

use super::acting::acting;
use super::certificates::{by_certificate, proxy};
use super::oauthbearer::logged_in;
use super::pooling::sharing;
use super::scram::{by_scram, generated};
use crate::harness::{Client, Issuer, Mechanism, Pki, RawClient, Shop, frame, table_of};

const ANA: &str = "ana@example.com";
const BI: &str = "bi_tool";

/// Where in a session identity is asked for, and how.
const PLACES: [(&str, &str); 6] = [
    ("statement", "SELECT current_user(), is_member('analysts')"),
    ("prepared statement", "EXECUTE who"),
    ("function (SQL)", "SELECT w.who, w.within FROM public.who_am_i() AS w"),
    ("function (definer's rights)", "SELECT w.who, w.within FROM public.who_defines() AS w"),
    ("view", "SELECT who, within FROM public.who_looks"),
    ("row filter", "SELECT who, within FROM public.who_reads"),
];

fn furnish(shop: &Shop) {
    let admin = shop.admin();
    for sql in [
        "CREATE FUNCTION public.who_am_i(OUT who text, OUT within boolean) LANGUAGE sql STABLE AS 'SELECT current_user(), is_member(''analysts'')'",
        "CREATE FUNCTION public.who_defines(OUT who text, OUT within boolean) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT current_user(), is_member(''analysts'')'",
        "CREATE VIEW public.who_looks AS SELECT current_user() AS who, is_member('analysts') AS within",
        "CREATE TABLE public.who_reads (who text, within boolean)",
        "INSERT INTO public.who_reads SELECT p.who, within FROM (VALUES ('ana@example.com'), ('bob@example.com'), ('bi_tool')) AS p (who), (VALUES (true), (false)) AS w (within)",
        "ALTER TABLE public.who_reads SET ROW FILTER (who = current_user() AND within = is_member('analysts'))",
        "GRANT SELECT ON TABLE public.who_reads TO users",
        "GRANT SELECT ON VIEW public.who_looks TO users",
        "GRANT EXECUTE ON FUNCTION public.who_am_i TO users",
        "GRANT EXECUTE ON FUNCTION public.who_defines TO users",
        "GRANT ACT FOR USER \"ana@example.com\" TO bi_tool",
    ] {
        admin.run(sql);
    }
}

/// A session's simple queries.
type Ask = Box<dyn FnMut(&str) -> Vec<Vec<String>>>;

fn of(client: Client) -> Ask {
    Box::new(move |sql| client.rows(sql))
}

/// The same on the only connection there is, which somebody else has before every statement; by a prepared statement of the protocol,
/// for one of SQL would keep the connection.
fn of_shared(client: Client, other: Client) -> Ask {
    let mut prepared = None;
    Box::new(move |sql| {
        assert_eq!(other.one("SELECT current_user() || is_member('analysts')"), "hana@example.comfalse");
        match (sql.strip_prefix("PREPARE who AS "), sql) {
            (Some(query), _) => {
                prepared = Some(client.prepare(query));
                Vec::new()
            }
            (None, "EXECUTE who") => {
                let statement = prepared.as_ref().expect("it was prepared");
                let rows = client.try_execute(statement, &[]).expect("it runs");
                let member = if rows[0].get(1) { "t" } else { "f" };
                vec![vec![rows[0].get(0), member.to_owned()]]
            }
            (None, _) => client.rows(sql),
        }
    })
}

fn of_raw(mut raw: RawClient) -> Ask {
    Box::new(move |sql| {
        raw.send(&[frame::query(sql)]);
        let texts = |values: Vec<Option<Vec<u8>>>| {
            values.into_iter().map(|value| String::from_utf8(value.unwrap_or_default()).expect("text")).collect()
        };
        raw.until_ready().iter().filter(|frame| frame.tag == 'D').map(|frame| texts(frame.values())).collect()
    })
}

/// What each place says: `who, member`.
fn says(ask: &mut Ask) -> Vec<String> {
    ask("PREPARE who AS SELECT current_user(), is_member('analysts')");
    let mut told = |(place, sql): &(&str, &str)| {
        let rows = ask(sql);
        assert_eq!(rows.len(), 1, "{place}: {rows:?}");
        format!("{}, {}", rows[0][0], rows[0][1])
    };
    PLACES.iter().map(&mut told).collect()
}

#[test]
fn every_path_gives_the_human() {
    let issuer = Issuer::start();
    let shop = Shop::configured(Mechanism::Rls, &issuer.settings(""));
    furnish(&shop);
    let jwt = issuer.token(ANA);
    let acted = issuer.claiming(ANA, json!({"act": {"sub": "agent"}}));
    let consented = issuer.claiming(ANA, json!({"may_act": {"sub": BI}}));
    let (_, password) = generated(&shop.ana(), ANA, "");
    let pki = Pki::new();
    let secured = proxy(&shop, &pki, "client_certificates = \"either\"\n");
    let renewed = acting(&shop, BI, shop.token(BI), ANA).expect("granted");
    renewed.run("DISCARD ALL");
    let pooled = sharing(Mechanism::Rls, 1, "");
    furnish(&pooled);
    let paths = [
        ("token", of(shop.ana())),
        ("JWT", of(shop.try_connect(ANA, &jwt).expect("a good JWT"))),
        ("password by SCRAM-SHA-256", of(by_scram(&shop, ANA, &password).expect("her password"))),
        ("certificate", of_raw(by_certificate(&shop, &pki, secured.port, ANA, &pki.client(ANA, |_| {})))),
        ("JWT by OAUTHBEARER", of_raw(logged_in(&shop, ANA, &jwt))),
        ("on behalf of, by the claim `act`", of(shop.try_connect(ANA, &acted).expect("a good JWT"))),
        ("on behalf of, by the option (the person's JWT)", of(acting(&shop, BI, shop.token(BI), &consented).expect("allowed"))),
        ("on behalf of, by the option (a name)", of(acting(&shop, BI, shop.token(BI), ANA).expect("granted"))),
        ("the same after DISCARD ALL", of(renewed)),
        ("token, on a connection that others share", of_shared(pooled.ana(), pooled.hana())),
    ];
    let places: Vec<&str> = PLACES.iter().map(|(place, _)| *place).collect();
    let mut table = format!("| way in | {} |\n|---|{}\n", places.join(" | "), "---|".repeat(places.len()));
    for (path, mut ask) in paths {
        let said = says(&mut ask);
        assert_eq!(said, vec![format!("{ANA}, t"); PLACES.len()], "{path}");
        table.push_str(&format!("| {path} | {} |\n", said.join(" | ")));
    }
    table_of("identity", "identity_paths", &table);
}
