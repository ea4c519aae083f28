//! `seen.png`: the frames as the model saw them, side by side, each with what it is.
//!
//! Labels number the studies and never name a file: a file's name can be a patient's.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Result;
use fleming::{FrameUsed, Modality};
use font8x8::legacy::BASIC_LEGACY;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use ndarray::{ArrayView3, ArrayView4, Axis};

use super::refusal::unwritable;

/// Width of the sheet in pixels.
const WIDTH: u32 = 1600;
const MOST_COLUMNS: u32 = 8;
/// Largest side of a picture on the sheet.
const MOST_SIDE: u32 = 448;
const GAP: u32 = 8;
/// Side of a letter: the font's 8 pixels, doubled.
const LETTER: u32 = 16;
const LINE: u32 = LETTER + 4;
const PAPER: Rgb<u8> = Rgb([24, 24, 24]);
const INK: Rgb<u8> = Rgb([255, 255, 255]);

/// Writes the sheet of `[tiles, 3, size, size]`. Where nothing was seen there is none, nor is an older one left behind.
pub(super) fn write(path: &Path, pixels: ArrayView4<u8>, frames: &[FrameUsed]) -> Result<()> {
    let sheet = match frames.is_empty() {
        true => return remove(path),
        false => draw(pixels, &labels(frames)),
    };
    sheet.save(path).map_err(|error| unwritable(path, &error))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}

/// What each tile is, as parts that fit a line.
fn labels(frames: &[FrameUsed]) -> Vec<Vec<String>> {
    let (mut images, mut videos, mut volumes) = (0, 0, 0);
    let mut last = None;
    let mut labels = Vec::new();
    for frame in frames {
        let begins = last != Some(frame.study);
        last = Some(frame.study);
        let place = &frame.provenance;
        let (word, count) = match place.modality {
            Modality::Video => ("video", &mut videos),
            Modality::Volume => ("volume", &mut volumes),
            _ => ("image", &mut images),
        };
        *count += usize::from(begins);
        let mut label = vec![format!("{word} {count}")];
        let part = if place.modality == Modality::Volume { "slice" } else { "frame" };
        label.extend(place.index.map(|index| format!("{part} {index}")));
        label.extend(place.seconds.map(|seconds| format!("{seconds:.1} s")));
        labels.extend((1..=frame.tiles).map(|tile| match frame.tiles {
            1 => label.clone(),
            tiles => [label.clone(), vec![format!("tile {tile} of {tiles}")]].concat(),
        }));
    }
    labels
}

fn draw(pixels: ArrayView4<u8>, labels: &[Vec<String>]) -> RgbImage {
    let tiles = pixels.len_of(Axis(0)) as u32;
    let columns = tiles.isqrt() + u32::from(tiles.isqrt().pow(2) < tiles);
    let columns = columns.clamp(1, MOST_COLUMNS);
    let room = MOST_SIDE.min((WIDTH - GAP) / columns - GAP);
    let letters = (room / LETTER) as usize;
    let labels: Vec<_> = labels.iter().map(|parts| lines(parts, letters)).collect();
    let label = LINE * labels.iter().map(Vec::len).max().unwrap_or_default() as u32;
    let rows = tiles.div_ceil(columns);
    let mut sheet =
        RgbImage::from_pixel(GAP + columns * (room + GAP), GAP + rows * (label + room + GAP), PAPER);
    for (place, (tile, lines)) in (0..).zip(pixels.outer_iter().zip(&labels)) {
        let x = GAP + place % columns * (room + GAP);
        let y = GAP + place / columns * (label + room + GAP);
        for (number, line) in (0..).zip(lines) {
            print(&mut sheet, line, (x, y + number * LINE));
        }
        imageops::replace(&mut sheet, &picture(tile, room), x.into(), (y + label).into());
    }
    sheet
}

/// As many parts on a line as there is room for, at least one.
fn lines(parts: &[String], letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + part.len() <= letters => {
                line.push(' ');
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}

/// A tile `[3, size, size]`, whole or shrunk to the room there is.
fn picture(tile: ArrayView3<u8>, room: u32) -> RgbImage {
    let (_, height, width) = tile.dim();
    let picture = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        Rgb([0, 1, 2].map(|channel| tile[[channel, y as usize, x as usize]]))
    });
    match width.max(height) as u32 > room {
        true => imageops::resize(&picture, room, room, FilterType::Triangle),
        false => picture,
    }
}

/// Prints a line with its upper left corner at this place; what does not fit the sheet is left out.
fn print(sheet: &mut RgbImage, line: &str, (left, top): (u32, u32)) {
    for (place, letter) in (0..).zip(line.chars()) {
        let rows = BASIC_LEGACY.get(letter as usize).copied().unwrap_or_default();
        for (x, y) in (0..LETTER).flat_map(|y| (0..LETTER).map(move |x| (x, y))) {
            let (x_in_sheet, y_in_sheet) = (left + place * LETTER + x, top + y);
            // A row's lowest bit is its leftmost pixel.
            let inked = rows[(y / 2) as usize] >> (x / 2) & 1 == 1;
            if inked && let Some(pixel) = sheet.get_pixel_mut_checked(x_in_sheet, y_in_sheet) {
                *pixel = INK;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleming::Provenance;
    use ndarray::Array4;

    fn frame(study: usize, provenance: Provenance, tiles: usize) -> FrameUsed {
        FrameUsed { source: "DOE^JANE.png".into(), study, provenance, tiles }
    }

    #[test]
    fn labels_number_studies_of_a_kind_and_name_no_file() {
        let video = |index| Provenance::video(index, index as f64 / 8.0);
        let volume = |index| Provenance::volume(index, [0.0, 1.0]);
        let frames = [
            frame(0, Provenance::default(), 1),
            frame(1, volume(0), 1),
            frame(1, volume(12), 1),
            frame(2, Provenance::default(), 2),
            frame(3, volume(3), 1),
            frame(4, video(11), 1),
        ];
        let labels: Vec<_> = labels(&frames).iter().map(|parts| parts.join(" ")).collect();
        let wanted = [
            "image 1",
            "volume 1 slice 0",
            "volume 1 slice 12",
            "image 2 tile 1 of 2",
            "image 2 tile 2 of 2",
            "volume 2 slice 3",
            "video 1 frame 11 1.4 s",
        ];
        assert_eq!(labels, wanted);
    }

    #[test]
    fn sheets_of_any_number_of_tiles_stay_of_a_size_to_look_at() {
        for (tiles, size) in [(1, 448), (1, 28), (3, 448), (60, 448), (60, 56)] {
            let pixels = Array4::from_elem((tiles, 3, size, size), 200);
            let sheet = draw(pixels.view(), &vec![vec!["video 1".into(), "frame 1234".into()]; tiles]);
            assert!(sheet.width() <= WIDTH && sheet.height() <= 2100, "{:?}", sheet.dimensions());
            let grey = sheet.pixels().filter(|pixel| pixel.0 == [200; 3]).count();
            let room = (size as u32).min(MOST_SIDE.min((WIDTH - GAP) / 8 - GAP)) as usize;
            assert!(grey >= tiles * room * room, "{tiles} tiles of {size}: {grey}");
        }
    }

    #[test]
    fn a_line_is_broken_between_parts() {
        let parts = ["video 1", "frame 11", "1.4 s"].map(String::from);
        assert_eq!(lines(&parts, 30), ["video 1 frame 11 1.4 s"]);
        assert_eq!(lines(&parts, 16), ["video 1 frame 11", "1.4 s"]);
        assert_eq!(lines(&parts, 4), ["video 1", "frame 11", "1.4 s"]);
    }
}
