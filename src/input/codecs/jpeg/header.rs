//! The segments before and between the scans.

use super::super::markers::{APP0, DRI, EOI, Fields, SOS, Segment, Segments};
use super::super::stream::{Colour, JPEG, StreamHeader, damaged, unsupported};
use super::huffman::Table;
use crate::error::Result;

const DHT: u8 = 0xc4;
const JPG: u8 = 0xc8;
const DAC: u8 = 0xcc;
const DNL: u8 = 0xdc;
const DQT: u8 = 0xdb;
const APP14: u8 = 0xee;

/// How a frame is coded, by the marker that begins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Baseline or extended: SOF0, SOF1.
    Sequential,
    /// SOF2.
    Progressive,
    /// SOF3.
    Lossless,
    /// SOF9, SOF10: as the first two, with arithmetic codes.
    Arithmetic,
}

#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) process: Process,
    pub(super) precision: u32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) components: Vec<Component>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    identifier: u8,
    /// Sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
    /// The number of its quantisation table.
    pub(super) quantisation: usize,
}

/// One component's part of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanComponent {
    /// Its place in the frame.
    pub(super) place: usize,
    /// Numbers of its Huffman tables.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// A scan's header.
#[derive(Debug, Clone)]
pub(super) struct ScanHeader {
    pub(super) components: Vec<ScanComponent>,
    /// The first and the last coefficient. In a lossless scan, the first is the number of the predictor.
    pub(super) spectrum: [u8; 2],
    /// Successive approximation, high and low. In a lossless scan, the low one is the point transform.
    pub(super) approximation: [u32; 2],
}

/// What holds for the scans to come.
#[derive(Default)]
pub(super) struct State {
    pub(super) frame: Option<Frame>,
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// In zigzag order.
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    /// MCUs between restart markers; 0 for none.
    pub(super) restart_interval: usize,
    jfif: bool,
    adobe: Option<u8>,
}

impl State {
    /// Reads segments up to the next scan; none is left at the end of the stream.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the stream is damaged or of a kind that is not read.
    pub(super) fn next_scan(&mut self, segments: &mut Segments<'_>) -> Result<Option<ScanHeader>> {
        loop {
            let Segment { marker, body } = segments.next()?;
            let mut fields = Fields::new(JPEG, body);
            match marker {
                EOI => return Ok(None),
                SOS => return self.scan(&mut fields).map(Some),
                DHT => self.huffman_tables(&mut fields)?,
                DQT => self.quantisation_tables(&mut fields)?,
                DRI => self.restart_interval = fields.word()?.into(),
                DNL => {
                    return Err(unsupported(JPEG, "a frame that begins with its size", "a size behind it"));
                }
                APP0 if body.starts_with(b"JFIF\0") => self.jfif = true,
                APP14 if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied(),
                JPG | DAC => {}
                0xc0..=0xcf => self.frame(marker, &mut fields)?,
                _ => {}
            }
        }
    }

    /// What the stream says of itself, once its frame has been read.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if there is no frame.
    pub(super) fn header(&self) -> Result<StreamHeader> {
        let frame = self.frame.as_ref().ok_or_else(|| damaged(JPEG, "no frame"))?;
        Ok(StreamHeader {
            rows: frame.rows as u32,
            columns: frame.columns as u32,
            samples_per_pixel: frame.components.len(),
            precision: frame.precision,
            signed: false,
            colour: self.colour(frame),
        })
    }

    /// As libjpeg reads it, except that it takes components 1, 2, 3 and all others for Y, Cb, Cr. DICOM has such streams of
    /// RGB, and knows better.
    fn colour(&self, frame: &Frame) -> Colour {
        if frame.components.len() != 3 {
            return Colour::Unsaid;
        }
        match (self.jfif, self.adobe) {
            (false, Some(0)) => Colour::Rgb,
            (true, _) | (_, Some(_)) => Colour::Ycbcr,
            _ if frame.components.iter().map(|component| component.identifier).eq(*b"RGB") => Colour::Rgb,
            _ => Colour::Unsaid,
        }
    }

    fn frame(&mut self, marker: u8, fields: &mut Fields<'_>) -> Result<()> {
        let process = match marker {
            0xc0 | 0xc1 => Process::Sequential,
            0xc2 => Process::Progressive,
            0xc3 => Process::Lossless,
            0xc9 | 0xca => Process::Arithmetic,
            _ => {
                let got = format!("a hierarchical or arithmetic lossless frame (SOF{})", marker & 15);
                return Err(unsupported(JPEG, "a sequential, progressive or lossless frame", got));
            }
        };
        let precision = u32::from(fields.byte()?);
        let (rows, columns) = (usize::from(fields.word()?), usize::from(fields.word()?));
        let count = usize::from(fields.byte()?);
        if self.frame.is_some() {
            return Err(damaged(JPEG, "a second frame"));
        }
        let depths = if process == Process::Lossless { 2..=16 } else { 8..=12 };
        if !depths.contains(&precision) || (process != Process::Lossless && !matches!(precision, 8 | 12)) {
            return Err(damaged(JPEG, format!("{precision} bits")));
        }
        if rows == 0 || columns == 0 || !(1..=4).contains(&count) {
            let got = format!("{columns}×{rows} of {count}");
            return Err(unsupported(JPEG, "a frame with its size and 1 to 4 components", got));
        }
        let mut components = Vec::new();
        for _ in 0..count {
            let (identifier, sampling, quantisation) = (fields.byte()?, fields.byte()?, fields.byte()?);
            let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) || quantisation > 3 {
                return Err(damaged(JPEG, format!("sampling {sampling:#04x}, table {quantisation}")));
            }
            components.push(Component { identifier, across, down, quantisation: quantisation.into() });
        }
        self.frame = Some(Frame { process, precision, rows, columns, components });
        Ok(())
    }

    fn huffman_tables(&mut self, fields: &mut Fields<'_>) -> Result<()> {
        while !fields.is_empty() {
            let place = fields.byte()?;
            let counts = fields.bytes(16)?;
            let symbols = fields.bytes(counts.iter().map(|count| usize::from(*count)).sum())?;
            let tables = if place >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            match tables.get_mut(usize::from(place & 15)) {
                Some(table) if place >> 4 <= 1 => *table = Some(Table::new(counts, symbols)?),
                _ => return Err(damaged(JPEG, format!("Huffman table {place:#04x}"))),
            }
        }
        Ok(())
    }

    fn quantisation_tables(&mut self, fields: &mut Fields<'_>) -> Result<()> {
        while !fields.is_empty() {
            let place = fields.byte()?;
            let mut values = [0; 64];
            for value in &mut values {
                *value = if place >> 4 == 0 { fields.byte()?.into() } else { fields.word()? };
            }
            match self.quantisation.get_mut(usize::from(place & 15)) {
                Some(table) => *table = Some(values),
                None => return Err(damaged(JPEG, format!("quantisation table {place:#04x}"))),
            }
        }
        Ok(())
    }

    fn scan(&self, fields: &mut Fields<'_>) -> Result<ScanHeader> {
        let frame = self.frame.as_ref().ok_or_else(|| damaged(JPEG, "a scan before its frame"))?;
        let mut components: Vec<ScanComponent> = Vec::new();
        for _ in 0..fields.byte()? {
            let (identifier, tables) = (fields.byte()?, fields.byte()?);
            let place = frame.components.iter().position(|component| component.identifier == identifier);
            let place = place.filter(|place| components.iter().all(|other| other.place != *place));
            let place = place.ok_or_else(|| damaged(JPEG, "a scan of a component that is not there"))?;
            let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
            components.push(ScanComponent { place, dc, ac });
        }
        if components.is_empty() {
            return Err(damaged(JPEG, "a scan of nothing"));
        }
        let spectrum = [fields.byte()?, fields.byte()?];
        let approximation = fields.byte()?;
        let approximation = [u32::from(approximation >> 4), u32::from(approximation & 15)];
        Ok(ScanHeader { components, spectrum, approximation })
    }
}

/// The table that a scan names.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if it has not been read.
pub(super) fn table<T>(tables: &[Option<T>; 4], number: usize) -> Result<&T> {
    let table = tables.get(number).and_then(Option::as_ref);
    table.ok_or_else(|| damaged(JPEG, format!("a scan without its table {number}")))
}
