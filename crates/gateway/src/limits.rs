//! Every bound of the gateway, each with its reason.

use std::time::Duration;

/// How long the first line of a stream may take: it was written before the stream was opened.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// How long a stream of a member that is not known waits for the news of it: the mesh verified it before it could open one.
pub const KNOWN_LIMIT: Duration = Duration::from_secs(1);

/// How long an exit tries to reach a target: a lost SYN is repeated after one and three seconds.
pub const DIAL_LIMIT: Duration = Duration::from_secs(8);

/// How long the answer to a request may take: the dialling at the other end, and a slow way there and back.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// How long a search for a member that reaches the target may take in all. Browsers give up after about 30 s.
pub const SEARCH_LIMIT: Duration = Duration::from_secs(25);

/// How long one candidate of a search may take, so that a silent one does not use up the time of the others.
pub const CANDIDATE_LIMIT: Duration = Duration::from_secs(6);

/// Members tried for one connection, nearest first.
pub const MAX_CANDIDATES: usize = 8;

/// A member that failed to serve a service is asked after all others for so long: until its links are known to be dead.
pub const FAILED_FOR: Duration = Duration::from_secs(20);

/// Members and services remembered for that.
pub const MAX_FAILED: usize = 256;

/// Targets of which it is remembered who reached them.
pub const MAX_REMEMBERED: usize = 1_024;

/// Addresses of one name that are tried.
pub const MAX_RESOLVED: usize = 8;

/// Streams that other members may have open here, all together; each is a socket and a file descriptor.
pub const MAX_SERVED: usize = 4_096;

/// Streams that one member may have open here, as many as one tunnel has.
pub const MAX_SERVED_PER_MEMBER: usize = 1_024;

/// Listeners that other members may have here, all together.
pub const MAX_GUEST_LISTENERS: usize = 64;

/// Forwards, configured and added.
pub const MAX_FORWARDS: usize = 256;

/// Connections of one forward or proxy at once; a flood of them fills neither memory nor the tunnel's streams.
pub const MAX_CONNECTIONS: usize = 1_024;

/// Addresses that talk through one UDP forward or association at once.
pub const MAX_UDP_PEERS: usize = 256;

/// Payloads of one UDP address that wait for its stream.
pub const MAX_UDP_WAITING: usize = 64;

/// A UDP address that says nothing and is told nothing for so long is forgotten (RFC 4787, 4.3: at least two minutes).
pub const UDP_IDLE: Duration = Duration::from_secs(150);

/// After a refusal a UDP address waits so long before it asks again, whatever it sends meanwhile.
pub const UDP_RETRY: Duration = Duration::from_secs(1);

/// A connection on which nothing moves for so long is closed. Long idle connections live; what was forgotten ends.
pub const STREAM_IDLE: Duration = Duration::from_secs(24 * 3600);

/// Buffer for each direction of a connection: a full packet of a tunnel.
pub const COPY_BUFFER: usize = 64 * 1024;

/// Largest UDP payload (RFC 768 over IPv4).
pub const MAX_PAYLOAD: usize = 65_507;

/// Longest head of a request to the HTTP proxy; servers commonly take 8 KiB.
pub const MAX_HEAD: usize = 16 * 1024;

/// Header lines in such a head.
pub const MAX_HEADERS: usize = 100;

/// How long a client of a proxy may take to say what it wants.
pub const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// How long, and in how many pieces of 2 KiB, what a refused client still sends is taken, so that it reads its refusal.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(1);
/// See [`DRAIN_LIMIT`].
pub const DRAIN_READS: usize = 64;

/// User and password pairs of one proxy.
pub const MAX_USERS: usize = 64;

/// First and longest pause before a reverse forward asks again for its listener.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);
/// See [`RETRY_FIRST`].
pub const RETRY_LONGEST: Duration = Duration::from_secs(30);
