//! Writes data sets for tests.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::syntax::{EXPLICIT, Encoding};

pub(super) const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
pub(super) const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
pub(super) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub(super) const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
pub(super) const RLE: &str = "1.2.840.10008.1.2.5";

/// Elements of a data set or of an item, in the order in which they are added.
#[derive(Clone, Default)]
pub(super) struct Set(Vec<(u32, [u8; 2], Content)>);

#[derive(Clone)]
enum Content {
    Text(String),
    Words(Vec<u16>),
    Longs(Vec<u32>),
    Bytes(Vec<u8>),
    Items(Vec<Set>, Length),
    /// Compressed pixels, the offset table first.
    Fragments(Vec<Vec<u8>>),
}

/// How the lengths of sequences and items are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Stated,
    Marked,
}

impl Set {
    pub(super) fn text(mut self, tag: u32, letters: &[u8; 2], text: impl Into<String>) -> Self {
        self.0.push((tag, *letters, Content::Text(text.into())));
        self
    }

    pub(super) fn words(mut self, tag: u32, letters: &[u8; 2], words: &[u16]) -> Self {
        self.0.push((tag, *letters, Content::Words(words.into())));
        self
    }

    pub(super) fn longs(mut self, tag: u32, letters: &[u8; 2], longs: &[u32]) -> Self {
        self.0.push((tag, *letters, Content::Longs(longs.into())));
        self
    }

    pub(super) fn bytes(mut self, tag: u32, letters: &[u8; 2], bytes: &[u8]) -> Self {
        self.0.push((tag, *letters, Content::Bytes(bytes.into())));
        self
    }

    pub(super) fn items(mut self, tag: u32, length: Length, items: Vec<Set>) -> Self {
        self.0.push((tag, *b"SQ", Content::Items(items, length)));
        self
    }

    pub(super) fn fragments(mut self, fragments: Vec<Vec<u8>>) -> Self {
        self.0.push((super::tag::PIXEL_DATA, *b"OB", Content::Fragments(fragments)));
        self
    }

    /// The same without an element.
    pub(super) fn without(mut self, tag: u32) -> Self {
        self.0.retain(|(kept, ..)| *kept != tag);
        self
    }

    /// The same with the elements of another in place of those of the same tags, in the order of the tags.
    pub(super) fn with(mut self, other: Set) -> Self {
        self.0.retain(|(tag, ..)| other.0.iter().all(|(replaced, ..)| replaced != tag));
        self.0.extend(other.0);
        self.0.sort_by_key(|(tag, ..)| *tag);
        self
    }

    /// The bytes of the elements.
    pub(super) fn written(&self, how: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, letters, content) in &self.0 {
            let (value, marked) = value(content, how);
            head(&mut out, (*tag, *letters), (!marked).then_some(value.len() as u32), how);
            out.extend(value);
        }
        out
    }

    /// A whole file in this transfer syntax.
    pub(super) fn file(&self, syntax: &str) -> Vec<u8> {
        let meta = Set::default().text(super::tag::TRANSFER_SYNTAX_UID, b"UI", syntax).written(EXPLICIT);
        let how = Encoding { explicit: syntax != IMPLICIT_LITTLE, big_endian: syntax == EXPLICIT_BIG };
        let mut set = self.written(how);
        if syntax == DEFLATED {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&set).unwrap();
            set = encoder.finish().unwrap();
        }
        let length = Set::default().longs(0x0002_0000, b"UL", &[meta.len() as u32]).written(EXPLICIT);
        [vec![0; 128], b"DICM".to_vec(), length, meta, set].concat()
    }
}

fn value(content: &Content, how: Encoding) -> (Vec<u8>, bool) {
    let end = |tag: u32| [tag_bytes(tag, how), vec![0; 4]].concat();
    match content {
        Content::Text(text) => (even(text.clone().into_bytes(), b' '), false),
        Content::Words(words) => {
            (words.iter().flat_map(|word| ordered(word.to_le_bytes(), how)).collect(), false)
        }
        Content::Longs(longs) => {
            (longs.iter().flat_map(|long| ordered(long.to_le_bytes(), how)).collect(), false)
        }
        Content::Bytes(bytes) => (even(bytes.clone(), 0), false),
        Content::Items(items, length) => {
            let marked = *length == Length::Marked;
            let mut out = Vec::new();
            for item in items {
                let value = item.written(how);
                head(&mut out, (super::tag::ITEM, [0; 2]), (!marked).then_some(value.len() as u32), how);
                out.extend(value);
                if marked {
                    out.extend(end(super::tag::ITEM_END));
                }
            }
            if marked {
                out.extend(end(super::tag::SEQUENCE_END));
            }
            (out, marked)
        }
        Content::Fragments(fragments) => {
            let mut out = Vec::new();
            for fragment in fragments {
                let fragment = even(fragment.clone(), 0);
                head(&mut out, (super::tag::ITEM, [0; 2]), Some(fragment.len() as u32), how);
                out.extend(fragment);
            }
            out.extend(end(super::tag::SEQUENCE_END));
            (out, true)
        }
    }
}

fn even(mut bytes: Vec<u8>, filler: u8) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(filler);
    }
    bytes
}

fn ordered<const N: usize>(mut little: [u8; N], how: Encoding) -> [u8; N] {
    if how.big_endian {
        little.reverse();
    }
    little
}

fn tag_bytes(tag: u32, how: Encoding) -> Vec<u8> {
    let (group, element) = ((tag >> 16) as u16, tag as u16);
    [ordered(group.to_le_bytes(), how), ordered(element.to_le_bytes(), how)].concat()
}

fn head(out: &mut Vec<u8>, (tag, letters): (u32, [u8; 2]), length: Option<u32>, how: Encoding) {
    out.extend(tag_bytes(tag, how));
    let length = length.unwrap_or(u32::MAX);
    let is_long = matches!(&letters, b"OB" | b"OW" | b"OF" | b"OD" | b"SQ" | b"UN" | b"OV" | b"UT");
    match how.explicit && tag >> 16 != 0xFFFE {
        true if is_long => {
            out.extend(letters);
            out.extend([0; 2]);
            out.extend(ordered(length.to_le_bytes(), how));
        }
        true => {
            out.extend(letters);
            out.extend(ordered((length as u16).to_le_bytes(), how));
        }
        false => out.extend(ordered(length.to_le_bytes(), how)),
    }
}
