//! Words of a text that the session must know of wherever they stand: they are looked for once, when the text is analysed.

/// What a text has words for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// What outlasts its transaction: advisory locks, characteristics of the session.
    pub lasting: bool,
    /// What was drawn from sequences, or will be.
    pub sequences: bool,
    /// `set_config`.
    pub set_config: bool,
    /// A name with Unicode escapes, which could spell any other.
    pub escaped: bool,
}

impl Mentions {
    /// Looks a text through.
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut found = Self::default();
        for (at, byte) in bytes.iter().enumerate() {
            let says = |word: &str| bytes.get(at..at + word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()));
            match byte.to_ascii_lowercase() {
                b'a' => found.lasting |= says("advisory"),
                b'c' => {
                    found.lasting |= says("characteristics");
                    found.sequences |= says("currval");
                }
                b'l' => found.sequences |= says("lastval"),
                b'n' => found.sequences |= says("nextval"),
                b's' => {
                    found.set_config |= says("set_config");
                    found.sequences |= says("setval") || says("setseed");
                }
                b'u' => found.escaped |= says("u&\""),
                _ => {}
            }
        }
        found
    }

    /// What either of two texts has words for.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            lasting: self.lasting || other.lasting,
            sequences: self.sequences || other.sequences,
            set_config: self.set_config || other.set_config,
            escaped: self.escaped || other.escaped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_anywhere_in_a_text_and_in_any_case() {
        let nothing = Mentions::default();
        let (lasting, sequences) = (Mentions { lasting: true, ..nothing }, Mentions { sequences: true, ..nothing });
        let (set_config, escaped) = (Mentions { set_config: true, ..nothing }, Mentions { escaped: true, ..nothing });
        for (text, found) in [
            ("SELECT a, c, l, n, s, u FROM t WHERE u & \"a\" = 'Set Config' -- advisor, nextva", nothing),
            ("", nothing),
            ("SELECT pg_Advisory_lock(1)", lasting),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", lasting),
            ("SELECT nextval('s')", sequences),
            ("select SETVAL('s', 1)", sequences),
            ("SELECT pg_catalog.currval('s')", sequences),
            ("SELECT lastval()", sequences),
            ("SELECT setseed(0)", sequences),
            ("SELECT \"set_config\"('a', 'b', true)", set_config),
            ("SELECT U&\"\\0061\"", escaped),
            ("u&\"", escaped),
        ] {
            assert_eq!(Mentions::of(text), found, "{text}");
        }
        assert_eq!(lasting.and(escaped), Mentions { lasting: true, escaped: true, ..nothing });
    }
}
