//! The stored numbers of single frames, unpacked.

use super::super::codecs::{self, Codec, Colour, Geometry};
use super::super::reading::ReadOptions;
use super::fragments::{Fragment, by_frame};
use super::layout::{Layout, Photometric};
use super::place::{Access, Place};
use super::samples::Samples;
use super::scan::Scanned;
use super::syntax::Coding;
use super::tag;
use crate::error::{Error, Result};
use crate::watch::Watch;

/// What to do about pixels that are not as the transfer syntax says.
const MISLABELLED: &str = "the transfer syntax of the file is wrong: export it again";

/// The frames of a file, any of which can be unpacked.
pub(super) struct Frames {
    access: Access,
    layout: Layout,
    coding: Coding,
    /// Whether 16 and 32-bit numbers have their high byte first.
    big_endian: bool,
    /// Whether bytes stand in pairs that have been turned round.
    swapped_bytes: bool,
    /// The pieces of each frame, where pixels are compressed.
    fragments: Vec<Vec<Fragment>>,
}

/// An unpacked frame.
pub(super) struct Unpacked {
    pub(super) samples: Samples,
    /// What three samples are.
    pub(super) colour: Photometric,
}

impl Frames {
    /// Finds the frames of a file.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no such pixel data, or not as much as the header promises.
    pub(super) fn open(
        place: &Place,
        scanned: &Scanned,
        layout: Layout,
        options: &ReadOptions,
    ) -> Result<Self> {
        let Some(pixels) = &scanned.pixels else { return Err(no_pixels(&place.name)) };
        let coding = scanned.syntax.coding;
        let native = matches!(coding, Coding::Native | Coding::NativeBigEndian);
        let most = match native {
            true => layout.bytes().unwrap_or(u64::MAX),
            false => options.budget.unpacked_bytes,
        };
        options.budget.check_pixels(&place.name, layout.columns, layout.rows)?;
        if place.is_packed(pixels) {
            options.budget.check_bytes(&place.name, most)?;
        }
        let access = place.pixels(pixels, most, &options.watch)?;
        let mut frames = Self {
            access,
            layout,
            coding,
            big_endian: pixels.big_endian || coding == Coding::NativeBigEndian,
            swapped_bytes: pixels.big_endian && pixels.in_words && layout.allocated <= 8,
            fragments: Vec::new(),
        };
        match pixels.length {
            Some(length) if native => check_length(&place.name, &layout, length.min(frames.access.length()))?,
            None if !native => {
                let extended = scanned.set.longs(tag::EXTENDED_OFFSET_TABLE);
                // A video stream is one piece, whatever frames come out of it.
                let count = if coding == Coding::Video { 1 } else { layout.frames };
                frames.fragments = by_frame(&frames.access, count, &extended)?;
            }
            Some(_) => {
                let error = Error::input(&place.name, "fragments of compressed pixels", "plain numbers");
                return Err(error.hint(MISLABELLED));
            }
            None => {
                let error = Error::input(&place.name, "plain numbers", "fragments of compressed pixels");
                return Err(error.hint(MISLABELLED));
            }
        }
        Ok(frames)
    }

    /// Unpacks a frame.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file if it is damaged or not what the header says.
    pub(super) fn unpack(&self, frame: usize, watch: &Watch) -> Result<Unpacked> {
        watch.check()?;
        match self.coding {
            Coding::Native | Coding::NativeBigEndian => self.native(frame),
            _ => self.coded(frame, watch),
        }
    }

    /// All bytes of compressed pixels, one piece behind the other: a video stream.
    ///
    /// # Errors
    /// [`Error::Input`] if they cannot be read.
    #[cfg(feature = "video")]
    pub(super) fn stream(&self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for fragment in self.fragments.iter().flatten() {
            all.extend(self.access.part(fragment.at, fragment.bytes, "a fragment")?);
        }
        Ok(all)
    }

    fn native(&self, frame: usize) -> Result<Unpacked> {
        let Layout { allocated, photometric, samples, planar, .. } = self.layout;
        let bits = self.layout.frame_bits();
        let first = bits * frame as u64;
        let (from, to) = (first / 8, (first + bits).div_ceil(8));
        // Bytes in pairs are read from the pair's beginning.
        let (from, to) = if self.swapped_bytes { (from & !1, to.next_multiple_of(2)) } else { (from, to) };
        let to = to.min(self.access.length());
        let mut bytes = self.access.part(from, to - from, &format!("frame {frame}"))?;
        if self.swapped_bytes {
            bytes.chunks_exact_mut(2).for_each(<[u8]>::reverse);
            bytes.drain(..(first / 8 - from) as usize);
            bytes.truncate(bits.div_ceil(8) as usize);
        }
        if allocated == 1 {
            bytes = bits_of(&bytes, (first % 8) as usize, bits as usize);
        } else if self.big_endian && allocated > 8 {
            bytes.chunks_exact_mut(allocated as usize / 8).for_each(<[u8]>::reverse);
        }
        let width = (allocated as usize / 8).max(1);
        if photometric == Photometric::YbrFull422 {
            bytes = spread(&bytes, width);
        } else if planar {
            bytes = interleaved(&bytes, samples, width);
        }
        Ok(Unpacked { samples: Samples { bytes, layout: self.layout }, colour: photometric })
    }

    fn coded(&self, frame: usize, watch: &Watch) -> Result<Unpacked> {
        let name = self.access.name();
        let pieces = self.fragments.get(frame).map(Vec::as_slice).unwrap_or_default();
        let mut bytes = Vec::new();
        for piece in pieces {
            bytes.extend(self.access.part(piece.at, piece.bytes, "a fragment")?);
        }
        let codec = match self.coding {
            Coding::Rle => Codec::Rle,
            Coding::Jpeg => Codec::Jpeg,
            Coding::JpegLs => Codec::JpegLs,
            Coding::Jpeg2000 => Codec::Jpeg2000,
            Coding::Video | Coding::Unread(_) | Coding::Native | Coding::NativeBigEndian => {
                return Err(unread(name, self.coding));
            }
        };
        let geometry = Geometry {
            rows: self.layout.rows,
            columns: self.layout.columns,
            samples_per_pixel: self.layout.samples,
            bits_allocated: self.layout.allocated,
        };
        let decoded =
            codecs::decode(codec, &bytes, &geometry, watch).map_err(|error| within(name, frame, error))?;
        let colour = match (decoded.header.colour, self.layout.photometric) {
            (_, grey) if self.layout.samples == 1 => grey,
            (Colour::Rgb, _) => Photometric::Rgb,
            (Colour::Ycbcr, _) => Photometric::YbrFull,
            (Colour::Unsaid, Photometric::YbrFull422) => Photometric::YbrFull,
            (Colour::Unsaid, said) => said,
        };
        Ok(Unpacked { samples: Samples { bytes: decoded.samples, layout: self.layout }, colour })
    }
}

/// What an object without pixels comes to.
pub(super) fn no_pixels(name: &str) -> Error {
    Error::input(name, "a DICOM object with pixel data", "one without").hint("name an image of the study")
}

/// What pixels come to that no codec reads.
pub(super) fn unread(name: &str, coding: Coding) -> Error {
    Error::input(name, "a transfer syntax that is read", coding.name()).hint("export the study uncompressed")
}

/// A codec's error, with file and frame before it.
fn within(name: &str, frame: usize, mut error: Error) -> Error {
    if let Error::Input(facts) = &mut error {
        facts.thing = format!("{name}, frame {frame}, {}", facts.thing);
    }
    error
}

/// Refuses fewer bytes than the header promises.
///
/// # Errors
/// [`Error::Input`] naming all that the number is made of.
pub(super) fn check_length(name: &str, layout: &Layout, length: u64) -> Result<()> {
    match layout.bytes() {
        Some(wanted) if wanted <= length => Ok(()),
        wanted => {
            let bytes =
                wanted.map_or("more bytes than any machine has".into(), |bytes| format!("{bytes} bytes"));
            let got = format!("a file that ends after {length} of them");
            Err(Error::input(name, format!("pixel data of {bytes} ({})", layout.promise()), got)
                .hint("the file is cut off or its header is wrong: copy it again"))
        }
    }
}

/// One byte for each bit, low bits first.
fn bits_of(bytes: &[u8], first: usize, count: usize) -> Vec<u8> {
    (first..first + count).map(|bit| bytes.get(bit / 8).map_or(0, |byte| byte >> (bit % 8) & 1)).collect()
}

/// Planes of samples to pixels of samples.
fn interleaved(bytes: &[u8], samples: usize, width: usize) -> Vec<u8> {
    let plane = bytes.len() / samples.max(1);
    let mut pixels = Vec::with_capacity(bytes.len());
    for at in (0..plane).step_by(width) {
        for sample in 0..samples {
            pixels.extend_from_slice(&bytes[sample * plane + at..][..width]);
        }
    }
    pixels
}

/// Two luminances and one chroma for two pixels, to three samples for each.
fn spread(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(bytes.len() / 2 * 3);
    for pair in bytes.chunks_exact(4 * width) {
        let (luminance, chroma) = pair.split_at(2 * width);
        for one in luminance.chunks_exact(width) {
            pixels.extend_from_slice(one);
            pixels.extend_from_slice(chroma);
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_put_in_the_order_of_the_pixels() {
        assert_eq!(bits_of(&[0b1000_0110, 1], 1, 8), [1, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!(interleaved(&[1, 2, 3, 4, 5, 6], 3, 1), [1, 3, 5, 2, 4, 6]);
        assert_eq!(interleaved(&[1, 2, 3, 4, 5, 6], 3, 2), [1, 2, 3, 4, 5, 6]);
        assert_eq!(spread(&[10, 20, 5, 6, 30, 40, 7, 8], 1), [10, 5, 6, 20, 5, 6, 30, 7, 8, 40, 7, 8]);
    }
}
