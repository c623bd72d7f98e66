//! Every bound of the wire, each with its reason.

/// Longest frame line (JSON with its LF) or BSON document. Large enough for any control message,
/// small enough that a thousand hostile peers cannot hold more than 64 MiB of unfinished lines.
pub const MAX_LINE: usize = 64 * 1024;

/// Longest line before `hello` is accepted: a hello with its records fits three times over, and a
/// stranger cannot make us hold more.
pub const MAX_LINE_BEFORE_HELLO: usize = 4 * 1024;

/// Longest raw body behind a frame line.
pub const MAX_BODY: usize = 64 * 1024;

/// Longest datagram: fits every path with an MTU of 1,280 without fragments.
pub const MAX_DATAGRAM: usize = 1_200;

/// Deepest nesting accepted in a message. The deepest message of ours has five levels; `serde_json`
/// stops at 128 and the BSON reader is held to the same.
pub const MAX_DEPTH: usize = 128;

/// Largest integer on the wire: what a JavaScript number still holds exactly.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Longest member or service name in characters. Long enough for a host name label twice.
pub const MAX_NAME_CHARS: usize = 32;

/// Longest `host:port` in bytes: a DNS name of 253 bytes and a port.
pub const MAX_ADDRESS: usize = 260;

/// Addresses one member may announce. Covers IPv4 and IPv6 on a few interfaces.
pub const MAX_ADDRESSES: usize = 8;

/// Own IPv4 addresses one member may offer for a direct way: those of a few interfaces.
pub const MAX_HOST_CANDIDATES: usize = 8;

/// Addresses of each other kind it may offer. With the keys, all lists full stay below [`MAX_RECORD_TEXT`].
pub const MAX_CANDIDATES: usize = 4;

/// Every sealed time frame has so many bytes: the longest one of a closed network fits, and nobody is ever answered with
/// more bytes than came.
pub const SEALED_BYTES: usize = 400;

/// Roles one member may hold.
pub const MAX_ROLES: usize = 8;

/// Longest explanation in an `error` message.
pub const MAX_DETAIL: usize = 512;

/// Longest payload of `ping` and `pong`, in bytes.
pub const MAX_ECHO: usize = 1_024;

/// Records in one `gossip.records`: sixteen announcements of 3 KiB stay below [`MAX_LINE`].
pub const MAX_RECORDS: usize = 16;

/// Records in one `peers.others`, `peers.shuffle` or `peers.answer`: eight of 3 KiB, enough to find a place with.
pub const MAX_OTHERS: usize = 8;

/// Purposes in one `peers.purpose`: more than there are.
pub const MAX_PURPOSES: usize = 8;

/// Entries in one `gossip.summary` and ids in one `gossip.want` or `ring.token`: 512 × 80 bytes stay below
/// [`MAX_LINE`]. Larger memberships go in several messages.
pub const MAX_IDS: usize = 512;

/// Numbers in one `rebuild.known`: of fewer members it is known who has a `rebuild`; of ten thousand how many have it, within
/// some six percent. 256 × 11 bytes.
pub const MAX_REBUILD_TOKENS: usize = 256;

/// Members of one name in an answer: names of a closed network are one member's alone, those of an open one are claimed.
pub const MAX_FOUND: usize = 4;

/// Longest signed text inside a record that travels in a line. Announcements carry a membership
/// record inside their text, whose quotes are escaped once more on the line.
pub const MAX_RECORD_TEXT: usize = 2_048;

/// Revocations a node keeps and sends before `hello` is accepted. A revocation ends with the
/// membership it ends, so this is the number of members expelled within a year.
pub const MAX_REVOCATIONS: usize = 256;

/// Members one node may name in `broadcast.ring`: the longest ring a message can travel.
pub const MAX_RING: usize = 256;

/// Messages named in one `broadcast.have` or `broadcast.want`: 256 × 125 bytes are half of [`MAX_LINE`].
pub const MAX_ANNOUNCED: usize = 256;

/// Digests in one `broadcast.compare`: slices of a store of two thousand messages hold some thirty each.
pub const MAX_SLICES: usize = 64;

/// Longest text a service may broadcast, in bytes.
pub const MAX_TEXT: usize = 16 * 1024;

/// Links in one advertisement: as many as a full mesh has by default. 64 × 150 bytes stay far below [`MAX_BODY`].
pub const MAX_ADVERTISED_LINKS: usize = 64;

/// Advertisements in one `routing.advertisements`: 64 × 220 bytes are a quarter of [`MAX_LINE`], and 64 texts of eight
/// links fill a body.
pub const MAX_ADVERTISEMENTS: usize = 64;

/// Members a datagram passes between its source and its destination.
pub const MAX_PATH: usize = 16;

/// Members that a datagram names which looks for its way: as many as it may pass, the source among them.
pub const MAX_WAY: usize = 32;

/// Members that such a datagram is to leave out. Whoever sends it tries another one each time, and gives up after so many.
pub const MAX_AVOIDED: usize = 4;

/// Pieces in one `chat.ranges`: 64 × 250 bytes are a quarter of [`MAX_LINE`], and two steps of 64 find one message
/// among a million.
pub const MAX_CHAT_RANGES: usize = 64;

/// Messages in one `chat.messages`: 128 × 220 bytes and the records of the authors stay below [`MAX_LINE`].
pub const MAX_CHAT_ENTRIES: usize = 128;

/// Authors in one `chat.messages`: eight records of 3 KiB.
pub const MAX_CHAT_AUTHORS: usize = 8;

/// Services that one member offers: a busy host's, and few enough that a list of them fits [`MAX_TEXT`] with some text to
/// each.
pub const MAX_SERVICES: usize = 64;

/// Lists in one `services.lists`: their lines and eight records of owners stay below [`MAX_LINE`].
pub const MAX_SERVICE_LISTS: usize = 64;

/// Pairs of key and value that are said of a service: what printers and players say of themselves.
pub const MAX_SERVICE_PAIRS: usize = 16;

/// Longest key of such a pair, in bytes; RFC 6763 advises nine.
pub const MAX_SERVICE_KEY: usize = 32;

/// Longest value of such a pair, in bytes: a path or a model.
pub const MAX_SERVICE_VALUE: usize = 128;

/// All pairs of a service together, in bytes. RFC 6763 advises 400 at most where they are told to everybody.
pub const MAX_SERVICE_TEXT: usize = 512;

/// Parts of one thing of the ledger: 64 × 64 KiB are the largest block there may be.
pub const MAX_LEDGER_PARTS: u8 = 64;

/// Hashes in a locator, as in Bitcoin: ten one by one and then doubling steps come to fewer for any height.
pub const MAX_LOCATOR_HASHES: usize = 101;

/// Names in one `ledger.inv`, `ledger.getdata` or `ledger.notfound`. As BSON a name takes 74 bytes, so that 1,000, as others
/// have it, would not fit [`MAX_LINE`].
pub const MAX_LEDGER_IDS: usize = 800;

/// Places in one `ledger.getblocktxn`: whoever lacks more of a block asks for all of it. As BSON 2,000 × 15 bytes.
pub const MAX_LEDGER_INDEXES: usize = 2_000;

/// Longest one-way delay a peer may claim to have measured: one minute. Links are dead long before.
pub const MAX_PING_MICROS: i64 = 60_000_000;

/// The version of this protocol. A peer with a lower major version is refused by name.
pub const PROTOCOL_VERSION: u16 = 1;

/// The lowest version still spoken.
pub const PROTOCOL_VERSION_MIN: u16 = 1;
