//! Whose a host is, and what it gets until that is known.

use std::net::IpAddr;
use std::time::Duration;

use meshline_protocol::NodeId;

use super::hosts::{CHEAP, DEAR, Hosts, MAX_BELIEVED, MAX_CLAIMS, MAX_LINKED, MAX_SEARCHED};
use crate::now::Mono;

fn host(nth: usize) -> IpAddr {
    IpAddr::from((0xC633_0000 + u32::try_from(nth).expect("few")).to_be_bytes())
}

fn member(nth: usize) -> NodeId {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&u64::try_from(nth).expect("few").to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// Member 0 is said to be at host 0, and witnesses from 1 on say this of it.
fn said(words: &[Option<bool>]) -> Hosts {
    let mut hosts = Hosts::default();
    say(&mut hosts, (member(0), host(0)), words, Mono(0));
    hosts
}

fn say(hosts: &mut Hosts, (peer, at): (NodeId, IpAddr), words: &[Option<bool>], now: Mono) {
    let witnesses: Vec<NodeId> = (1..=words.len()).map(member).collect();
    hosts.asked(peer, at, &witnesses, now);
    for (witness, word) in witnesses.iter().zip(words) {
        hosts.told(*witness, (peer, at), *word);
    }
}

#[test]
fn a_host_is_a_members_if_more_see_it_there_than_elsewhere() {
    let (here, elsewhere, unknown) = (Some(true), Some(false), None);
    for (words, expected) in [
        (&[][..], false),
        (&[unknown, unknown], false),
        (&[here], true),
        (&[here, unknown], true),
        (&[here, elsewhere], false),
        (&[here, here, elsewhere], true),
        (&[elsewhere, unknown], false),
    ] {
        assert_eq!(said(words).is_confirmed(member(0), host(0), Mono(1)), expected, "{words:?}");
    }
    let hosts = said(&[here]);
    assert!(!hosts.is_confirmed(member(0), host(1), Mono(1)), "another host");
    assert!(!hosts.is_confirmed(member(9), host(0), Mono(1)), "another member");
    assert!(!hosts.is_confirmed(member(0), host(0), Mono(60_000_000)), "long ago");
}

#[test]
fn what_nobody_asked_for_or_is_said_twice_has_no_effect() {
    let mut hosts = Hosts::default();
    hosts.told(member(1), (member(0), host(0)), Some(true));
    assert!(!hosts.is_confirmed(member(0), host(0), Mono(1)));
    hosts.asked(member(0), host(0), &[member(1)], Mono(1));
    hosts.told(member(2), (member(0), host(0)), Some(true));
    assert!(!hosts.is_confirmed(member(0), host(0), Mono(1)), "another one was asked");
    hosts.told(member(1), (member(0), host(0)), Some(false));
    hosts.told(member(1), (member(0), host(0)), Some(true));
    assert!(!hosts.is_confirmed(member(0), host(0), Mono(1)), "the first word counts");
}

#[test]
fn a_link_shows_whose_a_host_is_for_ten_minutes() {
    let mut hosts = Hosts::default();
    hosts.note_link(member(0), host(0), Mono(0));
    assert!(hosts.is_confirmed(member(0), host(0), Mono(599_999_999)) && !hosts.is_open(member(0), host(0), Mono(5)));
    assert!(
        !hosts.is_confirmed(member(0), host(0), Mono(600_000_000)) && !hosts.is_confirmed(member(1), host(0), Mono(1))
    );
    for nth in 1..=MAX_LINKED {
        hosts.note_link(member(nth), host(nth), Mono(1));
    }
    assert!(!hosts.is_confirmed(member(0), host(0), Mono(2)), "the oldest is forgotten");
    assert!(hosts.is_confirmed(member(MAX_LINKED), host(MAX_LINKED), Mono(2)));
}

#[test]
fn a_host_is_searched_twice_in_ten_minutes_however_many_name_it() {
    let (mut hosts, pause) = (Hosts::default(), Duration::from_secs(600));
    let mut now = Mono(0);
    for nth in 0..3 {
        hosts.note_link(member(nth), host(0), now);
    }
    assert!(!hosts.take_search(member(9), host(0), CHEAP, now), "it is not the member's");
    assert!(hosts.take_search(member(0), host(0), DEAR, now) && hosts.take_search(member(1), host(0), DEAR, now));
    assert!(!hosts.take_search(member(2), host(0), CHEAP, now), "whoever says so");
    hosts.found(member(1), host(0));
    assert!(hosts.take_search(member(2), host(0), DEAR, now), "somebody was found there");
    for nth in 1..MAX_SEARCHED {
        hosts.note_link(member(0), host(nth), now);
        assert!(
            (0..8).all(|_| hosts.take_search(member(0), host(nth), CHEAP, now)),
            "cheap ones are made at eight attempts"
        );
        assert!(!hosts.take_search(member(0), host(nth), CHEAP, now));
    }
    hosts.note_link(member(0), host(MAX_SEARCHED), now);
    assert!(!hosts.take_search(member(0), host(MAX_SEARCHED), CHEAP, now), "no room");
    now = now.after(pause);
    hosts.note_link(member(0), host(MAX_SEARCHED), now);
    assert!(hosts.take_search(member(0), host(MAX_SEARCHED), DEAR, now), "after a while");
}

#[test]
fn a_witness_is_believed_until_four_searches_on_its_word_were_in_vain() {
    let mut hosts = Hosts::default();
    let claim = |nth: usize| (member(100 + nth), host(nth));
    for nth in 0..4 {
        say(&mut hosts, claim(nth), &[Some(true)], Mono(0));
        assert!(hosts.take_search(claim(nth).0, claim(nth).1, DEAR, Mono(1)));
    }
    say(&mut hosts, claim(4), &[Some(true)], Mono(2));
    assert!(!hosts.is_confirmed(claim(4).0, claim(4).1, Mono(3)), "not any more");
    say(&mut hosts, claim(5), &[None, Some(true)], Mono(2));
    assert!(hosts.is_confirmed(claim(5).0, claim(5).1, Mono(3)), "another one is");
    hosts.found(claim(2).0, claim(2).1);
    assert!(hosts.is_confirmed(claim(4).0, claim(4).1, Mono(3)), "one of the four was not in vain");
    assert!(hosts.take_search(claim(4).0, claim(4).1, DEAR, Mono(4)));
    let later = Mono(700_000_000);
    say(&mut hosts, claim(6), &[Some(true)], later);
    assert!(hosts.is_confirmed(claim(6).0, claim(6).1, later), "after a while");
}

#[test]
fn with_too_many_witnesses_believed_a_new_one_is_not() {
    let mut hosts = Hosts::default();
    let mut now = Mono(0);
    for nth in 0..=MAX_BELIEVED {
        let at = (member(0), host(nth % 100));
        hosts.asked(at.0, at.1, &[member(10_000 + nth)], now);
        hosts.told(member(10_000 + nth), at, Some(true));
        // Nobody's word is in vain, so the hosts do not stand in the way.
        assert_eq!(hosts.take_search(at.0, at.1, CHEAP, now), nth < MAX_BELIEVED, "{nth}");
        hosts.searched_by_nobody();
        now = Mono(now.0 + 1);
    }
}

#[test]
fn of_too_many_questions_the_oldest_is_forgotten() {
    let mut hosts = Hosts::default();
    for nth in 0..=MAX_CLAIMS {
        hosts.asked(member(nth), host(nth), &[member(9_999)], Mono(u64::try_from(nth).expect("few")));
    }
    for nth in [0, 1, MAX_CLAIMS] {
        hosts.told(member(9_999), (member(nth), host(nth)), Some(true));
        assert_eq!(hosts.is_confirmed(member(nth), host(nth), Mono(300)), nth > 0, "{nth}");
    }
}
