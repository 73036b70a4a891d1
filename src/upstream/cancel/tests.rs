use tokio::net::TcpListener;

use super::*;
use crate::upstream::connect::Host;
use crate::upstream::tls::UpstreamTls;

async fn registry() -> (Arc<Registry>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream {
        host: Host::Tcp("127.0.0.1".into()),
        port: listener.local_addr().unwrap().port(),
        database: "shop".into(),
        tls: UpstreamTls::Disabled,
        connect_timeout: Duration::from_secs(5),
    };
    (Registry::new(upstream), listener)
}

fn enlist(registry: &Arc<Registry>, number: u64) -> Enlisted {
    let principal = PrincipalId(i64::try_from(number).unwrap());
    registry.enlist(2, SessionId(number), principal, Arc::from(format!("t{number}")))
}

#[tokio::test]
async fn secrets_are_long_from_protocol_3_2_on() {
    let (registry, _) = registry().await;
    let lengths = [0, 1, 2, 3].map(|minor| {
        let seat = registry.enlist(minor, SessionId(1), PrincipalId(1), Arc::from("t"));
        assert!(seat.key().process_id > 0);
        seat.key().secret.len()
    });
    assert_eq!(lengths, [4, 4, 32, 32]);
    assert!(registry.is_empty(), "a session leaves when its seat is dropped");
}

#[tokio::test]
async fn a_cancel_reaches_exactly_the_backend_of_its_session() {
    let (registry, listener) = registry().await;
    let (one, two) = (enlist(&registry, 1), enlist(&registry, 2));
    one.aim(101, Bytes::from_static(b"one!")).await;
    two.aim(102, Bytes::from_static(b"a secret of upstream 18's length")).await;
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let mut byte = [0u8; 1];
        while request.len() < 44 {
            stream.read_exact(&mut byte).await.unwrap();
            request.push(byte[0]);
        }
        request
    });
    let key = two.key().clone();
    registry.cancel(key.process_id, &key.secret).await.unwrap();
    let expected = [&b"\0\0\0\x2c\x04\xd2\x16\x2e\0\0\0\x66"[..], b"a secret of upstream 18's length"].concat();
    assert_eq!(upstream.await.unwrap(), expected);
}

#[tokio::test]
async fn a_wrong_secret_an_unknown_session_and_a_session_without_a_backend_reach_nobody() {
    let (registry, listener) = registry().await;
    let seat = enlist(&registry, 1);
    let key = seat.key().clone();
    registry.cancel(key.process_id, &key.secret).await.unwrap();
    seat.aim(101, Bytes::from_static(b"one!")).await;
    let mut wrong = key.secret.to_vec();
    wrong[31] ^= 1;
    registry.cancel(key.process_id, &wrong).await.unwrap();
    registry.cancel(key.process_id, &key.secret[..31]).await.unwrap();
    registry.cancel(key.process_id, b"").await.unwrap();
    registry.cancel(key.process_id ^ 1, &key.secret).await.unwrap();
    seat.disarm().await;
    registry.cancel(key.process_id, &key.secret).await.unwrap();
    seat.cancel().await.unwrap();
    let knocked = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(knocked.is_err(), "upstream was not called");
}

#[tokio::test]
async fn a_backend_is_not_given_away_while_a_cancel_is_under_way() {
    let (registry, listener) = registry().await;
    let seat = Arc::new(enlist(&registry, 1));
    seat.aim(101, Bytes::from_static(b"one!")).await;
    let canceling = tokio::spawn({
        let seat = Arc::clone(&seat);
        async move { seat.cancel().await }
    });
    let (stream, _) = listener.accept().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), seat.disarm()).await.is_err());
    drop(stream);
    canceling.await.unwrap().unwrap();
    seat.disarm().await;
}

#[tokio::test]
async fn sessions_are_ended_by_slot_principal_or_token_and_only_those() {
    let (registry, _) = registry().await;
    let seats: Vec<_> = (1..=5).map(|n| enlist(&registry, n)).collect();
    for (seat, slot) in seats.iter().zip(11..) {
        seat.attached(slot);
    }
    registry.terminate(11, Ending::Revoked);
    registry.terminate_principal(PrincipalId(2), Ending::Revoked);
    registry.terminate_token("t3", Ending::Revoked);
    registry.terminate(99, Ending::Revoked);
    assert_eq!(seats.iter().map(Enlisted::ending).filter(Option::is_some).count(), 3);
    for seat in &seats[..3] {
        assert_eq!(seat.ended().await, Ending::Revoked);
    }
    assert!(tokio::time::timeout(Duration::from_millis(10), seats[3].ended()).await.is_err());
    registry.drain();
    assert_eq!(seats[3].ended().await, Ending::Draining);
    assert_eq!(seats[0].ended().await, Ending::Revoked, "the first reason stands");
    assert_eq!(enlist(&registry, 6).ended().await, Ending::Draining, "who comes late is told too");
}

#[tokio::test]
async fn only_attached_sessions_are_open_ones() {
    let (registry, _) = registry().await;
    let (one, _two) = (enlist(&registry, 1), enlist(&registry, 2));
    one.attached(7);
    assert_eq!(registry.open(), [OpenSession { session: SessionId(1), slot: 7, principal: PrincipalId(1) }]);
    assert_eq!(registry.len(), 2);
}

#[test]
fn secrets_are_equal_only_when_every_byte_and_the_length_are() {
    assert!(same(b"abcd", b"abcd"));
    for other in [&b"abce"[..], b"bbcd", b"abc", b"abcde", b""] {
        assert!(!same(b"abcd", other));
    }
}
