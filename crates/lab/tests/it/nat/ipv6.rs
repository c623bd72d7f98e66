//! Homes that have IPv6 beside their translated IPv4.

use meshline_lab::{Home, Lab, Nat, has_tool, skipped, until};

use super::cells::{linked, talk};

/// Both are on one wire here, so a packet that is not refused is as good as there.
#[test]
fn whoever_comes_unasked_by_ipv6_is_refused() {
    let Some(lab) = Lab::with_ipv6() else { return };
    if !has_tool("curl") {
        return skipped("there is no program curl");
    }
    let [from, to]: [Home; 2] = [Nat::Sym, Nat::Port].map(|nat| lab.behind(nat).with_ipv6());
    let url = format!("http://[{}]:6003/", to.ipv6_address().expect("it was given one"));
    let mut dial = from.command("curl").args(["--max-time", "20", &url]).spawn().expect("it starts");
    until("it was refused", || if to.refused_ipv6() > 0 { Ok(()) } else { Err("nothing came".to_owned()) });
    // Its patience is of no interest.
    let _ = dial.kill();
    let _ = dial.wait();
}

#[test]
fn homes_behind_symmetric_nats_meet_by_ipv6() {
    let Some(lab) = Lab::with_ipv6() else { return };
    let homes = [lab.behind(Nat::Sym).with_ipv6(), lab.behind(Nat::Sym).with_ipv6()];
    let cell = linked(&lab, homes);
    cell.wait_until_direct();
    for of in [0, 1] {
        let address = cell.homes[1 - of].ipv6_address().expect("it was given one");
        until("the link goes by IPv6", || {
            let status = cell.members[of].status();
            let links = status["links"].as_array().cloned().unwrap_or_default();
            let link = links.iter().find(|link| link["name"] == cell.members[1 - of].name()).ok_or("not linked")?;
            let is_there = link["address"].as_str().is_some_and(|at| at.starts_with(&format!("[{address}]:")));
            if is_there { Ok(()) } else { Err(link.to_string()) }
        });
    }
    talk(&cell, "by IPv6");
}
