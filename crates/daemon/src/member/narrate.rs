//! What happens, told in the log: to people in the words of the seed, to programs with stable field names.

use std::net::SocketAddr;

use meshline_mesh::{Direction, Event as MeshEvent, PeerName, RebuildStep, RingSide};
use meshline_protocol::{Address, Code};
use meshline_services::{Event, chat, discovery};
use tracing::{debug, error, info, trace, warn};

use crate::log::{CONSOLE, escape};

/// Tells one event.
pub(super) fn tell(event: &Event, retries: u32) {
    match event {
        Event::Chat(event) => tell_chat(event),
        Event::Mesh(event) => tell_mesh(event, retries),
        Event::Discovery(event) => tell_service(event),
    }
}

fn tell_chat(event: &chat::Event) {
    match event {
        chat::Event::Message { message, own: false } => {
            let (name, text) = (escape(&message.name), indented(&message.text));
            info!(target: CONSOLE, peer = %message.author, cursor = message.cursor, "Incoming message\n   {name}: {text}");
        }
        chat::Event::Message { message, own: true } => {
            debug!(target: "meshline", cursor = message.cursor, "message sent");
        }
        chat::Event::Delivered { message, complete: true } => {
            let count = message.delivery.delivered_to;
            info!(target: CONSOLE, count, cursor = message.cursor, "Message delivered to {count}");
        }
        chat::Event::Delivered { message, complete: false } => {
            trace!(target: "meshline", count = message.delivery.delivered_to, cursor = message.cursor, "message on its way");
        }
    }
}

fn tell_service(event: &discovery::Event) {
    let (entry, what) = match event {
        discovery::Event::Added(entry) => (entry, "offered"),
        discovery::Event::Changed(entry) => (entry, "changed"),
        discovery::Event::Removed { entry, cause } => (entry, cause.name()),
    };
    let (service, kind, health) = (escape(entry.name.as_str()), escape(entry.kind.as_str()), entry.health.name());
    debug!(target: "meshline", peer = %entry.member, name = entry.member_name, reason = what, "service {service} {kind} {what} ({health})");
}

/// A text of several lines stays below its author.
fn indented(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| escape(line).into_owned()).collect();
    lines.join("\n      ")
}

fn tell_mesh(event: &MeshEvent, retries: u32) {
    match event {
        MeshEvent::Listening { address } => info!(target: CONSOLE, address = %address, "Server listening at {address}"),
        MeshEvent::ConnectFailed { address, attempt, code, detail, .. } => {
            tell_failure(address, *attempt, retries, code.name(), detail)
        }
        MeshEvent::LinkUp { .. } => tell_up(event),
        MeshEvent::LinkDown { peer, code, detail, ring, .. } => {
            let (peer_id, name, code) = (peer.id, escape(&peer.name), code.name());
            match ring {
                Some(RingSide::Previous | RingSide::Both) => {
                    debug!(target: CONSOLE, peer = %peer_id, code, detail, "Connection to prev. peer probably lost");
                }
                Some(RingSide::Next) => {
                    debug!(target: CONSOLE, peer = %peer_id, code, detail, "Connection to next peer probably lost")
                }
                None => debug!(target: CONSOLE, peer = %peer_id, code, detail, "Connection to {name} lost ({code})"),
            }
        }
        MeshEvent::Refused { remote, peer, code, detail, by_them } => {
            let peer = peer.map(|peer| peer.to_string());
            if *by_them && is_final(*code) {
                let (code, address) = (code.name(), remote);
                warn!(target: "meshline", address = %address, peer, code, detail, "another member refuses this one");
                return;
            }
            debug!(target: "meshline", address = %remote, peer, code = code.name(), by_them, detail, "connection refused");
        }
        MeshEvent::Misbehaved { peer, code, detail } => {
            warn!(target: "meshline", peer = %peer.id, name = peer.name, code = code.name(), detail, "message refused");
        }
        MeshEvent::MemberJoined { peer } => {
            info!(target: "meshline", peer = %peer.id, name = peer.name, "member known")
        }
        MeshEvent::MemberLeft { peer } => {
            let name = escape(&peer.name);
            info!(target: CONSOLE, peer = %peer.id, "\n   _: User {name} has left");
        }
        MeshEvent::MemberRevoked { id, own: true, .. } => {
            error!(target: "meshline", peer = %id, "the membership of this member was revoked: no other member will link to it");
        }
        MeshEvent::MemberRevoked { id, name, own: false } => {
            let name = name.as_ref().map(ToString::to_string);
            warn!(target: "meshline", peer = %id, name, "membership revoked");
        }
        MeshEvent::RingChanged { next, previous } => {
            debug!(target: "meshline", next = neighbour(next), previous = neighbour(previous), "ring changed");
        }
        MeshEvent::RouteChanged { peer, path, cost_us, cause } => tell_route(peer, path.len(), *cost_us, cause),
        MeshEvent::RingClosed { length } => info!(target: "meshline", count = length, "ring closed"),
        MeshEvent::AddressesChanged { seen, mapping, filtering } => tell_addresses(seen, mapping, filtering),
        MeshEvent::SignalFailed { url, detail } => {
            debug!(target: "meshline", address = url, detail, "signal server did not answer")
        }
        MeshEvent::SignalAnswered { url, members } => {
            debug!(target: "meshline", address = url, count = members, "signal server answered")
        }
        MeshEvent::StandsBy { .. } | MeshEvent::ProxyFailed { .. } => tell_relays(event),
        MeshEvent::PunchStarted { .. } | MeshEvent::PunchSucceeded { .. } | MeshEvent::PunchFailed { .. } => {
            tell_punch(event)
        }
        MeshEvent::StateChanged { before, state } => tell_state(before, state),
        MeshEvent::Rebuild { .. } | MeshEvent::RebuildProposed { .. } => tell_rebuild(event),
        MeshEvent::Relayed { first, second } => {
            info!(target: "meshline", peer = %first, other = %second, "relaying a link")
        }
        // The chat tells its own; other services will.
        MeshEvent::Broadcast { .. } | MeshEvent::Delivered { .. } => {}
    }
}

fn neighbour(peer: &Option<PeerName>) -> String {
    peer.as_ref().map_or_else(|| "nobody".to_owned(), |peer| peer.name.clone())
}

/// Who is alone goes to and fro between the other two states with every try.
fn tell_state(before: &'static str, state: &'static str) {
    if [before, state].contains(&"connected") {
        info!(target: "meshline", state, "this member is {state}");
    } else {
        debug!(target: "meshline", state, "this member is {state}");
    }
}

fn tell_punch(event: &MeshEvent) {
    if let MeshEvent::PunchStarted { peer } = event {
        debug!(target: "meshline", peer = %peer.id, "opening a direct way");
    } else if let MeshEvent::PunchSucceeded { peer, kind, address, took_ms } = event {
        info!(target: "meshline", peer = %peer.id, address = %address, reason = kind, "direct way opened after {took_ms} ms");
    } else if let MeshEvent::PunchFailed { peer, reason } = event {
        debug!(target: "meshline", peer = %peer.id, reason, "no direct way: {reason}");
    }
}

/// Links chosen anew by all are a change that everybody sees.
fn tell_rebuild(event: &MeshEvent) {
    if let MeshEvent::RebuildProposed { by, cause, count } = event {
        info!(target: "meshline", peer = %by, reason = cause, count, "a member finds the mesh badly shaped");
    }
    let MeshEvent::Rebuild { by, at, dry_run, step, .. } = event else { return };
    let (at, what) = (at.get(), if *dry_run { "trial rebuild" } else { "rebuild" });
    match step {
        RebuildStep::Planned => info!(target: "meshline", peer = %by, at, "{what} planned"),
        RebuildStep::Aborted => info!(target: "meshline", peer = %by, at, "{what} ended before its time"),
        RebuildStep::Superseded => info!(target: "meshline", peer = %by, at, "{what} gave way to another one"),
        RebuildStep::Skipped => {
            warn!(target: "meshline", peer = %by, at, "{what} skipped: too late, or too soon after another")
        }
        RebuildStep::Tried { fresh, idle } => {
            info!(target: "meshline", peer = %by, at, count = fresh, "{what}: {fresh} links would come, {idle} would be idle");
        }
        RebuildStep::Started { fresh, idle, late_us } => {
            info!(target: "meshline", peer = %by, at, count = fresh, "{what} begins, {late_us} µs after its instant: {fresh} links to come at once, {idle} idle");
        }
        RebuildStep::Done { linked, let_go } => {
            info!(target: "meshline", peer = %by, at, count = linked, "{what} done: {linked} links came, {let_go} let go");
        }
    }
}

fn tell_addresses(seen: &[SocketAddr], mapping: &str, filtering: &str) {
    let address = seen.first().map(ToString::to_string);
    let count = seen.len();
    debug!(target: "meshline", address, count, "seen from outside (mapping {mapping}, filtering {filtering})");
}

fn tell_route(peer: &PeerName, hops: usize, cost_us: Option<u64>, cause: &str) {
    let name = escape(&peer.name);
    debug!(target: "meshline", peer = %peer.id, hops, cost_us, cause, "route to {name} changed: {cause}");
}

fn tell_relays(event: &MeshEvent) {
    if let MeshEvent::StandsBy { peer, proxy, .. } = event {
        let (name, proxy) = (escape(&peer.name), escape(&proxy.name));
        info!(target: "meshline", peer = %peer.id, "a second relayed link to {name} stands by, through {proxy}");
    } else if let MeshEvent::ProxyFailed { peer, proxy, reason, detail } = event {
        let (name, proxy) = (escape(&peer.name), escape(&proxy.name));
        info!(target: "meshline", peer = %peer.id, reason, detail, "the link to {name} through {proxy} is left for another proxy's");
    }
}

fn tell_failure(address: &Address, attempt: u32, retries: u32, code: &str, detail: &str) {
    let place = shown(address);
    if attempt <= retries {
        debug!(target: CONSOLE, address = %address, code, detail, "Clt could not connect to {place}. retry {attempt} of {retries}");
    } else {
        debug!(target: CONSOLE, address = %address, code, detail, "Clt could not connect to {place}. retry {attempt}, more slowly now");
    }
}

fn tell_up(event: &MeshEvent) {
    let MeshEvent::LinkUp { peer, transport, direction, local, remote, .. } = event else { return };
    let (id, transport) = (peer.id, transport.name());
    match direction {
        Direction::Outbound => {
            info!(target: CONSOLE, peer = %id, name = peer.name, transport, address = %remote, "Clt opening connection ({local} -> {remote})");
        }
        Direction::Inbound => {
            debug!(target: CONSOLE, peer = %id, name = peer.name, transport, address = %remote, "Server handling connection ({local} <- {remote})");
        }
    }
}

/// Refusals that do not pass by themselves: somebody has to look.
fn is_final(code: Code) -> bool {
    matches!(code, Code::Revoked | Code::NotMember | Code::WrongNetwork | Code::WrongVersion | Code::RecordForeign)
}

/// The seed writes this machine as `localhost`.
fn shown(address: &Address) -> String {
    if address.is_loopback() { format!("localhost:{}", address.port()) } else { address.to_string() }
}
