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
    /// (offset in `text`, what to add to an offset from there on to get the original's), ascending.
    pub shifts: Vec<(usize, isize)>,
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
            spliced.text.push_str(&replacement);
            from = range.end;
            spliced.shift(range.end);
        }
        spliced.text.push_str(text.get(from..).ok_or(RewriteError::Guard)?);
        Ok(spliced)
    }
}

impl Spliced {
    /// From here on, offsets belong to `original` and what follows it.
    fn shift(&mut self, original: usize) {
        let at = self.text.len();
        let by = original.cast_signed().wrapping_sub(at.cast_signed());
        match self.shifts.last_mut() {
            Some(last) if last.0 == at => last.1 = by,
            Some(last) if last.1 == by => {}
            None if by == 0 => {}
            _ => self.shifts.push((at, by)),
        }
    }
}
