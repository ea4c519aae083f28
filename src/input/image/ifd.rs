//! The first directory of a TIFF structure, which is also how EXIF stores its tags. In a BigTIFF offsets and counts have
//! 8 bytes.

/// A directory whose entries lie inside `bytes`.
pub(super) struct Ifd<'a> {
    bytes: &'a [u8],
    order: Order,
    entries: &'a [u8],
    next: u64,
}

/// How numbers stand in the file.
#[derive(Debug, Clone, Copy)]
struct Order {
    big_endian: bool,
    /// Bytes of an offset or a count: 4, in a BigTIFF 8.
    word: usize,
}

/// Entries that a BigTIFF's directory may have: those that any other's may.
const MOST_ENTRIES: u64 = u16::MAX as u64;

impl<'a> Ifd<'a> {
    /// The first directory, if `bytes` begin with a TIFF header and reach to the directory's end.
    pub(super) fn first(bytes: &'a [u8]) -> Option<Self> {
        let (big_endian, word) = match bytes.get(..4)? {
            b"II\x2a\x00" => (false, 4),
            b"MM\x00\x2a" => (true, 4),
            b"II\x2b\x00" => (false, 8),
            b"MM\x00\x2b" => (true, 8),
            _ => return None,
        };
        let order = Order { big_endian, word };
        let start = usize::try_from(order.number(bytes, word, word)?).ok()?;
        let counter = if word == 8 { 8 } else { 2 };
        let count = order.number(bytes, start, counter)?;
        let first = start.checked_add(counter)?;
        let length = usize::try_from(count).ok().filter(|_| count <= MOST_ENTRIES)? * order.entry();
        let end = first.checked_add(length)?;
        let entries = bytes.get(first..end)?;
        Some(Self { bytes, order, entries, next: order.number(bytes, end, word).unwrap_or(0) })
    }

    /// Whether samples and tags are stored high byte first.
    pub(super) fn is_big_endian(&self) -> bool {
        self.order.big_endian
    }

    /// Whether another directory follows.
    pub(super) fn has_next(&self) -> bool {
        self.next != 0
    }

    /// The values of a tag of whole numbers (BYTE, SHORT, LONG or LONG8), if it is there and inside the bytes.
    pub(super) fn values(&self, tag: u16) -> Option<Values<'a>> {
        let (kind, data) = self.data(tag)?;
        Some(Values { data, size: size_of_kind(kind)?, order: self.order })
    }

    /// The first value of a tag.
    pub(super) fn value(&self, tag: u16) -> Option<u32> {
        u32::try_from(self.values(tag)?.get(0)?).ok()
    }

    /// The first values of a tag of which there are few.
    pub(super) fn few(&self, tag: u16) -> Option<Vec<u32>> {
        const FEW: usize = 16;
        let value = |value| u32::try_from(value).unwrap_or(u32::MAX);
        Some(self.values(tag)?.iter().take(FEW).map(value).collect())
    }

    /// The bytes of a tag that holds no numbers (BYTE or UNDEFINED).
    pub(super) fn stored(&self, tag: u16) -> Option<&'a [u8]> {
        let (kind, data) = self.data(tag)?;
        matches!(kind, 1 | 7).then_some(data)
    }

    /// Type and bytes of a tag.
    fn data(&self, tag: u16) -> Option<(u64, &'a [u8])> {
        let Order { word, .. } = self.order;
        let number = |bytes: &[u8], start, size| self.order.number(bytes, start, size);
        let mut entries = self.entries.chunks_exact(self.order.entry());
        let entry = entries.find(|entry| number(entry, 0, 2) == Some(u64::from(tag)))?;
        let (kind, count) = (number(entry, 2, 2)?, number(entry, 4, word)?);
        let size = if kind == 7 { 1 } else { size_of_kind(kind)? };
        let length = usize::try_from(count).ok()?.checked_mul(size)?;
        let place = 4 + word;
        let data = if length <= word {
            entry.get(place..place + length)?
        } else {
            let start = usize::try_from(number(entry, place, word)?).ok()?;
            self.bytes.get(start..start.checked_add(length)?)?
        };
        Some((kind, data))
    }
}

/// Bytes of a whole number of this type.
fn size_of_kind(kind: u64) -> Option<usize> {
    match kind {
        1 => Some(1),
        3 => Some(2),
        4 => Some(4),
        16 => Some(8),
        _ => None,
    }
}

impl Order {
    /// Bytes of an entry: tag, type, count, value or its place.
    fn entry(self) -> usize {
        4 + 2 * self.word
    }

    /// The number of `size` bytes, 8 at most, at `start`.
    fn number(self, bytes: &[u8], start: usize, size: usize) -> Option<u64> {
        let stored = bytes.get(start..start.checked_add(size)?)?;
        let add = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(match self.big_endian {
            true => stored.iter().fold(0, add),
            false => stored.iter().rev().fold(0, add),
        })
    }
}

/// Whole numbers where they stand in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    data: &'a [u8],
    /// Bytes of each.
    size: usize,
    order: Order,
}

impl<'a> Values<'a> {
    pub(super) fn len(&self) -> usize {
        self.data.len() / self.size
    }

    pub(super) fn get(&self, index: usize) -> Option<u64> {
        self.order.number(self.data, index.checked_mul(self.size)?, self.size)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u64> + 'a {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}
