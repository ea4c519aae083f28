//! The text of a reply up to its first stop string, piece by piece.

use crate::tokenizer::Characters;

/// Turns the bytes of a reply's tokens into its text, up to the first stop string.
#[derive(Debug, Clone)]
pub(crate) struct Spoken {
    characters: Characters,
    stops: StopStrings,
}

impl Spoken {
    /// None of the texts is empty.
    pub(crate) fn new(stops: &[String]) -> Self {
        Self { characters: Characters::default(), stops: StopStrings::new(stops) }
    }

    /// Takes the next token's bytes and returns what became certain with them; often nothing.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.stops.push(&self.characters.push(bytes))
    }

    /// Whether a stop string came.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stops.found().is_some()
    }

    /// What was held back, when the reply was cut off: whole characters alone.
    pub(crate) fn cut(&mut self) -> String {
        self.stops.finish()
    }

    /// What was held back, when the model ended the reply. Bytes that are no character become U+FFFD: the model wrote them.
    pub(crate) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.characters).finish();
        self.stops.push(&rest) + &self.stops.finish()
    }
}

/// Looks for the first of several texts. What could become one of them is held back, and none is ever let through.
///
/// The one that is complete first counts (of several that end at one place the longest), so that the pieces in which
/// the text arrives make no difference.
#[derive(Debug, Clone)]
struct StopStrings {
    stops: Vec<String>,
    held: String,
    found: Option<usize>,
}

impl StopStrings {
    fn new(stops: &[String]) -> Self {
        Self { stops: stops.to_vec(), held: String::new(), found: None }
    }

    /// Takes the next piece and returns what of the text is certain to come before any stop string. Once one was
    /// found nothing more comes.
    fn push(&mut self, text: &str) -> String {
        if self.found.is_some() {
            return String::new();
        }
        self.held += text;
        let ends = self.stops.iter().enumerate().filter_map(|(which, stop)| {
            let start = self.held.find(stop)?;
            Some((start + stop.len(), start, which))
        });
        if let Some((_, start, which)) = ends.min() {
            self.found = Some(which);
            self.held.truncate(start);
            return std::mem::take(&mut self.held);
        }
        let longest = self.stops.iter().map(|stop| beginning_at_end(&self.held, stop)).max().unwrap_or(0);
        let kept = self.held.split_off(self.held.len() - longest);
        std::mem::replace(&mut self.held, kept)
    }

    /// The stop string that was found.
    fn found(&self) -> Option<&str> {
        self.found.map(|which| self.stops[which].as_str())
    }

    /// What was held back, when the text ends without a stop string.
    fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest end of `text` that `pattern` begins with and is longer than.
pub(crate) fn beginning_at_end(text: &str, pattern: &str) -> usize {
    let lengths = (1..pattern.len()).rev().filter(|&length| pattern.is_char_boundary(length));
    lengths.into_iter().find(|&length| text.ends_with(&pattern[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes through, and the stop string.
    fn read(stops: &[&str], pieces: &[&str]) -> (String, Option<String>) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).into()).collect();
        let mut reader = StopStrings::new(&stops);
        let mut text = String::new();
        for piece in pieces {
            text += &reader.push(piece);
            assert!(stops.iter().all(|stop| !text.contains(stop)), "{text:?} holds one of {stops:?}");
        }
        text += &reader.finish();
        (text, reader.found().map(String::from))
    }

    #[test]
    fn texts_up_to_the_stop_string() {
        let table: &[(&[&str], &str, &str, Option<&str>)] = &[
            (&[], "abc", "abc", None),
            (&["x"], "abc", "abc", None),
            (&["b"], "abc", "a", Some("b")),
            (&["bc", "b"], "abc", "a", Some("b")),
            (&["c", "abc"], "abc", "", Some("abc")),
            (&["bcd", "abcde"], "abcde", "a", Some("bcd")),
            (&["END"], "an EN", "an EN", None),
            (&["aab"], "aaab", "a", Some("aab")),
            (&["é€"], "aé€b", "a", Some("é€")),
            (&["é€"], "aéé", "aéé", None),
            (&["\n\n"], "a\nb\n\nc", "a\nb", Some("\n\n")),
        ];
        for (stops, text, wanted, found) in table {
            let wanted = ((*wanted).to_owned(), found.map(String::from));
            assert_eq!(read(stops, &[text]), wanted, "{text}");
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(read(stops, &letters), wanted, "{text}, letter by letter");
        }
    }

    #[test]
    fn a_reply_that_is_cut_holds_whole_characters_alone() {
        let euro = "€".as_bytes();
        for (ends, wanted) in [("cut", "a"), ("finished", "a\u{fffd}")] {
            let mut spoken = Spoken::new(&["ab".into()]);
            assert_eq!(spoken.push(&[b"a", &euro[..2]].concat()), "");
            let rest = if ends == "cut" { spoken.cut() } else { spoken.finish() };
            assert_eq!(rest, wanted, "{ends}");
        }
    }

    #[test]
    fn what_cannot_become_a_stop_string_is_let_through_at_once() {
        let mut reader = StopStrings::new(&["STOP".into()]);
        assert_eq!(reader.push("a ST"), "a ");
        assert_eq!(reader.push("art"), "STart");
        assert_eq!(reader.push("STOP it"), "");
        assert_eq!((reader.push("more").as_str(), reader.found()), ("", Some("STOP")));
    }

    proptest::proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in "[abé]{0,12}",
            stops in proptest::collection::vec("[abé]{1,4}", 0..4),
            cuts in proptest::collection::vec(0usize..24, 0..4),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&at| text.is_char_boundary(at)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            proptest::prop_assert_eq!(read(&stops, &pieces), read(&stops, &[&text]));
        }
    }
}
