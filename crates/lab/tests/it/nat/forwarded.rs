//! A router that forwards ports to whoever asks, with the daemon that most routers run.

use meshline_lab::{Cell, Lab, Nat, until};

use super::cells::{linked, talk};

/// Waits until the first member has a port of its router over UDP and TCP, in which somebody came in; where it is.
#[track_caller]
fn verified(cell: &Cell, by: &str) -> String {
    until("both ports are forwarded and verified", || {
        let status = cell.members[0].status();
        let mapped = status["nat"]["mapped"].as_array().cloned().unwrap_or_default();
        let is_verified = |transport: &str| {
            mapped.iter().find(|row| row["transport"] == transport && row["verified"] == true && row["by"] == by)
        };
        let [udp, tcp] = ["udp", "tcp"].map(is_verified);
        match (udp, tcp) {
            (Some(udp), Some(tcp)) if udp["address"] == tcp["address"] => {
                Ok(udp["address"].as_str().expect("text").to_owned())
            }
            _ => Err(format!("{mapped:?}")),
        }
    })
}

/// The other member's link goes to that address.
#[track_caller]
fn comes_in_at(cell: &Cell, address: &str) {
    cell.wait_until_direct();
    until("the link goes through the forwarded port", || {
        let status = cell.members[1].status();
        let links = status["links"].as_array().cloned().unwrap_or_default();
        let link = links.iter().find(|link| link["name"] == "one").ok_or("not linked")?;
        if link["address"] == address { Ok(()) } else { Err(link.to_string()) }
    });
}

/// Where both routers give each destination another port, nothing else leads there. And a router that was started anew is
/// asked again at once, though half of what it had granted is an hour away.
#[test]
fn a_forwarded_port_is_reached_from_behind_a_symmetric_nat_and_asked_for_again_when_it_is_lost() {
    let Some(lab) = Lab::with_nats() else { return };
    let Some((home, mut daemon)) = lab.behind_forwarding(Nat::Sym) else { return };
    let public = home.public_address();
    let mut cell = linked(&lab, [home, lab.behind(Nat::Sym)]);
    let forwarded = verified(&cell, "pcp");
    assert_eq!(forwarded, format!("{public}:6003"));
    comes_in_at(&cell, &forwarded);
    talk(&cell, "by the forwarded port");
    let inside = format!("{}:6003", cell.homes[0].address());
    assert_eq!(daemon.forwarded().matches(&inside).count(), 2, "{}", daemon.forwarded());

    cell.members[1].process_mut().kill();
    daemon.kill();
    assert!(!daemon.forwarded().contains(&inside));
    daemon.start();
    until("both are forwarded again", || match daemon.forwarded() {
        rules if rules.matches(&inside).count() == 2 => Ok(()),
        rules => Err(rules),
    });
    cell.start_other();
    comes_in_at(&cell, &forwarded);
    talk(&cell, "again");
}
