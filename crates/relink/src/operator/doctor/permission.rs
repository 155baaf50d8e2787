//! What the user of the broker may do, held against what the roles do there.
//! `deploy/rabbitmq/permissions.json` permits each user just that.

use relink_bus::topology::{Exchange, WorkQueue};
use relink_rabbitmq::{Examination, Keys, Permission};

use super::line::{Check, Line};
use super::settings::Wanted;

/// Whether the user may do what the named roles do; none named: all of it.
pub(super) async fn look(examination: &Examination, wanted: &[Wanted]) -> Line {
    let check = Check::BrokerPermissions;
    let mut lacking = Vec::new();
    for permission in needed(wanted) {
        match examination.may(permission).await {
            Ok(true) => {}
            Ok(false) => lacking.push(permission),
            // The line about alarms says what it is.
            Err(_) if permission.is_published() && examination.is_blocked().await => break,
            Err(error) => {
                let found = format!("{permission}: {error}");
                return Line::warn(check, found, "ask again in a moment");
            }
        }
    }
    judge(&lacking, wanted)
}

fn judge(lacking: &[Permission], wanted: &[Wanted]) -> Line {
    let check = Check::BrokerPermissions;
    let of = if wanted.is_empty() { "every role" } else { "the roles that were named" };
    if lacking.is_empty() {
        return Line::ok(check, format!("the user has those of {of}"));
    }
    let told: Vec<String> = lacking.iter().map(Permission::to_string).collect();
    let found = format!("the user lacks of those of {of}: {}", told.join(", "));
    if wanted.is_empty() {
        let advice = "name the role whose user it is (`relink doctor ingress`): each needs less";
        return Line::warn(check, found, advice);
    }
    Line::fail(
        check,
        found,
        "permit it with rabbitmqctl set_permissions and set_topic_permissions, as \
         deploy/rabbitmq/permissions.json has it",
    )
}

/// What these roles do at the broker; all of it where none is named. What has to publish to find
/// out comes last.
fn needed(wanted: &[Wanted]) -> Vec<Permission> {
    use Wanted::{Followup, Ingress, Lifecycle, Portal, Scheduler, Upcoming};
    let is = |roles: &[Wanted]| wanted.is_empty() || wanted.iter().any(|one| roles.contains(one));
    let mut needed = Vec::new();
    let mut add = |permission: Permission, roles: &[Wanted]| {
        if is(roles) {
            needed.push(permission);
        }
    };
    // Observations are published by whoever reads at Stripe.
    let observers = [Followup, Scheduler, Portal];
    // Events come from Stripe by webhook, or by catching up.
    let receivers = [Ingress, Scheduler];
    let deciders = [Lifecycle, Upcoming, Scheduler];
    add(Permission::Publish(Exchange::Events), &[&observers[..], &receivers].concat());
    add(Permission::Publish(Exchange::Commands), &deciders);
    for (queue, worker) in WorkQueue::ALL.into_iter().zip([Lifecycle, Upcoming, Followup]) {
        add(Permission::Consume(queue), &[worker]);
    }
    for queue in WorkQueue::ALL {
        // Catching up looks whether an event is parked, and the API shows and puts back.
        add(Permission::Look(queue), &[Scheduler, Portal]);
    }
    add(Permission::Desk, &[Scheduler, Portal]);
    add(Permission::SetAside, &[Lifecycle, Upcoming, Followup, Portal]);
    add(Permission::Use(Keys::Events), &receivers);
    add(Permission::Use(Keys::Observations), &observers);
    needed
}

#[cfg(test)]
mod tests {
    use super::super::line::Level;
    use super::*;

    #[test]
    fn each_role_needs_its_own_permissions() {
        let events = Permission::Publish(Exchange::Events);
        assert_eq!(needed(&[Wanted::Ingress]), [events, Permission::Use(Keys::Events)]);
        let lifecycle = needed(&[Wanted::Lifecycle]);
        assert!(!lifecycle.contains(&events), "{lifecycle:?}");
        assert!(!lifecycle.contains(&Permission::Consume(WorkQueue::Followup)), "{lifecycle:?}");
        let followup = needed(&[Wanted::Followup]);
        assert!(!followup.contains(&Permission::Publish(Exchange::Commands)), "{followup:?}");
        assert_eq!(needed(&[Wanted::Standalone]), []);
        assert_eq!(needed(&[]).len(), 12);
        let published = needed(&[]).iter().skip_while(|one| !one.is_published()).count();
        assert_eq!(published, 3, "what publishes comes last");
    }

    #[test]
    fn what_a_named_role_lacks_fails_and_otherwise_it_warns() {
        let lacking = [Permission::SetAside];
        assert_eq!(judge(&[], &[]).level, Level::Ok);
        assert_eq!(judge(&lacking, &[]).level, Level::Warn);
        assert_eq!(judge(&lacking, &[Wanted::Upcoming]).level, Level::Fail);
    }
}
