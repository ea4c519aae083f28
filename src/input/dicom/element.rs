//! What stands before a value: tag, value representation, length.

use super::stream::{Stream, ended};
use super::syntax::{EXPLICIT, Encoding, IMPLICIT};
use crate::error::Result;

/// What stands before a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) tag: u32,
    /// The value representation, where it is stated.
    pub(super) representation: Option<[u8; 2]>,
    /// Bytes of the value; `None` where its end is marked instead.
    pub(super) length: Option<u64>,
}

/// Value representations whose length has 16 bits.
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL",
    b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
];
/// Those whose length has 32 bits, after two bytes of nothing.
const LONG: [&[u8; 2]; 13] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];
const UNDEFINED: u32 = u32::MAX;

/// Whether two bytes are a value representation of the standard.
fn is_known(letters: [u8; 2]) -> bool {
    SHORT.contains(&&letters) || LONG.contains(&&letters)
}

impl Head {
    /// Reads what stands before the next value; `None` at the end of the stream, and where nothing but zeros is left of it.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if the stream ends within, or cannot be read.
    pub(super) fn read(stream: &mut Stream<'_>, encoding: Encoding) -> Result<Option<Self>> {
        let bytes = stream.next(8)?;
        let Some(first) = bytes.first_chunk::<8>().copied() else {
            let is_padding = bytes.iter().all(|byte| *byte == 0);
            let cut = || ended(stream.name(), "the next element", 8, bytes.len() as u64);
            return if is_padding { Ok(None) } else { Err(cut()) };
        };
        let [a, b, c, d, low @ ..] = first;
        let tag = u32::from(order16(encoding, [a, b])) << 16 | u32::from(order16(encoding, [c, d]));
        let letters = [low[0], low[1]];
        let is_stated =
            encoding.explicit && tag >> 16 != 0xFFFE && letters.iter().all(u8::is_ascii_uppercase);
        let (representation, length) = match is_stated {
            // An element without letters among others with them was copied from a data set of the other kind.
            false => (None, order32(encoding, low)),
            true if SHORT.contains(&&letters) => {
                (Some(letters), u32::from(order16(encoding, [low[2], low[3]])))
            }
            true => {
                let Some(length) = stream.next(4)?.first_chunk().copied() else {
                    return Err(ended(stream.name(), "the next element", 12, 8));
                };
                (Some(letters), order32(encoding, length))
            }
        };
        let length = (length != UNDEFINED).then_some(u64::from(length));
        Ok(Some(Self { tag, representation, length }))
    }
}

fn order16(encoding: Encoding, bytes: [u8; 2]) -> u16 {
    if encoding.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}

fn order32(encoding: Encoding, bytes: [u8; 4]) -> u32 {
    if encoding.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// How the data set is written that begins with these bytes: as is said of it, unless its first element shows otherwise.
pub(super) fn encoding(first: &[u8], said: Encoding) -> Encoding {
    let Some(&[a, b, _, _, letter, other, ..]) = first.first_chunk::<8>() else { return said };
    // The first group of a data set has a small number.
    let big_endian = match (a, b) {
        (1.., 0) => false,
        (0, 1..) => true,
        _ => said.big_endian,
    };
    Encoding { explicit: is_known([letter, other]), big_endian }
}

/// Elements that must follow one another for a file to pass as a data set without anything before it.
const CHAIN: usize = 3;
/// Bytes of the values among them. Those are numbers, dates and UIDs.
const MOST_BYTES: u32 = 1024;

/// Whether a file that begins with these bytes is a data set without the bytes that should come before it.
pub(super) fn is_bare(head: &[u8]) -> bool {
    let encoding = encoding(head, IMPLICIT);
    let (mut at, mut last) = (0, 0);
    for seen in 0..CHAIN {
        let Some((Head { tag, length, .. }, size)) = head.get(at..).and_then(|rest| peeked(rest, encoding))
        else {
            return false;
        };
        // A data set begins with one of these groups, and its tags rise.
        if tag <= last || (seen == 0 && !matches!(tag >> 16, 0x0002 | 0x0008)) {
            return false;
        }
        match length {
            Some(length) if length <= u64::from(MOST_BYTES) => at += size + length as usize,
            // A sequence.
            _ => return seen > 0 && tag < 0x0029_0000,
        }
        last = tag;
    }
    true
}

/// What stands before the value at the beginning of these bytes, and how many bytes that takes.
fn peeked(bytes: &[u8], encoding: Encoding) -> Option<(Head, usize)> {
    let [a, b, c, d, low @ ..] = *bytes.first_chunk::<8>()?;
    let letters = [low[0], low[1]];
    // The meta group is little-endian and explicit, whatever comes behind it.
    let encoding = if [a, b] == [2, 0] && is_known(letters) { EXPLICIT } else { encoding };
    let tag = u32::from(order16(encoding, [a, b])) << 16 | u32::from(order16(encoding, [c, d]));
    let (size, length) = match encoding.explicit {
        true if LONG.contains(&&letters) => (12, order32(encoding, *bytes.get(8..)?.first_chunk()?)),
        true if is_known(letters) => (8, u32::from(order16(encoding, [low[2], low[3]]))),
        true => return None,
        false => (8, order32(encoding, low)),
    };
    let length = (length != UNDEFINED).then_some(u64::from(length));
    Some((Head { tag, representation: encoding.explicit.then_some(letters), length }, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_element_shows_how_a_data_set_is_written() {
        let big = Encoding { explicit: true, big_endian: true };
        for (first, said, wanted) in [
            (b"\x08\0\x05\0CS\x0a\0", IMPLICIT, EXPLICIT),
            (b"\x08\0\x05\0\x0a\0\0\0", EXPLICIT, IMPLICIT),
            (b"\0\x08\0\x05CS\0\x0a", IMPLICIT, big),
            (b"\x08\0\x05\0CS\x0a\0", big, EXPLICIT),
        ] {
            assert_eq!(encoding(first, said), wanted, "{first:?}");
        }
        assert_eq!(encoding(b"\x08", big), big);
    }

    #[test]
    fn a_data_set_is_known_without_a_preamble() {
        let implicit = b"\x08\0\x05\0\x02\0\0\0AB\x08\0\x08\0\0\0\0\0\x08\0\x16\0\x02\0\0\0\x31\0";
        let explicit = b"\x08\0\x05\0CS\x02\0AB\x08\0\x08\0CS\0\0\x08\0\x16\0UI\x02\0\x31\0";
        let meta = b"\x02\0\0\0UL\x04\0\0\0\0\0\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01\x02\0\x10\0UI\x02\0\x31\0";
        for head in [&implicit[..], explicit, meta] {
            assert!(is_bare(head), "{head:?}");
            assert!(!is_bare(&head[..20]));
        }
        for head in [
            &b"\x08\0\x05\0\x02\0\0\0AB\x08\0\x05\0\0\0\0\0\x08\0\x16\0\0\0\0\0"[..],
            &[0; 64],
            b"",
            &[8; 64],
        ] {
            assert!(!is_bare(head), "{head:?}");
        }
    }
}
