//! The rules of a router, one function a behaviour. `wan` is the device to the outside; all others are inside.

use super::Nat;

/// What the rules depend on beside the kind.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The router's own address outside.
    pub(super) address: String,
    /// Addresses inside, as a prefix.
    pub(super) lan: String,
    /// After how many idle seconds a mapping that is open to others is forgotten.
    pub(super) forgets_s: u64,
    /// What another table forwards gets in.
    pub(super) forwards: bool,
}

/// Rules by the chain they stand in.
#[derive(Debug, Default)]
struct Chains {
    /// Sets and maps.
    memory: String,
    /// Before a packet is routed.
    arriving: Vec<String>,
    /// Through the router.
    forwarded: Vec<String>,
    /// To the router itself.
    input: Vec<String>,
    /// On the way out.
    leaving: Vec<String>,
}

/// The whole table of a kind of router, for `nft -f -`; it takes the place of an earlier one.
pub(super) fn table(nat: Nat, place: &Place) -> String {
    let mut chains = Chains::default();
    if place.forwards {
        chains.forwarded.push("ct status dnat accept".to_owned());
    }
    match nat {
        Nat::None | Nat::Soft(_) => {}
        Nat::Firewall => only_answers(&mut chains),
        Nat::Full => {
            keep_port(&mut chains);
            remember_hosts(&mut chains, place);
            anybody_answers(&mut chains);
            only_answers(&mut chains);
        }
        Nat::Addr => {
            keep_port(&mut chains);
            remember_hosts(&mut chains, place);
            remember_destinations(&mut chains, place);
            known_addresses_answer(&mut chains);
            only_answers(&mut chains);
        }
        Nat::Port | Nat::NoUdp | Nat::Carrier | Nat::T20 | Nat::T10 => {
            keep_port(&mut chains);
            only_answers(&mut chains);
        }
        Nat::Hairpin => {
            keep_port(&mut chains);
            remember_hosts(&mut chains, place);
            turn_back(&mut chains, place);
            only_answers(&mut chains);
        }
        Nat::Sym => {
            port_by_chance(&mut chains);
            only_answers(&mut chains);
        }
        Nat::SymSeq => {
            next_port(&mut chains, place);
            only_answers(&mut chains);
        }
        Nat::SymAdm => {
            port_by_address(&mut chains, place);
            only_answers(&mut chains);
        }
        Nat::Lax => {
            keep_port(&mut chains);
            forward_only_answers(&mut chains);
        }
        Nat::Rst | Nat::RstNoUdp => {
            keep_port(&mut chains);
            refuse_aloud(&mut chains);
            only_answers(&mut chains);
        }
    }
    chains.write()
}

impl Chains {
    fn write(&self) -> String {
        let chain = |name: &str, hook: &str, rules: &[String]| match rules {
            [] => String::new(),
            rules => format!("chain {name} {{\n{hook};\n{}\n}}\n", rules.join("\n")),
        };
        [
            "table ip router {}\ndelete table ip router\ntable ip router {\ncounter refused {}\n",
            &self.memory,
            &chain("arriving", "type nat hook prerouting priority dstnat", &self.arriving),
            &chain("forwarded", "type filter hook forward priority filter", &self.forwarded),
            &chain("own", "type filter hook input priority filter", &self.input),
            &chain("leaving", "type nat hook postrouting priority srcnat", &self.leaving),
            "}\n",
        ]
        .concat()
    }
}

/// Mapping: the port is kept if it is free, and is then the same for all destinations.
fn keep_port(chains: &mut Chains) {
    chains.leaving.push(r#"oifname "wan" masquerade"#.to_owned());
}

/// Mapping: each new pair of ends gets a port by chance.
fn port_by_chance(chains: &mut Chains) {
    chains.leaving.push(r#"oifname "wan" masquerade fully-random"#.to_owned());
}

/// Mapping: each new pair of ends gets the next port. By a map, because the bare number would be taken in the byte order
/// of this machine and go in steps of 256.
fn next_port(chains: &mut Chains, place: &Place) {
    let ports: Vec<String> = (0..PORTS_IN_A_ROW).map(|n| format!("{n} : {}", FIRST_PORT + n)).collect();
    let next = format!("numgen inc mod {PORTS_IN_A_ROW} map {{ {} }}", ports.join(", "));
    chains.leaving.push(to_port(place, &next));
}

/// Mapping: the port goes by both addresses and the inner port, not by the outer port.
fn port_by_address(chains: &mut Chains, place: &Place) {
    let by_address = format!("jhash ip saddr . th sport . ip daddr mod 20000 offset {FIRST_PORT}");
    chains.leaving.push(to_port(place, &by_address));
}

/// Where counted ports begin: outside of what hosts choose themselves is not needed, being told apart is.
const FIRST_PORT: u16 = 30_000;

/// More than one attempt to punch uses, so that a row does not begin anew in the middle of it.
const PORTS_IN_A_ROW: u16 = 4000;

fn to_port(place: &Place, port: &str) -> String {
    format!(r#"oifname "wan" meta l4proto {{ tcp, udp }} snat to {} : {port}"#, place.address)
}

/// Which host uses a port: with [`keep_port`] the outer one is the inner one.
fn remember_hosts(chains: &mut Chains, place: &Place) {
    chains.memory += &format!(
        "map hosts {{\ntype inet_proto . inet_service : ipv4_addr\nflags dynamic,timeout\ntimeout {}s\nsize 65535\n}}\n",
        place.forgets_s
    );
    let update = r#"oifname "wan" update @hosts { meta l4proto . th sport : ip saddr }"#;
    chains.forwarded.push(update.to_owned());
}

/// Where a port has written to.
fn remember_destinations(chains: &mut Chains, place: &Place) {
    chains.memory += &format!(
        "set destinations {{\ntype ipv4_addr . inet_proto . inet_service\nflags dynamic,timeout\ntimeout {}s\nsize 65535\n}}\n",
        place.forgets_s
    );
    let update = r#"oifname "wan" update @destinations { ip daddr . meta l4proto . th sport }"#;
    chains.forwarded.push(update.to_owned());
}

/// Filtering: whoever writes to a port in use reaches its host.
fn anybody_answers(chains: &mut Chains) {
    chains.arriving.push(r#"iifname "wan" dnat to meta l4proto . th dport map @hosts"#.to_owned());
    chains.forwarded.push("ct status dnat accept".to_owned());
}

/// Filtering: so does whoever has the address of somebody that port has written to.
fn known_addresses_answer(chains: &mut Chains) {
    let known = "ip saddr . meta l4proto . th dport @destinations";
    chains.arriving.push(format!(r#"iifname "wan" {known} dnat to meta l4proto . th dport map @hosts"#));
    chains.forwarded.push("ct status dnat accept".to_owned());
}

/// Filtering: what comes unasked ends here without a word, that to the router itself too. Were the latter let in, the
/// kernel would remember it and give its port to nobody else: that is [`Nat::Lax`].
fn only_answers(chains: &mut Chains) {
    forward_only_answers(chains);
    chains.input.push("ct state established,related accept".to_owned());
    chains.input.push(r#"iifname "wan" counter name refused drop"#.to_owned());
}

fn forward_only_answers(chains: &mut Chains) {
    chains.forwarded.push("ct state established,related accept".to_owned());
    chains.forwarded.push(r#"iifname "wan" counter name refused drop"#.to_owned());
}

/// Filtering: what comes unasked is refused so that its sender hears it.
fn refuse_aloud(chains: &mut Chains) {
    let unasked = r#"iifname "wan" ct state new"#;
    chains.input.push(format!("{unasked} meta l4proto tcp counter name refused reject with tcp reset"));
    chains.input.push(format!("{unasked} counter name refused reject"));
}

/// Hairpin: who writes from inside to a public port in use reaches its host, and seems to come from outside. The
/// router remembers for each port the last host that used it, and lets everybody inside in: an exact filter for these
/// is nothing that rules can do.
fn turn_back(chains: &mut Chains, place: &Place) {
    let Place { address, lan, .. } = place;
    let inner = format!(r#"iifname != "wan" ip daddr {address}"#);
    chains.arriving.push(format!("{inner} dnat to meta l4proto . th dport map @hosts"));
    chains.forwarded.push("ct status dnat accept".to_owned());
    chains.leaving.push(format!(r#"oifname != "wan" ip saddr {lan} ct status dnat snat to {address}"#));
}

/// A table of its own in which no UDP passes, neither through a router nor to or from a host.
pub(super) const NO_UDP: &str = r#"
table ip no_udp {}
delete table ip no_udp
table ip no_udp {
    chain forwarded { type filter hook forward priority filter - 10; meta l4proto udp drop
    }
    chain input { type filter hook input priority filter - 10; iifname "wan" meta l4proto udp drop
    }
    chain output { type filter hook output priority filter - 10; oifname "wan" meta l4proto udp drop
    }
}
"#;

/// Takes [`NO_UDP`] away.
pub(super) const UDP_AGAIN: &str = "table ip no_udp {}\ndelete table ip no_udp\n";

/// A table of its own that counts the packets to an address.
pub(super) fn watch(address: &str) -> String {
    format!(
        "table ip watch {{}}
         delete table ip watch
         table ip watch {{
             counter seen {{}}
             chain leaving {{
                 type filter hook postrouting priority filter;
                 oifname \"wan\" ip daddr {address} counter name seen
             }}
         }}\n"
    )
}
