//! Spans as OTLP writes them: `ExportTraceServiceRequest` of opentelemetry-proto 1.9 in JSON, where
//! ids are hexadecimal, enums numbers, and 64-bit numbers texts ("JSON Protobuf Encoding").

use std::borrow::Cow;

use relink_bus::mask::masked;
use relink_bus::trace::{Operation, Span, TraceContext};
use serde::{Deserialize, Serialize};

/// `SPAN_KIND_PRODUCER`
const PRODUCER: u8 = 4;
/// `SPAN_KIND_CONSUMER`
const CONSUMER: u8 = 5;
/// `STATUS_CODE_ERROR`
const ERROR: u8 = 2;

/// Who tells: what stands once before all spans of a request.
pub(super) struct Origin {
    service: String,
    system: &'static str,
    instance: String,
}

impl Origin {
    /// A process of that role, which is like no other.
    pub(super) fn new(role: &str) -> Self {
        let instance = format!("{:032x}", rand::random::<u128>());
        // The bus of the single process is its own.
        let system = if role == "standalone" { "relink" } else { "rabbitmq" };
        Self { service: format!("relink-{role}"), system, instance }
    }

    /// The body of a request.
    pub(super) fn body(&self, spans: &[Span]) -> Vec<u8> {
        let version = env!("CARGO_PKG_VERSION");
        let attributes = vec![
            text("service.name", &self.service),
            text("service.namespace", "relink"),
            text("service.version", version),
            text("service.instance.id", &self.instance),
        ];
        let scope_spans = [ScopeSpans {
            scope: Scope { name: "relink", version },
            spans: spans.iter().map(|span| self.span(span)).collect(),
        }];
        let resource_spans = [ResourceSpans { resource: Resource { attributes }, scope_spans }];
        // Texts and numbers: there is nothing that cannot be written.
        serde_json::to_vec(&Request { resource_spans }).unwrap_or_default()
    }
}

/// How many spans an answer says were refused (OTLP 1.9, "Partial Success"); an answer that says
/// something else refuses none.
pub(super) fn refused_spans(answer: &[u8]) -> u64 {
    let answer: Answer = serde_json::from_slice(answer).unwrap_or_default();
    match answer.partial_success.rejected_spans {
        Count::Number(count) => count,
        Count::Text(count) => count.parse().unwrap_or(0),
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    partial_success: PartialSuccess,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialSuccess {
    rejected_spans: Count,
}

/// Either will do for a 64-bit number in the JSON of protobuf.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Text(String),
}

impl Default for Count {
    fn default() -> Self {
        Self::Number(0)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<SpanBody<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanBody<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    flags: u32,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<[Link; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    trace_id: String,
    span_id: String,
    flags: u32,
}

#[derive(Serialize)]
struct Status {
    code: u8,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Value<'a>,
}

/// `AnyValue`
#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "stringValue")]
    Text(Cow<'a, str>),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Flag(bool),
}

fn text<'a>(key: &'static str, value: &'a str) -> Attribute<'a> {
    Attribute { key, value: Value::Text(value.into()) }
}

/// What a message says of itself, and anybody may have written that.
fn told<'a>(key: &'static str, value: &str) -> Attribute<'a> {
    Attribute { key, value: Value::Text(masked(value).into()) }
}

fn trace_id(context: TraceContext) -> String {
    format!("{:032x}", context.trace_id)
}

fn span_id(id: u64) -> String {
    format!("{id:016x}")
}

impl Origin {
    fn span<'a>(&self, span: &'a Span) -> SpanBody<'a> {
        SpanBody {
            trace_id: trace_id(span.context),
            span_id: span_id(span.context.span_id),
            parent_span_id: span.parent.map(span_id),
            flags: span.context.flags.into(),
            name: format!("{} {}", span.operation.as_str(), span.destination),
            kind: match span.operation {
                Operation::Send => PRODUCER,
                Operation::Process => CONSUMER,
            },
            start_time_unix_nano: span.started_unix_ns.to_string(),
            end_time_unix_nano: span.ended_unix_ns.to_string(),
            attributes: attributes(span, self.system),
            links: span.link.map(|link| {
                let flags = link.flags.into();
                [Link { trace_id: trace_id(link), span_id: span_id(link.span_id), flags }]
            }),
            status: span.error.map(|_| Status { code: ERROR }),
        }
    }
}

/// What is called as OpenTelemetry's conventions for messaging have it, and what is Relink's own.
fn attributes<'a>(span: &'a Span, system: &'static str) -> Vec<Attribute<'a>> {
    let number = |key, value: u64| Attribute { key, value: Value::Number(value.to_string()) };
    let mut all = vec![
        text("messaging.system", system),
        text("messaging.operation.type", span.operation.as_str()),
        text("messaging.operation.name", span.operation.as_str()),
        text("messaging.destination.name", span.destination),
        told("messaging.rabbitmq.destination.routing_key", &span.routing_key),
        number("messaging.message.body.size", span.body_bytes as u64),
    ];
    let of_the_message = [
        ("messaging.message.id", &span.message_id),
        ("messaging.message.conversation_id", &span.correlation),
        ("relink.type", &span.kind),
    ];
    let given = of_the_message.into_iter();
    all.extend(given.filter_map(|(key, value)| Some(told(key, value.as_deref()?))));
    all.extend(span.verdict.map(|verdict| text("relink.verdict", verdict.as_str())));
    all.extend(span.error.map(|error| text("error.type", error)));
    let earlier = span.earlier;
    let counts = [
        ("relink.attempts", u64::from(earlier.attempts)),
        ("relink.requeues", u64::from(earlier.requeues)),
    ];
    all.extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(key, n)| number(key, n)));
    if earlier.redelivered {
        all.push(Attribute { key: "relink.redelivered", value: Value::Flag(true) });
    }
    all
}

#[cfg(test)]
mod tests {
    use relink_bus::trace::Earlier;
    use relink_core::input::Verdict;
    use serde_json::{Value, json};

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn span() -> Span {
        Span {
            operation: Operation::Process,
            destination: "relink.lifecycle",
            context: TraceContext { trace_id: 0xab, span_id: 0xcd, flags: 1 },
            parent: Some(0xef),
            link: None,
            started_unix_ns: 1_790_000_000_000_000_001,
            ended_unix_ns: 1_790_000_000_000_000_002,
            message_id: Some("evt_1".into()),
            kind: None,
            routing_key: "relink.observed.account".into(),
            correlation: None,
            body_bytes: 7,
            earlier: Earlier::default(),
            verdict: Some(Verdict::Applied),
            error: None,
        }
    }

    fn written(role: &str, span: Span) -> Value {
        serde_json::from_slice(&Origin::new(role).body(&[span])).unwrap()
    }

    fn attributes_of(body: &Value) -> Value {
        let all = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].as_array();
        let pairs = all.unwrap().iter();
        pairs.map(|one| (one["key"].as_str().unwrap().to_owned(), one["value"].clone())).collect()
    }

    /// As in the example of the specification: opentelemetry-proto, `examples/trace.json`.
    #[test]
    fn a_span_is_written_as_the_specification_has_it() {
        let body = written("worker", span());
        let resource = &body["resourceSpans"][0]["resource"]["attributes"];
        let service = json!({ "key": "service.name", "value": { "stringValue": "relink-worker" } });
        assert_eq!(resource[0], service);
        let written = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        for (name, value) in [
            ("traceId", json!("000000000000000000000000000000ab")),
            ("spanId", json!("00000000000000cd")),
            ("parentSpanId", json!("00000000000000ef")),
            ("flags", json!(1)),
            ("name", json!("process relink.lifecycle")),
            ("kind", json!(5)),
            ("startTimeUnixNano", json!("1790000000000000001")),
            ("endTimeUnixNano", json!("1790000000000000002")),
            ("links", Value::Null),
            ("status", Value::Null),
        ] {
            assert_eq!(written[name], value, "{name}");
        }
        let attributes = attributes_of(&body);
        for (key, value) in [
            ("messaging.system", json!({ "stringValue": "rabbitmq" })),
            ("messaging.operation.type", json!({ "stringValue": "process" })),
            ("messaging.message.id", json!({ "stringValue": "evt_1" })),
            ("messaging.message.body.size", json!({ "intValue": "7" })),
            ("relink.verdict", json!({ "stringValue": "applied" })),
            ("relink.type", Value::Null),
            ("relink.redelivered", Value::Null),
            ("error.type", Value::Null),
        ] {
            assert_eq!(attributes[key], value, "{key}");
        }
    }

    #[test]
    fn a_replay_that_failed_has_its_link_and_its_error() {
        let link = TraceContext::parse(GIVEN);
        let earlier = Earlier { redelivered: true, attempts: 2, requeues: 1 };
        let body = written(
            "standalone",
            Span { parent: None, link, earlier, error: Some("unparsable"), ..span() },
        );
        let written = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(written["parentSpanId"], Value::Null);
        assert_eq!(
            written["links"],
            json!([{
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
                "flags": 1,
            }])
        );
        assert_eq!(written["status"], json!({ "code": 2 }));
        let attributes = attributes_of(&body);
        for (key, value) in [
            ("messaging.system", json!({ "stringValue": "relink" })),
            ("relink.attempts", json!({ "intValue": "2" })),
            ("relink.requeues", json!({ "intValue": "1" })),
            ("relink.redelivered", json!({ "boolValue": true })),
            ("error.type", json!({ "stringValue": "unparsable" })),
        ] {
            assert_eq!(attributes[key], value, "{key}");
        }
    }

    #[test]
    fn what_a_message_says_of_itself_is_masked() {
        let secret: std::sync::Arc<str> = "sk_live_hunter2".into();
        let span = Span {
            message_id: Some(secret.clone()),
            kind: Some(secret.clone()),
            correlation: Some(secret.clone()),
            routing_key: secret,
            ..span()
        };
        let text = written("worker", span).to_string();
        assert!(text.contains('•') && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn an_answer_says_how_many_spans_were_refused() {
        let check = |answer: &str, refused: u64| {
            assert_eq!(refused_spans(answer.as_bytes()), refused, "{answer}");
        };
        check(r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#, 3);
        check(r#"{"partialSuccess":{"rejectedSpans":3}}"#, 3);
        check(r#"{"partialSuccess":{}}"#, 0);
        check("{}", 0);
        check("", 0);
        check("<html>", 0);
    }
}
