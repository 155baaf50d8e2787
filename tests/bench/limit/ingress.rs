//! A signature, a confirmed publish to a quorum queue, an answer. Straight to the queue with nothing
//! but a body, or as the contract has it: through a topic exchange, with properties and headers.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Confirmation};
use sha2::Sha256;

use super::{EVENTS, confirming, setting};

/// A type that many have; reading it would cost the program, not the broker.
const KIND: &str = "financial_connections.account.deactivated";

struct Door {
    key: Hmac<Sha256>,
    channel: Channel,
    exchange: String,
    routing_key: String,
    properties: BasicProperties,
}

/// Listens where `BENCH_LISTEN` says.
pub(super) async fn run() {
    let (_connection, channel) = confirming(&setting("BENCH_AMQP")).await;
    let key = Hmac::new_from_slice(setting("BENCH_SECRET").as_bytes()).unwrap();
    let exchange = setting("BENCH_EXCHANGE");
    let door = match &*exchange {
        "" => Door {
            key,
            channel,
            exchange,
            routing_key: EVENTS.to_owned(),
            properties: BasicProperties::default().with_delivery_mode(2),
        },
        _ => {
            Door { key, channel, exchange, routing_key: KIND.to_owned(), properties: properties() }
        }
    };
    let router = Router::new().route("/webhooks/stripe", post(take));
    let router = router.with_state(Arc::new(door));
    let listener = tokio::net::TcpListener::bind(setting("BENCH_LISTEN")).await.unwrap();
    super::super::say("ready");
    axum::serve(listener, router).await.unwrap();
}

/// All that a message of Relink's says beside its body.
fn properties() -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("relink-livemode".into(), AMQPValue::Boolean(true));
    let version = LongString::from("2026-09-30.preview");
    headers.insert("relink-api-version".into(), AMQPValue::LongString(version));
    headers.insert("relink-received-at".into(), AMQPValue::LongLongInt(1_790_000_000_000));
    headers.insert("relink-publish".into(), AMQPValue::LongLongInt(1));
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id("evt_1TheBenchDoesNotReadIt00".into())
        .with_type(KIND.into())
        .with_timestamp(1_790_000_000)
        .with_content_type("application/json".into())
        .with_app_id("relink".into())
        .with_headers(headers)
}

async fn take(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if !is_signed(&door.key, &headers, &body) {
        return StatusCode::BAD_REQUEST;
    }
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let (exchange, routing_key) = (door.exchange.as_str().into(), door.routing_key.as_str().into());
    let properties = door.properties.clone();
    let published =
        door.channel.basic_publish(exchange, routing_key, options, &body, properties).await;
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
