//! Scans to pixels.

use super::super::markers::Segments;
use super::super::stream::{Canvas, Decoded, Geometry, JPEG_LS, StreamHeader, damaged};
use super::bits::Bits;
use super::header::{Interleave, ScanHeader, State};
use super::scan::{Line, Scan};
use crate::error::Result;
use crate::watch::Watch;

/// What the stream says of itself.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if it has no header that can be read.
pub(in super::super) fn header(bytes: &[u8]) -> Result<StreamHeader> {
    let mut state = State::new();
    state.next_scan(&mut Segments::new(JPEG_LS, bytes)?)?;
    state.frame.ok_or_else(|| damaged(JPEG_LS, "no frame"))
}

/// # Errors
/// [`Error::Input`](crate::Error::Input) if the stream is damaged, of another geometry, or of a kind that is not read.
pub(in super::super) fn decode(bytes: &[u8], geometry: &Geometry, watch: &Watch) -> Result<Decoded> {
    let header = header(bytes)?;
    geometry.check(JPEG_LS, &header)?;
    let mut segments = Segments::new(JPEG_LS, bytes)?;
    let mut state = State::new();
    let mut canvas = Canvas::new(geometry)?;
    let mut missing: Vec<usize> = (0..geometry.samples_per_pixel).collect();
    while let Some(scan) = state.next_scan(&mut segments)? {
        // Each component once: what a scan costs is bounded by the picture.
        for component in &scan.components {
            let place = missing.iter().position(|other| other == component);
            missing.remove(place.ok_or_else(|| damaged(JPEG_LS, "a component twice"))?);
        }
        let mut picture = Picture { segments: &mut segments, canvas: &mut canvas, geometry, watch };
        match (scan.interleave, scan.components.len()) {
            (Interleave::Sample, 2) => picture.read::<2>(&scan, state.restart_interval)?,
            (Interleave::Sample, 3) => picture.read::<3>(&scan, state.restart_interval)?,
            (Interleave::Sample, 4) => picture.read::<4>(&scan, state.restart_interval)?,
            _ => picture.read::<1>(&scan, state.restart_interval)?,
        }
        if missing.is_empty() {
            return Ok(Decoded { samples: canvas.into_bytes(), header });
        }
    }
    Err(damaged(JPEG_LS, "a stream without some of its components"))
}

/// Where a scan comes from and goes to.
struct Picture<'a, 'b> {
    segments: &'a mut Segments<'b>,
    canvas: &'a mut Canvas,
    geometry: &'a Geometry,
    watch: &'a Watch,
}

/// Two lines of what is coded together, and how long its runs have been.
struct Lines<const N: usize> {
    above: Line<N>,
    line: Line<N>,
    run: usize,
}

impl Picture<'_, '_> {
    /// Reads a scan of `N` samples that are coded together.
    fn read<const N: usize>(&mut self, header: &ScanHeader, restart_interval: u32) -> Result<()> {
        let (rows, columns) = (self.geometry.rows as usize, self.geometry.columns as usize);
        let interval = if restart_interval == 0 { rows } else { restart_interval as usize };
        let bytes = self.segments.bytes;
        let start = |at| Scan::new(Bits::new(bytes, at), header.parameters);
        let mut scan = start(self.segments.at);
        let fresh = || -> Vec<Lines<N>> {
            let line = || vec![[0; N]; columns + 2];
            let lines = || Lines { above: line(), line: line(), run: 0 };
            header.components.chunks(N).map(|_| lines()).collect()
        };
        let mut lines = fresh();
        for row in 0..rows {
            if row % 16 == 0 {
                self.watch.check()?;
            }
            if row > 0 && row % interval == 0 {
                self.segments.at = scan.bits.at();
                self.segments.restart(row / interval - 1)?;
                scan = start(self.segments.at);
                lines = fresh();
            }
            for (components, Lines { above, line, run }) in header.components.chunks(N).zip(&mut lines) {
                scan.line(above, line, run)?;
                for (sample, component) in components.iter().enumerate() {
                    let values = line[1..=columns].iter().map(|pixel| pixel[sample]);
                    self.canvas.put(*component, row * columns, values);
                }
                std::mem::swap(above, line);
            }
        }
        self.segments.at = scan.bits.at();
        Ok(())
    }
}
