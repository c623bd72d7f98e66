//! The same facts without a terminal: one document, one text, or a document a line.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use meshline_daemon::exit::{Exit, Stop};
use meshline_daemon::output::{print, print_next, while_read};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::dashboard::{Dashboard, Settings, is_said};
use crate::fetch::{answer, document};
use crate::input::{Event, Fault, Now, Source};

/// What each source said.
struct Taken {
    at: Timestamp,
    each: Vec<(Source, Result<Value, Fault>)>,
}

async fn take(data_dir: &Path) -> Taken {
    let ask = |source| async move { (source, document(data_dir, source).await) };
    let [status, peers, routes, chat, services, ledger, events] = Source::ALL;
    let (status, peers, routes, chat, services, ledger, events) =
        tokio::join!(ask(status), ask(peers), ask(routes), ask(chat), ask(services), ask(ledger), ask(events));
    Taken { at: Timestamp::now(), each: vec![status, peers, routes, chat, services, ledger, events] }
}

/// Prints what the member does now.
///
/// # Errors
/// If it does not answer.
pub(crate) async fn once(data_dir: &Path, settings: Settings, columns: usize, json: bool) -> anyhow::Result<()> {
    let taken = take(data_dir).await;
    if let Some((_, Err(fault))) = taken.each.first() {
        let exit = if matches!(fault, Fault::Gone(_) | Fault::Late) { Exit::NoDaemon } else { Exit::Failed };
        return Err(Stop::new(exit, fault.words()).into());
    }
    print(&if json { whole(taken).to_string() } else { text(taken, settings, columns) })?;
    Ok(())
}

/// Prints a document a line, so many seconds apart, until the reader goes away.
pub(crate) async fn follow(data_dir: &Path, seconds: u64) -> anyhow::Result<()> {
    while_read(async {
        loop {
            print_next(&whole(take(data_dir).await).to_string())?;
            sleep(Duration::from_secs(seconds)).await;
        }
    })
    .await
}

/// The document `meshline/watch/1`: `null` where nothing was said, and why under `faults`.
fn whole(taken: Taken) -> Value {
    let mut all = Map::new();
    all.insert("schema".to_owned(), json!("meshline/watch/1"));
    all.insert("time".to_owned(), json!(format!("{:.3}", taken.at)));
    let mut faults = Map::new();
    for (source, said) in taken.each {
        let value = said.map(|mut document| match source {
            Source::Status | Source::Ledger => document,
            Source::Events => happened(&document),
            Source::Peers | Source::Routes | Source::Chat | Source::Services => {
                document.get_mut(source.name()).map_or(Value::Null, Value::take)
            }
        });
        if let Err(fault) = &value {
            faults.insert(source.name().to_owned(), json!(fault.words()));
        }
        all.insert(source.name().to_owned(), value.unwrap_or_default());
    }
    all.insert("faults".to_owned(), Value::Object(faults));
    Value::Object(all)
}

/// The events of before without those of the chat, which has a listing of its own.
fn happened(document: &Value) -> Value {
    let all = document.get("events").and_then(Value::as_array).into_iter().flatten();
    let of_chat = |event: &Value| event.get("event").and_then(Value::as_str).is_some_and(is_said);
    all.filter(|event| !of_chat(event)).cloned().collect()
}

fn text(taken: Taken, settings: Settings, columns: usize) -> String {
    let now = Now { mono_ms: 0, unix_ms: taken.at.as_millisecond() };
    let mut dashboard = Dashboard::new(settings);
    for (source, said) in taken.each {
        let event = match said.and_then(|document| answer(source, document)) {
            Ok(answer) => Event::Answered(answer),
            Err(fault) => Event::Failed(source, fault),
        };
        dashboard.handle(event, now);
    }
    dashboard.text(now, columns)
}
