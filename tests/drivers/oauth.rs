//! SASL OAUTHBEARER from libpq 18 (the one that psycopg brings), by the program `oauth_program.py`.

use super::program::{python, source};

super::checks! {
    libpq_is_told_where_to_get_a_token_and_logs_in_with_it
    a_token_of_pgushers_own_is_a_bearer_token
    bad_tokens_are_refused_with_one_text
    who_does_not_ask_for_it_is_asked_for_a_password
    a_bearer_sees_own_rows_and_may_act_for_somebody
}

fn command() -> Vec<String> {
    vec![python(), "-B".into(), source("oauth_program.py")]
}
