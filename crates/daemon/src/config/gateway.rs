//! Judges `forwards`, `expose`, `exit` and `socks5` together; what each value may be by itself, its type has seen to.

use meshline_gateway::limits::MAX_FORWARDS;
use meshline_gateway::{Allow, ForwardConfig};
use meshline_protocol::NodeId;

use super::member::NodeConfig;
use super::review::Review;
use super::via::ViaMember;

/// Services that one member exposes: each is looked through for every stream that another member opens.
const MAX_EXPOSED: usize = 256;

/// Exit rules, and listen rules, of one member; looked through as those are.
const MAX_RULES: usize = 256;

pub(super) fn check(config: &NodeConfig, review: &mut Review) {
    check_forwards(&config.forwards, review);
    most("/expose", config.expose.len(), MAX_EXPOSED, review);
    for (index, via) in config.expose.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.via.clone()?)))
    {
        if let Err(error) = ViaMember::try_from(via) {
            review.fault(&format!("/expose/{index}/via"), error.to_string());
        }
    }
    for (index, seconds) in config.expose.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.check_s?)))
    {
        review.range(&format!("/expose/{index}/check_s"), seconds, 1..=3_600);
    }
    most("/exit/rules", config.exit.rules.len(), MAX_RULES, review);
    most("/exit/listen", config.exit.listen.len(), MAX_RULES, review);
    if let Some(Err(refusal)) = config.socks5.as_ref().map(meshline_gateway::ProxyConfig::check) {
        review.fault("/socks5", refusal.detail);
    }
    if config.network.is_open() {
        check_names(config, review);
    }
}

fn most(pointer: &str, found: usize, most: usize, review: &mut Review) {
    if found > most {
        review.fault(pointer, format!("found {found} entries, expected {most} at most"));
    }
}

fn check_forwards(forwards: &[ForwardConfig], review: &mut Review) {
    most("/forwards", forwards.len(), MAX_FORWARDS, review);
    for (index, forward) in forwards.iter().enumerate() {
        let pointer = format!("/forwards/{index}");
        if let Err(refusal) = forward.check() {
            review.fault(&pointer, refusal.detail);
        } else if forward.target.is_none() && is_no_service(&forward.peer) {
            review.fault(&pointer, "found no \"target\", which only a forward to a service can do without");
        }
        let before = forwards.iter().take(index).position(|other| same_listener(other, forward));
        if let Some(before) = before {
            let listen = &forward.listen;
            review.fault(&format!("{pointer}/listen"), format!("found \"{listen}\", where /forwards/{before} listens"));
        }
    }
}

/// Whether `peer` can be nothing but a member, or any of them.
fn is_no_service(peer: &str) -> bool {
    peer == "auto" || peer.parse::<NodeId>().is_ok()
}

/// Port 0 is another port each time; of reverse forwards the listeners are at their peers.
fn same_listener(one: &ForwardConfig, other: &ForwardConfig) -> bool {
    let place = |forward: &ForwardConfig| forward.reverse.then(|| forward.peer.clone());
    let is_chosen = one.listen.address().is_none_or(|address| address.port() != 0);
    is_chosen && one.listen == other.listen && place(one) == place(other)
}

/// A name that anybody may take is no rule.
fn check_names(config: &NodeConfig, review: &mut Review) {
    let expose = config.expose.iter().map(|entry| &entry.allow).enumerate();
    let rules = config.exit.rules.iter().map(|rule| &rule.allow).enumerate();
    let listen = config.exit.listen.iter().map(|rule| &rule.allow).enumerate();
    let import = config.lan.import.iter().map(|import| &import.allow).enumerate();
    let all = expose.map(|(index, allow)| (format!("/expose/{index}"), allow));
    let all = all.chain(rules.map(|(index, allow)| (format!("/exit/rules/{index}"), allow)));
    let all = all.chain(listen.map(|(index, allow)| (format!("/exit/listen/{index}"), allow)));
    let all = all.chain(import.map(|(index, allow)| (format!("/lan/import/{index}"), allow)));
    for (pointer, allow) in all {
        for (index, entry) in allow.iter().enumerate() {
            if let Allow::Name(name) = entry {
                review.fault(
                    &format!("{pointer}/allow/{index}"),
                    format!("found the name \"{name}\" on an open network, where names are only claimed; expected \"*\", a full id of 52 characters or \"role:…\""),
                );
            }
        }
    }
}
