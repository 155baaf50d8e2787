//! One function per call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use relink_core::aggregate::{Aggregate, Health};
use relink_core::health::concerned;
use relink_core::id::{AccountId, AuthorizationId, Scope};
use relink_core::observation::Status;
use relink_engine::store::Selection;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::body::{
    AccountBody, AuthorizationBody, CompleteBody, EndedBody, HappenedBody, HistoryBody,
    NewSessionBody, PageBody, SessionBody,
};
use super::openapi;
use super::parked;
use super::problem::Problem;
use super::token::{Caller, TokenScope};
use crate::body;
use crate::portal::{Portal, Shared};
use crate::relinks::Wish;

/// The header by which a caller names an attempt (IETF draft "The Idempotency-Key HTTP Header").
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest of them: with what is put before it, it has to fit Stripe's 255 characters.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// The most authorizations of one page, and lines of history; as at Stripe.
pub(super) const LIMIT_MAX: usize = 100;
/// How many where nothing is asked for.
pub(super) const LIMIT_DEFAULT: usize = 20;

/// What the calls say of a query that is not theirs.
const LIST_TAKES: &str = "The parameters of this call are holder, health, cursor and limit, each \
                          at most once; limit is a whole number from 1 to 100.";
/// See [`LIST_TAKES`].
const HISTORY_TAKES: &str =
    "The only parameter of this call is limit, at most once: a whole number from 1 to 100.";

/// What a cursor is signed for.
const CURSOR: &str = "cursor";

/// The paths under `/v1`.
pub(crate) fn routes() -> Router<Portal> {
    Router::new()
        .route("/v1/openapi.json", get(document).fallback(wrong_method))
        .route("/v1/authorizations", get(list).fallback(wrong_method))
        .route("/v1/authorizations/{id}", get(authorization).fallback(wrong_method))
        .route("/v1/authorizations/{id}/history", get(history).fallback(wrong_method))
        .route("/v1/authorizations/{id}/relink-sessions", post(start).fallback(wrong_method))
        .route("/v1/accounts/{id}", get(account).fallback(wrong_method))
        .route("/v1/accounts/{id}/history", get(account_history).fallback(wrong_method))
        .route("/v1/relink-sessions/{id}/complete", post(complete).fallback(wrong_method))
        .merge(parked::routes())
}

pub(super) type Answer = Result<Response, Problem>;
type Id = Result<Path<String>, PathRejection>;

/// Carries out a call: who asks, how often, what comes of it.
pub(super) async fn answer(
    portal: &Shared,
    operation: &'static str,
    headers: &HeaderMap,
    wanted: TokenScope,
    work: impl AsyncFnOnce(&Caller) -> Answer,
) -> Response {
    let result = match portal.caller(headers, wanted) {
        Ok(caller) => work(&caller).await,
        Err(problem) => Err(problem),
    };
    let response = result.unwrap_or_else(|problem| problem.answer());
    let status = response.status().as_u16().to_string();
    portal.metrics.calls.with_label_values(&[operation, &status]).inc();
    response
}

pub(super) async fn wrong_method() -> Response {
    Problem::Method.answer()
}

async fn document() -> Response {
    Json(openapi::document()).into_response()
}

async fn authorization(State(portal): State<Portal>, id: Id, headers: HeaderMap) -> Response {
    let portal = &portal.0;
    answer(portal, "get_authorization", &headers, TokenScope::Read, async |_| {
        let found = portal.home_of(&given(id)?).await?;
        Ok(Json(AuthorizationBody::from(&found)).into_response())
    })
    .await
}

async fn account(State(portal): State<Portal>, id: Id, headers: HeaderMap) -> Response {
    let portal = &portal.0;
    answer(portal, "get_account", &headers, TokenScope::Read, async |_| {
        let (aggregate, id) = portal.home_of_account(given(id)?).await?;
        let found = aggregate.accounts.get_key_value(&id).ok_or(Problem::NotFound)?;
        Ok(Json(AccountBody::from(found)).into_response())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    holder: Option<Arc<str>>,
    health: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(portal): State<Portal>,
    query: Result<Query<ListQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let portal = &portal.0;
    answer(portal, "list_authorizations", &headers, TokenScope::Read, async |_| {
        let query = asked(query, LIST_TAKES)?;
        if query.holder.as_deref().is_some_and(|holder| !is_acceptable(holder)) {
            return Err(Problem::Malformed(
                "holder is the id of a customer or account of Stripe's.",
            ));
        }
        let health = query.health.map(|name| {
            let known = Health::ALL.into_iter().find(|health| health.as_str() == name);
            known.ok_or(Problem::Malformed(
                "health is one of relink_required, unverified, expiring, numbers_due, \
                 unrepairable, active and disconnected.",
            ))
        });
        let limit = limit(query.limit)?;
        let after = query.cursor.map(|cursor| portal.behind(&cursor)).transpose()?;
        // One more tells whether there is another page.
        let mut selection =
            Selection { holder: query.holder, health: health.transpose()?, after, limit };
        selection.limit += 1;
        let mut found = portal.store.list(&selection).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| has_more).map(|last| portal.cursor(last));
        let data = found.iter().map(AuthorizationBody::from).collect();
        Ok(Json(PageBody { data, next_cursor }).into_response())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    limit: Option<usize>,
}

type HistoryAsked = Result<Query<HistoryQuery>, QueryRejection>;

async fn history(
    State(portal): State<Portal>,
    id: Id,
    query: HistoryAsked,
    headers: HeaderMap,
) -> Response {
    let portal = &portal.0;
    answer(portal, "get_history", &headers, TokenScope::Read, async |_| {
        let found = portal.home_of(&given(id)?).await?;
        portal.history(&found, None, query).await
    })
    .await
}

async fn account_history(
    State(portal): State<Portal>,
    id: Id,
    query: HistoryAsked,
    headers: HeaderMap,
) -> Response {
    let portal = &portal.0;
    answer(portal, "get_account_history", &headers, TokenScope::Read, async |_| {
        let (aggregate, id) = portal.home_of_account(given(id)?).await?;
        portal.history(&aggregate, Some(&id), query).await
    })
    .await
}

async fn start(State(portal): State<Portal>, id: Id, request: Request) -> Response {
    let portal = &portal.0;
    let headers = request.headers().clone();
    answer(portal, "start_relink", &headers, TokenScope::Write, async |caller| {
        let id = given(id)?;
        let key = idempotency_key(&headers)?;
        let new: NewSessionBody = json(request).await?;
        let found = portal.home_of(&id).await?;
        let account = new.account.map(AccountId::new);
        if account.as_ref().is_some_and(|account| !found.accounts.contains_key(account)) {
            return Err(Problem::NotFound);
        }
        if new.permissions.as_ref().is_some_and(Vec::is_empty) {
            return Err(Problem::Malformed("permissions must name at least one, or be left out."));
        }
        let permissions: Option<Vec<Arc<str>>> =
            new.permissions.map(|all| all.into_iter().map(Arc::from).collect());
        let subcategories: Vec<Arc<str>> = new.subcategories.into_iter().map(Arc::from).collect();
        let key = format!("api:{}:{id}:{key}", caller.name);
        let wish = Wish {
            account: account.as_ref(),
            permissions: permissions.as_deref(),
            subcategories: &subcategories,
            hosted: None,
            idempotency_key: &key,
        };
        let made = portal.relinks.start(&found, &wish).await;
        portal.count_start(&made);
        let made = made?;
        let secret = made.client_secret.as_ref().ok_or(Problem::Unavailable)?;
        let body =
            SessionBody { id: made.id.to_string(), client_secret: secret.expose_secret().into() };
        let (relinks, about) = (portal.relinks.clone(), correlation(&found));
        tokio::spawn(async move { relinks.report_start(&found, &made.id, &about).await });
        Ok((StatusCode::CREATED, Json(body)).into_response())
    })
    .await
}

async fn complete(State(portal): State<Portal>, id: Id, request: Request) -> Response {
    let portal = &portal.0;
    let headers = request.headers().clone();
    answer(portal, "complete_relink", &headers, TokenScope::Write, async |_| {
        let session = given(id)?.as_str().into();
        let body: CompleteBody = json(request).await?;
        if !is_acceptable(&body.authorization) {
            return Err(Problem::NotFound);
        }
        let found = portal.home_of(&body.authorization).await?;
        let (wanted, about) = (portal.wanted(&found), correlation(&found));
        let ended = portal.relinks.complete(&found, &wanted, &session, &about).await?;
        portal.metrics.outcomes.with_label_values(&[ended.outcome.as_str()]).inc();
        Ok(Json(EndedBody::from(&ended)).into_response())
    })
    .await
}

impl Shared {
    fn caller(&self, headers: &HeaderMap, wanted: TokenScope) -> Result<Caller, Problem> {
        let caller = Caller::of(&self.config.api_tokens, headers)?;
        self.calls.take(&caller.name, Instant::now()).map_err(Problem::TooOften)?;
        caller.may(wanted)?;
        Ok(caller)
    }

    async fn home_of(&self, id: &str) -> Result<Aggregate, Problem> {
        let found = self.store.find(id).await?.into_iter();
        let own =
            |one: &Aggregate| one.key.home.authorization().is_some_and(|home| home.as_str() == id);
        found.into_iter().find(own).ok_or(Problem::NotFound)
    }

    async fn home_of_account(&self, id: String) -> Result<(Aggregate, AccountId), Problem> {
        let id = AccountId::new(id);
        let mut found = self.store.find(id.as_str()).await?.into_iter();
        let home = found.find(|one| one.accounts.contains_key(&id)).ok_or(Problem::NotFound)?;
        Ok((home, id))
    }

    async fn history(
        &self,
        of: &Aggregate,
        account: Option<&AccountId>,
        query: HistoryAsked,
    ) -> Answer {
        let limit = limit(asked(query, HISTORY_TAKES)?.limit)?;
        let rows = self.store.history(&of.key, account, limit).await?;
        let data = rows.iter().map(HappenedBody::from).collect();
        Ok(Json(HistoryBody { data }).into_response())
    }

    /// Signed, so that nobody comes to rely on what is in it.
    fn cursor(&self, last: &Aggregate) -> String {
        self.signer.seal(CURSOR, &format!("{}\n{}", last.key.home.as_str(), last.key.scope))
    }

    fn behind(&self, cursor: &str) -> Result<(AuthorizationId, Scope), Problem> {
        let opened = self.signer.open(CURSOR, cursor).ok();
        let key = opened.as_deref().and_then(|text| {
            let (id, scope) = text.split_once('\n')?;
            Some((id.into(), Scope::parse(scope)?))
        });
        key.ok_or(Problem::Malformed("cursor is not the next_cursor of a page."))
    }

    /// The accounts that a session of this authorization should bring back.
    fn wanted(&self, of: &Aggregate) -> BTreeSet<AccountId> {
        let Some(case) = &of.state.case else {
            let closed = of.state.last_case.as_ref().map(|closed| closed.case.named.clone());
            let linked = of
                .accounts
                .iter()
                .filter(|(_, account)| account.status() != Some(Status::Disconnected));
            let all = || linked.map(|(id, _)| id.clone()).collect();
            return closed.filter(|named| !named.is_empty()).unwrap_or_else(all);
        };
        let in_need = concerned(of, case.reason, &self.policy, self.clock.now());
        case.named.iter().chain(in_need.map(|(id, _)| id)).cloned().collect()
    }
}

fn correlation(of: &Aggregate) -> String {
    match &of.state.case {
        Some(case) => case.id.to_string(),
        None => format!("{}:{}:api", of.key.scope, of.key.home.as_str()),
    }
}

pub(super) fn given(id: Id) -> Result<String, Problem> {
    let Path(id) = id.map_err(|_| Problem::NotFound)?;
    if is_acceptable(&id) { Ok(id) } else { Err(Problem::NotFound) }
}

/// Whether it can be an id of Stripe's.
fn is_acceptable(id: &str) -> bool {
    AccountId::from(id).is_acceptable()
}

/// Reads the query; `takes`: what to say of one that cannot be read.
pub(super) fn asked<T>(
    query: Result<Query<T>, QueryRejection>,
    takes: &'static str,
) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|_| Problem::Malformed(takes))
}

pub(super) fn limit(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let fits = (1..=LIMIT_MAX).contains(&limit);
    fits.then_some(limit).ok_or(Problem::Malformed("limit is a whole number from 1 to 100."))
}

/// Reads a JSON body.
pub(super) async fn json<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let body = body::read(request, "application/json").await?;
    let wrong = Problem::Malformed("The body is not what this call takes; see /v1/openapi.json.");
    // A list would pass for the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(wrong);
    }
    serde_json::from_slice(&body).map_err(|_| wrong)
}

/// The caller's name for the attempt, or one of our own: then a repeat is another attempt.
fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(format!("{:032x}", rand::random::<u128>()));
    };
    let wrong = Problem::Malformed("An Idempotency-Key has 1 to 128 printable ASCII characters.");
    let key = value.to_str().ok().filter(|key| {
        let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
        fits && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    key.map(str::to_owned).ok_or(wrong)
}
