//! pgusher: a PostgreSQL proxy that checks every ticket and shows each person to their own rows.
//!
//! The modules stand in the order in which they may import one another: each only from those above it.

#![forbid(unsafe_code)]

pub mod name;

pub mod config;

pub mod wire;

pub mod policy;

pub mod event;

pub mod catalog;

pub mod authn;

pub mod governance;

pub mod sql;

pub mod upstream;

pub mod error;

pub mod startup;

pub mod session;

pub mod listener;

pub mod store;

pub mod audit;

pub mod metrics;

pub mod admin;

pub mod cli;
