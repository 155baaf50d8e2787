//! A signature, a confirmed publish to a quorum queue, an answer.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use sha2::Sha256;

use super::{EVENTS, confirming, setting};

struct Door {
    key: Hmac<Sha256>,
    channel: Channel,
}

/// Listens where `BENCH_LISTEN` says.
pub(super) async fn run() {
    let (_connection, channel) = confirming(&setting("BENCH_AMQP")).await;
    let key = Hmac::new_from_slice(setting("BENCH_SECRET").as_bytes()).unwrap();
    let router = Router::new().route("/webhooks/stripe", post(take));
    let router = router.with_state(Arc::new(Door { key, channel }));
    let listener = tokio::net::TcpListener::bind(setting("BENCH_LISTEN")).await.unwrap();
    super::super::say("ready");
    axum::serve(listener, router).await.unwrap();
}

async fn take(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if !is_signed(&door.key, &headers, &body) {
        return StatusCode::BAD_REQUEST;
    }
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let published =
        door.channel.basic_publish("".into(), EVENTS.into(), options, &body, properties).await;
    let Ok(confirm) = published else { return StatusCode::SERVICE_UNAVAILABLE };
    match confirm.await {
        Ok(Confirmation::Ack(None)) => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn is_signed(key: &Hmac<Sha256>, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    let part =
        |name: &str| header?.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let (Some(time), Some(signature)) = (part("t"), part("v1")) else { return false };
    let mut wanted = [0; 32];
    for (place, pair) in wanted.iter_mut().zip(signature.as_bytes().chunks(2)) {
        let text = std::str::from_utf8(pair).unwrap_or_default();
        *place = u8::from_str_radix(text, 16).unwrap_or_default();
    }
    let mut mac = key.clone();
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.verify_slice(&wanted).is_ok()
}
