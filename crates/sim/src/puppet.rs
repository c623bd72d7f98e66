//! A stranger with a connection: it says whatever a test wants said.

use std::sync::Arc;

use meshline_identity::{KeyPair, sign};
use meshline_mesh::{LinkId, LinkOpened, Transport};
use meshline_protocol::limits::PROTOCOL_VERSION;
use meshline_protocol::message::{Announcement, ErrorMessage, Hello, RecordText, Role};
use meshline_protocol::{Address, Bounded, Code, Encoding, Frame, Message, Ping, SignedRecord};

use crate::network::{Content, PUPPET};
use crate::schedule::Run;
use crate::wire::Cargo;
use crate::world::World;

/// The far end of a connection to a node.
#[derive(Debug)]
pub struct Puppet {
    /// The key it proved.
    pub key: KeyPair,
    /// The node's end.
    pub link: LinkId,
    own: LinkId,
}

impl World {
    /// Connects a puppet with a node. Its frames are not written and read even in a world that does so.
    pub fn puppet(&mut self, node: usize) -> Puppet {
        let key = KeyPair::from_secret(self.rng.bytes());
        self.puppet_with(node, key)
    }

    /// Connects a puppet that proves a given key.
    pub fn puppet_with(&mut self, node: usize, key: KeyPair) -> Puppet {
        let [own, link] = self.network.connect([Run { node: PUPPET, boot: 0 }, self.run_of(node)], None);
        let remote: Address = address_of_puppet(own);
        let opened = LinkOpened {
            link,
            dial: None,
            transport: Transport::Tcp,
            local: crate::address(node),
            remote,
            proved: Some(key.id()),
            through: None,
            spent_us: 0,
        };
        self.network.post(link, self.now, Content::Opened(Box::new(opened)), &mut self.schedule);
        Puppet { key, link, own }
    }

    /// Has a puppet send a message.
    pub fn puppet_send(&mut self, puppet: &Puppet, frame: impl Into<Frame>) {
        let at = self.later();
        self.network.send(puppet.own, &Arc::new(frame.into()), at, &mut self.schedule);
    }

    /// Has a puppet close its connection.
    pub fn puppet_close(&mut self, puppet: &Puppet) {
        self.close_end(puppet.own);
    }

    /// What a puppet was sent.
    #[must_use]
    pub fn puppet_got(&self, puppet: &Puppet) -> Vec<&Message> {
        self.puppet_mail.iter().filter(|(link, _)| *link == puppet.own).map(|(_, frame)| &frame.message).collect()
    }

    /// The last refusal a puppet was sent.
    #[must_use]
    pub fn puppet_refusal(&self, puppet: &Puppet) -> Option<Code> {
        self.puppet_got(puppet).into_iter().rev().find_map(|message| {
            let Message::Error(ErrorMessage { code, .. }) = message else { return None };
            Some(*code)
        })
    }

    pub(crate) fn puppet_parcel(&mut self, link: LinkId, content: Content) {
        match content {
            Content::Frame(Cargo::Frame(frame)) => self.puppet_mail.push((link, (*frame).clone())),
            Content::Closed(_) => self.close_end(link),
            Content::Opened(_) | Content::Frame(Cargo::Bytes(_)) => {}
        }
    }

    /// A hello that a node would accept, for a test to spoil.
    ///
    /// # Panics
    /// Never: the text can be written.
    #[must_use]
    pub fn puppet_hello(&self, key: &KeyPair) -> Hello {
        Hello {
            network: self.network_id(),
            version: PROTOCOL_VERSION,
            id: key.id(),
            time: self.wall(),
            ping: Ping::UNKNOWN,
            announcement: self.puppet_announcement(key, &self.announcement_text()),
            encoding: Encoding::Json,
            revocations: 0,
            agent: "puppet".to_owned(),
        }
    }

    /// The text of an announcement without a membership, for a test to spoil.
    ///
    /// # Panics
    /// Never: the name is one.
    #[must_use]
    pub fn announcement_text(&self) -> Announcement {
        Announcement {
            kind: Announcement::TYPE.to_owned(),
            network: self.network_id(),
            seq: self.wall(),
            expires: self.wall().offset(3_600_000_000),
            name: match "puppet".parse() {
                Ok(name) => name,
                Err(error) => panic!("{error}"),
            },
            roles: Bounded::from_first([Role::Node]),
            addresses: Bounded::default(),
            next: None,
            membership: None,
        }
    }

    /// Signs an announcement with a puppet's key.
    ///
    /// # Panics
    /// Never: the text can be written.
    #[must_use]
    pub fn puppet_announcement(&self, key: &KeyPair, text: &Announcement) -> SignedRecord {
        match sign(text, key) {
            Ok(record) => record,
            Err(error) => panic!("{error}"),
        }
    }
}

fn address_of_puppet(link: LinkId) -> Address {
    match format!("puppet:{}", 1 + link.0 % 60_000).parse() {
        Ok(address) => address,
        Err(error) => panic!("{error}"),
    }
}
