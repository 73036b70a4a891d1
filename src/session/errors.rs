//! What upstream says of errors and notices, made fit for the client.
//!
//! Where a row filter or column mask applied, DETAIL, CONTEXT and internal queries may quote what the principal must not see, and
//! are withheld. Names of governed views are given back as the table's, positions as those in the client's own text.

use super::client_names::{ClientNames, replace_word};
use super::script::{Script, contains_folded};
use crate::sql::{Effect, Touched};

/// The fields of an ErrorResponse or NoticeResponse.
pub(super) type Fields = Vec<(u8, String)>;

/// The value of a field.
pub(super) fn field(fields: &Fields, kind: u8) -> Option<&str> {
    fields.iter().find(|(k, _)| *k == kind).map(|(_, text)| text.as_str())
}

/// What an error or notice came of.
pub(super) struct Setting<'a> {
    /// What the transaction touched.
    pub(super) touched: Touched,
    /// The script whose text upstream complains of, with the part when it was sent alone.
    pub(super) sent: Option<(&'a Script, Option<usize>)>,
    /// Who asked.
    pub(super) principal: &'a str,
    /// The names of things.
    pub(super) names: &'a ClientNames,
}

/// Makes an error or notice fit for the client.
pub(super) fn sanitise(fields: &mut Fields, setting: &Setting) {
    for kind in NAMING {
        rewrite(fields, kind, |text| setting.names.translate(text));
    }
    copied_into(fields, setting);
    as_written(fields, setting);
    let named = field(fields, SCHEMA).zip(field(fields, TABLE));
    let governed = named.is_some_and(|(schema, table)| setting.names.is_governed(schema, table));
    if governed || setting.touched.filtered || setting.touched.masked {
        withhold(fields);
    } else {
        // An internal query that is ours says nothing to the client.
        let ours = field(fields, INTERNAL_QUERY).is_some_and(|query| query.contains("pgusher"));
        let ours = ours || called(fields, setting.sent);
        fields.retain(|(kind, _)| !ours || !INTERNAL.contains(kind));
    }
    position(fields, setting.sent);
    for kind in [MESSAGE, DETAIL, HINT, CONTEXT] {
        rewrite(fields, kind, |text| client_roles(text, setting.principal));
    }
    as_table(fields, setting.names);
    // Row security names a restrictive policy; ours has no name for the client.
    rewrite(fields, MESSAGE, |message| message.contains(POLICY).then(|| message.replace(POLICY, "")));
}

/// Of an error or notice of a statement that a function of ours ran: what it would be without that function.
pub(super) fn unwrap(fields: &mut Fields, statement: Option<&str>) {
    let Some(statement) = statement else { return };
    if field(fields, INTERNAL_QUERY) == Some(statement) {
        let at = field(fields, INTERNAL_POSITION).map(str::to_owned);
        fields.retain(|(kind, _)| ![INTERNAL_POSITION, INTERNAL_QUERY, POSITION].contains(kind));
        fields.extend(at.map(|at| (POSITION, at)));
    }
    // Our own lines come last; the first of them quotes the statement, unless its position was told.
    let quoted = format!("\"{statement}\"\n");
    rewrite(fields, CONTEXT, |context| {
        let ours = OUR_FUNCTIONS.iter().filter_map(|name| context.find(name)).min()?;
        let before = context.get(..ours)?;
        let end = match before.rfind(&quoted) {
            Some(at) => at,
            None => ours,
        };
        let line = before.get(..end)?.rfind('\n').unwrap_or_default();
        Some(before.get(..line)?.to_owned())
    });
    fields.retain(|(kind, text)| *kind != CONTEXT || !text.is_empty());
}

/// Statements and portals of ours: as the client calls them, or without a name.
pub(super) fn as_called(fields: &mut Fields, called: impl Fn(&str) -> Option<String>) {
    rewrite(fields, MESSAGE, |message| {
        let at = message.find("\"pgusher$")?;
        let (before, rest) = (message.get(..at)?, message.get(at + 1..)?);
        let (ours, after) = rest.split_once('"').filter(|_| before.ends_with("statement ") || before.ends_with("portal "))?;
        Some(match called(ours) {
            Some(name) => format!("{before}\"{name}\"{after}"),
            None => format!("{}{after}", before.trim_end()),
        })
    });
}

/// Takes out what may quote hidden values.
fn withhold(fields: &mut Fields) {
    let code = field(fields, CODE).unwrap_or_default();
    // A value that stands in the client's own text, at a position there, is the client's.
    let quotes = code.starts_with("22") && field(fields, POSITION).is_none();
    // "Column … is a generated column."
    let harmless = code == GENERATED_ALWAYS;
    fields.retain(|(kind, text)| match *kind {
        DETAIL => harmless,
        CONTEXT => text.starts_with(COPYING),
        kind => !WITHHELD.contains(&kind),
    });
    // Where COPY stood in the client's own data is told, and nothing below it.
    rewrite(fields, CONTEXT, |text| text.split_once('\n').map(|(first, _)| first.to_owned()));
    if quotes {
        rewrite(fields, MESSAGE, |message| Some(without_value(message)));
    }
}

/// Whether a function that stands for one of PostgreSQL's in what was sent failed: the outermost line of the context is of it.
fn called(fields: &Fields, sent: Option<(&Script, Option<usize>)>) -> bool {
    let outermost = field(fields, CONTEXT).and_then(|context| context.lines().last()).unwrap_or_default();
    let Some((function, _)) = outermost.strip_prefix("PL/pgSQL function ").and_then(|rest| rest.split_once('(')) else {
        return false;
    };
    let call = format!("{OURS}{}(", function.strip_prefix(OURS).unwrap_or(function));
    sent.is_some_and(|(script, _)| script.parts.iter().any(|part| part.rewritten.text().contains(&call)))
}

/// The client's rows wait in a table of ours, which is called as the one that they are for.
fn copied_into(fields: &mut Fields, setting: &Setting) {
    let Some((script, _)) = setting.sent else { return };
    for part in &script.parts {
        if let Effect::CopyInGoverned(steps) = part.rewritten.effect() {
            for kind in NAMING {
                rewrite(fields, kind, |text| text.contains(WAITING).then(|| replace_word(text, WAITING, &steps.table)));
            }
        }
    }
}

/// Upstream calls what it does not find as it was told; where the client named no schema, neither does it.
fn as_written(fields: &mut Fields, setting: &Setting) {
    let Some((script, _)) = setting.sent else { return };
    if !field(fields, MESSAGE).is_some_and(|message| message.contains("does not exist")) {
        return;
    }
    for part in script.parts.iter().filter(|part| matches!(part.rewritten.effect(), Effect::AsOwner(_))) {
        let inserted = part.rewritten.replaced(&part.text).filter(|(sent, written)| written.is_empty() && sent.ends_with('.'));
        for schema in inserted.map(|(sent, _)| sent.replace('"', "")) {
            if !contains_folded(&part.text, &schema) {
                rewrite(fields, MESSAGE, |message| Some(without_schema(message, &schema)));
            }
        }
    }
}

/// Without a schema, which comes with its dot, before names.
fn without_schema(message: &str, schema: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut pieces = message.split(schema).peekable();
    while let Some(piece) = pieces.next() {
        out.push_str(piece);
        let name_begins = piece.ends_with('"') || piece.ends_with(' ');
        if pieces.peek().is_some() && !name_begins {
            out.push_str(schema);
        }
    }
    out
}

/// A position that upstream counted in what we sent, in what the client sent; taken out where there is none.
fn position(fields: &mut Fields, sent: Option<(&Script, Option<usize>)>) {
    let Some(counted) = field(fields, POSITION).and_then(|p| p.parse::<usize>().ok()) else { return };
    match sent.and_then(|(script, part)| client_position(script, part, counted)) {
        Some(found) => rewrite(fields, POSITION, |_| Some(found.to_string())),
        None => fields.retain(|(kind, _)| *kind != POSITION),
    }
}

/// Both positions are in characters from 1.
pub(super) fn client_position(script: &Script, part: Option<usize>, counted: usize) -> Option<usize> {
    let mut left = counted.checked_sub(1)?;
    let parts = match part {
        Some(index) => script.parts.get(index..=index)?,
        None => &script.parts,
    };
    for part in parts {
        let text = part.rewritten.text();
        let characters = text.chars().count();
        if left <= characters {
            let sent = text.char_indices().nth(left).map_or(text.len(), |(at, _)| at);
            return Some(characters_before(&script.text, part.offset + part.rewritten.client_offset(sent)) + 1);
        }
        left = left.checked_sub(characters + crate::upstream::send::JOINT.len())?;
    }
    None
}

/// How many characters begin before a byte.
pub(super) fn characters_before(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
}

fn rewrite(fields: &mut Fields, kind: u8, change: impl Fn(&str) -> Option<String>) {
    for (_, text) in fields.iter_mut().filter(|(k, _)| *k == kind) {
        if let Some(changed) = change(text) {
            *text = changed;
        }
    }
}

/// The message without what stands between its first and last double quote.
fn without_value(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}\"…\"{}", &message[..first], &message[last + 1..]),
        _ => message.to_owned(),
    }
}

/// Our upstream logins stand for the principal.
fn client_roles(text: &str, principal: &str) -> Option<String> {
    let mut out = None;
    for role in ROLES {
        let seen = out.as_deref().unwrap_or(text);
        if seen.contains(role) {
            out = Some(seen.replace(role, principal));
        }
    }
    out
}

/// What upstream says of a governed view is told of its table: a view's check as row security's.
fn as_table(fields: &mut Fields, names: &ClientNames) {
    let viewed = |text: &str| {
        let name = text.strip_prefix('"').and_then(|rest| rest.split_once('"')).map_or(text, |(name, _)| name);
        names.is_viewed(name)
    };
    let message = field(fields, MESSAGE).unwrap_or_default().to_owned();
    if let Some(table) = message.strip_prefix("new row violates check option for view ").filter(|table| viewed(table)) {
        if field(fields, CODE) == Some("44000") {
            let told = format!("new row violates row-level security policy for table {table}");
            rewrite(fields, MESSAGE, |_| Some(told.clone()));
            rewrite(fields, CODE, |_| Some("42501".to_owned()));
            fields.retain(|(kind, _)| *kind != DETAIL);
        }
        return;
    }
    for (said, told) in [(" of view ", " of relation "), (" for view ", " for table "), (" into view ", " into table ")] {
        if let Some((before, name)) = message.split_once(said).filter(|(_, name)| viewed(name)) {
            let told = format!("{before}{told}{name}");
            rewrite(fields, MESSAGE, |_| Some(told.clone()));
            fields.retain(|(kind, _)| ![DETAIL, HINT].contains(kind));
            return;
        }
    }
}

/// How row security's message calls the policy of a row filter.
const POLICY: &str = " \"pgusher_filter\"";

const CODE: u8 = b'C';
const MESSAGE: u8 = b'M';
const DETAIL: u8 = b'D';
const HINT: u8 = b'H';
const CONTEXT: u8 = b'W';
const SCHEMA: u8 = b's';
const TABLE: u8 = b't';
const POSITION: u8 = b'P';
const INTERNAL_QUERY: u8 = b'q';
const INTERNAL_POSITION: u8 = b'p';

/// How names in our schema begin.
const OURS: &str = "pgusher.";

/// The functions that run statements in the client's stead.
const OUR_FUNCTIONS: [&str; 3] = ["pgusher.define(", "pgusher.maintain(", "pgusher.run_settled("];

/// DETAIL, CONTEXT, internal position and query.
const WITHHELD: [u8; 4] = [DETAIL, CONTEXT, b'p', INTERNAL_QUERY];

/// CONTEXT, internal position and query.
const INTERNAL: [u8; 3] = [CONTEXT, b'p', INTERNAL_QUERY];

/// The fields that name relations and columns: message, detail, hint, context, schema, table, column, type, constraint.
const NAMING: [u8; 9] = [MESSAGE, DETAIL, HINT, CONTEXT, SCHEMA, TABLE, b'c', b'd', b'n'];

const ROLES: [&str; 5] = ["pgusher_session", "pgusher_control", "pgusher_owner", "pgusher_viewer", "pgusher_ddl"];

/// The table in which the rows of a COPY wait.
const WAITING: &str = "pgusher_copy";

/// How the context of an error in COPY's data begins.
const COPYING: &str = "COPY ";

/// A generated column was given a value.
const GENERATED_ALWAYS: &str = "428C9";

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(of: &[(u8, &str)]) -> Fields {
        of.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect()
    }

    const MASKED: Touched = Touched { filtered: false, masked: true };
    const FILTERED: Touched = Touched { filtered: true, masked: false };

    fn told(of: &[(u8, &str)], touched: Touched) -> Fields {
        let mut names = ClientNames::default();
        names.follow(&std::sync::Arc::new(crate::sql::fixture::footing()));
        let mut error = fields(of);
        sanitise(&mut error, &Setting { touched, sent: None, principal: "alice", names: &names });
        error
    }

    #[test]
    fn where_a_filter_or_mask_applied_nothing_that_quotes_values_gets_through() {
        for touched in [MASKED, FILTERED] {
            let error = told(
                &[
                    (b'C', "22P02"),
                    (b'M', "invalid input syntax for type integer: \"123-45-6789\""),
                    (b'D', "Key (ssn)=(123) exists."),
                    (b'W', "SQL function"),
                    (b'q', "SELECT ssn"),
                ],
                touched,
            );
            assert_eq!(error, fields(&[(b'C', "22P02"), (b'M', "invalid input syntax for type integer: \"…\"")]));
        }
    }

    #[test]
    fn details_of_ungoverned_tables_are_kept() {
        let error = told(&[(b'C', "23505"), (b'M', "duplicate key"), (b'D', "Key (id)=(1) already exists.")], Touched::default());
        assert_eq!(field(&error, b'D'), Some("Key (id)=(1) already exists."));
    }

    /// A trigger, a foreign key or a cascade reaches a governed table from a statement that names none.
    #[test]
    fn details_about_a_governed_table_are_withheld_whatever_was_touched() {
        let error = told(
            &[
                (b'C', "23502"),
                (b'M', "null value"),
                (b'D', "Failing row contains (7, x)."),
                (b'W', "SQL statement"),
                (b's', "public"),
                (b't', "orders"),
            ],
            Touched::default(),
        );
        assert_eq!(error, fields(&[(b'C', "23502"), (b'M', "null value"), (b's', "public"), (b't', "orders")]));
    }

    #[test]
    fn a_check_option_reads_as_row_security_for_governed_views_only() {
        let error =
            told(&[(b'C', "44000"), (b'M', "new row violates check option for view \"notes\""), (b'D', "Failing row")], FILTERED);
        assert_eq!(error, fields(&[(b'C', "42501"), (b'M', "new row violates row-level security policy for table \"notes\"")]));
        let own = &[(b'C', "44000"), (b'M', "new row violates check option for view \"mine\"")];
        assert_eq!(told(own, FILTERED), fields(own));
    }

    #[test]
    fn what_is_said_of_a_governed_view_is_told_of_its_table() {
        let error = told(
            &[(b'M', "cannot update column \"x\" of view \"employees$w\""), (b'H', "provide an INSTEAD OF UPDATE trigger")],
            MASKED,
        );
        assert_eq!(error, fields(&[(b'M', "cannot update column \"x\" of relation \"employees\"")]));
    }

    #[test]
    fn the_policy_behind_a_row_filter_is_not_named() {
        let error = told(
            &[(b'C', "42501"), (b'M', "new row violates row-level security policy \"pgusher_filter\" for table \"t\"")],
            FILTERED,
        );
        assert_eq!(field(&error, b'M'), Some("new row violates row-level security policy for table \"t\""));
    }

    #[test]
    fn upstream_roles_are_not_shown() {
        let error = told(&[(b'C', "42501"), (b'M', "role \"pgusher_session\" may not")], Touched::default());
        assert_eq!(field(&error, b'M'), Some("role \"alice\" may not"));
    }
}
