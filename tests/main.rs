//! One test binary: harness, spec, wire, attack, differential, operations, drivers, architecture.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
