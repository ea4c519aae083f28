//! What the samples of a TIFF mean.

use super::super::ifd::Ifd;
use super::super::picture::Fault;
use super::super::wide::Number;
use super::chunks::Chunks;
use super::tag;
use super::unpack::Compression;
use crate::study::Preprocessing;
use crate::words::counted;

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
pub(super) fn is_mapped(meaning: Meaning, chunks: &Chunks<'_>) -> bool {
    let is_as_in_memory = match meaning {
        Meaning::Grey => chunks.bits >= 8,
        Meaning::Inverted => chunks.bits == 16,
        Meaning::Palette => chunks.bits == 8,
        Meaning::Rgb(Fourth::Alpha) | Meaning::Cmyk => chunks.bits == 8 && chunks.samples == 4,
        Meaning::Rgb(_) | Meaning::GreyAlpha => false,
    };
    is_as_in_memory && chunks.is_one_plain_piece()
}

/// The meaning of the samples, and their number type where Pillow has no mode that keeps it: other than 16 bits without a
/// sign.
///
/// # Errors
/// If Pillow has no mode for it that is reproduced here, nor is it scaled.
pub(super) fn meaning(
    ifd: &Ifd<'_>,
    chunks: &Chunks<'_>,
    preprocessing: Preprocessing,
) -> Result<(Meaning, Option<Number>), Fault> {
    let photometric = ifd.value(tag::PHOTOMETRIC).unwrap_or(0);
    let extras = ifd.few(tag::EXTRA_SAMPLES).unwrap_or_default();
    let formats = ifd.few(tag::SAMPLE_FORMAT).unwrap_or_else(|| vec![1]);
    let (bits, samples) = (chunks.bits, chunks.samples);
    let unsupported = || {
        Fault::unsupported(format!(
            "a TIFF of {} of {}, photometric interpretation {photometric}, sample format {}{}{}",
            counted(samples, "sample"),
            counted(bits as usize, "bit"),
            formats.first().copied().unwrap_or(1),
            if chunks.planar { ", in planes" } else { "" },
            if chunks.reversed { ", with reversed bits" } else { "" },
        ))
    };
    let kind = (photometric, samples, extras.as_slice());
    if chunks.compression == Compression::Jpeg {
        return Ok((jpeg(kind).ok_or_else(unsupported)?, None));
    }
    // 8-bit grey may be marked signed: Pillow reads it as if it were not.
    let signed_grey = photometric == 1 && bits == 8 && samples == 1 && formats == [2];
    let is_unsigned = formats.iter().all(|&format| format == 1) || signed_grey;
    if is_unsigned
        && bits <= 16
        && (!chunks.planar || bits == 8)
        && let Some(meaning) = pillows(kind, chunks)
    {
        return Ok((meaning, None));
    }
    let number = number(&formats, bits).filter(|_| !chunks.reversed);
    let scaled = number.and_then(|number| Some((scaled(kind, number)?, Some(number))));
    match (scaled, preprocessing) {
        (Some(scaled), Preprocessing::Clinical) => Ok(scaled),
        (Some(_), Preprocessing::Reference) => {
            let fault = unsupported();
            Err(Fault { hint: "it can be read with clinical preprocessing, which scales it".into(), ..fault })
        }
        (None, _) => Err(unsupported()),
    }
}

/// Photometric interpretation, samples of a pixel and what those beyond the colours are.
type Kind<'a> = (u32, usize, &'a [u32]);

/// The meaning of samples of up to 16 bits without a sign.
fn pillows(kind: Kind<'_>, chunks: &Chunks<'_>) -> Option<Meaning> {
    let (bits, samples) = (chunks.bits, chunks.samples);
    let is_colour = matches!(bits, 8 | 16);
    let rest_is_padding = |extras: &[u32], from: usize| extras.iter().skip(from).all(|&extra| extra == 0);
    // More samples than four: 8-bit padding only.
    let few = samples <= 4 || bits == 8;
    // Pillow reads few kinds of planes and of reversed bits as they are meant.
    let is_plain = bits == 8 && matches!(kind, (2, 3, []) | (2, 4, [2]) | (5, 4, []));
    let reversible = bits == 1 && kind.0 <= 1 || bits == 8 && matches!(kind, (1 | 3, 1, []) | (2, 3, []));
    if chunks.planar && !is_plain || chunks.reversed && !reversible {
        return None;
    }
    Some(match kind {
        (0, 1, []) => Meaning::Inverted,
        (1, 1, []) => Meaning::Grey,
        (1, 2, [2]) if bits == 8 => Meaning::GreyAlpha,
        (3, 1, []) if bits <= 8 => Meaning::Palette,
        (2, 3, []) if is_colour => Meaning::Rgb(Fourth::None),
        (2, 4, []) if is_colour => Meaning::Rgb(Fourth::Alpha),
        (2, 4, [999]) if bits == 8 => Meaning::Rgb(Fourth::Alpha),
        (2, 4..=6, extras @ [first, ..])
            if is_colour && few && samples == 3 + extras.len() && rest_is_padding(extras, 1) =>
        {
            match first {
                0 => Meaning::Rgb(Fourth::Meaningless),
                1 => Meaning::Rgb(Fourth::Premultiplied),
                2 => Meaning::Rgb(Fourth::Alpha),
                _ => return None,
            }
        }
        (5, 4, []) if is_colour => Meaning::Cmyk,
        (5, 5..=6, extras) if bits == 8 && samples == 4 + extras.len() && rest_is_padding(extras, 0) => {
            Meaning::Cmyk
        }
        _ => return None,
    })
}

/// The meaning of samples that are JPEGs.
fn jpeg(kind: Kind<'_>) -> Option<Meaning> {
    match kind {
        (0, 1, []) => Some(Meaning::Inverted),
        (1, 1, []) => Some(Meaning::Grey),
        (2 | 6, 3, []) => Some(Meaning::Rgb(Fourth::None)),
        (5, 4, []) => Some(Meaning::Cmyk),
        _ => None,
    }
}

/// The type of samples of at least 16 bits.
fn number(formats: &[u32], bits: u32) -> Option<Number> {
    let (first, rest) = formats.split_first()?;
    if rest.iter().any(|format| format != first) {
        return None;
    }
    Some(match (first, bits) {
        (1, 16) => Number::U16,
        (1, 32) => Number::U32,
        (2, 16) => Number::I16,
        (2, 32) => Number::I32,
        (3, 16) => Number::F16,
        (3, 32) => Number::F32,
        (3, 64) => Number::F64,
        _ => return None,
    })
}

/// The meaning of samples that are scaled. Only integers without a sign have an alpha whose highest value is known.
fn scaled(kind: Kind<'_>, number: Number) -> Option<Meaning> {
    let has_alpha = matches!(number, Number::U16 | Number::U32);
    Some(match kind {
        (0, 1, []) => Meaning::Inverted,
        (1, 1, []) => Meaning::Grey,
        (1, 2, [2]) if has_alpha => Meaning::GreyAlpha,
        (2, 3, []) => Meaning::Rgb(Fourth::None),
        (2, 4, [2]) if has_alpha => Meaning::Rgb(Fourth::Alpha),
        (2, 4, [0]) => Meaning::Rgb(Fourth::Meaningless),
        (5, 4, []) => Meaning::Cmyk,
        _ => return None,
    })
}
