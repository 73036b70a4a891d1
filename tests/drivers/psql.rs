//! psql: scripts, variables, cursors behind its back, copies, what it says of errors.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{ADMIN, Shop, both_mechanisms, program};

const ANA: &str = "ana@example.com";
const BOB: &str = "bob@example.com";
const IVAN: &str = "ivan@example.com";

/// What psql printed and how it ended.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: i32,
}

/// A psql to be run: bare rows, no start-up file, nothing from the surroundings.
pub struct Psql {
    command: Command,
}

impl Psql {
    /// As a principal through the proxy.
    pub fn of(shop: &Shop, user: &str) -> Psql {
        Self::at(shop.proxy.port, &shop.database, user, shop.token(user))
    }

    /// As the superuser, straight to the upstream.
    pub fn direct(shop: &Shop) -> Psql {
        Self::at(shop.upstream.port, &shop.database, "postgres", "postgres")
    }

    /// At any port with any password.
    pub fn at(port: u16, database: &str, user: &str, password: &str) -> Psql {
        let mut command = Command::new("timeout");
        command.args(["60", &program("psql"), "-X", "-q", "-A", "-t", "-w"]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGDATABASE", database);
        command.env("PGUSER", user).env("PGPASSWORD", password).env("LC_ALL", "C.UTF-8").env("PAGER", "");
        Psql { command }
    }

    /// With more arguments.
    pub fn with(mut self, arguments: &[&str]) -> Psql {
        self.command.args(arguments);
        self
    }

    /// With these variables of libpq's besides.
    pub fn among(mut self, variables: &[(String, String)]) -> Psql {
        self.command.envs(variables.iter().cloned());
        self
    }

    /// Runs the commands given as arguments.
    pub fn run(self) -> Said {
        self.script("")
    }

    /// Runs a script from standard input.
    pub fn script(mut self, text: &str) -> Said {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("psql does not start ({e}): run `make setup`"));
        let mut input = child.stdin.take().expect("a pipe to psql");
        let text = text.to_string();
        let writer = std::thread::spawn(move || {
            // psql may have stopped reading after an error.
            let _ = input.write_all(text.as_bytes());
        });
        let output = child.wait_with_output().expect("psql ends");
        writer.join().expect("the script is written");
        Said {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }
}

impl Said {
    /// What it printed; it must have ended well and without a complaint.
    pub fn well(self) -> String {
        assert!(self.code == 0 && self.err.is_empty(), "{self:?}");
        self.out
    }
}

fn one(shop: &Shop, sql: &str) -> String {
    shop.truth().one(sql)
}

fn own_orders(shop: &Shop) -> String {
    one(shop, "SELECT count(*) FROM orders WHERE region = 'EMEA'")
}

fn with_intake(shop: &Shop) {
    let admin = shop.admin();
    admin.run("CREATE TABLE intake (id integer PRIMARY KEY, word text)");
    admin.run("GRANT SELECT, MODIFY ON TABLE intake TO analysts");
}

both_mechanisms! {
    fn each_analyst_counts_their_own_rows(shop: shared) {
        for (user, region) in [(ANA, "EMEA"), (BOB, "AMER")] {
            let counted = Psql::of(shop, user).with(&["-c", "SELECT count(*) FROM orders"]).run().well();
            assert_eq!(counted.trim(), one(shop, &format!("SELECT count(*) FROM orders WHERE region = '{region}'")));
        }
    }

    fn masks_are_shown_to_analysts_and_values_to_hr(shop: shared) {
        let sql = "SELECT name, email, ssn, salary FROM employees WHERE id = 7";
        let truth = Psql::direct(shop).with(&["-c", sql]).run().well();
        assert_eq!(Psql::of(shop, "hana@example.com").with(&["-c", sql]).run().well(), truth);
        let fields: Vec<&str> = truth.trim().split('|').collect();
        let masked = format!("{}|{}***@example.com|***-**-{}|0\n", fields[0], &fields[1][..1], &fields[2][7..]);
        assert_eq!(Psql::of(shop, ANA).with(&["-c", sql]).run().well(), masked);
    }

    fn several_statements_of_one_command_all_answer(shop: shared) {
        let said = Psql::of(shop, ANA).with(&["-c", "SELECT 1; SELECT count(*) FROM orders; SELECT current_user"]).run().well();
        assert_eq!(said, format!("1\n{}\nana@example.com\n", own_orders(shop)));
        let said = Psql::of(shop, ANA).with(&["-c", "SELECT 'first'", "-c", "SELECT 'second'"]).run().well();
        assert_eq!(said, "first\nsecond\n");
    }

    fn several_statements_of_one_command_are_one_transaction(shop: fresh) {
        with_intake(shop);
        let said = Psql::of(shop, ANA).with(&["-c", "INSERT INTO intake VALUES (1); SELECT * FROM region_desk"]).run();
        assert!(said.code == 1 && said.err.contains("permission denied for table region_desk"), "{said:?}");
        assert_eq!(one(shop, "SELECT count(*) FROM intake"), "0");
    }

    fn on_error_stop_ends_the_script_at_the_refusal(shop: shared) {
        let script = "SELECT 'before';\nSELECT * FROM region_desk;\nSELECT 'after';\n";
        let stopped = Psql::of(shop, ANA).with(&["-v", "ON_ERROR_STOP=1"]).script(script);
        assert_eq!((stopped.out.as_str(), stopped.code), ("before\n", 3), "{stopped:?}");
        let gone_on = Psql::of(shop, ANA).script(script);
        assert_eq!((gone_on.out.as_str(), gone_on.code), ("before\nafter\n", 0), "{gone_on:?}");
        assert!(gone_on.err.contains("ERROR:  permission denied for table region_desk"), "{gone_on:?}");
    }

    fn a_single_transaction_script_leaves_nothing_after_a_refusal(shop: fresh) {
        with_intake(shop);
        let script = "INSERT INTO intake VALUES (1);\nSELECT * FROM region_desk;\nINSERT INTO intake VALUES (2);\n";
        let said = Psql::of(shop, ANA).with(&["-1", "-v", "ON_ERROR_STOP=1", "-f", "-"]).script(script);
        assert_eq!(said.code, 3, "{said:?}");
        assert_eq!(one(shop, "SELECT count(*) FROM intake"), "0");
    }

    fn on_error_rollback_keeps_the_transaction_by_savepoints(shop: shared) {
        let script = "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1;\nSELECT * FROM region_desk;\nSELECT 2;\nSELECT 1/0;\nSELECT 3;\nCOMMIT;\n";
        let said = Psql::of(shop, ANA).script(script);
        assert_eq!(said.out, "1\n2\n3\n", "{said:?}");
    }

    fn without_autocommit_a_refusal_fails_the_transaction(shop: shared) {
        let script = "\\set AUTOCOMMIT off\nSELECT 1;\nSELECT * FROM region_desk;\nSELECT 2;\nROLLBACK;\nSELECT 3;\n";
        let said = Psql::of(shop, ANA).script(script);
        assert_eq!(said.out, "1\n3\n", "{said:?}");
        assert!(said.err.contains("current transaction is aborted, commands ignored until end of transaction block"), "{said:?}");
    }

    fn a_fetch_count_reads_own_rows_through_a_cursor(shop: shared) {
        let said = Psql::of(shop, ANA).script("\\set FETCH_COUNT 7\nSELECT id, region FROM orders ORDER BY id;\nSELECT salary FROM employees WHERE salary > 0;\n");
        let direct = Psql::direct(shop).with(&["-c", "SELECT id, region FROM orders WHERE region = 'EMEA' ORDER BY id"]).run();
        assert_eq!(said.well(), direct.well());
    }

    fn variables_are_spliced_by_psql_and_checked_as_its_text(shop: shared) {
        let script = "\\set wanted 'AMER'\n\\set table orders\nSELECT count(*) FROM :\"table\" WHERE region = :'wanted';\n\
                      SELECT max(id) AS newest, min(id) AS oldest FROM orders \\gset\nSELECT region FROM orders WHERE id = :newest;\n\
                      \\if :{?oldest}\nSELECT 'known';\n\\else\nSELECT 'unknown';\n\\endif\n";
        assert_eq!(Psql::of(shop, ANA).script(script).well(), "0\nEMEA\nknown\n");
    }

    fn generated_statements_are_checked_like_typed_ones(shop: shared) {
        let script = "SELECT format('SELECT count(*) FROM %I', t) FROM unnest(ARRAY['orders', 'region_desk']) AS t \\gexec\n";
        let said = Psql::of(shop, ANA).script(script);
        assert_eq!(said.out.trim(), own_orders(shop), "{said:?}");
        assert!(said.err.contains("permission denied for table region_desk"), "{said:?}");
    }

    fn gdesc_describes_without_running(shop: shared) {
        let said = Psql::of(shop, ANA).script("SELECT id, amount, region AS r FROM orders \\gdesc\nSELECT * FROM employees \\gdesc\n").well();
        assert!(said.starts_with("id|bigint\namount|numeric(12,2)\nr|text\n"), "{said}");
        assert!(said.contains("salary|integer\nssn|text\n"), "{said}");
        let refused = Psql::of(shop, IVAN).script("SELECT * FROM employees \\gdesc\n");
        assert!(refused.err.contains("permission denied"), "{refused:?}");
    }

    fn copies_to_the_client_give_own_rows(shop: shared) {
        let said = Psql::of(shop, ANA).script("\\copy orders (region) to stdout\n\\copy (SELECT DISTINCT salary, left(ssn, 6) AS ssn FROM employees) to stdout csv header\nCOPY employees (salary) TO STDOUT;\n").well();
        let own: usize = own_orders(shop).parse().expect("a number");
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[..own].iter().all(|l| *l == "EMEA"), "{said}");
        assert_eq!(lines[own..own + 2], ["salary,ssn", "0,***-**"]);
        assert!(lines[own + 2..].len() == 200 && lines[own + 2..].iter().all(|l| *l == "0"), "{said}");
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        Psql::of(shop, ANA).script(&format!("\\copy employees to '{}' binary\n", file.path().display())).well();
        let written = std::fs::read(file.path()).expect("the copy");
        assert!(written.starts_with(b"PGCOPY\n"), "a binary copy");
    }

    fn copies_from_the_client_store_rows(shop: fresh) {
        with_intake(shop);
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        let lines: String = (1..=20_000).map(|n| format!("{n},word {n}\n")).collect();
        std::fs::write(file.path(), lines).expect("the file to copy");
        Psql::of(shop, ANA).script(&format!("\\copy intake from '{}' csv\n", file.path().display())).well();
        Psql::of(shop, ANA).script("COPY intake FROM STDIN;\n30001\tinline\n30002\t\\N\n\\.\nSELECT count(*) FROM intake;\n").well();
        assert_eq!(one(shop, "SELECT count(*) FROM intake"), "20002");
        let broken = Psql::of(shop, ANA).script("COPY intake FROM STDIN;\n1\ttwice\n\\.\nSELECT 'still here';\n");
        assert_eq!(broken.out, "still here\n", "{broken:?}");
        assert!(broken.err.contains("duplicate key value"), "{broken:?}");
    }

    fn copies_from_the_client_respect_the_row_filter(shop: fresh) {
        let copy = "COPY orders (customer_id, region, sales_rep, status, ordered_on, note) FROM STDIN;\n";
        let line = |region: &str| format!("1\t{region}\tana@example.com\topen\t2025-11-05\tpsql\n");
        Psql::of(shop, ANA).script(&format!("{copy}{}{}\\.\n", line("EMEA"), line("EMEA"))).well();
        let refused = Psql::of(shop, ANA).script(&format!("{copy}{}{}\\.\n", line("EMEA"), line("AMER")));
        assert!(refused.err.contains("ERROR:"), "{refused:?}");
        assert_eq!(one(shop, "SELECT count(*) FROM orders WHERE note = 'psql'"), "2");
    }

    fn errverbose_shows_the_sqlstate(shop: shared) {
        let said = Psql::of(shop, IVAN).script("SELECT * FROM employees;\n\\errverbose\n");
        assert!(said.out.is_empty(), "{said:?}");
        assert!(said.err.contains("ERROR:  42501: permission denied for table employees"), "{said:?}");
        assert!(said.err.contains("DETAIL:  ") && said.err.contains("HINT:  "), "{said:?}");
        let verbose = Psql::of(shop, IVAN).with(&["-v", "VERBOSITY=verbose", "-c", "SELECT 1/0"]).run();
        assert!(verbose.err.contains("ERROR:  22012: division by zero"), "{verbose:?}");
        let state = Psql::of(shop, IVAN).script("SELECT * FROM nowhere;\n\\echo :SQLSTATE :ERROR\n");
        assert_eq!(state.out, "42P01 true\n", "{state:?}");
    }

    fn a_syntax_error_points_at_its_place(shop: shared) {
        let said = Psql::of(shop, ANA).with(&["-c", "SELECT id\nFROM orders\nWHERE id === 1 AND"]).run();
        assert!(said.code == 1 && said.err.contains("LINE 3:"), "{said:?}");
        let unknown = Psql::of(shop, ANA).with(&["-c", "SELECT 1 AS a, nothing FROM orders"]).run();
        assert!(unknown.err.contains("column \"nothing\" does not exist") && unknown.err.contains("LINE 1:"), "{unknown:?}");
        let caret = unknown.err.lines().nth(2).map(|l| l.find('^'));
        assert_eq!(caret, Some("LINE 1: SELECT 1 AS a, nothing".find("nothing")), "{unknown:?}");
    }

    fn errors_of_the_upstream_point_into_the_clients_text(shop: shared) {
        let said = Psql::of(shop, ANA).with(&["-c", "SELECT current_user, amount FROM orders WHERE amount > 'many'"]).run();
        assert!(said.err.contains("invalid input syntax for type numeric: \"many\""), "{said:?}");
        let lines: Vec<&str> = said.err.lines().collect();
        assert_eq!(lines[2].find('^'), lines[1].find("'many'"), "{said:?}");
    }

    fn wrong_tokens_and_strangers_hear_the_same(shop: shared) {
        let heard = |user: &str, token: &str| {
            let said = Psql::at(shop.proxy.port, &shop.database, user, token).with(&["-c", "SELECT 1"]).run();
            assert_eq!(said.code, 2, "{said:?}");
            assert!(said.err.contains(&format!("password authentication failed for user \"{user}\"")), "{said:?}");
            said.err.replace(user, "someone").lines().filter(|l| l.contains("FATAL")).collect::<Vec<_>>().join("\n")
        };
        let wrong = heard(ANA, "pgu_wrong");
        assert_eq!(wrong, heard("nobody@example.com", "pgu_wrong"));
        assert_eq!(wrong, heard(ANA, shop.token(BOB)));
    }

    fn conninfo_and_reconnecting_know_the_principal(shop: shared) {
        let said = Psql::of(shop, ANA).script("\\conninfo\n\\c -\nSELECT current_user;\n\\echo :USER :DBNAME\n\\encoding\n").well();
        assert!(said.contains("as user \"ana@example.com\""), "{said}");
        assert!(said.ends_with(&format!("ana@example.com\nana@example.com {}\nUTF8\n", shop.database)), "{said}");
    }

    fn settings_of_the_environment_and_the_session_hold(shop: shared) {
        let mut psql = Psql::of(shop, ANA);
        psql.command.env("PGAPPNAME", "the till").env("PGTZ", "Asia/Tokyo").env("PGOPTIONS", "-c statement_timeout=5min");
        let said = psql.script("SHOW application_name;\nSHOW timezone;\nSHOW statement_timeout;\nSET work_mem = '8MB';\nSHOW work_mem;\nRESET work_mem;\nSET LOCAL datestyle = 'German';\n");
        assert!(said.out.starts_with("the till\nAsia/Tokyo\n5min\n8MB\n"), "{said:?}");
        assert!(said.err.contains("WARNING:  SET LOCAL can only be used in transaction blocks"), "{said:?}");
    }

    fn cursors_and_prepared_statements_work_by_their_sql(shop: shared) {
        let script = "BEGIN;\nDECLARE c SCROLL CURSOR FOR SELECT region FROM orders ORDER BY id;\nFETCH 2 FROM c;\nMOVE ABSOLUTE 0 IN c;\nFETCH NEXT FROM c;\nCLOSE c;\nCOMMIT;\n\
                      PREPARE p(text) AS SELECT count(*) FROM orders WHERE region = $1;\nEXECUTE p('AMER');\nEXECUTE p('EMEA');\nDEALLOCATE p;\n\
                      EXPLAIN SELECT 1;\n";
        let said = Psql::of(shop, ANA).script(script).well();
        let expected = format!("EMEA\nEMEA\nEMEA\n0\n{}\nResult  (cost=0.00..0.01 rows=1 width=4)\n", own_orders(shop));
        assert_eq!(said, expected);
    }

    fn a_grant_reaches_the_next_statement_of_an_open_session(shop: fresh) {
        let ivan = shop.ivan();
        ivan.refused("SELECT count(*) FROM employees", "42501");
        Psql::of(shop, ADMIN).with(&["-c", "GRANT SELECT ON TABLE employees TO `ivan@example.com`"]).run().well();
        assert_eq!(ivan.one("SELECT count(*) FROM employees"), "200");
        Psql::of(shop, ADMIN).with(&["-c", "REVOKE SELECT ON TABLE employees FROM `ivan@example.com`"]).run().well();
        ivan.refused("SELECT count(*) FROM employees", "42501");
        Psql::of(shop, ADMIN).with(&["-c", "BEGIN", "-c", "GRANT SELECT ON TABLE employees TO `ivan@example.com`", "-c", "ROLLBACK"]).run().well();
        ivan.refused("SELECT count(*) FROM employees", "42501");
    }

    fn the_demo_policies_run_as_a_script_and_show_themselves(shop: fresh) {
        let grants = Psql::of(shop, ADMIN).with(&["-c", "SHOW GRANTS ON TABLE orders"]).run().well();
        assert!(grants.contains("analysts") && grants.contains("SELECT"), "{grants}");
        let script = "DROP TABLE IF EXISTS nothing_here;\nCREATE TABLE made (id integer);\nCOMMENT ON TABLE made IS 'by a script';\nCREATE INDEX made_id ON made (id);\n\\pset tuples_only off\n\\d made\nDROP TABLE made;\n";
        let said = Psql::of(shop, ADMIN).with(&["-v", "ON_ERROR_STOP=1"]).script(script);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("id|integer") && said.out.contains("made_id"), "{said:?}");
    }
}
