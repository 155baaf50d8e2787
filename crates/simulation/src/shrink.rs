//! Looks for a shorter run that breaks the same promise.

use std::collections::BTreeSet;

use crate::plan::Plan;
use crate::run::{Outcome, run};

/// Looks for the shortest plan that still breaks the same promise, within so many runs: without
/// faults that do not matter, then without steps that do not, halves first.
///
/// # Errors
/// When the machine does not give what a run needs.
pub fn shrink(plan: Plan, found: Outcome, runs_max: usize) -> std::io::Result<(Plan, Outcome)> {
    let mut search = Search { best: plan, outcome: found, runs_left: runs_max };
    loop {
        let before = search.best.clone();
        search.leave_faults_out()?;
        search.leave_steps_out()?;
        if search.best == before || search.runs_left == 0 {
            return Ok((search.best, search.outcome));
        }
    }
}

struct Search {
    best: Plan,
    outcome: Outcome,
    runs_left: usize,
}

impl Search {
    fn leave_faults_out(&mut self) -> std::io::Result<()> {
        for fault in self.best.faults.clone().into_keys() {
            let mut others: BTreeSet<_> = self.best.faults.keys().copied().collect();
            others.remove(&fault);
            let shorter = self.best.clone().with_faults(&others);
            self.try_it(shorter)?;
        }
        Ok(())
    }

    fn leave_steps_out(&mut self) -> std::io::Result<()> {
        let mut size = self.best.steps().len().div_ceil(2);
        while size > 0 {
            let steps: Vec<usize> = self.best.steps().iter().copied().collect();
            // From the end: what came after the break never matters.
            for chunk in steps.rchunks(size) {
                let others =
                    self.best.steps().iter().filter(|one| !chunk.contains(one)).copied().collect();
                let shorter = self.best.clone().with_steps(&others);
                self.try_it(shorter)?;
            }
            size /= 2;
        }
        Ok(())
    }

    fn try_it(&mut self, plan: Plan) -> std::io::Result<()> {
        if self.runs_left == 0 {
            return Ok(());
        }
        self.runs_left -= 1;
        let outcome = run(&plan)?;
        if outcome.rule().is_some() && outcome.rule() == self.outcome.rule() {
            (self.best, self.outcome) = (plan, outcome);
        }
        Ok(())
    }
}
