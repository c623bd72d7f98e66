//! Files on disk: written whole or not at all, private where they must be, read with a bound.
//!
//! A file is written beside its place, flushed to the disk and then renamed, so a reader or a crash
//! meets either the old content or the new one. A private key is never written over.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use meshline_identity::{KeyError, KeyPair};
use meshline_protocol::SignedRecord;

/// Largest file read whole: far above any configuration or record, far below what would hurt.
pub const MAX_FILE: u64 = 1024 * 1024;

/// Why a file could not be used. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("{path}: cannot {verb}: {source}", path = path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Larger than [`MAX_FILE`].
    #[error("{path}: larger than {MAX_FILE} bytes", path = .0.display())]
    TooLarge(PathBuf),
    /// Not a private key.
    #[error("{path}: {source}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// Not JSON of the expected form.
    #[error("{path}: not {expected}: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another process runs with this data folder.
    #[error("{path}: another process runs with this data folder", path = .0.display())]
    Locked(PathBuf),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    NoRandom(getrandom::Error),
}

impl FileError {
    fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { verb, path, source }
    }

    /// Whether the file is simply not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound};
        matches!(self, Self::Io { source, .. } if [NotFound, NotADirectory].contains(&source.kind()))
    }

    /// Whether it is the content of the file that is wrong: no text, or far more than was ever written.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::InvalidData,
            Self::TooLarge(_) => true,
            Self::Key { .. } | Self::Json { .. } | Self::Locked(_) | Self::NoRandom(_) => false,
        }
    }

    /// Whether the file is there already.
    #[must_use]
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only the owner: 0600.
    Private,
    /// Everybody: 0644.
    Public,
    /// Everybody, and it can be run: 0755.
    Program,
}

impl Access {
    const fn mode(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
            Self::Program => 0o755,
        }
    }
}

/// Reads a text of at most [`MAX_FILE`] bytes.
///
/// # Errors
/// If it cannot be read, is larger, or is not UTF-8.
pub fn read(path: &Path) -> Result<String, FileError> {
    let file = File::open(path).map_err(FileError::io("read", path))?;
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(FileError::io("read", path))?;
    if text.len() as u64 > MAX_FILE { Err(FileError::TooLarge(path.to_path_buf())) } else { Ok(text) }
}

/// Writes a file whole, in place of the one that may be there.
///
/// # Errors
/// If the system refuses; the old file is then still there.
pub fn write(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let draft = Draft::new(path, bytes, access)?;
    fs::rename(&draft.0, path).map_err(FileError::io("replace", path))?;
    sync_folder(path)
}

/// Writes a file whole, but only where there is none.
///
/// # Errors
/// If there is one ([`FileError::is_present`]), or the system refuses.
pub fn write_new(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let draft = Draft::new(path, bytes, access)?;
    fs::hard_link(&draft.0, path).map_err(FileError::io("create", path))?;
    sync_folder(path)
}

/// Damaged files that are kept beside a file: whoever looks into one damage finds the earlier ones too, and a disk that
/// damages it at every start is not filled. The last gives way to the next.
pub(crate) const MAX_ASIDE: u32 = 9;

/// Puts a damaged file aside under the first free number, and says where it is.
///
/// # Errors
/// If the system refuses; the file is then where it was.
pub fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbered = |number: u32| path.with_file_name(format!("{name}.damaged-{number}"));
    let free = (1..MAX_ASIDE).map(numbered).find(|aside| !aside.exists());
    let aside = free.unwrap_or_else(|| numbered(MAX_ASIDE));
    fs::rename(path, &aside).map(|()| aside)
}

/// A complete file beside its place; removed unless it was renamed.
struct Draft(PathBuf);

impl Draft {
    fn new(path: &Path, bytes: &[u8], access: Access) -> Result<Self, FileError> {
        let draft = Self(draft_path(path)?);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(access.mode());
        let mut file = options.open(&draft.0).map_err(FileError::io("write", path))?;
        // The umask may have taken bits away from the mode; it never adds any.
        file.set_permissions(Permissions::from_mode(access.mode())).map_err(FileError::io("write", path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(FileError::io("write", path))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn draft_path(path: &Path) -> Result<PathBuf, FileError> {
    let [a, b, c, d, ..] = random_bytes()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{:08x}", u32::from_ne_bytes([a, b, c, d]))))
}

/// A rename is on the disk only when its folder is.
fn sync_folder(path: &Path) -> Result<(), FileError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileError::io("write", path))
}

/// 32 bytes from the system's random source.
///
/// # Errors
/// If it has none.
pub fn random_bytes() -> Result<[u8; 32], FileError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(FileError::NoRandom)?;
    Ok(bytes)
}

/// A new key pair, on no disk yet.
///
/// # Errors
/// If the system has no random source.
pub fn new_key() -> Result<KeyPair, FileError> {
    random_bytes().map(KeyPair::from_secret)
}

/// Makes a folder and those above it, for its owner only, if it is not there.
///
/// # Errors
/// If it cannot be made.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(FileError::io("create", path))
}

/// The sole right to a data folder, for as long as it is kept. The system ends it with the process, however that ends.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Takes the sole right to a data folder: two members with one key and one memory would undo each other's work.
///
/// # Errors
/// If another process has it, or the lock file cannot be made.
pub fn lock_folder(folder: &Path) -> Result<FolderLock, FileError> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(FileError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(fs::TryLockError::WouldBlock) => Err(FileError::Locked(folder.to_path_buf())),
        Err(fs::TryLockError::Error(error)) => Err(FileError::io("lock", &path)(error)),
    }
}

/// Reads a private key.
///
/// # Errors
/// If the file cannot be read or holds no key.
pub fn read_key(path: &Path) -> Result<KeyPair, FileError> {
    let pem = read(path)?;
    KeyPair::from_pem(&pem).map_err(|source| FileError::Key { path: path.to_path_buf(), source })
}

/// Writes a private key (0600) where no file is.
///
/// # Errors
/// If a file is there, or the system refuses.
pub fn write_key(path: &Path, key: &KeyPair) -> Result<(), FileError> {
    let pem = key.to_pem().map_err(|source| FileError::Key { path: path.to_path_buf(), source })?;
    write_new(path, pem.as_bytes(), Access::Private)
}

/// Reads a private key, or makes one if there is no such file. Two processes that start at once end up
/// with the same key.
///
/// # Errors
/// As [`read_key`] and [`write_key`].
pub fn read_or_make_key(path: &Path) -> Result<KeyPair, FileError> {
    match read_key(path) {
        Err(error) if error.is_missing() => make_key(path),
        other => other,
    }
}

fn make_key(path: &Path) -> Result<KeyPair, FileError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
    }
    match write_key(path, &new_key()?) {
        Err(error) if !error.is_present() => Err(error),
        _ => read_key(path),
    }
}

/// Whether others than the owner may read the file, as bits of its mode; `None` if they may not.
#[must_use]
pub fn too_open(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Reads a signed record: a membership, a request to join, a revocation.
///
/// # Errors
/// If the file cannot be read or holds something else.
pub fn read_record(path: &Path) -> Result<SignedRecord, FileError> {
    let text = read(path)?;
    serde_json::from_str(&text).map_err(|source| FileError::Json {
        path: path.to_path_buf(),
        expected: "a signed record",
        source,
    })
}

/// Writes a signed record as one JSON object on one line.
///
/// # Errors
/// If the system refuses.
pub fn write_record(path: &Path, record: &SignedRecord) -> Result<(), FileError> {
    let json = serde_json::to_string(record).map_err(|source| FileError::Json {
        path: path.to_path_buf(),
        expected: "a signed record",
        source,
    })?;
    write(path, format!("{json}\n").as_bytes(), Access::Public)
}

#[cfg(test)]
mod tests;
