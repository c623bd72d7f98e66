//! Virtual networks beside the mesh: nebula with the host in the middle as lighthouse and relay, and yggdrasil.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::carriers::{Begun, address, write};
use crate::bench::output;
use crate::bench::process::{Running, wait};

/// Where nebula and yggdrasil listen.
const NEBULA: u16 = 4242;
const YGGDRASIL: u16 = 9001;

/// A certificate for every host; the ends know the host in the middle, and reach each other by it.
pub(super) fn nebula(begun: &Begun<'_>, others: &mut Vec<Running>) -> Result<String, String> {
    let cert = || {
        let mut command = Command::new("nebula-cert");
        command.current_dir(begun.files);
        command
    };
    output(cert().args(["ca", "-name", "bench"]))?;
    let inner = |host: usize| format!("10.6.0.{}", host + 1);
    let middle = begun.plan.path.get(1).copied().unwrap_or_default();
    for host in begun.plan.path {
        let name = format!("host-{host}");
        output(cert().args(["sign", "-name", &name, "-ip", &format!("{}/24", inner(*host))]))?;
        let folder = begun.files.display();
        let is_middle = *host == middle;
        let known =
            if is_middle { json!({}) } else { json!({inner(middle): [format!("{}:{NEBULA}", address(middle))]}) };
        let ask = if is_middle { json!([]) } else { json!([inner(middle)]) };
        let all = json!([{"port": "any", "proto": "any", "host": "any"}]);
        let config = json!({
            "pki": {"ca": format!("{folder}/ca.crt"), "cert": format!("{folder}/{name}.crt"), "key": format!("{folder}/{name}.key")},
            "static_host_map": known,
            "lighthouse": {"am_lighthouse": is_middle, "interval": 1, "hosts": ask},
            "listen": {"host": "0.0.0.0", "port": NEBULA},
            "relay": {"am_relay": is_middle, "use_relays": true, "relays": ask},
            "tun": {"dev": "nebula1"},
            "firewall": {"outbound": all, "inbound": all},
        });
        // JSON is YAML too.
        let file = begun.files.join(format!("nebula-{host}.yml"));
        write(&file, &config.to_string())?;
        others.push(Running::start(begun.square.host(*host)?.command("nebula").arg("-config").arg(&file))?);
    }
    Ok(inner(begun.plan.far()))
}

/// The ends dial the host in the middle, once it listens: whoever is refused tries again much later.
pub(super) fn yggdrasil(begun: &Begun<'_>, others: &mut Vec<Running>) -> Result<String, String> {
    let middle = begun.plan.path.get(1).copied().unwrap_or_default();
    let mut far = String::new();
    let ends = begun.plan.path.iter().filter(|host| **host != middle);
    for host in [&middle].into_iter().chain(ends) {
        let made = output(Command::new("yggdrasil").args(["-genconf", "-json"]).stdin(Stdio::null()))?;
        let mut config: Value = serde_json::from_str(&made).map_err(|error| format!("yggdrasil: {error}"))?;
        let is_middle = *host == middle;
        let own = json!({
            "Listen": if is_middle { json!([format!("tcp://0.0.0.0:{YGGDRASIL}")]) } else { json!([]) },
            "Peers": if is_middle { json!([]) } else { json!([format!("tcp://{}:{YGGDRASIL}", address(middle))]) },
            "AdminListen": "none",
            "MulticastInterfaces": [],
        });
        if let (Some(config), Some(own)) = (config.as_object_mut(), own.as_object()) {
            config.extend(own.clone());
        }
        let file = begun.files.join(format!("yggdrasil-{host}.json"));
        write(&file, &config.to_string())?;
        let address = output(Command::new("yggdrasil").arg("-useconffile").arg(&file).arg("-address"))?;
        if *host == begun.plan.far() {
            address.trim().clone_into(&mut far);
        }
        others.push(Running::start(begun.square.host(*host)?.command("yggdrasil").arg("-useconffile").arg(&file))?);
        if is_middle {
            let listening = || begun.square.host(middle)?.run(&format!("ss -ltnH sport = :{YGGDRASIL}"));
            let listens = || listening().is_ok_and(|lines| !lines.is_empty());
            wait("yggdrasil listens", Duration::from_millis(50), listens)?;
        }
    }
    Ok(far)
}
