//! Token ids to the reply's text and its parts.

use crate::answer::{Splitter, Tags, strip};
use crate::package::Prompt;
use crate::request::{Event, Finish, Part};
use crate::tokenizer::{Decoder, Tokenizer};

/// Writes a reply while its tokens arrive.
pub(super) struct Writer<'a> {
    decoder: Decoder<'a>,
    splitter: Splitter,
    tags: Tags,
    stop: &'a str,
    ids: Vec<u32>,
    text: String,
}

/// A finished reply.
pub(super) struct Written {
    pub(super) ids: Vec<u32>,
    pub(super) text: String,
    pub(super) thought: Option<String>,
    pub(super) answer: String,
    pub(super) truncated: Option<Part>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(prompt: &'a Prompt, tokenizer: &'a Tokenizer) -> Self {
        let tags = Tags::from(prompt);
        Self {
            decoder: tokenizer.decoder(),
            splitter: Splitter::new(tags.clone()),
            tags,
            stop: &prompt.stop,
            ids: Vec::new(),
            text: String::new(),
        }
    }

    /// Takes the next token and tells what text became complete with it.
    pub(super) fn push(&mut self, id: u32, on_event: &mut dyn FnMut(Event<'_>)) {
        self.ids.push(id);
        let text = self.decoder.push(id);
        self.splitter.push(&text, |part, text| on_event(Event::Text { part, text }));
        self.text += &text;
    }

    /// Ends the reply. Its text is what stands before the stop string, without white space around it.
    pub(super) fn finish(mut self, finish: Finish, on_event: &mut dyn FnMut(Event<'_>)) -> Written {
        let rest = self.decoder.finish();
        self.text += &rest;
        self.splitter.push(&rest, |part, text| on_event(Event::Text { part, text }));
        self.splitter.finish(|part, text| on_event(Event::Text { part, text }));

        let before_stop = self.text.split(self.stop).next().unwrap_or_default();
        let text = strip(before_stop).to_owned();
        let mut whole = Splitter::new(self.tags);
        whole.push(&text, |_, _| ());
        let parts = whole.finish(|_, _| ());
        let truncated = match finish {
            // A turn that the model ended itself is whole, unless it never came to an answer.
            Finish::Stop => parts.open.filter(|part| *part == Part::Thought),
            Finish::Length | Finish::Cancelled => parts.open,
        };
        let warnings = match (truncated, finish) {
            (Some(Part::Thought), Finish::Stop) => {
                vec!["the model ended its turn while still thinking".into()]
            }
            (Some(Part::Thought), _) => vec!["the reply ended while the model was still thinking".into()],
            _ => Vec::new(),
        };
        Written { ids: self.ids, text, thought: parts.thought, answer: parts.answer, truncated, warnings }
    }
}
