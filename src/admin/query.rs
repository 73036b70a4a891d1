//! What stands behind the question mark of an address.

use super::fault::Fault;

/// The parameters, decoded, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads them; what is no UTF-8 or badly encoded makes no sense.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        decoded.collect::<Option<_>>().map(Self).ok_or_else(|| Fault::Invalid("the query is badly encoded".to_owned()))
    }

    /// The value of a parameter. One that stands there twice makes no sense.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Fault> {
        let mut found = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = found.next();
        if found.next().is_some() { Err(Fault::Invalid(format!("{name} is given twice"))) } else { Ok(first) }
    }

    /// The whole number that a parameter is.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Fault> {
        let number = |text: &str| text.parse().map_err(|_| Fault::Invalid(format!("{name} is no whole number")));
        self.get(name)?.map(number).transpose()
    }
}

/// A text without its `%` and `+`; `None` where they stand for nothing.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("user_name=ana%40example.com&filter=a+eq+%22%C3%A4%2Bb%22&empty&n=-3").unwrap();
        assert_eq!(query.get("user_name").unwrap(), Some("ana@example.com"));
        assert_eq!(query.get("filter").unwrap(), Some("a eq \"ä+b\""));
        assert_eq!((query.get("empty").unwrap(), query.get("missing").unwrap()), (Some(""), None));
        assert_eq!(query.number("n").unwrap(), Some(-3));
        assert!(query.number("filter").is_err());
    }

    #[test]
    fn what_is_badly_encoded_or_given_twice_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%+1"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert!(Query::parse("a=1&a=1").unwrap().get("a").is_err());
    }
}
