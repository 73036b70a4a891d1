//! Real clients through the proxy, each in its own manners: psql, pgjdbc, psycopg, asyncpg, SQLAlchemy, tokio-postgres, and of the HTTP
//! API the Databricks CLI and SDK.
//!
//! pgjdbc and the Python drivers are exercised by programs in their own languages. A program runs once per mechanism against a
//! shop of its own and reports each of its checks; a test here stands for one check, so a failure names what is broken.

mod asyncpg;
mod databricks;
mod dbt;
mod jdbc;
mod logins;
mod oauth;
mod program;
pub(crate) mod psql;
mod psql_catalog;
mod psycopg;
mod rust_postgres;
mod sqlalchemy;

pub(crate) use program::checks;
