//! The files of `node/web`. A new one gets its line here; a test compares the list with the folder.

macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../../node/web/", $path)))
    };
}

pub(super) const PAGE: &str = include_str!("../../../../../node/web/index.html");

/// Path below `node/web`, and content.
pub(super) const FILES: &[(&str, &str)] = &[
    file!("icon.svg"),
    file!("css/base.css"),
    file!("css/chat.css"),
    file!("css/ledger.css"),
    file!("css/mesh.css"),
    file!("css/shell.css"),
    file!("js/api.js"),
    file!("js/circle.js"),
    file!("js/composer.js"),
    file!("js/condition.js"),
    file!("js/dom.js"),
    file!("js/emitter.js"),
    file!("js/format.js"),
    file!("js/gateway.js"),
    file!("js/header.js"),
    file!("js/health.js"),
    file!("js/history.js"),
    file!("js/keys.js"),
    file!("js/ledger-api.js"),
    file!("js/ledger-blocks.js"),
    file!("js/ledger-chain.js"),
    file!("js/ledger-detail.js"),
    file!("js/ledger-frame.js"),
    file!("js/ledger-money.js"),
    file!("js/ledger-pay.js"),
    file!("js/ledger-receive.js"),
    file!("js/ledger-sent.js"),
    file!("js/ledger-wallet.js"),
    file!("js/ledger-words.js"),
    file!("js/ledger.js"),
    file!("js/live.js"),
    file!("js/log.js"),
    file!("js/main.js"),
    file!("js/members.js"),
    file!("js/message.js"),
    file!("js/messages.js"),
    file!("js/outbox.js"),
    file!("js/paths.js"),
    file!("js/peers-table.js"),
    file!("js/person.js"),
    file!("js/ring.js"),
    file!("js/rows.js"),
    file!("js/search.js"),
    file!("js/services.js"),
    file!("js/storage.js"),
    file!("js/stream.js"),
    file!("js/table.js"),
    file!("js/text.js"),
    file!("js/token.js"),
    file!("js/trace.js"),
    file!("js/trust.js"),
    file!("js/unread.js"),
    file!("js/views.js"),
    file!("js/ways.js"),
];

/// Those of the ledger's view, which are loaded when somebody turns to it.
pub(super) fn is_later(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with("ledger"))
}
