//! What questions and answers are sent as.

use bytes::Bytes;
use meshline_protocol::ServiceName;
use meshline_protocol::message::{FindWhat, Finding};

/// The service of questions and answers.
pub(crate) const SERVICE: &str = "find";

/// That of questions and answers about who is near on the ring, and of names made known: all members send them all the
/// time and nobody waits for one, so links are not watched closely for their sake.
pub(crate) const UPKEEP: &str = "near";

/// Longest body: an answer with four announcements of 3 KiB.
pub(crate) const MAX_BODY: usize = 16 * 1024;

/// A question or an answer about `what`.
pub(super) fn written(finding: &Finding, what: FindWhat) -> Option<(ServiceName, Bytes)> {
    let is_upkeep = matches!(what, FindWhat::Near | FindWhat::Keep);
    let service = if is_upkeep { UPKEEP } else { SERVICE };
    Some((service.parse().ok()?, serde_json::to_vec(finding).ok()?.into()))
}

#[cfg(test)]
mod tests {
    use meshline_protocol::message::FindAnswer;
    use meshline_protocol::{Bounded, NodeId, SignedRecord};

    use super::*;

    #[test]
    fn what_nobody_waits_for_is_a_service_of_its_own() {
        let answer = SignedRecord { signed: String::new(), by: NodeId::from_bytes([1; 32]), sig: String::new() };
        let finding = Finding::Answer(FindAnswer { answer, records: Bounded::default() });
        let service = |what| written(&finding, what).unwrap().0.as_str().to_owned();
        let [near, keep] = [FindWhat::Near, FindWhat::Keep].map(service);
        assert_eq!([near.as_str(), keep.as_str()], [UPKEEP; 2]);
        let [member, name] = [FindWhat::Member, FindWhat::Name].map(service);
        assert_eq!([member.as_str(), name.as_str()], [SERVICE; 2]);
    }
}
