//! `relink backfill`: reads the accounts of given holders, to fill an empty Relink.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use relink_core::id::Scope;
use relink_core::observation::Holder;
use relink_worker_followup::backfill::{Backfill, Holding, holder};
use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};

use super::with_stripe::{self, Nowhere, say};
use crate::cli::BackfillArgs;
use crate::failure::Failure;
use crate::output::counted;
use crate::progress::Progress;
use crate::settings::Problems;
use crate::telemetry::start_logging;

/// The most wrong lines that are told one by one.
const TOLD_MAX: usize = 20;

pub(crate) async fn run(args: BackfillArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let stripe = with_stripe::stripe(&mut problems, args.stripe);
    let amqp = with_stripe::broker(&mut problems, args.amqp, args.write);
    if args.stripe_account.as_deref().is_some_and(|id| !id.starts_with("acct_")) {
        problems.add("--stripe-account: a Connect account begins with acct_");
    }
    let holders = holders(&args.file, &mut problems).await;
    problems.done()?;
    let Some(stripe) = stripe else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let (client, budget) = with_stripe::client(stripe)?;
    let livemode = client.livemode().ok_or_else(|| {
        Failure::unavailable("RELINK_STRIPE_API_KEY does not tell its mode: sk_live_…, rk_test_…")
    })?;
    let scope = match &args.stripe_account {
        Some(account) => Scope::connected(livemode, account),
        None => Scope::own(livemode),
    };
    let progress = Progress::waiting(args.json, super::CONNECTING_BROKER);
    let publisher = match amqp {
        Some(amqp) => with_stripe::publisher(amqp, &progress).await?,
        None => Arc::new(Nowhere),
    };
    let observer = with_stripe::observer(client, budget, publisher)?;
    let backfill = Backfill { observer, write: args.write };
    progress.anew("holders", Some(holders.len() as u64));
    let (mut accounts, mut cut_off) = (0, 0);
    let at = AtomicUsize::new(0);
    let work = async {
        for holder in &holders {
            let held = backfill.holder(&scope, holder).await.map_err(|error| {
                Failure::unavailable(format!("{}: {error}; run it again from there", holder.id))
            })?;
            at.fetch_add(1, Ordering::Relaxed);
            accounts += held.accounts;
            cut_off += usize::from(!held.complete);
            if args.json || !held.complete {
                say(line(holder, &held, args.json))?;
            }
            progress.one_more();
            progress.say(&counted(accounts as u64, "account"));
        }
        Ok(())
    };
    let interrupted = || stopped(&holders, at.load(Ordering::Relaxed), (&args.file, args.write));
    progress.during_or(work, interrupted).await?;
    progress.end();
    let (count, written) = (holders.len(), args.write);
    if args.json {
        say(json!({ "written": written, "holders": count, "accounts": accounts }))?;
    } else {
        let what = if written { "published" } else { "to publish; nothing was, add --write" };
        let (accounts, holders) =
            (counted(accounts as u64, "account"), counted(count as u64, "holder"));
        say(format!("{accounts} of {holders} {what}"))?;
    }
    if cut_off > 0 {
        return Err(Failure::no(format!(
            "{} with more accounts than are read",
            counted(cut_off as u64, "holder")
        )));
    }
    Ok(())
}

/// Where it was interrupted: the holder in hand is the first one of the next run.
fn stopped(holders: &[Holder], done: usize, (file, is_written): (&str, bool)) -> Failure {
    let all = counted(holders.len() as u64, "holder");
    let at = holders.get(done).map_or_else(String::new, |holder| format!("at {}, ", holder.id));
    let (what, again) = match (is_written, file) {
        (false, _) => ("looked at, nothing was published", "run it again".to_owned()),
        (true, "-") => ("published", "run it again with the holders from there".to_owned()),
        (true, file) => {
            ("published", format!("run it again without the lines of {file} before that"))
        }
    };
    Failure::interrupted(format!("{at}{done} of {all} {what}; {again}"))
}

fn line(holder: &Holder, held: &Holding, as_json: bool) -> String {
    if as_json {
        return json!({
            "holder": holder.id, "accounts": held.accounts,
            "authorizations": held.authorizations, "complete": held.complete,
        })
        .to_string();
    }
    format!("{}: more than {} accounts, the rest is not read", holder.id, held.accounts)
}

async fn holders(file: &str, problems: &mut Problems) -> Vec<Holder> {
    if file == "-" {
        if std::io::stdin().is_terminal() {
            let say = "relink: type holders, one a line (cus_…), and end with Ctrl-D\n";
            let _ = std::io::stderr().write_all(say.as_bytes());
        }
        return read(BufReader::new(tokio::io::stdin()), "standard input", problems).await;
    }
    match tokio::fs::File::open(file).await {
        Ok(open) => read(BufReader::new(open), file, problems).await,
        Err(error) => {
            problems.add(format!("{file} cannot be read: {error}"));
            Vec::new()
        }
    }
}

/// One id a line; empty lines and those that begin with `#` are skipped.
async fn read(
    input: impl AsyncBufRead + Unpin,
    name: &str,
    problems: &mut Problems,
) -> Vec<Holder> {
    let (mut lines, mut holders, mut wrong) = (input.lines(), Vec::new(), 0);
    for number in 1_usize.. {
        let line = match lines.next_line().await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => {
                problems.add(format!("{name} cannot be read: {error}"));
                break;
            }
        };
        let id = line.trim();
        if id.is_empty() || id.starts_with('#') {
            continue;
        }
        match holder(id) {
            Some(holder) => holders.push(holder),
            None => {
                wrong += 1;
                if wrong <= TOLD_MAX {
                    problems.add(format!("{name}, line {number}: not cus_…, cusacct_… or acct_…"));
                }
            }
        }
    }
    if wrong > TOLD_MAX {
        problems.add(format!("{name}: {} more lines like these", wrong - TOLD_MAX));
    }
    holders
}
