//! What operators rely on: the demo, init, the store's watch, recovery.

mod audit;
mod changes;
mod demo;
mod init;
mod store;
