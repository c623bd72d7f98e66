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
