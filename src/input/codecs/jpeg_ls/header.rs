//! The segments before and between the scans.

use super::super::markers::{DRI, EOI, Fields, SOS, Segment, Segments};
use super::super::stream::{Colour, JPEG_LS, StreamHeader, damaged, unsupported};
use crate::error::Result;

/// Start of frame.
const SOF55: u8 = 0xf7;
/// Parameters that replace defaults.
const LSE: u8 = 0xf8;
/// The application's segment that names a colour transform, which is no part of the standard.
const APP8: u8 = 0xe8;

/// What holds for the scans to come.
pub(super) struct State {
    pub(super) frame: Option<StreamHeader>,
    /// Identifiers of the components, in their order.
    pub(super) components: Vec<u8>,
    preset: Preset,
    /// Lines between restart markers; 0 for none.
    pub(super) restart_interval: u32,
}

/// A scan's header.
pub(super) struct ScanHeader {
    /// Places of the scan's components in the frame.
    pub(super) components: Vec<usize>,
    pub(super) interleave: Interleave,
    pub(super) parameters: Parameters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interleave {
    None,
    Line,
    Sample,
}

/// As they stand in the stream: 0 for the default.
#[derive(Default)]
struct Preset {
    maximum: i32,
    thresholds: [i32; 3],
    reset: i32,
}

/// The numbers of T.87 by their names there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    /// MAXVAL.
    pub(super) maximum: i32,
    pub(super) near: i32,
    /// T1, T2, T3.
    pub(super) thresholds: [i32; 3],
    pub(super) reset: i32,
    pub(super) range: i32,
    /// Bits of a mapped error.
    pub(super) qbpp: u32,
    pub(super) limit: u32,
}

impl State {
    pub(super) fn new() -> Self {
        Self { frame: None, components: Vec::new(), preset: Preset::default(), restart_interval: 0 }
    }

    /// Reads segments up to the next scan; none is left at the end of the stream.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the stream is damaged or of a kind that is not read.
    pub(super) fn next_scan(&mut self, segments: &mut Segments<'_>) -> Result<Option<ScanHeader>> {
        loop {
            let Segment { marker, body } = segments.next()?;
            let mut fields = Fields::new(JPEG_LS, body);
            match marker {
                EOI => return Ok(None),
                SOF55 => self.frame(&mut fields)?,
                LSE => self.parameters(&mut fields)?,
                DRI => {
                    let numbers = fields.bytes(body.len())?.iter();
                    self.restart_interval = numbers.fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
                }
                APP8 if body.starts_with(b"mrfx") && body.get(4) != Some(&0) => {
                    return Err(unsupported(
                        JPEG_LS,
                        "colours as the standard has them",
                        "a colour transform",
                    ));
                }
                SOS => return self.scan(&mut fields).map(Some),
                0xc0..=0xcf => {
                    return Err(unsupported(JPEG_LS, "a JPEG-LS frame", "a frame of another JPEG"));
                }
                _ => {}
            }
        }
    }

    fn frame(&mut self, fields: &mut Fields<'_>) -> Result<()> {
        let precision = u32::from(fields.byte()?);
        let (rows, columns) = (fields.word()?, fields.word()?);
        let count = usize::from(fields.byte()?);
        if self.frame.is_some() || !(2..=16).contains(&precision) {
            return Err(damaged(JPEG_LS, format!("a second frame, or {precision} bits")));
        }
        if rows == 0 || columns == 0 || !(1..=4).contains(&count) {
            let got = format!("{columns}×{rows} of {count}");
            return Err(unsupported(JPEG_LS, "a frame with its size and 1 to 4 components", got));
        }
        for _ in 0..count {
            let (identifier, sampling, _) = (fields.byte()?, fields.byte()?, fields.byte()?);
            if sampling != 0x11 {
                return Err(unsupported(
                    JPEG_LS,
                    "components of one size",
                    format!("sampling {sampling:#04x}"),
                ));
            }
            self.components.push(identifier);
        }
        self.frame = Some(StreamHeader {
            rows: rows.into(),
            columns: columns.into(),
            samples_per_pixel: count,
            precision,
            signed: false,
            colour: Colour::Unsaid,
        });
        Ok(())
    }

    fn parameters(&mut self, fields: &mut Fields<'_>) -> Result<()> {
        match fields.byte()? {
            1 => {
                let mut number = || fields.word().map(i32::from);
                let maximum = number()?;
                let thresholds = [number()?, number()?, number()?];
                self.preset = Preset { maximum, thresholds, reset: number()? };
                Ok(())
            }
            kind => {
                Err(unsupported(JPEG_LS, "coding parameters alone", format!("parameters of kind {kind}")))
            }
        }
    }

    fn scan(&self, fields: &mut Fields<'_>) -> Result<ScanHeader> {
        let frame = self.frame.ok_or_else(|| damaged(JPEG_LS, "a scan before its frame"))?;
        let mut components = Vec::new();
        for _ in 0..fields.byte()? {
            let (identifier, table) = (fields.byte()?, fields.byte()?);
            let place = self.components.iter().position(|component| *component == identifier);
            components
                .push(place.ok_or_else(|| damaged(JPEG_LS, "a scan of a component that is not there"))?);
            if table != 0 {
                return Err(unsupported(JPEG_LS, "samples without a mapping table", "one"));
            }
        }
        let (near, interleave, transform) = (fields.byte()?, fields.byte()?, fields.byte()?);
        let interleave = match (interleave, components.len()) {
            (0, 1) => Interleave::None,
            (1, 1..=4) => Interleave::Line,
            (2, 1..=4) => Interleave::Sample,
            (mode, count) => {
                return Err(damaged(JPEG_LS, format!("interleave mode {mode} of {count} components")));
            }
        };
        if transform != 0 {
            return Err(unsupported(JPEG_LS, "no point transform", transform));
        }
        let parameters = self.preset.complete(frame.precision, near.into())?;
        Ok(ScanHeader { components, interleave, parameters })
    }
}

impl Preset {
    /// Defaults of T.87 C.2.4.1.1 for what is 0, and what follows from all.
    fn complete(&self, precision: u32, near: i32) -> Result<Parameters> {
        let most = (1 << precision) - 1;
        let maximum = if self.maximum == 0 { most } else { self.maximum };
        let reset = if self.reset == 0 { 64 } else { self.reset };
        let mut thresholds = default_thresholds(maximum, near);
        for (threshold, given) in thresholds.iter_mut().zip(self.thresholds) {
            if given != 0 {
                *threshold = given;
            }
        }
        let [t1, t2, t3] = thresholds;
        let ordered = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= maximum;
        if maximum > most || near > maximum / 2 || !ordered || !(3..=maximum.max(255)).contains(&reset) {
            return Err(damaged(JPEG_LS, "coding parameters out of their bounds"));
        }
        let range = (maximum + 2 * near) / (2 * near + 1) + 1;
        let bpp = bits(maximum + 1).max(2);
        let (qbpp, limit) = (bits(range), 2 * (bpp + bpp.max(8)));
        Ok(Parameters { maximum, near, thresholds, reset, range, qbpp, limit })
    }
}

/// The least number of bits whose power of two is not below `value`.
fn bits(value: i32) -> u32 {
    (value - 1).checked_ilog2().map_or(0, |log| log + 1)
}

fn default_thresholds(maximum: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, least: i32| if value > maximum || value < least { least } else { value };
    let [t1, t2, t3] = if maximum >= 128 {
        let factor = (maximum.min(4095) + 128) / 256;
        [factor + 2 + 3 * near, factor * 4 + 3 + 5 * near, factor * 17 + 4 + 7 * near]
    } else {
        let factor = 256 / (maximum + 1);
        [(3 / factor + 3 * near).max(2), (7 / factor + 5 * near).max(3), (21 / factor + 7 * near).max(4)]
    };
    let t1 = clamp(t1, near + 1);
    let t2 = clamp(t2, t1);
    [t1, t2, clamp(t3, t2)]
}
