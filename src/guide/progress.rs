//! How far a reply has come: whether the model thinks, and what opens its answer.

use crate::answer::{Seen, State, TagReader, Tags};
use crate::stop::beginning_at_end;
use crate::tokenizer::Characters;

/// Follows the bytes of a reply.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    reader: TagReader,
    characters: Characters,
    /// Whether there is nothing but white space so far.
    blank: bool,
    /// Whether text follows the answer's opening tag.
    answered: bool,
}

impl Progress {
    pub(super) fn new(tags: Tags) -> Self {
        Self { reader: TagReader::new(tags), characters: Characters::default(), blank: true, answered: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let text = self.characters.push(bytes);
        let Self { reader, blank, answered, .. } = self;
        reader.push(&text, |seen| match seen {
            Seen::Text(state, text) => {
                *blank &= text.trim().is_empty();
                *answered |= matches!(state, State::Answering | State::Answered);
            }
            Seen::Tag(_) => *blank = false,
        });
    }

    pub(super) fn state(&self) -> State {
        self.reader.state()
    }

    /// The state after these bytes, and whether they go beyond the answer's opening tag.
    pub(super) fn after(&self, bytes: &[u8]) -> (State, Beyond) {
        let mut next = self.clone();
        next.push(bytes);
        let goes_on = next.answered || !next.reader.held().is_empty() || !next.characters.is_complete();
        (next.state(), if goes_on { Beyond::Yes } else { Beyond::No })
    }

    /// Whether the bytes end at a character's end.
    pub(super) fn is_between_characters(&self) -> bool {
        self.characters.is_complete()
    }

    /// The text that opens the answer from here; of a tag that has begun, only the rest.
    pub(super) fn opening(&self) -> String {
        let [think, end_think] = &self.reader.tags().thought;
        let answer = &self.reader.tags().answer[0];
        let closed = format!("{end_think}{answer}");
        let ways = match self.state() {
            State::Open if self.blank => vec![format!("{think}{closed}"), closed, answer.clone()],
            State::Open => vec![closed, answer.clone()],
            State::Thinking => vec![closed],
            State::Thought => vec![answer.clone()],
            State::Answering | State::Answered | State::Untagged => vec![],
        };
        let held = self.reader.held();
        let begun = |way: &String| beginning_at_end(held, way);
        // The first of those that continue most of what is begun.
        let best = ways.iter().rev().max_by_key(|way| begun(way));
        best.map(|way| way[begun(way)..].to_owned()).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Progress {
        let pair = |name: &str| [format!("<{name}>"), format!("</{name}>")];
        let mut progress = Progress::new(Tags { thought: pair("think"), answer: pair("answer") });
        progress.push(text.as_bytes());
        progress
    }

    #[test]
    fn what_is_missing_before_the_answer() {
        for (text, wanted) in [
            ("", "<think></think><answer>"),
            (" \n", "<think></think><answer>"),
            ("<", "think></think><answer>"),
            ("<th", "ink></think><answer>"),
            ("</", "think><answer>"),
            ("<a", "nswer>"),
            ("The answer", "</think><answer>"),
            ("a < b", "</think><answer>"),
            ("a <", "/think><answer>"),
            ("<think>", "</think><answer>"),
            ("<think>so </thi", "nk><answer>"),
            ("<think>a</think>", "<answer>"),
            ("<think>a</think> <", "answer>"),
            ("<think>a</think><answe", "r>"),
            ("<think>a</think><answer>", ""),
            ("<answer>x</answer>", ""),
        ] {
            assert_eq!(after(text).opening(), wanted, "{text:?}");
        }
    }

    #[test]
    fn bytes_beyond_the_tag_are_seen() {
        let progress = after("<think>a</think><answer");
        for (bytes, wanted) in [
            (&b">"[..], (State::Answering, Beyond::No)),
            (b">Y", (State::Answering, Beyond::Yes)),
            (b"><", (State::Answering, Beyond::Yes)),
            (b">\xe2", (State::Answering, Beyond::Yes)),
        ] {
            assert_eq!(progress.after(bytes), wanted, "{bytes:?}");
        }
        assert_eq!(progress.after(b"x").0, State::Thought);
    }

    proptest::proptest! {
        #[test]
        fn the_opening_opens_the_answer(text in "(<think>|</think>|<answer>|</|<|th|an|é| |x){0,10}") {
            let mut progress = after(&text);
            if !matches!(progress.state(), State::Answering | State::Answered) {
                let opening = progress.opening();
                progress.push(opening.as_bytes());
                proptest::prop_assert_eq!(progress.state(), State::Answering, "{:?}", opening);
                proptest::prop_assert!(!progress.answered && progress.reader.held().is_empty());
            }
        }
    }
}
