//! Every bound of a tunnel, each with its reason.

use std::time::Duration;

use meshline_protocol::limits::MAX_BODY;

/// Paths used at once. Routing offers three; the rest is room for those that change.
pub const MAX_PATHS: usize = 8;

/// Channels: each path has one for bulk and one for what is small.
pub const MAX_CHANNELS: usize = MAX_PATHS * 2;

/// Longest packet, the body of one datagram: with the line before it, it fits into one write of a link and four records
/// of TLS.
pub const MAX_PACKET: usize = MAX_BODY - 1024;

/// Longest packet while nothing is known of a path's rate, and on slow paths: half a millisecond at 100 Mbit/s.
pub const FIRST_PACKET: usize = 8 * 1024;

/// Shortest limit for a packet, however slow the path: below it headers would be a third of the traffic.
pub const MIN_PACKET: usize = 2 * 1024;

/// A packet is so long that it takes this time on its path: more lets small traffic wait behind it, less costs more
/// packets than needed. At 100 Mbit/s the line before it and the headers are then a hundredth and a half of all.
pub const PACKET_TIME: Duration = Duration::from_millis(2);

/// Window of a channel of which nothing is known: two round trips later it has grown to what the path carries.
pub const FIRST_WINDOW: u64 = 64 * 1024;

/// Least window: two short packets, so that a lost one is noticed by the next.
pub const MIN_WINDOW: u64 = 2 * MIN_PACKET as u64;

/// Largest window: what 1 Gbit/s carries in 128 ms.
pub const MAX_WINDOW: u64 = 16 * 1024 * 1024;

/// Bytes that a channel lets wait in queues on its path; beyond it the queue of a member on the way (a mebibyte for
/// one flow) would overflow before the delay shows. On fast paths less would have the ends wait for each other: a
/// program of a busy machine does not run for a millisecond or two, in which 4 Gbit/s carry this much.
pub const MAX_STANDING: u64 = 896 * 1024;

/// The delay that bulk may cause: enough that a path never runs dry, two packets and the wait for an acknowledgement, less
/// than people or protocols notice, and than the queue of a cheap router holds.
pub const DELAY_TARGET: Duration = Duration::from_millis(4);

/// A window that the best rate of late would fill is held against so much delay: ends that do not run for some turns of
/// their machine's other programs. More would let a path that suddenly carries less keep a queue that people notice.
pub const MAX_HELD: Duration = Duration::from_millis(50);

/// The best rate of late is that of the last time so long, and the one before it: long enough that a machine which runs a
/// hundred others' programs had its turns in it, and short enough that a path which carries less now is soon known to.
pub const PEAK_AGE: Duration = Duration::from_secs(1);

/// How long a least round trip is believed. Then the channel lets its queue run empty for a round and looks again.
pub const MIN_RTT_AGE: Duration = Duration::from_secs(10);

/// Packets later in the same channel that are acknowledged before one is called lost (RFC 9002, 6.1.1). Links keep the
/// order; only a detour does not.
pub const PACKET_THRESHOLD: u64 = 3;

/// Least time without an answer after which a channel is doubted. Below it the scheduling of a busy machine looks like
/// a dead path.
pub const MIN_PROBE_TIMEOUT: Duration = Duration::from_millis(30);

/// Most time between two probes of a channel that does not answer.
pub const MAX_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Round trip assumed before the first is measured.
pub const FIRST_RTT: Duration = Duration::from_millis(100);

/// An acknowledgement waits so long for company.
pub const ACK_DELAY: Duration = Duration::from_millis(1);

/// Packets or bytes after which an acknowledgement does not wait: some in the time for which [`MAX_STANDING`] lasts, and no
/// more, because each wakes every member on the way.
pub const ACK_PACKETS: u32 = 16;
/// See [`ACK_PACKETS`].
pub const ACK_BYTES: u64 = 256 * 1024;

/// Ranges in one acknowledgement: what lies further back has been told before.
pub const MAX_ACK_RANGES: usize = 32;

/// Ranges of packet numbers remembered of one channel; older ones count as received, so that nothing is taken twice.
pub const MAX_SEEN_RANGES: usize = 64;

/// How far packet numbers may be ahead of the last one in its channel: a second of the smallest packets at 10 Gbit/s.
pub const MAX_NUMBER_STEP: u64 = 1 << 20;

/// Segments of one stream that wait for what lies before them. At the shortest packets it is a window of 16 MiB.
pub const MAX_SEGMENTS: usize = 8_192;

/// Segments of all streams of a tunnel that wait for what lies before them: some hundred bytes each.
pub const MAX_TUNNEL_SEGMENTS: usize = 32_768;

/// Streams the other side may have open at once.
pub const MAX_STREAMS: u32 = 1_024;

/// Streams of our own whose end the other side has not confirmed; more are refused.
pub const MAX_OWN_STREAMS: usize = 4_096;

/// Window of a stream at first.
pub const FIRST_STREAM_WINDOW: u64 = 512 * 1024;

/// Once three quarters of what all streams share are taken, a stream may take so much of the rest at a time, until it is
/// known to be read. As many streams as may be open then fit into half of that rest: those that nobody reads leave a way
/// for those that somebody does, a packet each round trip.
pub const CAREFUL_PIECE: u64 = 2 * 1024;

/// Bytes one stream may send freely as small traffic; what sends more than this and [`SPARSE_RATE`] is bulk.
pub const SPARSE_BURST: u64 = 32 * 1024;

/// Bytes a second that a stream may send as small traffic.
pub const SPARSE_RATE: u64 = 128 * 1024;

/// Bytes of UDP that wait to be sent, of all flows; what is newer is dropped.
pub const MAX_FLOW_BACKLOG: usize = 1024 * 1024;

/// UDP older than this is dropped instead of sent: late is worse than lost.
pub const FLOW_PATIENCE: Duration = Duration::from_millis(200);

/// Largest UDP payload (RFC 768 over IPv4).
pub const MAX_FLOW_PAYLOAD: usize = 65_507;

/// UDP payloads of which parts are missing.
pub const MAX_PARTIAL: usize = 16;

/// UDP payloads that wait to be taken.
pub const MAX_ARRIVED: usize = 1_024;

/// Bytes of UDP payloads that wait to be taken.
pub const MAX_ARRIVED_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of handshake in each direction: certificates of both sides take a tenth.
pub const MAX_HANDSHAKE: usize = 16 * 1024;

/// How long a handshake may take.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long the first piece of a handshake waits for its answer.
pub const HANDSHAKE_RETRY: Duration = Duration::from_millis(250);

/// Packets after which keys are changed. Far below the confidentiality limit of AES-GCM (RFC 9001, B.1.1: 2^23 packets
/// of 2^11 bytes; ours have up to 2^16).
pub const REKEY_PACKETS: u64 = 1 << 18;

/// Forged packets after which a tunnel is given up: the integrity limit of ChaCha20-Poly1305 (RFC 9001, 6.6), the lower
/// one of the two ciphers. Fewer would let anybody on the way end a tunnel by repeating garbage.
pub const MAX_FORGED: u64 = 1 << 36;

/// How often an idle path is tried while streams are open: a hole in it is found before it is needed.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A tunnel without streams and flows ends after this time.
pub const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// After a hint that the other side has forgotten the tunnel, it has this time to prove the opposite.
pub const DOUBT_LIMIT: Duration = Duration::from_secs(1);

/// Longest reason in a close.
pub const MAX_REASON: usize = 256;
