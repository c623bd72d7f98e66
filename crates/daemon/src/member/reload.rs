//! Reading the configuration again: what can change at once does, and what needs a restart is named.

use std::sync::Arc;

use meshline_mesh::Command;
use meshline_net::MeshHandle;
use serde_json::Value;

use super::Load;
use super::core_config::reconfiguration;
use crate::config::{MemberConfig, NodeConfig};
use crate::gateway::LocalGateway;
use crate::log::{Log, Tail};

/// Keys that take effect without a restart.
const LIVE: [&str; 14] = [
    "peers",
    "proxies",
    "signal",
    "stun",
    "max_links",
    "retries",
    "punch",
    "routing",
    "forwards",
    "expose",
    "exit",
    "socks5",
    "via",
    "log",
];

/// What of `log` does.
const LIVE_LOG: &str = "level";

/// Reads the configuration again.
pub(super) struct Reloader<T> {
    load: Load<T>,
    /// As the program was started: what needs a restart is told until it was restarted.
    started: Value,
    log: Log,
}

impl<T: MemberConfig> Reloader<T> {
    pub(super) fn new(load: Load<T>, started: &NodeConfig, log: Log) -> Self {
        Self { load, started: serde_json::to_value(started).unwrap_or_default(), log }
    }

    /// The last lines of the log.
    pub(super) fn tail(&self) -> Arc<Tail> {
        self.log.tail()
    }

    /// Applies what can be applied. A configuration with a fault changes nothing.
    pub(super) async fn reload(&mut self, mesh: &MeshHandle, gateway: &LocalGateway) {
        let config = match (self.load)() {
            Ok(effective) => effective.config.into_node(),
            Err(error) => {
                tracing::error!(target: "meshline", "configuration not reloaded: {error:#}");
                return;
            }
        };
        self.log.set_level(&config.log.level);
        let command = Command::Reconfigure(Box::new(reconfiguration(&config)));
        let _ = mesh.command(meshline_services::Command::Mesh(command)).await;
        gateway.reconfigure(&config).await;
        let needing = needing_restart(&self.started, &serde_json::to_value(&config).unwrap_or_default());
        if needing.is_empty() {
            tracing::info!(target: "meshline", "configuration reloaded");
        } else {
            tracing::warn!(target: "meshline", "configuration reloaded; changes that need a restart: {}", needing.join(", "));
        }
    }
}

/// The keys that differ and cannot change while the program runs.
fn needing_restart(started: &Value, now: &Value) -> Vec<String> {
    let Some(keys) = started.as_object() else { return Vec::new() };
    let differs = |key: &str| started.get(key) != now.get(key);
    let fixed = keys.keys().filter(|key| !LIVE.contains(&key.as_str()) && differs(key)).cloned();
    let log = started.get("log").and_then(Value::as_object).into_iter().flatten();
    let fixed_log =
        log.filter(|(key, value)| *key != LIVE_LOG && now.get("log").and_then(|log| log.get(*key)) != Some(value));
    let role = (is_exit(started) != is_exit(now)).then(|| "exit (the role, by which \"auto\" finds it)".to_owned());
    fixed.chain(fixed_log.map(|(key, _)| format!("log.{key}"))).chain(role).collect()
}

/// Whether it has a rule for the way out; only then it has the role, which its announcements name.
fn is_exit(config: &Value) -> bool {
    config.pointer("/exit/rules").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::needing_restart;

    #[test]
    fn only_keys_that_cannot_change_live_are_named() {
        let started = json!({"name": "a", "listen": ["x"], "peers": [], "log": {"level": "info", "format": "text"}});
        let live = json!({"name": "a", "listen": ["x"], "peers": ["y"], "log": {"level": "debug", "format": "text"}});
        assert!(needing_restart(&started, &live).is_empty());
        let fixed = json!({"name": "a", "listen": ["z"], "peers": [], "log": {"level": "info", "format": "json"}});
        assert_eq!(needing_restart(&started, &fixed), ["listen", "log.format"]);
    }

    #[test]
    fn rules_of_an_exit_change_live_but_not_its_role() {
        let exit = |rules: usize| json!({"exit": {"rules": vec![json!({}); rules], "listen": []}, "expose": []});
        assert!(needing_restart(&exit(1), &exit(2)).is_empty());
        for (started, now) in [(0, 1), (1, 0)] {
            let needing = needing_restart(&exit(started), &exit(now));
            assert!(matches!(needing.as_slice(), [one] if one.starts_with("exit (the role")), "{needing:?}");
        }
    }
}
