//! Datagrams that end here or cannot go on: echoes are answered, refusals reported to the sender (as ICMP does), both at
//! a bounded rate.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use meshline_protocol::limits::MAX_PATH;
use meshline_protocol::message::{Datagram, Over};
use meshline_protocol::{Bounded, Frame, Message as Wire, NodeId, ServiceName};
use serde::{Deserialize, Serialize};

use super::Table;
use super::greedy::seeking;
use super::table::{Drop, Forward, forward};
use crate::bucket::{Bucket, Rate};
use crate::now::Mono;
use crate::output::{Output, Reply, RequestId};
use crate::shared::Shared;

/// Links a datagram of ours may cross.
pub(crate) const TTL: u8 = 32;

/// Reports sent: enough to show where a way ends, too few to flood anybody with.
const REPORTS: Rate = Rate { per_second: 10, burst: 50 };

/// Echoes answered.
const ECHOES: Rate = Rate { per_second: 200, burst: 400 };

/// Probes waiting for their answers.
const MAX_PROBES: usize = 256;

/// An answer that takes longer will not come.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// The services that every node has.
const ECHO: &str = "echo";
const REPLY: &str = "echo-reply";
pub(crate) const REPORT: &str = "report";

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// `no_route`, `ttl_exceeded`, `not_carried` or `dead_end`.
    pub(crate) code: String,
    /// Whom the datagram was for.
    pub(crate) dst: NodeId,
    /// Its flow.
    pub(crate) flow: u32,
}

/// One question on its way.
#[derive(Debug)]
struct Probe {
    request: RequestId,
    to: NodeId,
    sent_at: Mono,
}

/// The state of what this node itself sends and answers.
#[derive(Debug)]
pub(crate) struct Datagrams {
    reports: Bucket,
    echoes: Bucket,
    probes: BTreeMap<u32, Probe>,
    /// Datagrams dropped here, by reason.
    pub(crate) dropped: BTreeMap<&'static str, u64>,
    pub(crate) forwarded: u64,
}

fn service(name: &str) -> Option<ServiceName> {
    name.parse().ok()
}

impl Datagrams {
    pub(crate) fn new(now: Mono) -> Self {
        Self {
            reports: Bucket::new(REPORTS, now),
            echoes: Bucket::new(ECHOES, now),
            probes: BTreeMap::new(),
            dropped: BTreeMap::new(),
            forwarded: 0,
        }
    }

    /// A datagram that a linked member sent.
    pub(crate) fn handle(
        &mut self,
        from: NodeId,
        datagram: Datagram,
        body: Bytes,
        around: (&std::sync::Arc<Table>, &mut Shared),
    ) {
        let (table, shared) = around;
        match forward(table, &datagram, Some(&from), |id| shared.up.contains_key(id)) {
            Forward::Deliver => self.deliver(datagram, body, table, shared),
            Forward::To(next, line) => {
                self.forwarded += 1;
                shared.send_frame(&next, &Frame { message: Wire::Datagram(line), body: Some(body) }.into());
            }
            Forward::Drop(reason) => self.refuse(&datagram, reason, table, shared),
        }
    }

    /// Sends a datagram from here. Says why not, if not.
    pub(crate) fn send(
        &mut self,
        datagram: Datagram,
        body: Bytes,
        table: &std::sync::Arc<Table>,
        shared: &mut Shared,
    ) -> Result<(), Drop> {
        match forward(table, &datagram, None, |id| shared.up.contains_key(id)) {
            Forward::Deliver => {
                shared.push(Output::Datagram { datagram: Box::new(datagram), body });
                Ok(())
            }
            Forward::To(next, line) => {
                shared.send_frame(&next, &Frame { message: Wire::Datagram(line), body: Some(body) }.into());
                Ok(())
            }
            Forward::Drop(Drop::NoRoute) if table.is_part() && datagram.path.is_empty() => {
                self.send_seeking(datagram, body, &[], (table, shared)).map(|_| ())
            }
            Forward::Drop(reason) => Err(reason),
        }
    }

    /// Sends a datagram that looks for its way, not over those to be avoided. Says towards whom it goes, if not to the
    /// destination itself.
    pub(crate) fn send_seeking(
        &mut self,
        datagram: Datagram,
        body: Bytes,
        avoid: &[NodeId],
        (table, shared): (&std::sync::Arc<Table>, &mut Shared),
    ) -> Result<Option<NodeId>, Drop> {
        let datagram = seeking(datagram, avoid.iter().copied());
        match forward(table, &datagram, None, |id| shared.up.contains_key(id)) {
            Forward::Deliver => Err(Drop::NoRoute),
            Forward::Drop(reason) => Err(reason),
            Forward::To(next, line) => {
                let toward = line.seek.as_ref().and_then(|seek| seek.toward);
                let last = || line.path.last().copied().or_else(|| (next != line.dst).then_some(next));
                let toward = toward.or_else(last);
                shared.send_frame(&next, &Frame { message: Wire::Datagram(line), body: Some(body) }.into());
                Ok(toward)
            }
        }
    }

    /// Sends a datagram over members that one from its destination passed; if the first of them is gone, it finds its own way.
    pub(crate) fn send_back(
        &mut self,
        datagram: Datagram,
        body: Bytes,
        over: Vec<NodeId>,
        (table, shared): (&std::sync::Arc<Table>, &mut Shared),
    ) -> Result<(), Drop> {
        let is_linked = over.first().is_some_and(|first| shared.up.contains_key(first));
        let path = Bounded::from_first(over.into_iter().filter(|_| is_linked));
        self.send(Datagram { path, ..datagram }, body, table, shared)
    }

    fn deliver(&mut self, datagram: Datagram, body: Bytes, table: &std::sync::Arc<Table>, shared: &mut Shared) {
        let now = shared.now.mono;
        match datagram.service.as_str() {
            ECHO if self.echoes.take(now) => {
                let Some(service) = service(REPLY) else { return };
                let answer = line(shared.id, datagram.src, datagram.flow, service);
                // No way back any more, or no allowance: whoever asked will see.
                let _ = self.send(answer, body, table, shared);
            }
            ECHO => *self.dropped.entry("rate_limited").or_default() += 1,
            REPLY => {
                let is_of = |probe: &Probe| probe.to == datagram.src;
                if self.probes.get(&datagram.flow).is_some_and(is_of)
                    && let Some(probe) = self.probes.remove(&datagram.flow)
                {
                    let micros = now.micros_since(probe.sent_at);
                    shared.push(Output::Reply { request: probe.request, reply: Reply::Pong { micros } });
                }
            }
            REPORT => self.take_report(&datagram, &body, shared),
            _ => {
                shared.push(Output::Datagram { datagram: Box::new(datagram), body });
            }
        }
    }

    /// Somebody on the way could not pass on a datagram of ours.
    fn take_report(&mut self, datagram: &Datagram, body: &Bytes, shared: &mut Shared) {
        let Ok(report) = serde_json::from_slice::<Report>(body) else { return };
        let is_of = self.probes.get(&report.flow).is_some_and(|probe| probe.to == report.dst);
        if let Some(probe) = self.probes.remove(&report.flow).filter(|_| is_of) {
            let at = datagram.src.to_string();
            let detail = format!("{} at {at}", report.code);
            let reply = Reply::Refused { code: meshline_protocol::Code::NoRoute, detail };
            shared.push(Output::Reply { request: probe.request, reply });
        } else {
            shared.push(Output::Datagram { datagram: Box::new(datagram.clone()), body: body.clone() });
        }
    }

    /// Tells the sender that its datagram goes no further, unless it was itself such a report.
    pub(crate) fn refuse(
        &mut self,
        datagram: &Datagram,
        reason: Drop,
        table: &std::sync::Arc<Table>,
        shared: &mut Shared,
    ) {
        *self.dropped.entry(reason.name()).or_default() += 1;
        if datagram.service.as_str() == REPORT || !self.reports.take(shared.now.mono) {
            return;
        }
        let report = Report { code: reason.name().to_owned(), dst: datagram.dst, flow: datagram.flow };
        let (Ok(body), Some(service)) = (serde_json::to_vec(&report), service(REPORT)) else { return };
        let line = line(shared.id, datagram.src, datagram.flow, service);
        let _ = self.send(line, body.into(), table, shared);
    }

    /// Asks a member for an echo, along a given path or the best one. The reply to the request comes with the answer.
    pub(crate) fn probe(
        &mut self,
        request: RequestId,
        to: NodeId,
        path: Vec<NodeId>,
        around: (&std::sync::Arc<Table>, &mut Shared),
    ) {
        let (table, shared) = around;
        let refuse = |shared: &mut Shared, code, detail: &str| {
            let reply = Reply::Refused { code, detail: detail.to_owned() };
            shared.push(Output::Reply { request, reply });
        };
        if self.probes.len() >= MAX_PROBES {
            return refuse(shared, meshline_protocol::Code::RateLimited, "too many echoes under way");
        }
        let Some(service) = service(ECHO) else { return };
        let flow = shared.random_u32();
        let path = Bounded::from_first(path.into_iter().take(MAX_PATH));
        let datagram = Datagram { path, ..line(shared.id, to, flow, service) };
        self.probes.insert(flow, Probe { request, to, sent_at: shared.now.mono });
        if let Err(reason) = self.send(datagram, Bytes::new(), table, shared) {
            self.probes.remove(&flow);
            refuse(shared, meshline_protocol::Code::NoRoute, reason.name());
        }
    }

    /// Gives up what is not answered.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        let late: Vec<u32> = self
            .probes
            .iter()
            .filter(|(_, probe)| now.since(probe.sent_at) >= PROBE_LIMIT)
            .map(|(flow, _)| *flow)
            .collect();
        for probe in late.iter().filter_map(|flow| self.probes.remove(flow)) {
            let detail = "no answer".to_owned();
            let reply = Reply::Refused { code: meshline_protocol::Code::LinkTimeout, detail };
            shared.push(Output::Reply { request: probe.request, reply });
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.probes.values().map(|probe| probe.sent_at.after(PROBE_LIMIT)).min()
    }
}

/// A datagram from `src`, before it has a path.
#[must_use]
pub fn line(src: NodeId, dst: NodeId, flow: u32, service: ServiceName) -> Datagram {
    Datagram { src, dst, flow, service, ttl: TTL, path: Bounded::default(), detours: 0, over: Over::Tcp, seek: None }
}
