//! What operators rely on: init, the store's watch, recovery.

mod init;
mod store;
