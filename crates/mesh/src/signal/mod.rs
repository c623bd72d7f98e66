//! Signal servers: announce, be told who else is there, prolong, leave.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::signal::{NodeList, RefreshRequest};
use meshline_protocol::{Address, Code};

use crate::event::Event;
use crate::now::Mono;
use crate::output::{Output, SignalRequest};
use crate::shared::Shared;

/// Between requests to a server that says nothing of its own.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(40);

/// After the first answer while no member is linked, doubled up to the interval: whoever announces itself first is
/// told of nobody, and may be one that nobody can dial.
const ALONE_INTERVAL: Duration = Duration::from_secs(2);

/// Between attempts at a server that does not answer, doubled up to the second.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// A request without an answer is made again after this.
const PATIENCE: Duration = Duration::from_secs(15);

/// One configured server or list.
#[derive(Debug)]
struct Server {
    next_at: Mono,
    failures: u32,
    /// Answers while no member was linked.
    answers_alone: u32,
    secret: Option<String>,
    answered: bool,
}

impl Server {
    /// The pause before the next request, shorter while no member is linked.
    fn shortened(&mut self, interval: Duration, shared: &Shared) -> Duration {
        if !shared.up.is_empty() {
            self.answers_alone = 0;
            return interval;
        }
        self.answers_alone = self.answers_alone.saturating_add(1);
        interval.min(ALONE_INTERVAL.saturating_mul(1 << (self.answers_alone - 1).min(5)))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    servers: BTreeMap<String, Server>,
    pub(crate) observed: Vec<Address>,
}

/// Addresses a node remembers having been seen at.
const MAX_OBSERVED: usize = 4;

impl Signal {
    pub(crate) fn new(urls: &[String], now: Mono) -> Self {
        let mut signal = Self::default();
        signal.reconfigure(urls, now);
        signal
    }

    /// Asks these from now on; those asked already go on as they are.
    pub(crate) fn reconfigure(&mut self, urls: &[String], now: Mono) {
        self.servers.retain(|url, _| urls.contains(url));
        for url in urls {
            let fresh = Server { next_at: now, failures: 0, answers_alone: 0, secret: None, answered: false };
            self.servers.entry(url.clone()).or_insert(fresh);
        }
    }

    /// Makes the requests that are due.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        if shared.leaving {
            return;
        }
        let now = shared.now.mono;
        for (url, server) in self.servers.iter_mut().filter(|(_, server)| server.next_at <= now) {
            server.next_at = now.after(PATIENCE);
            let record = shared.announcement.clone();
            let request = match &server.secret {
                None => SignalRequest::Announce(record),
                Some(secret) => {
                    let network = shared.config.network.clone();
                    let refresh = RefreshRequest { network, id: shared.id, secret: secret.clone() };
                    SignalRequest::Refresh { refresh, record }
                }
            };
            shared.push(Output::Signal { url: url.clone(), request });
        }
    }

    /// A server answered or did not.
    pub(crate) fn handle_answer(&mut self, url: &str, result: &Result<Box<NodeList>, String>, shared: &mut Shared) {
        let Some(server) = self.servers.get_mut(url) else { return };
        match result {
            Ok(list) => {
                server.failures = 0;
                server.answered = true;
                server.secret = list.refresh.clone();
                let third = list.expires_s.map(|seconds| Duration::from_secs(u64::from(seconds) / 3));
                let interval = server.shortened(third.unwrap_or(DEFAULT_INTERVAL).max(FIRST_RETRY), shared);
                server.next_at = shared.jittered(interval);
                if let Some(observed) = list.observed.clone().filter(|observed| !self.observed.contains(observed)) {
                    self.observed.insert(0, observed);
                    self.observed.truncate(MAX_OBSERVED);
                }
                let members = list.nodes.len();
                shared.event(Event::SignalAnswered { url: url.to_owned(), members });
            }
            Err(detail) => {
                server.failures = server.failures.saturating_add(1);
                server.secret = None;
                if detail.contains(Code::RecordOutdated.name()) {
                    // The server knows the record from somewhere else: a fresh one shows that it is ours.
                    shared.announce();
                }
                let pause = FIRST_RETRY.saturating_mul(1 << server.failures.min(6)).min(LONGEST_RETRY);
                server.next_at = shared.jittered(pause);
                shared.event(Event::SignalFailed { url: url.to_owned(), detail: detail.clone() });
            }
        }
    }

    /// Announces anew at once: what was announced has changed.
    pub(crate) fn hurry(&mut self, now: Mono) {
        for server in self.servers.values_mut() {
            server.secret = None;
            server.next_at = now;
        }
    }

    /// Has the servers serve a revocation: members that are away now will hear of it there.
    pub(crate) fn revoke(&self, revocation: &meshline_protocol::SignedRecord, shared: &mut Shared) {
        for url in self.servers.keys() {
            shared.push(Output::Signal { url: url.clone(), request: SignalRequest::Revoke(revocation.clone()) });
        }
    }

    /// Takes this node off the lists.
    pub(crate) fn leave(&self, departure: &meshline_protocol::SignedRecord, shared: &mut Shared) {
        for (url, _) in self.servers.iter().filter(|(_, server)| server.answered) {
            shared.push(Output::Signal { url: url.clone(), request: SignalRequest::Leave(departure.clone()) });
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.servers.values().map(|server| server.next_at).min()
    }
}
