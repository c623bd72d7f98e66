//! Long links: whom to choose for them.
//!
//! The distance on the ring of ids is drawn so that each power of two is as likely as any other. With such (harmonic)
//! links a message that always goes to whoever is nearest to its destination halves the distance every few hops; were
//! all distances equally likely, nearly all links would be longer than what is left of the way. To flooding it makes no
//! difference: as random graphs they are equally deep.

use meshline_protocol::NodeId;

use crate::shared::Shared;

/// A place on the ring to look for a far end at: members from there on are asked.
pub(super) fn far_place(shared: &mut Shared, members: usize) -> NodeId {
    let own = position(&shared.id);
    // Closer than one member's share of the ring there is nobody.
    let octaves = usize::BITS - members.max(2).leading_zeros();
    let octave = 63 - u32::try_from(shared.below(usize::try_from(octaves).unwrap_or(1))).unwrap_or(0);
    let random = (u64::from(shared.random_u32()) << 32) | u64::from(shared.random_u32());
    let least = 1_u64 << octave;
    let distance = least | (random & (least - 1));
    // Half of the ring is as far as it goes: the two directions meet there.
    let distance = distance / 2;
    id_at(if shared.below(2) == 0 { own.wrapping_add(distance) } else { own.wrapping_sub(distance) })
}

/// A place on the ring, each of which is as likely.
pub(super) fn any_place(shared: &mut Shared) -> NodeId {
    id_at((u64::from(shared.random_u32()) << 32) | u64::from(shared.random_u32()))
}

/// The first id at a place.
fn id_at(place: u64) -> NodeId {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(place.to_be_bytes()).for_each(|(byte, part)| *byte = part);
    NodeId::from_bytes(bytes)
}

/// The place of an id on the ring: its first eight bytes, which are as good as random.
pub(super) fn position(id: &NodeId) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}
