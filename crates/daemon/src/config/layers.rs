//! Lays defaults, file, environment and flags over each other and remembers where each value came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use meshline_protocol::UnixMicros;
use serde::Serialize;
use serde_json::{Map, Value};

use super::finding::{ConfigError, Finding, Place, Severity};
use super::keys::{Key, KeyKind, keys};
use super::program::Settings;
use super::review::{Remark, Review};
use super::source::Document;
use super::typed;

/// Keys that hold paths, relative to the file they stand in.
const PATHS: [&str; 6] = ["/key_file", "/membership", "/data_dir", "/log/file", "/ledger/genesis", "/ledger/data_dir"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// From the file.
    File {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// From this environment variable.
    Environment(String),
    /// From a flag.
    Flag,
}

/// Values given on the command line, by JSON pointer.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(String, Value)>);

impl Flags {
    /// No flag.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of a flag if it was given; an empty list counts as not given.
    #[must_use]
    pub fn set<T: Serialize>(mut self, pointer: &str, value: Option<T>) -> Self {
        let value = value.and_then(|value| serde_json::to_value(value).ok());
        if let Some(value) = value.filter(|value| !matches!(value, Value::Null) && !is_empty_list(value)) {
            self.0.push((pointer.to_owned(), value));
        }
        self
    }

    /// Adds a value that stands back behind a flag that was given.
    #[must_use]
    pub fn set_default<T: Serialize>(self, pointer: &str, value: T) -> Self {
        let given = self.0.iter().any(|(given, _)| given == pointer);
        self.set(pointer, Some(value).filter(|_| !given))
    }
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// All that a configuration is made of.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The file, if there is one.
    pub file: Option<Document>,
    /// The variables of the environment, as [`environment`] gives them.
    pub environment: BTreeMap<String, String>,
    /// The flags.
    pub flags: Flags,
    /// Where a program without a file keeps its state, in a folder by its name.
    pub state_home: PathBuf,
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Effective<T> {
    /// The values. Paths are absolute, or relative to the working folder where they came from a flag or
    /// the environment; `data_dir` and `key_file` are filled in.
    pub config: T,
    /// Where each value came from, by JSON pointer. Every key has its entry.
    pub origins: BTreeMap<String, Origin>,
    /// What somebody should look at.
    pub warnings: Vec<Finding>,
}

/// The variables of this process that begin with `MESHLINE_` and are valid text.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("MESHLINE_"))
        .collect()
}

/// Where programs without a configuration file keep their state: `$XDG_STATE_HOME/meshline` or
/// `~/.local/state/meshline`.
#[must_use]
pub fn state_home() -> PathBuf {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || path("HOME").unwrap_or_default().join(".local/state");
    path("XDG_STATE_HOME").unwrap_or_else(home).join("meshline")
}

/// The system's clock.
#[must_use]
pub fn now() -> UnixMicros {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMicros::new(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

/// Reads the file, if one is named, and evaluates it with this process's environment and the flags;
/// the files it names (key, membership) are judged as well.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load<T: Settings>(path: Option<&Path>, flags: Flags) -> Result<Effective<T>, ConfigError> {
    let file = path.map(Document::read).transpose()?;
    let input = Input { file, environment: environment(), flags, state_home: state_home() };
    let now = now();
    let effective = evaluate(&input, now)?;
    check_files(effective, &input, now)
}

/// Judges the files an evaluated configuration names.
///
/// # Errors
/// Everything that is wrong with them, with the warnings so far.
pub fn check_files<T: Settings>(
    mut effective: Effective<T>,
    input: &Input,
    now: UnixMicros,
) -> Result<Effective<T>, ConfigError> {
    let mut review = Review::new(now);
    effective.config.check_files(&mut review);
    effective.warnings.extend(locate(&review.remarks, &effective.origins, input.file.as_ref()));
    if review.is_clean() { Ok(effective) } else { Err(sorted(effective.warnings)) }
}

/// Lays the values over each other and judges them. Nothing is read from anywhere.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn evaluate<T: Settings>(input: &Input, now: UnixMicros) -> Result<Effective<T>, ConfigError> {
    let mut merge = Merge::new(keys::<T>(), input.file.as_ref());
    if let Some(file) = &input.file {
        merge.lay_file::<T>(file);
    }
    merge.lay_environment::<T>(&input.environment);
    merge.lay_flags::<T>(&input.flags);
    merge.require::<T>();
    merge.fill_in(&input.state_home);
    merge.finish(now)
}

/// The values laid over each other so far.
struct Merge<'a> {
    keys: Vec<Key>,
    file: Option<&'a Document>,
    values: Value,
    origins: BTreeMap<String, Origin>,
    findings: Vec<Finding>,
}

impl<'a> Merge<'a> {
    fn new(keys: Vec<Key>, file: Option<&'a Document>) -> Self {
        let origins = keys.iter().map(|key| (key.pointer.clone(), Origin::Default)).collect();
        Self { keys, file, values: Value::Object(Map::new()), origins, findings: Vec::new() }
    }

    fn lay_file<T: Settings>(&mut self, file: &Document) {
        let mut layer = file.value().clone();
        let remarks = typed::remove_faults::<T>(&mut layer);
        // All of them stand in the file, those on unknown keys too, which have no origin.
        self.findings.extend(remarks.iter().map(|remark| in_file(remark, file)));
        resolve_paths(&mut layer, &folder(file));
        self.lay(layer, |key| {
            let (line, column) = file.position(&key.pointer, false);
            Origin::File { line, column }
        });
    }

    fn lay_environment<T: Settings>(&mut self, environment: &BTreeMap<String, String>) {
        let mut layer = Value::Object(Map::new());
        let mut names = BTreeMap::new();
        for key in &self.keys {
            if let Some((name, value)) = variable(key, environment) {
                insert(&mut layer, &key.pointer, value);
                names.insert(key.pointer.clone(), Origin::Environment(name.to_owned()));
            }
        }
        let remarks = typed::remove_faults::<T>(&mut layer);
        self.findings.extend(locate(&remarks, &names, None));
        self.lay(layer, |key| names.get(&key.pointer).cloned().unwrap_or(Origin::Default));
    }

    fn lay_flags<T: Settings>(&mut self, flags: &Flags) {
        let mut layer = Value::Object(Map::new());
        for (pointer, value) in &flags.0 {
            insert(&mut layer, pointer, value.clone());
        }
        let remarks = typed::remove_faults::<T>(&mut layer);
        let origins = flags.0.iter().map(|(pointer, _)| (pointer.clone(), Origin::Flag)).collect();
        self.findings.extend(locate(&remarks, &origins, None));
        self.lay(layer, |_| Origin::Flag);
    }

    fn lay(&mut self, layer: Value, origin: impl Fn(&Key) -> Origin) {
        for key in self.keys.iter().filter(|key| layer.pointer(&key.pointer).is_some()) {
            self.origins.insert(key.pointer.clone(), origin(key));
        }
        overlay(&mut self.values, layer);
    }

    /// Required keys that nobody gave. One that was given wrongly has its fault already.
    fn require<T: Settings>(&mut self) {
        for (name, _) in T::REQUIRED {
            let pointer = format!("/{name}");
            let told = self.findings.iter().any(|finding| finding.pointer == pointer);
            if told || self.values.get(*name).is_some() {
                continue;
            }
            let what = self.keys.iter().find(|key| key.pointer == pointer).map(|key| key.description.as_str());
            let message = format!("found nothing, expected this key: {}", what.unwrap_or_default());
            let remark = Remark { severity: Severity::Error, pointer, on_key: false, alone: true, message };
            self.findings.extend(match self.file {
                Some(file) => vec![in_file(&remark, file)],
                None => locate(&[remark], &BTreeMap::new(), None),
            });
        }
    }

    /// `data_dir` and `key_file` have defaults that depend on other things.
    fn fill_in(&mut self, state_home: &Path) {
        if !self.keys.iter().any(|key| key.pointer == "/data_dir") {
            return;
        }
        let text = |values: &Value, key: &str| {
            values.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(PathBuf::from)
        };
        let by_name = || state_home.join(text(&self.values, "name").unwrap_or_default());
        let data_dir = text(&self.values, "data_dir")
            .unwrap_or_else(|| self.file.map_or_else(by_name, |file| folder(file).join(data_folder(file.path()))));
        let key_file = text(&self.values, "key_file").unwrap_or_else(|| data_dir.join("node.key"));
        insert(&mut self.values, "/data_dir", data_dir.to_string_lossy().into());
        insert(&mut self.values, "/key_file", key_file.to_string_lossy().into());
    }

    fn finish<T: Settings>(mut self, now: UnixMicros) -> Result<Effective<T>, ConfigError> {
        let Some(config) = typed::read::<T>(&self.values) else { return Err(sorted(self.findings)) };
        let mut review = Review::new(now);
        config.check(&mut review);
        let sound = self.findings.is_empty();
        // Values that were taken out would make others look wrong, so only what stands for itself is told then.
        review.remarks.retain(|remark| sound || remark.alone);
        self.findings.extend(locate(&review.remarks, &self.origins, self.file));
        if self.findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(sorted(self.findings));
        }
        Ok(Effective { config, origins: self.origins, warnings: self.findings })
    }
}

/// In the order in which they stand in the file.
fn sorted(mut findings: Vec<Finding>) -> ConfigError {
    findings.sort_by_key(|finding| match &finding.place {
        Place::File { line, column, .. } => (*line, *column),
        Place::Environment(_) | Place::Flag | Place::Nowhere => (usize::MAX, 0),
    });
    ConfigError { findings }
}

fn in_file(remark: &Remark, file: &Document) -> Finding {
    let (line, column) = file.position(&remark.pointer, remark.on_key);
    finding(remark, Place::File { path: file.path().to_path_buf(), line, column })
}

fn finding(remark: &Remark, place: Place) -> Finding {
    Finding { severity: remark.severity, place, pointer: remark.pointer.clone(), message: remark.message.clone() }
}

/// Finds out where the values stood: by the origin of the key a pointer leads into.
fn locate(remarks: &[Remark], origins: &BTreeMap<String, Origin>, file: Option<&Document>) -> Vec<Finding> {
    let place = |remark: &Remark| {
        let outwards = std::iter::successors(Some(remark.pointer.as_str()), |pointer| {
            pointer.rsplit_once('/').map(|(outer, _)| outer)
        });
        let origin = outwards.filter_map(|pointer| origins.get(pointer)).next();
        match (origin, file) {
            (Some(Origin::File { .. }), Some(file)) => in_file(remark, file).place,
            (Some(Origin::Environment(name)), _) => Place::Environment(name.clone()),
            (Some(Origin::Flag), _) => Place::Flag,
            (Some(Origin::Default | Origin::File { .. }) | None, _) => Place::Nowhere,
        }
    };
    remarks.iter().map(|remark| finding(remark, place(remark))).collect()
}

/// The variable of a key and its value; `None` if it is not set, or empty where that means nothing.
fn variable<'e>(key: &'e Key, environment: &BTreeMap<String, String>) -> Option<(&'e str, Value)> {
    let short = (key.pointer == "/log/level").then_some("MESHLINE_LOG");
    let names = std::iter::once(key.variable.as_str()).chain(short);
    let (name, text) = names.filter_map(|name| Some((name, environment.get(name)?))).next()?;
    value_of(key, text.trim()).map(|value| (name, value))
}

/// Text that is not of its kind stays text; the type check then says what was expected.
fn value_of(key: &Key, text: &str) -> Option<Value> {
    if text.is_empty() && !matches!(key.kind, KeyKind::List | KeyKind::Map) {
        return key.nullable.then_some(Value::Null);
    }
    Some(match (key.kind, text) {
        // What has members of its own is written as JSON.
        (KeyKind::List | KeyKind::Map, _) if text.starts_with(['[', '{']) => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        (KeyKind::List, _) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
        (KeyKind::Map, _) => map_of(text).unwrap_or_else(|| text.into()),
        (KeyKind::Bool, "1") => Value::Bool(true),
        (KeyKind::Bool, "0") => Value::Bool(false),
        (KeyKind::Bool | KeyKind::Number, _) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        (KeyKind::Text, _) => text.into(),
    })
}

/// `a=b,c=d`
fn map_of(text: &str) -> Option<Value> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let pairs = items.map(|item| item.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().into())));
    pairs.collect::<Option<Map<String, Value>>>().map(Value::Object)
}

fn insert(values: &mut Value, pointer: &str, value: Value) {
    let layer = pointer
        .rsplit('/')
        .filter(|key| !key.is_empty())
        .fold(value, |inner, key| Value::Object(std::iter::once((key.to_owned(), inner)).collect()));
    overlay(values, layer);
}

/// Objects are merged; anything else is replaced.
fn overlay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                overlay(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

/// The folder of the file as an absolute path.
fn folder(file: &Document) -> PathBuf {
    let path = std::path::absolute(file.path()).unwrap_or_else(|_| file.path().to_path_buf());
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// `node-1.data` for `node-1.json`.
fn data_folder(path: &Path) -> PathBuf {
    Path::new(path.file_stem().unwrap_or_default()).with_extension("data")
}

fn resolve_paths(layer: &mut Value, folder: &Path) {
    let topics = layer.get_mut("topics").and_then(Value::as_array_mut);
    for file in topics.into_iter().flatten().filter_map(|topic| topic.get_mut("file")) {
        if let Value::String(text) = file {
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
    }
    for pointer in PATHS {
        if let Some(Value::String(text)) = layer.pointer_mut(pointer)
            && !text.is_empty()
        {
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
    }
    let urls = layer.get_mut("signal").and_then(Value::as_array_mut).into_iter().flatten();
    for url in urls {
        let relative = url.as_str().and_then(|text| text.strip_prefix("file:")).filter(|path| !path.starts_with('/'));
        if let Some(path) = relative {
            *url = format!("file://{}", folder.join(path).display()).into();
        }
    }
}
