//! The words around a question, as options of several verbs.

use std::fs;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use fleming::{Exchange, Instruction, Part};
use serde::Deserialize;
use serde_json::Value;

use super::options::unusable;

#[derive(Args)]
pub(super) struct Wording {
    /// What stands before the question: reasoning (the model is asked to think first), direct (nothing) or @FILE
    #[arg(long, value_name = "reasoning|direct|@FILE", default_value = "reasoning")]
    prompt: String,
    /// System message, instead of the package's
    #[arg(long, value_name = "TEXT")]
    pub(super) system: Option<String>,
}

impl Wording {
    pub(super) fn system(&self, placeholder: &str) -> Option<Vec<Part>> {
        self.system.as_deref().map(|text| Part::tagged(placeholder, text))
    }

    pub(super) fn instruction(&self) -> Result<Instruction> {
        let prompt = self.prompt.as_str();
        match (prompt, prompt.strip_prefix('@')) {
            ("reasoning", _) => Ok(Instruction::Reasoning),
            ("direct", _) => Ok(Instruction::Direct),
            (_, Some(path)) => {
                let text = fs::read_to_string(path).map_err(|error| unusable(path, "a text file", &error))?;
                Ok(Instruction::Custom(without_last_newline(text)))
            }
            _ => Err(unusable("--prompt", "reasoning, direct or @FILE", &prompt)),
        }
    }
}

/// Earlier turns in a file: the pairs alone, or what `/save` of a chat writes.
#[derive(Deserialize)]
#[serde(untagged)]
enum History {
    Pairs(Vec<(String, String)>),
    Transcript(Transcript),
}

/// What `/save` of a chat writes.
#[derive(Deserialize)]
pub(super) struct Transcript {
    pub(super) history: Vec<(String, String)>,
    #[serde(default)]
    pub(super) studies: Vec<Value>,
    pub(super) system: Option<String>,
}

/// Reads earlier turns.
pub(super) fn history(path: &Path) -> Result<Vec<Exchange>> {
    Ok(exchanges(transcript(path)?.history))
}

/// Reads earlier turns and what goes with them.
pub(super) fn transcript(path: &Path) -> Result<Transcript> {
    let name = path.display().to_string();
    let wanted = "a JSON list of [question, answer] pairs";
    let text = fs::read_to_string(path).map_err(|error| unusable(&name, wanted, &error))?;
    match serde_json::from_str(&text).map_err(|error| unusable(&name, wanted, &error))? {
        History::Pairs(history) => Ok(Transcript { history, studies: Vec::new(), system: None }),
        History::Transcript(transcript) => Ok(transcript),
    }
}

pub(super) fn exchanges(pairs: Vec<(String, String)>) -> Vec<Exchange> {
    pairs.into_iter().map(|(question, answer)| Exchange { question, answer }).collect()
}

/// A text file ends in a newline that its text does not have.
pub(super) fn without_last_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}
