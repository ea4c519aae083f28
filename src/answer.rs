//! Text to thought and answer, as it arrives or as a whole.

use crate::package::Prompt;
use crate::request::Part;

/// The delimiters of a model that thinks before it answers.
#[derive(Debug, Clone)]
pub(crate) struct Tags {
    thought: [String; 2],
    answer: [String; 2],
}

impl From<&Prompt> for Tags {
    fn from(prompt: &Prompt) -> Self {
        Self { thought: prompt.thought.clone(), answer: prompt.answer.clone() }
    }
}

/// Where in the reply the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far, or text of a model that does not think.
    Open,
    Thinking,
    /// Between the thought and the answer's opening tag.
    Thought,
    Answering,
    Answered,
}

/// Splits a reply into thought and answer piece by piece. What could become a tag is held back.
pub(crate) struct Splitter {
    tags: Tags,
    state: State,
    held: String,
    thought: Option<String>,
    answer: String,
    /// Whether the answer stood in tags; then text outside them is not part of it.
    tagged: bool,
}

/// A reply in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) thought: Option<String>,
    pub(crate) answer: String,
    /// The part that more text would have gone to; none after the answer's closing tag.
    pub(crate) open: Option<Part>,
}

impl Splitter {
    pub(crate) fn new(tags: Tags) -> Self {
        Self {
            tags,
            state: State::Open,
            held: String::new(),
            thought: None,
            answer: String::new(),
            tagged: false,
        }
    }

    /// Takes the next piece of text; `say` is called with what of it belongs to a part.
    pub(crate) fn push(&mut self, text: &str, mut say: impl FnMut(Part, &str)) {
        self.held += text;
        while let Some((at, tag_length, next)) = self.next_tag() {
            let after = self.held.split_off(at + tag_length);
            self.held.truncate(at);
            let before = std::mem::replace(&mut self.held, after);
            self.take(&before, &mut say);
            self.enter(next);
        }
        let keep = self.possible_tag_length();
        let kept = self.held.split_off(self.held.len() - keep);
        let ready = std::mem::replace(&mut self.held, kept);
        self.take(&ready, &mut say);
    }

    /// Ends the reply: what was held back is text.
    pub(crate) fn finish(mut self, mut say: impl FnMut(Part, &str)) -> Parts {
        let rest = std::mem::take(&mut self.held);
        self.take(&rest, &mut say);
        let open = match self.state {
            State::Thinking => Some(Part::Thought),
            State::Open | State::Thought | State::Answering => Some(Part::Answer),
            State::Answered => None,
        };
        let trimmed = |text: &str| strip(text).to_owned();
        Parts { thought: self.thought.as_deref().map(trimmed), answer: trimmed(&self.answer), open }
    }

    /// The tags that mean something now, and where each leads.
    fn awaited(&self) -> Vec<(&str, State)> {
        let [think, end_think] = &self.tags.thought;
        let [answer, end_answer] = &self.tags.answer;
        match self.state {
            State::Open => {
                vec![(think, State::Thinking), (end_think, State::Thought), (answer, State::Answering)]
            }
            State::Thinking => vec![(end_think, State::Thought)],
            State::Thought => vec![(answer, State::Answering)],
            State::Answering => vec![(end_answer, State::Answered)],
            State::Answered => vec![],
        }
    }

    /// Position and length of the first awaited tag in the held text, and where it leads.
    fn next_tag(&self) -> Option<(usize, usize, State)> {
        let found = |(tag, next): (&str, State)| self.held.find(tag).map(|at| (at, tag.len(), next));
        self.awaited().into_iter().filter_map(found).min_by_key(|(at, ..)| *at)
    }

    /// Length of the longest end of the held text that an awaited tag begins with.
    fn possible_tag_length(&self) -> usize {
        let longest = |tag: &str| {
            let lengths = (1..tag.len()).rev().filter(|&length| tag.is_char_boundary(length));
            lengths.into_iter().find(|&length| self.held.ends_with(&tag[..length])).unwrap_or(0)
        };
        self.awaited().into_iter().map(|(tag, _)| longest(tag)).max().unwrap_or(0)
    }

    fn take(&mut self, text: &str, say: &mut impl FnMut(Part, &str)) {
        if text.is_empty() {
            return;
        }
        match self.state {
            State::Thinking => {
                self.thought.get_or_insert_default().push_str(text);
                say(Part::Thought, text);
            }
            State::Open | State::Thought | State::Answering => {
                self.answer += text;
                say(Part::Answer, text);
            }
            State::Answered => {}
        }
    }

    fn enter(&mut self, next: State) {
        match next {
            // A reply may begin inside the thought, when the opening tag was part of the prompt.
            State::Thought if self.state == State::Open => {
                self.thought = Some(std::mem::take(&mut self.answer));
            }
            State::Thinking => self.thought = Some(String::new()),
            // Only what stands in the tags is the answer.
            State::Answering if !self.tagged => {
                self.answer.clear();
                self.tagged = true;
            }
            _ => {}
        }
        self.state = next;
    }
}

/// Removes white space from both ends as Python's `str.strip` does, which knows four separators (U+001C to U+001F)
/// that Unicode's White_Space lacks.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Tags {
        let pair = |name: &str| [format!("<{name}>"), format!("</{name}>")];
        Tags { thought: pair("think"), answer: pair("answer") }
    }

    fn split(pieces: &[&str]) -> Parts {
        let mut splitter = Splitter::new(tags());
        let mut said = [String::new(), String::new()];
        let mut say = |part: Part, text: &str| said[part as usize] += text;
        pieces.iter().for_each(|piece| splitter.push(piece, &mut say));
        let parts = splitter.finish(&mut say);
        assert!(said[Part::Answer as usize].contains(&parts.answer), "{said:?} {parts:?}");
        parts
    }

    #[test]
    fn replies() {
        let table: &[(&str, Option<&str>, &str, Option<Part>)] = &[
            ("<think> a b </think><answer> Yes. </answer>", Some("a b"), "Yes.", None),
            ("<think>a</think>\n<answer>B</answer> tail", Some("a"), "B", None),
            ("No tags at all", None, "No tags at all", Some(Part::Answer)),
            ("", None, "", Some(Part::Answer)),
            ("<think>never ends", Some("never ends"), "", Some(Part::Thought)),
            ("<think>a</think> just text", Some("a"), "just text", Some(Part::Answer)),
            ("<think>a</think><answer>cut", Some("a"), "cut", Some(Part::Answer)),
            ("begins inside</think><answer>x</answer>", Some("begins inside"), "x", None),
            ("<answer>only</answer>", None, "only", None),
            ("chatter <answer>x</answer>", None, "x", None),
            ("1 < 2 <answ", None, "1 < 2 <answ", Some(Part::Answer)),
            ("<think>a <b> </thin </think>c", Some("a <b> </thin"), "c", Some(Part::Answer)),
        ];
        for (text, thought, answer, open) in table {
            let wanted = Parts { thought: thought.map(Into::into), answer: (*answer).into(), open: *open };
            assert_eq!(split(&[text]), wanted, "{text}");
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(split(&letters), wanted, "{text}, letter by letter");
        }
    }

    #[test]
    fn strips_as_python_does() {
        assert_eq!(strip("\u{1c}\u{85} a b\u{3000}\u{1f}\n"), "a b");
        assert_eq!(strip("\u{200b}x\u{feff}"), "\u{200b}x\u{feff}");
    }

    proptest::proptest! {
        #[test]
        fn pieces_make_no_difference(text in "(<think>|</think>|<answer>|</answer>|<|a|é| ){0,12}", cut in 0usize..80) {
            let cut = (0..=cut.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            proptest::prop_assert_eq!(split(&[&text[..cut], &text[cut..]]), split(&[&text]));
        }
    }
}
