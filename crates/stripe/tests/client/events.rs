//! Events, listed page by page as they came.

use relink_core::time::Second;
use relink_stripe::client::{CallError, EventFilter, Malformed, TYPES_MAX};
use serde_json::{Value, json};

use crate::server::{Reply, live, serve, trace};

fn event(id: &str) -> Value {
    json!({"id": id, "object": "event", "type": "financial_connections.account.created",
        "created": 1_793_577_600, "livemode": true, "data": {"object": {"id": "fca_1"}}})
}

#[tokio::test]
async fn events_are_listed_page_by_page_with_their_bytes() {
    let page = |ids: &[&str], has_more: bool| {
        let data: Vec<_> = ids.iter().map(|id| event(id)).collect();
        Reply::new(200, &json!({"object": "list", "data": data, "has_more": has_more}))
    };
    let (script, client) = serve([page(&["evt_3", "evt_2"], true), page(&["evt_1"], false)]).await;
    let filter = EventFilter {
        types: &["financial_connections.account.created", "x"],
        delivery_success: Some(false),
        created_from: Some(Second(1_793_000_000)),
    };
    let first = client.events(&live(), &filter, None).await.expect("a page");
    assert_eq!(first.events[0].get(), event("evt_3").to_string());
    let next = first.next.expect("more");
    assert_eq!(next.as_str(), "evt_2");
    let last = client.events(&live(), &filter, Some(&next)).await.expect("a page");
    assert_eq!((last.events.len(), last.next), (1, None));
    let asked = script.asked.lock().expect("a lock");
    let path = "/v1/events?limit=100&types%5B%5D=financial_connections.account.created\
        &types%5B%5D=x&delivery_success=false&created%5Bgte%5D=1793000000";
    assert!(asked[0].starts_with(&format!("{path} ")), "{asked:?}");
    assert!(asked[1].starts_with(&format!("{path}&starting_after=evt_2 ")), "{asked:?}");
}

#[tokio::test]
async fn pages_that_lead_nowhere_and_too_many_types_are_refused() {
    let all = EventFilter::default();
    for odd in [
        json!({"data": [], "has_more": true}),
        json!({"data": [{"id": "an id"}], "has_more": true}),
        json!({"data": [{}], "has_more": true}),
        event("evt_1"),
    ] {
        let (_, client) = serve([Reply::new(200, &odd)]).await;
        let error = client.events(&live(), &all, None).await.err().expect("no page");
        assert_eq!(error, CallError::Malformed { what: Malformed::Page, trace: trace(None) });
    }
    let again = json!({"data": [event("evt_1")], "has_more": true});
    let (_, client) = serve([Reply::new(200, &again)]).await;
    let page = client.events(&live(), &all, None).await.expect("a page");
    let error = client.events(&live(), &all, page.next.as_ref()).await.err().expect("a circle");
    assert_eq!(error, CallError::Malformed { what: Malformed::Page, trace: trace(None) });
    let (script, client) = serve([Reply::new(200, &event("evt_1"))]).await;
    let filter = EventFilter { types: &["x"; TYPES_MAX + 1], ..all };
    let error = client.events(&live(), &filter, None).await.err().expect("no page");
    assert!(matches!(error, CallError::Malformed { what: Malformed::Request, .. }));
    assert!(script.asked.lock().expect("a lock").is_empty());
}
