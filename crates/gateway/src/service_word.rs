//! How a service is asked for: `web`, `service:web`, `web._http._tcp`, `web@bobby`, or all of it together.
//!
//! A word without a target is a service; with a target it is a member, and a service only where nobody is called so.

use std::fmt;
use std::str::FromStr;

use meshline_protocol::{ServiceKind, ServiceName};

/// What makes a word a service whatever else it may be.
const PREFIX: &str = "service:";

/// A service somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceWord {
    /// Its name.
    pub name: ServiceName,
    /// Its kind, where services of several kinds have this name.
    pub kind: Option<ServiceKind>,
    /// At which member: its name, id or the beginning of that.
    pub at: Option<String>,
}

impl ServiceWord {
    /// Whether a text can be nothing else.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

impl FromStr for ServiceWord {
    type Err = meshline_protocol::ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let (text, at) = match text.split_once('@') {
            Some((text, at)) => (text, Some(at.to_owned())),
            None => (text, None),
        };
        let (name, kind) = parts(text).unwrap_or((text, None));
        Ok(Self { name: name.parse()?, kind, at })
    }
}

/// `web._http._tcp` in its two parts.
fn parts(text: &str) -> Option<(&str, Option<ServiceKind>)> {
    let (rest, _) = text.rsplit_once("._")?;
    let (name, _) = rest.rsplit_once("._")?;
    let kind = text.get(name.len() + 1..)?.parse().ok()?;
    Some((name, Some(kind)))
}

impl fmt::Display for ServiceWord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}{}", self.name)?;
        if let Some(kind) = &self.kind {
            write!(out, ".{kind}")?;
        }
        self.at.as_ref().map_or(Ok(()), |at| write!(out, "@{at}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_asked_for_by_name_kind_and_member() {
        let read = |text: &str| text.parse::<ServiceWord>().map(|word| (word.name.to_string(), word.kind, word.at));
        let kind = || Some("_http._tcp".parse().expect("a kind"));
        let at = || Some("Bobby B".to_owned());
        assert_eq!(read("web"), Ok(("web".to_owned(), None, None)));
        assert_eq!(read("service:web"), Ok(("web".to_owned(), None, None)));
        assert_eq!(read("web._http._tcp"), Ok(("web".to_owned(), kind(), None)));
        assert_eq!(read("web@Bobby B"), Ok(("web".to_owned(), None, at())));
        assert_eq!(read("service:a.b._http._tcp@Bobby B"), Ok(("a.b".to_owned(), kind(), at())));
        assert_eq!(read("a._b._c"), Ok(("a._b._c".to_owned(), None, None)), "no kind, so a name");
        for wrong in ["", "service:", "Web", "web/1", "@bobby"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for text in ["service:web", "service:web._http._tcp@bobby"] {
            assert_eq!(text.parse::<ServiceWord>().expect("a word").to_string(), text);
        }
    }
}
