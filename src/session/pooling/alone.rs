//! Settings with which a session is alone on its connection.
//!
//! In: a setting's name and value, as a client writes it or as `pg_settings` has it. Out: whether a turn of somebody else could go wrong
//! while it is set. Never: a value that is not understood taken for harmless.

/// Whether nobody else may have a connection where this is set. PostgreSQL would close it under whoever comes next; and it takes no other
/// buffers where anybody has used temporary tables.
pub(super) fn cannot_be_followed(name: &str, value: &str) -> bool {
    match name {
        TRANSACTION_TIMEOUT => is_short_limit(value),
        _ => value != "0",
    }
}

/// Whether this is a limit that a turn might not keep; what is not understood is taken for one.
pub(super) fn is_short_limit(value: &str) -> bool {
    let value = value.trim();
    let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len()));
    let Ok(number) = number.parse::<f64>() else { return true };
    let milliseconds = match unit.trim_start() {
        "us" => 1e-3,
        "" | "ms" => 1.0,
        "s" => 1e3,
        "min" => 6e4,
        "h" => 3.6e6,
        "d" => 8.64e7,
        _ => return true,
    };
    number > 0.0 && number * milliseconds < SHORT_MS
}

/// A turn is a matter of microseconds, where the machine has time for it.
const SHORT_MS: f64 = 100.0;

/// What keeps a session on its connection, where it [`cannot_be_followed`].
pub(super) const LIMITS: [&str; 2] = ["idle_session_timeout", TRANSACTION_TIMEOUT];

pub(super) const TEMP_BUFFERS: &str = "temp_buffers";
const TRANSACTION_TIMEOUT: &str = "transaction_timeout";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_less_than_a_tenth_of_a_second_are_short() {
        for short in ["1", "99", "99ms", "0.05s", " 20 ms ", "500us", "0.001min", "1 fortnight", "x", "0x10"] {
            assert!(cannot_be_followed(TRANSACTION_TIMEOUT, short), "{short}");
        }
        for long in ["0", "100", "0s", "1s", "2min", "1h", "1d", "100000us"] {
            assert!(!cannot_be_followed(TRANSACTION_TIMEOUT, long), "{long}");
        }
        assert!(cannot_be_followed("idle_session_timeout", "100000") && !cannot_be_followed(TEMP_BUFFERS, "0"));
    }
}
