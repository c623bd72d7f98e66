//! Every bound of the I/O, each with its reason.

use std::time::Duration;

/// From the TCP connection to the end of the TLS handshake, or of the first plain line. Ten round trips over the
/// slowest path still fit; it leaves a second for the hello, so that a silent stranger is gone within five.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(4);

/// From the wish to connect to a ready transport: name, TCP and TLS together.
pub const DIAL_LIMIT: Duration = Duration::from_secs(4);

/// Connections without an accepted hello, in all: at a few KiB of kernel and TLS state each it stays below 8 MiB.
pub const MAX_HANDSHAKES: usize = 256;

/// Connections without an accepted hello from one /24 (v6: one /64), so that four networks are needed to fill the room.
pub const MAX_HANDSHAKES_PER_SOURCE: usize = 64;

/// Connections one /24 (v6: one /64) may open at once: a full mesh of a hundred nodes behind one address comes back
/// in one go after a restart.
pub const ACCEPT_BURST: u64 = 100;

/// Connections a second one /24 (v6: one /64) may open in the long run. A mutual handshake costs about 0.2 ms of
/// processor, so one source cannot take half a percent of it.
pub const ACCEPTS_PER_SECOND: u64 = 20;

/// Sources whose accepts are remembered. Above it those without an open connection are forgotten.
pub const MAX_SOURCES: usize = 4_096;

/// Bytes read at once from a peer whose hello was not accepted yet.
pub const READ_BEFORE_HELLO: usize = meshline_protocol::limits::MAX_LINE_BEFORE_HELLO;

/// Bytes read at once afterwards: four TLS records.
pub const READ_AT_ONCE: usize = 64 * 1024;

/// Bytes written at once: the plaintext that rustls takes before it wants to see the socket.
pub const WRITE_AT_ONCE: usize = 64 * 1024;

/// Bytes that the system may hold unsent of a link: two writes.
pub const MAX_UNSENT: u32 = 128 * 1024;

/// The least that it may hold unsent, and that a write may hold, however slow the link: a record of TLS.
pub const MIN_UNSENT: u32 = 16 * 1024;

/// On a link of known goodput the system may hold unsent what goes in this time, and so may a write: less lets a busy
/// machine come too late with more, and small traffic waits for both.
pub const UNSENT_TIME: Duration = Duration::from_micros(1_500);

/// Frames written at once, so that the list of slices fits on the stack.
pub const FRAMES_AT_ONCE: usize = 64;

/// Bytes queued for one link: a second of bulk at 8 Mbit/s. A peer that lets more pile up does not read.
pub const MAX_QUEUED_BYTES: usize = 1024 * 1024;

/// Bytes of the ledger that wait for one link, behind everything else: what it hands out at once, and a block.
pub const MAX_BULK_BYTES: usize = 5 * 1024 * 1024;

/// When so few are left, the ledger may hand out more: enough that a fast link does not run dry meanwhile.
pub const BULK_LOW: usize = 64 * 1024;

/// Bytes of one member that wait for the ledger: twice what it asks of one at the same time.
pub const MAX_LEDGER_INBOX: usize = 8 * 1024 * 1024;

/// Bytes of all members that wait for the ledger.
pub const MAX_LEDGER_INBOXES: usize = 64 * 1024 * 1024;

/// What a frame costs beside its body while it waits.
pub const LEDGER_FRAME_OVERHEAD: usize = 256;

/// What one member may have of the ledger's thread in a second while others wait, in units of about a microsecond: half.
pub const LEDGER_UNITS_A_SECOND: u64 = 500_000;

/// What it may have of it at once: ten times as long as peers are listened to at a time, and a third of the dearest block.
pub const LEDGER_UNITS_AT_ONCE: u64 = 100_000;

/// What it had beyond is held against it up to here, so that it waits for a second at most, however many others there are.
pub const MAX_LEDGER_UNITS: u64 = LEDGER_UNITS_AT_ONCE + LEDGER_UNITS_A_SECOND;

/// Frames queued for one link, so that small ones cannot take more memory in list entries than in bytes.
pub const MAX_QUEUED_FRAMES: usize = 4_096;

/// Bytes of datagrams that wait for one link: a fast link has work while a busy machine lets the other end wait for
/// some milliseconds. Tunnels keep the queues of slow ones far shorter; plain datagrams do not, and what waits for a
/// line of 1 Mbit/s is sixteen seconds old at worst.
pub const MAX_WAITING_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of datagrams that wait for all links together. Above it a link has no more than [`MAX_WAITING_CROWDED`].
pub const MAX_WAITING_IN_ALL: usize = 64 * 1024 * 1024;

/// Bytes that each link may hold in any case, so that full links take nothing from the others: 64 of them hold 32 MiB.
pub const MAX_WAITING_CROWDED: usize = 512 * 1024;

/// Bytes of one flow that wait for one link: half of the room, so that no flow can take it from all others.
pub const MAX_FLOW_BYTES: usize = MAX_WAITING_BYTES / 2;

/// Bytes of a flow of our own that wait for one link, above which no more is put there until half of them are gone:
/// more than a write takes at once, so that the link never runs dry, and what is not there yet can still go elsewhere.
pub const FLOW_ENOUGH: usize = 256 * 1024;

/// Flows that wait for one link; a look at all of them, when the room is full, takes microseconds.
pub const MAX_FLOWS: usize = 256;

/// Bytes a flow may send before it is another one's turn. A line of text passes after at most one such piece of each
/// bulk flow; smaller pieces would cost more turns than a 16 KiB body needs.
pub const FLOW_QUANTUM: usize = 16 * 1024;

/// What a waiting datagram counts beside its bytes, so that small ones cannot take more memory than is counted.
pub const WAITING_OVERHEAD: usize = 256;

/// Bodies below this are copied when they have to wait: as slices they would each hold a whole read in memory.
pub const COPIED_BODY: usize = 4 * 1024;

/// How long a write may make no progress at all.
pub const WRITE_STALL_LIMIT: Duration = Duration::from_secs(10);

/// How long a frame may stand still in its middle, and from when on its rate counts.
pub const FRAME_GRACE: Duration = Duration::from_secs(4);

/// Bytes a second at which a frame must come in after [`FRAME_GRACE`]: the slowest modem link.
pub const FRAME_RATE: u64 = 1_024;

/// Frames of all links on their way to the core. At the largest frame (128 KiB) that is 32 MiB; readers wait then.
pub const MAX_INCOMING: usize = 256;

/// Commands of this machine waiting for the core.
pub const MAX_COMMANDS: usize = 64;

/// Things that happened, kept for a slow subscriber, who is told how many it missed.
pub const MAX_EVENTS: usize = 1_024;

/// How long a link that is closed may take to send what was queued.
pub const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// How long the end of a closed connection is awaited. Closing with unread bytes would make the system reset the
/// connection, and the peer would never read why.
pub const LINGER_LIMIT: Duration = Duration::from_millis(500);

/// Bytes thrown away while lingering.
pub const LINGER_BYTES: usize = 1024 * 1024;

/// How long a relay connection waits for its other half; tickets live as long.
pub const RELAY_WAIT: Duration = Duration::from_secs(10);

/// The buffer that all relay pipes of a thread share for what is little. One TLS record fits; more is bulk and goes
/// through a pipe of the system.
pub const RELAY_BUFFER: usize = 32 * 1024;

/// Bytes that a direction of a relay pipe moves before it is another's turn, and that a pipe of the system holds: at a
/// gigabyte a second a quarter of a millisecond.
pub const RELAY_TURN: usize = 256 * 1024;

/// What a direction may move in any case, however many its members have at work.
pub const RELAY_LEAST_TURN: usize = 16 * 1024;

/// Bytes of one member that may lie in pipes of the system because somebody does not read. Above it turns are
/// [`RELAY_LEAST_TURN`] each, so the bound is this and as much again for each of its connections.
pub const RELAY_HELD_PER_MEMBER: usize = 2 * 1024 * 1024;

/// Empty pipes of the system kept for whoever needs one next: few are ever at work on one thread at once.
pub const RELAY_PIPES_SPARE: usize = 16;

/// How long a direction keeps its empty pipe of the system while nothing comes: bulk comes again within a round trip.
pub const RELAY_PIPE_KEPT: Duration = Duration::from_millis(500);

/// A member with a limit on its rate may be so far ahead of it.
pub const RELAY_BURST: Duration = Duration::from_millis(250);

/// Members whose relayed bytes are counted. Above it those without a relayed link are forgotten.
pub const MAX_SHARES: usize = 4_096;

/// Connections to proxies opened for tickets that are to come.
pub const MAX_APPROACHES: usize = 64;

/// How long such a connection is kept: a proxy hangs up on strangers that are silent for longer.
pub const APPROACH_LIMIT: Duration = Duration::from_secs(3);

/// After how long a silent relay pipe is probed by TCP: ends that vanished are found, those that rest are kept.
pub const RELAY_KEEPALIVE: Duration = Duration::from_secs(60);

/// How long a signal server may take for one answer.
pub const SIGNAL_LIMIT: Duration = Duration::from_secs(5);

/// Addresses of one name that the core is told.
pub const MAX_RESOLVED: usize = 8;

/// Lines a second that strangers can make us log, of all kinds together.
pub const REFUSALS_LOGGED_PER_SECOND: u32 = 20;

/// Connections the system queues for one listener: all nodes of a full mesh at once.
pub const BACKLOG: i32 = 1_024;

/// Pause after a failed accept, which is nearly always a lack of file descriptors that takes time to pass.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes that the system may hold of a UDP socket each way: 4 ms at 4 Gbit/s, while the one thread does something else.
pub const UDP_BUFFER: usize = 2 * 1024 * 1024;

/// UDP sockets of a node: 256 for the search of a hole (so many make it likely within two seconds, and a household router
/// bears them), one for each other attempt under way that has one of its own, and the main ones, one for each address
/// listened on.
pub const MAX_UDP_SOCKETS: usize = 256 + 32 + 16;

/// Remote addresses whose packets leave from a certain socket: one for each link, and handshakes beside them.
pub const MAX_UDP_ROUTES: usize = 1_024;

/// Bytes of a datagram that is not QUIC's. It passes every path of the internet whole.
pub const MAX_PACKET: usize = 1_200;

/// Datagrams waiting for the core. What has to wait longer than it takes to handle so many is of no use for measuring.
pub const MAX_PACKETS: usize = 64;

/// Datagrams a second that the core is shown, QUIC aside: a search for a hole brings a thousand from one peer, and each
/// costs the core some ten microseconds.
pub const PACKETS_PER_SECOND: u64 = 4_000;

/// Datagrams that may come at once.
pub const PACKET_BURST: u64 = 512;

/// Addresses of this host that are told: a host with more is full of bridges for containers.
pub const MAX_HOST_ADDRESSES: usize = 16;

/// How long addresses of this host must rest before they are told: an interface that comes up changes several.
pub const HOST_SETTLED: Duration = Duration::from_millis(200);

/// Connections without an accepted hello from which on one over QUIC has to prove its address first. Below it whoever
/// writes others' addresses into packets cannot use up the accepts a second of those.
pub const RETRY_FROM: usize = 32;

/// How long a QUIC connection may be silent: longer than the core lets an idle link be (21.5 s), which knows why and says
/// so.
pub const QUIC_IDLE_LIMIT: Duration = Duration::from_secs(30);

/// What QUIC takes for a round trip of which nothing is known. What is lost of a handshake is sent again after three of
/// these, then twice as long: over the longest ways that costs a packet or two too many.
pub const QUIC_FIRST_RTT: Duration = Duration::from_millis(100);

/// And where one is known, at least this: a machine that is busy answers later than its line.
pub const QUIC_LEAST_RTT: Duration = Duration::from_millis(20);

/// At most what RFC 9002 §6.2.2 says for ways of which nothing is known.
pub const QUIC_MOST_RTT: Duration = Duration::from_millis(333);

/// Bytes that a peer may send over QUIC beyond what was read, once its hello is accepted: 300 Mbit/s at 100 ms.
pub const QUIC_WINDOW: u32 = 4 * 1024 * 1024;

/// Bytes that it may send before: strangers together hold 16 MiB at worst. A hello with its revocations follows.
pub const QUIC_BEFORE_ACCEPT: u32 = 64 * 1024;

/// Bytes kept of a handshake that nobody has looked at yet: its first flight.
pub const QUIC_INITIAL_BUFFER: u64 = 16 * 1024;

/// Bytes that may be unconfirmed in any case: what is sent before anything is known of the way, and as much again.
pub const QUIC_LEAST_ROOM: u64 = 32 * 1024;

/// How long the way to the other end of a QUIC connection is kept after it: its last packet leaves later.
pub const ROUTE_LINGER: Duration = Duration::from_secs(1);

/// Links with UDP beside them: more than a node has links, those that are about to be replaced included.
pub const MAX_COMPANIONS: usize = 1_024;

/// Members met over TCP at the same time: one for each link.
pub const MAX_MEETINGS: usize = 64;

/// How long one connection to a member that is met may take where the round trip is not known. What came too early is
/// dropped silently in places, and the system repeats itself after a second.
pub const MEET_CONNECT: Duration = Duration::from_secs(1);

/// Where it is known one takes a round trip and a half and this at most: the two machines may be busy, and clocks differ.
/// What was lost is sent again after that, and not after the system's second.
pub const MEET_SLACK: Duration = Duration::from_millis(200);

/// It gets so much in any case,
pub const MEET_LEAST_CONNECT: Duration = Duration::from_millis(300);

/// and no more than this: half of the time for all of them.
pub const MEET_MOST_CONNECT: Duration = Duration::from_millis(1_500);

/// Pauses between two such connections, in milliseconds, at random: where routers refuse what they do not expect, both
/// sides have to ask within one round trip.
pub const MEET_PAUSE_MS: std::ops::RangeInclusive<u64> = 10..=100;

/// How long whoever answers at such an address may take to prove its key: it may be somebody else.
pub const MEET_HANDSHAKE: Duration = Duration::from_secs(2);

/// Kinds of services looked for on the local segment at once: each is a question to all of it now and then.
pub const MAX_LAN_KINDS: usize = 16;

/// Records of the local segment that are held in memory: 500 hosts with a service each, on one segment. Somebody who makes
/// up more has it all forgotten.
pub const MAX_LAN_RECORDS: i64 = 2_000;

/// Times at which such records are to be looked at again; each says of one several.
pub const MAX_LAN_TIMERS: i64 = 65_536;

/// What is heard of the local segment between two looks at how much is held; more is passed over until it is asked again.
pub const MAX_LAN_EVENTS: usize = 256;
