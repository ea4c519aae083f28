//! The question, what was said before it, and what it is about.

use std::path::Path;

use anyhow::Result;
use fleming::wire::{self, Message, Options, Transcript};
use fleming::{Conversation, Modality};

use super::studies::{Studies, measurable};

/// The text of a question; `-` reads standard input.
pub(super) fn question(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut question = wire::read_text_from("the question on standard input", std::io::stdin().lock())?;
    // A text on standard input ends in a newline that the question does not have.
    question.truncate(question.strip_suffix('\n').map_or(question.len(), str::len));
    Ok(question)
}

/// What goes before a question: the turns of a file with their studies, and the studies of the command line.
pub(super) struct Before {
    transcript: Transcript,
    options: Options,
    /// Of the studies that the command line names.
    pub(super) kinds: Vec<Modality>,
}

impl Before {
    /// Reads the file, and looks whether all studies can be looked at as they are to be.
    ///
    /// Studies of the file that the command line names again are looked at as it says; others of the command line are new.
    pub(super) fn read(history: Option<&Path>, studies: &Studies, options: &Options) -> Result<Self> {
        let mut transcript = history.map(Transcript::load).transpose()?.unwrap_or_default();
        let mut named = studies.inputs(&options.look);
        let count = named.len();
        let old: Vec<_> = transcript.studies.iter().map(fleming::StudyInput::name).collect();
        let again = named.len() >= old.len() && old.iter().zip(&named).all(|(old, new)| *old == new.name());
        match again {
            true => transcript.studies = named,
            false => transcript.studies.append(&mut named),
        }
        let mut kinds = measurable(&transcript.studies, &options.ask, options.engine.budget)?;
        kinds.drain(..kinds.len() - count);
        if let Some(system) = &options.system {
            transcript.system = Some(Some(Message::letters(system)));
        }
        Ok(Self { transcript, options: options.clone(), kinds })
    }

    /// The conversation that goes on; `placeholder` is what places a study in a text.
    pub(super) fn conversation(&self, placeholder: &str) -> Conversation {
        let mut conversation = self.transcript.conversation(placeholder);
        conversation.instruction = self.options.instruction.clone();
        conversation
    }
}
