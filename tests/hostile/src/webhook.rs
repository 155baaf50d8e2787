//! Requests to the ingress, from the head to the answer.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use http::Request;
use prometheus::Registry;
use relink_ingress::{Ingress, IngressConfig, WEBHOOK_PATH};
use relink_stripe::envelope::Envelope;
use relink_stripe::signature::Verifier;
use secrecy::SecretString;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::event::body;
use crate::signature::digest;
use crate::source::Source;
use crate::stand::Kept;

const SECRET: &str = "whsec_hostile";
const NOW: i64 = 1_790_000_000;

struct Door {
    router: Router,
    published: Arc<Kept>,
    runtime: Runtime,
}

thread_local! {
    // Of this thread, so that what is published belongs to the request that was made.
    static DOOR: LazyLock<Door> = LazyLock::new(|| {
        let verifier = Verifier::new(vec![SecretString::from(SECRET)], 300);
        let config = IngressConfig::new(verifier, Arc::new(|| NOW * 1000));
        let published = Arc::new(Kept::default());
        let ingress = Ingress::new(config, published.clone(), &Registry::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Door { router: ingress.router(), published, runtime }
    });
}

/// 200 only for what is signed, published only what is whole; every answer is JSON.
pub(crate) fn run(source: &mut Source<'_>) {
    let body = body(source);
    let time = NOW.to_string();
    let is_signed = !source.one_in(4);
    let signature = match is_signed {
        true => format!("t={time},v1={}", digest(SECRET, &time, &body)),
        false => source.text(),
    };
    let path = if source.one_in(16) { "/other" } else { WEBHOOK_PATH };
    let method = *source.pick(&["POST", "POST", "POST", "GET", "PUT"]);
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in [
        ("stripe-signature", signature),
        ("traceparent", source.text()),
        ("content-type", source.text()),
        ("content-length", body.len().to_string()),
    ] {
        if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
            request = request.header(name, value);
        }
    }
    let request = request.body(Body::from(body.clone())).unwrap();
    DOOR.with(|door| {
        let (status, answer) = door.runtime.block_on(async {
            let answer = door.router.clone().oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            (status, to_bytes(answer.into_body(), usize::MAX).await.unwrap())
        });
        let published = std::mem::take(&mut *door.published.0.lock().unwrap());
        assert!([200, 400, 404, 405, 413].contains(&status), "{status}");
        assert!(status != 200 || (is_signed && method == "POST" && path == WEBHOOK_PATH));
        assert!(serde_json::from_slice::<Value>(&answer).is_ok(), "{answer:?}");
        match (&published[..], Envelope::read(&body)) {
            ([message], Ok(envelope)) => {
                assert!(status == 200 && envelope.is_financial_connections());
                assert_eq!((&*message.id, &message.body[..]), (&*envelope.id, &body[..]));
            }
            ([], read) => {
                let ours = read.is_ok_and(|envelope| envelope.is_financial_connections());
                assert!(status != 200 || !ours, "answered 200 and not published");
            }
            other => panic!("{other:?}"),
        }
    });
}
