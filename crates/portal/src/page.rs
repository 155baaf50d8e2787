//! The relink page, one request from top to bottom.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use relink_core::health::concerned;
use relink_core::id::AccountId;
use relink_core::time::Time;
use relink_engine::link::LinkClaims;
use relink_stripe::client::SessionMade;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::body::{self, BodyRefusal};
use crate::completion::Completion;
use crate::config::UiMode;
use crate::layout::Script;
use crate::portal::{Portal, Shared};
use crate::relinks::{RelinkError, Wish};
use crate::standing::{OfCase, Standing, standing};
use crate::trouble::Trouble;
use crate::view::{Form, Words};

/// How long the name of an attempt may be; the page's own has 32 characters.
const ATTEMPT_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// Shows what the link is about; changes nothing, since whoever scans links comes here as well.
pub(crate) async fn show(State(portal): State<Portal>, token: Token) -> Response {
    let portal = &portal.0;
    let now = portal.clock.now();
    let verified = given(token).and_then(|token| {
        let claims = portal.signer.verify(&token, now)?;
        Ok((token, claims))
    });
    let (token, claims) = match verified {
        Ok(verified) => verified,
        Err(trouble) => return portal.trouble(trouble),
    };
    match portal.standing(&claims).await {
        Ok(Standing::Open(of)) => portal.ask(&token, &of, now),
        Ok(over) => portal.over(&over, Shape::Page),
        Err(trouble) => portal.trouble(trouble),
    }
}

/// Thanks a customer who comes back from Stripe's own page.
pub(crate) async fn returned(State(portal): State<Portal>) -> Response {
    let view = Words::general(&portal.0.config).returned();
    portal.0.page("returned", StatusCode::OK, &view)
}

/// Makes a session: only here, on a click.
pub(crate) async fn start(
    State(portal): State<Portal>,
    token: Token,
    request: Request,
) -> Response {
    let portal = &portal.0;
    let shape = match portal.config.mode {
        UiMode::Page => Shape::Piece,
        UiMode::Hosted => Shape::Page,
    };
    let started = match given(token) {
        Ok(token) => portal.try_start(&token, request).await,
        Err(trouble) => Err(trouble.into()),
    };
    match started {
        Ok(response) => response,
        Err(Refused::Trouble(trouble)) => portal.refuse(trouble, shape),
        Err(Refused::Over(standing)) => portal.over(&standing, shape),
    }
}

/// Reads the session back and shows how it ended.
pub(crate) async fn complete(
    State(portal): State<Portal>,
    token: Token,
    request: Request,
) -> Response {
    let portal = &portal.0;
    let completed = match given(token) {
        Ok(token) => portal.try_complete(&token, request).await,
        Err(trouble) => Err(trouble),
    };
    match completed {
        Ok(response) => response,
        // The customer may well have relinked: to say that nothing was changed, or to begin
        // again, would be wrong. Stripe's own event tells the workers.
        Err(trouble @ Trouble::Unavailable) => {
            portal.count_page(trouble.as_str());
            portal.layout.piece(trouble.status(), &Words::general(&portal.config).returned())
        }
        Err(trouble) => portal.refuse(trouble, Shape::Piece),
    }
}

/// What stands in the path where the link's token has to be.
type Token = Result<Path<String>, PathRejection>;

/// What is no text is no link.
fn given(token: Token) -> Result<String, Trouble> {
    token.map(|Path(token)| token).map_err(|_| Trouble::Broken)
}

/// What is answered: a whole page, or what goes into the middle of the one that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Page,
    Piece,
}

/// Why no session was made.
enum Refused {
    Trouble(Trouble),
    /// The case is over.
    Over(Standing),
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    attempt: String,
}

/// What the page's script gets, once; never stored here or there.
#[derive(Serialize)]
struct Started<'a> {
    client_secret: &'a str,
    completion: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Complete {
    completion: String,
}

impl Shared {
    async fn standing(&self, claims: &LinkClaims) -> Result<Standing, Trouble> {
        standing(&*self.store, claims).await.map_err(|error| {
            tracing::warn!(%error, "the relink page waits for the database");
            Trouble::Unavailable
        })
    }

    fn ask(&self, token: &str, of: &OfCase, now: Time) -> Response {
        let base = format!("{}/relink/{token}", self.prefix);
        let (action, attempt) = (format!("{base}/start"), new_attempt());
        let words = Words::about(&self.config, &of.aggregate);
        let mode = self.config.mode;
        let form = Form { mode, action: &action, attempt: &attempt };
        let view = words.ask(of, &self.policy, now, &form);
        self.count_page("ask");
        match mode {
            UiMode::Hosted => self.layout.page(StatusCode::OK, &view),
            UiMode::Page => {
                let script = Script {
                    base: &base,
                    key: self.config.publishable_key.as_deref().unwrap_or_default(),
                    stripe_account: of.aggregate.key.scope.stripe_account.as_deref(),
                };
                self.layout.page_with_script(&view, &words, &self.config, &script)
            }
        }
    }

    /// Shows why there is nothing to start.
    fn over(&self, standing: &Standing, shape: Shape) -> Response {
        let (name, view) = match standing {
            Standing::Closed(of, outcome) => {
                let words = Words::about(&self.config, &of.aggregate);
                (outcome.as_str(), words.closed(*outcome))
            }
            Standing::Newer(of) => ("newer", Words::about(&self.config, &of.aggregate).newer()),
            Standing::Open(_) | Standing::Unknown => return self.refuse(Trouble::Broken, shape),
        };
        match shape {
            Shape::Page => self.page(name, StatusCode::OK, &view),
            Shape::Piece => {
                self.count_page(name);
                self.layout.piece(StatusCode::OK, &view)
            }
        }
    }

    fn refuse(&self, trouble: Trouble, shape: Shape) -> Response {
        if shape == Shape::Page {
            return self.trouble(trouble);
        }
        self.count_page(trouble.as_str());
        let view = Words::general(&self.config).trouble_with_button(trouble);
        self.layout.piece(trouble.status(), &view)
    }

    async fn try_start(&self, token: &str, request: Request) -> Result<Response, Refused> {
        let now = self.clock.now();
        let claims = self.signer.verify(token, now).map_err(Trouble::from)?;
        let attempt = attempt(self.config.mode, request).await?;
        let of = match self.standing(&claims).await? {
            Standing::Open(of) => of,
            over => return Err(Refused::Over(over)),
        };
        if !self.may_start(of.case.id.as_str()) {
            return Err(Trouble::TooOften.into());
        }
        let wanted: BTreeSet<AccountId> =
            concerned(&of.aggregate, of.case.reason, &self.policy, now)
                .map(|(id, _)| id.clone())
                .collect();
        let key = format!("relink:{}:{attempt}", of.case.id);
        let return_url = format!("{}/relink/returned", self.config.url.trim_end_matches('/'));
        let hosted = self.config.mode == UiMode::Hosted;
        let wish = Wish {
            // Where only one has to come back, another one would do nothing for the customer.
            account: wanted.first().filter(|_| wanted.len() == 1),
            permissions: None,
            subcategories: &[],
            hosted: hosted.then_some(&*return_url),
            idempotency_key: &key,
        };
        let made = self.relinks.start(&of.aggregate, &wish).await;
        self.count_start(&made);
        let made = made.map_err(|error| trouble(&error, &of))?;
        let (relinks, session) = (self.relinks.clone(), made.id.clone());
        let response = match self.config.mode {
            UiMode::Page => self.hand_over(&made, &of, wanted, now)?,
            UiMode::Hosted => redirect(made.url.as_ref())?,
        };
        // The customer need not wait for that.
        tokio::spawn(async move {
            relinks.report_start(&of.aggregate, &session, of.case.id.as_str()).await;
        });
        Ok(response)
    }

    /// The one answer that carries a client secret.
    fn hand_over(
        &self,
        made: &SessionMade,
        of: &OfCase,
        wanted: BTreeSet<AccountId>,
        now: Time,
    ) -> Result<Response, Trouble> {
        let secret = made.client_secret.as_ref().ok_or(Trouble::NotOffered)?;
        let (session, case) = (made.id.clone(), of.case.id.clone());
        let completion = Completion { session, case, wanted };
        let completion = completion.seal(&self.signer, now);
        let (client_secret, completion) = (secret.expose_secret(), &*completion);
        Ok(Json(Started { client_secret, completion }).into_response())
    }

    pub(crate) fn count_start(&self, made: &Result<SessionMade, RelinkError>) {
        let result = match made {
            Ok(_) => "started",
            Err(error) => error.as_str(),
        };
        self.metrics.sessions.with_label_values(&[result]).inc();
    }

    async fn try_complete(&self, token: &str, request: Request) -> Result<Response, Trouble> {
        let now = self.clock.now();
        // A link may expire while its customer is at the bank; the completion has its own time.
        let claims = self.signer.verify(token, Time(i64::MIN))?;
        let body = body::read(request, "application/json").await?;
        let Complete { completion } =
            serde_json::from_slice(&body).map_err(|_| Trouble::Malformed)?;
        let completion = Completion::open(&self.signer, &completion, now).ok_or(Trouble::Stale)?;
        if completion.case != claims.case {
            return Err(Trouble::Stale);
        }
        let of = match self.standing(&claims).await? {
            Standing::Open(of) | Standing::Closed(of, _) | Standing::Newer(of) => of,
            Standing::Unknown => return Err(Trouble::Broken),
        };
        let (session, case) = (&completion.session, of.case.id.as_str());
        let completed =
            self.relinks.complete(&of.aggregate, &completion.wanted, session, case).await;
        let ended = completed.map_err(|error| trouble(&error, &of))?;
        self.metrics.outcomes.with_label_values(&[ended.outcome.as_str()]).inc();
        let view = Words::about(&self.config, &of.aggregate).ended(&of.aggregate, &ended);
        Ok(self.layout.piece(StatusCode::OK, &view))
    }
}

impl From<BodyRefusal> for Trouble {
    fn from(refusal: BodyRefusal) -> Self {
        match refusal {
            BodyRefusal::TooLarge => Self::TooLarge,
            BodyRefusal::ContentType => Self::ContentType,
            BodyRefusal::Unreadable => Self::Malformed,
        }
    }
}

impl From<BodyRefusal> for Refused {
    fn from(refusal: BodyRefusal) -> Self {
        Self::Trouble(refusal.into())
    }
}

/// The attempt's name: from the script's JSON, or from a plain form.
async fn attempt(mode: UiMode, request: Request) -> Result<String, Refused> {
    let attempt = match mode {
        UiMode::Page => {
            let body = body::read(request, "application/json").await?;
            let start: Start = serde_json::from_slice(&body).map_err(|_| Trouble::Malformed)?;
            start.attempt
        }
        UiMode::Hosted => {
            let body = body::read(request, "application/x-www-form-urlencoded").await?;
            let text = std::str::from_utf8(&body).map_err(|_| Trouble::Malformed)?;
            text.strip_prefix("attempt=").ok_or(Trouble::Malformed)?.to_owned()
        }
    };
    let plain = attempt.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain || !ATTEMPT_LENGTHS.contains(&attempt.len()) {
        return Err(Trouble::Malformed.into());
    }
    Ok(attempt)
}

fn new_attempt() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn redirect(url: Option<&SecretString>) -> Result<Response, Trouble> {
    let url = url.ok_or(Trouble::NotOffered)?;
    let location = HeaderValue::from_str(url.expose_secret()).map_err(|_| Trouble::NotOffered)?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
}

/// What a customer is told; the operator is told the reason.
fn trouble(error: &RelinkError, of: &OfCase) -> Trouble {
    tracing::warn!(case.id = %of.case.id, %error, "a relink session is not to be had");
    match error {
        RelinkError::Away(_) | RelinkError::NotKnownYet => Trouble::Unavailable,
        RelinkError::NoKey | RelinkError::Refused(_) => Trouble::NotOffered,
        RelinkError::Foreign => Trouble::Stale,
    }
}
