//! One test binary: harness, spec, wire, attack, drivers, architecture.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![forbid(unsafe_code)]

mod architecture;
mod attack;
mod builtins;
mod drivers;
#[expect(unused, reason = "the tests that use it come with what they test")]
mod harness;
mod operations;
