//! What each webhook is answered with, and what is published of it.

use std::sync::atomic::Ordering;

use crate::stand::{DEACTIVATED, NOW, OLD_SECRET, SECRET, Stand, digest, event, sign};
use relink_bus::message::Headers;
use relink_bus::port::PublishError;
use relink_bus::topology::{Exchange, UNKNOWN_TYPE_KEY};

const ACCEPTED: &[u8] = br#"{"received":true,"accepted":true}"#;
const NOT_ACCEPTED: &[u8] = br#"{"received":true,"accepted":false}"#;

#[tokio::test]
async fn a_genuine_event_is_published_as_it_came() {
    let stand = Stand::start().await;
    stand.now_unix_ms.store(NOW * 1000 + 250, Ordering::Relaxed);
    let body = event(DEACTIVATED);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let signature = sign(SECRET, NOW, &body);
    let headers = [("stripe-signature", signature.as_str()), ("traceparent", traceparent)];
    let answer = stand.send_with(&body, &headers).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, ACCEPTED));
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let [message] = stand.publisher.taken().try_into().unwrap();
    assert_eq!(message.body, body);
    assert_eq!(message.exchange, Exchange::Events);
    assert_eq!(&*message.routing_key, DEACTIVATED);
    assert_eq!(&*message.kind, DEACTIVATED);
    assert_eq!(message.also_to, None);
    assert!(message.mandatory);
    assert_eq!(&*message.id, "evt_1");
    assert_eq!(message.timestamp_unix_s, 1_789_999_990);
    assert_eq!(message.correlation, None);
    assert_eq!(message.content_type, "application/json");
    let expected = Headers {
        livemode: Some(true),
        stripe_account: None,
        api_version: Some("2025-03-31.preview".into()),
        received_at_unix_ms: Some(NOW * 1000 + 250),
        traceparent: Some(traceparent.into()),
        ..Headers::default()
    };
    assert_eq!(message.headers, expected);
}

#[tokio::test]
async fn a_malformed_trace_context_is_left_out_and_harms_nothing() {
    let stand = Stand::start().await;
    let body = event(DEACTIVATED);
    let signature = sign(SECRET, NOW, &body);
    let headers = [("stripe-signature", signature.as_str()), ("traceparent", "00-zz")];
    assert_eq!(stand.send_with(&body, &headers).await.status, 200);
    assert_eq!(stand.publisher.taken()[0].headers.traceparent, None);
}

#[tokio::test]
async fn each_signature_that_does_not_hold_is_refused_with_its_reason() {
    let stand = Stand::start().await;
    let body = event(DEACTIVATED);
    let v1 = digest(SECRET, NOW, &body);
    let table = [
        (None, "signature_missing"),
        (Some(String::new()), "signature_empty"),
        (Some("t=1".to_owned() + ",v1"), "signature_malformed"),
        (Some(format!("t=\u{e9},v1={v1}")), "signature_malformed"),
        (Some(format!("t={NOW},v0={v1}")), "signature_no_v1"),
        (Some(sign("whsec_foreign", NOW, &body)), "signature_no_match"),
        (Some(sign(SECRET, NOW, b"another body")), "signature_no_match"),
        (Some(sign(SECRET, NOW - 301, &body)), "signature_too_old"),
        (Some(sign(SECRET, NOW + 301, &body)), "signature_too_far_in_future"),
    ];
    for (signature, reason) in &table {
        let headers: Vec<_> =
            signature.iter().map(|value| ("stripe-signature", value.as_str())).collect();
        let answer = stand.send_with(&body, &headers).await;
        assert_eq!((answer.status, answer.reason().as_str()), (400, *reason));
        let sample = format!("relink_ingress_rejected_total{{reason=\"{reason}\"}}");
        assert!(stand.metric(&sample).unwrap() >= 1.0, "{sample}");
    }
    assert!(stand.publisher.taken().is_empty());
}

#[tokio::test]
async fn while_a_secret_is_rolled_both_are_good_in_any_place() {
    let stand = Stand::start().await;
    let body = event(DEACTIVATED);
    let (new, old) = (digest(SECRET, NOW, &body), digest(OLD_SECRET, NOW, &body));
    let unknown = digest("whsec_next", NOW, &body);
    let good = [
        format!("t={NOW},v1={new}"),
        format!("t={NOW},v1={old}"),
        format!("t={NOW},v1={unknown},v1={old},v0=00"),
    ];
    for signature in &good {
        let answer = stand.send_with(&body, &[("stripe-signature", signature)]).await;
        assert_eq!(answer.status, 200, "{signature}");
    }
    assert_eq!(stand.publisher.taken().len(), good.len());
}

#[tokio::test]
async fn a_genuine_body_that_is_no_event_is_refused_with_its_reason() {
    let stand = Stand::start().await;
    let full = String::from_utf8(event(DEACTIVATED)).unwrap();
    let table = [
        ("".to_owned(), "unparsable"),
        ("[1]".to_owned(), "unparsable"),
        (full.replace("\"id\":\"evt_1\",", ""), "missing_id"),
        (full.replace("evt_1", "evt 1"), "id_not_acceptable"),
        (full.replace("\"type\"", "\"kind\""), "missing_type"),
        (full.replace("\"created\"", "\"made\""), "missing_created"),
        (full.replace("\"livemode\"", "\"mode\""), "missing_livemode"),
        (full.replace("\"note\"", "\"account\""), "account_not_acceptable"),
    ];
    for (body, reason) in &table {
        let answer = stand.send(body.as_bytes()).await;
        assert_eq!((answer.status, answer.reason().as_str()), (400, *reason));
    }
    assert!(stand.publisher.taken().is_empty());
}

#[tokio::test]
async fn whatever_keeps_the_bus_from_taking_it_is_answered_503() {
    let stand = Stand::start().await;
    for error in PublishError::ALL {
        *stand.publisher.error.lock().unwrap() = Some(error);
        let answer = stand.send(&event(DEACTIVATED)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, error.as_str()));
        assert_eq!(answer.header("retry-after"), Some("5"));
        let sample = format!("relink_ingress_rejected_total{{reason=\"{}\"}}", error.as_str());
        assert_eq!(stand.metric(&sample), Some(1.0));
    }
    assert_eq!(stand.metric("relink_ingress_events_total{outcome=\"published\"}"), Some(0.0));
    assert_eq!(stand.metric("relink_ingress_publish_seconds_count"), Some(6.0));
}

#[tokio::test]
async fn an_event_of_another_product_is_acknowledged_and_not_published() {
    let stand = Stand::start().await;
    for kind in ["invoice.paid", "v1.billing.meter.no_meter_found", "financial_connections"] {
        let answer = stand.send(&event(kind)).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, NOT_ACCEPTED), "{kind}");
    }
    assert!(stand.publisher.taken().is_empty());
    assert_eq!(stand.metric("relink_ingress_events_total{outcome=\"ignored_type\"}"), Some(3.0));
}

#[tokio::test]
async fn with_a_mode_set_events_of_the_other_are_acknowledged_and_not_published() {
    let stand = Stand::with(|config, _| config.livemode = Some(true)).await;
    let live = event(DEACTIVATED);
    let test = String::from_utf8(live.clone()).unwrap().replace("true", "false");
    assert_eq!(stand.send(&live).await.body, ACCEPTED);
    let answer = stand.send(test.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, NOT_ACCEPTED));
    assert_eq!(stand.publisher.taken().len(), 1);
    assert_eq!(stand.metric("relink_ingress_events_total{outcome=\"other_mode\"}"), Some(1.0));
}

#[tokio::test]
async fn a_type_nobody_has_bound_still_reaches_a_worker() {
    let stand = Stand::start().await;
    let kind = "financial_connections.account.brand_new";
    assert_eq!(stand.send(&event(kind)).await.body, ACCEPTED);
    let [message] = stand.publisher.taken().try_into().unwrap();
    assert_eq!((&*message.routing_key, message.also_to), (kind, Some(UNKNOWN_TYPE_KEY)));
}

#[tokio::test]
async fn thin_connect_and_wrapped_events_find_their_way() {
    let stand = Stand::start().await;
    let fixture = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../stripe/fixtures/events/");
        std::fs::read(format!("{folder}{name}.json")).unwrap()
    };
    let bodies = [
        fixture("thin.v1.account.deactivated"),
        fixture("account.deactivated.connect"),
        fixture("eventbridge.account.deactivated.access_expired"),
    ];
    for body in &bodies {
        assert_eq!(stand.send(body).await.body, ACCEPTED);
    }
    let [thin, connect, wrapped] = stand.publisher.taken().try_into().unwrap();
    assert_eq!(&*thin.kind, "v1.financial_connections.account.deactivated");
    assert_eq!(thin.headers.api_version, None);
    assert!(connect.headers.stripe_account.unwrap().starts_with("acct_"));
    for message in [&thin, &wrapped] {
        assert_eq!((&*message.routing_key, message.also_to), (DEACTIVATED, None));
    }
    assert_eq!(&*connect.routing_key, DEACTIVATED);
    assert_eq!(&*wrapped.kind, DEACTIVATED);
    assert!(wrapped.id.starts_with("evt_"));
    for (message, body) in [thin.body, connect.body, wrapped.body].iter().zip(&bodies) {
        assert_eq!(message, body);
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_the_same_form() {
    let stand = Stand::start().await;
    let table = [
        ("GET /", 404, "not_found"),
        ("POST /webhooks/stripe/", 404, "not_found"),
        ("GET /webhooks/stripe", 405, "method_not_allowed"),
        ("DELETE /webhooks/stripe", 405, "method_not_allowed"),
    ];
    for (request, status, reason) in table {
        let mut client = stand.connect().await;
        client.head(request, &[]).await;
        let answer = client.answer().await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{request}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"));
    }
}

#[tokio::test]
async fn every_label_is_there_before_anything_happened() {
    let stand = Stand::start().await;
    for outcome in ["published", "ignored_type", "other_mode"] {
        let sample = format!("relink_ingress_events_total{{outcome=\"{outcome}\"}}");
        assert_eq!(stand.metric(&sample), Some(0.0));
    }
    for refusal in relink_ingress::Refusal::all() {
        let reason = refusal.as_str();
        let sample = format!("relink_ingress_rejected_total{{reason=\"{reason}\"}}");
        assert_eq!(stand.metric(&sample), Some(0.0), "{reason}");
    }
    assert_eq!(stand.metric("relink_ingress_in_flight"), Some(0.0));
}

#[tokio::test]
async fn the_age_of_webhooks_is_measured_and_a_future_one_counts_as_skew() {
    let stand = Stand::start().await;
    let body = event(DEACTIVATED);
    stand.now_unix_ms.store(NOW * 1000 + 1500, Ordering::Relaxed);
    for signed_at in [NOW, NOW + 4] {
        let signature = sign(SECRET, signed_at, &body);
        let answer = stand.send_with(&body, &[("stripe-signature", &signature)]).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(stand.metric("relink_ingress_webhook_age_seconds_count"), Some(1.0));
    assert_eq!(stand.metric("relink_ingress_webhook_age_seconds_sum"), Some(1.5));
    assert_eq!(stand.metric("relink_ingress_webhook_skew_seconds_count"), Some(1.0));
    assert_eq!(stand.metric("relink_ingress_webhook_skew_seconds_sum"), Some(2.5));
}
