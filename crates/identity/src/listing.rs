//! Judging announcements for whoever only lists members: many at once, and less strictly than those who link with them.

use meshline_protocol::message::{Announcement, Membership};
use meshline_protocol::{NetworkId, SignedRecord, UnixMicros};

use crate::admission::{Member, admit, check_membership, describe, membership_record};
use crate::keys::{Signed, verify_all};
use crate::record::{RecordError, read};
use crate::revocation::RevocationList;

/// An announcement, with the network it has to belong to.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The announcement.
    pub record: &'a SignedRecord,
    /// The network.
    pub network: &'a NetworkId,
}

/// Judges announcements at `now`, each as [`admit`] does, for whoever only lists members and leaves it to those who link
/// with them to be strict. All signatures are checked together: those of one announcement for two thirds of what they cost
/// one after the other, those of sixteen for less than half. If that fails, each of several is judged by [`admit`], and one of
/// them at least is refused for its signature.
///
/// Who is refused here is refused by [`admit`], for the same reason; what is accepted beyond it takes a key that its owner
/// made for it.
#[must_use]
pub fn admit_to_list(
    listings: &[Listing<'_>],
    revoked: &RevocationList,
    now: UnixMicros,
) -> Vec<Result<Member, RecordError>> {
    let texts: Vec<Option<Texts<'_>>> = listings.iter().map(|one| Texts::read(*one, now).ok()).collect();
    let signed: Vec<Signed<'_>> = texts.iter().flatten().flat_map(Texts::signed).collect();
    let are_good = verify_all(&signed);
    let judge = |(listing, texts): (&Listing<'_>, Option<Texts<'_>>)| match texts {
        Some(texts) if are_good => texts.describe(revoked),
        // There is nothing else that could be wrong with one alone.
        Some(_) if listings.len() == 1 => Err(RecordError::BadSignature),
        // Strictly, so that whoever spoils the check of all is always named. Whatever is wrong beside the signatures, those
        // come first.
        _ => admit(listing.record, listing.network, revoked, now),
    };
    listings.iter().zip(texts).map(judge).collect()
}

/// What an announcement says that somebody may have made up.
struct Texts<'a> {
    record: &'a SignedRecord,
    announcement: Announcement,
    membership: Option<Membership>,
}

impl<'a> Texts<'a> {
    fn read(Listing { record, network }: Listing<'a>, now: UnixMicros) -> Result<Self, RecordError> {
        let announcement: Announcement = read(record, network, now)?;
        let membership = match network {
            NetworkId::Open(_) => None,
            NetworkId::Closed(key) => Some(read(membership_record(&announcement, *key)?, network, now)?),
        };
        Ok(Self { record, announcement, membership })
    }

    /// What has to be signed.
    fn signed(&self) -> impl Iterator<Item = Signed<'_>> {
        let membership = self.announcement.membership.as_ref().filter(|_| self.membership.is_some());
        std::iter::once(self.record).chain(membership).map(|record| Signed {
            by: &record.by,
            bytes: record.signed.as_bytes(),
            sig: &record.sig,
        })
    }

    fn describe(self, revoked: &RevocationList) -> Result<Member, RecordError> {
        let Self { record, announcement, membership } = self;
        let membership = membership.map(|text| check_membership(text, record.by, &announcement)).transpose()?;
        describe(record, announcement, membership.as_ref(), revoked)
    }
}
