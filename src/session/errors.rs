//! What upstream says of errors and notices, made fit for the client.
//!
//! Where a row filter or column mask applied, DETAIL, CONTEXT and internal queries may quote what the principal must not see, and
//! are withheld. Names of governed views are given back as the table's, positions as those in the client's own text.

use super::script::Script;
use crate::sql::Touched;

/// The fields of an ErrorResponse or NoticeResponse.
pub(super) type Fields = Vec<(u8, String)>;

/// The value of a field.
pub(super) fn field(fields: &Fields, kind: u8) -> Option<&str> {
    fields.iter().find(|(k, _)| *k == kind).map(|(_, text)| text.as_str())
}

/// Makes an error or notice fit for the client. `sent` is the script whose text upstream complains of, with the part when it
/// was sent alone.
pub(super) fn sanitise(fields: &mut Fields, touched: Touched, sent: Option<(&Script, Option<usize>)>, principal: &str) {
    if touched.filtered || touched.masked {
        fields.retain(|(kind, _)| !WITHHELD.contains(kind));
    } else {
        // An internal query that is ours says nothing to the client.
        let ours = field(fields, INTERNAL_QUERY).is_some_and(|query| query.contains("pgusher"));
        fields.retain(|(kind, _)| !ours || !INTERNAL.contains(kind));
    }
    if touched.masked && field(fields, CODE).is_some_and(|code| code.starts_with("22")) {
        rewrite(fields, MESSAGE, |message| Some(without_value(message)));
    }
    position(fields, sent);
    for kind in NAMING {
        rewrite(fields, kind, client_names);
    }
    for kind in [MESSAGE, DETAIL, HINT] {
        rewrite(fields, kind, |text| client_roles(text, principal));
    }
    check_option(fields);
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

/// Governed views under the table's name; `None` when nothing changes.
fn client_names(text: &str) -> Option<String> {
    if !(text.contains("pgusher_") || ENDS.iter().any(|end| text.contains(end))) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("pgusher_") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let word = from.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(from.len());
        let (schema, after) = from.split_at(word);
        // A schema of ours, as `pgusher_s.t`, `"pgusher_s".t` or alone: what it stands for is the schema s.
        match (schema.strip_prefix("pgusher_"), after.starts_with('.') || after.starts_with("\".")) {
            (Some(_), true) => {
                let quoted = after.starts_with('"');
                if quoted && out.ends_with('"') {
                    out.pop();
                }
                rest = &after[if quoted { 2 } else { 1 }..];
            }
            (Some(_), false) | (None, _) => {
                out.push_str(schema);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    let out = ENDS.iter().fold(out, |out, end| out.replace(&format!("{end}\""), "\""));
    let out = ENDS.iter().find_map(|end| out.strip_suffix(end)).map(str::to_owned).unwrap_or(out);
    (out != text).then_some(out)
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

/// A write that a governed view's check refuses is told as row security would tell it.
fn check_option(fields: &mut Fields) {
    if field(fields, CODE) != Some("44000") {
        return;
    }
    let Some(table) = field(fields, MESSAGE).and_then(|m| m.strip_prefix("new row violates check option for view ")) else {
        return;
    };
    let message = format!("new row violates row-level security policy for table {table}");
    rewrite(fields, MESSAGE, |_| Some(message.clone()));
    rewrite(fields, CODE, |_| Some("42501".to_owned()));
    fields.retain(|(kind, _)| *kind != DETAIL);
}

/// How row security's message calls the policy of a row filter.
const POLICY: &str = " \"pgusher_filter\"";

const CODE: u8 = b'C';
const MESSAGE: u8 = b'M';
const DETAIL: u8 = b'D';
const HINT: u8 = b'H';
const POSITION: u8 = b'P';
const INTERNAL_QUERY: u8 = b'q';
const INTERNAL_POSITION: u8 = b'p';
const CONTEXT: u8 = b'W';

/// The functions that run statements in the client's stead.
const OUR_FUNCTIONS: [&str; 3] = ["pgusher.define(", "pgusher.maintain(", "pgusher.run_settled("];

/// DETAIL, CONTEXT, internal position and query.
const WITHHELD: [u8; 4] = [DETAIL, b'W', b'p', INTERNAL_QUERY];

/// CONTEXT, internal position and query.
const INTERNAL: [u8; 3] = [b'W', b'p', INTERNAL_QUERY];

/// The fields that name relations and columns: message, detail, hint, schema, table, column.
const NAMING: [u8; 6] = [MESSAGE, DETAIL, HINT, b's', b't', b'c'];

/// How the names of raw columns, write twins and insert views end.
const ENDS: [&str; 3] = ["$raw", "$w", "$i"];

const ROLES: [&str; 5] = ["pgusher_session", "pgusher_control", "pgusher_owner", "pgusher_viewer", "pgusher_ddl"];

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(of: &[(u8, &str)]) -> Fields {
        of.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect()
    }

    const MASKED: Touched = Touched { filtered: false, masked: true };

    #[test]
    fn where_a_mask_applied_nothing_that_quotes_values_gets_through() {
        let mut error = fields(&[
            (b'C', "22P02"),
            (b'M', "invalid input syntax for type integer: \"123-45-6789\""),
            (b'D', "Key (ssn)=(123) exists."),
            (b'W', "SQL function"),
            (b'q', "SELECT ssn"),
        ]);
        sanitise(&mut error, MASKED, None, "alice");
        assert_eq!(error, fields(&[(b'C', "22P02"), (b'M', "invalid input syntax for type integer: \"…\"")]));
    }

    #[test]
    fn details_of_ungoverned_tables_are_kept() {
        let mut error = fields(&[(b'C', "23505"), (b'M', "duplicate key"), (b'D', "Key (id)=(1) already exists.")]);
        sanitise(&mut error, Touched::default(), None, "alice");
        assert_eq!(field(&error, b'D'), Some("Key (id)=(1) already exists."));
    }

    #[test]
    fn governed_views_are_called_by_the_tables_name() {
        assert_eq!(client_names("relation \"pgusher_public.employees$w\"").as_deref(), Some("relation \"employees\""));
        assert_eq!(
            client_names("column \"ssn$raw\" of relation \"employees$w\"").as_deref(),
            Some("column \"ssn\" of relation \"employees\"")
        );
        assert_eq!(client_names("\"pgusher_a\".\"t\" and pgusher_a.u").as_deref(), Some("\"t\" and u"));
        assert_eq!(client_names("employees$w").as_deref(), Some("employees"));
        assert_eq!(client_names("permission denied for view notes$i").as_deref(), Some("permission denied for view notes"));
        assert_eq!(client_names("plain"), None);
    }

    #[test]
    fn a_check_option_reads_as_row_security() {
        let mut error = fields(&[(b'C', "44000"), (b'M', "new row violates check option for view \"t$w\""), (b'D', "Failing row")]);
        sanitise(&mut error, Touched { filtered: true, masked: false }, None, "alice");
        assert_eq!(error, fields(&[(b'C', "42501"), (b'M', "new row violates row-level security policy for table \"t\"")]));
    }

    #[test]
    fn the_policy_behind_a_row_filter_is_not_named() {
        let mut error =
            fields(&[(b'C', "42501"), (b'M', "new row violates row-level security policy \"pgusher_filter\" for table \"t\"")]);
        sanitise(&mut error, Touched { filtered: true, masked: false }, None, "alice");
        assert_eq!(field(&error, b'M'), Some("new row violates row-level security policy for table \"t\""));
    }

    #[test]
    fn upstream_roles_are_not_shown() {
        let mut error = fields(&[(b'C', "42501"), (b'M', "role \"pgusher_session\" may not")]);
        sanitise(&mut error, Touched::default(), None, "alice");
        assert_eq!(field(&error, b'M'), Some("role \"alice\" may not"));
    }
}
