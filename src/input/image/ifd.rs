//! The first directory of a TIFF structure, which is also how EXIF stores its tags.

/// A directory whose entries lie inside `bytes`.
pub(super) struct Ifd<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    entries: &'a [u8],
    next: u32,
}

impl<'a> Ifd<'a> {
    /// The first directory, if `bytes` begin with a TIFF header and reach to the directory's end.
    pub(super) fn first(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match bytes.get(..4)? {
            b"II\x2a\x00" => false,
            b"MM\x00\x2a" => true,
            _ => return None,
        };
        let mut ifd = Self { bytes, big_endian, entries: &[], next: 0 };
        let start = ifd.u32_at(4)? as usize;
        let first = start.checked_add(2)?;
        let end = first.checked_add(usize::from(ifd.u16_at(start)?) * 12)?;
        ifd.entries = bytes.get(first..end)?;
        ifd.next = ifd.u32_at(end).unwrap_or(0);
        Some(ifd)
    }

    /// Whether samples and tags are stored high byte first.
    pub(super) fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Whether another directory follows.
    pub(super) fn has_next(&self) -> bool {
        self.next != 0
    }

    /// The values of a tag of whole numbers (BYTE, SHORT or LONG), if it is there and inside the bytes.
    pub(super) fn values(&self, tag: u16) -> Option<Vec<u32>> {
        let entry = self.entries.chunks_exact(12).find(|entry| self.u16_of(entry) == tag)?;
        let size = match self.u16_of(&entry[2..]) {
            1 => 1,
            3 => 2,
            4 => 4,
            _ => return None,
        };
        let length = (self.u32_of(&entry[4..]) as usize).checked_mul(size)?;
        let data = if length <= 4 {
            &entry[8..8 + length]
        } else {
            let start = self.u32_of(&entry[8..]) as usize;
            self.bytes.get(start..start.checked_add(length)?)?
        };
        Some(
            data.chunks_exact(size)
                .map(|value| match size {
                    1 => u32::from(value[0]),
                    2 => u32::from(self.u16_of(value)),
                    _ => self.u32_of(value),
                })
                .collect(),
        )
    }

    /// The first value of a tag.
    pub(super) fn value(&self, tag: u16) -> Option<u32> {
        self.values(tag)?.first().copied()
    }

    fn u16_at(&self, start: usize) -> Option<u16> {
        self.bytes.get(start..start.checked_add(2)?).map(|pair| self.u16_of(pair))
    }

    fn u32_at(&self, start: usize) -> Option<u32> {
        self.bytes.get(start..start.checked_add(4)?).map(|four| self.u32_of(four))
    }

    fn u16_of(&self, bytes: &[u8]) -> u16 {
        let pair = [bytes[0], bytes[1]];
        if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    }

    fn u32_of(&self, bytes: &[u8]) -> u32 {
        let four = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if self.big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    }
}
