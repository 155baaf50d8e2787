//! What the page holds while the customer is at the bank: which session it has to report, signed,
//! so that nothing is stored and nobody reports another session.

use std::collections::BTreeSet;

use relink_core::aggregate::ATTEMPT_LIFETIME;
use relink_core::id::{AccountId, CaseId, SessionId};
use relink_core::time::{Second, Span, Time};
use relink_engine::link::LinkSigner;

/// How long an attempt may take before the page has to be started again: as long as it does not
/// count as abandoned. Its webhook counts all the same.
pub(crate) const COMPLETION_LIFETIME: Span = ATTEMPT_LIFETIME;

/// What the token is for.
const PURPOSE: &str = "completion";

/// Between the fields; no id holds it.
const FIELD: char = '\n';

/// A session of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Completion {
    pub(crate) session: SessionId,
    pub(crate) case: CaseId,
    /// The accounts that were to come back when it began: their own events may be faster than
    /// the customer's return, and then nothing else tells that they were.
    pub(crate) wanted: BTreeSet<AccountId>,
}

impl Completion {
    pub(crate) fn seal(&self, signer: &LinkSigner, now: Time) -> String {
        let expires = now.after(COMPLETION_LIFETIME).0.div_euclid(1000);
        let Self { session, case, wanted } = self;
        let mut text = format!("{expires}{FIELD}{session}{FIELD}{case}");
        for account in wanted {
            text.push(FIELD);
            text.push_str(account.as_str());
        }
        signer.seal(PURPOSE, &text)
    }

    /// `None` where it is not ours, or too old.
    pub(crate) fn open(signer: &LinkSigner, token: &str, now: Time) -> Option<Self> {
        let text = signer.open(PURPOSE, token).ok()?;
        let mut fields = text.split(FIELD);
        let (expires, session, case) = (fields.next()?, fields.next()?, fields.next()?);
        let expires = Second(expires.parse().ok()?);
        let wanted = fields.map(AccountId::from).collect();
        let (session, case) = (session.into(), case.into());
        (now < expires.as_time()).then_some(Self { session, case, wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_good_for_its_time_only() {
        let signer = LinkSigner::new([[7; 32]]).unwrap();
        let completion = Completion {
            session: "fcsess_1".into(),
            case: "live:fcauth_1:case-1".into(),
            wanted: ["fca_1".into(), "fca_2".into()].into(),
        };
        let token = completion.seal(&signer, Time(0));
        let opened = |at| Completion::open(&signer, &token, at);
        assert_eq!(opened(Time(COMPLETION_LIFETIME.0 - 1)), Some(completion));
        assert_eq!(opened(Time(COMPLETION_LIFETIME.0)), None);
        let other = LinkSigner::new([[8; 32]]).unwrap();
        assert_eq!(Completion::open(&other, &token, Time(0)), None);
    }
}
