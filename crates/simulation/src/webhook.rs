//! Stripe's way of sending: signed, again and again until it is answered 2xx, in any order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use relink_core::id::Scope;
use relink_ingress::WEBHOOK_PATH;
use relink_sim::{Mail, signature_header};
use tower::ServiceExt as _;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::host::Hosts;
use crate::stage::Stage;

/// The endpoint's secret.
const SECRET: &str = "whsec_sim";

/// The wait before the first repeat, in milliseconds; it doubles.
const AGAIN_MS: u64 = 4_000;

/// The longest wait between two attempts, in milliseconds.
const AGAIN_MAX_MS: u64 = 600_000;

/// How long Stripe waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Sends what was made since the last time.
pub(crate) fn send(stage: &Arc<Stage>, hosts: &Arc<Hosts>, mail: Vec<Mail>) {
    for one in mail {
        let chance = Chance::of(stage.plan.seed, &format!("webhook/{}", one.sequence));
        stage.note("stripe", format_args!("makes {} {}", one.kind.name(), one.id));
        let lost = stage.strikes(&chance, Fault::Lose);
        let copies = 1 + usize::from(stage.strikes(&chance, Fault::Duplicate));
        if lost {
            stage.note("stripe", format_args!("never delivers {}", one.id));
            continue;
        }
        for copy in 0..copies {
            let late = stage.strikes(&chance, Fault::Reorder);
            let held_ms = if late { chance.below(90_000) } else { chance.below(300) };
            let sender = Sender {
                stage: Arc::clone(stage),
                hosts: Arc::clone(hosts),
                mail: one.clone(),
                chance: Chance::of(stage.plan.seed, &format!("webhook/{}/{copy}", one.sequence)),
            };
            stage.webhooks.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move { sender.run(held_ms).await });
        }
    }
}

/// Sends one copy of one event.
struct Sender {
    stage: Arc<Stage>,
    hosts: Arc<Hosts>,
    mail: Mail,
    chance: Chance,
}

impl Sender {
    async fn run(self, held_ms: u64) {
        tokio::time::sleep(Duration::from_millis(held_ms)).await;
        let mut wait_ms = AGAIN_MS;
        while !self.attempt().await {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            wait_ms = (wait_ms * 2).min(AGAIN_MAX_MS);
        }
        self.stage.sim.mark_delivered(self.mail.sequence);
        self.stage.webhooks.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it was answered 2xx.
    async fn attempt(&self) -> bool {
        let id = &self.mail.id;
        let pick = self.chance.below(1 << 16);
        let dropped = self.stage.strikes(&self.chance, Fault::Drop);
        let Some((process, router)) = self.hosts.door(pick) else { return false };
        if dropped {
            self.stage.note("stripe", format_args!("sends {id}, which does not arrive"));
            return false;
        }
        let Some(request) = self.request() else {
            self.stage.broken(format!("{id} cannot be sent"));
            return false;
        };
        let answer = tokio::select! {
            biased;
            () = process.died() => None,
            answer = tokio::time::timeout(ANSWER_TIMEOUT, router.oneshot(request)) => answer.ok(),
        };
        let status = answer.map(|Ok(answer)| answer.status());
        let told = status.map_or_else(|| "no answer".to_owned(), |one| one.as_u16().to_string());
        self.stage.note("stripe", format_args!("sends {id}: {told}"));
        let taken = status.is_some_and(|status| status.is_success());
        if taken {
            self.check();
        }
        if status.is_some_and(|one| one.is_client_error() && one != StatusCode::BAD_REQUEST) {
            self.stage.broken(format!("{id} is refused: {told}"));
        }
        taken
    }

    /// S5.
    fn check(&self) {
        let id = &self.mail.id;
        let on_the_bus = self.stage.broker.has_taken(id);
        if !on_the_bus && !self.stage.watch.knows(&Scope::own(false), id) {
            self.stage.broken(format!("S5: {id} is answered 2xx and nobody has it"));
        }
    }

    fn request(&self) -> Option<Request<Body>> {
        let now_s = self.stage.now().0.div_euclid(1000);
        Request::post(WEBHOOK_PATH)
            .header("stripe-signature", signature_header(&[SECRET], now_s, &self.mail.body))
            .body(Body::from(self.mail.body.clone()))
            .ok()
    }
}
