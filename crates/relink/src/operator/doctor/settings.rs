//! Whether the settings can work, group by group.

use relink_rabbitmq::{ManagementConfig, RabbitConfig};

use super::line::{Check, Line};
use crate::cli::{
    AmqpArgs, DatabaseArgs, DoctorArgs, FollowupArgs, LinkArgs, PortalArgs, StandaloneArgs,
    StripeArgs, WebhookArgs,
};
use crate::role;
use crate::settings::{Collector, Database, Databases, Problems, Stripe};

/// Stripe's own limit for the age of a signature (Stripe docs: webhooks), in seconds.
const TOLERANCE_S: i64 = 300;

/// A role whose settings must be there, and whose rights are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    Ingress,
    Lifecycle,
    Upcoming,
    Followup,
    Scheduler,
    Portal,
    Standalone,
}

impl Wanted {
    /// All of them; a worker is one of its queues.
    const ALL: [(&'static str, Self); 7] = [
        ("ingress", Self::Ingress),
        ("lifecycle", Self::Lifecycle),
        ("upcoming", Self::Upcoming),
        ("followup", Self::Followup),
        ("scheduler", Self::Scheduler),
        ("portal", Self::Portal),
        ("standalone", Self::Standalone),
    ];

    const WORKERS: [Self; 3] = [Self::Lifecycle, Self::Upcoming, Self::Followup];

    /// The roles of these names. `worker` alone is one of all queues, as `relink worker` is.
    pub(crate) fn of(names: &[String], problems: &mut Problems) -> Vec<Self> {
        let mut wanted = Vec::new();
        for name in names.iter().filter(|name| *name != "worker") {
            match Self::ALL.iter().find(|(known, _)| known == name) {
                Some((_, role)) => wanted.push(*role),
                None => problems.add(format!(
                    "`{name}` is no role; name ingress, worker (with lifecycle, upcoming, \
                     followup: of these queues only), scheduler, portal or standalone"
                )),
            }
        }
        let names_queue = Self::WORKERS.iter().any(|worker| wanted.contains(worker));
        if names.iter().any(|name| name == "worker") && !names_queue {
            wanted.extend(Self::WORKERS);
        }
        wanted
    }

    /// The role that runs it.
    fn role(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Lifecycle | Self::Upcoming | Self::Followup => "worker",
            Self::Scheduler => "scheduler",
            Self::Portal => "portal",
            Self::Standalone => "standalone",
        }
    }

    fn needs(self, check: Check) -> bool {
        match check {
            Check::SettingsWebhooks => matches!(self, Self::Ingress | Self::Standalone),
            Check::SettingsBroker => self != Self::Standalone,
            Check::SettingsDatabase => self != Self::Ingress,
            Check::SettingsStripe | Check::SettingsLinks | Check::SettingsPage => {
                self == Self::Portal
            }
            _ => false,
        }
    }
}

/// What the settings name, as far as they can work.
pub(crate) struct Named {
    pub(crate) broker: Option<RabbitConfig>,
    pub(crate) management: Option<ManagementConfig>,
    pub(crate) database: Option<Database>,
    pub(crate) stripe: Option<Stripe>,
    /// Where traces go, if they go anywhere; unless that is set wrongly.
    pub(crate) collector: Option<Option<Collector>>,
    /// The mode of webhooks, where only one is taken.
    pub(crate) webhook_mode: Option<bool>,
    /// How old a signature may be, in seconds; 0: as old as it likes.
    pub(crate) tolerance_s: i64,
}

/// Reads one group after the other; `wanted`: the roles that must have theirs.
pub(crate) fn read(args: DoctorArgs, wanted: &[Wanted], lines: &mut Vec<Line>) -> Named {
    let DoctorArgs { management_url, management_url_file, amqp, rest, .. } = args;
    let StandaloneArgs { webhook, database, stripe, followup, policy, link, page, .. } = rest;
    let StandaloneArgs { retention, background, traces, admin, .. } = rest;
    let mut group = Group { wanted, lines };

    let mut collector = None;
    group.judge(Check::SettingsProcess, true, "", |problems| {
        collector = problems.traces(traces);
        let traces = match &collector {
            Some(Some(collector)) => format!("; traces go to {}", collector.url),
            _ => String::new(),
        };
        let told = format!("shutdown, admin listener and logs{traces}");
        problems.admin(&admin).map(|_| told)
    });
    let (webhook_mode, tolerance_s) = group.webhooks(webhook);
    let (broker, management) = group.broker(amqp, management_url, management_url_file);
    let database = group.database(database);
    let base = stripe.stripe_api_base.clone();
    let stripe = group.stripe(stripe, &followup);
    group.judge(Check::SettingsRules, true, "", |problems| {
        problems.policy(&policy).map(|_| "settle time, doubt window, reminders".to_owned())
    });
    group.page(link, page, stripe.as_ref());
    group.judge(Check::SettingsBackground, true, "", |problems| {
        let kept = problems.retention(&retention);
        problems.background(&background, &base)?;
        kept.map(|kept| format!("history is kept for {} days", kept.days))
    });
    let (url, secret, file) = (rest.commands_url, rest.commands_secret, rest.commands_secret_file);
    let is_there = is_set(&[&url, &secret, &file]);
    group.judge(Check::SettingsCommands, is_there, "RELINK_COMMANDS_URL", |problems| {
        let secret = problems.secret("RELINK_COMMANDS_SECRET", secret, file);
        role::standalone::sinks(url.as_deref(), secret, problems);
        Some("standalone posts commands".to_owned())
    });
    none_at_all(lines);
    Named { broker, management, database, stripe, collector, webhook_mode, tolerance_s }
}

/// Nothing to look at is no good health.
fn none_at_all(lines: &mut [Line]) {
    let is_missing = |line: &&Line, check: Check| {
        line.check == check && line.level == super::line::Level::NotChecked
    };
    let no_broker = lines.iter().any(|line| is_missing(&line, Check::SettingsBroker));
    let database = lines.iter_mut().find(|line| is_missing(&&**line, Check::SettingsDatabase));
    if let (true, Some(line)) = (no_broker, database) {
        *line = Line::fail(
            Check::SettingsDatabase,
            "neither RELINK_AMQP_URL nor RELINK_DATABASE_URL is set: there is nothing to look at",
            "give the settings of the role that you ask about",
        );
    }
}

fn is_set(settings: &[&Option<String>]) -> bool {
    settings.iter().any(|setting| setting.as_ref().is_some_and(|text| !text.is_empty()))
}

/// A role that has these settings.
fn having(check: Check) -> &'static str {
    match check {
        Check::SettingsWebhooks => "ingress",
        Check::SettingsLinks | Check::SettingsPage => "portal",
        Check::SettingsBackground => "scheduler",
        Check::SettingsCommands => "standalone",
        _ => "worker",
    }
}

struct Group<'a> {
    wanted: &'a [Wanted],
    lines: &'a mut Vec<Line>,
}

impl Group<'_> {
    /// The mode of webhooks, where only one is taken, and how old a signature may be.
    fn webhooks(&mut self, args: WebhookArgs) -> (Option<bool>, i64) {
        let tolerance = args.webhook_tolerance_seconds.trim().parse().unwrap_or(TOLERANCE_S);
        let mode = args.webhook_mode.clone().filter(|mode| !mode.is_empty());
        let is_there = is_set(&[&args.webhook_secrets, &args.webhook_secrets_file]);
        self.judge(Check::SettingsWebhooks, is_there, "RELINK_WEBHOOK_SECRETS", |problems| {
            problems.webhook(args)?;
            let modes = mode.as_ref().map_or("both modes".into(), |mode| format!("{mode} mode"));
            Some(format!("secrets are set; events of {modes}, signatures up to {tolerance} s old"))
        });
        (mode.map(|mode| mode == "live"), tolerance)
    }

    fn broker(
        &mut self,
        args: AmqpArgs,
        url: Option<String>,
        file: Option<String>,
    ) -> (Option<RabbitConfig>, Option<ManagementConfig>) {
        let (mut broker, mut management) = (None, None);
        let is_there = is_set(&[&args.amqp_url, &args.amqp_url_file]);
        self.judge(Check::SettingsBroker, is_there, "RELINK_AMQP_URL", |problems| {
            let config = problems.amqp(args)?;
            let url = problems.confidential("RELINK_MANAGEMENT_URL", url, file);
            management = url.and_then(|url| {
                let config = ManagementConfig::new(&url, &config);
                config.inspect_err(|error| problems.add(error.to_string())).ok()
            });
            let beside = if management.is_some() { ", with its management API" } else { "" };
            let told = format!("{}, virtual host {}{beside}", config.broker(), config.vhost());
            broker = Some(config);
            Some(told)
        });
        (broker, management)
    }

    fn database(&mut self, args: DatabaseArgs) -> Option<Database> {
        let is_alone = self.wanted.iter().all(|role| *role == Wanted::Standalone);
        let can = if is_alone { Databases::Both } else { Databases::PostgresOnly };
        let is_there = is_set(&[&args.database_url, &args.database_url_file]);
        let mut found = None;
        self.judge(Check::SettingsDatabase, is_there, "RELINK_DATABASE_URL", |problems| {
            found = problems.database(args, can);
            found.as_ref().map(|database| match database {
                Database::Postgres(_) => "PostgreSQL".to_owned(),
                Database::Sqlite(path) => format!("SQLite, {path}"),
            })
        });
        found
    }

    fn stripe(&mut self, args: StripeArgs, followup: &FollowupArgs) -> Option<Stripe> {
        let is_there = is_set(&[&args.stripe_api_key, &args.stripe_api_key_file]);
        let mut found = None;
        self.judge(Check::SettingsStripe, is_there, "RELINK_STRIPE_API_KEY", |problems| {
            let told = format!("{}, version {}", args.stripe_api_base, args.stripe_api_version);
            let stripe = problems.followup(args, followup)?.stripe;
            let has_key = stripe.client.is_some();
            found = Some(stripe);
            has_key.then_some(told)
        });
        found
    }

    fn page(&mut self, link: LinkArgs, page: PortalArgs, stripe: Option<&Stripe>) {
        let is_linked = is_set(&[&link.portal_url, &link.link_key, &link.link_key_file]);
        self.judge(Check::SettingsLinks, is_linked, "RELINK_PORTAL_URL", |problems| {
            problems.links(link)?.map(|links| format!("prompts link to {}", links.base()))
        });
        let names = [&page.portal_brand, &page.portal_logo, &page.portal_texts];
        let keys = [&page.stripe_publishable_key, &page.api_tokens, &page.api_tokens_file];
        // With an address the single process has the page; of the others the portal alone.
        let is_shown = is_set(&names)
            || is_set(&keys)
            || (is_linked && self.wanted.contains(&Wanted::Standalone));
        self.judge(Check::SettingsPage, is_shown, "RELINK_PORTAL_BRAND", |problems| {
            if !is_linked {
                problems.no_page(&page);
                return None;
            }
            problems.page(page, stripe).map(|page| format!("listens at {}", page.listen))
        });
    }

    /// One line for a group of settings: what it amounts to, or everything that is wrong with it.
    fn judge(
        &mut self,
        check: Check,
        is_there: bool,
        name: &str,
        read: impl FnOnce(&mut Problems) -> Option<String>,
    ) {
        if !is_there && !self.wanted.iter().any(|role| role.needs(check)) {
            let why = format!("not configured: {name} is not set");
            let advice = match check {
                Check::SettingsStripe => {
                    "without a key nothing is read back: what events do not say stays unknown"
                }
                _ => "",
            };
            return self.lines.push(Line::not_checked(check, why, advice));
        }
        let mut problems = Problems::default();
        let told = read(&mut problems);
        let problems = problems.told();
        let line = match told {
            Some(told) if problems.is_empty() => Line::ok(check, told),
            None if problems.is_empty() => {
                let found = format!("{name} is not set, and a role that was named needs it");
                Line::fail(check, found, format!("{} shows every setting", self.manual(check)))
            }
            _ => {
                let manual = self.manual(check);
                let advice = format!("no role starts with these; {manual} shows every setting");
                Line::fail(check, problems.join("; "), advice)
            }
        };
        self.lines.push(line);
    }

    /// The command that shows the settings of the group: of a role that was named and needs them,
    /// else of one that has them.
    fn manual(&self, check: Check) -> String {
        let wanted = self.wanted.iter().copied().find(|role| role.needs(check));
        let role = wanted.map_or_else(|| having(check), Wanted::role);
        format!("`relink {role} --help`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_named_like_the_role_that_runs() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut problems = Problems::default();
            let wanted = Wanted::of(&names, &mut problems);
            assert!(problems.told().is_empty(), "{names:?}");
            wanted
        };
        assert_eq!(of(&["worker"]), Wanted::WORKERS);
        assert_eq!(of(&["worker", "lifecycle"]), [Wanted::Lifecycle]);
        assert_eq!(of(&["ingress", "worker", "upcoming", "followup"]).len(), 3);
        assert_eq!(of(&[]), []);
    }
}
