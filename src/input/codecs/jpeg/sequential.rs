//! Frames of transformed blocks, sequential and progressive (T.81 Annexes F and G).

use super::super::super::limits::collected;
use super::super::markers::{EOI, Segments};
use super::super::stream::{Canvas, Geometry, JPEG, damaged};
use super::header::{Frame, Process, ScanComponent, ScanHeader, State, table};
use super::huffman::{Bits, Table};
use super::idct::inverse;
use super::upsample::Filter;
use crate::error::Result;
use crate::watch::Watch;

/// Far more scans than an honest progressive stream has; without a limit a small file can keep a decoder busy.
pub(super) const MOST_SCANS: usize = 500;
/// MCUs between two looks at the watch.
const MCUS: usize = 1024;

/// Where the coefficients of a scan stand in a row-by-row block.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The samples of a frame of blocks.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if the stream is damaged or of a kind that is not read.
pub(super) fn decode(bytes: &[u8], geometry: &Geometry, watch: &Watch) -> Result<Vec<u8>> {
    let mut segments = Segments::new(JPEG, bytes)?;
    let mut state = State::default();
    let mut planes: Vec<Plane> = Vec::new();
    let mut scans = 0;
    while let Some(header) = state.next_scan(&mut segments)? {
        let frame = state.frame.as_ref().ok_or_else(|| damaged(JPEG, "no frame"))?;
        if planes.is_empty() {
            planes = frame.planes()?;
        }
        scans += 1;
        if scans > MOST_SCANS {
            return Err(damaged(JPEG, format!("more than {MOST_SCANS} scans")));
        }
        for component in &header.components {
            let plane = &mut planes[component.place];
            if plane.quantisation.is_none() {
                let values = table(&state.quantisation, frame.components[component.place].quantisation)?;
                let mut rows = [0; 64];
                ZIGZAG.iter().zip(values).for_each(|(place, value)| rows[usize::from(*place)] = *value);
                plane.quantisation = Some(rows);
            } else if frame.process == Process::Sequential {
                return Err(damaged(JPEG, "a component twice"));
            }
        }
        let mut scan = Scan::new(&state, frame, &header)?;
        scan.read(&mut segments, &mut planes, watch)?;
        // In a sequential frame nothing can follow. A progressive one ends with its stream.
        if frame.process == Process::Sequential && planes.iter().all(|plane| plane.quantisation.is_some()) {
            break;
        }
    }
    let frame = state.frame.ok_or_else(|| damaged(JPEG, "no frame"))?;
    if frame.process == Process::Progressive && !bytes[..segments.at].ends_with(&[0xff, EOI]) {
        return Err(damaged(JPEG, "a stream without its end"));
    }
    paint(&frame, &mut planes, geometry, watch)
}

/// The blocks of a component, in rows; those of a block follow one another.
struct Plane {
    blocks_across: usize,
    /// Width and height in samples, and in blocks, without those that fill the last MCU.
    size: [usize; 2],
    blocks: Vec<[i16; 64]>,
    /// In rows. It is there once a scan of the component was.
    quantisation: Option<[u16; 64]>,
    filter: Filter,
}

impl Frame {
    /// The largest sampling factors.
    fn most(&self) -> [usize; 2] {
        let most = |factor: fn(&super::header::Component) -> usize| self.components.iter().map(factor).max();
        [most(|one| one.across).unwrap_or(1), most(|one| one.down).unwrap_or(1)]
    }

    /// MCUs across and down, if components are interleaved.
    fn mcus(&self) -> [usize; 2] {
        let [across, down] = self.most();
        [self.columns.div_ceil(8 * across), self.rows.div_ceil(8 * down)]
    }

    fn planes(&self) -> Result<Vec<Plane>> {
        let ([most_across, most_down], [mcus_across, mcus_down]) = (self.most(), self.mcus());
        let plane = |component: &super::header::Component| {
            let (across, down) = (component.across, component.down);
            let width = (self.columns * across).div_ceil(most_across);
            let height = (self.rows * down).div_ceil(most_down);
            let count = mcus_across * across * mcus_down * down;
            let blocks = collected("JPEG stream", count, std::iter::repeat_n([0; 64], count))?;
            let filter = Filter::new([across, down], [most_across, most_down], width)?;
            let blocks_across = mcus_across * across;
            Ok(Plane { blocks_across, size: [width, height], blocks, quantisation: None, filter })
        };
        self.components.iter().map(plane).collect()
    }
}

/// What a scan adds to a block.
#[derive(Clone, Copy)]
enum Pass {
    /// All of it.
    Whole,
    First,
    FirstAgain,
    Others,
    OthersAgain,
}

struct Scan<'a> {
    frame: &'a Frame,
    components: Vec<(ScanComponent, Option<&'a Table>, Option<&'a Table>)>,
    pass: Pass,
    /// The first and last coefficient, and the bit that this scan gives.
    from: usize,
    to: usize,
    low: u32,
    restart_interval: usize,
}

/// Where a scan has got to.
struct Progress<'a> {
    bits: Bits<'a>,
    /// The last first coefficient of each component of the scan.
    before: [i32; 4],
    /// Blocks to come that end where they are.
    ended: u32,
}

impl<'a> Progress<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bits: Bits::new(bytes, at), before: [0; 4], ended: 0 }
    }
}

impl<'a> Scan<'a> {
    fn new(state: &'a State, frame: &'a Frame, header: &ScanHeader) -> Result<Self> {
        let ([from, to], [high, low]) = (header.spectrum, header.approximation);
        let (alone, wrong) = (header.components.len() == 1, || damaged(JPEG, "a scan out of its bounds"));
        let pass = match (frame.process, from, high) {
            (Process::Sequential, ..) => Pass::Whole,
            _ if low > 13 || (high != 0 && high != low + 1) => return Err(wrong()),
            (_, 0, _) if to != 0 => return Err(wrong()),
            (_, 0, 0) => Pass::First,
            (_, 0, _) => Pass::FirstAgain,
            _ if from > to || to > 63 || !alone => return Err(wrong()),
            (_, _, 0) => Pass::Others,
            _ => Pass::OthersAgain,
        };
        let (dc, ac) = match pass {
            Pass::Whole => (true, true),
            Pass::First => (true, false),
            Pass::FirstAgain => (false, false),
            Pass::Others | Pass::OthersAgain => (false, true),
        };
        let find = |component: &ScanComponent| {
            let dc = dc.then(|| table(&state.dc, component.dc)).transpose()?;
            let ac = ac.then(|| table(&state.ac, component.ac)).transpose()?;
            Ok((*component, dc, ac))
        };
        Ok(Self {
            frame,
            components: header.components.iter().map(find).collect::<Result<_>>()?,
            pass,
            from: from.into(),
            to: to.into(),
            low,
            restart_interval: state.restart_interval,
        })
    }

    fn read(&mut self, segments: &mut Segments<'_>, planes: &mut [Plane], watch: &Watch) -> Result<()> {
        let alone = self.components.len() == 1;
        let [across, down] = match (alone, self.components.first()) {
            (true, Some((component, ..))) => planes[component.place].size.map(|side| side.div_ceil(8)),
            _ => self.frame.mcus(),
        };
        let mut progress = Progress::new(segments.bytes, segments.at);
        for mcu in 0..across * down {
            if mcu % MCUS == 0 {
                watch.check()?;
            }
            if self.restart_interval > 0 && mcu > 0 && mcu % self.restart_interval == 0 {
                segments.at = progress.bits.at();
                segments.restart(mcu / self.restart_interval - 1)?;
                progress = Progress::new(segments.bytes, segments.at);
            }
            let (x, y) = (mcu % across, mcu / across);
            for (number, (component, ..)) in self.components.iter().enumerate() {
                let factors = &self.frame.components[component.place];
                let (wide, high) = if alone { (1, 1) } else { (factors.across, factors.down) };
                let plane = &mut planes[component.place];
                for inside in 0..wide * high {
                    let (x, y) = (x * wide + inside % wide, y * high + inside / wide);
                    let block = &mut plane.blocks[y * plane.blocks_across + x];
                    self.block(&mut progress, number, block)?;
                }
            }
        }
        segments.at = progress.bits.at();
        Ok(())
    }

    fn block(&self, progress: &mut Progress<'_>, number: usize, block: &mut [i16; 64]) -> Result<()> {
        let (_, dc, ac) = &self.components[number];
        match (self.pass, dc, ac) {
            (Pass::Whole, Some(dc), Some(ac)) => {
                block[0] = first(progress, dc, number)? as i16;
                self.others(progress, ac, block, 1..=63)
            }
            (Pass::First, Some(dc), _) => {
                block[0] = (first(progress, dc, number)? << self.low) as i16;
                Ok(())
            }
            (Pass::FirstAgain, ..) => {
                block[0] |= (progress.bits.take(1)? << self.low) as i16;
                Ok(())
            }
            (Pass::Others, _, Some(ac)) => self.others(progress, ac, block, self.from..=self.to),
            (Pass::OthersAgain, _, Some(ac)) => self.others_again(progress, ac, block),
            _ => Err(damaged(JPEG, "a scan without its table")),
        }
    }

    /// Coefficients behind the first, in a sequential frame or in a first scan of theirs.
    fn others(
        &self,
        progress: &mut Progress<'_>,
        table: &Table,
        block: &mut [i16; 64],
        places: std::ops::RangeInclusive<usize>,
    ) -> Result<()> {
        if progress.ended > 0 {
            progress.ended -= 1;
            return Ok(());
        }
        let low = if matches!(self.pass, Pass::Whole) { 0 } else { self.low };
        let mut place = *places.start();
        while place <= *places.end() {
            let symbol = progress.bits.symbol(table)?;
            let (zeros, size) = (symbol >> 4, u32::from(symbol & 15));
            match (zeros, size) {
                (15, 0) => place += 16,
                (0, 0) => return Ok(()),
                (_, 0) if matches!(self.pass, Pass::Whole) => return Ok(()),
                (_, 0) => {
                    progress.ended = (1 << zeros) - 1 + progress.bits.take(zeros.into())?;
                    return Ok(());
                }
                _ => {
                    place += usize::from(zeros);
                    let at = *ZIGZAG.get(place).ok_or_else(|| damaged(JPEG, "a block of more than 64"))?;
                    block[usize::from(at)] = (progress.bits.number(size)? << low) as i16;
                    place += 1;
                }
            }
        }
        Ok(())
    }

    /// One more bit of the coefficients behind the first (T.81 G.1.2.3).
    fn others_again(&self, progress: &mut Progress<'_>, table: &Table, block: &mut [i16; 64]) -> Result<()> {
        let mut place = self.from;
        while progress.ended == 0 && place <= self.to {
            let symbol = progress.bits.symbol(table)?;
            let (zeros, size) = (u32::from(symbol >> 4), symbol & 15);
            let fresh = match (zeros, size) {
                (15, 0) => 0,
                (_, 0) => {
                    progress.ended = (1 << zeros) + progress.bits.take(zeros)?;
                    break;
                }
                (_, 1) if progress.bits.take(1)? == 1 => 1 << self.low,
                (_, 1) => -1 << self.low,
                _ => return Err(damaged(JPEG, format!("a new coefficient of {size} bits"))),
            };
            place = self.refine(&mut progress.bits, block, place, Some(zeros))?;
            if fresh != 0 && place <= self.to {
                block[usize::from(ZIGZAG[place])] = fresh;
            }
            place += 1;
        }
        if progress.ended > 0 {
            self.refine(&mut progress.bits, block, place, None)?;
            progress.ended -= 1;
        }
        Ok(())
    }

    /// One more bit of each coefficient from `place` on that is not zero, up to the zero behind `zeros` others. Returns the place
    /// of that zero.
    fn refine(
        &self,
        bits: &mut Bits<'_>,
        block: &mut [i16; 64],
        mut place: usize,
        mut zeros: Option<u32>,
    ) -> Result<usize> {
        let bit = 1 << self.low;
        while place <= self.to {
            let value = &mut block[usize::from(ZIGZAG[place])];
            match (*value, &mut zeros) {
                (0, Some(0)) => break,
                (0, Some(left)) => *left -= 1,
                (0, None) => {}
                _ => {
                    if bits.take(1)? == 1 && *value & bit == 0 {
                        *value = value.wrapping_add(if *value >= 0 { bit } else { -bit });
                    }
                }
            }
            place += 1;
        }
        Ok(place)
    }
}

/// The first coefficient of a block, from the one before.
fn first(progress: &mut Progress<'_>, table: &Table, number: usize) -> Result<i32> {
    let size = progress.bits.symbol(table)?;
    if size > 15 {
        return Err(damaged(JPEG, format!("a difference of {size} bits")));
    }
    let before = &mut progress.before[number];
    *before = before.wrapping_add(progress.bits.number(size.into())?);
    Ok(*before)
}

/// Blocks to pixels.
fn paint(frame: &Frame, planes: &mut [Plane], geometry: &Geometry, watch: &Watch) -> Result<Vec<u8>> {
    let mut canvas = Canvas::new(geometry)?;
    let missing = || damaged(JPEG, "a stream without some of its components");
    if planes.len() != frame.components.len() {
        return Err(missing());
    }
    for (component, plane) in planes.iter_mut().enumerate() {
        let quantisation = plane.quantisation.ok_or_else(missing)?;
        for (number, block) in plane.blocks.iter_mut().enumerate() {
            if number % MCUS == 0 {
                watch.check()?;
            }
            inverse(block, &quantisation, frame.precision);
        }
        let (mut near, mut far, mut row) = (Vec::new(), Vec::new(), Vec::new());
        for y in 0..frame.rows {
            if y % 64 == 0 {
                watch.check()?;
            }
            let rows = plane.filter.rows(y, plane.size[1]);
            plane.row(rows.0, &mut near);
            plane.row(rows.1, &mut far);
            plane.filter.apply(y, &near, &far, &mut row);
            let values = row.iter().copied().take(frame.columns);
            canvas.put(component, y * frame.columns, values);
        }
    }
    Ok(canvas.into_bytes())
}

impl Plane {
    /// Row `y` of the component's samples.
    fn row(&self, y: usize, row: &mut Vec<u16>) {
        row.clear();
        let start = y / 8 * self.blocks_across;
        let blocks = &self.blocks[start..start + self.blocks_across];
        let samples = blocks.iter().flat_map(|block| &block[8 * (y % 8)..][..8]);
        row.extend(samples.take(self.size[0]).map(|sample| *sample as u16));
    }
}
