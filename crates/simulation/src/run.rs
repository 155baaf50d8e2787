//! One run, from the first link to the last comparison.

use std::sync::Arc;
use std::time::Duration;

use relink_core::id::{AccountId, AuthorizationId, Scope};

use crate::converge::Comparison;
use crate::host::Hosts;
use crate::plan::Plan;
use crate::stage::Stage;
use crate::truth::Truth;
use crate::weather;

/// How often it is looked whether everything has come to rest.
const LOOK: Duration = Duration::from_secs(30);

/// How long coming to rest may take: the retry ladder, the last repeat of a webhook, and all five
/// questions of a verify, one after the other.
const LOOKS_MAX: usize = 600;

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// The promise that was broken, if one was.
    pub broken: Option<String>,
}

impl Outcome {
    /// The number of the promise that was broken.
    pub fn rule(&self) -> Option<&str> {
        self.broken.as_deref()?.split(':').next()
    }
}

/// Runs a plan to its end, or until a promise is broken.
///
/// # Errors
/// When the machine does not give what a run needs.
pub fn run(plan: &Plan) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // Time passes when nobody can go on, so hours take no longer than their work.
        .start_paused(true)
        .build()?;
    Ok(runtime.block_on(async {
        let stage = match Stage::set(plan.clone()) {
            Ok(stage) => stage,
            Err(error) => return Outcome { trace: Vec::new(), broken: Some(error) },
        };
        let ended = tokio::select! {
            biased;
            () = stage.found() => Ok(()),
            ended = story(&stage) => ended,
        };
        if let Err(broken) = ended {
            stage.broken(broken);
        }
        Outcome { broken: stage.take_broken(), trace: stage.trace.take() }
    }))
}

async fn story(stage: &Arc<Stage>) -> Result<(), String> {
    let hosts = Hosts::new(stage);
    hosts.start();
    weather::begin(stage, &hosts);
    let mut truth = Truth::new(stage, &hosts);
    truth.play().await;
    stage.calm_down();
    hosts.set_clocks_right();
    come_to_rest(stage, &mut truth).await?;
    Comparison::of(stage, &truth).await?.check(false)?;
    stage.note("run", format_args!("everything is read back"));
    read_back(stage, &hosts).await?;
    come_to_rest(stage, &mut truth).await?;
    Comparison::of(stage, &truth).await?.check(true)
}

/// Reads every account and every authorization. Not by the walk that `reconcile` makes: its order
/// is by the machine's clock.
async fn read_back(stage: &Arc<Stage>, hosts: &Arc<Hosts>) -> Result<(), String> {
    let observer = hosts.operator()?;
    let (truth, scope) = (stage.sim.state(), Scope::own(false));
    let ids = |what: &str| -> Vec<String> {
        let all = truth[what].as_array().into_iter().flatten();
        all.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
    };
    let failed = |error| format!("cannot read everything back: {error}");
    for id in ids("accounts") {
        let read = observer.account(&scope, &AccountId::new(id), Some("simulation")).await;
        read.map_err(failed)?;
    }
    for id in ids("authorizations") {
        let id = AuthorizationId::new(id);
        observer.authorization(&scope, &id, Some("simulation")).await.map_err(failed)?;
    }
    Ok(())
}

/// Waits until nothing is left to be done: catching up, too, has had its turn.
async fn come_to_rest(stage: &Arc<Stage>, truth: &mut Truth) -> Result<(), String> {
    let mut unrest = None;
    let mut quiet = 0;
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK).await;
        truth.send();
        unrest = Comparison::of(stage, truth).await?.unrest().await;
        quiet = if unrest.is_none() { quiet + 1 } else { 0 };
        // Quiet for longer than the silence after which Stripe is asked.
        if quiet > 9 {
            stage.note("run", format_args!("everything has come to rest"));
            return Ok(());
        }
    }
    Err(unrest.unwrap_or_else(|| "it does not come to rest".to_owned()))
}
