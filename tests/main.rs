//! One test binary: harness, spec, wire, attack, drivers, architecture.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::result_large_err, reason = "a refusal is what these tests are about, and none is on a hot path")]
#![forbid(unsafe_code)]

mod architecture;
mod attack;
mod builtins;
mod differential;
mod drivers;
mod harness;
mod operations;
mod regression;
pub mod spec;
mod wire;
