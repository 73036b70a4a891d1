//! psql's files → statements: its own commands and variables, and the data of COPY, are taken out.

use pgusher::sql::parse::lexer::{Lexer, TokenKind};

/// The statements of a file.
pub fn statements(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut variables: Vec<String> = Vec::new();
    let mut buffer = String::new();
    let mut data = false;
    for line in text.lines() {
        if data {
            data = line != "\\.";
            continue;
        }
        let trimmed = line.trim_start();
        if buffer.trim().is_empty() && trimmed.starts_with('\\') {
            remember(trimmed, &mut variables);
            continue;
        }
        let (sql, ends) = without_command(&buffer, line, &mut variables);
        buffer.push_str(&sql);
        buffer.push('\n');
        if !ends && !complete(&buffer) {
            continue;
        }
        let statement = substituted(&std::mem::take(&mut buffer).replace("\\;", ";"), &variables);
        let copies = statement.trim_start().to_ascii_lowercase().starts_with("copy ");
        data = copies && statement.to_ascii_lowercase().contains("from stdin");
        if !statement.trim().is_empty() {
            found.push(statement);
        }
    }
    found
}

/// `\set name`, `\getenv name`, `\gset` with a prefix: what `:name` may stand for.
fn remember(command: &str, variables: &mut Vec<String>) {
    let mut words = command.split_whitespace();
    if matches!(words.next(), Some("\\set" | "\\getenv"))
        && let Some(name) = words.next()
    {
        variables.push(name.to_owned());
    }
}

/// The line without a command of psql's in it; whether that command ends the statement.
fn without_command(buffer: &str, line: &str, variables: &mut Vec<String>) -> (String, bool) {
    for (at, _) in line.match_indices('\\') {
        let rest = &line[at + 1..];
        let command: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        let known = matches!(
            command.as_str(),
            "g" | "gx" | "gset" | "gexec" | "gdesc" | "crosstabview" | "p" | "r" | "bind" | "watch" | "d" | "if" | "endif" | "else"
        );
        if known && outside(&format!("{buffer}{}", &line[..at])) {
            if command == "gset" {
                variables.extend(aliases(&format!("{buffer}{}", &line[..at]), rest["gset".len()..].trim()));
            }
            return (line[..at].to_owned(), true);
        }
    }
    (line.to_owned(), false)
}

/// The columns that a query names by AS.
fn aliases(query: &str, prefix: &str) -> Vec<String> {
    let words: Vec<&str> = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    words.windows(2).filter(|pair| pair[0].eq_ignore_ascii_case("as")).map(|pair| format!("{prefix}{}", pair[1])).collect()
}

/// Whether a text ends outside of quotes and comments.
fn outside(text: &str) -> bool {
    Lexer::new(text).significant().all(|token| token.kind != TokenKind::Unterminated)
}

/// Whether a text ends with a statement's semicolon.
fn complete(text: &str) -> bool {
    let (mut brackets, mut depth, mut last) = (0i32, 0i32, "");
    let (mut create, mut begun) = (false, false);
    for token in Lexer::new(text).significant() {
        if token.kind == TokenKind::Unterminated {
            return false;
        }
        last = token.spelling(text);
        match last {
            "(" => brackets += 1,
            ")" => brackets -= 1,
            _ if token.is_word(text, "create") => create = true,
            _ if create && token.is_word(text, "begin") => begun = true,
            _ if begun && token.is_word(text, "atomic") || depth > 0 && token.is_word(text, "case") => depth += 1,
            _ if depth > 0 && token.is_word(text, "end") => depth -= 1,
            _ => begun = false,
        }
    }
    last == ";" && brackets <= 0 && depth == 0
}

/// `:'name'`, `:"name"` and `:name` by something that may stand there.
fn substituted(text: &str, variables: &[String]) -> String {
    let mut text = text.to_owned();
    for name in variables {
        text = text.replace(&format!(":'{name}'"), "'value'").replace(&format!(":\"{name}\""), "\"value\"");
        let mut from = 0;
        while let Some(found) = text[from..].find(&format!(":{name}")) {
            let (start, end) = (from + found, from + found + name.len() + 1);
            let alone = !text[..start].ends_with(':') && !text[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if alone {
                text.replace_range(start..end, "1");
            }
            from = start + 1;
        }
    }
    text
}

/// A statement that makes something, so that it stays; nothing for what does not.
pub fn made_again(statement: &str) -> Option<String> {
    let words: Vec<String> =
        Lexer::new(statement).significant().take(4).map(|t| t.spelling(statement).to_ascii_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let kept = match words.as_slice() {
        ["set", "search_path", ..] | ["alter", "table" | "domain" | "type" | "view", ..] => true,
        [
            "create",
            "event" | "role" | "user" | "group" | "database" | "tablespace" | "publication" | "subscription" | "rule" | "policy",
            ..,
        ] => false,
        ["create", ..] => true,
        _ => false,
    };
    // What changes or goes would be missing.
    let words: Vec<String> = Lexer::new(statement).significant().map(|t| t.spelling(statement).to_ascii_lowercase()).collect();
    let goes = words.first().is_some_and(|w| w == "alter")
        && words.iter().any(|w| matches!(w.as_str(), "rename" | "drop" | "schema" | "row" | "owner"));
    if !kept || goes {
        return None;
    }
    let mut text = String::new();
    for token in Lexer::new(statement).significant() {
        let word = token.spelling(statement);
        // What is temporary would be gone.
        if !word.eq_ignore_ascii_case("temp") && !word.eq_ignore_ascii_case("temporary") {
            text.push_str(word);
            text.push(' ');
        }
    }
    Some(format!("{text}\n"))
}
