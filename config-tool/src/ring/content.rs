//! The content of every file of a ring.

use std::path::Path;

use anyhow::Result;
use meshline_daemon::files::{self, Access};
use meshline_identity::KeyPair;
use meshline_protocol::message::Role;
use meshline_protocol::{Address, Name, NetworkId, NodeId};
use serde_json::{Value, json};

use super::plan::{Plan, PlannedNode};
use super::scripts;
use crate::members::{Authority, Grant};
use crate::network;
use crate::roles::{FileNames, Members, render};

/// A year, as all memberships by default.
const DAYS: u16 = 365;

/// The genesis file of the ledger, beside the configurations of the members that have or follow it.
const GENESIS: &str = "genesis.json";

/// A file to be written, its name relative to the folder.
#[derive(Clone)]
pub(super) struct OutFile {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) access: Access,
}

impl OutFile {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>, access: Access) -> Self {
        Self { name: name.into(), bytes: bytes.into(), access }
    }

    fn below(&self, folder: &str) -> Self {
        Self { name: format!("{folder}/{}", self.name), ..self.clone() }
    }
}

/// All files of a ring, and who its nodes are.
pub(super) struct Content {
    pub(super) network: NetworkId,
    pub(super) ids: Vec<NodeId>,
    pub(super) files: Vec<OutFile>,
}

impl Content {
    pub(super) fn new(dir: &Path, plan: &Plan) -> Result<Self> {
        let authority = Authority::new(&dir.join("network.key"))?;
        let network = match &plan.open {
            None => authority.network().clone(),
            Some(name) => open_network(name.as_deref())?,
        };
        let mut writer = Writer { plan, authority, network, ids: Vec::new(), files: Vec::new() };
        writer.nodes()?;
        writer.signal_and_proxy()?;
        let view = writer.member("view.json", &plan.view_name, Role::View, &writer.view_keys())?;
        writer.files.extend(view);
        writer.network(dir)?;
        Ok(Self { network: writer.network, ids: writer.ids, files: writer.files })
    }
}

/// Eight characters of a random id: nobody else's ring has the same name by accident.
fn open_network(name: Option<&str>) -> Result<NetworkId> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => format!("ring-{}", NodeId::from_bytes(files::random_bytes()?).short()),
    };
    Ok(name.parse()?)
}

struct Writer<'a> {
    plan: &'a Plan,
    authority: Authority,
    network: NetworkId,
    ids: Vec<NodeId>,
    files: Vec<OutFile>,
}

impl Writer<'_> {
    fn nodes(&mut self) -> Result<()> {
        let program = scripts::beside("node");
        let plan = self.plan;
        for node in &plan.nodes {
            let mut files = self.member(&node.config(), &node.name, Role::Node, &self.node_keys(node))?;
            files.extend(plan.ledger.as_ref().map(|text| OutFile::new(GENESIS, text.as_bytes(), Access::Public)));
            files.push(OutFile::new(node.script(), scripts::start(node, &program), Access::Program));
            self.put(&files, &node.folder());
        }
        Ok(())
    }

    fn signal_and_proxy(&mut self) -> Result<()> {
        let plan = self.plan;
        let mut files = Vec::new();
        if plan.signal.is_some() {
            let keys = vec![("listen", json!([plan.signal_listen])), ("networks", json!([self.network]))];
            files.push(OutFile::new("signal-server.json", render(&keys), Access::Public));
        }
        files.extend(self.member("proxy.json", &plan.proxy_name, Role::Proxy, &self.proxy_keys())?);
        self.put(&files, &plan.signal_folder());
        Ok(())
    }

    /// Everything into the folder itself, and again into that of its host.
    fn put(&mut self, files: &[OutFile], host: &str) {
        let is_new = |file: &&OutFile| self.files.iter().all(|other| other.name != file.name);
        let own: Vec<OutFile> = files.iter().filter(is_new).cloned().collect();
        self.files.extend(own);
        self.files.extend(files.iter().map(|file| file.below(host)));
    }

    fn network(&mut self, dir: &Path) -> Result<()> {
        let names: Vec<String> = self.plan.nodes.iter().map(|node| node.name.to_string()).collect();
        let document = network::document(&self.network, self.authority.network(), &names);
        self.files.push(OutFile::new("network.json", format!("{document:#}\n"), Access::Public));
        for (path, bytes, access) in self.authority.files()? {
            let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
            self.files.push(OutFile::new(name, bytes, access));
        }
        Ok(())
    }

    /// Key, membership and configuration of a member.
    fn member(&mut self, config: &str, name: &Name, role: Role, own: &Members) -> Result<Vec<OutFile>> {
        let names = FileNames::beside(Path::new(config));
        let key = files::new_key()?;
        if role == Role::Node {
            self.ids.push(key.id());
        }
        let mut files = vec![OutFile::new(&names.key, key.to_pem()?, Access::Private)];
        let mut members = vec![("name", json!(name)), ("key_file", json!(names.key)), ("network", json!(self.network))];
        if !self.network.is_open() {
            members.push(("membership", json!(names.membership)));
            files.push(self.membership(&names, &key, name, role)?);
        }
        members.extend(own.iter().cloned());
        members.push(("data_dir", json!(names.data)));
        files.insert(0, OutFile::new(config, render(&members), Access::Public));
        Ok(files)
    }

    fn membership(&mut self, names: &FileNames, key: &KeyPair, name: &Name, role: Role) -> Result<OutFile> {
        let grant = Grant { node: key.id(), name: name.clone(), roles: vec![role], days: DAYS };
        let record = self.authority.admit(&grant)?;
        Ok(OutFile::new(&names.membership, format!("{}\n", serde_json::to_string(&record)?), Access::Public))
    }

    fn node_keys(&self, node: &PlannedNode) -> Members {
        let mut keys = vec![
            ("listen", json!([node.listen])),
            ("topology", self.topology()),
            ("next", json!(node.next)),
            ("signal", json!(self.signal())),
            ("proxies", self.proxies()),
            ("peers", json!(node.peers)),
            ("http", json!(node.http)),
        ];
        keys.extend(self.ledger_key());
        keys.extend(self.open_key(&node.listen));
        keys
    }

    fn proxy_keys(&self) -> Members {
        let mut keys = vec![
            ("listen", json!([self.plan.proxy_listen])),
            ("signal", json!(self.signal())),
            ("peers", json!(self.peers_of_outsiders())),
        ];
        keys.extend(self.open_key(&self.plan.proxy_listen));
        keys
    }

    fn view_keys(&self) -> Members {
        let mut keys = vec![
            ("signal", json!(self.signal())),
            ("proxies", self.proxies()),
            ("peers", json!(self.peers_of_outsiders())),
        ];
        keys.extend(self.ledger_key());
        keys
    }

    fn ledger_key(&self) -> Option<(&'static str, Value)> {
        self.plan.ledger.as_ref().map(|_| ("ledger", json!({"genesis": GENESIS})))
    }

    fn topology(&self) -> Value {
        json!(if self.plan.ring { "ring" } else { "mesh" })
    }

    fn signal(&self) -> Vec<&String> {
        self.plan.signal.iter().collect()
    }

    /// Without a signal server a proxy is not part of the start, and nobody should wait for it.
    fn proxies(&self) -> Value {
        let reachable = self.plan.with_proxy && self.plan.signal.is_some() && !self.plan.proxy_is_everywhere();
        if reachable { json!([self.plan.proxy_listen]) } else { Value::Null }
    }

    /// Those who are no nodes find the network through a few of them where there is no signal server.
    fn peers_of_outsiders(&self) -> Vec<&Address> {
        if self.plan.signal.is_some() { Vec::new() } else { self.plan.reachable() }
    }

    fn open_key(&self, listen: &Address) -> Option<(&'static str, Value)> {
        (self.network.is_open() && !listen.is_loopback()).then_some(("open", json!(true)))
    }
}
