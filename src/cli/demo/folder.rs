//! The demo's scratch folder: made or taken over, and what is written into it.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::DemoError;

/// A folder of the demo's own.
#[derive(Debug)]
pub(super) struct Folder {
    /// Where it is.
    pub(super) path: PathBuf,
    /// We chose the place, so we clean it up.
    temporary: bool,
}

impl Folder {
    /// The folder that was asked for (new, empty, or an earlier demo's), or a new one among temporary files.
    pub(super) fn open(wanted: Option<&Path>) -> Result<Self, DemoError> {
        let trouble = |error: io::Error| DemoError::Files { doing: "make the demo's folder", error };
        let Some(wanted) = wanted else {
            let path = std::env::temp_dir().join(format!("pgusher-demo-{:08x}", rand::random::<u32>()));
            std::fs::DirBuilder::new().mode(0o755).create(&path).map_err(trouble)?;
            return Ok(Self { path, temporary: true });
        };
        std::fs::create_dir_all(wanted).map_err(trouble)?;
        let path = wanted.canonicalize().map_err(trouble)?;
        let mut entries = std::fs::read_dir(&path).map_err(trouble)?;
        let empty = entries.next().is_none();
        if !empty && !path.join(MARK).is_file() {
            return Err(DemoError::FolderInUse(path));
        }
        for name in MADE {
            let entry = path.join(name);
            let removed = if entry.is_dir() { std::fs::remove_dir_all(&entry) } else { std::fs::remove_file(&entry) };
            removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }).map_err(trouble)?;
        }
        std::fs::write(path.join(MARK), "Made by pgusher demo, which takes this folder over when it is run again.\n")
            .map_err(trouble)?;
        Ok(Self { path, temporary: false })
    }

    /// Its path if it goes when the demo goes, else an empty one.
    pub(super) fn to_be_removed(&self) -> PathBuf {
        if self.temporary { self.path.clone() } else { PathBuf::new() }
    }

    /// A path in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes a file that only its owner may read.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), DemoError> {
    let write = || -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|error| DemoError::Files { doing: "write a file in the demo's folder", error })
}

const MARK: &str = ".pgusher-demo";
const MADE: [&str; 7] =
    ["postgres", "pgusher.toml", "session.password", "control.password", "shop.sql", "policies.sql", "demo.env"];
