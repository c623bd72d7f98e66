//! `ring`: everything for a network of N nodes, in one folder.
//!
//! First the plan is made and judged, then the content of every file, then the files are written: a
//! mistake on the command line leaves nothing behind.

mod content;
mod plan;
mod scripts;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use meshline_daemon::exit::Stop;
use meshline_daemon::files;
use serde_json::{Value, json};

use self::content::Content;
use self::plan::Plan;
use crate::cli::{RingArgs, TopologyArg};
use crate::report::Report;

/// Scripts named in the advice on what to try next; more would push the rest off the screen.
const MAX_SHOWN: usize = 5;

/// Writes the folder.
pub(crate) fn run(args: &RingArgs) -> Result<Report> {
    let plan = Plan::new(args)?;
    refuse_full_folder(&args.dir, args.force)?;
    let content = Content::new(&args.dir, &plan)?;
    for file in &content.files {
        let path = args.dir.join(&file.name);
        let folder = path.parent().unwrap_or(&args.dir);
        fs::create_dir_all(folder).with_context(|| format!("{}: cannot create the folder", folder.display()))?;
        files::write(&path, &file.bytes, file.access)?;
    }
    Ok(report(args, &plan, &content))
}

/// An empty folder is fine, and so is none.
fn refuse_full_folder(dir: &Path, force: bool) -> Result<()> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Stop::usage(format!("{}: {error}", dir.display())).into()),
    };
    if force || entries.next().is_none() {
        return Ok(());
    }
    let message = format!(
        "{} is not empty: choose another --dir, or --force to write over files of the same names",
        dir.display()
    );
    Err(Stop::usage(message).into())
}

fn report(args: &RingArgs, plan: &Plan, content: &Content) -> Report {
    let nodes: Vec<Value> = plan
        .nodes
        .iter()
        .zip(&content.ids)
        .map(|(node, id)| {
            json!({
                "name": node.name, "id": id, "listen": node.listen, "http": node.http, "next": node.next,
                "config": args.dir.join(node.config()), "script": args.dir.join(node.script()),
            })
        })
        .collect();
    let files: Vec<&String> = content.files.iter().map(|file| &file.name).collect();
    Report::new("ring")
        .with("dir", &args.dir)
        .with("network", &content.network)
        .with("open", args.open)
        .with("topology", meshline_daemon::config::Topology::from(args.topology))
        .with("nodes", nodes)
        .with("signal", &plan.signal)
        .with("proxy", &plan.proxy_listen)
        .with("files", files)
        .with("warnings", &plan.warnings)
        .text(advice(args, plan, content))
        .warnings(plan.warnings.iter().map(|warning| format!("config-tool: warning: {warning}")))
}

fn advice(args: &RingArgs, plan: &Plan, content: &Content) -> String {
    let form = if args.topology == TopologyArg::Ring { "ring" } else { "mesh" };
    let kind = if args.open { "open" } else { "closed" };
    let path = |name: &str| scripts::word(&args.dir.join(name).to_string_lossy());
    let program = |name: &str| scripts::word(&scripts::callable(name).to_string_lossy());
    let mut lines = vec![
        format!(
            "Wrote {}: a {form} of {} on the {kind} network {}.",
            args.dir.display(),
            count(plan.nodes.len()),
            content.network
        ),
        "Start each in a terminal of its own:".to_owned(),
    ];
    if plan.signal.is_some() {
        lines.push(format!("  {} --config {}", program("signal-server"), path("signal-server.json")));
    }
    lines.extend(plan.nodes.iter().take(MAX_SHOWN).map(|node| format!("  {}", path(&node.script()))));
    if plan.nodes.len() > MAX_SHOWN {
        lines.push(format!("  … and {} more", plan.nodes.len() - MAX_SHOWN));
    }
    if plan.with_proxy {
        lines.push("And a proxy, for those who cannot reach each other:".to_owned());
        lines.push(format!("  {} --config {}", program("proxy"), path("proxy.json")));
    }
    lines.push("Then type m and a message in one of them, or see".to_owned());
    lines.push(format!("  {} status --config {}", program("node"), path("node-1.json")));
    if !plan.is_local() {
        lines.push(format!("Other hosts: copy {} … there and start the script in it.", path("host-1")));
    }
    lines.join("\n")
}

fn count(nodes: usize) -> String {
    if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") }
}
