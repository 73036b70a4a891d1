//! Analyses of texts that differ in plain literals only: the literals of one are put in the place of another's.
//!
//! The guard proves of one text that what goes upstream has the tree that was authorized. For another text of the same
//! [`Shape`] it need not be asked again:
//!
//! 1. *The outgoing text has the same tree, but for the constants.* It differs from the proven one in the bytes of literals only. Each of
//!    these is a token before and after, of the same kind for the grammar, and nothing beside it is touched; so the tokens are the same,
//!    and so is what the grammar makes of them, as long as no rule of the grammar looks at the value. In the tree of the proven text the
//!    token has become a constant at its own place, with its own value (`constants`): that is the one rule that hands a value on as it
//!    is. Wherever a rule looks at it (a minus sign before it, a modifier of a type, a continued string) it is no such constant.
//! 2. *That is the tree which the analysis of the other text would authorize.* Analysis does not look at constants in these places
//!    (`Indifferent`), but for what is kept: the kind of the literal, which is of the shape, and whether relations are seen whose numbers
//!    the literals are, which is asked again ([`Analysis::suits`]). Words in literals that make it look closer at a text (`WORDS`) are
//!    those of the proven text or there are none.
//! 3. *A literal is nowhere else.* It is in the outgoing text once, outside of what was edited.
//!
//! Besides, a template is made only if the whole analysis of the text with other values says the same: a value that went anywhere else
//! would show.

use std::sync::Arc;

use serde_json::Value;

use super::mentions::Mentions;
use super::splice::Shift;
use super::{Analysis, Sent, analysis};
use crate::catalog::{Footing, SearchPath};
use crate::sql::parse::shape::{Class, Literal, Shape, literals_as_in, value};
use crate::sql::parse::tree::depth_within;
use crate::sql::parse::{Limits, StatementKind, only, parse};
use crate::sql::resolve::asked::{Onlooker, Seen};
use crate::sql::resolve::catalogs::{CATALOGS, SYSTEM_COLUMNS, TELLING, names_catalogs};
use crate::sql::resolve::indifferent::Indifferent;
use crate::sql::resolve::naming::is_known_word;
use crate::sql::resolve::resolve_for;
use crate::sql::resolve::ties::number_of;
use crate::sql::resolve::walk::NoObjects;
use crate::sql::{Effect, Resolved};

/// What texts of one shape have in common.
#[derive(Debug)]
pub struct Template {
    /// Of the text that it was made of.
    analysis: Arc<Analysis>,
    skeleton: Box<str>,
    /// The literals of the shape, in order.
    slots: Vec<Slot>,
    /// Of `WORDS`, those in the text without the literals that may be others.
    words: u32,
    /// What the text that is sent has words for, without those literals.
    mentions: Mentions,
}

#[derive(Clone, Debug)]
enum Slot {
    /// Only this one fits.
    Fixed(Box<str>),
    Free(Hole),
}

/// A literal that may be another.
#[derive(Clone, Copy, Debug)]
struct Hole {
    class: Class,
    /// Where it stands in the text of the client, and in the one sent.
    client: usize,
    sent: usize,
    length: usize,
}

impl Template {
    /// Of a text of one statement and its analysis on this ground; `None` where no literal may be another.
    pub fn of(
        text: &str,
        proven: &Arc<Analysis>,
        footing: &Footing,
        path: &SearchPath,
        admin: bool,
        limits: &Limits,
    ) -> Option<Self> {
        let shape = Shape::of(text)?;
        let fits =
            matches!(proven.kind, StatementKind::Select | StatementKind::Insert | StatementKind::Update | StatementKind::Delete);
        let sent = proven.sent.as_ref().ok().filter(|_| fits && proven.effect == Effect::None && !proven.refers)?;
        let [parsed] = <[_; 1]>::try_from(parse(text, limits).ok()?).ok()?;
        let tree = Some(&parsed.tree).filter(|tree| depth_within(tree, DEPTH)).and_then(|tree| serde_json::to_value(tree).ok())?;
        let free = Indifferent::of(&tree, names_catalogs(&text.to_ascii_lowercase()));
        let mut constants = Vec::new();
        gather(&serde_json::to_value(only(&sent.text).ok()??).ok()?, &mut constants);
        let slots: Vec<Slot> = shape.literals.iter().map(|literal| slot(text, literal, sent, &free, &constants)).collect();
        let words = words(&without(text, &slots, |hole| hole.client));
        let mentions = Mentions::of(&without(&sent.text, &slots, |hole| hole.sent));
        let template = Self { analysis: proven.clone(), skeleton: shape.skeleton().into(), slots, words, mentions };
        let made = template.holes().next().is_some() && words == self::words(text);
        (made && template.agrees(text, &shape, footing, path, admin, limits)).then_some(template)
    }

    /// The analysis of another text of the shape, for whom it suits.
    pub fn fill(&self, text: &str, shape: &Shape) -> Option<Analysis> {
        (*self.skeleton == *shape.skeleton()).then(|| self.filled(text, &shape.literals))?
    }

    /// The same of any text: `None` where it is not of the shape.
    pub fn fill_if_alike(&self, text: &str) -> Option<Analysis> {
        self.filled(text, &literals_as_in(&self.skeleton, text)?)
    }

    fn filled(&self, text: &str, literals: &[Literal]) -> Option<Analysis> {
        if literals.len() != self.slots.len() {
            return None;
        }
        let given = || self.slots.iter().zip(literals).map(|(slot, literal)| (slot, &text[literal.range.clone()], literal));
        let fits = given().all(|(slot, spelling, literal)| match slot {
            Slot::Fixed(only) => **only == *spelling,
            Slot::Free(hole) => hole.class == literal.class && takes(spelling, self.words),
        });
        let proven = self.analysis.sent.as_ref().ok().filter(|_| fits)?;
        let mut sent = String::with_capacity(proven.text.len() + text.len());
        let mut mentions = self.mentions;
        let mut from = 0;
        for (slot, spelling, _) in given() {
            if let Slot::Free(hole) = slot {
                // No word is in part of a literal and in part beside it.
                mentions = mentions.and(Mentions::of(spelling));
                sent.push_str(proven.text.get(from..hole.sent)?);
                sent.push_str(spelling);
                from = hole.sent + hole.length;
            }
        }
        sent.push_str(proven.text.get(from..)?);
        let lengths = || given().filter_map(|(slot, spelling, _)| Some((*slot.hole()?, spelling.len())));
        let shifts = proven.shifts.iter().map(|shift| moved(shift, lengths)).collect();
        let seen: Option<Box<[Seen]>> = self.analysis.seen.iter().map(|seen| self.seen(*seen, text, literals, lengths())).collect();
        let Analysis { kind, touched, active, ref requirements, .. } = *self.analysis;
        Some(Analysis {
            kind,
            effect: Effect::None,
            touched,
            active,
            requirements: requirements.clone(),
            seen: seen?,
            refers: false,
            sent: Ok(Sent { text: sent.into(), shifts, mentions }),
        })
    }

    /// About how many bytes it takes, its analysis left out.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.skeleton.len() + size_of_val(self.slots.as_slice())
    }

    fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.slots.iter().filter_map(Slot::hole)
    }

    /// What was asked about a relation, of the one that the text says.
    fn seen(&self, seen: Seen, text: &str, literals: &[Literal], lengths: impl Iterator<Item = (Hole, usize)>) -> Option<Seen> {
        let at = usize::try_from(seen.at()).ok()?;
        let place = i64::try_from(shifted(at, lengths, |hole| hole.client)).ok()?;
        let mut slots = self.slots.iter().zip(literals);
        let Some((hole, literal)) = slots.find_map(|(slot, literal)| slot.hole().filter(|h| h.client == at).map(|h| (h, literal)))
        else {
            return Some(seen.at_place(place));
        };
        let value = value(&text[literal.range.clone()]);
        let relation = match hole.class {
            Class::Number => value.parse().ok()?,
            Class::Digits => number_of(&value)?,
            Class::Text => return None,
        };
        Some(seen.at_place(place).of(relation))
    }

    /// Whether the whole analysis of the text with other values says the same.
    fn agrees(&self, text: &str, shape: &Shape, footing: &Footing, path: &SearchPath, admin: bool, limits: &Limits) -> bool {
        let mut other = String::with_capacity(text.len());
        let mut from = 0;
        for (index, (slot, literal)) in self.slots.iter().zip(&shape.literals).enumerate() {
            other.push_str(&text[from..literal.range.start]);
            match slot {
                Slot::Fixed(only) => other.push_str(only),
                Slot::Free(hole) => other.push_str(&stranger(hole.class, index)),
            }
            from = literal.range.end;
        }
        other.push_str(&text[from..]);
        let filled = Shape::of(&other).and_then(|shape| self.fill(&other, &shape));
        let Ok([parsed]) = parse(&other, limits).map(<[_; 1]>::try_from).unwrap_or(Err(Vec::new())) else { return false };
        let Some(filled) = filled else { return false };
        let resolved = resolve_for(parsed, footing, path, admin, Onlooker::again(&filled.seen), &NoObjects);
        resolved.is_ok_and(|resolved: Resolved| analysis(resolved) == filled)
    }
}

impl Slot {
    fn hole(&self) -> Option<&Hole> {
        match self {
            Self::Fixed(_) => None,
            Self::Free(hole) => Some(hole),
        }
    }
}

/// A literal that was in no text before.
fn stranger(class: Class, index: usize) -> String {
    match class {
        Class::Number => format!("{}", 770_000 + index),
        Class::Digits => format!("'{}'", 880_000 + index),
        Class::Text => format!("'zq''{index}'"),
    }
}

fn slot(text: &str, literal: &Literal, sent: &Sent, free: &Indifferent, constants: &[(i64, String)]) -> Slot {
    let spelling = &text[literal.range.clone()];
    let hole = || {
        let is_number = matches!(literal.class, Class::Number | Class::Digits);
        if !free.takes(literal.range.start, is_number) {
            return None;
        }
        let at = untouched(&sent.shifts, sent.text.len(), &literal.range)?;
        (sent.text.get(at..at + spelling.len())? == spelling).then_some(())?;
        let place = i64::try_from(at).ok()?;
        let mut here = constants.iter().filter(|(at, _)| *at == place);
        let alone = here.next().is_some_and(|(_, found)| *found == value(spelling)) && here.next().is_none();
        alone.then_some(Hole { class: literal.class, client: literal.range.start, sent: at, length: spelling.len() })
    };
    hole().map_or_else(|| Slot::Fixed(spelling.into()), Slot::Free)
}

/// Where a range of the client's text stands in the one sent, when no edit touches it.
fn untouched(shifts: &[Shift], length: usize, range: &std::ops::Range<usize>) -> Option<usize> {
    let first = Shift { at: 0, original: 0, ours: false };
    let ends = shifts.iter().map(|shift| shift.at).chain([length]);
    std::iter::once(&first).chain(shifts).zip(ends).filter(|(shift, _)| !shift.ours).find_map(|(shift, end)| {
        let within = shift.original <= range.start && range.end - shift.original.min(range.end) <= end - shift.at;
        within.then(|| shift.at + (range.start - shift.original))
    })
}

/// Every constant of a tree: where it stands, and its text or number.
fn gather(value: &Value, found: &mut Vec<(i64, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        Value::Object(fields) => {
            if let (Some(val), Some(at)) = (fields.get("val"), fields.get("location").and_then(Value::as_i64)) {
                let text = val.get("Sval").and_then(|text| text.get("sval")).and_then(Value::as_str).map(str::to_owned);
                let number = || val.get("Ival").and_then(|n| n.get("ival")).and_then(Value::as_i64).map(|n| n.to_string());
                found.extend(text.or_else(number).map(|value| (at, value)));
            }
            fields.values().for_each(|field| gather(field, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn moved<L: Iterator<Item = (Hole, usize)>>(shift: &Shift, lengths: impl Fn() -> L) -> Shift {
    Shift {
        at: shifted(shift.at, lengths(), |hole| hole.sent),
        original: shifted(shift.original, lengths(), |hole| hole.client),
        ours: shift.ours,
    }
}

/// A place behind literals that are longer or shorter now.
fn shifted(place: usize, lengths: impl Iterator<Item = (Hole, usize)>, of: fn(&Hole) -> usize) -> usize {
    let before = lengths.filter(|(hole, _)| of(hole) < place);
    before.fold(place, |place, (hole, length)| (place + length).saturating_sub(hole.length))
}

/// A text without the literals that may be others.
fn without(text: &str, slots: &[Slot], of: fn(&Hole) -> usize) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut from = 0;
    for hole in slots.iter().filter_map(Slot::hole) {
        rest.push_str(&text[from..of(hole)]);
        rest.push(' ');
        from = of(hole) + hole.length;
    }
    rest.push_str(&text[from..]);
    rest
}

/// Whether a literal brings in no word that makes analysis look closer, and is none that it knows.
fn takes(spelling: &str, known: u32) -> bool {
    if spelling.bytes().all(|b| b.is_ascii_digit()) {
        return true;
    }
    words(spelling) & !known == 0 && !is_known_word(&value(spelling))
}

/// Which words are in a text that make analysis look closer at it.
fn words(text: &str) -> u32 {
    let text = text.to_ascii_lowercase();
    let all = CATALOGS.iter().chain(&TELLING).chain(&SYSTEM_COLUMNS).chain(&SETTING);
    all.zip(0..).filter(|(word, _)| text.contains(*word)).fold(0, |found, (_, bit)| found | 1 << bit)
}

/// Deeper trees are not worth a template, and would need the stack for one.
const DEPTH: usize = 500;

/// Where a statement may set the search path.
const SETTING: [&str; 1] = ["set_config"];

#[cfg(test)]
mod tests;
