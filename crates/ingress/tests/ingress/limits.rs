//! What the ingress and its server do not put up with.

use std::time::Duration;

use crate::stand::{DEACTIVATED, NOW, PATIENCE, SECRET, Stand, event, sign};

const LIMIT: usize = 4096;
const SHORT: Duration = Duration::from_millis(100);

async fn wait_for(stand: &Stand, sample: &str, value: f64) {
    let reached = async {
        while stand.metric(sample) != Some(value) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect(sample);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let stand = Stand::with(|config, _| config.body_bytes_max = LIMIT).await;
    let mut client = stand.connect().await;
    let length = (LIMIT + 1).to_string();
    client.head("POST /webhooks/stripe", &[("content-length", &length)]).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (413, "too_large"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.answer().await.is_none());
}

#[tokio::test]
async fn a_body_without_a_length_is_refused_where_it_passes_the_limit() {
    let stand = Stand::with(|config, _| config.body_bytes_max = LIMIT).await;
    let mut client = stand.connect().await;
    client.head("POST /webhooks/stripe", &[("transfer-encoding", "chunked")]).await;
    let chunk = format!("{:x}\r\n{}\r\n", LIMIT / 2, "x".repeat(LIMIT / 2));
    client.write(chunk.as_bytes()).await;
    client.write(chunk.as_bytes()).await;
    client.write(b"1\r\nx").await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (413, "too_large"));
}

#[tokio::test]
async fn a_body_without_a_length_passes_within_the_limit_and_in_pieces() {
    let stand = Stand::start().await;
    let body = event(DEACTIVATED);
    let signature = sign(SECRET, NOW, &body);
    let headers = [("transfer-encoding", "chunked"), ("stripe-signature", signature.as_str())];
    let mut client = stand.connect().await;
    client.head("POST /webhooks/stripe", &headers).await;
    for piece in body.chunks(7) {
        client.write(format!("{:x}\r\n", piece.len()).as_bytes()).await;
        client.write(piece).await;
        client.write(b"\r\n").await;
    }
    client.write(b"0\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(stand.publisher.taken()[0].body, body);
}

#[tokio::test]
async fn a_body_shorter_than_its_length_ends_as_too_slow() {
    let stand = Stand::with(|config, _| config.body_timeout = SHORT).await;
    let body = event(DEACTIVATED);
    let mut client = stand.connect().await;
    client.head("POST /webhooks/stripe", &[("content-length", "5000")]).await;
    client.write(&body).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (408, "too_slow"));
    assert!(client.answer().await.is_none());
}

#[tokio::test]
async fn a_body_longer_than_its_length_is_cut_and_does_not_verify() {
    let stand = Stand::start().await;
    let body = event(DEACTIVATED);
    let signature = sign(SECRET, NOW, &body);
    let length = (body.len() - 5).to_string();
    let headers = [("content-length", length.as_str()), ("stripe-signature", &signature)];
    let mut client = stand.connect().await;
    client.head("POST /webhooks/stripe", &headers).await;
    client.write(&body).await;
    assert_eq!(client.answer().await.unwrap().reason(), "signature_no_match");
}

#[tokio::test]
async fn a_body_that_breaks_off_frees_its_slot() {
    let stand = Stand::start().await;
    let mut client = stand.connect().await;
    client.head("POST /webhooks/stripe", &[("content-length", "5000")]).await;
    wait_for(&stand, "relink_ingress_in_flight", 1.0).await;
    drop(client);
    wait_for(&stand, "relink_ingress_in_flight", 0.0).await;
}

#[tokio::test]
async fn beyond_the_slots_it_is_busy_at_once_and_recovers() {
    let stand = Stand::with(|config, _| config.in_flight_max = 2).await;
    let closed = stand.publisher.gate.forget_permits(10_000);
    assert_eq!(closed, 10_000);
    let body = event(DEACTIVATED);
    let signature = sign(SECRET, NOW, &body);
    let mut held = vec![];
    for _ in 0..2 {
        let mut client = stand.connect().await;
        client.post(&body, &[("stripe-signature", &signature)]).await;
        held.push(client);
    }
    stand.publisher.entered.acquire_many(2).await.unwrap().forget();
    assert_eq!(stand.metric("relink_ingress_in_flight"), Some(2.0));
    let answer = stand.send(&body).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "busy"));
    assert_eq!(answer.header("retry-after"), Some("5"));
    stand.publisher.gate.add_permits(2);
    for client in &mut held {
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    assert_eq!(stand.send(&body).await.status, 200);
}

#[tokio::test]
async fn a_sender_that_leaves_during_the_publish_frees_its_slot() {
    let stand = Stand::with(|config, _| config.in_flight_max = 1).await;
    stand.publisher.gate.forget_permits(10_000);
    let body = event(DEACTIVATED);
    let mut client = stand.connect().await;
    client.post(&body, &[("stripe-signature", &sign(SECRET, NOW, &body))]).await;
    stand.publisher.entered.acquire().await.unwrap().forget();
    drop(client);
    wait_for(&stand, "relink_ingress_in_flight", 0.0).await;
    stand.publisher.gate.add_permits(1);
    assert_eq!(stand.send(&body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_webhooks_at_once_over_kept_connections_are_each_published_once() {
    const CONNECTIONS: usize = 50;
    const EACH: usize = 20;
    let stand = Stand::start().await;
    let mut senders = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let mut client = stand.connect().await;
        senders.spawn(async move {
            for turn in 0..EACH {
                let body = String::from_utf8(event(DEACTIVATED)).unwrap();
                let body = body.replace("evt_1", &format!("evt_{connection}_{turn}"));
                let signature = sign(SECRET, NOW, body.as_bytes());
                client.post(body.as_bytes(), &[("stripe-signature", &signature)]).await;
                assert_eq!(client.answer().await.unwrap().status, 200);
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    let mut ids: Vec<_> = stand.publisher.taken().into_iter().map(|message| message.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), CONNECTIONS * EACH);
    let published = stand.metric("relink_ingress_events_total{outcome=\"published\"}");
    assert_eq!(published, Some(1000.0));
    assert_eq!(stand.metric("relink_ingress_in_flight"), Some(0.0));
}
