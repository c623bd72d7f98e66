//! The configuration of one role alone: `node`, `view`, `proxy`, `signal-server`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use meshline_daemon::config::{
    Document, Input, NodeConfig, Program, ProxyConfig, Settings, SignalServerConfig, ViewConfig,
};
use meshline_daemon::config::{evaluate, now};
use meshline_daemon::exit::Stop;
use meshline_daemon::files::{self, Access};
use meshline_daemon::ledger::read_genesis;
use meshline_protocol::NetworkId;
use meshline_protocol::message::Role;
use serde_json::{Value, json};

use crate::cli::{MemberArgs, NodeArgs, ProxyArgs, SignalServerArgs, ViewArgs};
use crate::members::{Authority, Grant};
use crate::network::refuse_overwriting;
use crate::report::Report;

/// The members of a configuration in the order in which they are written.
pub(crate) type Members = Vec<(&'static str, Value)>;

/// One key a line: to be read and changed by people.
pub(crate) fn render(members: &Members) -> String {
    let lines: Vec<String> = members
        .iter()
        .filter(|(_, value)| !matches!(value, Value::Null) && value.as_array().is_none_or(|items| !items.is_empty()))
        .map(|(key, value)| format!("  \"{key}\": {}", spaced(value)))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn spaced(value: &Value) -> String {
    match value.as_array() {
        Some(items) => format!("[{}]", items.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        None => value.to_string(),
    }
}

/// Writes the configuration of a signal server.
pub(crate) fn signal_server(args: &SignalServerArgs) -> Result<Report> {
    let out = &args.out.out;
    refuse_overwriting(&args.out, [out])?;
    let members = vec![("listen", json!(args.listen)), ("networks", json!(args.networks))];
    write_checked::<SignalServerConfig>(out, &members)?;
    Ok(written(Program::SignalServer, out).text(format!("Start it with  signal-server --config {}", out.display())))
}

/// Writes the configuration of a node.
pub(crate) fn node(args: &NodeArgs) -> Result<Report> {
    let mut own = vec![("listen", json!(args.listen)), ("next", json!(args.next)), ("http", json!(args.http))];
    own.extend(ledger(args.ledger.as_deref())?);
    member::<NodeConfig>(&args.member, Role::Node, own, "node run")
}

/// Writes the configuration of a view.
pub(crate) fn view(args: &ViewArgs) -> Result<Report> {
    let own = ledger(args.ledger.as_deref())?.into_iter().collect();
    member::<ViewConfig>(&args.member, Role::View, own, "view run")
}

/// The key that names a genesis file, which is judged.
fn ledger(genesis: Option<&Path>) -> Result<Option<(&'static str, Value)>> {
    let Some(genesis) = genesis else { return Ok(None) };
    read_genesis(genesis).map_err(|error| Stop::usage(error.to_string()))?;
    Ok(Some(("ledger", json!({"genesis": std::path::absolute(genesis)?}))))
}

/// Writes the configuration of a proxy.
pub(crate) fn proxy(args: &ProxyArgs) -> Result<Report> {
    member::<ProxyConfig>(&args.member, Role::Proxy, vec![("listen", json!(args.listen))], "proxy")
}

fn member<T: Settings>(args: &MemberArgs, role: Role, own: Members, start: &str) -> Result<Report> {
    let out = &args.out.out;
    let names = FileNames::beside(out);
    let mut paths = vec![out.clone()];
    if args.network_key.is_some() {
        paths.extend([names.path(&names.key), names.path(&names.membership)]);
    }
    refuse_overwriting(&args.out, &paths)?;
    let (network, text) = match (&args.network_key, &args.network) {
        (Some(key), _) => (make_member(args, role, key, &names)?, String::new()),
        (None, Some(network)) => (network.clone(), how_to_join(network, out)),
        // The command line asks for one of the two.
        (None, None) => anyhow::bail!("--network or --network-key is missing"),
    };
    write_checked::<T>(out, &members(args, &network, &names, own))?;
    let text = format!("{text}Start it with  {start} --config {}", out.display());
    Ok(written(T::PROGRAM, out).with("network", network).with("name", &args.name).text(text))
}

/// The files of one member, by the name of its configuration.
pub(crate) struct FileNames {
    folder: PathBuf,
    pub(crate) key: String,
    pub(crate) membership: String,
    pub(crate) data: String,
}

impl FileNames {
    pub(crate) fn beside(config: &Path) -> Self {
        let stem = config.file_stem().unwrap_or_default().to_string_lossy();
        Self {
            folder: config.parent().map(Path::to_path_buf).unwrap_or_default(),
            key: format!("{stem}.key"),
            membership: format!("{stem}.membership.json"),
            data: format!("{stem}.data"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Makes key and membership of a new member.
fn make_member(args: &MemberArgs, role: Role, network_key: &Path, names: &FileNames) -> Result<NetworkId> {
    let mut authority = Authority::open(network_key)?;
    let key = files::new_key()?;
    let grant = Grant { node: key.id(), name: args.name.clone(), roles: vec![role], days: args.days };
    let membership = authority.admit(&grant)?;
    authority.save()?;
    files::write(&names.path(&names.key), key.to_pem()?.as_bytes(), Access::Private)?;
    files::write_record(&names.path(&names.membership), &membership)?;
    Ok(authority.network().clone())
}

fn how_to_join(network: &NetworkId, out: &Path) -> String {
    if network.is_open() {
        return String::new();
    }
    format!(
        "Ask for a membership with  node join --config {},  and have the request answered with  config-tool invite.\n",
        out.display()
    )
}

fn members(args: &MemberArgs, network: &NetworkId, names: &FileNames, own: Members) -> Members {
    let topology = meshline_daemon::config::Topology::from(args.topology);
    let membership = (!network.is_open()).then_some(&names.membership);
    let mut members = vec![
        ("name", json!(args.name)),
        ("key_file", json!(names.key)),
        ("network", json!(network)),
        ("membership", json!(membership)),
        ("topology", json!(topology)),
    ];
    members.extend(own);
    members.extend([
        ("signal", json!(args.signal)),
        ("proxies", json!(args.proxies)),
        ("peers", json!(args.peers)),
        ("data_dir", json!(names.data)),
    ]);
    if args.open {
        members.push(("open", json!(true)));
    }
    members
}

/// Writes a configuration only if the program will accept it.
fn write_checked<T: Settings>(out: &Path, members: &Members) -> Result<()> {
    let text = render(members);
    let input = Input { file: Some(Document::parse(out, &text)?), ..Input::default() };
    evaluate::<T>(&input, now())?;
    files::write(out, text.as_bytes(), Access::Public)?;
    Ok(())
}

fn written(program: Program, out: &Path) -> Report {
    Report::new("config").with("role", program.name()).with("out", out)
}
