use std::sync::Arc;

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use super::*;

const PASSWORD: &str = "pgu_of-ana";

fn known(password: Option<&str>) -> Known {
    let verifier = password.map(|password| (Arc::from("7"), Verifier::of(password).unwrap()));
    Known { verifier, mock_salt: [9; SALT] }
}

/// A whole exchange with a client that is another's work.
fn exchanged(
    password: &str,
    known: Known,
    binding: ChannelBinding,
    plus: bool,
    end_point: Option<&[u8]>,
) -> Result<bool, ScramError> {
    let mut client = ScramSha256::new(password.as_bytes(), binding);
    let challenge = First::read(client.message(), plus, end_point)?.challenge(known);
    client.update(challenge.message().as_bytes()).unwrap();
    let answered = challenge.answered(client.message())?;
    // The client believes us where it knows the password, and only there.
    assert_eq!(client.finish(answered.message.as_bytes()).is_ok(), answered.token.is_some());
    Ok(answered.token.as_deref() == Some("7"))
}

#[test]
fn whoever_knows_the_password_is_known_by_its_verifier() {
    let end_point: &[u8] = &[7; 32];
    let bound = || ChannelBinding::tls_server_end_point(end_point.to_vec());
    for (binding, plus, offered) in [
        (ChannelBinding::unsupported(), false, None),
        (ChannelBinding::unsupported(), false, Some(end_point)),
        (ChannelBinding::unrequested(), false, None),
        (bound(), true, Some(end_point)),
    ] {
        assert_eq!(exchanged(PASSWORD, known(Some(PASSWORD)), binding, plus, offered), Ok(true));
    }
    assert_eq!(exchanged("pgu_of-bob", known(Some(PASSWORD)), bound(), true, Some(end_point)), Ok(false));
    assert_eq!(exchanged(PASSWORD, known(None), bound(), true, Some(end_point)), Ok(false));
}

#[test]
fn a_channel_that_is_another_or_was_talked_out_of_its_binding_is_refused() {
    let end_point: &[u8] = &[7; 32];
    let bound = |to: &[u8]| ChannelBinding::tls_server_end_point(to.to_vec());
    let good = || known(Some(PASSWORD));
    assert_eq!(exchanged(PASSWORD, good(), bound(&[8; 32]), true, Some(end_point)), Err(ScramError::Binding));
    assert_eq!(exchanged(PASSWORD, good(), ChannelBinding::unrequested(), false, Some(end_point)), Err(ScramError::Downgrade));
    // Bound where nothing was offered, unbound where binding was chosen.
    assert_eq!(exchanged(PASSWORD, good(), bound(end_point), false, None), Err(ScramError::Malformed));
    assert_eq!(exchanged(PASSWORD, good(), bound(end_point), true, None), Err(ScramError::Malformed));
    assert_eq!(exchanged(PASSWORD, good(), ChannelBinding::unsupported(), true, Some(end_point)), Err(ScramError::Malformed));
}

#[test]
fn messages_that_make_no_sense_are_malformed() {
    for message in [
        "",
        "n",
        "n,,",
        "n,,n=",
        "n,,r=abc",
        "n,,n=,r=",
        "n,,n=,r=a b",
        "n,,n=,r=\u{e9}",
        "n,a=root,n=,r=abc",
        "n,,m=must,n=,r=abc",
        "x,,n=,r=abc",
        "p=tls-unique,,n=,r=abc",
        "p=tls-server-end-point,,n=,r=abc",
    ] {
        assert!(matches!(First::read(message.as_bytes(), false, None), Err(ScramError::Malformed)), "{message:?}");
    }
    assert!(matches!(First::read(b"p=tls-unique,,n=,r=abc", true, Some(&[1])), Err(ScramError::Malformed)));
    let challenge = || First::read(b"n,,n=ana,r=abc", false, None).unwrap().challenge_by(known(None), "def");
    assert!(challenge().message().starts_with("r=abcdef,s="));
    let proof = STANDARD.encode([0u8; 32]);
    for message in [
        String::new(),
        "c=biws,r=abcdef".to_owned(),
        format!("c=biws,r=abc,p={proof}"),
        format!("c=biws,r=abcdefg,p={proof}"),
        format!("r=abcdef,c=biws,p={proof}"),
        "c=biws,r=abcdef,p=AAAA".to_owned(),
        "c=biws,r=abcdef,p=".to_owned(),
    ] {
        assert!(matches!(challenge().answered(message.as_bytes()), Err(ScramError::Malformed)), "{message:?}");
    }
    let other = format!("c=eSws,r=abcdef,p={proof}");
    assert!(matches!(challenge().answered(other.as_bytes()), Err(ScramError::Binding)));
    let answered = challenge().answered(format!("c=biws,r=abcdef,p={proof}").as_bytes()).unwrap();
    assert!(answered.token.is_none(), "the keys of nobody are no password's");
}

/// By RFC 7677 section 3: the exchange of "user" with the password "pencil".
#[test]
fn the_example_of_the_rfc_comes_out() {
    let verifier = Verifier {
        salt: exact("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(),
        stored_key: exact("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=").unwrap(),
        server_key: exact("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=").unwrap(),
    };
    let known = Known { verifier: Some((Arc::from("7"), verifier)), mock_salt: [0; SALT] };
    let first = First::read(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", false, None).unwrap();
    let challenge = first.challenge_by(known, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    assert_eq!(challenge.message(), "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    let answer = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let answered = challenge.answered(answer).unwrap();
    assert_eq!(answered.token.as_deref(), Some("7"));
    assert_eq!(answered.message, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn only_verifiers_by_which_nobody_is_told_from_another_are_read() {
    let good = Verifier::of(PASSWORD).unwrap();
    let text = good.text();
    assert_eq!(Verifier::parse(&text), Some(good.clone()));
    assert!(!format!("{good:?}").contains(&text[20..]));
    let salt = |bytes: &[u8]| format!("SCRAM-SHA-256$4096:{}${}", STANDARD.encode(bytes), text.rsplit_once('$').unwrap().1);
    assert!(Verifier::parse(&salt(&[1; SALT])).is_some());
    for wrong in [
        "secret".to_owned(),
        "md5e8a48653851e28c69d0506508fb27fc5".to_owned(),
        salt(&[1; 12]),
        salt(&[1; 17]),
        text.replace("4096", "8192"),
        text.replace("4096", "04096"),
        text.replace("SHA-256$", "SHA-1$"),
        format!("{text}="),
        format!(" {text}"),
        text[..text.len() - 4].to_owned(),
    ] {
        assert_eq!(Verifier::parse(&wrong), None, "{wrong}");
    }
}
