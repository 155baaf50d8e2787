//! The banks of Stripe's sandbox that matter to whoever watches accounts.

use crate::model::Institution;

/// How long a tokenized account number of [`TestBank::TokenizedAccountNumbers`] is good for. No
/// bank publishes its own figure; this one leaves two months before Stripe's warning, so that a
/// new link is not about to expire.
const NUMBER_LIFETIME_S: i64 = 90 * 86_400;

/// A bank with ways of its own; every other one links active accounts with plain numbers
/// (docs.stripe.com/financial-connections/testing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestBank {
    /// Its accounts are inactive when they are linked, and a relink repairs them.
    InactiveAccounts,
    /// Its accounts have tokenized account numbers that expire, and a relink renews them.
    TokenizedAccountNumbers,
}

impl TestBank {
    /// Both.
    pub const ALL: [TestBank; 2] = [TestBank::InactiveAccounts, TestBank::TokenizedAccountNumbers];

    /// What Stripe calls it.
    pub fn name(self) -> &'static str {
        match self {
            TestBank::InactiveAccounts => "Inactive accounts",
            TestBank::TokenizedAccountNumbers => "Tokenized Account Numbers",
        }
    }

    /// Its id, the same in every run: it is there before anything is drawn from the seed.
    fn id(self) -> &'static str {
        match self {
            TestBank::InactiveAccounts => "fcinst_1SandboxInactiveAccounts0",
            TestBank::TokenizedAccountNumbers => "fcinst_1SandboxTokenizedNumbers0",
        }
    }

    /// The one of this id or name, upper or lower case.
    pub(crate) fn find(id_or_name: &str) -> Option<TestBank> {
        let is_meant = |bank: &TestBank| {
            bank.id() == id_or_name || bank.name().eq_ignore_ascii_case(id_or_name)
        };
        TestBank::ALL.into_iter().find(is_meant)
    }

    pub(crate) fn of(institution: &Institution) -> Option<TestBank> {
        TestBank::ALL.into_iter().find(|bank| bank.id() == institution.id)
    }

    pub(crate) fn institution(self) -> Institution {
        Institution { id: self.id().into(), name: self.name().into() }
    }

    /// When a number that it gives now will expire.
    pub(crate) fn number_expiry(self, now_unix_s: i64) -> Option<i64> {
        match self {
            TestBank::InactiveAccounts => None,
            TestBank::TokenizedAccountNumbers => Some(now_unix_s.saturating_add(NUMBER_LIFETIME_S)),
        }
    }
}
