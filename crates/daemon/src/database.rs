//! What databases on disk have in common.

use std::io;

/// Whether it is the content of the file that is wrong: then it may be put aside. Anything else may pass.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not known to be damage is not, in later versions either")]
pub fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_) => true,
        // So it says that a file is none of its own, and that one is cut short.
        redb::Error::Io(error) => matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof),
        _ => false,
    }
}
