//! Parked messages: whoever may read looks, whoever may write puts back and drops.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use relink_bus::parked::{ParkedError, ParkedMessage, reasons};
use relink_bus::topology::WorkQueue;
use relink_engine::parked::{DropReason, ParkedFilter, Reach};
use serde::Deserialize;

use super::handler::{Answer, answer, asked, given, json, limit, wrong_method};
use super::parked_body::{
    ParkedBody, ParkedChangedBody, ParkedCountBody, ParkedDropBody, ParkedFoundBody,
    ParkedListBody, ParkedRequeueBody, ParkedWholeBody,
};
use super::problem::Problem;
use super::token::{Caller, TokenScope};
use crate::portal::{Portal, Shared};

/// How many messages of each queue one call looks at: at a broker they are taken one by one, and
/// a caller does not wait for minutes. The operator's commands have no such limit.
const LOOKED_AT_MAX: usize = 10_000;
/// The most messages of one change, and how many where nothing is said.
const CHANGED_MAX: usize = 500;
const CHANGED_DEFAULT: usize = 100;
/// Between two messages that are put back: a full change takes five seconds.
const PAUSE: Duration = Duration::from_millis(10);

/// The paths under `/v1/parked`.
pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route("/v1/parked", get(list).fallback(wrong_method))
        .route("/v1/parked/requeue", post(requeue).fallback(wrong_method))
        .route("/v1/parked/drop", post(drop_some).fallback(wrong_method))
        .route("/v1/parked/{id}", get(show).fallback(wrong_method))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ListQuery {
    queue: Option<String>,
    parked_for: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    since: Option<i64>,
    until: Option<i64>,
    limit: Option<usize>,
}

/// What the list of parked messages takes.
const LIST_TAKES: &str = "The parameters of this call are queue, parked_for, type, since, until and \
                          limit, each at most once; since and until are Unix seconds.";

async fn list(
    State(portal): State<Portal>,
    query: Result<Query<ListQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let portal = &portal.0;
    answer(portal, "list_parked", &headers, TokenScope::Read, async |_| {
        let query = asked(query, LIST_TAKES)?;
        let reach = Reach { at_most: limit(query.limit)?, looked_at: LOOKED_AT_MAX };
        let choice = Choice {
            ids: Vec::new(),
            all: false,
            queue: query.queue,
            parked_for: query.parked_for,
            kind: query.kind,
            since: query.since,
            until: query.until,
        };
        let filter = choice.chosen()?;
        let listed = portal.desk.list(&filter, reach).await?;
        let counts = listed.counts.iter().map(|((queue, reason), count)| ParkedCountBody {
            queue: queue.short_name().to_owned(),
            reason: reason.to_string(),
            count: *count,
        });
        let body = ParkedListBody {
            data: listed.messages.iter().map(ParkedBody::from).collect(),
            counts: counts.collect(),
            total: listed.total(),
            complete: !listed.is_cut,
        };
        Ok(Json(body).into_response())
    })
    .await
}

async fn show(
    State(portal): State<Portal>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let portal = &portal.0;
    answer(portal, "get_parked", &headers, TokenScope::Read, async |_| {
        let reach = Reach { at_most: limit(None)?, looked_at: LOOKED_AT_MAX };
        let found = portal.desk.show(&given(id)?, reach).await?;
        if found.is_empty() {
            return Err(Problem::NotFound);
        }
        let data = found.iter().map(ParkedWholeBody::from).collect();
        Ok(Json(ParkedFoundBody { data }).into_response())
    })
    .await
}

async fn requeue(State(portal): State<Portal>, request: Request) -> Response {
    let portal = &portal.0;
    let headers = request.headers().clone();
    answer(portal, "requeue_parked", &headers, TokenScope::Write, async |caller| {
        let body: ParkedRequeueBody = json(request).await?;
        let choice = Choice {
            ids: body.ids,
            all: body.all,
            queue: body.queue,
            parked_for: body.parked_for,
            kind: body.kind,
            since: body.since,
            until: body.until,
        };
        let wanted = Wanted::of(choice, body.limit, body.write)?;
        wanted.change(portal, caller, &Act::Requeue).await
    })
    .await
}

async fn drop_some(State(portal): State<Portal>, request: Request) -> Response {
    let portal = &portal.0;
    let headers = request.headers().clone();
    answer(portal, "drop_parked", &headers, TokenScope::Write, async |caller| {
        let body: ParkedDropBody = json(request).await?;
        let reason = DropReason::new(&body.reason).map_err(Problem::Malformed)?;
        let choice = Choice {
            ids: body.ids,
            all: body.all,
            queue: body.queue,
            parked_for: body.parked_for,
            kind: body.kind,
            since: body.since,
            until: body.until,
        };
        let wanted = Wanted::of(choice, body.limit, body.write)?;
        wanted.change(portal, caller, &Act::Drop(reason)).await
    })
    .await
}

/// Which messages a change is about.
struct Choice {
    ids: Vec<String>,
    all: bool,
    queue: Option<String>,
    parked_for: Option<String>,
    kind: Option<String>,
    since: Option<i64>,
    until: Option<i64>,
}

impl Choice {
    /// A change has to be about something, or about all and say so.
    fn filter(self) -> Result<ParkedFilter, Problem> {
        let all = self.all;
        let filter = self.chosen()?;
        let wrong = "Name ids, or choose, or say all: true; not both.";
        if filter.is_all() == all { Ok(filter) } else { Err(Problem::Malformed(wrong)) }
    }

    fn chosen(self) -> Result<ParkedFilter, Problem> {
        if self.since.zip(self.until).is_some_and(|(since, until)| since > until) {
            return Err(Problem::Malformed("since is after until: nothing is parked in between."));
        }
        Ok(ParkedFilter {
            ids: self.ids.into_iter().map(Arc::from).collect(),
            queue: self.queue.as_deref().map(queue).transpose()?,
            reason: self.parked_for.as_deref().map(reason).transpose()?,
            kind: self.kind.map(Arc::from),
            since_unix_ms: self.since.map(milliseconds),
            until_unix_ms: self.until.map(milliseconds),
        })
    }
}

/// What is done to messages.
enum Act {
    Requeue,
    Drop(DropReason),
}

/// A change that is asked for.
struct Wanted {
    filter: ParkedFilter,
    reach: Reach,
    /// Otherwise it is only shown.
    write: bool,
}

impl Wanted {
    fn of(choice: Choice, limit: Option<usize>, write: bool) -> Result<Self, Problem> {
        Ok(Self { filter: choice.filter()?, reach: reach(limit)?, write })
    }

    /// Shows it, or makes it and says who did.
    async fn change(&self, portal: &Shared, caller: &Caller, act: &Act) -> Answer {
        let (filter, reach) = (&self.filter, self.reach);
        let mut told = Vec::new();
        let mut tell = |message: &ParkedMessage| told.push(ParkedBody::from(message));
        if self.write {
            let (what, walked) = match act {
                Act::Requeue => {
                    ("requeued", portal.desk.requeue(filter, reach, PAUSE, &mut tell).await)
                }
                Act::Drop(reason) => {
                    ("dropped", portal.desk.drop_messages(filter, reach, reason, &mut tell).await)
                }
            };
            // The token's name is of no use but to tell tokens apart.
            tracing::info!(
                caller = caller.name,
                count = walked.carried_out,
                what,
                "parked messages"
            );
            walked.trouble.map_or(Ok(()), Err)?;
        } else {
            portal.desk.list(filter, reach).await?.messages.iter().for_each(tell);
        }
        let body = ParkedChangedBody::of(self.write, &filter.ids, reach.at_most, told);
        Ok(Json(body).into_response())
    }
}

fn queue(name: &str) -> Result<WorkQueue, Problem> {
    let known = WorkQueue::ALL.into_iter().find(|queue| queue.short_name() == name);
    known.ok_or(Problem::Malformed("A queue is lifecycle, upcoming or followup."))
}

fn reason(name: &str) -> Result<Arc<str>, Problem> {
    let known = reasons().find(|known| *known == name);
    known.map(Arc::from).ok_or(Problem::Malformed(
        "There is no such reason to be parked for; GET /v1/parked counts by those there are.",
    ))
}

fn milliseconds(seconds: i64) -> i64 {
    seconds.saturating_mul(1000)
}

fn reach(limit: Option<usize>) -> Result<Reach, Problem> {
    let at_most = limit.unwrap_or(CHANGED_DEFAULT);
    let fits = (1..=CHANGED_MAX).contains(&at_most);
    let reach = Reach { at_most, looked_at: LOOKED_AT_MAX };
    fits.then_some(reach).ok_or(Problem::Malformed("The limit of a change is 1 to 500."))
}

impl From<ParkedError> for Problem {
    fn from(error: ParkedError) -> Self {
        tracing::warn!(%error, "the API waits for the parked messages");
        Self::Unavailable
    }
}
