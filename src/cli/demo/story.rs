//! What the demo says: its configuration, its `demo.env`, and what to try.

use std::fmt::Write;
use std::path::PathBuf;

/// Where everything is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    pub(super) http_port: u16,
    pub(super) upstream_port: u16,
    pub(super) database: &'static str,
}

/// A principal with its token.
#[derive(Debug)]
pub(super) struct Pass {
    /// The beginning of its variables' names.
    pub(super) prefix: &'static str,
    pub(super) user: &'static str,
    pub(super) token: String,
}

/// Everybody's; the administrator's first.
pub(super) type Passes = Vec<Pass>;

/// The administrator.
pub(super) const ADMIN: &str = "admin@example.com";

/// The others, with the beginnings of their variables' names.
pub(super) const PEOPLE: [(&str, &str); 5] = [
    ("ANA", "ana@example.com"),
    ("BOB", "bob@example.com"),
    ("HANA", "hana@example.com"),
    ("IVAN", "ivan@example.com"),
    ("BI_TOOL", "bi_tool"),
];

/// What [`tell`] compares with: orders in all, of EMEA, of AMER, of Ana's own, and a real social security number.
pub(super) const TRUTH: &str = "SELECT count(*), count(*) FILTER (WHERE region = 'EMEA'), count(*) FILTER (WHERE region = 'AMER'), \
    count(*) FILTER (WHERE sales_rep = 'ana@example.com'), (SELECT ssn FROM employees WHERE id = 7) FROM orders";

/// The configuration file of the demo.
pub(super) fn configuration(upstream_port: u16, port: u16, http_port: u16, database: &str) -> String {
    format!(
        "[listen]\naddresses = [\"127.0.0.1\"]\nport = {port}\ndrain_timeout_ms = 1000\n\n\
         [upstream]\nhost = \"127.0.0.1\"\nport = {upstream_port}\ndatabase = \"{database}\"\n\
         session_password_file = \"session.password\"\ncontrol_password_file = \"control.password\"\n\n\
         [http]\naddress = \"127.0.0.1:{http_port}\"\n\n[log]\nlevel = \"warn\"\nformat = \"text\"\n"
    )
}

/// `demo.env`, in shell syntax.
pub(super) fn environment(place: &Place, passes: &[Pass]) -> String {
    let mut text = format!(
        "PGUSHER_HOST='127.0.0.1'\nPGUSHER_PORT='{}'\nPGUSHER_HTTP_PORT='{}'\nPGUSHER_DATABASE='{}'\nPGUSHER_UPSTREAM_PORT='{}'\n",
        place.port, place.http_port, place.database, place.upstream_port
    );
    for Pass { prefix, user, token } in passes {
        let _ = writeln!(text, "{prefix}_USER='{user}'\n{prefix}_TOKEN='{token}'");
    }
    text
}

/// What a person reads when everything stands.
pub(super) fn tell(place: &Place, passes: &[Pass], truth: &[String]) -> String {
    let fact = |at: usize| truth.get(at).map_or("?", String::as_str);
    let mut text = String::from("\nThe shop is open. Everybody's password is their token:\n\n");
    for Pass { user, token, .. } in passes {
        let role = match *user {
            "admin@example.com" => "administrator",
            "ana@example.com" => "analyst, EMEA",
            "bob@example.com" => "analyst, AMER",
            "hana@example.com" => "human resources",
            "ivan@example.com" => "intern",
            _ => "service principal",
        };
        let at = format!("host=127.0.0.1 port={} dbname={} user={user}", place.port, place.database);
        let _ = writeln!(text, "  # {role}\n  PGPASSWORD={token} psql '{at}'");
    }
    if let Some(ana) = passes.iter().find(|p| p.prefix == "ANA") {
        let user = ana.user.replace('@', "%40");
        let _ = write!(
            text,
            "\n  # JDBC, as Ana\n  jdbc:postgresql://127.0.0.1:{}/{}?user={user}&password={}\n",
            place.port, place.database, ana.token
        );
    }
    let (all, emea, amer, own, ssn) = (fact(0), fact(1), fact(2), fact(3), fact(4));
    let tries = [
        ("SELECT count(*) FROM orders;".to_owned(), format!("{all} for the administrator, {emea} for Ana, {amer} for Bob")),
        ("SELECT count(*) FROM my_orders;".to_owned(), format!("{own} for Ana: her own")),
        (
            "SELECT name, email, ssn, salary FROM employees;".to_owned(),
            "masks for Ana, values for Hana, permission denied for Ivan".to_owned(),
        ),
        (
            format!("SELECT * FROM employees WHERE ssn = '{ssn}';"),
            "a row for Hana, none for Ana: masks come before WHERE".to_owned(),
        ),
        ("SELECT * FROM employees ORDER BY salary DESC LIMIT 5;".to_owned(), "for Ana the order tells nothing".to_owned()),
        (
            "GRANT SELECT ON TABLE employees TO \"ivan@example.com\";".to_owned(),
            "as the administrator: Ivan's next statement works".to_owned(),
        ),
        ("SHOW GRANTS ON TABLE orders;".to_owned(), "as the administrator: who may do what".to_owned()),
        (
            "EXPLAIN ACCESS FOR \"ivan@example.com\" SELECT * FROM employees;".to_owned(),
            "as the administrator: why, or why not".to_owned(),
        ),
    ];
    text.push_str("\nTry:\n");
    for (statement, outcome) in tries {
        let _ = writeln!(text, "  {statement}\n      -- {outcome}");
    }
    let _ = write!(
        text,
        "\nAll of it as shell variables: {}\nHealth and metrics: http://127.0.0.1:{}/metrics\nCtrl-C ends it.\n",
        place.folder.join("demo.env").display(),
        place.http_port
    );
    text
}
