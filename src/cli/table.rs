//! Answers for people, the way psql shows them.

use crate::session::Reply;

/// One line per row, columns aligned.
pub(super) fn print(reply: &Reply) {
    let cell = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let widths: Vec<usize> = (0..reply.columns.len())
        .map(|at| {
            let head = reply.columns.get(at).map_or(0, |name| name.chars().count());
            reply.rows.iter().map(|row| cell(row, at).chars().count()).max().unwrap_or(0).max(head)
        })
        .collect();
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(text, width)| format!(" {text:<width$} ")).collect::<Vec<_>>();
        println!("{}", padded.join("|").trim_end());
    };
    line(reply.columns.clone());
    println!("{}", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+"));
    for row in &reply.rows {
        line((0..reply.columns.len()).map(|at| cell(row, at)).collect());
    }
    println!("({} row{})", reply.rows.len(), if reply.rows.len() == 1 { "" } else { "s" });
}

/// One line per value.
pub(super) fn list(reply: &Reply) {
    let width = reply.columns.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for row in &reply.rows {
        for (name, value) in reply.columns.iter().zip(row) {
            println!("{name:<width$}  {}", value.as_deref().unwrap_or_default());
        }
    }
}
