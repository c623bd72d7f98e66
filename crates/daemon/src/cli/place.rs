//! Which member a command is for.

use std::path::PathBuf;

use clap::Args;

use super::client::Client;
use crate::config::{self, Document, Effective, Flags, Input, MemberConfig};
use crate::exit::Stop;

/// Which member a command is for, and how to show what it says. These stand anywhere on the line.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// Configuration file of the member
    #[arg(long, value_name = "FILE", env = "MESHLINE_CONFIG", global = true, display_order = 900)]
    pub config: Option<PathBuf>,
    /// Name of a member without a configuration file; its state is in a folder of that name
    #[arg(long, value_name = "NAME", env = "MESHLINE_NAME", global = true, display_order = 901)]
    pub name: Option<String>,
    /// Print one JSON document (a `follow`: one a line)
    #[arg(long, env = "MESHLINE_JSON", value_parser = clap::builder::FalseyValueParser::new(), global = true, display_order = 902)]
    pub json: bool,
}

impl Place {
    /// The configuration with some more flags, its files judged: for a member that is to be started.
    ///
    /// # Errors
    /// If it is invalid.
    pub fn load<T: MemberConfig>(&self, flags: Flags) -> anyhow::Result<Effective<T>> {
        self.require()?;
        Ok(config::load(self.config.as_deref(), self.flags(flags))?)
    }

    /// The configuration alone, for finding a member that runs, or may join some day.
    ///
    /// # Errors
    /// If it is invalid.
    pub(super) fn locate<T: MemberConfig>(&self, flags: Flags) -> anyhow::Result<T> {
        self.require()?;
        let file = self.config.as_deref().map(Document::read).transpose()?;
        let input = Input {
            file,
            environment: config::environment(),
            flags: self.flags(flags),
            state_home: config::state_home(),
        };
        Ok(config::evaluate(&input, config::now())?.config)
    }

    fn require(&self) -> Result<(), Stop> {
        if self.config.is_some() || self.name.is_some() {
            return Ok(());
        }
        Err(Stop::usage("say which member: --config FILE, or --name NAME for one without a configuration file"))
    }

    pub(super) fn client<T: MemberConfig>(&self) -> anyhow::Result<Client> {
        let config = self.locate::<T>(Flags::new())?.into_node();
        Ok(Client::new(&config.data_dir)?.called(config.name.to_string()))
    }

    /// The data folder of the member, in which its local API is.
    ///
    /// # Errors
    /// If the configuration is invalid.
    pub fn data_dir<T: MemberConfig>(&self) -> anyhow::Result<PathBuf> {
        Ok(self.locate::<T>(Flags::new())?.into_node().data_dir)
    }

    /// Without a file a member is known by its name, on the open network of this machine.
    fn flags(&self, flags: Flags) -> Flags {
        let flags = flags.set("/name", self.name.clone());
        if self.config.is_some() || std::env::var_os("MESHLINE_NETWORK").is_some() {
            return flags;
        }
        flags.set_default("/network", LOCAL_NETWORK)
    }
}

/// The open network of members started without a configuration file. It is confined to loopback like any open
/// network that nobody has opened on purpose.
const LOCAL_NETWORK: &str = "local";
