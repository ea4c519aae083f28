//! What needs an engine: sessions and texts.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use fleming::wire::read_text;
use fleming::{AskOptions, Engine, EngineOptions, Preprocessing, Request};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{explained, package};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let options = EngineOptions { context: Some(64), threads: Some(1), ..EngineOptions::default() };
    Engine::open(&package::demo(), &options).unwrap()
});
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn file(content: &[u8]) -> PathBuf {
    let file = FOLDER.path().join("file");
    fs::write(&file, content).unwrap();
    file
}

/// A session of the demo model: what stands between its head and its digest.
pub fn session(bytes: &[u8]) {
    let head = [b"fleming\0", &2_u32.to_le_bytes()[..], ENGINE.package().digest().as_bytes()].concat();
    let mut content = [&head, bytes].concat();
    content.extend(Sha256::digest(&content));
    if let Err(error) = ENGINE.load_session(&file(&content)) {
        explained(&error);
    }
}

/// A text as it stands in a file.
pub fn text(bytes: &[u8]) {
    let text = match read_text(&file(bytes)) {
        Ok(text) => text,
        Err(error) => return explained(&error),
    };
    let request = Request::about(Vec::new(), &text);
    for preprocessing in [Preprocessing::Clinical, Preprocessing::Reference] {
        let options = AskOptions { preprocessing, ..AskOptions::default() };
        match ENGINE.count_tokens(&request, &options) {
            Ok(count) => assert!(count.prompt_tokens > 0),
            Err(error) => explained(&error),
        }
    }
}
