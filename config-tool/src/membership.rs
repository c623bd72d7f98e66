//! `invite` and `revoke`: what the network key signs for one member.

use anyhow::Result;
use meshline_daemon::config::now;
use meshline_daemon::exit::Stop;
use meshline_daemon::files;
use meshline_identity::JoinRequest;
use meshline_protocol::message::Role;

use crate::cli::{InviteArgs, RevokeArgs};
use crate::members::{Authority, Grant};
use crate::network::refuse_overwriting;
use crate::report::Report;

/// Answers a request to join.
pub(crate) fn invite(args: &InviteArgs) -> Result<Report> {
    refuse_overwriting(&args.out, [&args.out.out])?;
    let mut authority = Authority::open(&args.network_key)?;
    let record = files::read_record(&args.request).map_err(|error| Stop::usage(error.to_string()))?;
    let request = JoinRequest::verify(&record, authority.network(), now())
        .map_err(|error| Stop::usage(format!("{}: {error}", args.request.display())))?;
    let grant = grant(args, &request)?;
    let membership = authority.admit(&grant)?;
    authority.save()?;
    files::write_record(&args.out.out, &membership)?;
    let text = format!(
        "{} is a member as {} ({}) for {} days.\nBring {} to its host and take it in there:  node apply FILE --config …",
        grant.node,
        grant.name,
        words(&grant.roles),
        grant.days,
        args.out.out.display()
    );
    Ok(Report::new("invite")
        .with("out", &args.out.out)
        .with("network", authority.network())
        .with("id", grant.node)
        .with("name", grant.name)
        .with("roles", grant.roles)
        .with("days", grant.days)
        .text(text))
}

fn grant(args: &InviteArgs, request: &JoinRequest) -> Result<Grant, Stop> {
    let asked = request.text.roles.iter().copied().filter(|role| *role != Role::Other);
    let roles: Vec<Role> =
        if args.roles.is_empty() { asked.collect() } else { args.roles.iter().map(|role| (*role).into()).collect() };
    if roles.is_empty() {
        return Err(Stop::usage(format!("{}: asks for no role; give one with --roles", args.request.display())));
    }
    let name = args.name.clone().unwrap_or_else(|| request.text.name.clone());
    Ok(Grant { node: request.node, name, roles, days: args.days })
}

fn words(roles: &[Role]) -> String {
    let words: Vec<String> = roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    words.join(", ")
}

/// Ends a membership.
pub(crate) fn revoke(args: &RevokeArgs) -> Result<Report> {
    refuse_overwriting(&args.out, [&args.out.out])?;
    let mut authority = Authority::open(&args.network_key)?;
    let node = authority.find(&args.id)?;
    let record = authority.expel(node)?;
    authority.save()?;
    files::write_record(&args.out.out, &record)?;
    let out = args.out.out.display();
    Ok(Report::new("revoke")
        .with("out", &args.out.out)
        .with("network", authority.network())
        .with("id", node)
        .text(format!("{node} is no member any more once this has spread: run  node apply {out}  on any member.")))
}
