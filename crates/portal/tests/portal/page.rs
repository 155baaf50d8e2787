//! What is shown, and what showing it does not do.

use relink_core::time::{Span, Time};
use relink_engine::link::LINK_LIFETIME;
use relink_portal::UiMode;
use reqwest::StatusCode;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    X_FRAME_OPTIONS,
};

use crate::stand::{Choice, USUAL, attempt, read, stand};

#[tokio::test]
async fn the_page_names_bank_and_accounts_and_says_why() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let (status, page) = stand.get(&outage.link).await;
    assert_eq!(status, StatusCode::OK);
    for said in [
        "<h1 tabindex=\"-1\">Reconnect Harbor Federal Bank</h1>",
        "Harbor Federal Bank no longer shares data with Northwind &lt;Money&gt;.",
        "Banks ask for your permission anew from time to time.",
        "Everyday Checking ending in 1001",
        "Rainy Day Savings ending in 1002",
        "<noscript>",
        "data-key=\"pk_test_portal\"",
        "<html lang=\"en\" dir=\"ltr\">",
    ] {
        assert!(page.contains(said), "{said} is not in {page}");
    }
    for unsaid in ["<Money>", "<style", "style=\"", "onclick", "client_secret", "cus_Ada", "fca_"] {
        assert!(!page.contains(unsaid), "{unsaid} is in {page}");
    }
}

#[tokio::test]
async fn opening_the_link_makes_no_session() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    for _ in 0..3 {
        assert_eq!(stand.get(&outage.link).await.0, StatusCode::OK);
        let head = stand.http.head(&outage.link).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK);
        let (status, _) = stand.get(&format!("{}/start", outage.link)).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert!(stand.sessions().is_empty());
    let (_secret, _completion) = stand.start(&outage.link).await;
    assert_eq!(stand.sessions().len(), 1);
}

#[tokio::test]
async fn every_answer_is_protected() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let missing = format!("{}/relink/none", stand.url);
    let style = format!("{}/relink/assets/page.css", stand.url);
    for url in [&outage.link, &missing, &style, &stand.url] {
        let answer = stand.http.get(url).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header(CONTENT_SECURITY_POLICY.as_str());
        assert!(policy.starts_with("default-src 'none'; script-src 'self' http://127.0.0.1:"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert_eq!(header(REFERRER_POLICY.as_str()), "no-referrer");
        assert_eq!(header(X_FRAME_OPTIONS.as_str()), "DENY");
        let kept = if *url == style { "public, max-age=3600" } else { "no-store" };
        assert_eq!(header(CACHE_CONTROL.as_str()), kept);
    }
    let started = stand.post(&format!("{}/start", outage.link), &attempt(1)).await;
    assert_eq!(started.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(started.headers()[CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn a_link_is_dead_once_its_case_is_closed() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    stand.sim.reactivate(outage.authorization.as_str()).unwrap();
    stand.settle().await;
    let (status, page) = stand.get(&outage.link).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("All is well"), "{page}");
    assert!(!page.contains("data-start"), "{page}");
    let (status, piece) =
        read(stand.post(&format!("{}/start", outage.link), &attempt(1)).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(piece.contains("All is well") && !piece.contains("<html"), "{piece}");
    assert!(stand.sessions().is_empty());

    stand.sim.expire(&outage.authorization).unwrap();
    stand.settle().await;
    let (_, page) = stand.get(&outage.link).await;
    assert!(page.contains("This link is no longer in use"), "{page}");
}

#[tokio::test]
async fn an_expired_link_says_so() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    stand.turn(Span(LINK_LIFETIME.0 - 60_000));
    assert_eq!(stand.get(&outage.link).await.0, StatusCode::OK);
    stand.turn(Span(60_000));
    let (status, page) = stand.get(&outage.link).await;
    assert_eq!(status, StatusCode::GONE);
    assert!(page.contains("This link has expired"), "{page}");
    let answer = stand.post(&format!("{}/start", outage.link), &attempt(1)).await;
    assert_eq!(answer.status(), StatusCode::GONE);
}

#[tokio::test]
async fn something_that_only_ends_soon_names_its_date() {
    let stand = stand(USUAL).await;
    let link = relink_sim::Link::of("cus_Ben", "Summit Credit Union", 2);
    let change = stand.sim.link(link).unwrap();
    let authorization = change.authorization.unwrap();
    let date = Time(1_900_000_000_000);
    stand.sim.warn(&authorization, date.0 / 1000, None).unwrap();
    stand.settle().await;
    let (_, page) = stand.get(&stand.link(&authorization).await).await;
    let said = "Your connection to Summit Credit Union ends on 17 March 2030.";
    assert!(page.contains(said), "{page}");
}

#[tokio::test]
async fn hosted_mode_forwards_to_stripe_and_needs_no_script() {
    let stand = stand(Choice { mode: UiMode::Hosted, ..USUAL }).await;
    let outage = stand.outage(1).await;
    let (_, page) = stand.get(&outage.link).await;
    assert!(page.contains("<form method=\"post\"") && !page.contains("<script"), "{page}");
    let (_, rest) = page.split_once("name=\"attempt\" value=\"").unwrap();
    let (attempt, _) = rest.split_once('"').unwrap();
    let body = format!("attempt={attempt}");
    let odd = stand.http.post(format!("{}/start", outage.link));
    let odd = odd.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body("attempts=1");
    let (status, page) = read(odd.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("did not arrive as it should"), "{page}");
    let post = || async {
        let request = stand.http.post(format!("{}/start", outage.link));
        let form = "application/x-www-form-urlencoded";
        request.header(CONTENT_TYPE, form).body(body.clone()).send().await.unwrap()
    };
    let answer = post().await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let location = answer.headers()[LOCATION].to_str().unwrap().to_owned();
    assert!(location.contains("/hosted/fcsess_"), "{location}");
    // A second click is the same attempt.
    assert_eq!(post().await.headers()[LOCATION], location);
    assert_eq!(stand.sessions().len(), 1);
    let returned = stand.get(&format!("{}/relink/returned", stand.url)).await;
    assert!(returned.1.contains("Thank you"), "{}", returned.1);
}
