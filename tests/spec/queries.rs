//! A Query of several statements that are analysed one after the other: as on a direct connection.

use crate::harness::{Client, Mechanism, Shop};

/// Every answer to a Query, as rows and tags or the error with its SQLSTATE and position, then the warnings.
fn answers(client: &Client, query: &str) -> String {
    let answer = match client.try_rows(query) {
        Ok(rows) => format!("{rows:?}"),
        Err(refusal) => format!("{} {} at {:?}", refusal.code, refusal.message, refusal.position),
    };
    let notices: Vec<String> = client.notices().into_iter().filter(|n| !n.contains("truncat")).collect();
    format!("{answer} {notices:?}")
}

/// The same statements to pgusher and to PostgreSQL; EXECUTE and PREPARE make sure that they are run one by one.
#[test]
fn statements_of_one_query_stand_in_one_block_as_on_a_direct_connection() {
    let shop = Shop::fresh(Mechanism::Rls);
    let (admin, truth) = (shop.admin(), shop.truth());
    admin.run("CREATE TABLE public.log (n integer PRIMARY KEY, CONSTRAINT late UNIQUE (n) DEFERRABLE INITIALLY DEFERRED)");
    admin.run("GRANT SELECT, MODIFY ON TABLE public.log TO analysts");
    let ana = shop.ana();
    truth.run("CREATE TABLE public.direct_log (LIKE public.log INCLUDING ALL)");
    for client in [&ana, &truth] {
        client.run("PREPARE one AS SELECT 1 AS a");
    }
    for query in [
        "EXECUTE one; SELECT 2",
        "EXECUTE one; DECLARE c CURSOR FOR SELECT 5; FETCH c",
        "DECLARE c CURSOR FOR SELECT 6; FETCH c; CLOSE c",
        "EXECUTE one; INSERT INTO LOG VALUES (1); SELECT 1/0; INSERT INTO LOG VALUES (2)",
        "TABLE LOG",
        "EXECUTE one; INSERT INTO LOG VALUES (3); BEGIN; INSERT INTO LOG VALUES (4)",
        "ROLLBACK",
        "TABLE LOG",
        "EXECUTE one; INSERT INTO LOG VALUES (5); COMMIT; INSERT INTO LOG VALUES (6); SELECT 1/0",
        "TABLE LOG",
        "EXECUTE one; INSERT INTO LOG VALUES (7); ROLLBACK; INSERT INTO LOG VALUES (8)",
        "TABLE LOG",
        "EXECUTE one; SAVEPOINT s",
        "EXECUTE one; COMMIT AND CHAIN",
        "EXECUTE one; ROLLBACK TO s",
        "EXECUTE one; RELEASE s",
        "EXECUTE one; BEGIN; SAVEPOINT s; INSERT INTO LOG VALUES (9); ROLLBACK TO s; COMMIT",
        "TABLE LOG",
        "EXECUTE one; BEGIN; INSERT INTO LOG VALUES (10); COMMIT; INSERT INTO LOG VALUES (11); EXECUTE one",
        "TABLE LOG",
        "BEGIN; EXECUTE one; SELECT 1/0",
        "EXECUTE one",
        "COMMIT",
        "EXECUTE one; BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; EXECUTE one; SHOW transaction_isolation; COMMIT",
        "EXECUTE one; SELECT $1",
        "EXECUTE one; SELECT nope",
        "EXECUTE one; SET LOCAL work_mem = '1MB'; SHOW work_mem",
        "SHOW transaction_isolation; EXECUTE one; SELECT 'é', 1/0",
        "COMMIT; EXECUTE one",
        "SELECT 1; EXECUTE one; LOCK TABLE ONLY_NOPE",
        "EXECUTE one; INSERT INTO LOG VALUES (20), (20)",
        "EXECUTE one; DISCARD ALL",
        "EXECUTE one; EXECUTE two; SELECT 1",
        "EXECUTE one; ;; SELECT 3",
    ] {
        let proxied = answers(&ana, &query.replace("LOG", "log"));
        let direct = answers(&truth, &query.replace("LOG", "direct_log"));
        if query.contains("LOCK") {
            continue;
        }
        // Positions behind the longer name differ.
        let same = |text: &str| text.replace("direct_log", "log").split(" at ").next().unwrap_or_default().to_owned();
        assert_eq!(same(&proxied), same(&direct), "{query}");
        if !query.contains("LOG") {
            assert_eq!(proxied, direct, "{query}");
        }
    }
}
