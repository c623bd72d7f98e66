//! Whom a search asks, what it remembers and what it tells.

use super::*;

fn member(number: u8, roles: &[Role], cost_us: Option<u64>) -> Member {
    let id = NodeId::from_bytes([number; 32]);
    Member { id, name: String::new(), is_name_proved: false, roles: roles.to_vec(), cost_us }
}

fn wish(target: &str) -> OpenStream {
    OpenStream { target: Some(target.parse().expect("a target")), ..OpenStream::default() }
}

fn numbers(ids: &[NodeId]) -> Vec<u8> {
    ids.iter().map(|id| id.as_bytes()[0]).collect()
}

#[test]
fn the_nearest_exits_in_reach_are_asked_and_who_worked_before_all() {
    let exit = &[Role::Exit][..];
    let members =
        || vec![member(1, exit, Some(30)), member(2, exit, Some(10)), member(3, exit, None), member(4, &[], Some(1))];
    let way_out = wish("tcp://example.org:443");
    assert_eq!(numbers(&candidates(members(), &way_out, None)), [2, 1]);
    let remembered = Some(NodeId::from_bytes([1; 32]));
    assert_eq!(numbers(&candidates(members(), &way_out, remembered)), [1, 2]);
    assert_eq!(numbers(&candidates(members(), &wish("serial:/dev/ttyUSB0"), None)), [4, 2, 1], "a device is anywhere");
}

#[test]
fn no_more_candidates_are_asked_than_the_bound_says() {
    let members = (0..20).map(|number| member(number, &[Role::Exit], Some(1))).collect();
    assert_eq!(candidates(members, &wish("tcp://example.org:443"), None).len(), MAX_CANDIDATES);
}

#[test]
fn the_oldest_memory_makes_room() {
    let (mut memory, id) = (Memory::default(), NodeId::from_bytes([1; 32]));
    for number in 0..MAX_REMEMBERED {
        memory.remember(number.to_string(), id);
    }
    memory.remember("0".to_owned(), id);
    memory.remember("new".to_owned(), id);
    assert_eq!(memory.reached.len(), MAX_REMEMBERED);
    assert!(memory.reached.contains_key("0") && !memory.reached.contains_key("1"));
}

#[test]
fn who_failed_at_one_service_has_not_at_another_and_is_forgotten_once_it_serves() {
    let (mut memory, id) = (Memory::default(), NodeId::from_bytes([1; 32]));
    let [web, ssh] = ["web", "ssh"].map(|name| name.parse::<ServiceName>().expect("a name"));
    memory.note_served(&web, id, false);
    assert!(memory.has_failed(&web, id) && !memory.has_failed(&ssh, id));
    memory.note_served(&ssh, id, true);
    assert!(memory.has_failed(&web, id));
    memory.note_served(&web, id, true);
    assert!(!memory.has_failed(&web, id));
    for number in 0..=MAX_FAILED {
        memory.note_served(&format!("s{number}").parse().expect("a name"), id, false);
    }
    assert_eq!(memory.failed.len(), MAX_FAILED);
}

#[test]
fn the_sum_of_failures_has_the_code_of_who_came_closest() {
    let mut failures = Failures::default();
    failures.add("near".to_owned(), refuse(Code::Forbidden, "no"));
    failures.add("far".to_owned(), refuse(Code::TargetRefused, "closed"));
    failures.add("gone".to_owned(), refuse(Code::NoRoute, "away"));
    let sum = failures.sum(&wish("tcp://example.org:443"));
    assert_eq!(sum.code, Code::TargetRefused);
    assert_eq!(sum.detail, "near: forbidden (no); far: target_refused (closed); gone: no_route (away)");
}

#[test]
fn a_long_reason_is_cut_at_its_bound_between_characters() {
    let refusal = refuse(Code::Forbidden, "é".repeat(300));
    assert_eq!(refusal.detail.len(), 512);
    assert_eq!(refuse(Code::Forbidden, format!("x{}", "é".repeat(300))).detail.len(), 511);
}
