//! `relink parked`: messages that were set aside, at a broker or in the database of `relink
//! standalone`.

mod document;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use relink_bus::parked::{ParkedError, ParkedMessage, ParkedMessages, Walked, reasons};
use relink_bus::topology::WorkQueue;
use relink_engine::clock::{Clock as _, SystemClock};
use relink_engine::parked::{Desk, DropReason, ParkedFilter, Reach};
use serde_json::{Value, json};

use super::stoppable::Stoppable;
use super::where_parked::{ALL, Opened, Wants, place, unavailable};
use crate::cli::{
    AmqpArgs, ChangeArgs, DatabaseArgs, DropArgs, FilterArgs, ListArgs, ParkedArgs, ParkedCommand,
    RequeueArgs, ShowArgs,
};
use crate::failure::Failure;
use crate::output::print;
use crate::progress::Progress;
use crate::settings::Problems;
use crate::shutdown::on_signal;
use crate::telemetry::start_logging;

/// How many are listed before a change that was not asked for yet.
const SHOWN: usize = 50;

pub(crate) async fn run(args: ParkedArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let (amqp, database) = (args.amqp, args.database);
    match args.command {
        ParkedCommand::List(args) => list(args, amqp, database, problems).await,
        ParkedCommand::Show(args) => show(args, amqp, database, problems).await,
        ParkedCommand::Requeue(args) => requeue(args, amqp, database, problems).await,
        ParkedCommand::Drop(args) => drop_some(args, amqp, database, problems).await,
    }
}

async fn list(
    args: ListArgs,
    amqp: AmqpArgs,
    database: DatabaseArgs,
    mut problems: Problems,
) -> Result<(), Failure> {
    let wants = Wants::LittleOrNothing;
    let place = place(&mut problems, amqp, database, wants);
    let filter = filter(&mut problems, args.filter);
    problems.done()?;
    let progress = connecting(args.json);
    let mut opened = needed(place)?.open(wants, false, &progress).await?;
    opened.watched(&progress, filter.queues()).await?;
    let reach = Reach { at_most: args.limit, ..ALL };
    let listed = progress.during(looked(opened.desk.list(&filter, reach))).await?;
    progress.end();
    if args.json {
        return print_json(&document::listed(&listed));
    }
    if listed.counts.is_empty() && !filter.is_all() {
        let depths = opened.desk.lot.depths().await.map_err(|error| unavailable(&error))?;
        return print(&text::nothing_matches(depths.iter().map(|depth| depth.parked).sum()));
    }
    print(text::listed(&listed).trim_end())
}

async fn show(
    args: ShowArgs,
    amqp: AmqpArgs,
    database: DatabaseArgs,
    mut problems: Problems,
) -> Result<(), Failure> {
    let wants = Wants::LittleOrNothing;
    let place = place(&mut problems, amqp, database, wants);
    problems.done()?;
    let progress = connecting(args.json);
    let mut opened = needed(place)?.open(wants, false, &progress).await?;
    opened.watched(&progress, WorkQueue::ALL).await?;
    let found = progress.during(looked(opened.desk.show(&args.id, ALL))).await?;
    progress.end();
    if args.json {
        print_json(&found.iter().map(document::complete).collect::<Value>())?;
    } else if !found.is_empty() {
        let told: Vec<String> = found.iter().map(text::complete).collect();
        print(told.join("\n").trim_end())?;
    }
    if found.is_empty() {
        return Err(Failure::no(format!("no message with the id `{}` is parked", args.id)));
    }
    Ok(())
}

async fn requeue(
    args: RequeueArgs,
    amqp: AmqpArgs,
    database: DatabaseArgs,
    mut problems: Problems,
) -> Result<(), Failure> {
    let wants = Wants::LittleOrNothing;
    let place = place(&mut problems, amqp, database, wants);
    let rate: Option<u32> = problems.positive("--rate", &args.rate);
    let ChangeArgs { ids, filter, all, limit, write, json } = args.change;
    let choice = choice(&mut problems, ids, filter, all);
    problems.done()?;
    let pause = Duration::from_secs(1) / rate.unwrap_or(1);
    let change = Change { verb: "requeue", done: "requeued", json, limit };
    let progress = connecting(json);
    let mut opened = needed(place)?.open(wants, write, &progress).await?;
    opened.watched(&progress, choice.queues()).await?;
    if !write {
        return change.preview(&opened, &choice, &progress).await;
    }
    let work = async |desk: &Desk, tell: Tell<'_>| {
        desk.requeue(&choice, change.reach(), pause, tell).await
    };
    let done = change.carry_out(&mut opened, progress, work).await?;
    let later = opened.is_embedded.then_some(
        "`relink standalone` puts them back within a second, or when it is started again",
    );
    change.finish(done, &choice.ids, later)
}

async fn drop_some(
    args: DropArgs,
    amqp: AmqpArgs,
    database: DatabaseArgs,
    mut problems: Problems,
) -> Result<(), Failure> {
    let wants = Wants::Record;
    let place = place(&mut problems, amqp, database, wants);
    let reason =
        DropReason::new(&args.reason).map_err(|wrong| problems.add(format!("--reason: {wrong}")));
    let ChangeArgs { ids, filter, all, limit, write, json } = args.change;
    let choice = choice(&mut problems, ids, filter, all);
    problems.done()?;
    let reason = reason.map_err(|()| incomplete())?;
    let change = Change { verb: "drop", done: "dropped", json, limit };
    let progress = connecting(json);
    let mut opened = needed(place)?.open(wants, write, &progress).await?;
    opened.watched(&progress, choice.queues()).await?;
    if !write {
        return change.preview(&opened, &choice, &progress).await;
    }
    let work = async |desk: &Desk, tell: Tell<'_>| {
        desk.drop_messages(&choice, change.reach(), &reason, tell).await
    };
    let done = change.carry_out(&mut opened, progress, work).await?;
    change.finish(done, &choice.ids, None)
}

/// What both changes have in common: shown first, done with `--write`, told at the end.
struct Change {
    verb: &'static str,
    done: &'static str,
    json: bool,
    limit: Option<usize>,
}

impl Change {
    fn reach(&self) -> Reach {
        Reach { at_most: self.limit.unwrap_or(usize::MAX), ..ALL }
    }

    /// Does it, up to a signal.
    async fn carry_out(
        &self,
        opened: &mut Opened,
        progress: Arc<Progress>,
        work: impl AsyncFnOnce(&Desk, Tell<'_>) -> Walked,
    ) -> Result<Done, Failure> {
        let lot = Arc::new(Stoppable::new(Arc::clone(&opened.desk.lot), on_signal()?));
        opened.desk.lot = Arc::clone(&lot) as Arc<dyn ParkedMessages>;
        let mut telling = Telling {
            json: self.json,
            done: self.done,
            told: Vec::new(),
            met: Met::default(),
            progress: Arc::clone(&progress),
            count: 0,
        };
        let mut tell = |message: &ParkedMessage| telling.tell(message);
        let walked = progress.heeding(work(&opened.desk, &mut tell)).await;
        progress.end();
        Ok(Done { telling, walked, was_stopped: lot.was_stopped() })
    }

    /// Shows what would be done.
    async fn preview(
        &self,
        opened: &Opened,
        choice: &ParkedFilter,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let reach = match self.json {
            true => self.reach(),
            false => Reach { at_most: SHOWN.min(self.reach().at_most), ..ALL },
        };
        // Of those that are named it is told which are not there, however few are shown.
        let looking = if choice.ids.is_empty() { reach } else { ALL };
        let mut listed = progress.during(looked(opened.desk.list(choice, looking))).await?;
        progress.end();
        let mut met = Met::default();
        listed.messages.iter().for_each(|message| met.add(message));
        listed.messages.truncate(reach.at_most);
        let most = u64::try_from(self.reach().at_most).unwrap_or(u64::MAX);
        let count = listed.total().min(most);
        if self.json {
            let messages: Value = listed.messages.iter().map(document::brief).collect();
            print_json(&json!({ "written": false, "count": count, "messages": messages }))?;
        } else if count == 0 {
            print(&format!("nothing to {}", self.verb))?;
        } else {
            let verb = self.verb;
            let line = format!("{count} to {verb}; nothing was {}, add --write", self.done);
            print(&format!("{}{line}", text::table(&listed.messages)))?;
        }
        met.all_of(&choice.ids)
    }

    fn finish(&self, done: Done, ids: &[Arc<str>], later: Option<&str>) -> Result<(), Failure> {
        let Done { telling, walked, was_stopped } = done;
        let (count, verb) = (walked.carried_out, self.done);
        if self.json {
            print_json(&json!({
                "written": true, "count": count, "interrupted": was_stopped,
                "messages": telling.told,
            }))?;
        } else if !was_stopped || walked.trouble.is_some() {
            let later = later.filter(|_| count > 0).map(|text| format!(": {text}"));
            print(&format!("{count} {verb}{}", later.unwrap_or_default()))?;
        }
        match &walked.trouble {
            Some(error) => Err(unavailable(error)),
            None if was_stopped => Err(Failure::interrupted(format!(
                "{count} {verb}, the others stay parked; run it again"
            ))),
            // Where the limit ended it, the rest may be there.
            None if self.limit.is_some_and(|limit| u64::try_from(limit) == Ok(count)) => Ok(()),
            None => telling.met.all_of(ids),
        }
    }
}

/// Is told of every message that is dealt with.
type Tell<'a> = &'a mut (dyn FnMut(&ParkedMessage) + Send);

/// What came of a change.
struct Done {
    telling: Telling,
    walked: Walked,
    /// Whether somebody said stop before the end.
    was_stopped: bool,
}

/// The ids of what was met: of the messages, and those under which they are parked.
#[derive(Default)]
struct Met(BTreeSet<Arc<str>>);

impl Met {
    fn add(&mut self, message: &ParkedMessage) {
        self.0.insert(Arc::clone(&message.id));
        self.0.extend(message.delivery.id.clone());
    }

    /// Whoever names a message wants to know that it is not there.
    fn all_of(&self, ids: &[Arc<str>]) -> Result<(), Failure> {
        let unknown: BTreeSet<&Arc<str>> = ids.iter().filter(|id| !self.0.contains(*id)).collect();
        let named: Vec<String> = unknown.iter().map(|id| format!("`{id}`")).collect();
        match named.as_slice() {
            [] => Ok(()),
            named => Err(Failure::no(format!(
                "no message with this id is parked and chosen: {}; `relink parked list` shows \
                 those that are",
                named.join(", ")
            ))),
        }
    }
}

/// Tells what is done while it is done.
struct Telling {
    json: bool,
    done: &'static str,
    told: Vec<Value>,
    met: Met,
    progress: Arc<Progress>,
    count: u64,
}

impl Telling {
    fn tell(&mut self, message: &ParkedMessage) {
        self.count += 1;
        self.met.add(message);
        if self.json {
            self.told.push(document::brief(message));
        }
        self.progress.say(&format!("{} {}", self.count, self.done));
    }
}

async fn looked<T>(look: impl Future<Output = Result<T, ParkedError>>) -> Result<T, Failure> {
    look.await.map_err(|error| unavailable(&error))
}

fn filter(problems: &mut Problems, args: FilterArgs) -> ParkedFilter {
    let queue = args.queue.and_then(|name| {
        let known = WorkQueue::ALL.into_iter().find(|queue| {
            queue.short_name() == name || queue.name() == name || queue.parked() == name
        });
        if known.is_none() {
            problems.add(format!("--queue: `{name}` is none of lifecycle, upcoming and followup"));
        }
        known
    });
    let reason = args.parked_for;
    if let Some(name) = reason.as_ref().filter(|name| !reasons().any(|known| known == *name)) {
        let known: Vec<&str> = reasons().collect();
        let known = known.join(", ");
        problems.add(format!("--parked-for: there is no reason `{name}`; there are {known}"));
    }
    let now = SystemClock.now();
    let since = args.since.and_then(|text| problems.moment("--since", &text, now));
    let until = args.until.and_then(|text| problems.moment("--until", &text, now));
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        problems.add(
            "--since is after --until: nothing is parked in between; `--since 2h --until 1h` is \
             from two hours ago to one hour ago",
        );
    }
    ParkedFilter {
        ids: Vec::new(),
        queue,
        reason: reason.map(Arc::from),
        kind: args.kind.map(Arc::from),
        since_unix_ms: since.map(|since| since.0),
        until_unix_ms: until.map(|until| until.0),
    }
}

/// The messages to change: somebody has to say which.
fn choice(problems: &mut Problems, ids: Vec<String>, args: FilterArgs, all: bool) -> ParkedFilter {
    let mut choice = filter(problems, args);
    choice.ids = ids.into_iter().map(Arc::from).collect();
    if choice.is_all() != all {
        problems.add(match all {
            true => "--all and a choice contradict each other",
            false => {
                "name ids, or choose with --queue, --parked-for, --type, --since or --until, \
                      or say --all"
            }
        });
    }
    choice
}

/// Shown from before the first server is asked.
fn connecting(json: bool) -> Arc<Progress> {
    Arc::new(Progress::waiting(json, super::CONNECTING_BROKER))
}

fn needed<T>(place: Option<T>) -> Result<T, Failure> {
    place.ok_or_else(incomplete)
}

fn incomplete() -> Failure {
    Failure::software("settings without a problem are incomplete")
}

fn print_json(value: &Value) -> Result<(), Failure> {
    print(&serde_json::to_string_pretty(value).map_err(Failure::software)?)
}
