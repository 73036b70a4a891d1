//! The control connection.
//!
//! In: statements of our own. Out: their JSON. Every connection acts as `pgusher_owner`, with `search_path = pg_catalog, pg_temp`.

use std::future::Future;
use std::pin::Pin;

use crate::catalog::load::Source;
use crate::upstream::{OwnerChannel, OwnerError};

impl Source for dyn OwnerChannel + '_ {
    type Error = OwnerError;

    fn rows<'a>(&'a mut self, sql: &'a str) -> Pin<Box<dyn Future<Output = Result<serde_json::Value, OwnerError>> + Send + 'a>> {
        self.fetch(sql)
    }
}
