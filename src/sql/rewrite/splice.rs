//! Replacements in a text at exact byte ranges: comments, hints and everything else that is not replaced stay as the client
//! wrote them.

use std::ops::Range;

use super::RewriteError;

/// Replacements to make in one text: ordered and free of overlaps once [`Edits::apply`] has accepted them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    edits: Vec<Edit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    range: Range<usize>,
    replacement: String,
}

/// A text after its edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The text.
    pub text: String,
    /// Where offsets lead back to, ascending.
    pub shifts: Vec<Shift>,
}

/// From an offset on, until the next one, what offsets into the text lead back to in the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The offset.
    pub(super) at: usize,
    /// What it is in the original.
    pub(super) original: usize,
    /// What follows is not the original's: all of it leads back to the one place.
    pub(super) ours: bool,
}

/// The place in the original.
pub fn original(shifts: &[Shift], sent: usize) -> usize {
    match shifts.iter().take_while(|shift| shift.at <= sent).last() {
        Some(shift) if shift.ours => shift.original,
        Some(shift) => shift.original.saturating_add(sent - shift.at),
        None => sent,
    }
}

/// What is not the original's, with what it stands for.
pub fn replaced<'a>(shifts: &'a [Shift], text: &'a str, original: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    shifts.windows(2).filter_map(move |pair| match pair {
        [from, to] if from.ours => Some((text.get(from.at..to.at)?, original.get(from.original..to.original)?)),
        _ => None,
    })
}

impl Edits {
    /// Nothing to change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Puts text in place of a range.
    pub fn replace(&mut self, range: Range<usize>, replacement: impl Into<String>) {
        self.edits.push(Edit { range, replacement: replacement.into() });
    }

    /// Puts text before a byte; several at one place stand in the order they came.
    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Takes over all edits of another list for the same text.
    pub fn extend(&mut self, other: Edits) {
        self.edits.extend(other.edits);
    }

    /// Those that lie within a range, for the text of that range alone.
    pub fn within(&self, range: &Range<usize>) -> Self {
        let inside = self.edits.iter().filter(|edit| range.start <= edit.range.start && edit.range.end <= range.end);
        let moved = inside.map(|edit| Edit {
            range: edit.range.start - range.start..edit.range.end - range.start,
            replacement: edit.replacement.clone(),
        });
        Self { edits: moved.collect() }
    }

    /// Makes the edits. Overlaps, ranges outside the text and cut characters are refused.
    pub fn apply(mut self, text: &str) -> Result<Spliced, RewriteError> {
        self.edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let grown: usize = self.edits.iter().map(|e| e.replacement.len()).sum();
        let mut spliced = Spliced { text: String::with_capacity(text.len() + grown), shifts: Vec::new() };
        let mut from = 0;
        for Edit { range, replacement } in self.edits {
            if range.start < from || range.end < range.start {
                return Err(RewriteError::Guard);
            }
            spliced.text.push_str(text.get(from..range.start).ok_or(RewriteError::Guard)?);
            spliced.shift(range.start, true);
            spliced.text.push_str(&replacement);
            from = range.end;
            spliced.shift(range.end, false);
        }
        spliced.text.push_str(text.get(from..).ok_or(RewriteError::Guard)?);
        Ok(spliced)
    }
}

impl Spliced {
    /// From here on, offsets belong to `original` and what follows it.
    fn shift(&mut self, original: usize, ours: bool) {
        let shift = Shift { at: self.text.len(), original, ours };
        match self.shifts.last_mut() {
            Some(last) if last.at == shift.at => *last = shift,
            Some(_) | None => self.shifts.push(shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_the_order_of_their_places() {
        let mut edits = Edits::new();
        edits.replace(14..15, "\"s\".\"t\"");
        edits.replace(7..8, "a, b");
        edits.insert(15, " AS t");
        let spliced = edits.apply("SELECT * FROM t WHERE x").unwrap();
        assert_eq!(spliced.text, "SELECT a, b FROM \"s\".\"t\" AS t WHERE x");
    }

    #[test]
    fn offsets_lead_back_to_the_original() {
        let text = "SELECT a FROM t WHERE x";
        let mut edits = Edits::new();
        edits.replace(7..8, "aaaa");
        edits.replace(14..15, "");
        let spliced = edits.apply(text).unwrap();
        let back = |sent: usize| original(&spliced.shifts, sent);
        assert_eq!((back(7), back(9)), (7, 7), "all of what is ours leads back to what it stands for");
        assert_eq!(back(0), 0);
        assert_eq!(back(spliced.text.find("FROM").unwrap()), text.find("FROM").unwrap());
        assert_eq!(back(spliced.text.find("WHERE").unwrap()), text.find("WHERE").unwrap());
        assert_eq!(back(spliced.text.len()), text.len());
        assert_eq!(replaced(&spliced.shifts, &spliced.text, text).collect::<Vec<_>>(), [("aaaa", "a")]);
    }

    #[test]
    fn inserts_at_one_place_keep_their_order_and_come_before_a_replacement() {
        let mut edits = Edits::new();
        edits.replace(2..3, "X");
        edits.insert(2, "1");
        edits.insert(2, "2");
        assert_eq!(edits.apply("abcd").unwrap().text, "ab12Xd");
    }

    #[test]
    fn overlaps_cut_characters_and_places_outside_are_refused() {
        for ranges in [[0..2, 1..3], [0..3, 1..1], [0..0, 3..9], [0..0, 1..2]] {
            let mut edits = Edits::new();
            ranges.into_iter().for_each(|r| edits.replace(r, "x"));
            assert_eq!(edits.apply("éab"), Err(RewriteError::Guard));
        }
    }

    #[test]
    fn no_edits_change_nothing() {
        let spliced = Edits::new().apply("SELECT 1").unwrap();
        assert_eq!((spliced.text.as_str(), spliced.shifts.len()), ("SELECT 1", 0));
    }
}
