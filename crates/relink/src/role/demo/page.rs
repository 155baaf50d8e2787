//! The relink page to try: Cleo's bank, in a world of its own where time runs as it does outside,
//! so that no jump of the story comes between two clicks.

use std::time::Duration;

use relink_sim::{Link, LinkAccount};
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use super::story::{SETTLED_S, Story, unplayable};
use crate::failure::Failure;

/// How long commands are collected before they are told, once the story is over.
const TOGETHER: Duration = Duration::from_millis(150);

impl Story<'_> {
    /// One outage, which whoever watches may end at any time: prints the link of its prompt.
    pub(super) async fn open_page(&mut self) -> Result<(), Failure> {
        let link = Link {
            holder: Some("cus_Cleo".to_owned()),
            institution: Some("Tide Savings Bank".to_owned()),
            accounts: vec![
                LinkAccount::new("3307", "checking", "Everyday"),
                LinkAccount::new("8842", "savings", "Someday"),
            ],
            ..Link::default()
        };
        let linked = self.stage.sim.link(link).map_err(unplayable)?;
        let authorization = linked.authorization.unwrap_or_default();
        self.stage.watch(&authorization);
        self.settle_untold().await?;
        self.stage.jump(3600)?;
        self.stage.sim.expire(&authorization).map_err(unplayable)?;
        self.settle_untold().await?;
        self.stage.jump(SETTLED_S)?;
        self.settle_untold().await?;
        self.stage.let_time_run()?;
        let link =
            self.link_of_prompt().ok_or_else(|| Failure::no("Cleo is not asked to relink"))?;
        self.narrator.headline("A relink page to try");
        self.narrator.remark(
            "Cleo's bank no longer shares her accounts. This is the link that her prompt carries: \
             open it in a browser and play her part. It works as long as this demo runs.",
        );
        self.narrator.text(&format!("  {link}\n"));
        self.narrator.is_heard()
    }

    /// Waits until nothing is under way; a person need not be told how it came to the outage.
    async fn settle_untold(&mut self) -> Result<(), Failure> {
        self.stage.delivered().await?;
        self.stage.quiet().await?;
        for told in self.stage.hear() {
            self.narrator.command_json(&told);
            self.commands.push(told);
        }
        self.events_told = self.stage.sim.events().len();
        Ok(())
    }

    /// The link of the last prompt.
    fn link_of_prompt(&self) -> Option<&str> {
        self.commands.iter().rev().find_map(|told| told.data["relink_url"].as_str())
    }

    /// Keeps everything running until told to stop, and tells what happens and has happened.
    pub(super) async fn stay(
        &mut self,
        story: &Story<'_>,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let authorization = self.subject();
        self.narrator.text("");
        self.narrator.headline("Everything keeps running until Ctrl-C; make something happen");
        self.narrator.text(&self.stage.invitation(&authorization));
        self.narrator.remark("What the story has left behind:");
        self.narrator.text(&story.stage.explanation(&story.subject()));
        if is_open(&self.stage, &authorization).await?
            && let Some(link) = self.link_of_prompt()
        {
            self.narrator.remark("Cleo's relink page, for a browser:");
            self.narrator.text(&format!("  {link}\n"));
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
            let asks = heard.iter().any(|told| told.data["relink_url"].is_string());
            self.tell_events().await;
            self.tell_commands(heard).await;
            if asks && let Some(link) = self.link_of_prompt() {
                self.narrator.text(&format!("  {link}"));
            }
        }
    }

    /// The authorization that the first command is about.
    fn subject(&self) -> String {
        self.commands.first().map(|told| told.subject.clone()).unwrap_or_default()
    }
}

async fn is_open(stage: &Stage, authorization: &str) -> Result<bool, Failure> {
    Ok(stage.aggregate(authorization).await?.state.case.is_some())
}
