//! JSON of questions and conversations.

use std::path::Path;

use fleming::wire::{Case, Chosen, Files, Transcript, transcript as written};
use serde_json::{Map, Value};

use crate::explained;

/// What places a study in a text.
const PLACEHOLDER: &str = "<image>";
/// Nobody may name files; files in a folder that is not there may be named.
fn files() -> [Files<'static>; 2] {
    [Files::Refused, Files::Read(Path::new("/nowhere"))]
}

/// A question with its options.
pub fn case(bytes: &[u8]) {
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
    for files in files() {
        match Case::read(&fields, &Chosen::default(), files) {
            Ok(case) => drop((case.request(PLACEHOLDER), case.warnings().count())),
            Err(error) => explained(&error),
        }
    }
}

/// A conversation: what is written of one that was read is read as the same.
pub fn transcript(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    for files in files() {
        let read = |value: &Value| {
            Transcript::read(value, files).map(|transcript| transcript.conversation(PLACEHOLDER))
        };
        let conversation = match read(&value) {
            Ok(conversation) => conversation,
            Err(error) => {
                explained(&error);
                continue;
            }
        };
        let first = written(&conversation, PLACEHOLDER).unwrap();
        let second = written(&read(&first).unwrap(), PLACEHOLDER).unwrap();
        assert_eq!(first, second);
    }
}
