//! The orientation that EXIF or XMP states: which of the eight ways of turning and mirroring makes a picture upright.

use super::ifd::Ifd;

/// The tag's number, in EXIF and in TIFF alike.
const TAG: u16 = 0x0112;

/// A value of the tag from 1 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

impl Orientation {
    /// Nothing to do.
    pub(super) const UPRIGHT: Self = Self(1);

    /// What EXIF data say, with or without the `Exif` mark in front, or else XMP; upright where neither states a value from 1 to 8.
    pub(super) fn stated(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Self {
        let exif = exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
        let tag = exif.and_then(Ifd::first).and_then(|ifd| ifd.value(TAG));
        tag.or_else(|| of_xmp(xmp?)).map_or(Self::UPRIGHT, Self::of)
    }

    /// What a directory says.
    pub(super) fn of_ifd(ifd: &Ifd<'_>) -> Self {
        ifd.value(TAG).map_or(Self::UPRIGHT, Self::of)
    }

    /// What a value of the tag says.
    pub(super) fn of(tag: u32) -> Self {
        match tag {
            1..=8 => Self(tag as u8),
            _ => Self::UPRIGHT,
        }
    }

    /// The tag's value.
    pub(super) fn tag(self) -> u8 {
        self.0
    }

    /// Whether width and height change places.
    pub(super) fn is_sideways(self) -> bool {
        self.0 >= 5
    }

    /// Width and height of a picture once it is upright.
    pub(super) fn upright(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.is_sideways() { (height, width) } else { (width, height) }
    }

    /// Where in the stored picture of `width` × `height` the pixel at (`x`, `y`) of the upright one is.
    pub(super) fn origin(self, size: (usize, usize), x: usize, y: usize) -> (usize, usize) {
        let (right, bottom) = (size.0 - 1, size.1 - 1);
        match self.0 {
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (y, bottom - x),
            7 => (right - y, bottom - x),
            8 => (right - y, x),
            _ => (x, y),
        }
    }
}

/// The number that XMP has as an attribute or an element, as Pillow looks for it.
fn of_xmp(xmp: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"tiff:Orientation";
    xmp.windows(NAME.len() + 3).find_map(|text| match text.strip_prefix(NAME)? {
        [b'=', b'"', digit @ b'0'..=b'9'] | [b'>', digit @ b'0'..=b'9', _] => Some(u32::from(digit - b'0')),
        _ => None,
    })
}
