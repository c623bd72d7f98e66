//! Closed networks: who may enter, who may read, and who was expelled.

use meshline_identity::RecordError;
use meshline_protocol::limits::MAX_REVOCATIONS;

use super::super::MAX_STRANGE_REVOCATIONS;
use super::*;

fn revoke(registry: &mut Registry, revocation: &Revocation) -> Result<Option<NodeId>, Refusal> {
    registry.revoke(&signed(revocation, NETWORK_KEY), NOW)
}

#[test]
fn members_enter_with_their_membership_and_nobody_without() {
    let mut registry = registry(ROOMY);
    announce(&mut registry, 1, &member_text(1)).expect("a member");
    let bare = Announcement { network: closed(), ..text(2) };
    let outcome = announce(&mut registry, 2, &bare);
    assert_eq!(outcome.expect_err("none"), Refusal::Record(RecordError::NotMember));
    let borrowed = Announcement { membership: member_text(1).membership, ..member_text(2) };
    let outcome = announce(&mut registry, 2, &borrowed);
    assert_eq!(outcome.expect_err("of member 1"), Refusal::Record(RecordError::Foreign));
    assert_eq!(ids(&list_of(&mut registry, &closed(), 10, NOW).nodes), sorted(&[1]));
}

#[test]
fn the_list_is_for_holders_of_a_live_entry_in_that_network() {
    let mut registry = registry(ROOMY);
    let granted = announce(&mut registry, 1, &member_text(1)).expect("a member");
    let own = granted.secret.text();
    assert_eq!(registry.may_list(&closed(), Some(&own), NOW), Ok(()));
    let last = if own.ends_with('A') { 'E' } else { 'A' };
    let almost = format!("{}{last}", &own[..own.len() - 1]);
    for wrong in [None, Some(""), Some("x"), Some(wrong_secret().text().as_str()), Some(almost.as_str())] {
        assert_eq!(registry.may_list(&closed(), wrong, NOW), Err(Refusal::MembersOnly));
    }
    let elsewhere = NetworkId::Closed(id(NETWORK_KEY + 1));
    assert_eq!(registry.may_list(&elsewhere, Some(&own), NOW), Err(Refusal::MembersOnly));
    assert_eq!(registry.may_list(&closed(), Some(&own), NOW.offset(TTL)), Err(Refusal::MembersOnly), "it has ended");
}

#[test]
fn a_revocation_drops_the_entry_and_keeps_the_member_out() {
    let mut registry = registry(ROOMY);
    announce(&mut registry, 1, &member_text(1)).expect("a member");
    announce(&mut registry, 2, &member_text(2)).expect("a member");
    assert_eq!(revoke(&mut registry, &revocation(1, NOW)), Ok(Some(id(1))));
    let list = list_of(&mut registry, &closed(), 10, NOW);
    assert_eq!(ids(&list.nodes), sorted(&[2]));
    assert_eq!(list.revocations.to_vec(), [signed(&revocation(1, NOW), NETWORK_KEY)]);
    let outcome = announce(&mut registry, 1, &Announcement { seq: NOW.offset(1), ..member_text(1) });
    assert_eq!(outcome.expect_err("expelled"), Refusal::Record(RecordError::Revoked));
    assert_eq!(revoke(&mut registry, &revocation(1, NOW)), Ok(None), "known");
    assert_consistent(&registry);
}

#[test]
fn a_member_invited_anew_after_its_revocation_is_listed() {
    let mut registry = registry(ROOMY);
    revoke(&mut registry, &revocation(1, NOW)).expect("by the network");
    let anew = Announcement { membership: Some(membership(1, NOW)), ..member_text(1) };
    announce(&mut registry, 1, &anew).expect("a membership as new as the revocation");
    assert_eq!(revoke(&mut registry, &revocation(1, NOW)), Ok(None));
    assert_eq!(list_of(&mut registry, &closed(), 10, NOW).nodes.len(), 1);
}

#[test]
fn only_the_network_itself_revokes() {
    let mut registry = registry(ROOMY);
    announce(&mut registry, 2, &member_text(2)).expect("a member");
    let outcome = registry.revoke(&signed(&revocation(2, NOW), 1), NOW);
    assert_eq!(outcome, Err(Refusal::Record(RecordError::Foreign)));
    let forged = SignedRecord { by: id(NETWORK_KEY), ..signed(&revocation(2, NOW), 1) };
    assert_eq!(registry.revoke(&forged, NOW), Err(Refusal::Record(RecordError::BadSignature)));
    let of_open = Revocation { network: open(), ..revocation(2, NOW) };
    assert_eq!(registry.revoke(&signed(&of_open, 1), NOW), Err(Refusal::Record(RecordError::Foreign)));
    let ended = Revocation { expires: NOW, ..revocation(2, NOW) };
    assert_eq!(revoke(&mut registry, &ended), Err(Refusal::Record(RecordError::Expired)));
    assert_eq!((registry.totals().revocations, registry.totals().networks), (0, 1));
}

#[test]
fn a_revocation_is_kept_until_it_ends() {
    let mut registry = registry(ROOMY);
    revoke(&mut registry, &revocation(1, NOW)).expect("by the network");
    registry.sweep_revocations(NOW.offset(HOUR - 1));
    assert_eq!(registry.totals().revocations, 1);
    registry.sweep_revocations(NOW.offset(HOUR));
    assert_eq!((registry.totals().revocations, registry.totals().networks), (0, 0));
}

#[test]
fn a_network_may_revoke_so_many_and_all_strangers_together_so_many() {
    let mut registry = registry(ROOMY);
    for n in 0..u16::try_from(MAX_REVOCATIONS).expect("small") {
        revoke(&mut registry, &revocation(n, NOW)).expect("up to the limit");
    }
    let beyond = revoke(&mut registry, &revocation(1_000, NOW));
    assert_eq!(beyond, Err(Refusal::Record(RecordError::Full)));
    assert_eq!(beyond.expect_err("full").code(), "server_full");

    let mut registry = super::registry(ROOMY);
    registry.revocations = MAX_STRANGE_REVOCATIONS - 1;
    revoke(&mut registry, &revocation(1, NOW)).expect("at the limit");
    assert_eq!(revoke(&mut registry, &revocation(2, NOW)), Err(Refusal::ServerFull));
    registry.rules.networks.insert(closed());
    revoke(&mut registry, &revocation(2, NOW)).expect("the settings name this network");
}
