//! Resizing exactly as Pillow does it: a separable convolution whose filter widens when shrinking, rounded between the
//! horizontal and the vertical pass.
//!
//! Rows are resized across as they come and added to the output rows that they belong to. So the memory is that of the
//! output and a few of its rows, however tall the picture is.

use std::collections::VecDeque;
use std::ops::Range;

use super::kernel::{Sample, Scale, Taps, centres};
use super::rows::Rows;
use crate::error::Result;
use crate::watch::Watch;

/// Rows between two looks at the watch.
const STRIP: usize = 64;

/// Bicubic at `[width, height]`, `N` interleaved channels.
///
/// # Errors
/// What the watch says.
pub(super) fn bicubic<S: Sample, const N: usize>(
    rows: &impl Rows<S>,
    [width, height]: [u32; 2],
    watch: &Watch,
) -> Result<Vec<S>> {
    let (width, height) = (width as usize, height as usize);
    let across = Across::<S>::new(rows.width(), width);
    let mut out = Vec::with_capacity(width * height * N);
    if height == rows.height() {
        each_line::<S, N>(rows, &across, watch, |_, line| across.widen::<N>(line, &mut out))?;
    } else if height > rows.height() {
        enlarge::<S, N>(rows, &across, height, watch, &mut out)?;
    } else {
        shrink::<S, N>(rows, &across, height, watch, &mut out)?;
    }
    Ok(out)
}

/// The nearest pixel of one channel of 8 bits.
///
/// # Errors
/// What the watch says.
pub(super) fn nearest(rows: &impl Rows<u8>, [width, height]: [u32; 2], watch: &Watch) -> Result<Vec<u8>> {
    let columns = centres(rows.width(), width as usize);
    let (mut out, mut buffer) = (Vec::new(), Vec::new());
    for y in centres(rows.height(), height as usize) {
        watch.check()?;
        let row = rows.row(y, &mut buffer);
        out.extend(columns.iter().map(|&x| row[x]));
    }
    Ok(out)
}

/// How lines are resized across.
struct Across<S: Sample> {
    /// What the different pixels of a line take, unless lines stay as they are.
    taps: Option<Vec<Taps<S::Weight>>>,
    /// How often each of them stands in the line, one after the other: of a picture one pixel wide all are the same.
    copies: Vec<usize>,
}

impl<S: Sample> Across<S> {
    fn new(from: usize, to: usize) -> Self {
        if from == to {
            return Self { taps: None, copies: vec![1; to] };
        }
        let mut copies = vec![];
        let mut different: Vec<Taps<S::Weight>> = vec![];
        let scale = Scale { from, to };
        for pixel in (0..to).map(|output| scale.taps::<S>(output)) {
            match (different.last(), copies.last_mut()) {
                (Some(last), Some(copies)) if *last == pixel => *copies += 1,
                _ => {
                    different.push(pixel);
                    copies.push(1);
                }
            }
        }
        Self { taps: Some(different), copies }
    }

    /// Samples of a line before it is widened.
    fn stride<const N: usize>(&self) -> usize {
        self.copies.len() * N
    }

    /// The different pixels of a line.
    fn line<'r, const N: usize>(&self, row: &'r [S], buffer: &'r mut Vec<S>) -> &'r [S] {
        let Some(taps) = &self.taps else { return row };
        buffer.clear();
        for Taps { first, weights } in taps {
            let mut sums = [S::NOTHING; N];
            for (pixel, &weight) in row[first * N..].as_chunks::<N>().0.iter().zip(weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    S::add(sum, *value, weight);
                }
            }
            buffer.extend(sums.map(S::of));
        }
        buffer
    }

    /// Appends all pixels of a line.
    fn widen<const N: usize>(&self, line: &[S], out: &mut Vec<S>) {
        if self.copies.iter().all(|copies| *copies == 1) {
            return out.extend_from_slice(line);
        }
        for (pixel, &copies) in line.as_chunks::<N>().0.iter().zip(&self.copies) {
            (0..copies).for_each(|_| out.extend_from_slice(pixel));
        }
    }
}

/// Makes each line and hands it over with its place.
fn each_line<S: Sample, const N: usize>(
    rows: &impl Rows<S>,
    across: &Across<S>,
    watch: &Watch,
    mut take: impl FnMut(usize, &[S]),
) -> Result<()> {
    let (mut row, mut line) = (Vec::new(), Vec::new());
    for y in 0..rows.height() {
        if y % STRIP == 0 {
            watch.check()?;
        }
        take(y, across.line::<N>(rows.row(y, &mut row), &mut line));
    }
    Ok(())
}

/// More rows than there are: the lines take less memory than the output, and each output row is added up from some of them.
fn enlarge<S: Sample, const N: usize>(
    rows: &impl Rows<S>,
    across: &Across<S>,
    height: usize,
    watch: &Watch,
    out: &mut Vec<S>,
) -> Result<()> {
    let stride = across.stride::<N>();
    let mut lines = Vec::with_capacity(stride * rows.height());
    each_line::<S, N>(rows, across, watch, |_, line| lines.extend_from_slice(line))?;
    let scale = Scale { from: rows.height(), to: height };
    for y in 0..height {
        if y % STRIP == 0 {
            watch.check()?;
        }
        let Taps { first, weights } = scale.taps::<S>(y);
        let mut sums = vec![S::NOTHING; stride];
        for (line, weight) in lines[first * stride..].chunks_exact(stride).zip(weights) {
            add(&mut sums, line, weight);
        }
        finish::<S, N>(&sums, across, out);
    }
    Ok(())
}

/// Fewer rows than there are: each line is added to the few output rows that take from it. Rows that repeat are added once,
/// with their weights together.
fn shrink<S: Sample, const N: usize>(
    rows: &impl Rows<S>,
    across: &Across<S>,
    height: usize,
    watch: &Watch,
    out: &mut Vec<S>,
) -> Result<()> {
    let scale = Scale { from: rows.height(), to: height };
    let (mut row, mut buffer) = (Vec::new(), Vec::new());
    // The output rows under way and the place of the next one.
    let (mut open, mut next) = (VecDeque::new(), 0);
    let (mut start, mut strip) = (0, 0);
    while start < rows.height() {
        if strip % STRIP == 0 {
            watch.check()?;
        }
        let end = (start + 1..rows.height()).find(|&y| !rows.repeats(y)).unwrap_or(rows.height());
        let line = across.line::<N>(rows.row(start, &mut row), &mut buffer);
        for output in &mut open {
            Output::add(output, line, start..end);
        }
        loop {
            while open.front().is_some_and(|output: &Output<S>| output.end <= end) {
                open.pop_front().iter().for_each(|output| finish::<S, N>(&output.sums, across, out));
            }
            if next == height || scale.span(next).start >= end {
                break;
            }
            let mut output = Output::new(scale, next, across.copies.len() * N);
            output.add(line, start..end);
            open.push_back(output);
            next += 1;
        }
        (start, strip) = (end, strip + 1);
    }
    Ok(())
}

/// An output row under way.
struct Output<S: Sample> {
    taps: Taps<S::Weight>,
    /// The input row after the last one that it takes.
    end: usize,
    sums: Vec<S::Sum>,
}

impl<S: Sample> Output<S> {
    /// Output row number `place`, of so many samples.
    fn new(scale: Scale, place: usize, stride: usize) -> Self {
        Self { taps: scale.taps::<S>(place), end: scale.span(place).end, sums: vec![S::NOTHING; stride] }
    }

    /// Adds the line that all of these input rows are.
    fn add(&mut self, line: &[S], rows: Range<usize>) {
        match self.taps.of(rows) {
            [] => {}
            [weight] => add(&mut self.sums, line, *weight),
            weights => add(&mut self.sums, line, S::together(weights)),
        }
    }
}

fn add<S: Sample>(sums: &mut [S::Sum], line: &[S], weight: S::Weight) {
    for (sum, value) in sums.iter_mut().zip(line) {
        S::add(sum, *value, weight);
    }
}

fn finish<S: Sample, const N: usize>(sums: &[S::Sum], across: &Across<S>, out: &mut Vec<S>) {
    let line: Vec<S> = sums.iter().map(|&sum| S::of(sum)).collect();
    across.widen::<N>(&line, out);
}
