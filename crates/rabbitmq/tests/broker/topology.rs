use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use relink_bus::port::{PublishError, Publisher, SubscribeError, Subscriber};
use relink_bus::topology::{Exchange, WorkQueue, queues};
use relink_rabbitmq::{Finding, RabbitConfig, RabbitPublisher, RabbitSubscriber, declare, verify};

use crate::support::{BOUND, Broker, event, until};

#[tokio::test]
async fn declaring_twice_is_fine_and_verifies() {
    let Some(broker) = Broker::bare().await else { return };
    declare(&broker.config()).await.unwrap();
    declare(&broker.config()).await.unwrap();
    verify(&broker.config()).await.unwrap();
}

#[tokio::test]
async fn everything_missing_is_named_and_nothing_is_created() {
    let Some(broker) = Broker::bare().await else { return };
    for _ in 0..2 {
        let error = verify(&broker.config()).await.unwrap_err();
        assert_eq!(error.findings.len(), Exchange::ALL.len() + queues().len(), "{error}");
        assert!(error.to_string().contains("`relink migrate`") && !error.is_transient());
    }
}

async fn with_differences(broker: &Broker) {
    let channel = broker.channel().await;
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let name = Exchange::Commands.name().into();
    let arguments = FieldTable::default();
    channel.exchange_declare(name, ExchangeKind::Direct, options, arguments).await.unwrap();
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    for (index, queue) in queues().iter().enumerate() {
        let mut arguments = FieldTable::default();
        if index > 0 {
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        }
        channel.queue_declare(queue.name.as_str().into(), options, arguments).await.unwrap();
    }
}

#[tokio::test]
async fn all_differences_are_reported_with_argument_and_values() {
    let Some(broker) = Broker::bare().await else { return };
    with_differences(&broker).await;
    for error in [verify(&broker.config()).await.map(drop), declare(&broker.config()).await] {
        let error = error.unwrap_err();
        let different: Vec<_> = error
            .findings
            .iter()
            .filter_map(|finding| match finding {
                Finding::Different(mismatch) => Some(mismatch),
                _ => None,
            })
            .collect();
        let exchange = different.iter().find(|mismatch| mismatch.kind == "exchange").unwrap();
        assert_eq!((&*exchange.name, &*exchange.argument), ("relink.commands", "type"));
        assert_eq!((&*exchange.wanted, &*exchange.present), ("'topic'", "'direct'"));
        let classic = different.iter().find(|m| m.name == "relink.lifecycle.parked").unwrap();
        assert_eq!(classic.argument, "x-queue-type", "{error}");
        for queue in WorkQueue::ALL {
            assert!(different.iter().any(|mismatch| mismatch.name == queue.name()), "{error}");
        }
        assert!(
            error.to_string().contains("delete it when it is empty, then run `relink migrate`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_names_the_setting_and_is_not_repeated() {
    let Some(broker) = Broker::bare().await else { return };
    let (start, rest) = broker.url.split_once("://").unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    let config = RabbitConfig::new(&format!("{start}://guest:hunter2@{host}")).unwrap();
    let said = |text: &str| {
        assert!(text.contains("RELINK_AMQP_URL") && !text.contains("hunter2"), "{text}");
    };
    let subscriber = RabbitSubscriber::new(config.clone(), WorkQueue::Lifecycle);
    match subscriber.next_batch(1, std::time::Duration::ZERO).await {
        Err(SubscribeError::Misconfigured(text)) => said(&text),
        other => panic!("{other:?}"),
    }
    let publisher = RabbitPublisher::new(config.clone());
    assert_eq!(publisher.publish(event(1, BOUND)).await, Err(PublishError::Away));
    for (name, state) in publisher.connections() {
        until(name, async || state.status().misconfigured.is_some()).await;
        said(&state.status().misconfigured.unwrap());
    }
    said(&verify(&config).await.unwrap_err().to_string());
}

#[tokio::test]
async fn a_virtual_host_that_does_not_exist_names_the_setting() {
    let Some(broker) = Broker::bare().await else { return };
    let (start, rest) = broker.url.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    let config = RabbitConfig::new(&format!("{start}://{authority}/nowhere")).unwrap();
    let error = declare(&config).await.unwrap_err();
    assert!(matches!(&error.findings[..], [Finding::Misconfigured(_)]), "{error:?}");
    assert!(error.to_string().contains("RELINK_AMQP_URL"), "{error}");
}
