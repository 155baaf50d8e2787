//! Hostile, foreign and broken input: each has its answer, and none is a 500.

use relink_core::time::Span;
use relink_sim::{Fault, FaultKind};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::stand::{Choice, USUAL, attempt, read, stand};

#[tokio::test]
async fn a_forged_link_is_no_link() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let (start, end) = outage.link.split_at(outage.link.len() - 4);
    let other = if end == "AAAA" { "BBBB" } else { "AAAA" };
    let forged = [
        format!("{start}{other}"),
        start.to_owned(),
        format!("{}/relink/1..", stand.url),
        format!("{}/relink/%00%ff", stand.url),
        format!("{}/relink/{}", stand.url, "a".repeat(4000)),
        format!("{}x", outage.link),
    ];
    for link in forged {
        let (status, page) = stand.get(&link).await;
        assert!(status.is_client_error(), "{link}: {status}");
        assert!(!page.contains("Harbor"), "{page}");
        let answer = stand.post(&format!("{link}/start"), &attempt(1)).await;
        assert!(answer.status().is_client_error(), "{link}: {}", answer.status());
    }
    assert!(stand.sessions().is_empty());
}

#[tokio::test]
async fn a_completion_is_good_for_its_own_case_only() {
    let stand = stand(USUAL).await;
    let ada = stand.outage(1).await;
    let other = stand.outage_of("cus_Ben", 1).await;
    let (_, completion) = stand.start(&ada.link).await;
    for (link, completion) in [
        (&other.link, completion.as_str()),
        (&ada.link, "1.AAAA.AAAA"),
        (&ada.link, ""),
        (&ada.link, ada.link.rsplit('/').next().unwrap()),
    ] {
        let (status, piece) = stand.complete(link, completion).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(piece.contains("Please start again"), "{piece}");
    }
    stand.turn(Span::minutes(121));
    let (status, _) = stand.complete(&ada.link, &completion).await;
    assert_eq!(status, StatusCode::CONFLICT, "it has its own time");
}

#[tokio::test]
async fn bodies_have_a_size_a_type_and_a_form() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let url = format!("{}/start", outage.link);
    let large = json!({ "attempt": "a".repeat(70_000) });
    assert_eq!(stand.post(&url, &large).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    for wrong in [json!({}), json!([]), json!({ "attempt": "../x" }), json!({ "attempt": "a" })] {
        let (status, piece) = read(stand.post(&url, &wrong).await).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(piece.contains("Please start again"), "{piece}");
        assert!(!piece.contains("open for too long"), "{piece}");
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = stand.http.post(&url).header(CONTENT_TYPE, content_type);
        let answer = request.body(attempt(1).to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
    assert!(stand.sessions().is_empty());
}

#[tokio::test]
async fn stripe_that_is_down_costs_nothing() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let url = format!("{}/start", outage.link);
    let fault = Fault { kind: FaultKind::ServerError, after: std::time::Duration::ZERO };
    stand.sim.inject(fault, 20);
    let (status, piece) = read(stand.post(&url, &attempt(1)).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(piece.contains("come back in a few minutes"), "{piece}");
    stand.sim.inject(fault, 0);
    assert_eq!(stand.get(&outage.link).await.0, StatusCode::OK);
}

#[tokio::test]
async fn whoever_relinked_is_not_told_that_nothing_changed_while_stripe_is_down() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let (secret, completion) = stand.start(&outage.link).await;
    stand.finish(&secret, "succeeded").await;
    let fault = Fault { kind: FaultKind::ServerError, after: std::time::Duration::ZERO };
    stand.sim.inject(fault, 20);
    let (status, piece) = stand.complete(&outage.link, &completion).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(piece.contains("We are checking the result"), "{piece}");
    assert!(!piece.contains("<button"), "{piece}");
}

#[tokio::test]
async fn what_the_operator_has_to_mend_is_not_the_customers_fault() {
    for choice in
        [Choice { has_key: false, ..USUAL }, Choice { version: "2025-09-30.clover", ..USUAL }]
    {
        let stand = stand(choice).await;
        let outage = stand.outage(1).await;
        let url = format!("{}/start", outage.link);
        let (status, piece) = read(stand.post(&url, &attempt(1)).await).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(piece.contains("cannot reconnect"), "{piece}");
        assert!(!piece.contains("preview") && !piece.contains("API"), "{piece}");
    }
}

#[tokio::test]
async fn a_link_starts_only_so_many_sessions() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let url = format!("{}/start", outage.link);
    for number in 0..10 {
        assert_eq!(stand.post(&url, &attempt(number)).await.status(), StatusCode::OK);
    }
    let (status, piece) = read(stand.post(&url, &attempt(10)).await).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(piece.contains("wait a few minutes"), "{piece}");
    assert_eq!(stand.sessions().len(), 10);
}

#[tokio::test]
async fn a_link_that_is_no_text_is_a_page_as_well() {
    let stand = stand(USUAL).await;
    let link = format!("{}/relink/%ff", stand.url);
    let (status, page) = stand.get(&link).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("<html") && page.contains("This link does not work"), "{page}");
    for path in ["start", "complete"] {
        let (status, piece) = read(stand.post(&format!("{link}/{path}"), &attempt(1)).await).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(piece.contains("This link does not work"), "{piece}");
    }
    let (status, page) = stand.get(&format!("{}/relink/assets/%ff", stand.url)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("There is nothing here"), "{page}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_pages() {
    let stand = stand(USUAL).await;
    for path in ["/", "/relink", "/relink/assets/none", "/relink/assets/logo", "/v2"] {
        let (status, page) = stand.get(&format!("{}{path}", stand.url)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(page.contains("There is nothing here"), "{page}");
    }
    let answer = stand.http.delete(format!("{}/relink/returned", stand.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}
