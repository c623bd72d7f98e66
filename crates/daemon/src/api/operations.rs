//! Every operation of the local API, once: the router and the document at `/openapi.json` are both made from this
//! table, so neither can have what the other lacks.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{Schema, SchemaGenerator};

use super::documents::{Applied, Ready, StatusDocument};
use super::{
    Api, auth, chat, connect, documents, events, forwards, log, metrics, openapi, reads, services, status, tap, trace,
    tunnels,
};

/// What can be asked in one way at one path.
pub(super) struct Operation {
    pub(super) method: Verb,
    /// In braces what stands for a segment.
    pub(super) path: &'static str,
    /// A name for programs that are made from the document.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// What has to be sent, as JSON.
    pub(super) body: Option<Shape>,
    pub(super) answer: Answer,
    /// Refusals of its own; those of all operations are added.
    pub(super) refusals: &'static [StatusCode],
    /// Whether it needs the token, which it does if it shows what members wrote or changes anything.
    pub(super) token: bool,
    pub(super) handler: fn(MethodFilter) -> MethodRouter<Api>,
}

/// The form of a document.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// How something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// `GET`, and `HEAD` with it.
    Get,
    Post,
    Delete,
}

impl Verb {
    /// As it is written in the document.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// Something a request says outside its body.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    pub(super) description: &'static str,
    pub(super) shape: Shape,
}

/// What is answered if nothing is wrong.
pub(super) enum Answer {
    /// A document; with those further status codes the same document.
    Json(Shape, &'static [StatusCode]),
    /// Plain text of this type.
    Text(&'static str),
    /// No HTTP any more: a connection that carries bytes, of this protocol.
    Bytes(&'static str),
    /// Server-sent events, with the form of the data of each.
    Events(fn(&mut SchemaGenerator) -> Vec<(&'static str, Schema)>),
}

const LOG_LIMIT: Parameter = Parameter {
    name: "limit",
    place: "query",
    description: "Lines at most, 1 to 2,000; 200 unless told.",
    shape: |_| schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": 2_000}),
};

const EVENT_LIMIT: Parameter = Parameter {
    name: "limit",
    place: "query",
    description: "Events at most, 1 to 1,024; 200 unless told.",
    shape: |_| schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": 1_024}),
};

const CHAT_LIMIT: Parameter = Parameter {
    name: "limit",
    place: "query",
    description: "Messages at most, 1 to 10,000; 1,000 unless told.",
    shape: |_| schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": 10_000}),
};

const LEVEL: Parameter = Parameter {
    name: "level",
    place: "query",
    description: "The least severe level wanted; info unless told.",
    shape: |_| schemars::json_schema!({"type": "string", "enum": ["error", "warn", "info", "debug", "trace"]}),
};

const PEER: Parameter = Parameter {
    name: "peer",
    place: "path",
    description: "Name, id, or the first 8 or more characters of the id.",
    shape: |schemas| schemas.subschema_for::<String>(),
};

const FORWARD: Parameter = Parameter {
    name: "id",
    place: "path",
    description: "Its number in the list.",
    shape: |schemas| schemas.subschema_for::<u32>(),
};

const LAST_EVENT_ID: [Parameter; 2] = [
    Parameter {
        name: "Last-Event-ID",
        place: "header",
        description: "The id of the last event seen: what came after it is sent first, or `reset` if that is not known any more.",
        shape: |schemas| schemas.subschema_for::<String>(),
    },
    Parameter {
        name: "last_event_id",
        place: "query",
        description: "The same, for clients that cannot set the header, which wins over it.",
        shape: |schemas| schemas.subschema_for::<String>(),
    },
];

const fn cursor(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, place: "query", description, shape: |schemas| schemas.subschema_for::<String>() }
}

/// The table; ledger and wallet have theirs.
const OPERATIONS: &[Operation] = &[
    Operation {
        method: Verb::Get,
        path: "/api/v1/status",
        id: "status",
        summary: "The state of this member: links, ring, clock, chat, limits.",
        parameters: &[],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<StatusDocument>(), &[]),
        refusals: &[],
        token: false,
        handler: |method| on(method, status::status),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/peers",
        id: "peers",
        summary: "Every other member known, reachable or not.",
        parameters: &[],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<documents::Peers>(), &[]),
        refusals: &[],
        token: false,
        handler: |method| on(method, reads::peers),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/routes",
        id: "routes",
        summary: "Every way to every member, with what each link of it costs.",
        parameters: &[],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<documents::Routes>(), &[]),
        refusals: &[],
        token: false,
        handler: |method| on(method, reads::routes),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/trace/{peer}",
        id: "trace",
        summary: "Asks each member on the way to another for an echo; answered when all have answered or are given up.",
        parameters: &[PEER],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<trace::Trace>(), &[]),
        refusals: &[
            StatusCode::BAD_REQUEST,
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
            StatusCode::TOO_MANY_REQUESTS,
        ],
        token: false,
        handler: |method| on(method, trace::trace),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/tap",
        id: "tap",
        summary: "Frames on the links of this member as they come and go; relay tickets shortened, bodies as lengths.",
        parameters: &tap::PARAMETERS,
        body: None,
        answer: Answer::Events(tap::shapes),
        refusals: &[StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT],
        token: true,
        handler: |method| on(method, tap::stream),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/explain/{peer}",
        id: "explain",
        summary: "How a member is reached, why so, what was tried, and what would help.",
        parameters: &[PEER],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<meshline_mesh::Explanation>(), &[]),
        refusals: &[StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT],
        token: false,
        handler: |method| on(method, reads::explain),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/chat",
        id: "history",
        summary: "What members wrote: the newest, or those after or before a message.",
        parameters: &[
            cursor("after", "Only what arrived here after this cursor, the first of it."),
            cursor(
                "before",
                "Only what stands before the message with this cursor in the common order, the last of it.",
            ),
            CHAT_LIMIT,
        ],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<documents::Messages>(), &[]),
        refusals: &[StatusCode::BAD_REQUEST],
        token: true,
        handler: |method| on(method, chat::history),
    },
    Operation {
        method: Verb::Post,
        path: "/api/v1/chat",
        id: "send",
        summary: "Write to all members. Answered once the message is kept on disk.",
        parameters: &[],
        body: Some(|schemas| schemas.subschema_for::<chat::Text>()),
        answer: Answer::Json(|schemas| schemas.subschema_for::<documents::Sent>(), &[]),
        refusals: &[
            StatusCode::BAD_REQUEST,
            StatusCode::FORBIDDEN,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::INSUFFICIENT_STORAGE,
        ],
        token: true,
        handler: |method| on(method, chat::send),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/forwards",
        id: "forwards",
        summary: "Forwards and the local proxy, what went through each, and what is exposed to others.",
        parameters: &[],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<forwards::Forwards>(), &[]),
        refusals: &[],
        token: true,
        handler: |method| on(method, forwards::list),
    },
    Operation {
        method: Verb::Post,
        path: "/api/v1/forwards",
        id: "addForward",
        summary: "Add a forward. Answered once it listens and is kept on disk.",
        parameters: &[],
        body: Some(|schemas| schemas.subschema_for::<meshline_gateway::ForwardConfig>()),
        answer: Answer::Json(|schemas| schemas.subschema_for::<forwards::Added>(), &[]),
        refusals: &[
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::INSUFFICIENT_STORAGE,
        ],
        token: true,
        handler: |method| on(method, forwards::add),
    },
    Operation {
        method: Verb::Delete,
        path: "/api/v1/forwards/{id}",
        id: "removeForward",
        summary: "Remove a forward that was added; one from the configuration is removed there.",
        parameters: &[FORWARD],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<forwards::Removed>(), &[]),
        refusals: &[StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::INSUFFICIENT_STORAGE],
        token: true,
        handler: |method| on(method, forwards::remove),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/services",
        id: "services",
        summary: "What members offer, with health and cost.",
        parameters: &services::PARAMETERS,
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<services::Services>(), &[]),
        refusals: &[StatusCode::BAD_REQUEST],
        token: true,
        handler: |method| on(method, services::list),
    },
    Operation {
        method: Verb::Post,
        path: "/api/v1/services",
        id: "advertise",
        summary: "Offer a service of this host to others for as long as the answer is read.",
        parameters: &[],
        body: Some(|schemas| schemas.subschema_for::<services::Advert>()),
        answer: Answer::Events(services::shapes),
        refusals: &[StatusCode::TOO_MANY_REQUESTS],
        token: true,
        handler: |method| on(method, services::advertise),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/tunnels",
        id: "tunnels",
        summary: "Tunnels with other members and the paths of each.",
        parameters: &[],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<tunnels::TunnelList>(), &[]),
        refusals: &[],
        token: false,
        handler: |method| on(method, tunnels::list),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/connect",
        id: "connect",
        summary: "Bytes to and from something at another member, on this connection.",
        parameters: &connect::PARAMETERS,
        body: None,
        answer: Answer::Bytes(connect::PROTOCOL),
        refusals: &[
            StatusCode::BAD_REQUEST,
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
            StatusCode::UPGRADE_REQUIRED,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
        ],
        token: true,
        handler: |method| on(method, connect::connect),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/events",
        id: "events",
        summary: "What happens, as it happens: the chat, links, members, the ring, the ledger.",
        parameters: &LAST_EVENT_ID,
        body: None,
        answer: Answer::Events(events::shapes),
        refusals: &[],
        token: true,
        handler: |method| on(method, events::stream),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/events/past",
        id: "pastEvents",
        summary: "What happened last, as far as it is kept, and the id with which the stream goes on behind it.",
        parameters: &[EVENT_LIMIT],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<events::Past>(), &[]),
        refusals: &[StatusCode::BAD_REQUEST],
        token: true,
        handler: |method| on(method, events::past),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/log",
        id: "log",
        summary: "The last lines of the log, from `debug` up even if fewer are written.",
        parameters: &[LEVEL, LOG_LIMIT],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<log::Lines>(), &[]),
        refusals: &[StatusCode::BAD_REQUEST],
        token: true,
        handler: |method| on(method, log::lines),
    },
    Operation {
        method: Verb::Get,
        path: "/api/v1/log/events",
        id: "logEvents",
        summary: "Lines of the log as they are written; the id of an event is that of its line.",
        parameters: &{
            let [header, query] = LAST_EVENT_ID;
            [LEVEL, header, query]
        },
        body: None,
        answer: Answer::Events(log::shapes),
        refusals: &[StatusCode::BAD_REQUEST],
        token: true,
        handler: |method| on(method, log::stream),
    },
    Operation {
        method: Verb::Post,
        path: "/api/v1/records",
        id: "apply",
        summary: "Take in a membership of this member, or a revocation or a rebuild and spread it.",
        parameters: &[],
        body: Some(|schemas| schemas.subschema_for::<meshline_protocol::SignedRecord>()),
        answer: Answer::Json(|schemas| schemas.subschema_for::<Applied>(), &[]),
        refusals: &[StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS],
        token: true,
        handler: |method| on(method, reads::apply),
    },
    Operation {
        method: Verb::Get,
        path: "/healthz",
        id: "health",
        summary: "Whether the process answers.",
        parameters: &[],
        body: None,
        answer: Answer::Text("text/plain"),
        refusals: &[],
        token: false,
        handler: |method| on(method, reads::healthz),
    },
    Operation {
        method: Verb::Get,
        path: "/readyz",
        id: "readiness",
        summary: "Whether it listens and has a link, or has been alone for two seconds.",
        parameters: &[],
        body: None,
        answer: Answer::Json(|schemas| schemas.subschema_for::<Ready>(), &[StatusCode::SERVICE_UNAVAILABLE]),
        refusals: &[],
        token: false,
        handler: |method| on(method, reads::readyz),
    },
    Operation {
        method: Verb::Get,
        path: "/metrics",
        id: "metrics",
        summary: "Counters in the text form of Prometheus.",
        parameters: &[],
        body: None,
        answer: Answer::Text("text/plain"),
        refusals: &[],
        token: false,
        handler: |method| on(method, metrics::metrics),
    },
    Operation {
        method: Verb::Get,
        path: "/openapi.json",
        id: "openapi",
        summary: "This document.",
        parameters: &[],
        body: None,
        answer: Answer::Json(|_| schemars::json_schema!({"type": "object"}), &[]),
        refusals: &[],
        token: false,
        handler: |method| on(method, openapi::openapi),
    },
];

#[cfg(feature = "ledger")]
const OF_LEDGER: &[Operation] = super::ledger_operations::OPERATIONS;
#[cfg(not(feature = "ledger"))]
const OF_LEDGER: &[Operation] = &[];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(OF_LEDGER)
}

/// The routes of all operations, those that need the token behind it.
pub(super) fn routes(api: &Api) -> Router<Api> {
    all().fold(Router::new(), |router, operation| {
        let route = (operation.handler)(operation.method.filter());
        let guarded = operation.token && !api.is_trusted();
        let route =
            if guarded { route.route_layer(from_fn_with_state(api.clone(), auth::require_token)) } else { route };
        router.route(operation.path, route)
    })
}
