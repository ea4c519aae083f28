//! Lossless frames (T.81 Annex H): each sample is predicted from its neighbours, and the difference is coded.

use super::super::markers::Segments;
use super::super::stream::{Canvas, Geometry, JPEG, damaged, unsupported};
use super::header::{Frame, ScanHeader, State, table};
use super::huffman::{Bits, Table};
use crate::error::Result;
use crate::watch::Watch;

/// The samples of a lossless frame.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if the stream is damaged or of a kind that is not read.
pub(super) fn decode(bytes: &[u8], geometry: &Geometry, watch: &Watch) -> Result<Vec<u8>> {
    // Each sample has a code of at least a bit.
    geometry.check_length(JPEG, bytes.len(), 8)?;
    let mut segments = Segments::new(JPEG, bytes)?;
    let mut state = State::default();
    let mut canvas = Canvas::new(geometry)?;
    let mut missing: Vec<usize> = (0..geometry.samples_per_pixel).collect();
    while let Some(header) = state.next_scan(&mut segments)? {
        // Each component once: what a scan costs is bounded by the picture.
        for component in &header.components {
            let place = missing.iter().position(|other| *other == component.place);
            missing.remove(place.ok_or_else(|| damaged(JPEG, "a component twice"))?);
        }
        let scan = Scan::new(&state, &header)?;
        scan.read(&mut segments, &mut canvas, watch)?;
        if missing.is_empty() {
            return Ok(canvas.into_bytes());
        }
    }
    Err(damaged(JPEG, "a stream without some of its components"))
}

struct Scan<'a> {
    frame: &'a Frame,
    tables: Vec<&'a Table>,
    places: Vec<usize>,
    predictor: u8,
    /// Low bits that were left out of all samples.
    transform: u32,
    /// Lines between restart markers.
    interval: usize,
}

/// Two lines of one component.
struct Lines {
    above: Vec<u16>,
    line: Vec<u16>,
}

impl<'a> Scan<'a> {
    fn new(state: &'a State, header: &ScanHeader) -> Result<Self> {
        let frame = state.frame.as_ref().ok_or_else(|| damaged(JPEG, "no frame"))?;
        let ([predictor, _], [_, transform]) = (header.spectrum, header.approximation);
        if !(1..=7).contains(&predictor) || transform >= frame.precision {
            return Err(damaged(JPEG, format!("predictor {predictor}, point transform {transform}")));
        }
        // A component alone has no sampling, whatever its factors are.
        if frame.components.len() > 1 && frame.components.iter().any(|one| (one.across, one.down) != (1, 1)) {
            return Err(unsupported(JPEG, "lossless components of one size", "subsampled ones"));
        }
        let interval = match state.restart_interval {
            0 => frame.rows,
            mcus if mcus % frame.columns == 0 => mcus / frame.columns,
            mcus => return Err(damaged(JPEG, format!("a restart interval of {mcus} samples"))),
        };
        let tables = header.components.iter().map(|component| table(&state.dc, component.dc));
        let places = header.components.iter().map(|component| component.place).collect();
        Ok(Self { frame, tables: tables.collect::<Result<_>>()?, places, predictor, transform, interval })
    }

    fn read(&self, segments: &mut Segments<'_>, canvas: &mut Canvas, watch: &Watch) -> Result<()> {
        let (rows, columns) = (self.frame.rows, self.frame.columns);
        let mut bits = Bits::new(segments.bytes, segments.at);
        let empty = || Lines { above: vec![0; columns], line: vec![0; columns] };
        let mut lines: Vec<Lines> = self.places.iter().map(|_| empty()).collect();
        for row in 0..rows {
            if row % 16 == 0 {
                watch.check()?;
            }
            let first = row % self.interval == 0;
            if first && row > 0 {
                segments.at = bits.at();
                segments.restart(row / self.interval - 1)?;
                bits = Bits::new(segments.bytes, segments.at);
            }
            self.differences(&mut bits, &mut lines)?;
            for (place, Lines { above, line }) in self.places.iter().zip(&mut lines) {
                match first {
                    true => self.first_line(line),
                    false => predict(self.predictor, above, line),
                }
                let values = line.iter().map(|value| value << self.transform);
                canvas.put(*place, row * columns, values);
                std::mem::swap(above, line);
            }
        }
        segments.at = bits.at();
        Ok(())
    }

    /// One line of all components, pixel by pixel.
    fn differences(&self, bits: &mut Bits<'_>, lines: &mut [Lines]) -> Result<()> {
        for x in 0..self.frame.columns {
            for (table, lines) in self.tables.iter().zip(lines.iter_mut()) {
                lines.line[x] = match bits.symbol(table)? {
                    size @ 0..=15 => bits.number(size.into())? as u16,
                    // Half of the circle of 16 bits, which needs no more bits.
                    16 => 0x8000,
                    size => return Err(damaged(JPEG, format!("a difference of {size} bits"))),
                };
            }
        }
        Ok(())
    }

    /// A line with nothing above it: each sample is predicted from the one before.
    fn first_line(&self, line: &mut [u16]) {
        let mut before = 1_u16 << (self.frame.precision - self.transform - 1);
        for value in line {
            *value = value.wrapping_add(before);
            before = *value;
        }
    }
}

/// Differences to samples, below the line `above` (T.81 table H.1). The first one is predicted from above.
fn predict(predictor: u8, above: &[u16], line: &mut [u16]) {
    let rule: fn(i32, i32, i32) -> i32 = match predictor {
        1 => |left, _, _| left,
        2 => |_, up, _| up,
        3 => |_, _, corner| corner,
        4 => |left, up, corner| left + up - corner,
        5 => |left, up, corner| left + ((up - corner) >> 1),
        6 => |left, up, corner| up + ((left - corner) >> 1),
        _ => |left, up, _| (left + up) >> 1,
    };
    let (Some(first), Some(up)) = (line.first_mut(), above.first()) else { return };
    *first = first.wrapping_add(*up);
    let (mut left, mut corner) = (i32::from(*first), i32::from(*up));
    for (value, up) in line.iter_mut().zip(above).skip(1) {
        let up = i32::from(*up);
        *value = value.wrapping_add(rule(left, up, corner) as u16);
        (left, corner) = (i32::from(*value), up);
    }
}
