//! Text to thought and answer, as it arrives or as a whole.

use crate::package::PromptTemplate;
use crate::request::ReplyPart;
use crate::stop::beginning_at_end;

/// The delimiters of a model that thinks before it answers.
#[derive(Debug, Clone)]
pub(crate) struct Tags {
    pub(crate) thought: [String; 2],
    pub(crate) answer: [String; 2],
}

impl From<&PromptTemplate> for Tags {
    fn from(prompt: &PromptTemplate) -> Self {
        Self { thought: prompt.thought.clone(), answer: prompt.answer.clone() }
    }
}

/// Where in the reply the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing but white space so far, or text of a model that does not think.
    Open,
    Thinking,
    /// Between the thought and the answer's opening tag.
    Thought,
    Answering,
    Answered,
    /// No tag means anything: all of the text is the answer.
    Untagged,
}

/// What a reader finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// Text that belongs to the state; never empty.
    Text(State, &'a str),
    /// A tag that led to this state.
    Tag(State),
}

/// Finds the tags of a reply piece by piece. What could become a tag is held back.
#[derive(Debug, Clone)]
pub(crate) struct TagReader {
    tags: Tags,
    state: State,
    held: String,
}

impl TagReader {
    pub(crate) fn new(tags: Tags) -> Self {
        Self { tags, state: State::Open, held: String::new() }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    /// The end of the text that could become a tag.
    pub(crate) fn held(&self) -> &str {
        &self.held
    }

    /// Takes the next piece of text; `see` is called with what became certain.
    pub(crate) fn push(&mut self, text: &str, mut see: impl FnMut(Seen<'_>)) {
        self.held += text;
        while let Some((at, tag_length, next)) = self.next_tag() {
            let after = self.held.split_off(at + tag_length);
            self.held.truncate(at);
            let before = std::mem::replace(&mut self.held, after);
            self.tell(&before, &mut see);
            self.state = next;
            see(Seen::Tag(next));
        }
        let keep = self.possible_tag_length();
        let kept = self.held.split_off(self.held.len() - keep);
        let ready = std::mem::replace(&mut self.held, kept);
        self.tell(&ready, &mut see);
    }

    /// Ends the reply: what was held back is text.
    fn finish(&mut self, mut see: impl FnMut(Seen<'_>)) {
        let rest = std::mem::take(&mut self.held);
        self.tell(&rest, &mut see);
    }

    fn tell(&self, text: &str, see: &mut impl FnMut(Seen<'_>)) {
        if !text.is_empty() {
            see(Seen::Text(self.state, text));
        }
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
            State::Answered | State::Untagged => vec![],
        }
    }

    /// Position and length of the first awaited tag in the held text, and where it leads.
    fn next_tag(&self) -> Option<(usize, usize, State)> {
        let found = |(tag, next): (&str, State)| self.held.find(tag).map(|at| (at, tag.len(), next));
        self.awaited().into_iter().filter_map(found).min_by_key(|(at, ..)| *at)
    }

    /// Length of the longest end of the held text that an awaited tag begins with.
    fn possible_tag_length(&self) -> usize {
        let lengths = self.awaited().into_iter().map(|(tag, _)| beginning_at_end(&self.held, tag));
        lengths.max().unwrap_or(0)
    }
}

/// Splits a reply into thought and answer piece by piece.
pub(crate) struct Splitter {
    reader: TagReader,
    parts: Collected,
}

#[derive(Default)]
struct Collected {
    thought: Option<String>,
    answer: String,
    /// The state of the last tag.
    state: Option<State>,
    thought_edge: Edge,
    answer_edge: Edge,
}

/// Where a part begins and may end. White space there is not part of it, so what is said of it joins to what it is.
#[derive(Default)]
struct Edge {
    /// Whether something was said of the part.
    began: bool,
    /// White space that more text may follow.
    held: String,
}

impl Edge {
    /// Says the text that certainly belongs to a part.
    fn say(&mut self, part: ReplyPart, text: &str, say: &mut impl FnMut(ReplyPart, &str)) {
        let text = match self.began {
            true => text,
            false => text.trim_start_matches(is_space),
        };
        let inner = text.trim_end_matches(is_space);
        if inner.is_empty() {
            self.held += text;
            return;
        }
        let whole = std::mem::take(&mut self.held) + inner;
        self.held.push_str(&text[inner.len()..]);
        self.began = true;
        say(part, &whole);
    }
}

/// A reply in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitReply {
    pub(crate) thought: Option<String>,
    pub(crate) answer: String,
    /// The part that more text would have gone to; none after the answer's closing tag.
    pub(crate) open: Option<ReplyPart>,
}

impl Splitter {
    pub(crate) fn new(tags: Tags) -> Self {
        Self { reader: TagReader::new(tags), parts: Collected::default() }
    }

    /// For a reply that is all answer, tags included.
    pub(crate) fn untagged(tags: Tags) -> Self {
        let mut splitter = Self::new(tags);
        splitter.reader.state = State::Untagged;
        splitter
    }

    /// Takes the next piece of text; `say` is called with what of it belongs to a part.
    pub(crate) fn push(&mut self, text: &str, mut say: impl FnMut(ReplyPart, &str)) {
        let parts = &mut self.parts;
        self.reader.push(text, |seen| parts.see(seen, &mut say));
    }

    /// Ends a reply that was cut off: a tag that is begun belongs to no part.
    pub(crate) fn cut(mut self, say: impl FnMut(ReplyPart, &str)) -> SplitReply {
        self.reader.held.clear();
        self.finish(say)
    }

    /// Ends the reply: what was held back is text.
    pub(crate) fn finish(mut self, mut say: impl FnMut(ReplyPart, &str)) -> SplitReply {
        let parts = &mut self.parts;
        self.reader.finish(|seen| parts.see(seen, &mut say));
        let open = match self.reader.state {
            State::Thinking => Some(ReplyPart::Thought),
            State::Open | State::Thought | State::Answering | State::Untagged => Some(ReplyPart::Answer),
            State::Answered => None,
        };
        let trimmed = |text: &str| strip(text).to_owned();
        let answer = match self.reader.state {
            // Its form says what it is, white space included.
            State::Untagged => self.parts.answer,
            _ => trimmed(&self.parts.answer),
        };
        SplitReply { thought: self.parts.thought.as_deref().map(trimmed), answer, open }
    }
}

impl Collected {
    fn see(&mut self, seen: Seen<'_>, say: &mut impl FnMut(ReplyPart, &str)) {
        match seen {
            Seen::Text(State::Thinking, text) => {
                self.thought.get_or_insert_default().push_str(text);
                self.thought_edge.say(ReplyPart::Thought, text, say);
            }
            Seen::Text(State::Answered, _) => {}
            Seen::Text(state, text) => {
                self.answer += text;
                match state {
                    // Its form says what it is, white space included.
                    State::Untagged => say(ReplyPart::Answer, text),
                    _ => self.answer_edge.say(ReplyPart::Answer, text, say),
                }
            }
            Seen::Tag(state) => self.enter(state),
        }
    }

    fn enter(&mut self, next: State) {
        match next {
            // A reply may begin inside the thought, when the opening tag was part of the prompt.
            State::Thought if self.state.is_none() => {
                self.thought = Some(std::mem::take(&mut self.answer));
                self.answer_edge = Edge::default();
            }
            State::Thinking => {
                self.thought = Some(String::new());
                self.thought_edge = Edge::default();
            }
            // Only what stands in the tags is the answer.
            State::Answering => {
                self.answer.clear();
                self.answer_edge = Edge::default();
            }
            _ => {}
        }
        self.state = Some(next);
    }
}

/// Removes white space from both ends as Python's `str.strip` does, which knows four separators (U+001C to U+001F)
/// that Unicode's White_Space lacks.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Tags {
        let pair = |name: &str| [format!("<{name}>"), format!("</{name}>")];
        Tags { thought: pair("think"), answer: pair("answer") }
    }

    fn split(pieces: &[&str]) -> SplitReply {
        let mut splitter = Splitter::new(tags());
        let mut said = [String::new(), String::new()];
        let mut say = |part: ReplyPart, text: &str| said[part as usize] += text;
        pieces.iter().for_each(|piece| splitter.push(piece, &mut say));
        let parts = splitter.finish(&mut say);
        assert!(said[ReplyPart::Answer as usize].ends_with(&parts.answer), "{said:?} {parts:?}");
        parts
    }

    #[test]
    fn what_is_said_joins_to_what_it_is() {
        let whole = "<think>\n a  b \n</think> \n<answer> It is\n so. </answer>\n";
        let mut splitter = Splitter::new(tags());
        let mut said = [String::new(), String::new()];
        let mut say = |part: ReplyPart, text: &str| said[part as usize] += text;
        whole.chars().for_each(|letter| splitter.push(&letter.to_string(), &mut say));
        let parts = splitter.finish(&mut say);
        assert_eq!(said[ReplyPart::Thought as usize], parts.thought.unwrap());
        assert_eq!(said[ReplyPart::Answer as usize], parts.answer);
        assert_eq!((said[0].as_str(), said[1].as_str()), ("a  b", "It is\n so."));
    }

    #[test]
    fn replies() {
        let table: &[(&str, Option<&str>, &str, Option<ReplyPart>)] = &[
            ("<think> a b </think><answer> Yes. </answer>", Some("a b"), "Yes.", None),
            ("<think>a</think>\n<answer>B</answer> tail", Some("a"), "B", None),
            ("No tags at all", None, "No tags at all", Some(ReplyPart::Answer)),
            ("", None, "", Some(ReplyPart::Answer)),
            ("<think>never ends", Some("never ends"), "", Some(ReplyPart::Thought)),
            ("<think>a</think> just text", Some("a"), "just text", Some(ReplyPart::Answer)),
            ("<think>a</think><answer>cut", Some("a"), "cut", Some(ReplyPart::Answer)),
            ("begins inside</think><answer>x</answer>", Some("begins inside"), "x", None),
            ("<answer>only</answer>", None, "only", None),
            ("chatter <answer>x</answer>", None, "x", None),
            ("1 < 2 <answ", None, "1 < 2 <answ", Some(ReplyPart::Answer)),
            ("<think>a <b> </thin </think>c", Some("a <b> </thin"), "c", Some(ReplyPart::Answer)),
        ];
        for (text, thought, answer, open) in table {
            let wanted =
                SplitReply { thought: thought.map(Into::into), answer: (*answer).into(), open: *open };
            assert_eq!(split(&[text]), wanted, "{text}");
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(split(&letters), wanted, "{text}, letter by letter");
        }
    }

    #[test]
    fn a_tag_that_is_begun_when_a_reply_is_cut_belongs_to_no_part() {
        for (text, thought, answer) in [
            ("<think", None, ""),
            ("<think>a</thi", Some("a"), ""),
            ("<think>a</think><answ", Some("a"), ""),
            ("<think>a</think><answer>b</answ", Some("a"), "b"),
            ("<answer>1 < 2", None, "1 < 2"),
        ] {
            let mut splitter = Splitter::new(tags());
            let mut said = String::new();
            splitter.push(text, |_, piece| said += piece);
            let parts = splitter.cut(|_, piece| said += piece);
            assert_eq!((parts.thought.as_deref(), parts.answer.as_str()), (thought, answer), "{text}");
            assert_eq!(said, format!("{}{answer}", thought.unwrap_or_default()), "{text}");
        }
    }

    #[test]
    fn strips_as_python_does() {
        assert_eq!(strip("\u{1c}\u{85} a b\u{3000}\u{1f}\n"), "a b");
        assert_eq!(strip("\u{200b}x\u{feff}"), "\u{200b}x\u{feff}");
    }

    #[test]
    fn without_tags_all_of_it_is_the_answer() {
        let mut splitter = Splitter::untagged(tags());
        splitter.push(" <think>a</think> <answer>b</answer> c \n", |_, _| ());
        let parts = splitter.finish(|_, _| ());
        assert_eq!((parts.thought, parts.open), (None, Some(ReplyPart::Answer)));
        assert_eq!(parts.answer, " <think>a</think> <answer>b</answer> c \n");
    }

    proptest::proptest! {
        #[test]
        fn pieces_make_no_difference(text in "(<think>|</think>|<answer>|</answer>|<|a|é| ){0,12}", cut in 0usize..80) {
            let cut = (0..=cut.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            proptest::prop_assert_eq!(split(&[&text[..cut], &text[cut..]]), split(&[&text]));
        }
    }
}
