//! The broker: what AMQP tells, and what only its management API does. Nothing is created, taken
//! or published.

use std::time::Duration;

use relink_bus::parked::Depth;
use relink_bus::topology::{RETRY_LADDER, WorkQueue, queues, retry_queue};
use relink_rabbitmq::{
    Alarm, Examination, Finding, Management, ManagementError, QueueState, RabbitConfig, Survey,
    TopologyError, Verified,
};

use super::database::judge_parked;
use super::line::{Check, Level, Line};
use super::permission;
use super::settings::{Named, Wanted};

/// All that is told of it.
pub(super) const CHECKS: [Check; 10] = [
    Check::BrokerConnection,
    Check::BrokerVersion,
    Check::BrokerTopology,
    Check::BrokerBindings,
    Check::BrokerPermissions,
    Check::BrokerPolicies,
    Check::BrokerAlarms,
    Check::BrokerConsumers,
    Check::BrokerUnused,
    Check::Parked,
];

/// The oldest version with dead letters at least once, which nothing replaces.
const VERSION_MIN: (u32, u32) = (3, 10);

/// What only the management API tells.
const BY_MANAGEMENT: [Check; 4] =
    [Check::BrokerBindings, Check::BrokerPolicies, Check::BrokerAlarms, Check::BrokerUnused];

/// How to have it checked.
const MANAGEMENT: &str = "set RELINK_MANAGEMENT_URL, with a user that has the tag `monitoring`";

/// How long it is waited for somebody who looks at parked messages: so many times so long.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(100);

/// How many that are missing are named in one line.
const NAMED_MAX: usize = 5;

/// What a policy must not set on a queue of Relink's: messages would go without a word. Where a
/// queue is full its publishers are told, except for parked queues, which then drop.
const LOSING: [&str; 2] = ["expires", "message-ttl"];
const LOSING_OF_PARKED: [&str; 3] = ["max-length", "max-length-bytes", "delivery-limit"];

pub(super) async fn look(named: &Named, wanted: &[Wanted], lines: &mut Vec<Line>) {
    let Some(broker) = &named.broker else { return };
    let management = match named.management.clone().map(Management::new) {
        Some(Ok(management)) => Some(management),
        Some(Err(error)) => {
            lines.extend(BY_MANAGEMENT.map(|check| unreachable(check, &error)));
            None
        }
        None => {
            let why = "not checked: AMQP does not tell it";
            lines.extend(BY_MANAGEMENT.map(|check| Line::not_checked(check, why, MANAGEMENT)));
            None
        }
    };
    lines.push(version(broker, management.as_ref()).await);
    let survey = match &management {
        Some(management) => by_management(management, lines).await,
        None => None,
    };
    let examination = match Examination::begin(broker).await {
        Ok(examination) => examination,
        Err(error) => {
            let advice = "is the broker of RELINK_AMQP_URL there, and are user, password and \
                          virtual host right?";
            return lines.push(Line::fail(Check::BrokerConnection, error, advice));
        }
    };
    let found = format!("{} lets this user in", broker.broker());
    lines.push(Line::ok(Check::BrokerConnection, found));
    lines.push(match survey {
        Some(survey) => topology(&survey),
        None => topology_by_amqp(relink_rabbitmq::verify(broker).await),
    });
    // What somebody else holds is not among those that are counted.
    let is_seen = until_left(&examination).await;
    // Before anything is published: a broker with an alarm hears nothing more of who did.
    match examination.queues().await {
        Ok(states) if states.len() < queues().len() => {
            let why = "not checked: queues are missing, see broker.topology";
            let untold = [Check::BrokerConsumers, Check::Parked];
            lines.extend(untold.map(|check| Line::not_checked(check, why, "run `relink migrate`")));
        }
        Ok(states) => {
            lines.push(consumers(&states));
            lines.push(match is_seen && is_left(&examination).await {
                true => judge_parked(&depths(&states)),
                false => {
                    let found = "not counted: somebody looks at parked messages at this moment";
                    Line::not_checked(Check::Parked, found, "ask again in a moment")
                }
            });
        }
        Err(error) => {
            lines.push(Line::warn(Check::BrokerConsumers, error, "ask again in a moment"));
        }
    }
    lines.push(permission::look(&examination, wanted).await);
    // Where the management API is not asked, or does not tell, this is what is left.
    if !tells_alarms(lines) && examination.is_blocked().await {
        blocked(lines);
    }
    examination.end().await;
}

/// Whether nobody looks at parked messages, as far as the broker tells.
async fn is_left(examination: &Examination) -> bool {
    examination.is_desk_taken().await != Ok(true)
}

/// Waits a moment for whoever looks: the scheduler does so four times a minute.
async fn until_left(examination: &Examination) -> bool {
    for _ in 0..LOOKS {
        if is_left(examination).await {
            return true;
        }
        tokio::time::sleep(LOOK).await;
    }
    false
}

/// Whether the management API said how it is with alarms.
fn tells_alarms(lines: &[Line]) -> bool {
    let is_said = |line: &Line| matches!(line.level, Level::Ok | Level::Fail);
    lines.iter().any(|line| line.check == Check::BrokerAlarms && is_said(line))
}

/// What AMQP tells of alarms stands for what the management API did not.
fn blocked(lines: &mut Vec<Line>) {
    lines.retain(|line| line.check != Check::BrokerAlarms);
    let found = "the broker blocks whoever publishes: an alarm is in effect";
    lines.push(Line::fail(Check::BrokerAlarms, found, ALARMS_ADVICE));
}

fn unreachable(check: Check, error: &ManagementError) -> Line {
    let advice = match error {
        ManagementError::Away(_) => "correct RELINK_MANAGEMENT_URL, or enable rabbitmq_management",
        ManagementError::Unauthorized => "put a user and a password into RELINK_MANAGEMENT_URL",
        ManagementError::Forbidden => {
            "give the user the tag `monitoring` and access to the virtual host"
        }
    };
    Line::warn(check, error.to_string(), advice)
}

async fn version(broker: &RabbitConfig, management: Option<&Management>) -> Line {
    let check = Check::BrokerVersion;
    let told = match management {
        Some(management) => management.version().await.ok(),
        None => None,
    };
    match told {
        Some(version) => judge_version(&version),
        None => match relink_rabbitmq::version(broker).await {
            Ok(Some(version)) => judge_version(&version),
            Ok(None) => {
                Line::not_checked(check, "not checked: nothing tells it behind TLS", MANAGEMENT)
            }
            Err(error) => Line::fail(check, error, "is RELINK_AMQP_URL the address of a RabbitMQ?"),
        },
    }
}

fn judge_version(version: &str) -> Line {
    let check = Check::BrokerVersion;
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let found = format!("RabbitMQ {version}");
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) < VERSION_MIN => {
            let (major, minor) = VERSION_MIN;
            let found = format!("{found} does not dead-letter at least once");
            Line::fail(check, found, format!("upgrade to {major}.{minor} or newer"))
        }
        _ => Line::ok(check, found),
    }
}

async fn by_management(management: &Management, lines: &mut Vec<Line>) -> Option<Survey> {
    lines.push(match management.alarms().await {
        Ok(found) => alarms(&found),
        Err(error) => unreachable(Check::BrokerAlarms, &error),
    });
    match management.survey().await {
        Ok(survey) => {
            lines.extend([bindings(&survey), policies(&survey), unused(&survey)]);
            Some(survey)
        }
        Err(error) => {
            for check in [Check::BrokerBindings, Check::BrokerPolicies, Check::BrokerUnused] {
                lines.push(unreachable(check, &error));
            }
            None
        }
    }
}

const ALARMS_ADVICE: &str = "free what is short on that node, or raise its limit; of memory and \
                             disk they stop all publishing, and webhooks get 503 until then";

const AS_IT_HAS_TO_BE: &str = "exchanges and queues are as they have to be";

const TOPOLOGY_ADVICE: &str = "run `relink migrate` for what is missing; what differs: stop its \
                               publishers, let its workers drain it, delete it, then migrate";

fn topology(survey: &Survey) -> Line {
    judge_topology(&survey.missing, &survey.differences)
        .unwrap_or_else(|| Line::ok(Check::BrokerTopology, AS_IT_HAS_TO_BE))
}

fn judge_topology(missing: &[String], differences: &[String]) -> Option<Line> {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        let named = missing.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>();
        let more = missing.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        parts.push(format!("missing: {}{more}", named.join(", ")));
    }
    parts.extend(differences.iter().cloned());
    let is_wrong = !parts.is_empty();
    is_wrong.then(|| Line::fail(Check::BrokerTopology, parts.join("; "), TOPOLOGY_ADVICE))
}

fn topology_by_amqp(verified: Result<Verified, TopologyError>) -> Line {
    let check = Check::BrokerTopology;
    let not_compared = |why: &str| {
        let found = format!("all is there; arguments are not compared: {why}");
        Line::not_checked(check, found, MANAGEMENT)
    };
    let error = match verified {
        Ok(Verified::Compared) => return Line::ok(check, AS_IT_HAS_TO_BE),
        Ok(Verified::Present) => {
            return not_compared("the user may not declare, which is how AMQP compares");
        }
        Err(error) => error,
    };
    let (mut missing, mut differences) = (Vec::new(), Vec::new());
    for finding in &error.findings {
        match finding {
            Finding::Missing { name, .. } => missing.push(name.clone()),
            Finding::Different(mismatch) => differences.push(mismatch.difference()),
            Finding::Misconfigured(_) | Finding::Away(_) => {}
        }
    }
    if let Some(line) = judge_topology(&missing, &differences) {
        return line;
    }
    let why = error.findings.first().map_or_else(String::new, Finding::to_string);
    Line::not_checked(check, format!("not compared: {why}"), MANAGEMENT)
}

fn bindings(survey: &Survey) -> Line {
    let check = Check::BrokerBindings;
    if survey.unbound.is_empty() {
        return Line::ok(check, "every key leads to its queue");
    }
    let told: Vec<String> = survey
        .unbound
        .iter()
        .map(|(exchange, key, queue)| format!("{key} from {exchange} to {queue}"))
        .collect();
    Line::fail(
        check,
        format!("missing: {}", told.join(", ")),
        "run `relink migrate`; until then events of these types are answered 503, and Stripe sends \
         them again",
    )
}

fn policies(survey: &Survey) -> Line {
    let check = Check::BrokerPolicies;
    if survey.policies.is_empty() {
        return Line::ok(check, "none touches Relink's queues");
    }
    let is_parked = |queue: &str| queue.ends_with(".parked");
    let is_losing = |queue: &str, key: &str| {
        LOSING.contains(&key) || (is_parked(queue) && LOSING_OF_PARKED.contains(&key))
    };
    let mut losing = Vec::new();
    let mut others = Vec::new();
    for (queue, policy, sets) in &survey.policies {
        let bad: Vec<&str> =
            sets.iter().map(String::as_str).filter(|key| is_losing(queue, key)).collect();
        if bad.is_empty() {
            others.push(format!("`{policy}` on {queue}: {}", sets.join(", ")));
        } else {
            losing.push(format!("`{policy}` on {queue}: {}", bad.join(", ")));
        }
    }
    if losing.is_empty() {
        let found = format!("policies touch Relink's queues: {}", others.join("; "));
        let advice = "look whether that is meant; limits of length make webhooks answer 503";
        return Line::warn(check, found, advice);
    }
    Line::fail(
        check,
        format!("messages get lost by policies: {}", losing.join("; ")),
        "narrow the pattern of the policy, so that it does not match `relink.`",
    )
}

fn alarms(found: &[Alarm]) -> Line {
    let check = Check::BrokerAlarms;
    if found.is_empty() {
        return Line::ok(check, "none");
    }
    let told: Vec<String> =
        found.iter().map(|Alarm { node, resource }| format!("{resource} of {node}")).collect();
    Line::fail(check, format!("in effect: {}", told.join(", ")), ALARMS_ADVICE)
}

/// Who consumes what; whoever consumes where nobody should takes messages away.
fn consumers(states: &[QueueState]) -> Line {
    let check = Check::BrokerConsumers;
    let is_work = |state: &QueueState| WorkQueue::of(&state.name).is_some();
    let idle = |state: &&QueueState| is_work(state) && state.consumers == 0;
    let waiting = states.iter().filter(idle).any(|state| state.ready > 0);
    let foreign: Vec<String> = states
        .iter()
        .filter(|state| !is_work(state) && state.consumers > 0)
        .map(|state| format!("{} has {}", state.name, state.consumers))
        .collect();
    if !foreign.is_empty() {
        let found =
            format!("somebody consumes what is nobody's to consume: {}", foreign.join(", "));
        return Line::fail(check, found, "find that consumer by its connection, and stop it");
    }
    let idle: Vec<String> = states
        .iter()
        .filter(idle)
        .map(|state| format!("{} ({} waiting)", state.name, state.ready))
        .collect();
    if idle.is_empty() {
        let count = |state: &QueueState| format!("{} {}", state.name, state.consumers);
        let counts: Vec<String> = states.iter().filter(|state| is_work(state)).map(count).collect();
        return Line::ok(check, counts.join(", "));
    }
    let found = format!("nobody consumes {}", idle.join(", "));
    let advice = "start `relink worker`, or the worker of that queue";
    if waiting { Line::fail(check, found, advice) } else { Line::warn(check, found, advice) }
}

fn depths(states: &[QueueState]) -> Vec<Depth> {
    let ready = |name: &str| -> u64 {
        states.iter().filter(|state| state.name == name).map(|state| u64::from(state.ready)).sum()
    };
    let depth = |queue: WorkQueue| Depth {
        queue,
        ready: ready(queue.name()),
        retrying: RETRY_LADDER.iter().map(|(rung, _)| ready(&retry_queue(queue, rung))).sum(),
        parked: ready(queue.parked()),
        missing: Vec::new(),
    };
    WorkQueue::ALL.map(depth).to_vec()
}

fn unused(survey: &Survey) -> Line {
    let check = Check::BrokerUnused;
    if survey.unused.is_empty() {
        return Line::ok(check, "every queue named `relink.` is one of this version");
    }
    Line::warn(
        check,
        format!("this version does not know {}", survey.unused.join(", ")),
        "look what is in them, then delete them: nobody will ever take it out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, ready: u32, consumers: u32) -> QueueState {
        QueueState { name: name.into(), ready, consumers }
    }

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        for (version, level) in [
            ("3.9.29", Level::Fail),
            ("3.10.8", Level::Ok),
            ("3.13.7", Level::Ok),
            ("4.0.0-rc.1", Level::Ok),
            ("unknown", Level::Ok),
        ] {
            assert_eq!(judge_version(version).level, level, "{version}");
        }
    }

    #[test]
    fn policies_that_lose_messages_fail_and_others_warn() {
        let of = |queue: &str, key: &str| {
            let policies = vec![(queue.to_owned(), "all".to_owned(), vec![key.to_owned()])];
            super::policies(&Survey { policies, ..Survey::default() }).level
        };
        assert_eq!(of("relink.lifecycle", "message-ttl"), Level::Fail);
        assert_eq!(of("relink.lifecycle", "max-length"), Level::Warn);
        assert_eq!(of("relink.lifecycle.parked", "max-length"), Level::Fail);
        assert_eq!(policies(&Survey::default()).level, Level::Ok);
    }

    #[test]
    fn a_queue_without_a_consumer_matters_more_when_something_waits() {
        let rest = [state("relink.upcoming", 0, 1), state("relink.followup", 0, 2)];
        let level = |lifecycle: QueueState, more: &[QueueState]| {
            let all: Vec<QueueState> =
                std::iter::once(lifecycle).chain(rest.clone()).chain(more.to_vec()).collect();
            consumers(&all).level
        };
        assert_eq!(level(state("relink.lifecycle", 9, 1), &[]), Level::Ok);
        assert_eq!(level(state("relink.lifecycle", 0, 0), &[]), Level::Warn);
        assert_eq!(level(state("relink.lifecycle", 9, 0), &[]), Level::Fail);
        let parked = [state("relink.lifecycle.parked", 0, 1)];
        assert_eq!(level(state("relink.lifecycle", 0, 1), &parked), Level::Fail);
    }

    #[test]
    fn a_block_is_told_where_the_management_api_tells_no_alarms() {
        let away = ManagementError::Away("refused".into());
        let mut lines = vec![unreachable(Check::BrokerAlarms, &away)];
        assert!(!tells_alarms(&lines), "a warning that nobody answers tells nothing");
        assert!(!tells_alarms(&[Line::not_checked(Check::BrokerAlarms, "no address", "")]));
        blocked(&mut lines);
        let levels: Vec<Level> = lines.iter().map(|line| line.level).collect();
        assert_eq!(levels, [Level::Fail], "one line, which ends in failure");
        assert!(tells_alarms(&lines) && tells_alarms(&[alarms(&[])]));
    }

    #[test]
    fn an_alarm_names_its_node() {
        let alarm = Alarm { node: "rabbit@one".into(), resource: "memory".into() };
        let line = alarms(&[alarm]);
        assert!(line.level == Level::Fail && line.found.contains("memory of rabbit@one"));
    }
}
