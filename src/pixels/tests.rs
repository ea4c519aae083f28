//! Resizing against a second way of writing it down: all taps at once, whole pictures between the passes.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::fit::tiles;
use super::kernel::{Sample, Scale};
use super::resize::bicubic;
use super::rows::{Bytes, Words};
use super::tiling::Tiling;
use crate::error::Error;
use crate::frame::{Frame, Modality, PixelMode, Provenance, Study};
use crate::watch::{Cancel, Watch};

/// One pass over lines of `from` samples, of which neighbours are `step` apart and lines begin at `starts`.
fn pass<S: Sample>(samples: &[S], scale: Scale, step: usize, starts: &[usize]) -> Vec<Vec<S>> {
    if scale.from == scale.to {
        let line = |start: &usize| (0..scale.from).map(|at| samples[start + at * step]).collect();
        return starts.iter().map(line).collect();
    }
    let taps: Vec<_> = (0..scale.to).map(|output| scale.taps::<S>(output)).collect();
    let pixel = |start: usize, tap: &super::kernel::Taps<S::Weight>| {
        let mut sum = S::NOTHING;
        for (at, weight) in tap.weights.iter().enumerate() {
            S::add(&mut sum, samples[start + (tap.first + at) * step], *weight);
        }
        S::of(sum)
    };
    starts.iter().map(|&start| taps.iter().map(|tap| pixel(start, tap)).collect()).collect()
}

/// `channels` interleaved channels, `[width, height]` to `[width, height]`.
fn plainly<S: Sample>(samples: &[S], channels: usize, from: [usize; 2], to: [usize; 2]) -> Vec<S> {
    let mut planes = Vec::new();
    for channel in 0..channels {
        let starts: Vec<usize> = (0..from[1]).map(|y| y * from[0] * channels + channel).collect();
        let wide = pass(samples, Scale { from: from[0], to: to[0] }, channels, &starts).concat();
        let columns: Vec<usize> = (0..to[0]).collect();
        planes.push(pass(&wide, Scale { from: from[1], to: to[1] }, to[0], &columns));
    }
    let mut out = Vec::new();
    for y in 0..to[1] {
        for x in 0..to[0] {
            out.extend(planes.iter().map(|plane| plane[x][y]));
        }
    }
    out
}

fn frame(mode: PixelMode, [width, height]: [usize; 2], samples: Vec<u8>) -> Frame {
    Frame::new(width as u32, height as u32, mode, samples, Provenance::default()).unwrap()
}

/// Samples of which many rows are the same as the row before.
fn samples(length: usize, seed: u64, row: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut samples: Vec<u8> = Vec::with_capacity(length);
    while samples.len() < length {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        if state >> 62 != 0 && samples.len() >= row && samples.len().is_multiple_of(row) {
            let before = samples.len() - row;
            samples.extend_from_within(before..);
        } else {
            samples.push((state >> 33) as u8);
        }
    }
    samples.truncate(length);
    samples
}

proptest! {
    #[test]
    fn strips_give_the_pixels_of_whole_pictures(
        from in [1usize..40, 1usize..40], to in [1usize..40, 1usize..40], tall in 1usize..5, seed in any::<u64>(),
    ) {
        let from = [from[0], from[1] * tall];
        let pixels = from[0] * from[1];
        let wanted = |samples: &[u8], channels| plainly(samples, channels, from, to);
        let to = to.map(|side| side as u32);
        let watch = Watch::default();

        let grey = samples(pixels, seed, from[0]);
        let got = bicubic::<u8, 1>(&Bytes::stored(&frame(PixelMode::Grey, from, grey.clone())), to, &watch).unwrap();
        prop_assert_eq!(got, wanted(&grey, 1));

        let rgb = samples(3 * pixels, seed, 3 * from[0]);
        let got = bicubic::<u8, 3>(&Bytes::rgb(&frame(PixelMode::Rgb, from, rgb.clone())), to, &watch).unwrap();
        prop_assert_eq!(got, wanted(&rgb, 3));

        let inks = samples(4 * pixels, seed, 4 * from[0]);
        let got = bicubic::<u8, 4>(&Bytes::stored(&frame(PixelMode::Cmyk, from, inks.clone())), to, &watch).unwrap();
        prop_assert_eq!(got, wanted(&inks, 4));

        let bytes = samples(2 * pixels, seed, 2 * from[0]);
        let words: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let got = bicubic::<u16, 1>(&Words(&frame(PixelMode::Grey16, from, bytes)), to, &watch).unwrap();
        prop_assert_eq!(got, plainly(&words, 1, from, to.map(|side| side as usize)));
    }
}

const TILING: Tiling = Tiling { min_tiles: 1, max_tiles: 1, thumbnail: true };

fn study(frame: Frame) -> Study {
    Study { modality: Modality::Image, source: "picture".into(), frames: vec![frame], warnings: Vec::new() }
}

#[test]
fn a_picture_of_one_column_takes_no_more_than_itself() {
    // In whole pictures its lines would take 448 times as much: 4.5 GB.
    let height = 10_000_000;
    let rows = (0..height).map(|y| (y / 1000 % 251) as u8).collect();
    let picture = study(frame(PixelMode::Grey, [1, height], rows));
    let tile = &tiles(&picture, 448, TILING, &Watch::default()).unwrap()[0][0];
    assert_eq!(tile.0.len(), 448 * 448 * 3);
    assert!(tile.0.chunks_exact(448 * 3).all(|row| row.iter().all(|sample| *sample == row[0])));
}

#[test]
fn resizing_ends_when_the_watch_does() {
    let picture = study(frame(PixelMode::Grey, [600, 600], vec![1; 360_000]));
    let cancel = Cancel::default();
    cancel.cancel();
    for (watch, cancelled) in
        [(Watch::default().switch(&cancel), true), (Watch::default().deadline(Instant::now()), false)]
    {
        let error = tiles(&picture, 448, TILING, &watch).err().unwrap();
        assert_eq!(matches!(error, Error::Cancelled(_)), cancelled, "{error}");
    }
    tiles(&picture, 448, TILING, &Watch::default().deadline(Instant::now() + Duration::from_secs(3600)))
        .unwrap();
}
