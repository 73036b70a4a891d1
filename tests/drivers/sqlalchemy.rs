//! SQLAlchemy's reflection (over psycopg), by the program `sqlalchemy_program.py`.

use super::program::{python, source};

super::checks! {
    the_inspector_lists_what_is_permitted
    a_table_is_reflected_as_directly
    a_masked_table_is_reflected_as_itself
    the_whole_metadata_is_reflected
    an_administrator_reflects_what_there_is
    a_hidden_table_is_one_that_is_not_there
    reflected_tables_are_read_and_written
}

fn command() -> Vec<String> {
    vec![python(), "-B".into(), source("sqlalchemy_program.py")]
}
