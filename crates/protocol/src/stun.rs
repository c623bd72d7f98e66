//! STUN (RFC 8489): asking a server, or being asked, at which address a datagram was seen. Binding requests and their
//! answers alone, without credentials.
//!
//! A question is twenty bytes, anybody may ask, and its source may be forged. So an answer is longer than its question by
//! at most the attribute that holds the address ([`MAX_GROWTH`]): whoever is sent answers in somebody's name is sent
//! little more than that one sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest message read: what passes unfragmented where nothing is known of the way (RFC 8489 §6.1).
pub const MAX_STUN: usize = 548;

/// Attributes read in one message. Servers send about six.
pub const MAX_ATTRIBUTES: usize = 32;

/// By how much an answer may be longer than the question: an attribute with an IPv6 address.
pub const MAX_GROWTH: usize = 24;

const HEADER: usize = 20;
const COOKIE: u32 = 0x2112_A442;
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
const PASSWORD_ALGORITHM: u16 = 0x001D;
const USERHASH: u16 = 0x001E;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const FINGERPRINT: u16 = 0x8028;

/// Attributes whose meaning is known here, so that their presence is no reason to refuse. What belongs to credentials is
/// passed over: nothing here depends on them.
const KNOWN: &[u16] = &[
    MAPPED_ADDRESS,
    USERNAME,
    MESSAGE_INTEGRITY,
    ERROR_CODE,
    UNKNOWN_ATTRIBUTES,
    REALM,
    NONCE,
    MESSAGE_INTEGRITY_SHA256,
    PASSWORD_ALGORITHM,
    USERHASH,
    XOR_MAPPED_ADDRESS,
];

/// Attributes from here on may be passed over by whoever does not know them (RFC 8489 §14).
const OPTIONAL_FROM: u16 = 0x8000;

/// What a CRC-32 is XORed with in a FINGERPRINT (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// Unknown Attribute (RFC 8489 §14.8): class 4, number 20.
const UNKNOWN_ATTRIBUTE: [u8; 4] = [0, 0, 4, 20];

/// Names a question; its answer bears the same.
pub type TransactionId = [u8; 12];

/// A binding request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunRequest {
    /// To be repeated in the answer.
    pub id: TransactionId,
    /// Attributes that would have to be understood and are not.
    pub unknown: Vec<u16>,
    /// Whether it bears a fingerprint; the answer does then too.
    pub fingerprint: bool,
    /// Its length in bytes.
    pub length: usize,
}

/// A message that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stun {
    /// Somebody asks.
    Request(StunRequest),
    /// Somebody answers: the question came from `mapped`.
    Mapped {
        /// As in the question.
        id: TransactionId,
        /// Where the question came from.
        mapped: SocketAddr,
    },
    /// Somebody refuses.
    Refused {
        /// As in the question.
        id: TransactionId,
        /// 300 to 699.
        code: u16,
    },
}

/// Why a datagram is not taken as STUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StunFault {
    /// Shorter than its header, longer than [`MAX_STUN`], or not as long as it says.
    #[error("length does not fit")]
    Length,
    /// The magic cookie is another.
    #[error("not STUN")]
    NotStun,
    /// Neither a binding request nor an answer to one.
    #[error("neither a binding request nor its answer")]
    Method,
    /// An attribute that ends beyond the message, is too short, or holds what it must not; or too many of them.
    #[error("invalid attribute")]
    Attribute,
    /// The fingerprint does not fit, or is not the last attribute.
    #[error("fingerprint does not fit")]
    Fingerprint,
    /// An answer with an attribute that would have to be understood and is not, or without what it must have.
    #[error("not an answer that can be understood")]
    Answer,
}

/// Reads one datagram.
///
/// # Errors
/// [`StunFault`] if it is not exactly one message of the three kinds.
pub fn decode_stun(bytes: &[u8]) -> Result<Stun, StunFault> {
    let header = bytes.first_chunk::<HEADER>().filter(|_| bytes.len() <= MAX_STUN).ok_or(StunFault::Length)?;
    let [t0, t1, l0, l1, c0, c1, c2, c3, id @ ..] = *header;
    if u32::from_be_bytes([c0, c1, c2, c3]) != COOKIE {
        return Err(StunFault::NotStun);
    }
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if !length.is_multiple_of(4) || HEADER + length != bytes.len() {
        return Err(StunFault::Length);
    }
    let kind = u16::from_be_bytes([t0, t1]);
    if !matches!(kind, REQUEST | SUCCESS | ERROR) {
        return Err(StunFault::Method);
    }
    let found = Found::read(bytes, &id)?;
    match kind {
        REQUEST => Ok(Stun::Request(StunRequest {
            id,
            unknown: found.unknown,
            fingerprint: found.fingerprint,
            length: bytes.len(),
        })),
        _ if !found.unknown.is_empty() => Err(StunFault::Answer),
        SUCCESS => found.xored.or(found.plain).map(|mapped| Stun::Mapped { id, mapped }).ok_or(StunFault::Answer),
        _ => found.error.map(|code| Stun::Refused { id, code }).ok_or(StunFault::Answer),
    }
}

/// Writes a question.
#[must_use]
pub fn stun_request(id: TransactionId) -> Vec<u8> {
    let mut out = head(REQUEST, id);
    fingerprint(&mut out);
    out
}

/// Writes the answer to a question that came from `from`: that address, or which attributes were not understood. It is
/// never longer than the question by more than [`MAX_GROWTH`].
#[must_use]
pub fn stun_answer(request: &StunRequest, from: SocketAddr) -> Vec<u8> {
    let mut out = if request.unknown.is_empty() {
        let mut out = head(SUCCESS, request.id);
        attribute(&mut out, XOR_MAPPED_ADDRESS, &address_value(xored(canonical(from), &request.id)));
        out
    } else {
        unknown_answer(request)
    };
    if request.fingerprint {
        fingerprint(&mut out);
    }
    out
}

/// Names as many of the attributes as there is room for.
fn unknown_answer(request: &StunRequest) -> Vec<u8> {
    let mut out = head(ERROR, request.id);
    attribute(&mut out, ERROR_CODE, &UNKNOWN_ATTRIBUTE);
    let tail = if request.fingerprint { 8 } else { 0 };
    let room = (request.length + MAX_GROWTH).saturating_sub(out.len() + 4 + tail) / 4 * 2;
    let named: Vec<u8> = request.unknown.iter().take(room).flat_map(|kind| kind.to_be_bytes()).collect();
    attribute(&mut out, UNKNOWN_ATTRIBUTES, &named);
    out
}

/// What the attributes hold.
#[derive(Default)]
struct Found {
    xored: Option<SocketAddr>,
    plain: Option<SocketAddr>,
    error: Option<u16>,
    unknown: Vec<u16>,
    fingerprint: bool,
    /// What follows an integrity attribute is not covered by it and does not count (RFC 8489 §14.5).
    sealed: bool,
}

impl Found {
    fn read(bytes: &[u8], id: &TransactionId) -> Result<Self, StunFault> {
        let mut found = Self::default();
        let mut rest = bytes.get(HEADER..).unwrap_or_default();
        for _ in 0..=MAX_ATTRIBUTES {
            let Some((head, after)) = rest.split_first_chunk::<4>() else { return Ok(found) };
            let [k0, k1, l0, l1] = *head;
            let (kind, length) = (u16::from_be_bytes([k0, k1]), usize::from(u16::from_be_bytes([l0, l1])));
            let value = after.get(..length).ok_or(StunFault::Attribute)?;
            let next = after.get(length.next_multiple_of(4)..).ok_or(StunFault::Attribute)?;
            if kind == FINGERPRINT {
                let before = bytes.len() - rest.len();
                found.fingerprint = next.is_empty() && fits(bytes.get(..before).unwrap_or_default(), value);
                return if found.fingerprint { Ok(found) } else { Err(StunFault::Fingerprint) };
            }
            found.take(kind, value, id)?;
            rest = next;
        }
        Err(StunFault::Attribute)
    }

    fn take(&mut self, kind: u16, value: &[u8], id: &TransactionId) -> Result<(), StunFault> {
        if self.sealed {
            return Ok(());
        }
        match kind {
            XOR_MAPPED_ADDRESS => self.xored = Some(xored(read_address(value)?, id)),
            MAPPED_ADDRESS => self.plain = Some(read_address(value)?),
            ERROR_CODE => self.error = Some(read_error(value)?),
            MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256 => self.sealed = true,
            _ if kind < OPTIONAL_FROM && !KNOWN.contains(&kind) => self.unknown.push(kind),
            _ => {}
        }
        Ok(())
    }
}

fn fits(before: &[u8], value: &[u8]) -> bool {
    *value == (crc32(before) ^ FINGERPRINT_XOR).to_be_bytes()
}

/// A family, a port and an address (RFC 8489 §14.1).
fn read_address(value: &[u8]) -> Result<SocketAddr, StunFault> {
    let [_, family, p0, p1, address @ ..] = value else { return Err(StunFault::Attribute) };
    let ip = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(address).map_err(|_| StunFault::Attribute)?),
        2 => IpAddr::from(<[u8; 16]>::try_from(address).map_err(|_| StunFault::Attribute)?),
        _ => return Err(StunFault::Attribute),
    };
    Ok(SocketAddr::new(ip, u16::from_be_bytes([*p0, *p1])))
}

/// Class and number (RFC 8489 §14.8).
fn read_error(value: &[u8]) -> Result<u16, StunFault> {
    match value {
        [_, _, class @ 3..=6, number @ 0..=99, ..] => Ok(u16::from(*class) * 100 + u16::from(*number)),
        _ => Err(StunFault::Attribute),
    }
}

/// XORs an address with cookie and transaction, which is the same both ways (RFC 8489 §14.2).
fn xored(address: SocketAddr, id: &TransactionId) -> SocketAddr {
    let port = address.port() ^ 0x2112;
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ COOKIE)),
        IpAddr::V6(ip) => {
            let mask = id.iter().fold(u128::from(COOKIE), |mask, byte| mask << 8 | u128::from(*byte));
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() ^ mask))
        }
    };
    SocketAddr::new(ip, port)
}

/// An IPv4 address that a socket for both families shows as IPv6 is told as what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn address_value(address: SocketAddr) -> Vec<u8> {
    let [p0, p1] = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => [&[0, 1, p0, p1][..], &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[0, 2, p0, p1][..], &ip.octets()].concat(),
    }
}

fn head(kind: u16, id: TransactionId) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &[0, 0], &COOKIE.to_be_bytes(), &id].concat()
}

/// Adds an attribute, and its length to that of the message.
fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    let whole = out.len();
    set_length(out, whole);
}

fn set_length(out: &mut [u8], whole: usize) {
    let length = u16::try_from(whole.saturating_sub(HEADER)).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(field) = out.get_mut(2..4) {
        field.copy_from_slice(&length);
    }
}

/// Adds the last attribute, which covers all before it and a length that counts itself.
fn fingerprint(out: &mut Vec<u8>) {
    let whole = out.len() + 8;
    set_length(out, whole);
    let value = (crc32(out) ^ FINGERPRINT_XOR).to_be_bytes();
    attribute(out, FINGERPRINT, &value);
}

/// The CRC of ITU V.42. Messages are short: a table would cost more than it saves.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
