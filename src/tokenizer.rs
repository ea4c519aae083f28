//! Text to token ids and back.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::Range;
use std::panic::catch_unwind;
use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::{
    Model as _, NormalizedString, Normalizer as _, OffsetType, PreTokenizedString, PreTokenizer as _,
    Tokenizer as Vocabulary,
};

use crate::error::{Error, Result};
use crate::package::Package;

/// The vocabulary of a package.
pub(crate) struct Tokenizer {
    vocabulary: Vocabulary,
    /// The bytes each id stands for, by id; ids that leave no text behind have none.
    bytes: Vec<Vec<u8>>,
    /// The ids that stand beside the vocabulary that text is cut into.
    #[cfg_attr(not(feature = "constrained"), allow(dead_code))]
    added: HashSet<u32>,
    control: Control,
    eos: u32,
}

/// The tokens beside the vocabulary, to be found in text in one pass over it, however many of them stand there.
struct Control {
    /// Finds the first, and of those that begin at one place the longest, as the tokenizer itself chooses.
    finder: AhoCorasick,
    /// By the finder's number.
    tokens: Vec<Added>,
}

/// A token beside the vocabulary that text is cut into.
pub(crate) struct Added {
    pub(crate) id: u32,
    /// Whether it takes the white space before it.
    pub(crate) strips_left: bool,
    /// Whether it takes the white space after it.
    pub(crate) strips_right: bool,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Package`] if the file is no tokenizer or lacks the ids that the manifest names.
    pub(crate) fn open(package: &Package) -> Result<Self> {
        let path = package.path("tokenizer.json");
        let vocabulary = read(&path)?;
        let tokens = &package.manifest().tokens;
        let prompt = &package.manifest().prompt;
        expect_id(&path, &vocabulary, &prompt.stop, tokens.eos)?;
        expect_id(&path, &vocabulary, &prompt.image_context, tokens.image_context)?;
        let bytes = byte_table(&path, &vocabulary, &tokens.skip)?;
        let decoder = vocabulary.get_added_tokens_decoder();
        let control = decoder.iter().map(|(&id, token)| {
            let added = Added { id, strips_left: token.lstrip, strips_right: token.rstrip };
            (token.content.as_str(), added)
        });
        let control = Control::of(control).map_err(|error| {
            Error::package(path.display(), "added tokens that can be found in text", error)
                .hint("export the package again")
        })?;
        let added = decoder.into_keys().collect();
        Ok(Self { vocabulary, bytes, added, control, eos: tokens.eos })
    }

    /// The ids of a text; added tokens in it are recognised, nothing is put before or after.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.vocabulary.encode_fast(text, false).map_err(unfit)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The ids of a text that holds letters alone: what looks like an added token is cut up like any other text.
    pub(crate) fn encode_letters(&self, text: &str) -> Result<Vec<u32>> {
        let vocabulary = &self.vocabulary;
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = vocabulary.get_normalizer() {
            normalizer.normalize(&mut normalized).map_err(unfit)?;
        }
        let mut words = PreTokenizedString::from(normalized);
        if let Some(pre_tokenizer) = vocabulary.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut words).map_err(unfit)?;
        }
        words.tokenize(|word| vocabulary.get_model().tokenize(word.get())).map_err(unfit)?;
        let encoding = words.into_encoding(None, 0, OffsetType::None).map_err(unfit)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The first added token in a text, if there is one, and where it stands.
    pub(crate) fn find_added(&self, text: &str) -> Option<(Range<usize>, &Added)> {
        let found = self.control.finder.find(text)?;
        Some((found.range(), self.control.tokens.get(found.pattern().as_usize())?))
    }

    /// The id that ends a turn.
    pub(crate) fn eos(&self) -> u32 {
        self.eos
    }

    /// Bytes of the longest token.
    pub(crate) fn longest(&self) -> usize {
        self.bytes.iter().map(Vec::len).max().unwrap_or_default()
    }

    /// How many ids there are.
    #[cfg_attr(not(feature = "constrained"), allow(dead_code))]
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that an id stands for; none for ids that leave no text behind and for unknown ones.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether an id stands for a word of its own that no text is cut into: a tag, a marker, an image token.
    #[cfg_attr(not(feature = "constrained"), allow(dead_code))]
    pub(crate) fn is_added(&self, id: u32) -> bool {
        self.added.contains(&id)
    }
}

impl Control {
    /// These texts and tokens. A token without a text stands nowhere.
    fn of<'a>(
        tokens: impl Iterator<Item = (&'a str, Added)>,
    ) -> std::result::Result<Self, aho_corasick::BuildError> {
        let (texts, tokens): (Vec<_>, Vec<_>) = tokens.filter(|(text, _)| !text.is_empty()).unzip();
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts)?;
        Ok(Self { finder, tokens })
    }
}

/// Turns bytes into text. They may end inside a character: what is incomplete is held back until the rest arrives, or
/// becomes U+FFFD.
#[derive(Debug, Clone, Default)]
pub(crate) struct Characters {
    held: Vec<u8>,
}

impl Characters {
    /// The text that became complete with these bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let complete = complete_length(&self.held);
        let rest = self.held.split_off(complete);
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held = rest;
        text
    }

    /// Whether no character is half written.
    pub(crate) fn is_complete(&self) -> bool {
        self.held.is_empty()
    }

    /// What is still held back.
    pub(crate) fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}

/// Length of the part of `bytes` that no later byte can change the reading of.
fn complete_length(bytes: &[u8]) -> usize {
    let mut start = 0;
    loop {
        match std::str::from_utf8(&bytes[start..]) {
            Ok(_) => return bytes.len(),
            Err(error) => match error.error_len() {
                Some(bad) => start += error.valid_up_to() + bad,
                None => return start + error.valid_up_to(),
            },
        }
    }
}

fn read(path: &Path) -> Result<Vocabulary> {
    // The library panics at some files, such as merges of a token that is shorter than its prefix.
    let read = catch_unwind(|| Vocabulary::from_file(path).map_err(|error| error.to_string()));
    let read = read.unwrap_or_else(|_| Err("one that the tokenizer library breaks down on".into()));
    read.map_err(|error| Error::package(path.display(), "a tokenizer", error).hint("export again"))
}

fn unfit(error: impl Display) -> Error {
    Error::request("prompt", "text that the tokenizer takes", error).report()
}

fn expect_id(path: &Path, vocabulary: &Vocabulary, token: &str, id: u32) -> Result<()> {
    match vocabulary.token_to_id(token) {
        Some(found) if found == id => Ok(()),
        found => Err(Error::package(
            path.display(),
            format!("{token} with id {id}"),
            found.map_or("no such token".into(), |id| format!("id {id}")),
        )
        .hint("tokenizer and fleming.json are not of one export: export the checkpoint again")),
    }
}

fn byte_table(path: &Path, vocabulary: &Vocabulary, skip: &[u32]) -> Result<Vec<Vec<u8>>> {
    let added = vocabulary.get_added_tokens_decoder();
    let size = vocabulary.get_vocab_size(true);
    let mut table = vec![Vec::new(); size];
    for (token, id) in vocabulary.get_vocab(true) {
        let Some(entry) = table.get_mut(id as usize) else {
            return Err(Error::package(
                path.display(),
                format!("ids below {size}"),
                format!("{id} for {token}"),
            )
            .hint("export the package again"));
        };
        *entry = match added.contains_key(&id) {
            true => token.into_bytes(),
            false => token.chars().map(|letter| byte_of(path, letter)).collect::<Result<_>>()?,
        };
    }
    for &id in skip {
        if let Some(entry) = table.get_mut(id as usize) {
            entry.clear();
        }
    }
    Ok(table)
}

/// The byte that a letter of byte-level BPE stands for. Printable Latin-1 letters stand for themselves; the other
/// 68 bytes, in ascending order, are U+0100 and up (GPT-2's table).
fn byte_of(path: &Path, letter: char) -> Result<u8> {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let code = letter as u32;
    match u8::try_from(code) {
        Ok(byte) if printable(byte) => Some(byte),
        Ok(_) => None,
        Err(_) => (0..=255).filter(|&byte| !printable(byte)).nth((code - 256) as usize),
    }
    .ok_or_else(|| {
        Error::package(path.display(), "byte-level tokens", format!("the letter {letter:?}"))
            .hint("export the package again; other kinds of tokenizer are not read")
    })
}

#[cfg(test)]
impl Tokenizer {
    /// A vocabulary for tests: the 256 bytes, then these words, which text is cut into where they stand in it, then one
    /// id that leaves no text behind and ends the turn.
    pub(crate) fn of_bytes(words: &[&str]) -> Self {
        use tokenizers::AddedToken;
        use tokenizers::models::bpe::BPE;
        use tokenizers::pre_tokenizers::byte_level::ByteLevel;
        let path = Path::new("test");
        let letters = (0..0x180).filter_map(char::from_u32);
        let letters =
            letters.filter_map(|letter| Some((letter.to_string(), byte_of(path, letter).ok()?.into())));
        let letters = <[(String, u32); 256]>::try_from(letters.collect::<Vec<_>>()).unwrap();
        let model = BPE::builder().vocab_and_merges(letters, Vec::new()).build();
        let mut vocabulary = Vocabulary::new(model.unwrap());
        vocabulary.with_pre_tokenizer(Some(ByteLevel::new(false, false, false)));
        vocabulary
            .add_tokens(words.iter().map(|word| AddedToken::from(*word, false)).collect::<Vec<_>>())
            .unwrap();
        let mut bytes: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        bytes.extend(words.iter().map(|word| word.as_bytes().to_vec()));
        bytes.push(Vec::new());
        let eos = bytes.len() as u32 - 1;
        let control = words
            .iter()
            .zip(256..)
            .map(|(word, id)| (*word, Added { id, strips_left: false, strips_right: false }));
        let control = Control::of(control).unwrap();
        Self { vocabulary, bytes, added: HashSet::from([eos]), control, eos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_the_packages_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let sound = std::fs::read_to_string("models/demo/tokenizer.json").unwrap();
        let prefix = r#""continuing_subword_prefix":""#;
        assert!(sound.contains(prefix));
        for wrong in ["", "{}", &sound[..200], &sound.replace(prefix, &format!("{prefix}.."))] {
            std::fs::write(&path, wrong).unwrap();
            assert_eq!(read(&path).err().unwrap().code(), crate::ErrorCode::Package);
        }
    }

    #[test]
    fn the_first_added_token_is_found_and_of_several_there_the_longest() {
        let tokenizer = Tokenizer::of_bytes(&["<a", "<ab>", "b>c"]);
        let found = |text| tokenizer.find_added(text).map(|(place, token)| (place, token.id - 256));
        assert_eq!(found("x<ab>c"), Some((1..5, 1)));
        assert_eq!(found("x<ac"), Some((1..3, 0)));
        assert_eq!(found("ab>c<a"), Some((1..4, 2)));
        assert_eq!(found("ab>"), None);
    }

    /// Looking for each token up to the end of the text, again for each that stands in it, would take hours.
    #[test]
    fn a_text_of_added_tokens_is_passed_over_once() {
        const COUNT: usize = 200_000;
        let words: Vec<String> = (0..64).map(|word| format!("<word {word}>")).collect();
        let tokenizer = Tokenizer::of_bytes(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let text = words[7].repeat(COUNT);
        let (mut rest, mut found) = (text.as_str(), 0);
        while let Some((place, token)) = tokenizer.find_added(rest) {
            assert_eq!((place.start, token.id), (0, 256 + 7));
            (rest, found) = (&rest[place.end..], found + 1);
        }
        assert_eq!(found, COUNT);
    }

    #[test]
    fn letters_of_byte_level_bpe() {
        let path = Path::new("tokenizer.json");
        for (letter, byte) in [('!', b'!'), ('ÿ', 255), ('Ā', 0), ('Ġ', b' '), ('Ċ', b'\n'), ('Ń', 173)]
        {
            assert_eq!(byte_of(path, letter).unwrap(), byte, "{letter}");
        }
        for letter in [' ', '\u{ad}', 'ń', '中'] {
            assert!(byte_of(path, letter).is_err(), "{letter:?}");
        }
    }

    #[test]
    fn a_character_is_complete_when_no_byte_can_change_it() {
        let euro = "€".as_bytes();
        for (bytes, length) in [
            (&b""[..], 0),
            (b"abc", 3),
            (euro, 3),
            (&euro[..2], 0),
            (b"a\xe2", 1),
            (b"\xe2a", 2),
            (b"\xff\xff", 2),
            (b"\xff\xe2\x82", 1),
        ] {
            assert_eq!(complete_length(bytes), length, "{bytes:?}");
        }
    }

    #[test]
    fn text_in_pieces_is_the_text() {
        let text = "añ€😀 �".as_bytes();
        let mut characters = Characters::default();
        let mut whole: String = text[..text.len() - 1].iter().map(|&byte| characters.push(&[byte])).collect();
        whole += &characters.finish();
        assert_eq!(whole, "añ€😀 \u{fffd}");
    }
}
