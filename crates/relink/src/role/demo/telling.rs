//! How the story waits for what it has made happen, and tells it.

use std::time::Duration;

use relink_core::command::Body;
use relink_sim::LinkAccount;
use tokio_util::sync::CancellationToken;

use super::commands::{Told, VERIFY};
use super::narrator::Line;
use super::story::{SETTLED_S, Story, unplayable};
use super::words;
use crate::failure::Failure;

/// How long commands are collected before they are told, once the story is over.
const TOGETHER: Duration = Duration::from_millis(150);

impl Story {
    /// Keeps everything running until told to stop, and tells what happens.
    pub(super) async fn stay(&mut self, stop: &CancellationToken) -> Result<(), Failure> {
        let page = self.a_page_to_try().await?;
        self.stage.let_time_run()?;
        self.narrator.text("");
        self.narrator.headline("Everything keeps running until Ctrl-C; make something happen");
        self.narrator
            .text(&self.stage.invitation(self.commands.first().map(|told| &*told.subject)));
        if let Some(page) = page {
            self.narrator.text(&format!("  Cleo's relink page, for a browser:\n  {page}\n"));
        }
        loop {
            self.narrator.is_heard()?;
            let told = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                told = self.stage.hear_next() => told,
            };
            let Some(told) = told else { return Ok(()) };
            // What comes of one happening arrives in any order; together it is told in a good one.
            tokio::time::sleep(TOGETHER).await;
            let mut heard = vec![told];
            heard.extend(self.stage.hear());
            self.tell_events().await;
            self.tell_commands(heard).await;
        }
    }

    /// One more outage, which whoever watches may end: the link of its prompt.
    async fn a_page_to_try(&mut self) -> Result<Option<String>, Failure> {
        self.narrator.scene("Cleo's bank asks for her permission anew: play her part").await;
        let accounts = [
            LinkAccount::new("3307", "checking", "Everyday"),
            LinkAccount::new("8842", "savings", "Someday"),
        ];
        let bank = self.link("cus_Cleo", "Tide Savings Bank", accounts.to_vec()).await?;
        self.jump("An hour later", 3600)?;
        self.stage.sim.expire(&bank.authorization).map_err(unplayable)?;
        self.settle().await?;
        self.jump("Six seconds later", SETTLED_S)?;
        self.settle().await?;
        let mut links = self.commands.iter().rev().map(|told| told.data["relink_url"].as_str());
        Ok(links.find_map(|link| link).map(str::to_owned))
    }

    /// Waits until nothing is under way, then tells what has happened.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        self.stage.delivered().await?;
        self.tell_events().await;
        self.stage.quiet().await?;
        let heard = self.stage.hear();
        self.tell_commands(heard).await;
        self.narrator.is_heard()
    }

    pub(super) async fn tell_events(&mut self) {
        let (events, now) = (self.stage.sim.events(), self.stage.sim.now_unix_s());
        for event in events.get(self.events_told..).unwrap_or_default() {
            self.narrator.line(&words::event(event, now)).await;
        }
        self.events_told = events.len();
    }

    /// Commands that were decided together arrive in any order; they are told account by account.
    pub(super) async fn tell_commands(&mut self, mut heard: Vec<Told>) {
        heard.sort_by_cached_key(|told| {
            let rank = Body::NAMES.iter().position(|name| *name == told.name);
            let account = told.data["account"].as_str().map(|id| words::label(&self.stage.sim, id));
            // Of accounts first, then reads, then what the customer is asked.
            (account.is_none(), told.name != VERIFY, account, rank)
        });
        for told in heard {
            self.narrator.command_json(&told);
            self.narrator.line(&words::command(&told, &self.stage.sim)).await;
            if told.name == VERIFY && self.stage.reads_are_open() {
                for answer in words::answers(&told, &self.stage.sim) {
                    self.narrator.line(&answer).await;
                }
            }
            self.commands.push(told);
        }
    }

    pub(super) async fn say(&self, who: &'static str, what: &str, words: impl Into<String>) {
        self.narrator.line(&Line::dim(who, what, words)).await;
    }

    pub(super) fn jump(&self, words: &str, seconds: i64) -> Result<(), Failure> {
        self.narrator.remark(&format!("… {words}"));
        self.stage.jump(seconds)
    }
}
