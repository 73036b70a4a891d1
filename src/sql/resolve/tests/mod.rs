//! The walk, played over the hand-built footing.

mod needs;
mod reads;
mod refusals;
mod rules;
mod session;
mod ties;
mod writes;

use crate::sql::fixture::sent;

/// (client's text, what is sent)
fn table(cases: &[(&str, &str)]) {
    for (client, upstream) in cases {
        assert_eq!(&sent(client), upstream, "{client}");
    }
}
