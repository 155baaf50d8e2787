//! The ladder of a case: prompt, reminders, escalation.

use crate::aggregate::Case;
use crate::policy::Policy;
use crate::time::{Second, Time};

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The prompt.
    Prompt,
    /// A reminder.
    Remind,
    /// Give up asking.
    Escalate,
}

/// The next step and when it is due; `None` once the case was escalated.
pub fn next_step(case: &Case, policy: &Policy) -> Option<(Time, Step)> {
    if let Some(due) = case.prompt_due {
        return Some((due, Step::Prompt));
    }
    let prompted_at = case.prompted_at?;
    let last = case.reminded_at.map_or(prompted_at, |reminded_at| reminded_at.max(prompted_at));
    let rungs = rungs(case, policy, prompted_at);
    if let Some(due) = rungs.iter().copied().find(|due| *due > last) {
        return Some((due, Step::Remind));
    }
    if case.escalated {
        return None;
    }
    let exhausted = rungs.last().copied().map_or(last, |rung| rung.max(last));
    Some((exhausted.after(policy.escalate_after), Step::Escalate))
}

/// Which rung has been reached, from 1, and how many there are.
pub fn stage_at(case: &Case, policy: &Policy, now: Time) -> (u32, u32) {
    let rungs = rungs(case, policy, case.prompted_at.unwrap_or(now));
    let reached = rungs.iter().filter(|due| **due <= now).count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (count(reached), count(rungs.len()))
}

/// The instants of the reminders, in order: before the date where there is one, else after the
/// prompt.
fn rungs(case: &Case, policy: &Policy, prompted_at: Time) -> Vec<Time> {
    let mut rungs: Vec<Time> = match case.deadline.map(Second::as_time) {
        Some(date) => policy.reminders_before.iter().map(|span| date.before(*span)).collect(),
        None => policy.reminders_after.iter().map(|span| prompted_at.after(*span)).collect(),
    };
    rungs.sort_unstable();
    rungs
}
