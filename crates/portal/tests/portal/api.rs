//! The HTTP API; every answer is held against the document that the API gives of itself.

use relink_sim::{Fault, FaultKind, Relink};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stand::{Choice, READ_TOKEN, Stand, USUAL, WRITE_TOKEN, stand};

/// A call and what its answer has to be.
pub(crate) struct Call<'a> {
    stand: &'a Stand,
    document: Value,
}

impl<'a> Call<'a> {
    pub(crate) async fn to(stand: &'a Stand) -> Self {
        let (_, text) = stand.get(&format!("{}/v1/openapi.json", stand.url)).await;
        Self { stand, document: serde_json::from_str(&text).unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, READ_TOKEN, None, None).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> (StatusCode, Value) {
        self.send(Method::POST, path, WRITE_TOKEN, Some(body), key).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> (StatusCode, Value) {
        let url = format!("{}/v1/{path}", self.stand.url);
        let mut request = self.stand.http.request(method.clone(), url);
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.unwrap();
        let (status, kind) = (answer.status(), answer.headers()[CONTENT_TYPE].clone());
        let body: Value = answer.json().await.unwrap();
        self.check(method.as_str(), path, status, kind.to_str().unwrap(), &body);
        (status, body)
    }

    /// Holds an answer against the document.
    fn check(&self, method: &str, path: &str, status: StatusCode, kind: &str, body: &Value) {
        let path = path.split('?').next().unwrap();
        let mut parts: Vec<&str> = path.split('/').collect();
        if parts.len() > 1 && !["requeue", "drop"].contains(&parts[1]) {
            parts[1] = "{id}";
        }
        let path = format!("/v1/{}", parts.join("/"));
        let operation = &self.document["paths"][&path][method.to_ascii_lowercase()];
        let responses = operation["responses"].as_object().unwrap_or_else(|| panic!("{path}"));
        let response = responses.get(status.as_str()).unwrap_or(&responses["default"]);
        let schema = &response["content"][kind]["schema"];
        assert!(schema.is_object(), "{method} {path} {status} {kind} is not in the document");
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        let validator = jsonschema::validator_for(&whole).unwrap();
        let errors: Vec<String> = validator.iter_errors(body).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{method} {path}: {errors:?} in {body}");
    }
}

#[tokio::test]
async fn authorizations_and_accounts_are_told() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let call = Call::to(&stand).await;
    let (status, found) = call.get(&format!("authorizations/{}", outage.authorization)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["health"], "relink_required");
    assert_eq!(found["case"]["reason"], "inactive");
    assert_eq!(found["accounts"].as_array().unwrap().len(), 2);
    let (_, account) = call.get(&format!("accounts/{}", outage.accounts[0])).await;
    assert_eq!(account["cause"], "access_expired");
    assert_eq!(account["authorization"], *outage.authorization);
    let (_, history) = call.get(&format!("authorizations/{}/history", outage.authorization)).await;
    assert!(history["data"].as_array().unwrap().len() > 2, "{history}");
    let (_, one) = call.get(&format!("accounts/{}/history?limit=1", outage.accounts[0])).await;
    assert_eq!(one["data"][0]["account"], *outage.accounts[0]);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let stand = stand(USUAL).await;
    for holder in ["cus_1", "cus_2", "cus_3"] {
        stand.outage_of(holder, 1).await;
    }
    stand.sim.link(relink_sim::Link::of("cus_1", "Tide Bank", 1)).unwrap();
    stand.settle().await;
    let call = Call::to(&stand).await;
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let (_, page) = call.get(&format!("authorizations?limit=2{next}")).await;
        let data = page["data"].as_array().unwrap();
        seen.extend(data.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 4);
    assert!(seen.is_sorted());
    let count = async |query: &str| {
        let (_, page) = call.get(&format!("authorizations?{query}")).await;
        page["data"].as_array().unwrap().len()
    };
    assert_eq!(count("holder=cus_1").await, 2);
    assert_eq!(count("health=relink_required").await, 3);
    assert_eq!(count("holder=cus_1&health=active").await, 1);
    assert_eq!(count("holder=cus_9").await, 0);
    for (wrong, said) in [
        ("health=ill", "health is one of relink_required, "),
        ("limit=0", "limit is a whole number from 1 to 100"),
        ("limit=101", "limit is a whole number from 1 to 100"),
        ("limit=ten", "limit is a whole number from 1 to 100"),
        ("cursor=1.AAAA.AAAA", "cursor is not"),
        ("colour=red", "holder, health, cursor and limit"),
    ] {
        let (status, problem) = call.get(&format!("authorizations?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{wrong}: {problem}");
    }
    let (_, problem) = call.get("authorizations?health=ill").await;
    for health in relink_core::aggregate::Health::ALL {
        let said = problem["detail"].as_str().unwrap();
        assert!(said.contains(health.as_str()), "{health:?} is not named: {said}");
    }
}

#[tokio::test]
async fn a_session_is_made_once_for_a_key_and_told_how_it_ended() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let call = Call::to(&stand).await;
    let path = format!("authorizations/{}/relink-sessions", outage.authorization);
    let (status, made) = call.post(&path, &json!({}), Some("a")).await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, again) = call.post(&path, &json!({}), Some("a")).await;
    assert_eq!(again, made);
    assert_eq!(stand.sessions().len(), 1);
    let other = json!({ "account": outage.accounts[0] });
    let (status, problem) = call.post(&path, &other, Some("a")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "another question under the same key");
    let said = problem["detail"].as_str().unwrap();
    assert!(said.contains("Idempotency-Key was used before, with another body"), "{said}");
    call.post(&path, &json!({}), None).await;
    assert_eq!(stand.sessions().len(), 2);

    let session = made["id"].as_str().unwrap();
    let (complete, body) = (
        format!("relink-sessions/{session}/complete"),
        json!({ "authorization": outage.authorization }),
    );
    let (_, ended) = call.post(&complete, &body, None).await;
    assert_eq!(ended["outcome"], "pending");
    let accounts = Some(vec![outage.accounts[0].clone()]);
    let relink = Relink { session: Some(session.to_owned()), accounts, ..Relink::default() };
    stand.sim.relink(relink).unwrap();
    let (_, ended) = call.post(&complete, &body, None).await;
    assert_eq!(ended["outcome"], "repaired");
    assert_eq!(ended["back"], json!([outage.accounts[0]]));
    assert_eq!(ended["left_out"], json!([outage.accounts[1]]));
}

#[tokio::test]
async fn what_a_session_is_for_can_be_chosen() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let call = Call::to(&stand).await;
    let path = format!("authorizations/{}/relink-sessions", outage.authorization);
    let account = &outage.accounts[1];
    let new =
        json!({ "account": account, "permissions": ["balances"], "subcategories": ["savings"] });
    assert_eq!(call.post(&path, &new, None).await.0, StatusCode::CREATED);
    let session = &stand.sessions()[0];
    assert_eq!(session["relink_options"]["account"], **account);
    assert_eq!(session["permissions"], json!(["balances"]));
    for (wrong, status) in [
        (json!({ "account": "fca_of_somebody_else" }), StatusCode::NOT_FOUND),
        (json!({ "permissions": "balances" }), StatusCode::BAD_REQUEST),
        (json!({ "return_url": "https://a.example" }), StatusCode::BAD_REQUEST),
        (json!([]), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(call.post(&path, &wrong, None).await.0, status, "{wrong}");
    }
}

#[tokio::test]
async fn sessions_of_others_are_not_to_be_found() {
    let stand = stand(USUAL).await;
    let ada = stand.outage_of("cus_Ada", 1).await;
    let ben = stand.outage_of("cus_Ben", 1).await;
    let call = Call::to(&stand).await;
    let path = format!("authorizations/{}/relink-sessions", ada.authorization);
    let (_, made) = call.post(&path, &json!({}), None).await;
    let complete = format!("relink-sessions/{}/complete", made["id"].as_str().unwrap());
    let body = json!({ "authorization": ben.authorization });
    assert_eq!(call.post(&complete, &body, None).await.0, StatusCode::NOT_FOUND);
    let body = json!({ "authorization": ada.authorization });
    let unknown = "relink-sessions/fcsess_unknown/complete";
    assert_eq!(call.post(unknown, &body, None).await.0, StatusCode::NOT_FOUND);
    for path in ["authorizations/fcauth_unknown", "accounts/fca_unknown", "accounts/%2e%2e"] {
        assert_eq!(call.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn whoever_has_no_token_or_a_lesser_one_is_refused() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let call = Call::to(&stand).await;
    let path = format!("authorizations/{}", outage.authorization);
    let (status, _) = call.send(Method::GET, &path, "a wrong token", None, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let body = json!({});
    let path = format!("{path}/relink-sessions");
    let (status, _) = call.send(Method::POST, &path, READ_TOKEN, Some(&body), None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(stand.sessions().is_empty());
}

#[tokio::test]
async fn stripe_down_the_preview_missing_and_too_many_calls_have_their_problems() {
    let without_preview = stand(Choice { version: "2025-09-30.clover", ..USUAL }).await;
    let outage = without_preview.outage(1).await;
    let call = Call::to(&without_preview).await;
    let path = format!("authorizations/{}/relink-sessions", outage.authorization);
    let (status, problem) = call.post(&path, &json!({}), None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("preview"), "{problem}");

    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let call = Call::to(&stand).await;
    let path = format!("authorizations/{}/relink-sessions", outage.authorization);
    let fault = Fault { kind: FaultKind::ServerError, after: std::time::Duration::ZERO };
    stand.sim.inject(fault, 20);
    let (status, _) = call.post(&path, &json!({}), None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);

    let path = format!("authorizations/{}", outage.authorization);
    let mut statuses = std::collections::BTreeSet::new();
    for _ in 0..400 {
        statuses.insert(call.get(&path).await.0);
        if statuses.contains(&StatusCode::TOO_MANY_REQUESTS) {
            break;
        }
    }
    let expected = [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS];
    assert!(statuses.is_subset(&expected.into()), "{statuses:?}");
}

#[tokio::test]
async fn what_no_database_can_hold_is_no_id() {
    let stand = stand(USUAL).await;
    let call = Call::to(&stand).await;
    for holder in ["%00", "cus_%00Ada", "cus_%20Ada", ""] {
        let (status, problem) = call.get(&format!("authorizations?holder={holder}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{holder}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("holder"), "{problem}");
    }
    assert_eq!(call.get("accounts/fca_%00").await.0, StatusCode::NOT_FOUND);
    let body = json!({ "authorization": "fcauth_\0" });
    let (status, _) = call.post("relink-sessions/fcsess_1/complete", &body, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bodies_have_a_size_and_a_type() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let url = format!("{}/v1/authorizations/{}/relink-sessions", stand.url, outage.authorization);
    let post = async |kind: &str, body: String| {
        let request = stand.http.post(&url).bearer_auth(WRITE_TOKEN).header(CONTENT_TYPE, kind);
        request.body(body).send().await.unwrap().status()
    };
    assert_eq!(post("text/plain", "{}".into()).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = format!("{{\"account\":\"{}\"}}", "a".repeat(70_000));
    assert_eq!(post("application/json", large).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post("application/json", "{".into()).await, StatusCode::BAD_REQUEST);
    let (status, text) = stand.get(&format!("{}/v1/nothing", stand.url)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("urn:relink:problem:not_found"), "{text}");
    let wrong = stand.http.delete(&url).bearer_auth(WRITE_TOKEN).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
}
