//! Looking at the links now and then: what goes over them without the core is told to it.

use std::time::Duration;

use meshline_mesh::{Input, LinkId, LinkMeasured, Mono};

use super::run::Driver;
use crate::core::Core;

/// Between looks while a link carries datagrams: as often as the core asks such a link.
const BUSY: Duration = Duration::from_millis(100);

/// Between looks otherwise. A look at a link at rest compares a few numbers.
const IDLE: Duration = Duration::from_millis(500);

impl<C: Core> Driver<C> {
    /// When the links are to be looked at if something is sent over one: in time for the core, which then asks it.
    pub(super) fn next_busy_look(&self) -> Mono {
        self.context.clock.now().mono.after(BUSY)
    }

    /// Tells the core what is known of a link.
    pub(super) fn look_at(&mut self, id: LinkId) {
        let now = self.context.clock.now().mono;
        let measured = self.links.get_mut(&id).and_then(|link| link.look(&self.asker, now));
        if let Some(measured) = measured {
            self.step(Input::LinkMeasured { link: id, measured });
        }
    }

    /// Tells the core what is new of its links. Returns when to look again.
    pub(super) fn look(&mut self) -> Mono {
        let now = self.context.clock.now().mono;
        let asker = &self.asker;
        let news: Vec<(LinkId, LinkMeasured)> =
            self.links.iter_mut().filter_map(|(id, link)| Some((*id, link.look(asker, now)?))).collect();
        for (link, measured) in news {
            self.step(Input::LinkMeasured { link, measured });
        }
        let is_busy = self.links.values().any(|link| link.is_carrying(now));
        now.after(if is_busy { BUSY } else { IDLE })
    }
}
