//! What may be read at most, whatever a header says.

use crate::error::{Error, Result};
use crate::limits::{NumberOption, OptionName, Subject, Whole};
use crate::words::counted;

/// How much of one study is read at most. What a file claims is held against it before anything is allocated or computed.
/// The defaults are far beyond what a clinic's studies come to; with the watch of [`ReadOptions`](crate::ReadOptions) they
/// bound all work on a file.
///
/// ```
/// use fleming::{Budget, ReadOptions, StudyInput, read};
///
/// let budget = Budget { pixels: 1000, ..Budget::default() };
/// let error = read(&StudyInput::file("examples/chest.png"), &ReadOptions::default().budget(budget)).unwrap_err();
/// assert!(error.to_string().contains("--max-pixels"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of a file that is read as a whole, as pictures are. 2 GiB by default: the largest picture uncompressed, at 16
    /// bits and four channels, fits.
    pub input_bytes: u64,
    /// Pixels of one picture, frame or slice. By default those that Pillow takes for a decompression bomb are too many.
    pub pixels: u64,
    /// Bytes of all chosen frames of a study, and of what is unpacked on the way to them. 4 GiB by default.
    pub unpacked_bytes: u64,
    /// Frames, slices or pictures that one file says it holds. 16,777,216 by default: three days at 60 a second.
    pub declared_frames: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { input_bytes: 2 << 30, pixels: 178_956_970, unpacked_bytes: 4 << 30, declared_frames: 1 << 24 }
    }
}

/// Passes over the pixels of one picture, as a progressive JPEG asks for: at most as many as over so many of the largest.
const SCANS: u64 = 8;
/// Bytes of samples of a picture: at most as many as four channels of 16 bits have in the largest.
const PIXEL_BYTES: u64 = 8;

/// The largest picture may be this narrow, for a row of a few pixels costs as much as one of these.
const NARROWEST: u64 = 16;
/// Sides that are never too long.
const LONG: u64 = 1 << 16;

const fn option(name: &'static str) -> OptionName {
    Subject::Engine.option(name)
}

impl Budget {
    /// Bytes: a tebibyte.
    pub(crate) const MAX_INPUT_BYTES: NumberOption<Whole> = option("max_input_bytes").whole(1, 1 << 40);
    /// Far more than fit into any machine's memory.
    pub(crate) const MAX_PIXELS: NumberOption<Whole> = option("max_pixels").whole(1, 1 << 40);
    pub(crate) const MAX_UNPACKED_BYTES: NumberOption<Whole> = option("max_unpacked_bytes").whole(1, 1 << 40);
    pub(crate) const MAX_DECLARED_FRAMES: NumberOption<Whole> =
        option("max_declared_frames").whole(1, 1 << 40);

    /// Refuses numbers that no machine can meet.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option and what it may be.
    pub(crate) fn check(&self) -> Result<()> {
        Self::MAX_INPUT_BYTES.check([self.input_bytes])?;
        Self::MAX_PIXELS.check([self.pixels])?;
        Self::MAX_UNPACKED_BYTES.check([self.unpacked_bytes])?;
        Self::MAX_DECLARED_FRAMES.check([self.declared_frames])
    }

    /// Refuses a file of so many bytes that is to be read as a whole.
    ///
    /// # Errors
    /// [`Error::Input`] naming `thing`.
    pub(super) fn check_input(&self, thing: &str, bytes: u64) -> Result<()> {
        within(bytes, self.input_bytes).ok_or_else(|| {
            Error::input(thing, format!("at most {} bytes", self.input_bytes), format!("{bytes} bytes"))
                .hint("scale the picture down, or raise --max-input-bytes")
        })
    }

    /// The number of pixels of a picture, frame or slice, if it may be read at all.
    ///
    /// # Errors
    /// [`Error::Input`] naming `thing` if there are none or too many, or a side is far too long.
    pub(super) fn check_pixels(&self, thing: &str, width: u32, height: u32) -> Result<usize> {
        let (pixels, longest) = (u64::from(width) * u64::from(height), (self.pixels / NARROWEST).max(LONG));
        if (1..=self.pixels).contains(&pixels) && u64::from(width.max(height)) <= longest {
            // Fits the usize of every target that ONNX Runtime has: the option's bound is far below 2^63.
            return Ok(pixels as usize);
        }
        let wanted = format!("1 to {} pixels, {longest} in a row or column", self.pixels);
        let got = format!("{width}×{height} = {pixels} pixels");
        Err(Error::input(thing, wanted, got)
            .hint("scale it down, the model sees 448×448 pixels of it, or raise --max-pixels"))
    }

    /// Refuses to go over so many pixels so many times.
    ///
    /// # Errors
    /// [`Error::Input`] naming `thing`.
    pub(super) fn check_scans(&self, thing: &str, scans: u64, pixels: u64) -> Result<()> {
        let most = self.pixels.saturating_mul(SCANS);
        within(scans.saturating_mul(pixels), most).ok_or_else(|| {
            Error::input(
                thing,
                format!("at most {most} pixels in all passes over the picture"),
                format!("{pixels} pixels, {scans} times"),
            )
            .hint("save the picture as a plain JPEG or as PNG, or raise --max-pixels")
        })
    }

    /// Refuses a picture of so many bytes of samples, before they become 8 bits.
    ///
    /// # Errors
    /// [`Error::Input`] naming `thing`.
    pub(super) fn check_samples(&self, thing: &str, bytes: u64) -> Result<()> {
        let most = self.pixels.saturating_mul(PIXEL_BYTES);
        within(bytes, most).ok_or_else(|| {
            Error::input(thing, format!("at most {most} bytes of samples"), format!("{bytes} bytes"))
                .hint("scale the picture down, or raise --max-pixels")
        })
    }

    /// Refuses to unpack so many bytes.
    ///
    /// # Errors
    /// [`Error::Input`] naming `thing`.
    pub(super) fn check_bytes(&self, thing: &str, bytes: u64) -> Result<()> {
        within(bytes, self.unpacked_bytes).ok_or_else(|| {
            let wanted = format!("at most {} bytes unpacked", self.unpacked_bytes);
            Error::input(thing, wanted, format!("at least {bytes} bytes"))
                .hint("look at less of it, or raise --max-unpacked-bytes")
        })
    }

    /// Refuses a file that says it holds so many frames, slices or pictures.
    ///
    /// # Errors
    /// [`Error::Input`] naming `thing`.
    pub(super) fn check_frames(&self, thing: &str, declared: u64) -> Result<()> {
        within(declared, self.declared_frames).ok_or_else(|| {
            Error::input(thing, format!("at most {} frames", self.declared_frames), declared)
                .hint("cut it into parts, or raise --max-declared-frames")
        })
    }

    /// Refuses chosen frames of these widths and heights, of `bytes` bytes a pixel: one that is too large, or more than are
    /// held at once. A side of 0 is one that the header leaves out.
    ///
    /// # Errors
    /// [`Error::Input`] naming `thing`, number and size of the frames.
    pub(super) fn check_study(&self, thing: &str, sizes: &[[u32; 2]], bytes: u64) -> Result<()> {
        let mut all: u64 = 0;
        for &[width, height] in sizes {
            let pixels = match u64::from(width) * u64::from(height) {
                0 => 0,
                _ => self.check_pixels(thing, width, height)? as u64,
            };
            all = all.saturating_add(pixels.saturating_mul(bytes));
        }
        within(all, self.unpacked_bytes).ok_or_else(|| {
            let [width, height] = sizes.first().copied().unwrap_or_default();
            Error::input(
                thing,
                format!("at most {} bytes of pixels", self.unpacked_bytes),
                format!("{} of {width}×{height}, {all} bytes", counted(sizes.len(), "frame")),
            )
            .hint("look at fewer frames, or raise --max-unpacked-bytes")
        })
    }
}

fn within(number: u64, most: u64) -> Option<()> {
    (number <= most).then_some(())
}

/// Zeros of which a file sets the number: running out of memory is an error and no end of the process.
///
/// # Errors
/// [`Error::Input`] naming `thing` if there is not that much memory.
pub(super) fn zeros(thing: &str, bytes: usize) -> Result<Vec<u8>> {
    collected(thing, bytes, std::iter::repeat_n(0, bytes))
}

/// Values of which a file sets the number, at most `count`; further ones are left out.
///
/// # Errors
/// [`Error::Input`] naming `thing` if there is not that much memory.
pub(super) fn collected<T>(thing: &str, count: usize, values: impl IntoIterator<Item = T>) -> Result<Vec<T>> {
    let mut buffer = Vec::new();
    match buffer.try_reserve_exact(count) {
        Ok(()) => {
            buffer.extend(values.into_iter().take(count));
            Ok(buffer)
        }
        Err(_) => {
            let bytes = count.saturating_mul(size_of::<T>());
            Err(Error::input(thing, format!("{bytes} bytes of memory"), "less")
                .hint("close other programs, or look at less of it"))
        }
    }
}

/// Whether there is memory for what a library is about to take, which would end the process if there were none.
///
/// # Errors
/// [`Error::Input`] naming `thing` if there is not that much memory.
pub(super) fn room_for(thing: &str, bytes: usize) -> Result<()> {
    collected::<u8>(thing, bytes, []).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_named_with_its_option() {
        let budget = Budget { input_bytes: 10, pixels: 20, unpacked_bytes: 100, declared_frames: 5 };
        budget.check().unwrap();
        budget.check_input("x", 10).unwrap();
        budget.check_bytes("x", 100).unwrap();
        budget.check_frames("x", 5).unwrap();
        budget.check_scans("x", 8, 20).unwrap();
        budget.check_samples("x", 160).unwrap();
        budget.check_study("x", &[[5, 4]; 5], 1).unwrap();
        budget.check_study("x", &[[0, 4]], 1).unwrap();
        assert_eq!(budget.check_pixels("x", 5, 4).unwrap(), 20);
        for (failed, option, got) in [
            (budget.check_input("x", 11), "--max-input-bytes", "11"),
            (budget.check_bytes("x", 101), "--max-unpacked-bytes", "101"),
            (budget.check_frames("x", 6), "--max-declared-frames", "6"),
            (budget.check_scans("x", 9, 20), "--max-pixels", "20 pixels, 9 times"),
            (budget.check_samples("x", 161), "--max-pixels", "161"),
            (budget.check_scans("x", u64::MAX, 2), "--max-pixels", "2 pixels"),
            (budget.check_study("x", &[[5, 4]; 6], 1), "--max-unpacked-bytes", "6 frames of 5×4, 120 bytes"),
            (budget.check_study("x", &[[21, 1]], 1), "--max-pixels", "21×1"),
            (budget.check_pixels("x", u32::MAX, u32::MAX).map(drop), "--max-pixels", "18446744065119617025"),
            (budget.check_pixels("x", 0, 4).map(drop), "--max-pixels", "0×4"),
        ] {
            let error = failed.unwrap_err();
            let facts = error.facts();
            assert!(facts.thing == "x" && facts.hint.contains(option) && facts.got.contains(got), "{error}");
        }
        // a picture of one column
        let budget = Budget::default();
        budget.check_pixels("x", 1, 11_184_810).unwrap();
        let error = budget.check_pixels("x", 1, 11_184_811).unwrap_err();
        assert!(error.to_string().contains("11184810 in a row or column"), "{error}");
        let error = Budget { pixels: 0, ..budget }.check().unwrap_err();
        assert_eq!(error.facts().thing, "max-pixels");
    }

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        assert_eq!(zeros("x", 3).unwrap(), [0; 3]);
        assert_eq!(collected("x", 2, [1u16, 2, 3]).unwrap(), [1, 2]);
        room_for("x", 1000).unwrap();
        for error in [zeros("x", usize::MAX).unwrap_err(), room_for("x", usize::MAX / 2 + 1).unwrap_err()] {
            assert!(error.to_string().contains("bytes of memory"), "{error}");
        }
    }
}
