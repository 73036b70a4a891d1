//! The policy store in PostgreSQL, and what it makes of policies upstream.
//!
//! In: rows of the schema `pgusher` and of the upstream's catalog. Out: published [`crate::catalog::Footing`]s; roles, governed views
//! and row-security policies upstream that agree with them. Never: client SQL, sockets of clients.

pub mod channel;

pub mod govern;
mod governed;
pub mod init;
pub mod load;
pub mod migrations;
pub mod names;
pub mod reconcile;

pub use crate::error::StoreError;
