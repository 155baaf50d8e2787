//! The bounds of the server, for whichever router it serves.

use std::time::Duration;

use crate::stand::{DEACTIVATED, NOW, SECRET, Stand, event, sign};
use tokio::net::TcpStream;

const SHORT: Duration = Duration::from_millis(100);
/// Where a whole request has to fit in, also on a busy machine.
const ROOMY: Duration = Duration::from_millis(800);

#[tokio::test]
async fn a_head_that_trickles_is_cut_off() {
    let stand = Stand::with(|_, limits| limits.head_timeout = SHORT).await;
    let mut client = stand.connect().await;
    client.write(b"POST /webhooks/stripe HTTP/1.1\r\nhost: rel").await;
    let closed = client.answer().await;
    assert!(closed.is_none_or(|answer| answer.status == 408));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let stand = Stand::with(|_, limits| limits.head_timeout = ROOMY).await;
    let mut client = stand.connect().await;
    let body = event(DEACTIVATED);
    client.post(&body, &[("stripe-signature", &sign(SECRET, NOW, &body))]).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert!(client.answer().await.is_none());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let stand = Stand::start().await;
    let mut client = stand.connect().await;
    let padding = "x".repeat(17 * 1024);
    client.head("GET /", &[("x-padding", &padding)]).await;
    assert_eq!(client.answer().await.unwrap().status, 431);

    let mut client = stand.connect().await;
    client.head("GET /", &[("x-a", "b"); 65]).await;
    assert_eq!(client.answer().await.unwrap().status, 431);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let stand = Stand::with(|_, limits| limits.connections_max = 1).await;
    let mut first = stand.connect().await;
    first.head("GET /", &[]).await;
    assert_eq!(first.answer().await.unwrap().status, 404);

    let mut second = stand.connect().await;
    second.head("GET /", &[]).await;
    let early = tokio::time::timeout(SHORT, second.0.readable()).await;
    assert!(early.is_err(), "the second connection was served while the first had the only place");
    drop(first);
    assert_eq!(second.answer().await.unwrap().status, 404);
}

#[tokio::test]
async fn shutdown_answers_what_is_in_hand_and_closes_what_is_idle() {
    let mut stand = Stand::start().await;
    stand.publisher.gate.forget_permits(10_000);
    let mut idle = stand.connect().await;
    idle.head("GET /", &[]).await;
    assert_eq!(idle.answer().await.unwrap().status, 404);
    let mut busy = stand.connect().await;
    let body = event(DEACTIVATED);
    busy.post(&body, &[("stripe-signature", &sign(SECRET, NOW, &body))]).await;
    stand.publisher.entered.acquire().await.unwrap().forget();

    stand.begin_stop();
    assert!(idle.answer().await.is_none());
    assert!(TcpStream::connect(stand.address).await.is_err(), "it still listens");
    stand.publisher.gate.add_permits(1);
    assert_eq!(busy.answer().await.unwrap().status, 200);
    stand.stopped().await;
}

#[tokio::test]
async fn shutdown_cuts_off_what_does_not_end_in_time() {
    let mut stand = Stand::with(|_, limits| limits.drain_timeout = SHORT).await;
    stand.publisher.gate.forget_permits(10_000);
    let mut stuck = stand.connect().await;
    let body = event(DEACTIVATED);
    stuck.post(&body, &[("stripe-signature", &sign(SECRET, NOW, &body))]).await;
    stand.publisher.entered.acquire().await.unwrap().forget();
    stand.begin_stop();
    assert!(stuck.answer().await.is_none());
    stand.stopped().await;
}

#[tokio::test]
async fn a_connection_of_full_age_ends_after_the_request_in_hand() {
    let stand = Stand::with(|_, limits| limits.connection_age_max = ROOMY).await;
    stand.publisher.gate.forget_permits(10_000);
    let mut client = stand.connect().await;
    let body = event(DEACTIVATED);
    client.post(&body, &[("stripe-signature", &sign(SECRET, NOW, &body))]).await;
    assert!(tokio::time::timeout(2 * ROOMY, client.0.readable()).await.is_err());
    stand.publisher.gate.add_permits(1);
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert!(client.answer().await.is_none());
}
