//! A wallet file on disk: for its owner alone, written whole or not at all, used by one process at a time.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Largest file read: many times what is written, so that a wrong path does not fill the memory.
pub const MAX_FILE: u64 = 64 * 1024;

/// Only the owner reads and writes.
const PRIVATE: u32 = 0o600;

/// Why a file could not be used. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
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
    /// There is none.
    #[error("{path}: there is no wallet yet; `wallet new` makes one", path = .0.display())]
    Missing(PathBuf),
    /// There is one already. Keys are never written over.
    #[error("{path}: there is a wallet already, and keys are never written over", path = .0.display())]
    Present(PathBuf),
    /// Another process uses it.
    #[error("{path}: another process uses this wallet", path = .0.display())]
    Busy(PathBuf),
    /// Larger than [`MAX_FILE`].
    #[error("{path}: not a wallet file: larger than {MAX_FILE} bytes", path = .0.display())]
    TooLarge(PathBuf),
}

/// The place of a wallet file, with the sole right to it for as long as this is kept. The system ends that right with
/// the process, however that ends.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes the sole right to the file at `path`, which need not exist; its folder must.
    ///
    /// # Errors
    /// If another process has it, or the lock file beside it cannot be made.
    pub fn take(path: &Path) -> Result<Self, PlaceError> {
        let beside = beside(path, "lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(PRIVATE);
        let lock = options.open(&beside).map_err(failed("lock", &beside))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(PlaceError::Busy(path.to_path_buf())),
            Err(TryLockError::Error(source)) => Err(failed("lock", &beside)(source)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file is there.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn is_present(&self) -> Result<bool, PlaceError> {
        fs::exists(&self.path).map_err(failed("read", &self.path))
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// If there is none, it is too large, or the system refuses.
    pub fn read(&self) -> Result<Vec<u8>, PlaceError> {
        let file = File::open(&self.path).map_err(|source| {
            let is_missing = source.kind() == io::ErrorKind::NotFound;
            if is_missing { PlaceError::Missing(self.path.clone()) } else { failed("read", &self.path)(source) }
        })?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed("read", &self.path))?;
        let fits = bytes.len() as u64 <= MAX_FILE;
        if fits { Ok(bytes) } else { Err(PlaceError::TooLarge(self.path.clone())) }
    }

    /// Writes the file where none is.
    ///
    /// # Errors
    /// If there is one, or the system refuses.
    pub fn create(&self, bytes: &[u8]) -> Result<(), PlaceError> {
        let draft = Draft::write(&self.path, bytes)?;
        // Unlike a rename, a link never takes the place of a file.
        fs::hard_link(&draft.0, &self.path).map_err(|source| {
            let is_present = source.kind() == io::ErrorKind::AlreadyExists;
            if is_present { PlaceError::Present(self.path.clone()) } else { failed("create", &self.path)(source) }
        })?;
        sync_folder(&self.path)
    }

    /// Writes the file in place of the one that is there. After a crash there is the old one or the new one.
    ///
    /// # Errors
    /// If the system refuses; the old file is then still there.
    pub fn replace(&self, bytes: &[u8]) -> Result<(), PlaceError> {
        let draft = Draft::write(&self.path, bytes)?;
        fs::rename(&draft.0, &self.path).map_err(failed("replace", &self.path))?;
        sync_folder(&self.path)
    }
}

/// A complete file beside its place; removed unless it was renamed. Its name is always the same, because only one
/// process writes here and what a crash left is to give way.
struct Draft(PathBuf);

impl Draft {
    fn write(path: &Path, bytes: &[u8]) -> Result<Self, PlaceError> {
        let draft = Self(beside(path, "draft"));
        let _ = fs::remove_file(&draft.0);
        let mut options = OpenOptions::new();
        // Never through a link that somebody has put there.
        options.write(true).create_new(true).mode(PRIVATE);
        let mut file = options.open(&draft.0).map_err(failed("write", path))?;
        // The umask may have taken bits away from the mode; it never adds any.
        file.set_permissions(Permissions::from_mode(PRIVATE)).map_err(failed("write", path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", path))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{ending}"))
}

/// A rename is on the disk only when its folder is.
fn sync_folder(path: &Path) -> Result<(), PlaceError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write", path))
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PlaceError {
    let path = path.to_path_buf();
    move |source| PlaceError::Io { verb, path, source }
}
