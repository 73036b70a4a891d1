//! The oracle. What a principal gets through pgusher must be what PostgreSQL answers on a database that holds nothing but the
//! rows and values that the principal may see: so such a database is made, and the answers are compared.
//!
//! A bounded run belongs to every run of the tests; `make differential` makes the long one. `docs/testing.md` tells more.

mod compare;
mod corpus;
mod figures;
mod grammar;
mod native;
mod policies;
mod regress;
mod run;
mod side;
mod tpch;
mod world;

pub use grammar::Tape;
