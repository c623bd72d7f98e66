//! All decisions of the mesh, as plain state: inputs and the time go in, outputs come out.
//!
//! [`Node`] is the dispatcher and holds no rules; each area has a folder of its own: `link` (who may be
//! linked, for how long), `time` (clocks), `peers` (whom to dial, when), `gossip` (who is a member), `ring`
//! (who follows whom), `find` (members that are not known here), `broadcast` (messages to all), `routing` (which way to whom), `explain` (why), `relay` (proxies),
//! `signal` (signal servers), `lan` (who announces itself on the local segment). There is no
//! socket, clock, thread, disk or random source in here: the same code runs in the daemon, in a
//! simulation of thousands and under a fuzzer.

mod broadcast;
mod bucket;
mod companion;
mod config;
mod event;
mod explain;
mod find;
mod gossip;
mod input;
mod lan;
mod link;
mod named;
mod nat;
mod node;
mod now;
mod output;
mod peers;
mod punch;
mod rebuild;
mod relay;
mod report;
mod ring;
mod routing;
mod shared;
mod signal;
mod time;

pub use broadcast::tree::{MessageId, Step, Tree};
pub use bucket::{Bucket, Rate};
pub use config::{Config, RoutingPolicy, Saved, SavedPeer, SavedRebuild, Topology};
pub use event::{Delivery, DeliveryState, Direction, Event, PeerName, RebuildStep, RingSide, SignedText};
pub use find::Sought;
pub use input::{
    Command, DialId, Input, LinkId, LinkMeasured, LinkOpened, PortMapping, Reconfiguration, RelayConnection, SocketId,
    Transport,
};
pub use lan::{LanBeacon, LanReport, LanSegment, LanSighting};
pub use link::HANDSHAKE_LIMIT;
pub use node::Node;
pub use now::{Mono, Now};
pub use output::{Beside, DialTarget, Output, Reply, RequestId, SignalRequest, take_first};
pub use rebuild::RebuildReport;
pub use report::{
    AttemptRow, Bearer, Explanation, LimitsReport, LinkEnds, LinkRow, LinkSetReport, LinkView, MappedPortRow,
    NatEvidence, NatReport, PeerRow, ProxyRow, PunchReport, PunchRow, PunchState, ReachedRow, Readiness,
    RelayMemberRow, RelayReport, RingReport, RoundTripBucket, RoundTrips, RouteRow, RoutingReport, SpreadReport,
    Status, TimeReport,
};
pub use ring::{RingMember, ring_order};
pub use routing::{Drop, Forward, Graph, Landmarks, Path, Route, Table, cost_us, datagram_line, forward};

#[cfg(test)]
mod tests;
