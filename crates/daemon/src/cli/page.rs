//! `page`: where the member's page is.

use anyhow::Context;
use serde_json::json;

use super::place::Place;
use crate::api::Token;
use crate::config::{Flags, MemberConfig};
use crate::exit::{Exit, Stop};
use crate::member::{page_address, page_url};
use crate::output::print;

/// A view has none unless told.
const NO_PAGE: &str = "no page: the member has not been started since, or its configuration gives it none; say \
                       \"http\": \"127.0.0.1:7001\" there, or --http to `run`, and start it";

pub(super) fn run<T: MemberConfig>(place: &Place) -> anyhow::Result<()> {
    if !cfg!(feature = "page") {
        return Err(Stop::usage(super::absent("`page`", "page")).into());
    }
    let config = place.locate::<T>(Flags::new())?.into_node();
    let address = page_address(&config.data_dir).ok_or_else(|| Stop::new(Exit::NoDaemon, NO_PAGE))?;
    let token = Token::read(&config.data_dir).context("the member has not been started")?;
    let url = page_url(&address, &token);
    print(&if place.json { json!({"schema": "meshline/page/1", "url": url}).to_string() } else { url })?;
    Ok(())
}
