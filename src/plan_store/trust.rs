//! Who may write to plans. What TensorRT loads is code for the GPU: whoever can put a plan in its place decides what the model
//! answers.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// The group and all others may write.
pub(super) const OTHERS_WRITE: u32 = 0o022;
const ROOT: u32 = 0;

/// Why what is at a path is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exposed {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) advice: String,
}

/// Refuses a file or a folder that others than this user, the system's and `owner` may write to, and links.
pub(super) fn check(path: &Path, owner: Option<u32>) -> Result<(), Exposed> {
    let exposed = |reason: String, advice: String| Err(Exposed { path: path.into(), reason, advice });
    // Whoever reads a file that cannot be looked at reports it.
    let Ok(facts) = fs::symlink_metadata(path) else { return Ok(()) };
    let (mode, user) = (facts.mode(), facts.uid());
    if facts.is_symlink() {
        return exposed("a link".into(), "copy what it leads to in its place".into());
    }
    if ![Some(geteuid().as_raw()), Some(ROOT), owner].contains(&Some(user)) {
        return exposed(format!("one of user {user}"), format!("`chown -R $(id -u) {}`", path.display()));
    }
    match mode & OTHERS_WRITE {
        0 => Ok(()),
        _ => exposed(
            format!("one that others may write to (mode {:o})", mode & 0o7777),
            format!("`chmod -R go-w {}`", path.display()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn what_others_may_write_to_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan");
        fs::write(&path, "").unwrap();
        for (mode, trusted) in [(0o600, true), (0o755, true), (0o664, false), (0o646, false), (0o777, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let found = check(&path, None);
            assert_eq!(found.is_ok(), trusted, "{mode:o}: {found:?}");
            if let Err(exposed) = found {
                assert!(exposed.reason.contains(&format!("{mode:o}")), "{exposed:?}");
                assert!(exposed.advice.contains(path.to_str().unwrap()), "{exposed:?}");
            }
        }
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(check(&link, None).unwrap_err().reason, "a link");
        assert_eq!(check(&folder.path().join("none"), None), Ok(()));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        // Only root can give a file away.
        if geteuid().is_root() {
            chown(&path, Some(12_345), None).unwrap();
            assert!(check(&path, Some(12_345)).is_ok());
            assert_eq!(check(&path, Some(1)).unwrap_err().reason, "one of user 12345");
        }
    }
}
