//! The script: what happens, in order, and what is waited for. Nothing here decides anything.

use relink_sim::{DeliveryChange, Link, LinkAccount, Relink, SimError};
use serde_json::{Value, json};

use super::check::{self, Cast};
use super::commands::{Told, VERIFY};
use super::narrator::Narrator;
use super::stage::Stage;
use super::words;
use crate::failure::Failure;

const DAY_S: i64 = 86_400;
/// Longer than the settle time of five seconds.
pub(super) const SETTLED_S: i64 = 6;
/// Stripe warns that long ahead.
const WARNING_S: i64 = 30 * DAY_S;

/// The story and what has happened in it so far.
pub(super) struct Story<'a> {
    pub(super) stage: Stage,
    pub(super) narrator: &'a Narrator,
    /// Every command, in the order in which it was told.
    pub(super) commands: Vec<Told>,
    pub(super) events_told: usize,
}

impl<'a> Story<'a> {
    pub(super) fn new(stage: Stage, narrator: &'a Narrator) -> Self {
        Self { stage, narrator, commands: Vec::new(), events_told: 0 }
    }

    /// Tells it from beginning to end; fails where the end is not what it has to be.
    pub(super) async fn tell(&mut self) -> Result<(), Failure> {
        self.narrator.headline("Relink, told as a story");
        self.narrator.remark(
            "A stand-in for Stripe, every role of Relink and an embedded database run in this one \
             process. Webhooks are real and signed, days pass in a moment.",
        );
        let harbor = self.ada_links_three_accounts().await?;
        let deactivated = self.they_expire_in_a_burst(&harbor).await?;
        self.a_reminder().await?;
        self.ada_relinks_one(&harbor).await?;
        self.one_is_closed(&harbor).await?;
        let summit = self.ben_is_warned().await?;
        self.ben_relinks_in_time(&summit).await?;
        let cast = Cast { harbor, summit, late: "evt_demo_late" };
        self.a_duplicate_and_a_late_event(&cast, &deactivated).await?;
        let summary = check::examine(&self.stage, &cast, &self.commands).await?;
        self.narrator.text("");
        self.narrator.headline("What you saw");
        self.narrator.text(&summary);
        self.narrator.is_heard()
    }

    async fn ada_links_three_accounts(&mut self) -> Result<check::Bank, Failure> {
        self.narrator
            .scene("Ada links three accounts at Harbor Federal Bank: one authorization")
            .await;
        let accounts = [
            LinkAccount::new("4242", "checking", "Everyday"),
            LinkAccount::new("1881", "savings", "Rainy Day"),
            LinkAccount::new("7730", "savings", "Travel"),
        ];
        self.link("cus_Ada", "Harbor Federal Bank", accounts.to_vec()).await
    }

    async fn link(
        &mut self,
        holder: &str,
        bank: &str,
        accounts: Vec<LinkAccount>,
    ) -> Result<check::Bank, Failure> {
        let link = Link {
            holder: Some(holder.to_owned()),
            institution: Some(bank.to_owned()),
            accounts,
            ..Link::default()
        };
        let change = self.stage.sim.link(link).map_err(unplayable)?;
        let authorization = change.authorization.unwrap_or_default();
        self.stage.watch(&authorization);
        self.settle().await?;
        Ok(check::Bank { authorization, accounts: change.accounts })
    }

    async fn they_expire_in_a_burst(&mut self, bank: &check::Bank) -> Result<String, Failure> {
        self.jump("An hour later", 3600)?;
        self.narrator.scene("The bank's permission runs out: three events in a burst").await;
        let change = self.stage.sim.expire(&bank.authorization).map_err(unplayable)?;
        self.settle().await?;
        self.narrator.remark(
            "Their data pauses at once. The prompt waits five seconds for siblings, so that one \
             outage is one prompt and not three.",
        );
        self.jump("Six seconds later", SETTLED_S)?;
        self.settle().await?;
        change.events.into_iter().next().ok_or_else(|| Failure::no("nothing has expired"))
    }

    async fn a_reminder(&mut self) -> Result<(), Failure> {
        self.narrator.scene("Ada does nothing").await;
        self.jump("Three days later", 3 * DAY_S)?;
        self.settle().await
    }

    async fn ada_relinks_one(&mut self, bank: &check::Bank) -> Result<(), Failure> {
        self.jump("A day later", DAY_S)?;
        self.narrator
            .scene("Ada relinks one account, and the bank lets the others back silently")
            .await;
        self.say(words::CUSTOMER, "relink", "Ada signs in at her bank and picks one account").await;
        let (first, siblings) = bank.accounts.split_first().ok_or_else(no_accounts)?;
        // No event tells of the siblings: only a read can.
        let unmade = |chance| DeliveryChange { unmade: Some(chance), ..DeliveryChange::default() };
        self.stage.sim.set_delivery(unmade(1.0)).map_err(unplayable)?;
        for sibling in siblings {
            self.stage.sim.reactivate(sibling).map_err(unplayable)?;
        }
        // One after the other, as they happened.
        let change = DeliveryChange { concurrency: Some(1), ..unmade(0.0) };
        self.stage.sim.set_delivery(change).map_err(unplayable)?;
        self.stage.open_reads(false);
        self.relink(&bank.authorization, Some(vec![first.clone()]))?;
        self.stage.delivered().await?;
        self.tell_events().await;
        // Resume, refresh, verify.
        let heard = self.stage.hear_count(3).await?;
        let verify = heard.iter().find(|told| told.name == VERIFY).cloned();
        self.tell_commands(heard).await;
        self.narrator.remark(
            "Stripe has not said that the siblings are back. Relink never assumes: it reads.",
        );
        for answer in verify.iter().flat_map(|verify| words::answers(verify, &self.stage.sim)) {
            self.narrator.line(&answer).await;
        }
        self.stage.open_reads(true);
        self.settle().await
    }

    fn relink(&self, authorization: &str, accounts: Option<Vec<String>>) -> Result<(), Failure> {
        let authorization = Some(authorization.to_owned());
        let relink = Relink { authorization, accounts, send_session: true, ..Relink::default() };
        self.stage.sim.relink(relink).map(drop).map_err(unplayable)
    }

    async fn one_is_closed(&mut self, bank: &check::Bank) -> Result<(), Failure> {
        self.jump("Two days later", 2 * DAY_S)?;
        self.narrator.scene("Ada closes an account at the bank: no relink can help").await;
        let last = bank.accounts.last().ok_or_else(no_accounts)?;
        self.stage.sim.close(last).map_err(unplayable)?;
        self.settle().await?;
        self.jump("A day later", DAY_S)?;
        self.settle().await?;
        self.narrator.remark("No prompt: asking Ada to relink would be asking for nothing.");
        Ok(())
    }

    async fn ben_is_warned(&mut self) -> Result<check::Bank, Failure> {
        self.narrator.scene("Ben's bank will end its permission in 30 days").await;
        let accounts = [
            LinkAccount::new("5150", "checking", "Household"),
            LinkAccount::new("9001", "savings", "New Roof"),
        ];
        let bank = self.link("cus_Ben", "Summit Credit Union", accounts.to_vec()).await?;
        self.jump("An hour later", 3600)?;
        let date = self.stage.sim.now_unix_s() + WARNING_S;
        self.stage.sim.warn(&bank.authorization, date, None).map_err(unplayable)?;
        self.settle().await?;
        self.jump("Six seconds later", SETTLED_S)?;
        self.settle().await?;
        self.narrator
            .remark("Nothing is broken yet, so nothing is paused: the prompt names the date.");
        self.jump("Sixteen days later, two weeks before the date", 16 * DAY_S)?;
        self.settle().await?;
        Ok(bank)
    }

    async fn ben_relinks_in_time(&mut self, bank: &check::Bank) -> Result<(), Failure> {
        self.narrator.scene("Ben relinks in time").await;
        self.say(words::CUSTOMER, "relink", "Ben signs in at his bank; the date moves away").await;
        self.relink(&bank.authorization, None)?;
        self.settle().await
    }

    async fn a_duplicate_and_a_late_event(
        &mut self,
        cast: &Cast,
        deactivated: &str,
    ) -> Result<(), Failure> {
        self.jump("A day later", DAY_S)?;
        self.narrator
            .scene("Stripe repeats an old event, and another one comes weeks too late")
            .await;
        let before = check::state(&self.stage, cast).await?;
        self.stage.sim.redeliver(deactivated).map_err(unplayable)?;
        self.stage.delivered().await?;
        let mut late = self.event(deactivated)?;
        let account = words::label(&self.stage.sim, &cast.harbor.accounts[0]);
        let text = format!("{account}: the same event a second time");
        self.say(words::STRIPE, "deactivated", text).await;
        late["id"] = json!(cast.late);
        late["created"] = json!(late["created"].as_i64().unwrap_or_default() - 60);
        let text = format!("{account}: another event, of three weeks ago");
        self.say(words::STRIPE, "deactivated", text).await;
        let status = self.stage.post(&late).await?;
        if status != 200 {
            return Err(Failure::no(format!("the late event was answered with {status}")));
        }
        self.settle().await?;
        if check::state(&self.stage, cast).await? != before {
            return Err(Failure::no("a duplicate or a late event changed what was known"));
        }
        let text = "nothing changes: a duplicate, and of the other later news is known";
        self.say(words::RELINK, "", text).await;
        Ok(())
    }

    fn event(&self, id: &str) -> Result<Value, Failure> {
        let found = self.stage.sim.events().into_iter().find(|event| event["id"] == id);
        found.ok_or_else(|| Failure::no(format!("the simulator has no event {id}")))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn unplayable(error: SimError) -> Failure {
    Failure::software(format!("the script cannot be played: {error}"))
}

fn no_accounts() -> Failure {
    Failure::software("the script cannot be played: nobody has linked an account")
}
