//! How the story waits for what it has made happen, and tells it.

use relink_core::command::Body;

use super::commands::{Told, VERIFY};
use super::narrator::Line;
use super::story::Story;
use super::words;
use crate::failure::Failure;

impl Story<'_> {
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
