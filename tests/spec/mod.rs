//! What pgusher promises, a file per feature; nearly everything under both mechanisms.

pub mod acting;
mod audit;
mod connections;
mod copy;
mod cursors;
mod ddl;
mod definitions;
mod dependents;
mod functions;
mod governance;
mod grants;
mod http_api;
mod jwt;
mod masks;
mod plans;
mod prepared;
mod queries;
mod row_filters;
mod settings;
mod statements;
mod temporary;
mod tokens;
mod transactions;
mod versions;
mod views;
mod writes;
mod writes_values;
