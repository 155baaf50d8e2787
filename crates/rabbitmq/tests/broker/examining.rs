use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use relink_bus::port::Publisher;
use relink_bus::topology::{Exchange, PARKED_DESK, WorkQueue, queues};
use relink_rabbitmq::{
    Examination, Management, ManagementConfig, Permission, RabbitConfig, Survey,
};

use crate::support::{BOUND, Broker, event, rabbitmqctl};

const ALL: [Permission; 10] = [
    Permission::Publish(Exchange::Events),
    Permission::Publish(Exchange::Commands),
    Permission::Consume(WorkQueue::Lifecycle),
    Permission::Consume(WorkQueue::Upcoming),
    Permission::Consume(WorkQueue::Followup),
    Permission::Look(WorkQueue::Lifecycle),
    Permission::Look(WorkQueue::Upcoming),
    Permission::Look(WorkQueue::Followup),
    Permission::Desk,
    Permission::SetAside,
];

/// Configure on the desk and nothing else.
const DESK: &str = "^relink\\.parked\\.desk$";

/// A user of its own, and what it may do; removed with the value.
struct User(String);

impl User {
    fn with(broker: &Broker, configure: &str, write: &str, read: &str) -> (Self, RabbitConfig) {
        let name = format!("{}-limited", broker.vhost());
        rabbitmqctl(&["add_user", &name, "x"]);
        rabbitmqctl(&["set_permissions", "-p", broker.vhost(), &name, configure, write, read]);
        let (start, rest) = broker.url.split_once("://").unwrap();
        let (_, host) = rest.split_once('@').unwrap();
        let config = RabbitConfig::new(&format!("{start}://{name}:x@{host}")).unwrap();
        (Self(name), config)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        rabbitmqctl(&["delete_user", &self.0]);
    }
}

async fn permitted(config: &RabbitConfig) -> Vec<Permission> {
    let examination = Examination::begin(config).await.unwrap();
    let mut permitted = Vec::new();
    for permission in ALL {
        if examination.may(permission).await.unwrap() {
            permitted.push(permission);
        }
    }
    examination.end().await;
    permitted
}

#[tokio::test]
async fn permissions_are_found_out_and_nothing_is_touched() {
    let Some(broker) = Broker::controlled().await else { return };
    broker.publisher().await.publish(event(1, BOUND)).await.unwrap();
    let (_everything, all) = User::with(&broker, DESK, "^(relink\\.|amq\\.default$)", "^relink\\.");
    assert_eq!(permitted(&all).await, ALL);
    drop(_everything);
    let (_ingress, ingress) = User::with(&broker, "", "^relink\\.events$", "");
    assert_eq!(permitted(&ingress).await, [Permission::Publish(Exchange::Events)]);
    drop(_ingress);
    let (_reader, reader) = User::with(&broker, "", "", "^relink\\.lifecycle$");
    assert_eq!(permitted(&reader).await, [Permission::Consume(WorkQueue::Lifecycle)]);
    drop(_reader);

    // Whoever has the desk is no hindrance, and is seen; who may not have it is told so.
    let holder = broker.channel().await;
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    holder.queue_declare(PARKED_DESK.into(), exclusive, FieldTable::default()).await.unwrap();
    let (_looker, looker) = User::with(&broker, DESK, "", "");
    assert_eq!(permitted(&looker).await, [Permission::Desk]);
    let examination = Examination::begin(&looker).await.unwrap();
    assert_eq!(examination.is_desk_taken().await, Ok(true));
    holder.queue_delete(PARKED_DESK.into(), QueueDeleteOptions::default()).await.unwrap();
    assert_eq!(examination.is_desk_taken().await, Ok(false));
    examination.end().await;

    // The message is where it was, nobody was ever given it, and nobody consumes.
    let examination = Examination::begin(&broker.config()).await.unwrap();
    let states = examination.queues().await.unwrap();
    assert_eq!(states.len(), queues().len());
    for state in &states {
        assert_eq!(state.ready, u32::from(state.name == "relink.lifecycle"), "{state:?}");
        assert_eq!(state.consumers, 0, "{state:?}");
    }
    examination.end().await;
    let message = broker.get("relink.lifecycle").await;
    assert!(!message.redelivered);
    let headers = message.properties.headers().clone().unwrap_or_default();
    let given = headers.inner().get("x-delivery-count");
    assert!(given.is_none_or(|count| *count == AMQPValue::LongLongInt(0)), "{headers:?}");
}

#[tokio::test]
async fn a_broker_tells_its_version_before_anybody_logs_in() {
    let Some(broker) = Broker::bare().await else { return };
    let (start, rest) = broker.url.split_once("://").unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    let stranger = RabbitConfig::new(&format!("{start}://nobody:x@{host}")).unwrap();
    let version = relink_rabbitmq::version(&stranger).await.unwrap().unwrap();
    let major: u32 = version.split('.').next().unwrap().parse().unwrap();
    assert!(major >= 3, "{version}");
    let nowhere = RabbitConfig::new("amqp://nobody:x@127.0.0.1:1/%2f").unwrap();
    relink_rabbitmq::version(&nowhere).await.unwrap_err();
}

#[tokio::test]
async fn the_management_api_tells_what_amqp_does_not() {
    let Some(broker) = Broker::controlled().await else { return };
    let Ok(url) = std::env::var("RELINK_TEST_MANAGEMENT_URL") else {
        return crate::support::left_out("RELINK_TEST_MANAGEMENT_URL");
    };
    let config = ManagementConfig::new(&url, &broker.config()).unwrap();
    let management = Management::new(config).unwrap();
    let said = relink_rabbitmq::version(&broker.config()).await.unwrap();
    assert_eq!(Some(management.version().await.unwrap()), said);
    let survey = management.survey().await.unwrap();
    assert_eq!(survey, Survey::default());

    let channel = broker.channel().await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare("relink.old".into(), durable, quorum).await.unwrap();
    let (queue, key) = ("relink.lifecycle".into(), BOUND.into());
    let exchange = Exchange::Events.name().into();
    channel.queue_unbind(queue, exchange, key, FieldTable::default()).await.unwrap();
    let parked = "relink.followup.parked".into();
    channel.queue_delete(parked, QueueDeleteOptions::default()).await.unwrap();
    let survey = management.survey().await.unwrap();
    assert_eq!(survey.unused, ["relink.old"]);
    assert_eq!(survey.missing, ["relink.followup.parked"]);
    assert_eq!(survey.differences, [""; 0]);
    let unbound: Vec<&str> = survey.unbound.iter().map(|(_, key, _)| &**key).collect();
    assert_eq!(unbound, [BOUND]);

    let stranger = url.replace("://", "://nobody:hunter2@");
    let config = ManagementConfig::new(&stranger, &broker.config()).unwrap();
    let error = Management::new(config).unwrap().version().await.unwrap_err().to_string();
    assert!(error.contains("does not accept") && !error.contains("hunter2"), "{error}");
}
