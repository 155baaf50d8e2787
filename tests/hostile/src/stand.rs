//! What the targets stand on where a role is more than a function: a bus that takes everything, a
//! clock that goes on, a Stripe that answers anything.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use relink_bus::message::Message;
use relink_bus::port::{PublishError, Publisher};
use relink_core::time::Time;
use relink_engine::clock::Clock;
use relink_stripe::client::{Client, ClientConfig, Wire, WireError};
use secrecy::SecretString;

use crate::seed::{EVENTS, OBJECTS};
use crate::source::Source;

/// The key of every client; must never come back from anywhere.
pub(crate) const API_KEY: &str = "sk_live_hostile";

/// Keeps what is published.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Mutex<Vec<Message>>);

#[async_trait]
impl Publisher for Kept {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        self.0.lock().unwrap().push(message);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        true
    }
}

/// A minute later each time, so that no limit of a rate is in the way.
pub(crate) struct Steps(AtomicI64);

impl Default for Steps {
    fn default() -> Self {
        Self(AtomicI64::new(1_790_000_000_000))
    }
}

impl Clock for Steps {
    fn now(&self) -> Time {
        Time(self.0.fetch_add(60_000, Ordering::Relaxed))
    }
}

/// Answers that were made up beforehand, one after the other and then again.
pub(crate) struct MadeUp {
    answers: Vec<(u16, String, Bytes)>,
    next: AtomicI64,
}

impl MadeUp {
    pub(crate) fn of(source: &mut Source<'_>) -> Self {
        let answers = (0..=source.below(3)).map(|_| {
            let status =
                *source.pick(&[200, 200, 200, 404, 400, 401, 403, 402, 429, 500, 204, 302]);
            let date = match source.below(4) {
                0 => source.text(),
                _ => "Mon, 21 Sep 2026 14:13:20 GMT".to_owned(),
            };
            (status, date, answer(source).into())
        });
        Self { answers: answers.collect(), next: AtomicI64::new(0) }
    }
}

/// An object, a page of them, or anything else.
fn answer(source: &mut Source<'_>) -> Vec<u8> {
    let mut document = source.pick(&OBJECTS).clone();
    let places = source.below(4);
    source.alter(&mut document, &EVENTS.names, places);
    document = match source.below(5) {
        0 => serde_json::json!({ "object": "list", "data": [document], "has_more": true }),
        1 => serde_json::json!({ "object": "list", "data": [document], "has_more": false }),
        2 => serde_json::json!({ "error": document }),
        _ => document,
    };
    let mut body = document.to_string().into_bytes();
    if source.one_in(4) {
        source.damage(&mut body);
    }
    body
}

#[async_trait]
impl Wire for MadeUp {
    async fn exchange(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, WireError> {
        let next = self.next.fetch_add(1, Ordering::Relaxed).unsigned_abs();
        let index = usize::try_from(next).unwrap_or_default() % self.answers.len();
        let (status, date, body) = self.answers[index].clone();
        let mut answer = Response::builder().status(status);
        if let Ok(date) = http::HeaderValue::from_str(&date) {
            answer = answer.header("date", date);
        }
        answer.header("request-id", "req_1").body(body).map_err(|_| WireError::Connection)
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

/// A client of such a Stripe.
pub(crate) fn client(source: &mut Source<'_>) -> Client {
    let key = SecretString::from(API_KEY);
    let config = ClientConfig::new("https://stripe.invalid", key, "2026-09-30.preview");
    Client::over(config, std::sync::Arc::new(MadeUp::of(source))).unwrap()
}
