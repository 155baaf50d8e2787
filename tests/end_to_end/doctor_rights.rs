//! `relink doctor` as the user of each role: nothing is wrong with the rights that `deploy/`
//! grants, and what is taken away is named.

use relink_sim::{Sim, SimConfig};
use relink_tests::api::Api;
use relink_tests::place::Place;
use relink_tests::process::Settings;
use relink_tests::rights::Rights;
use relink_tests::stage::Stage;

use crate::doctor::{API_KEY, LINK_KEY, Told, doctor};

/// What is named to the doctor, and whose users of broker and database it then is.
const ROLES: [(&[&str], Option<&str>, Option<&str>); 7] = [
    (&["ingress"], Some("relink_ingress"), None),
    (&["worker"], Some("relink_worker"), Some("relink_worker")),
    (&["worker", "lifecycle", "upcoming"], Some("relink_decider"), Some("relink_worker")),
    (&["worker", "followup"], Some("relink_followup"), Some("relink_followup")),
    (&["scheduler"], Some("relink_scheduler"), Some("relink_scheduler")),
    (&["portal"], Some("relink_portal"), Some("relink_portal")),
    (&["standalone"], None, Some("relink_standalone")),
];

/// A role, what is taken from its user of the database, what gives it back, and how it is named.
const OF_THE_DATABASE: [(&str, &str, &str, &str); 7] = [
    ("worker", "relink_worker", "INSERT ON inbox", "INSERT on inbox"),
    ("worker", "relink_worker", "USAGE ON SEQUENCE history_seq", "USAGE on history_seq"),
    ("lifecycle", "relink_worker", "DELETE ON outbox", "DELETE on outbox"),
    ("scheduler", "relink_scheduler", "UPDATE ON outbox", "UPDATE on outbox"),
    (
        "scheduler",
        "relink_scheduler",
        "EXECUTE ON FUNCTION relink_make_day(text, date)",
        "EXECUTE on relink_make_day",
    ),
    ("portal", "relink_portal", "SELECT ON cases", "SELECT on cases"),
    ("standalone", "relink_standalone", "DELETE ON parked", "DELETE on parked"),
];

struct Users<'a> {
    rights: &'a Rights,
    api: &'a Api,
}

impl Users<'_> {
    /// The settings of a role, as its users.
    fn settings(&self, broker: Option<&str>, database: Option<&str>) -> Settings {
        let (as_broker, as_database) =
            (broker.unwrap_or("relink_ingress"), database.unwrap_or("relink_followup"));
        let mut settings = self.rights.user(as_broker, as_database).settings(&self.api.settings());
        settings.extend([
            ("RELINK_STRIPE_API_KEY", API_KEY.to_owned()),
            ("RELINK_PORTAL_URL", "http://127.0.0.1:8081".to_owned()),
            ("RELINK_LINK_KEY", LINK_KEY.to_owned()),
            ("RELINK_PORTAL_BRAND", "Harbor".to_owned()),
            ("RELINK_STRIPE_PUBLISHABLE_KEY", "pk_test_sim".to_owned()),
        ]);
        settings.retain(|(name, _)| match *name {
            "RELINK_AMQP_URL" => broker.is_some(),
            "RELINK_DATABASE_URL" => database.is_some(),
            _ => true,
        });
        settings
    }

    /// As the user of the database alone.
    async fn of_database(&self, role: &str, user: &str) -> Told {
        let broker = (role != "standalone").then_some("relink_worker");
        doctor(&[role], &self.settings(broker, Some(user))).await
    }
}

pub(crate) async fn each_user_has_what_its_role_needs(stage: &Stage) {
    let place = stage.place("doctor-rights").await;
    let rights = Rights::grant(&place).await;
    let sim = Sim::new(SimConfig::default());
    let api = Api::serve(&sim).await;
    let users = Users { rights: &rights, api: &api };
    for (names, broker, database) in ROLES {
        let told = doctor(names, &users.settings(broker, database)).await;
        assert_eq!(told.code, 0, "{names:?}: {}", told.all);
        let level = |is_there: bool| if is_there { "ok" } else { "not told" };
        assert_eq!(told.level("broker.permissions"), level(broker.is_some()), "{names:?}");
        assert_eq!(told.level("database.privileges"), level(database.is_some()), "{names:?}");
        // What the user has no business with is left to one who has.
        for (check, table, users) in [
            ("database.outbox", "outbox", &["relink_portal", "relink_followup"][..]),
            ("events.details", "inbox", &["relink_followup"]),
            ("events.arrival", "inbox", &["relink_followup"]),
        ] {
            if database.is_some_and(|user| users.contains(&user)) {
                told.says(check, "not_checked", &[table, "relink_operator"]);
            } else if database.is_some() {
                assert_eq!(told.level(check), "ok", "{names:?}: {}", told.all);
            }
        }
    }
    // Who looks may look at everything, and is no role.
    let operator = users.settings(Some("relink_operator"), Some("relink_operator"));
    let told = doctor(&[], &operator).await;
    assert_eq!(told.code, 0, "{}", told.all);
    for check in ["database.outbox", "events.details", "events.arrival", "parked"] {
        told.says(check, "ok", &[]);
    }
    told.says("broker.permissions", "warn", &["relink doctor ingress"]);
    what_is_taken_is_named(&place, &users).await;
    rights.revoke().await;
}

async fn what_is_taken_is_named(place: &Place, users: &Users<'_>) {
    let database = place.database().await;
    for (role, user, right, told_as) in OF_THE_DATABASE {
        let name = users.rights.name(user);
        database.batch_execute(&format!("REVOKE {right} FROM {name}")).await.unwrap();
        let told = users.of_database(role, user).await;
        told.says("database.privileges", "fail", &[told_as, "grants.sql"]);
        assert_eq!(told.code, 1, "{}", told.all);
        database.batch_execute(&format!("GRANT {right} TO {name}")).await.unwrap();
    }
    let vhost = place.vhost();
    let ingress = users.rights.name("relink_ingress");
    let keys = ["set_topic_permissions", "-p", vhost, &ingress, "relink.events", "^relink", "^$"];
    place.control(&keys).await;
    let told = doctor(&["ingress"], &users.settings(Some("relink_ingress"), None)).await;
    told.says("broker.permissions", "fail", &["financial_connections.", "set_topic_permissions"]);
    let decider = users.rights.name("relink_decider");
    let reads = ["set_permissions", "-p", vhost, &decider, "^$", "^relink.commands$", "^$"];
    place.control(&reads).await;
    let settings = users.settings(Some("relink_decider"), Some("relink_worker"));
    let told = doctor(&["worker", "upcoming"], &settings).await;
    let lacking = ["read on relink.upcoming", "write on amq.default"];
    told.says("broker.permissions", "fail", &lacking);
    assert!(!told.all.contains("read on relink.lifecycle"), "{}", told.all);
}
