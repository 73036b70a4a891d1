//! Choices, from a seed or from a list: a statement is a function of them, so a shorter list of smaller choices is a smaller
//! statement. 0 is always the simplest choice.

/// A tape of choices.
pub struct Tape {
    choices: Vec<u32>,
    at: usize,
    state: Option<u64>,
}

impl Tape {
    /// Endless choices from a seed, kept as they are made.
    pub fn random(seed: u64) -> Tape {
        Tape { choices: Vec::new(), at: 0, state: Some(seed ^ 0x9e37_79b9_7f4a_7c15) }
    }

    /// These choices, and 0 for ever after.
    pub fn of(choices: &[u32]) -> Tape {
        Tape { choices: choices.to_vec(), at: 0, state: None }
    }

    /// The choices made so far.
    pub fn choices(&self) -> &[u32] {
        &self.choices[..self.at.min(self.choices.len())]
    }

    /// A number from 0 below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u32::try_from(bound.max(1)).unwrap_or(u32::MAX);
        let choice = match (&mut self.state, self.choices.get(self.at)) {
            (_, Some(choice)) => choice % bound,
            (None, None) => 0,
            (Some(state), None) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                let choice = ((z ^ (z >> 31)) >> 32) as u32 % bound;
                self.choices.push(choice);
                choice
            }
        };
        self.at += 1;
        choice as usize
    }

    /// True in so many of a hundred cases; never where all choices are 0.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    /// One of these; the first is the simplest.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// The smallest list of choices that still fails, as far as `tries` attempts find it.
pub fn shrink(choices: &[u32], mut tries: usize, mut fails: impl FnMut(&[u32]) -> bool) -> Vec<u32> {
    let mut best = choices.to_vec();
    loop {
        let before = best.clone();
        let mut size = best.len().next_power_of_two() / 2;
        while size > 0 {
            let mut at = 0;
            while at < best.len() {
                let end = (at + size).min(best.len());
                let removed = [&best[..at], &best[end..]].concat();
                let mut zeroed = best.clone();
                zeroed[at..end].fill(0);
                let mut smaller = None;
                for candidate in [removed, zeroed] {
                    if tries == 0 {
                        return best;
                    }
                    if candidate == best {
                        continue;
                    }
                    tries -= 1;
                    if fails(&candidate) {
                        smaller = Some(candidate);
                        break;
                    }
                }
                match smaller {
                    Some(candidate) if candidate.len() < best.len() => best = candidate,
                    Some(candidate) => {
                        best = candidate;
                        at = end;
                    }
                    None => at = end,
                }
            }
            size /= 2;
        }
        while best.last() == Some(&0) {
            best.pop();
        }
        if best == before {
            return best;
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let draw = |seed| {
        let mut tape = Tape::random(seed);
        (0..50).map(|n| tape.below(n + 2)).collect::<Vec<_>>()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    let mut tape = Tape::random(7);
    let first: Vec<usize> = (0..50).map(|n| tape.below(n + 2)).collect();
    let mut again = Tape::of(tape.choices());
    assert_eq!(first, (0..50).map(|n| again.below(n + 2)).collect::<Vec<_>>());
}

#[test]
fn a_failure_shrinks_to_what_matters() {
    let mut tape = Tape::random(3);
    while tape.choices().iter().filter(|c| **c > 90).count() < 2 {
        tape.below(100);
    }
    let small = shrink(tape.choices(), 1000, |choices| choices.iter().filter(|c| **c > 90).count() >= 2);
    assert_eq!(small.len(), 2);
}
