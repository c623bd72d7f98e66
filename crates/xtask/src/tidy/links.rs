//! Rule: a relative link in a Markdown file points at a file or folder that is there.

use std::path::Path;

use super::Finding;
use super::source::numbered;
use crate::workspace;

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for path in workspace::files(root, &["md"])? {
        let text = workspace::read(root, &path)?;
        let dead = links(&text).into_iter().filter(|(_, target)| !exists(root, &path, target));
        findings.extend(
            dead.map(|(line, target)| Finding::new(&path, line, format!("the link to `{target}` leads nowhere"))),
        );
    }
    Ok(findings)
}

/// A target that begins with `/` counts from the root, any other from the folder of its file.
fn exists(root: &Path, page: &str, target: &str) -> bool {
    match target.strip_prefix('/') {
        Some(from_root) => root.join(from_root).exists(),
        None => root.join(page).parent().is_some_and(|folder| folder.join(target).exists()),
    }
}

/// Line and target of every relative link outside code, without its `#section`.
pub(super) fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_fence = false;
    for (number, line) in numbered(text) {
        if is_fence(line) {
            in_fence = !in_fence;
        } else if !in_fence {
            let targets = inline_targets(&without_code(line)).into_iter().chain(definition_target(line));
            found.extend(targets.filter_map(|target| file_part(&target).map(|path| (number, path))));
        }
    }
    found
}

fn is_fence(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
}

/// The line without its `code` spans, which are every second piece between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// `[text](target)` and `![text](target "title")`.
fn inline_targets(line: &str) -> Vec<String> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// `[label]: target`
fn definition_target(line: &str) -> Option<String> {
    let (label, target) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
    (!label.contains(']')).then(|| target.to_owned())
}

/// The path of a relative link; nothing for another scheme or a section of the same page.
fn file_part(target: &str) -> Option<String> {
    let target = target.split_whitespace().next()?.trim_matches(['<', '>']);
    let path = target.split('#').next()?;
    let elsewhere = path.contains("://") || path.starts_with("mailto:");
    (!path.is_empty() && !elsewhere).then(|| path.to_owned())
}
