//! The operations of ledger and wallet in the [table](super::operations).

use axum::http::StatusCode;
use axum::routing::on;
use meshline_wallet::verbs::{
    BalanceDocument, HistoryDocument, ListDocument, NewDocument, QuoteDocument, RestoreDocument, SendDocument,
};

use super::operations::{Answer, Operation, Parameter, Shape, Verb};
use super::qr::QrDocument;
use super::{ledger, wallet};
use crate::ledger::{
    AddressDocument, BlockDocument, BlocksDocument, CreateDocument, CreateOrder, FindDocument, LightDocument,
    MempoolDocument, MineDocument, MineOrder, ReindexDocument, SearchDocument, StatusDocument, TransactionDocument,
    VerifyDocument,
};

/// There is no ledger, it has too much to do, or it failed.
const READ: &[StatusCode] = &[
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::INTERNAL_SERVER_ERROR,
];

/// The same, and what a chain that is there already, or a wallet, refuses.
const CHANGE: &[StatusCode] = &[
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::CONFLICT,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::INTERNAL_SERVER_ERROR,
];

const FROM: Parameter = Parameter {
    name: "from",
    place: "query",
    description: "Height of the first block shown; the last one unless told.",
    shape: |schemas| schemas.subschema_for::<u32>(),
};

const LIMIT: Parameter = Parameter {
    name: "limit",
    place: "query",
    description: "Rows at most; 50 unless told.",
    shape: |_| schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": 1_000}),
};

const BRIEF: Parameter = Parameter {
    name: "brief",
    place: "query",
    description: "Whether their transactions are only counted.",
    shape: |schemas| schemas.subschema_for::<bool>(),
};

const fn named(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, place: "path", description, shape: |schemas| schemas.subschema_for::<String>() }
}

const fn read(path: &'static str, id: &'static str, summary: &'static str, answer: Shape) -> Operation {
    Operation {
        method: Verb::Get,
        path,
        id,
        summary,
        parameters: &[],
        body: None,
        answer: Answer::Json(answer, &[]),
        refusals: READ,
        token: true,
        handler: |method| on(method, ledger::status),
    }
}

const fn change(path: &'static str, id: &'static str, summary: &'static str, answer: Shape) -> Operation {
    let operation = read(path, id, summary, answer);
    Operation { method: Verb::Post, refusals: CHANGE, ..operation }
}

/// The table.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        token: false,
        ..read(
            "/api/v1/ledger",
            "ledger",
            "How the ledger of this node stands, and its search for blocks.",
            |schemas| schemas.subschema_for::<StatusDocument>(),
        )
    },
    Operation {
        token: false,
        handler: |method| on(method, ledger::light),
        ..read("/api/v1/ledger/light", "lightLedger", "How far a view is that follows a ledger and keeps none.", {
            |schemas| schemas.subschema_for::<LightDocument>()
        })
    },
    Operation {
        parameters: &[FROM, LIMIT, BRIEF],
        handler: |method| on(method, ledger::blocks),
        ..read("/api/v1/ledger/blocks", "blocks", "Blocks with their transactions, newest first.", |schemas| {
            schemas.subschema_for::<BlocksDocument>()
        })
    },
    Operation {
        parameters: &[named("id", "Its height or its hash.")],
        handler: |method| on(method, ledger::block),
        ..read("/api/v1/ledger/block/{id}", "block", "One block.", |schemas| schemas.subschema_for::<BlockDocument>())
    },
    Operation {
        parameters: &[named("id", "A height, a hash, a name of 64 hexadecimal digits, or an address.")],
        handler: |method| on(method, ledger::find),
        ..read("/api/v1/ledger/find/{id}", "find", "What a text is the name of.", |schemas| {
            schemas.subschema_for::<FindDocument>()
        })
    },
    Operation {
        parameters: &[named("id", "Its name: 64 hexadecimal digits.")],
        handler: |method| on(method, ledger::transaction),
        ..read("/api/v1/ledger/tx/{id}", "transaction", "One transaction, in a block or waiting.", |schemas| {
            schemas.subschema_for::<TransactionDocument>()
        })
    },
    Operation {
        parameters: &[named("id", "The address."), LIMIT],
        handler: |method| on(method, ledger::address),
        ..read("/api/v1/ledger/address/{id}", "address", "What an address holds, and its last transactions.", {
            |schemas| schemas.subschema_for::<AddressDocument>()
        })
    },
    Operation {
        parameters: &[LIMIT],
        handler: |method| on(method, ledger::mempool),
        ..read("/api/v1/ledger/mempool", "mempool", "Payments that wait for a block, best payers first.", |schemas| {
            schemas.subschema_for::<MempoolDocument>()
        })
    },
    Operation {
        handler: |method| on(method, ledger::search),
        refusals: &[],
        ..read(
            "/api/v1/ledger/search",
            "ledgerSearch",
            "How far the search for a block is that somebody waits for.",
            |schemas| schemas.subschema_for::<SearchDocument>(),
        )
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<CreateOrder>()),
        handler: |method| on(method, ledger::create),
        ..change(
            "/api/v1/ledger",
            "createLedger",
            "Make a chain. Its genesis file is for other nodes too.",
            |schemas| schemas.subschema_for::<CreateDocument>(),
        )
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<ledger::Nothing>()),
        handler: |method| on(method, ledger::verify),
        ..change("/api/v1/ledger/verify", "verifyLedger", "Judge the whole chain again; answered when it is done.", {
            |schemas| schemas.subschema_for::<VerifyDocument>()
        })
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<ledger::Nothing>()),
        handler: |method| on(method, ledger::reindex),
        ..change(
            "/api/v1/ledger/reindex",
            "reindexLedger",
            "Build the unspent outputs anew and put right what differs; answered when it is done.",
            |schemas| schemas.subschema_for::<ReindexDocument>(),
        )
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<MineOrder>()),
        handler: |method| on(method, ledger::mine),
        ..change("/api/v1/ledger/mine", "mine", "Switch the search for blocks on or off.", |schemas| {
            schemas.subschema_for::<MineDocument>()
        })
    },
    Operation {
        parameters: &[named("id", "The address.")],
        handler: |method| on(method, wallet::balance_of),
        ..read("/api/v1/wallet/balance/{id}", "walletBalance", "What an address can spend, and what is to come.", {
            |schemas| schemas.subschema_for::<BalanceDocument>()
        })
    },
    Operation {
        parameters: &[named("id", "The address.")],
        handler: |method| on(method, wallet::qr),
        ..read("/api/v1/wallet/qr/{id}", "walletQr", "An address as a QR code, to be drawn.", |schemas| {
            schemas.subschema_for::<QrDocument>()
        })
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<wallet::Opening>()),
        handler: |method| on(method, wallet::new),
        ..change("/api/v1/wallet/new", "walletNew", "A new address; the first time a wallet, its phrase shown once.", {
            |schemas| schemas.subschema_for::<NewDocument>()
        })
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<wallet::Opening>()),
        handler: |method| on(method, wallet::list),
        ..change("/api/v1/wallet/list", "walletList", "The addresses and what they hold.", |schemas| {
            schemas.subschema_for::<ListDocument>()
        })
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<wallet::Asking>()),
        handler: |method| on(method, wallet::quote),
        ..change("/api/v1/wallet/quote", "walletQuote", "What a payment would cost. Nothing is sent.", |schemas| {
            schemas.subschema_for::<QuoteDocument>()
        })
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<wallet::Sending>()),
        handler: |method| on(method, wallet::send),
        ..change("/api/v1/wallet/send", "walletSend", "Pay. Answered once the payment is on the disk.", |schemas| {
            schemas.subschema_for::<SendDocument>()
        })
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<wallet::Looking>()),
        handler: |method| on(method, wallet::history),
        ..change("/api/v1/wallet/history", "walletHistory", "What came in and went out.", |schemas| {
            schemas.subschema_for::<HistoryDocument>()
        })
    },
    Operation {
        body: Some(|schemas| schemas.subschema_for::<wallet::Restoring>()),
        handler: |method| on(method, wallet::restore),
        ..change(
            "/api/v1/wallet/restore",
            "walletRestore",
            "The wallet of a phrase, where there is none yet.",
            |schemas| schemas.subschema_for::<RestoreDocument>(),
        )
    },
];
