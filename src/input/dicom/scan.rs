//! From bytes to the elements that are kept, as far as the pixels.
//!
//! The scan is our own, because a library's would hold every value, trust every length and recurse: what is nested is kept
//! on a list here, whose length is bounded, and what is not wanted is passed over and never held.

use sha2::{Digest, Sha256};

use super::element::{Head, encoding, is_bare};
use super::stream::{Stream, ended};
use super::syntax::{DEFAULT, EXPLICIT, Encoding, IMPLICIT, Syntax};
use super::tag::{self, Form, written};
use super::value::{Item, Value};
use crate::error::{Error, Result};

/// Bytes before the meta group.
const PREAMBLE: usize = 132;
/// Bytes that show whether a file is DICOM.
const HEAD: usize = 2048;
/// Sequences within sequences. Honest files have less than ten.
const MOST_LEVELS: usize = 1024;
/// Elements up to the pixels, kept or not. A thousand frames of an enhanced object have some 50,000.
const MOST_ELEMENTS: usize = 4_000_000;
/// Bytes of what is kept: tables of colours and positions of frames.
const MOST_KEPT: usize = 64 << 20;
/// Bytes that an element takes beside its value.
const OVERHEAD: usize = 64;

/// A data set without its pixels.
pub(super) struct Scanned {
    pub(super) syntax: Syntax,
    pub(super) set: Item,
    pub(super) pixels: Option<Pixels>,
}

/// Where the pixels are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixels {
    pub(super) kind: PixelKind,
    /// Bytes before the first of them: of the source, or of what it unpacks to from `deflated_from` on.
    pub(super) at: u64,
    pub(super) deflated_from: Option<u64>,
    /// Their bytes; `None` where they are fragments.
    pub(super) length: Option<u64>,
    /// Bytes from `at` to the end, where that is known.
    pub(super) left: Option<u64>,
    pub(super) big_endian: bool,
    /// Whether bytes stand in pairs that the byte order turns round.
    pub(super) in_words: bool,
}

/// What the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PixelKind {
    Integer,
    Float,
    Double,
}

/// Reads a data set as far as its pixels. `None` if the file is none.
///
/// # Errors
/// [`Error::Input`] if it is damaged, ends within an element, nests or holds more than any honest one.
pub(super) fn scan(mut stream: Stream<'_>) -> Result<Option<Scanned>> {
    let head = stream.next(HEAD)?;
    let skipped = if has_preamble(&head) { PREAMBLE } else { 0 };
    if skipped == 0 && !is_bare(&head) {
        return Ok(None);
    }
    stream.unread(&head[skipped..]);
    let stated = meta(&mut stream)?;
    let mut syntax = stated.as_deref().map_or(DEFAULT, Syntax::of);
    let deflated_from = syntax.deflated.then(|| stream.position());
    if syntax.deflated {
        stream = stream.inflated();
    }
    let first = stream.next(8)?;
    if first.is_empty() {
        return Err(Error::input(stream.name(), "a DICOM data set", "a file that ends before it")
            .hint("copy the file again"));
    }
    stream.unread(&first);
    syntax.encoding = encoding(&first, syntax.encoding);
    let root = Level { end: None, encoding: syntax.encoding, kind: Kind::Item(Some(Item::default())) };
    let mut scanner = Scanner { stream, levels: vec![root], elements: 0, kept: 0 };
    let stop = scanner.run()?;
    let pixels = stop.map(|head| Pixels {
        kind: match head.tag {
            tag::FLOAT_PIXEL_DATA => PixelKind::Float,
            tag::DOUBLE_PIXEL_DATA => PixelKind::Double,
            _ => PixelKind::Integer,
        },
        at: scanner.stream.position(),
        deflated_from,
        length: head.length,
        left: scanner.stream.left(),
        big_endian: syntax.encoding.big_endian,
        in_words: head.representation == Some(*b"OW"),
    });
    let set = match scanner.levels.swap_remove(0).kind {
        Kind::Item(Some(item)) => item,
        _ => Item::default(),
    };
    Ok(Some(Scanned { syntax, set, pixels }))
}

/// Whether a file that begins with these bytes says that it is DICOM (PS3.10 7.1). What stands before that may be a header of
/// another format.
pub(super) fn has_preamble(head: &[u8]) -> bool {
    head.get(128..PREAMBLE) == Some(b"DICM")
}

/// The transfer syntax that the meta group states. It is written as explicit little-endian, whatever follows it.
fn meta(stream: &mut Stream<'_>) -> Result<Option<String>> {
    let mut item = Item::default();
    loop {
        let first = stream.next(8)?;
        stream.unread(&first);
        let (Some([2, 0]), Some(first)) = (first.get(..2), first.first_chunk::<8>()) else { break };
        let how = if encoding(first, EXPLICIT).explicit { EXPLICIT } else { IMPLICIT };
        let Some(Head { tag, length: Some(length), .. }) = Head::read(stream, how)? else { break };
        match tag == tag::TRANSFER_SYNTAX_UID && length <= 128 {
            true => {
                item.push(tag, Value::Plain(Form::Text, stream.exactly(length as usize, "the meta group")?))
            }
            false => stream.pass(length, "the meta group")?,
        }
    }
    Ok(item.word(tag::TRANSFER_SYNTAX_UID).map(str::to_owned))
}

struct Scanner<'a> {
    stream: Stream<'a>,
    /// What is open, outermost first: the data set itself, a sequence of it, an item of that.
    levels: Vec<Level>,
    elements: usize,
    /// Bytes.
    kept: usize,
}

struct Level {
    /// Where it ends, if its length is stated.
    end: Option<u64>,
    encoding: Encoding,
    kind: Kind,
}

/// What a level consists of, and what is kept of it.
enum Kind {
    Item(Option<Item>),
    Sequence(u32, Option<Vec<Item>>),
    /// Bytes of compressed pixels that are not those of the picture.
    Fragments,
}

/// What comes after an element.
enum Next {
    More,
    /// The end of the stream.
    End,
    /// The pixels.
    Pixels(Head),
}

impl Scanner<'_> {
    fn run(&mut self) -> Result<Option<Head>> {
        loop {
            self.close_ended();
            self.elements += 1;
            if self.elements > MOST_ELEMENTS {
                return Err(self.beyond(format!("at most {MOST_ELEMENTS} elements before the pixels")));
            }
            let next = match self.levels.last().map(|level| &level.kind) {
                Some(Kind::Item(_)) => self.element()?,
                _ => self.item()?,
            };
            match next {
                Next::More => {}
                Next::Pixels(head) => return Ok(Some(head)),
                Next::End if self.levels.len() <= 1 => return Ok(None),
                Next::End => {
                    return Err(ended(self.stream.name(), "a sequence, its end mark among them,", 8, 0));
                }
            }
        }
    }

    fn beyond(&self, wanted: String) -> Error {
        Error::input(self.stream.name(), wanted, "more").hint("this is no honest DICOM file")
    }

    /// Closes what ends here by its stated length.
    fn close_ended(&mut self) {
        let at = self.stream.position();
        while self.levels.len() > 1
            && self.levels.last().and_then(|level| level.end).is_some_and(|end| end <= at)
        {
            self.close();
        }
    }

    /// Closes the innermost level, and hands what was kept of it to the one around it.
    fn close(&mut self) {
        if self.levels.len() < 2 {
            return;
        }
        let closed = self.levels.pop().map(|level| level.kind);
        match (closed, self.levels.last_mut().map(|level| &mut level.kind)) {
            (Some(Kind::Item(Some(item))), Some(Kind::Sequence(_, Some(items)))) => items.push(item),
            (Some(Kind::Sequence(tag, Some(items))), Some(Kind::Item(Some(item)))) => {
                item.push(tag, Value::Items(items));
            }
            _ => {}
        }
    }

    fn open(&mut self, kind: Kind, length: Option<u64>, encoding: Encoding) -> Result<()> {
        if self.levels.len() >= MOST_LEVELS {
            return Err(self.beyond(format!("sequences nested at most {} deep", MOST_LEVELS / 2)));
        }
        self.keep(0)?;
        let end = length.map(|length| self.stream.position().saturating_add(length));
        self.levels.push(Level { end, encoding, kind });
        Ok(())
    }

    fn keep(&mut self, bytes: usize) -> Result<()> {
        self.kept = self.kept.saturating_add(bytes).saturating_add(OVERHEAD);
        match self.kept > MOST_KEPT {
            true => Err(self.beyond(format!("at most {MOST_KEPT} bytes of tables and positions"))),
            false => Ok(()),
        }
    }

    /// How the innermost level is written.
    fn encoding(&self) -> Encoding {
        self.levels.last().map_or(IMPLICIT, |level| level.encoding)
    }

    /// An item of a sequence, or a fragment.
    fn item(&mut self) -> Result<Next> {
        let encoding = self.encoding();
        let Some(head) = Head::read(&mut self.stream, encoding)? else { return Ok(Next::End) };
        let kind = self.levels.last().map(|level| &level.kind);
        match (head.tag, kind, head.length) {
            (tag::ITEM, Some(Kind::Fragments), Some(length)) => self.stream.pass(length, "a fragment")?,
            (tag::ITEM, Some(Kind::Sequence(_, items)), length) => {
                let item = items.is_some().then(Item::default);
                self.open(Kind::Item(item), length, encoding)?;
            }
            (tag::SEQUENCE_END, ..) => self.close(),
            // The end of an item whose length was stated too.
            (tag::ITEM_END, ..) => {}
            (other, ..) => {
                return Err(Error::input(self.stream.name(), "an item of a sequence", written(other))
                    .hint("the file is damaged: copy it again"));
            }
        }
        Ok(Next::More)
    }

    /// An element of the data set or of an item.
    fn element(&mut self) -> Result<Next> {
        let encoding = self.encoding();
        let Some(head) = Head::read(&mut self.stream, encoding)? else { return Ok(Next::End) };
        let Head { tag, representation, length } = head;
        match tag {
            tag::ITEM_END => {
                self.close();
                return Ok(Next::More);
            }
            // The mark of the item's own end is missing.
            tag::SEQUENCE_END => {
                self.close();
                self.close();
                return Ok(Next::More);
            }
            tag::PIXEL_DATA | tag::FLOAT_PIXEL_DATA | tag::DOUBLE_PIXEL_DATA if self.levels.len() == 1 => {
                return Ok(Next::Pixels(head));
            }
            _ => {}
        }
        let wanted = match self.levels.last().map(|level| &level.kind) {
            Some(Kind::Item(Some(_))) => tag::kept(tag),
            _ => None,
        };
        let is_unknown = representation.is_none_or(|letters| &letters == b"UN");
        let is_sequence = representation.is_some_and(|letters| &letters == b"SQ")
            || (is_unknown && (length.is_none() || wanted == Some(Form::Items)) && tag != tag::PIXEL_DATA);
        match (is_sequence, length, wanted) {
            (true, _, Some(Form::Items)) | (true, None, _) => {
                let items = (wanted == Some(Form::Items)).then(Vec::new);
                // What is of unknown representation is written without any (PS3.5 6.2.2).
                let within = match representation {
                    Some(letters) if &letters == b"UN" => IMPLICIT,
                    _ => encoding,
                };
                self.open(Kind::Sequence(tag, items), length, within)?;
            }
            (false, None, _) => self.open(Kind::Fragments, None, encoding)?,
            (false, Some(length), Some(form)) if form != Form::Items => self.value(head, form, length)?,
            (_, Some(length), _) => self.stream.pass(length, &written(tag))?,
        }
        Ok(Next::More)
    }

    /// Keeps a value.
    fn value(&mut self, head: Head, form: Form, length: u64) -> Result<()> {
        let what = written(head.tag);
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        self.keep(bytes)?;
        if let Some(left) = self.stream.left().filter(|left| *left < length) {
            return Err(ended(self.stream.name(), &what, length, left));
        }
        let stated = head.representation.and_then(Form::of).filter(|stated| *stated != Form::Items);
        let form = if form == Form::Digest { form } else { stated.unwrap_or(form) };
        let mut value = self.stream.exactly(bytes, &what)?;
        if form == Form::Digest {
            value = digest(&value);
        }
        if self.encoding().big_endian {
            value.chunks_exact_mut(form.size()).for_each(<[u8]>::reverse);
        }
        if let Some(Level { kind: Kind::Item(Some(item)), .. }) = self.levels.last_mut() {
            item.push(head.tag, Value::Plain(form, value));
        }
        Ok(())
    }
}

/// The SHA-256 of letters without the blanks around them; nothing of blanks alone.
fn digest(letters: &[u8]) -> Vec<u8> {
    let is_blank = |letter: &u8| letter.is_ascii_whitespace() || *letter == 0;
    let first = letters.iter().position(|letter| !is_blank(letter));
    let last = letters.iter().rposition(|letter| !is_blank(letter));
    match first.zip(last) {
        Some((first, last)) => Sha256::digest(&letters[first..=last]).to_vec(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
