//! The sheet: tiles side by side with what they are, and a bar for each study below.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{ImageFormat, Rgb, RgbImage};
use ndarray::{ArrayView3, ArrayView4, Axis};

use super::ink::{INK, LARGE as LETTER, PAPER, print};
use super::labels::{labels, studies};
use super::ruler::{Ruler, ruler};
use super::scout;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::pixels;
use crate::request::FrameUsed;

/// Width of the sheet in pixels.
const WIDTH: u32 = 1600;
const MOST_COLUMNS: u32 = 8;
/// Largest side of a picture on the sheet.
const MOST_SIDE: u32 = 448;
const GAP: u32 = 8;
const LINE: u32 = LETTER + 4;
/// Height of a bar.
const BAR: u32 = 16;
const GROUND: Rgb<u8> = Rgb([72, 72, 72]);

/// A picture for people, 8-bit RGB.
#[derive(Debug, Clone)]
pub struct Picture(RgbImage);

impl Picture {
    /// A frame as it was read, in its own size. Values of 16 bits are cut off at 255, and parts that can be seen through are
    /// shown as they are.
    pub fn of_frame(frame: &Frame) -> Self {
        // As many bytes as it has pixels, of which a frame holds all.
        Self(RgbImage::from_raw(frame.width(), frame.height(), pixels::picture(frame)).unwrap_or_default())
    }

    /// A tile `[3, size, size]`.
    pub(super) fn of_tile(tile: ArrayView3<u8>) -> Self {
        let (_, height, width) = tile.dim();
        Self(RgbImage::from_fn(width as u32, height as u32, |x, y| {
            Rgb([0, 1, 2].map(|channel| tile[[channel, y as usize, x as usize]]))
        }))
    }

    /// The sheet of tiles `[tiles, 3, size, size]`, those of the first frame first, and of what the frames are.
    pub fn sheet(tiles: ArrayView4<u8>, frames: &[FrameUsed]) -> Self {
        let rulers: Vec<_> = studies(frames).iter().filter_map(ruler).collect();
        Self(draw(tiles, &labels(frames), &rulers))
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.0.width()
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.0.height()
    }

    /// Red, green and blue of each pixel, row by row.
    pub fn rgb(&self) -> &[u8] {
        self.0.as_raw()
    }

    /// The content of a PNG file.
    ///
    /// # Errors
    /// [`Error::Runtime`] if it cannot be encoded.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        let written = self.0.write_to(&mut bytes, ImageFormat::Png);
        written.map_err(|error| {
            Error::runtime("picture", "a picture that PNG can hold", error).hint("look at fewer frames")
        })?;
        Ok(bytes.into_inner())
    }
}

fn draw(pixels: ArrayView4<u8>, labels: &[Vec<String>], rulers: &[Ruler]) -> RgbImage {
    let tiles = pixels.len_of(Axis(0)) as u32;
    let columns = tiles.isqrt() + u32::from(tiles.isqrt().pow(2) < tiles);
    let columns = columns.clamp(1, MOST_COLUMNS);
    let room = MOST_SIDE.min((WIDTH - GAP) / columns - GAP);
    let letters = (room / LETTER) as usize;
    let labels: Vec<_> = labels.iter().map(|parts| lines(parts, letters)).collect();
    let label = LINE * labels.iter().map(Vec::len).max().unwrap_or_default() as u32;
    let rows = tiles.div_ceil(columns);
    let below = GAP + rows * (label + room + GAP);
    let letters = rulers.iter().map(|ruler| ruler.title.len()).max().unwrap_or_default() as u32;
    let width = (columns * (room + GAP)).max((letters * LETTER + GAP).min(WIDTH));
    let scouts: Vec<_> =
        rulers.iter().map(|ruler| scout::draw(ruler.scout.as_ref()?, &ruler.places)).collect();
    let taken =
        |scout: &Option<RgbImage>| LINE + BAR + GAP + scout.as_ref().map_or(0, |scout| scout.height() + GAP);
    let height = below + scouts.iter().map(taken).sum::<u32>();
    let mut sheet = RgbImage::from_pixel(GAP + width, height, PAPER);
    for (place, (tile, lines)) in (0..).zip(pixels.outer_iter().zip(&labels)) {
        let x = GAP + place % columns * (room + GAP);
        let y = GAP + place / columns * (label + room + GAP);
        for (number, line) in (0..).zip(lines) {
            print(&mut sheet, line, (x, y + number * LINE), LETTER);
        }
        imageops::replace(&mut sheet, &picture(tile, room), x.into(), (y + label).into());
    }
    let mut top = below;
    for (ruler, scout) in rulers.iter().zip(&scouts) {
        draw_ruler(&mut sheet, ruler, top);
        if let Some(scout) = scout {
            imageops::replace(&mut sheet, scout, GAP.into(), (top + LINE + BAR + GAP).into());
        }
        top += taken(scout);
    }
    sheet
}

/// Draws a bar below its title, from this row on.
fn draw_ruler(sheet: &mut RgbImage, ruler: &Ruler, top: u32) {
    print(sheet, &ruler.title, (GAP, top), LETTER);
    let width = sheet.width() - 2 * GAP;
    let column = |share: f64| (share.clamp(0.0, 1.0) * f64::from(width - 1)) as u32;
    let mut fill = |from: u32, to: u32, colour: Rgb<u8>| {
        for (x, y) in (from..=to).flat_map(|x| (0..BAR).map(move |y| (x, y))) {
            if let Some(pixel) = sheet.get_pixel_mut_checked(GAP + x, top + LINE + y) {
                *pixel = colour;
            }
        }
    };
    fill(0, width - 1, GROUND);
    for mark in &ruler.marks {
        let (from, to) = (column(*mark.start()), column(*mark.end()));
        // Neighbours stay apart where there is room.
        fill(from, to.saturating_sub(1).max(from), INK);
    }
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
    let Picture(picture) = Picture::of_tile(tile);
    match picture.width().max(picture.height()) > room {
        true => imageops::resize(&picture, room, room, FilterType::Triangle),
        false => picture,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    fn ruler(title: &str) -> Ruler {
        Ruler { title: title.into(), marks: vec![0.0..=0.5], scout: None, places: Vec::new() }
    }

    #[test]
    fn sheets_of_any_number_of_tiles_stay_of_a_size_to_look_at() {
        for (tiles, size) in [(1, 448), (1, 28), (3, 448), (60, 448), (60, 56)] {
            let pixels = Array4::from_elem((tiles, 3, size, size), 200);
            let rulers = [ruler("video 1: 60 frames up to 60 s")];
            let sheet =
                draw(pixels.view(), &vec![vec!["video 1".into(), "frame 1234".into()]; tiles], &rulers);
            assert!(sheet.width() <= WIDTH && sheet.height() <= 2144, "{:?}", sheet.dimensions());
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

    #[test]
    fn a_bar_is_marked_where_the_frames_are() {
        let mut sheet = RgbImage::from_pixel(100 + 2 * GAP, LINE + BAR, PAPER);
        draw_ruler(&mut sheet, &ruler("a"), 0);
        let row = LINE + BAR / 2;
        let inked: Vec<_> = (0..100).filter(|x| sheet.get_pixel(GAP + x, row) == &INK).collect();
        assert_eq!((inked[0], inked[inked.len() - 1]), (0, 48));
        assert_eq!(sheet.get_pixel(GAP + 99, row), &GROUND);
    }
}
