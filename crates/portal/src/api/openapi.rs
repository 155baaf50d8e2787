//! The API as OpenAPI 3.1, from the very types that are read and written.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::body::{
    AccountBody, AuthorizationBody, CompleteBody, EndedBody, HistoryBody, NewSessionBody, PageBody,
    SessionBody,
};
use super::handler::{LIMIT_DEFAULT, LIMIT_MAX};
use super::parked_body::{
    ParkedChangedBody, ParkedDropBody, ParkedFoundBody, ParkedListBody, ParkedRequeueBody,
};
use super::problem::{PROBLEM_JSON, ProblemBody};

/// One call.
struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    takes: Option<Schema>,
    status: &'static str,
    answers: Schema,
}

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<ProblemBody>();
    let mut paths = Map::new();
    let all = [reads(&mut schemas), writes(&mut schemas), parked(&mut schemas)];
    for operation in all.into_iter().flatten() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(&operation, &problem);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Relink",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Bank connections made with Stripe Financial Connections: how they \
                            are, why, and sessions to repair them. All times are Unix seconds.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{ "token": [] }],
    })
}

const LIMIT: (&str, &str) = ("limit", "How many, 1 to 100");

fn reads(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let read = |path, id, summary, query, answers| Operation {
        method: "get",
        path,
        id,
        summary,
        query,
        takes: None,
        status: "200",
        answers,
    };
    vec![
        read(
            "/v1/authorizations",
            "list_authorizations",
            "Authorizations, a page at a time",
            &[
                ("holder", "Of this customer: cus_… or acct_…"),
                ("health", "Of this health"),
                ("cursor", "`next_cursor` of the page before"),
                LIMIT,
            ],
            schema::<PageBody>(schemas),
        ),
        read(
            "/v1/authorizations/{id}",
            "get_authorization",
            "An authorization with its accounts and its open case",
            &[],
            schema::<AuthorizationBody>(schemas),
        ),
        read(
            "/v1/authorizations/{id}/history",
            "get_history",
            "What has happened to an authorization, the latest first",
            &[LIMIT],
            schema::<HistoryBody>(schemas),
        ),
        read("/v1/accounts/{id}", "get_account", "An account", &[], schema::<AccountBody>(schemas)),
        read(
            "/v1/accounts/{id}/history",
            "get_account_history",
            "What has happened to an account, the latest first",
            &[LIMIT],
            schema::<HistoryBody>(schemas),
        ),
    ]
}

fn writes(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        Operation {
            method: "post",
            path: "/v1/authorizations/{id}/relink-sessions",
            id: "start_relink",
            summary: "Make a session in which the customer can relink",
            query: &[],
            takes: Some(schema::<NewSessionBody>(schemas)),
            status: "201",
            answers: schema::<SessionBody>(schemas),
        },
        Operation {
            method: "post",
            path: "/v1/relink-sessions/{id}/complete",
            id: "complete_relink",
            summary: "Find out from Stripe how a session ended",
            query: &[],
            takes: Some(schema::<CompleteBody>(schemas)),
            status: "200",
            answers: schema::<EndedBody>(schemas),
        },
    ]
}

fn parked(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let change = |path, id, summary, takes, answers| Operation {
        method: "post",
        path,
        id,
        summary,
        query: &[],
        takes: Some(takes),
        status: "200",
        answers,
    };
    let read = |path, id, summary, query, answers| Operation {
        method: "get",
        path,
        id,
        summary,
        query,
        takes: None,
        status: "200",
        answers,
    };
    vec![
        read(
            "/v1/parked",
            "list_parked",
            "Messages that were set aside for a person, and how many by queue and reason",
            &[
                ("queue", "Of this queue: lifecycle, upcoming or followup"),
                ("parked_for", "Parked for this reason"),
                ("type", "Of this type; with * at its end of every type that begins so"),
                ("since", "Parked since, Unix seconds"),
                ("until", "Parked until, Unix seconds"),
                LIMIT,
            ],
            schema::<ParkedListBody>(schemas),
        ),
        read(
            "/v1/parked/{id}",
            "get_parked",
            "A parked message, its body with secrets masked",
            &[],
            schema::<ParkedFoundBody>(schemas),
        ),
        change(
            "/v1/parked/requeue",
            "requeue_parked",
            "Put parked messages back into their queues",
            schema::<ParkedRequeueBody>(schemas),
            schema::<ParkedChangedBody>(schemas),
        ),
        change(
            "/v1/parked/drop",
            "drop_parked",
            "Forget parked messages; the ledger says that, and why",
            schema::<ParkedDropBody>(schemas),
            schema::<ParkedChangedBody>(schemas),
        ),
    ]
}

fn schema<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

fn described(operation: &Operation, problem: &Schema) -> Value {
    let mut parameters = Vec::new();
    if operation.path.contains("{id}") {
        let schema = json!({ "type": "string" });
        parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": schema }));
    }
    parameters.extend(operation.query.iter().map(|(name, description)| {
        let schema = if *name == LIMIT.0 {
            json!({
                "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT,
            })
        } else {
            json!({ "type": "string" })
        };
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    }));
    if operation.id == "start_relink" {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Names the attempt: sent again, it is the same session",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        }));
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            operation.status: {
                "description": "As asked",
                "content": { "application/json": { "schema": operation.answers } },
            },
            "default": {
                "description": "A problem (RFC 9457)",
                "content": { PROBLEM_JSON: { "schema": problem } },
            },
        },
    });
    if let (Some(takes), Some(fields)) = (&operation.takes, described.as_object_mut()) {
        let body = json!({
            "required": true,
            "content": { "application/json": { "schema": takes } },
        });
        fields.insert("requestBody".to_owned(), body);
    }
    described
}
