//! Settings as written: a flat table of keys; mistakes are collected while it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;

use super::keys::{KEYS, repeats, variable};
use super::{Mistake, Mistakes};

/// Variables that hold passwords: the only way besides files.
pub(super) const PASSWORDS: [&str; 2] = ["PGUSHER_UPSTREAM_SESSION_PASSWORD", "PGUSHER_UPSTREAM_CONTROL_PASSWORD"];

/// A flat table of what was written, and the mistakes found in it.
pub(super) struct Written {
    values: BTreeMap<String, Value>,
    tables: BTreeMap<String, Vec<toml::Table>>,
    passwords: BTreeMap<String, String>,
    read: BTreeSet<String>,
    mistakes: Vec<Mistake>,
}

impl Written {
    /// Parses the file and lays the variables over it.
    pub(super) fn new(text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self, Mistakes> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Mistakes(vec![Mistake { key: String::new(), message: error.to_string().trim_end().to_owned() }])
        })?;
        let mut written = Self::empty();
        written.flatten("", table);
        let names: BTreeMap<String, &str> =
            KEYS.iter().filter(|key| !repeats(key.path)).map(|key| (variable(key.path), key.path)).collect();
        for (name, value) in variables {
            if let Some(path) = names.get(&name) {
                written.values.insert((*path).to_owned(), Value::String(value));
            } else if PASSWORDS.contains(&name.as_str()) {
                written.passwords.insert(name, value);
            }
        }
        Ok(written)
    }

    fn empty() -> Self {
        Self {
            values: BTreeMap::new(),
            tables: BTreeMap::new(),
            passwords: BTreeMap::new(),
            read: BTreeSet::new(),
            mistakes: Vec::new(),
        }
    }

    /// The tables `[[name]]`, in their order.
    pub(super) fn tables(&mut self, name: &str) -> Vec<toml::Table> {
        self.read.insert(name.to_owned());
        self.tables.get(name).cloned().unwrap_or_default()
    }

    /// Reads one table of those whose keys begin with `prefix`; its mistakes and unknown keys are ours.
    pub(super) fn within<T>(&mut self, prefix: &str, table: toml::Table, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut inner = Self::empty();
        inner.flatten(prefix, table);
        let meant = read(&mut inner);
        if let Err(mistakes) = inner.finish() {
            self.mistakes.extend(mistakes.0);
        }
        meant
    }

    /// A mistake for every unknown key, and then all mistakes if there are any.
    pub(super) fn finish(mut self) -> Result<(), Mistakes> {
        let unknown: Vec<String> =
            self.values.keys().chain(self.tables.keys()).filter(|key| !self.read.contains(*key)).cloned().collect();
        for key in unknown {
            self.mistake(&key, "unknown key");
        }
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }

    /// Notes a mistake.
    pub(super) fn mistake(&mut self, key: &str, message: impl Into<String>) {
        self.mistakes.push(Mistake { key: key.to_owned(), message: message.into() });
    }

    /// Notes that a key without default is missing, unless something else is already wrong with it.
    pub(super) fn missing(&mut self, key: &str) {
        if !self.mistakes.iter().any(|mistake| mistake.key == key) {
            self.mistake(key, "is missing");
        }
    }

    /// Every key's effective value, as text; to see what a reload changes.
    pub(super) fn effective(&self) -> BTreeMap<&'static str, String> {
        KEYS.iter()
            .map(|key| {
                let value = self.values.get(key.path).map(plain).or_else(|| self.repeated(key.path));
                let default = key.default.map(|d| d.trim_matches('"').to_owned());
                (key.path, value.or(default).unwrap_or_default())
            })
            .collect()
    }

    /// What a key says in each of the tables it stands in.
    fn repeated(&self, path: &str) -> Option<String> {
        let (table, key) = path.rsplit_once('.')?;
        let tables = self.tables.get(table)?;
        Some(tables.iter().map(|table| table.get(key).map(plain).unwrap_or_default()).collect::<Vec<_>>().join("\n"))
    }

    /// A password from its variable.
    pub(super) fn password(&self, name: &str) -> Option<String> {
        self.passwords.get(name).cloned()
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => self.wrong(key, "a string", &other),
        }
    }

    /// A path; a relative one starts at `base`.
    pub(super) fn path(&mut self, key: &'static str, base: &Path) -> Option<PathBuf> {
        self.text(key).filter(|text| !text.is_empty()).map(|text| base.join(text))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
        if found.is_none() {
            let words = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
            self.mistake(key, format!("must be one of {words}, not \"{text}\""));
        }
        found
    }

    /// A whole number in a range.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let number = match self.take(key)? {
            Value::Integer(number) => number,
            Value::String(text) => match text.trim().parse() {
                Ok(number) => number,
                Err(_) => return self.wrong(key, "a whole number", &Value::String(text)),
            },
            other => return self.wrong(key, "a whole number", &other),
        };
        if range.contains(&number) {
            return Some(number);
        }
        self.mistake(key, format!("must be from {} to {}, not {number}", range.start(), range.end()));
        None
    }

    /// A number of things, in a range.
    pub(super) fn count(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<usize> {
        self.integer(key, range).and_then(|number| usize::try_from(number).ok())
    }

    /// A time in milliseconds, in a range.
    pub(super) fn milliseconds(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<Duration> {
        self.integer(key, range).and_then(|number| u64::try_from(number).ok()).map(Duration::from_millis)
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        match self.take(key)? {
            Value::Boolean(flag) => Some(flag),
            Value::String(text) if text == "true" || text == "false" => Some(text == "true"),
            other => self.wrong(key, "true or false", &other),
        }
    }

    /// A list of texts; a variable separates them by commas.
    pub(super) fn list(&mut self, key: &'static str) -> Option<Vec<String>> {
        match self.take(key)? {
            Value::Array(values) => {
                let texts: Vec<String> = values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
                if texts.len() == values.len() { Some(texts) } else { self.wrong(key, "a list of strings", &Value::Array(values)) }
            }
            Value::String(text) => Some(text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()),
            other => self.wrong(key, "a list of strings", &other),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.read.insert(key.to_owned());
        let written = self.values.get(key).cloned();
        written.or_else(|| {
            let default = KEYS.iter().find(|k| k.path == key)?.default?;
            let table: toml::Table = format!("v = {default}").parse().ok()?;
            table.get("v").cloned()
        })
    }

    fn wrong<T>(&mut self, key: &str, wanted: &str, found: &Value) -> Option<T> {
        self.mistake(key, format!("must be {wanted}, not {}", found.type_str()));
        None
    }

    fn flatten(&mut self, prefix: &str, table: toml::Table) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) => self.flatten(&key, inner),
                Value::Array(values) if !values.is_empty() && values.iter().all(Value::is_table) => {
                    let tables =
                        values.into_iter().filter_map(|value| if let Value::Table(table) = value { Some(table) } else { None });
                    self.tables.insert(key, tables.collect());
                }
                value => {
                    self.values.insert(key, value);
                }
            }
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
