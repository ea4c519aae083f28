//! The boxes of a HEIF file: ISO/IEC 14496-12 (`meta`, `iloc`, `iinf`, `iref`) and ISO/IEC 23008-12 (properties, grids).

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Bytes of an item lie in pieces.
const MOST_PIECES: usize = 4096;
/// Items, properties and references; a picture of 200 megapixels has some 800 tiles.
const MOST_ITEMS: usize = 1 << 16;

/// What a file says of its pictures.
#[derive(Debug, Default)]
pub(super) struct Items<'a> {
    bytes: &'a [u8],
    /// What items may have in place of a part of the file.
    inside: &'a [u8],
    pub(super) primary: u32,
    items: BTreeMap<u32, Item<'a>>,
    properties: Vec<(&'a [u8; 4], &'a [u8])>,
    /// Kind, from, to.
    references: Vec<([u8; 4], u32, Vec<u32>)>,
}

/// One item.
#[derive(Debug, Default)]
struct Item<'a> {
    kind: [u8; 4],
    is_hidden: bool,
    /// Places and lengths, in the file or inside.
    pieces: Vec<[u64; 2]>,
    is_inside: bool,
    /// Names of what is known of it, in order, and their content.
    properties: Vec<(&'a [u8; 4], &'a [u8])>,
}

/// Numbers and boxes, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// So many bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A whole number of so many bytes, at most 8, the highest first.
    pub(super) fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The next box: its kind and its content.
    fn part(&mut self) -> Option<(&'a [u8; 4], &'a [u8])> {
        let whole = self.0;
        let size = self.number(4)?;
        let kind = self.take(4)?.first_chunk()?;
        let (size, header) = match size {
            0 => (whole.len() as u64, 8),
            1 => (self.number(8)?, 16),
            size => (size, 8),
        };
        let size = usize::try_from(size).ok()?;
        let content = whole.get(header..size)?;
        self.0 = &whole[size..];
        Some((kind, content))
    }

    fn parts(self) -> impl Iterator<Item = (&'a [u8; 4], &'a [u8])> {
        let mut rest = self;
        std::iter::from_fn(move || rest.part())
    }

    /// Version and flags.
    fn version(&mut self) -> Option<(u64, u64)> {
        Some((self.number(1)?, self.number(3)?))
    }
}

impl<'a> Items<'a> {
    /// Reads what a file says of its pictures; none of them is looked at.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be read.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let meta = Reader(bytes).parts().find(|(kind, _)| *kind == b"meta");
        meta.and_then(|(_, meta)| Self::of_meta(bytes, meta)).ok_or_else(|| damaged("a damaged header"))
    }

    fn of_meta(bytes: &'a [u8], meta: &'a [u8]) -> Option<Self> {
        let mut found = Self { bytes, ..Self::default() };
        for (kind, content) in Reader(meta.get(4..)?).parts() {
            let mut reader = Reader(content);
            match kind {
                b"pitm" => {
                    let wide = reader.version()?.0 > 0;
                    found.primary = reader.number(if wide { 4 } else { 2 })? as u32;
                }
                b"iinf" => found.kinds(reader)?,
                b"iloc" => found.places(reader)?,
                b"iref" => found.refer(reader)?,
                b"iprp" => found.describe(reader)?,
                b"idat" => found.inside = content,
                _ => {}
            }
        }
        Some(found)
    }

    fn kinds(&mut self, mut reader: Reader<'a>) -> Option<()> {
        let wide = reader.version()?.0 > 0;
        reader.number(if wide { 4 } else { 2 })?;
        for (_, entry) in reader.parts().take(MOST_ITEMS) {
            let mut reader = Reader(entry);
            let (version, flags) = reader.version()?;
            if version >= 2 {
                let id = reader.number(if version == 2 { 2 } else { 4 })? as u32;
                reader.number(2)?;
                let item = self.items.entry(id).or_default();
                item.kind = *reader.take(4)?.first_chunk()?;
                item.is_hidden = flags & 1 == 1;
            }
        }
        Some(())
    }

    fn places(&mut self, mut reader: Reader<'a>) -> Option<()> {
        let (version, _) = reader.version()?;
        let sizes = reader.number(2)?;
        let [offset, length, base, index] = [12, 8, 4, 0].map(|shift| (sizes >> shift & 15) as usize);
        let id_size = if version < 2 { 2 } else { 4 };
        let mut all = 0;
        for _ in 0..reader.number(id_size)?.min(MOST_ITEMS as u64) {
            let id = reader.number(id_size)? as u32;
            let method = if version > 0 { reader.number(2)? & 15 } else { 0 };
            reader.number(2)?;
            let base = reader.number(base)?;
            let item = self.items.entry(id).or_default();
            // Items may be made of other items' parts, which no picture is.
            item.is_inside = method == 1;
            for _ in 0..reader.number(2)? {
                all += 1;
                if version > 0 && index > 0 {
                    reader.number(index)?;
                }
                let place = base.checked_add(reader.number(offset)?)?;
                item.pieces.push([place, reader.number(length)?]);
                if all > MOST_ITEMS + MOST_PIECES || item.pieces.len() > MOST_PIECES || method > 1 {
                    return None;
                }
            }
        }
        Some(())
    }

    fn refer(&mut self, mut reader: Reader<'a>) -> Option<()> {
        let size = if reader.version()?.0 > 0 { 4 } else { 2 };
        for (kind, content) in reader.parts().take(MOST_ITEMS) {
            let mut reader = Reader(content);
            let from = reader.number(size)? as u32;
            let count = reader.number(2)?;
            let to = (0..count).map(|_| Some(reader.number(size)? as u32)).collect::<Option<_>>()?;
            self.references.push((*kind, from, to));
        }
        Some(())
    }

    /// What is known of items. A property may belong to many.
    fn describe(&mut self, reader: Reader<'a>) -> Option<()> {
        for (kind, content) in reader.parts() {
            if kind == b"ipco" {
                self.properties.extend(Reader(content).parts().take(MOST_ITEMS));
            }
        }
        for (_, content) in reader.parts().filter(|(kind, _)| *kind == b"ipma") {
            let mut reader = Reader(content);
            let (version, flags) = reader.version()?;
            for _ in 0..reader.number(4)? {
                let id = reader.number(if version < 1 { 2 } else { 4 })? as u32;
                let count = reader.number(1)?;
                let item = self.items.entry(id).or_default();
                for _ in 0..count {
                    let wide = flags & 1 == 1;
                    let number = reader.number(if wide { 2 } else { 1 })? & if wide { 0x7FFF } else { 0x7F };
                    // 0 stands for none.
                    let property = (number as usize).checked_sub(1).map(|place| self.properties.get(place));
                    item.properties.extend(property.flatten());
                }
                if self.items.len() > MOST_ITEMS {
                    return None;
                }
            }
        }
        Some(())
    }

    /// The kind of an item.
    pub(super) fn kind(&self, id: u32) -> Result<[u8; 4]> {
        self.items.get(&id).map(|item| item.kind).ok_or_else(|| damaged("a picture that is not there"))
    }

    /// The content of a property of an item.
    pub(super) fn property(&self, id: u32, name: &[u8; 4]) -> Option<&'a [u8]> {
        self.properties(id).find(|(kind, _)| *kind == name).map(|(_, content)| content)
    }

    /// What is known of an item, in order.
    pub(super) fn properties(&self, id: u32) -> impl Iterator<Item = (&'a [u8; 4], &'a [u8])> + '_ {
        self.items.get(&id).into_iter().flat_map(|item| item.properties.iter().copied())
    }

    /// Width and height of an item.
    pub(super) fn size(&self, id: u32) -> Result<[u32; 2]> {
        let mut reader =
            Reader(self.property(id, b"ispe").and_then(|size| size.get(4..)).unwrap_or_default());
        let size = reader.number(4).zip(reader.number(4));
        size.map(|(width, height)| [width as u32, height as u32])
            .ok_or_else(|| damaged("a picture without a size"))
    }

    /// The items that an item refers to in this way.
    pub(super) fn referred(&self, kind: &[u8; 4], from: u32) -> &[u32] {
        let found = self.references.iter().find(|(name, id, _)| name == kind && *id == from);
        found.map_or(&[], |(_, _, to)| to)
    }

    /// The items that refer to an item in this way.
    pub(super) fn referring<'b>(&'b self, kind: &'b [u8; 4], to: u32) -> impl Iterator<Item = u32> + 'b {
        let found = self.references.iter().filter(move |(name, _, all)| name == kind && all.contains(&to));
        found.map(|(_, from, _)| *from)
    }

    /// Whether there are pictures beside the primary one, its parts and what belongs to it.
    pub(super) fn has_others(&self) -> bool {
        let is_picture = |kind: &[u8; 4]| matches!(kind, b"hvc1" | b"av01" | b"grid" | b"iden" | b"iovl");
        self.items.iter().any(|(id, item)| {
            let belongs = |(kind, from, to): &([u8; 4], u32, Vec<u32>)| match kind {
                b"thmb" | b"auxl" => from == id,
                b"dimg" => to.contains(id),
                _ => false,
            };
            is_picture(&item.kind)
                && !item.is_hidden
                && *id != self.primary
                && !self.references.iter().any(belongs)
        })
    }

    /// The content of an item.
    ///
    /// # Errors
    /// [`Error::Input`] if it lies outside of the file, or is longer than it.
    pub(super) fn content(&self, id: u32) -> Result<Vec<u8>> {
        let from = |item: &Item<'a>| if item.is_inside { self.inside } else { self.bytes };
        let piece = |item: &Item<'a>, [place, length]: [u64; 2]| {
            let all = from(item);
            let place = usize::try_from(place).ok()?;
            // A length of 0 goes to the end.
            let length =
                if length == 0 { all.len().checked_sub(place)? } else { usize::try_from(length).ok()? };
            all.get(place..place.checked_add(length)?)
        };
        let item = self.items.get(&id).filter(|item| !item.pieces.is_empty());
        let pieces: Option<Vec<_>> =
            item.and_then(|item| item.pieces.iter().map(|at| piece(item, *at)).collect());
        let pieces = pieces.ok_or_else(|| damaged("a picture that lies outside of the file"))?;
        match pieces.iter().map(|piece| piece.len()).sum::<usize>() <= self.bytes.len() {
            true => Ok(pieces.concat()),
            false => Err(damaged("a picture that is longer than the file")),
        }
    }
}

/// What is said of a file that cannot be read.
pub(super) fn damaged(got: impl std::fmt::Display) -> Error {
    Error::input("", "a complete, undamaged HEIC or AVIF image", got).hint("save or copy the image again")
}
