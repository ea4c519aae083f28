//! What the samples of a TIFF mean.

use super::super::ifd::Ifd;
use super::super::picture::Fault;
use super::chunks::Chunks;
use super::tag;

/// What a fourth sample beside three colours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fourth {
    None,
    Alpha,
    /// Alpha that the colours are already multiplied by.
    Premultiplied,
    Meaningless,
}

/// The meaning of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Grey,
    /// Grey whose 0 is white.
    Inverted,
    GreyAlpha,
    Palette,
    Rgb(Fourth),
    Cmyk,
}

impl Meaning {
    pub(super) fn is_grey(self) -> bool {
        matches!(self, Meaning::Grey | Meaning::Inverted)
    }
}

/// Whether Pillow maps the file into memory instead of reading it: its samples are in the file as they are in
/// memory.
pub(super) fn is_mapped(meaning: Meaning, chunks: &Chunks) -> bool {
    let is_as_in_memory = match meaning {
        Meaning::Grey => chunks.bits >= 8,
        Meaning::Inverted => chunks.bits == 16,
        Meaning::Palette => chunks.bits == 8,
        Meaning::Rgb(Fourth::Alpha) | Meaning::Cmyk => chunks.bits == 8 && chunks.samples == 4,
        Meaning::Rgb(_) | Meaning::GreyAlpha => false,
    };
    is_as_in_memory && chunks.is_one_plain_piece()
}

/// The meaning of the samples, if Pillow has a mode for it that is reproduced here.
pub(super) fn meaning(ifd: &Ifd<'_>, chunks: &Chunks) -> Result<Meaning, Fault> {
    let photometric = ifd.value(tag::PHOTOMETRIC).unwrap_or(0);
    let extras = ifd.values(tag::EXTRA_SAMPLES).unwrap_or_default();
    let formats = ifd.values(tag::SAMPLE_FORMAT).unwrap_or_else(|| vec![1]);
    let (bits, samples) = (chunks.bits, chunks.samples);
    let unsupported = || {
        let got = format!(
            "a TIFF of {samples} samples of {bits} bits, photometric interpretation {photometric}, sample format {}{}{}",
            formats.first().copied().unwrap_or(1),
            if chunks.planar { ", in planes" } else { "" },
            if chunks.reversed { ", with reversed bits" } else { "" },
        );
        Err(Fault::unsupported(got))
    };
    // 8-bit grey may be marked signed: Pillow reads it as if it were not.
    let signed_grey = photometric == 1 && bits == 8 && samples == 1 && formats == [2];
    if !(formats.iter().all(|&format| format == 1) || signed_grey) {
        return unsupported();
    }
    let is_colour = matches!(bits, 8 | 16);
    let rest_is_padding = |from: usize| extras.iter().skip(from).all(|&extra| extra == 0);
    // More samples than four: 8-bit padding only.
    let few = samples <= 4 || bits == 8;
    let kind = (photometric, samples, extras.as_slice());
    // Pillow reads few kinds of planes and of reversed bits as they are meant.
    let is_plain = bits == 8 && matches!(kind, (2, 3, []) | (2, 4, [2]) | (5, 4, []));
    let reversible =
        bits == 1 && photometric <= 1 || bits == 8 && matches!(kind, (1 | 3, 1, []) | (2, 3, []));
    if chunks.planar && !is_plain || chunks.reversed && !reversible {
        return unsupported();
    }
    Ok(match kind {
        (0, 1, []) if bits <= 16 => Meaning::Inverted,
        (1, 1, []) if bits <= 16 => Meaning::Grey,
        (1, 2, [2]) if bits == 8 => Meaning::GreyAlpha,
        (3, 1, []) if bits <= 8 => Meaning::Palette,
        (2, 3, []) if is_colour => Meaning::Rgb(Fourth::None),
        (2, 4, []) if is_colour => Meaning::Rgb(Fourth::Alpha),
        (2, 4, [999]) if bits == 8 => Meaning::Rgb(Fourth::Alpha),
        (2, 4..=6, [first, ..]) if is_colour && few && samples == 3 + extras.len() && rest_is_padding(1) => {
            match first {
                0 => Meaning::Rgb(Fourth::Meaningless),
                1 => Meaning::Rgb(Fourth::Premultiplied),
                2 => Meaning::Rgb(Fourth::Alpha),
                _ => return unsupported(),
            }
        }
        (5, 4, []) if is_colour => Meaning::Cmyk,
        (5, 5..=6, [..]) if bits == 8 && samples == 4 + extras.len() && rest_is_padding(0) => Meaning::Cmyk,
        _ => return unsupported(),
    })
}
