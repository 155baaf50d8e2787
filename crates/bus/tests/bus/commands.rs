//! One command of each name, with every optional field present at least once and absent once.

use std::sync::Arc;

use relink_core::command::{
    About, Because, Body, CaseOutcome, Command, Doubtful, EscalateRelink, Pair, PauseData,
    PromptRelink, PromptedAccount, Reason, ReconcileAccounts, RefreshData, RemindRelink,
    ReplaceAccount, ResumeData, Urgency, VerifyAccounts, WithdrawRelink,
};
use relink_core::id::{AccountId, CaseId, CommandId};
use relink_core::observation::{Holder, Status};
use relink_core::time::Second;

fn about() -> About {
    About {
        stripe_account: Some("acct_1".into()),
        livemode: true,
        authorization: Some("fcauth_1".into()),
        holder: Some(Holder { kind: "customer".into(), id: "cus_1".into() }),
        institution_name: Some("Harbor Federal Bank".into()),
    }
}

/// Nothing known yet but the account.
fn bare() -> About {
    About { authorization: None, holder: None, institution_name: None, ..about() }
}

fn case() -> CaseId {
    CaseId::from("live/acct_1:fcauth_1:case-1")
}

fn inactive() -> PromptedAccount {
    PromptedAccount {
        id: AccountId::from("fca_1"),
        last4: Some("4821".into()),
        display_name: Some("Everyday Checking".into()),
        subcategory: Some("checking".into()),
        status: Status::Inactive,
        cause: Some("access_expired".into()),
        action: Some("relink_required".into()),
        expected_deactivation: None,
    }
}

fn expiring() -> PromptedAccount {
    PromptedAccount {
        id: AccountId::from("fca_2"),
        last4: None,
        display_name: None,
        subcategory: None,
        status: Status::Active,
        cause: None,
        action: Some("relink_required".into()),
        expected_deactivation: Some(Second(1_796_000_000)),
    }
}

fn prompt() -> PromptRelink {
    PromptRelink {
        about: about(),
        case: case(),
        reason: Reason::Inactive,
        urgency: Urgency::Now,
        deadline: None,
        cause: Some("access_expired".into()),
        accounts: vec![inactive()],
        relink_url: Some("https://relink.example/l/token".into()),
    }
}

fn reminded() -> PromptRelink {
    PromptRelink {
        reason: Reason::Upcoming,
        urgency: Urgency::BeforeDate,
        deadline: Some(Second(1_796_000_000)),
        cause: None,
        accounts: vec![expiring()],
        relink_url: None,
        ..prompt()
    }
}

fn bodies() -> [Body; 10] {
    let account = AccountId::from("fca_1");
    let pair = Pair { old: "fca_1".into(), new: "fca_9".into() };
    let doubtful =
        Doubtful { old: vec!["fca_3".into()], new: vec!["fca_7".into(), "fca_8".into()] };
    [
        Body::PromptRelink(prompt()),
        Body::RemindRelink(RemindRelink { prompt: reminded(), stage: 2, stages: 4 }),
        Body::WithdrawRelink(WithdrawRelink {
            about: about(),
            case: case(),
            outcome: CaseOutcome::Relinked,
            accounts: vec![account.clone()],
        }),
        Body::EscalateRelink(EscalateRelink {
            about: about(),
            case: case(),
            opened_at: Second(1_793_581_200),
            prompts: 4,
        }),
        Body::PauseData(PauseData {
            about: bare(),
            account: account.clone(),
            cause: None,
            action: None,
            account_version: 2,
        }),
        Body::ResumeData(ResumeData {
            about: about(),
            account: account.clone(),
            account_version: 3,
        }),
        Body::RefreshData(RefreshData {
            about: about(),
            account: account.clone(),
            features: vec!["balance".into(), "transactions".into()],
        }),
        Body::ReplaceAccount(ReplaceAccount {
            about: about(),
            account: account.clone(),
            cause: Some("account_closed".into()),
        }),
        Body::VerifyAccounts(VerifyAccounts {
            about: about(),
            accounts: vec![account, "fca_2".into()],
            because: Because::Siblings,
            read_authorization: true,
            session: Some("fcsess_1".into()),
        }),
        Body::ReconcileAccounts(ReconcileAccounts {
            about: About { authorization: Some("fcauth_2".into()), ..about() },
            from_authorization: "fcauth_1".into(),
            pairs: vec![pair],
            unmatched_old: vec!["fca_2".into()],
            unmatched_new: vec!["fca_6".into()],
            doubtful: vec![doubtful],
        }),
    ]
}

/// In the order of the contract.
pub(crate) fn commands() -> Vec<Command> {
    let command = |body: Body| {
        let subject: Arc<str> = body.about().authorization.clone().unwrap_or("fca_1".into());
        Command {
            id: CommandId::new(format!("live/acct_1:{subject}:{}", body.name())),
            subject,
            correlation: "live/acct_1:fcauth_1:case-1".into(),
            body,
        }
    };
    bodies().into_iter().map(command).collect()
}
