//! The forwards there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meshline_protocol::{Code, NodeId, Target};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Forward, ForwardConfig, Origin, Running};
use crate::counters::{Counters, Traffic};
use crate::limits::MAX_FORWARDS;
use crate::refusal::{Refusal, refuse};

/// How a forward stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardState {
    /// It listens there.
    Listening(Target),
    /// A reverse forward: the peer is asked to listen.
    Asking,
    /// It could not begin; of a reverse forward, it is tried again.
    Refused(Refusal),
}

/// A forward as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ForwardRow {
    /// Its number, until the program ends.
    pub id: u32,
    /// What was asked for.
    #[serde(flatten)]
    pub forward: ForwardConfig,
    /// What the member is called, where `peer` is its id and it is known.
    pub peer_name: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// How it stands.
    pub state: ForwardState,
    /// What went through it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// All forwards of this member.
#[derive(Default)]
pub(crate) struct Forwards(Mutex<Table>);

#[derive(Default)]
struct Table {
    last: u32,
    entries: BTreeMap<u32, Entry>,
}

struct Entry {
    forward: Forward,
    counters: Arc<Counters>,
    /// Who was asked to listen for us.
    asked: Option<NodeId>,
    running: Result<Running, Refusal>,
}

impl Forwards {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a forward that is about to begin.
    pub(crate) fn reserve(&self, forward: &Forward) -> Result<(u32, Arc<Counters>), Refusal> {
        let mut table = self.lock();
        if table.entries.len() >= MAX_FORWARDS {
            return Err(refuse(Code::TooManyStreams, format!("there are {MAX_FORWARDS} forwards already")));
        }
        table.last += 1;
        let (id, counters) = (table.last, Arc::new(Counters::default()));
        let running = Err(refuse(Code::NotNeeded, "it has not begun yet"));
        table
            .entries
            .insert(id, Entry { forward: forward.clone(), counters: Arc::clone(&counters), asked: None, running });
        Ok((id, counters))
    }

    /// What became of it. One that stays is listed with its fault.
    pub(crate) fn settle(&self, id: u32, outcome: Result<Running, Refusal>, stays: bool) -> Result<(), Refusal> {
        let mut table = self.lock();
        let fault = outcome.as_ref().err().cloned();
        let Some(entry) = table.entries.get_mut(&id) else {
            // Removed meanwhile.
            stop(outcome);
            return Ok(());
        };
        entry.running = outcome;
        match fault {
            None => Ok(()),
            Some(refusal) => {
                entry.counters.refused(refusal.clone());
                if !stays {
                    table.entries.remove(&id);
                }
                Err(refusal)
            }
        }
    }

    /// Ends a forward. Connections that are open live on.
    pub(crate) fn remove(&self, id: u32, origin: Origin) -> Result<ForwardConfig, Refusal> {
        let mut table = self.lock();
        match table.entries.get(&id).map(|entry| entry.forward.origin) {
            None => Err(refuse(Code::NoSuchService, format!("there is no forward {id}"))),
            Some(found) if found != origin => {
                Err(refuse(Code::Forbidden, format!("forward {id} is configured: it goes when the file changes")))
            }
            Some(_) => {
                let entry = table.entries.remove(&id);
                let entry = entry.ok_or_else(|| refuse(Code::NoSuchService, format!("there is no forward {id}")))?;
                stop(entry.running);
                Ok(entry.forward.config)
            }
        }
    }

    /// Notes who was asked for the listener of a reverse forward.
    pub(crate) fn expect_from(&self, id: u32, peer: NodeId) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            entry.asked = Some(peer);
        }
    }

    /// What a connection to a listener goes to, if that member was asked for it.
    pub(crate) fn asked_for(&self, peer: NodeId, id: u32) -> Option<(Target, Arc<Counters>)> {
        let table = self.lock();
        let entry = table.entries.get(&id).filter(|entry| entry.asked == Some(peer))?;
        Some((entry.forward.config.target.clone()?, Arc::clone(&entry.counters)))
    }

    /// Counts a refusal of a forward and hands it back.
    pub(crate) fn refused(&self, id: u32, refusal: Refusal) -> Refusal {
        if let Some(entry) = self.lock().entries.get(&id) {
            entry.counters.refused(refusal.clone());
        }
        refusal
    }

    pub(crate) fn rows(&self) -> Vec<ForwardRow> {
        let row = |(id, entry): (&u32, &Entry)| ForwardRow {
            id: *id,
            forward: entry.forward.config.clone(),
            peer_name: None,
            origin: entry.forward.origin,
            state: match &entry.running {
                Ok(running) => running.state.borrow().clone(),
                Err(refusal) => ForwardState::Refused(refusal.clone()),
            },
            traffic: entry.counters.traffic(),
        };
        self.lock().entries.iter().map(row).collect()
    }

    /// Ends all of them.
    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut self.lock().entries);
        entries.into_values().for_each(|entry| stop(entry.running));
    }
}

fn stop(running: Result<Running, Refusal>) {
    if let Ok(running) = running {
        running.task.abort();
    }
}
