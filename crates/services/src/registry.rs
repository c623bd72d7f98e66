//! What the services can be asked, what they answer and what they tell: one line a service.

use crate::{chat, discovery};

/// Something somebody on this machine wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// Of the mesh itself.
    Mesh(meshline_mesh::Command),
    /// Of the chat.
    Chat(chat::Command),
    /// Of the directory of services.
    Discovery(discovery::Command),
}

/// The reply to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Of the mesh itself.
    Mesh(meshline_mesh::Reply),
    /// Of the chat.
    Chat(chat::Reply),
    /// Of the directory of services.
    Discovery(discovery::Reply),
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Of the mesh itself.
    Mesh(meshline_mesh::Event),
    /// Of the chat.
    Chat(chat::Event),
    /// Of the directory of services.
    Discovery(discovery::Event),
}
