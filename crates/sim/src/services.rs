//! Having nodes offer services, and reading their directories.

use meshline_protocol::message::{Health, OfferedService};
use meshline_protocol::{Code, NodeId};
use meshline_services::discovery::{Command as Ask, Entry, Event as Told, Filter, Reply as Answer, Report};
use meshline_services::{Command, Event, Reply};

use crate::world::World;

/// A service as tests offer it.
///
/// # Panics
/// If name or kind are none.
#[must_use]
pub fn offered(name: &str, kind: &str, health: Health) -> OfferedService {
    let (Ok(name), Ok(kind)) = (name.parse(), kind.parse()) else { panic!("{name} or {kind} is none") };
    OfferedService { name, kind, port: 80, text: Default::default(), health }
}

impl World {
    fn ask_directory(&mut self, node: usize, ask: Ask) -> Answer {
        match self.command(node, Command::Discovery(ask)) {
            Reply::Discovery(answer) => answer,
            other @ (Reply::Mesh(_) | Reply::Chat(_)) => panic!("not of the directory: {other:?}"),
        }
    }

    /// Has a node offer these services and no others.
    ///
    /// # Errors
    /// Why it refuses.
    ///
    /// # Panics
    /// If it does not run.
    pub fn offer(&mut self, node: usize, services: Vec<OfferedService>) -> Result<(), Code> {
        match self.ask_directory(node, Ask::Offer(services)) {
            Answer::Offered => Ok(()),
            Answer::Refused { code, .. } => Err(code),
            other @ (Answer::Listed(_) | Answer::Report(_)) => panic!("no answer to an offer: {other:?}"),
        }
    }

    /// Has a node offer web servers by these names.
    ///
    /// # Panics
    /// If it refuses.
    pub fn offer_named(&mut self, node: usize, names: &[String]) {
        let services = names.iter().map(|name| offered(name, "_http._tcp", Health::Up)).collect();
        assert_eq!(self.offer(node, services), Ok(()), "node {node}");
    }

    /// The services a node knows.
    ///
    /// # Panics
    /// If it does not run.
    pub fn services(&mut self, node: usize) -> Vec<Entry> {
        self.services_by(node, Filter::default())
    }

    /// Those of a name or a kind.
    ///
    /// # Panics
    /// If it does not run.
    pub fn services_by(&mut self, node: usize, filter: Filter) -> Vec<Entry> {
        match self.ask_directory(node, Ask::List(filter)) {
            Answer::Listed(entries) => entries,
            other @ (Answer::Offered | Answer::Report(_) | Answer::Refused { .. }) => panic!("no list: {other:?}"),
        }
    }

    /// Name and owner of the services a node knows, in order.
    ///
    /// # Panics
    /// If it does not run.
    pub fn service_names(&mut self, node: usize) -> Vec<(String, NodeId)> {
        let mut names: Vec<_> =
            self.services(node).into_iter().map(|entry| (entry.name.to_string(), entry.member)).collect();
        names.sort();
        names
    }

    /// How much is in a node's directory.
    ///
    /// # Panics
    /// If it does not run.
    pub fn service_report(&mut self, node: usize) -> Report {
        match self.ask_directory(node, Ask::Report) {
            Answer::Report(report) => report,
            other @ (Answer::Offered | Answer::Listed(_) | Answer::Refused { .. }) => panic!("no report: {other:?}"),
        }
    }

    /// What the present run of a node told of its directory: `+`, `~` or `-` before the name of the service.
    #[must_use]
    pub fn service_news(&self, node: usize) -> Vec<String> {
        let boot = self.run_of(node).boot;
        let news = |event: &Event| match event {
            Event::Discovery(Told::Added(entry)) => Some(format!("+{}", entry.name)),
            Event::Discovery(Told::Changed(entry)) => Some(format!("~{} {}", entry.name, entry.health.name())),
            Event::Discovery(Told::Removed { entry, cause }) => Some(format!("-{} {}", entry.name, cause.name())),
            Event::Mesh(_) | Event::Chat(_) => None,
        };
        self.log(node).iter().filter(|logged| logged.boot == boot).filter_map(|logged| news(&logged.event)).collect()
    }
}
