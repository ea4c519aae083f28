//! An overview of a volume with a line where each frame lies.

use image::imageops::{self, FilterType};
use image::{GrayImage, Rgb, RgbImage};

use super::ink::{PAPER, SMALL, print};
use crate::view::{Edge, Scout};

/// The longer side of an overview in pixels.
const SIDE: f64 = 288.0;
/// Room for the numbers beside it.
const MARGIN: u32 = 5 * SMALL;
const LINE: Rgb<u8> = Rgb([255, 208, 0]);

/// A frame in an overview.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// From the first slice to the end of the last, from 0 to 1.
    pub(super) place: f64,
    /// The number of its slice.
    pub(super) label: String,
}

/// Draws an overview; none if it holds no pixels.
pub(super) fn draw(scout: &Scout, marks: &[Mark]) -> Option<RgbImage> {
    let rows = scout.grey.len().checked_div(scout.columns)?;
    let picture = GrayImage::from_raw(scout.columns as u32, rows as u32, scout.grey.clone())?;
    let scale = SIDE / scout.size[0].max(scout.size[1]);
    let [height, width] = scout.size.map(|side| (side * scale).clamp(8.0, SIDE).round() as u32);
    let picture = imageops::resize(&picture, width, height, FilterType::Triangle);
    let mut drawn = RgbImage::from_pixel(width + MARGIN, height + SMALL + 4, PAPER);
    for (x, y, grey) in picture.enumerate_pixels() {
        drawn.put_pixel(x, y, Rgb([grey.0[0]; 3]));
    }
    let mut marks: Vec<(u32, &Mark)> = match scout.first {
        Edge::Bottom => marks.iter().map(|mark| (at(1.0 - mark.place, height), mark)).collect(),
        Edge::Left => marks.iter().map(|mark| (at(mark.place, width), mark)).collect(),
    };
    marks.sort_by_key(|(at, _)| *at);
    // A number that would cover another is left out.
    let mut free = 0;
    for (at, mark) in marks {
        match scout.first {
            Edge::Bottom => (0..width).for_each(|x| drawn.put_pixel(x, at, LINE)),
            Edge::Left => (0..height).for_each(|y| drawn.put_pixel(at, y, LINE)),
        }
        let (place, taken) = match scout.first {
            Edge::Bottom => ((width + 4, at.saturating_sub(SMALL / 2)), SMALL + 1),
            Edge::Left => ((at, height + 2), (mark.label.len() as u32 + 1) * SMALL),
        };
        if at >= free {
            print(&mut drawn, &mark.label, place, SMALL);
            free = at + taken;
        }
    }
    Some(drawn)
}

/// The pixel of a share of a length.
fn at(share: f64, length: u32) -> u32 {
    ((share * f64::from(length)) as u32).min(length - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_drawn_where_each_frame_lies() {
        let marks = [0.25, 0.75].map(|place| Mark { place, label: "7".into() });
        let of = |size, first| Scout { columns: 2, grey: vec![0, 255, 0, 255], size, first };
        let inked = |drawn: &RgbImage, x, y| drawn.get_pixel(x, y) == &LINE;
        let drawn = draw(&of([200.0, 100.0], Edge::Bottom), &marks).unwrap();
        assert_eq!(drawn.dimensions(), (144 + MARGIN, 288 + SMALL + 4));
        let lines: Vec<_> = (0..288).filter(|y| inked(&drawn, 70, *y)).collect();
        assert_eq!(lines, [72, 216]);
        let drawn = draw(&of([100.0, 200.0], Edge::Left), &marks).unwrap();
        let lines: Vec<_> = (0..288).filter(|x| inked(&drawn, *x, 70)).collect();
        assert_eq!(lines, [72, 216]);
        for sides in [[5e-324, 5e-324], [1e300, 5e-324], [f64::MAX, f64::MAX]] {
            let drawn = draw(&of(sides, Edge::Left), &marks).unwrap();
            assert!(drawn.width() <= 288 + MARGIN && drawn.height() <= 288 + SMALL + 4);
        }
    }
}
