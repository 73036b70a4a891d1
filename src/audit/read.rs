//! Records read back: found, and told in one line each.

use serde_json::Value;

/// What records are looked for; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The principal, or the name given at a login that was refused.
    pub principal: Option<String>,
    /// The session.
    pub session: Option<u64>,
    /// From this moment on, as records write it.
    pub since: Option<String>,
    /// Before this moment.
    pub until: Option<String>,
    /// What is read, written or used: with its schema, or without.
    pub relation: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What it is a record of.
    pub event: Option<String>,
    /// Text in the statement or the reason, in lower case.
    pub text: Option<String>,
}

impl Query {
    /// Whether a record is looked for.
    pub fn finds(&self, record: &Value) -> bool {
        let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
        let is = |wanted: &Option<String>, field: &str| wanted.as_deref().is_none_or(|wanted| text(field) == wanted);
        let of = self.principal.as_deref();
        let principal =
            of.is_none_or(|wanted| text("principal") == wanted || text("user") == wanted || has(record, "actors", wanted));
        let session = self.session.is_none_or(|wanted| record.get("session").and_then(Value::as_u64) == Some(wanted));
        // Moments are written so that their order is that of their letters.
        let since = self.since.as_deref().is_none_or(|since| text("time") >= since);
        let until = self.until.as_deref().is_none_or(|until| text("time") < until);
        let relation = self.relation.as_deref().is_none_or(|wanted| touches(record, wanted));
        let said = |wanted: &str| ["statement", "reason"].iter().any(|field| text(field).to_lowercase().contains(wanted));
        let words = self.text.as_deref().is_none_or(said);
        principal && session && since && until && relation && words && is(&self.outcome, "outcome") && is(&self.event, "event")
    }
}

fn has(record: &Value, list: &str, wanted: &str) -> bool {
    list_of(record, list).any(|value| value.as_str() == Some(wanted))
}

fn list_of<'a>(record: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    record.get(list).and_then(Value::as_array).into_iter().flatten()
}

fn touches(record: &Value, wanted: &str) -> bool {
    ["reads", "writes", "uses"].iter().flat_map(|list| list_of(record, list)).any(|object| {
        let name = object.get("securable").and_then(Value::as_str).unwrap_or_default();
        name == wanted || name.rsplit('.').next() == Some(wanted)
    })
}

/// A record in one line.
pub fn line(record: &Value) -> String {
    let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
    let number = |field: &str| record.get(field).and_then(Value::as_u64).unwrap_or_default();
    let actors: Vec<&str> = list_of(record, "actors").filter_map(Value::as_str).collect();
    let mut who = if text("principal").is_empty() { text("user").to_owned() } else { text("principal").to_owned() };
    if !actors.is_empty() {
        who.push_str(&format!(" (by {})", actors.join(" for ")));
    }
    let mut out = format!("{} {:>6} {:<10} {who}", text("time"), number("sequence"), text("event"));
    if let Some(session) = record.get("session") {
        out.push_str(&format!(" #{session}"));
    }
    if !text("outcome").is_empty() {
        out.push_str(&format!(" {}", text("outcome")));
    }
    if !matches!(text("sqlstate"), "" | "00000") {
        out.push_str(&format!(" {}", text("sqlstate")));
    }
    if record.get("duration_us").is_some() {
        let milliseconds = number("duration_us") / 1000;
        out.push_str(&format!(" {} rows {milliseconds}.{:03} ms", number("rows"), number("duration_us") % 1000));
    }
    for field in ["statement", "reason"] {
        if !text(field).is_empty() {
            // One record, one line, whatever was in it.
            let said: String = text(field).split_whitespace().collect::<Vec<_>>().join(" ");
            let said: String = said.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            out.push_str(if field == "statement" { "  " } else { "  -- " });
            out.push_str(&said);
        }
    }
    out
}
