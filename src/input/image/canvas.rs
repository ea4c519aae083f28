//! Where the pictures of an animation are laid one over another.

use super::super::limits::{Budget, zeros};
use super::picture::{Fault, Size};

/// A part of the canvas, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// What becomes of a picture before the next one is laid down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dispose {
    Keep,
    /// Its place becomes transparent.
    Clear,
    /// Its place becomes what it was before.
    Restore,
}

/// One pixel of red, green, blue and alpha laid on another: the new one, the old one, what comes of them.
pub(super) type Blend = fn([u8; 4], [u8; 4]) -> [u8; 4];

/// A picture of an animation, before its pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) rect: Rect,
    pub(super) dispose: Dispose,
    pub(super) blend: Blend,
}

/// Red, green, blue and alpha, transparent at first.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pub(super) rgba: Vec<u8>,
    /// What the last picture leaves behind, once it was shown.
    leaves: Option<(Rect, Option<Vec<u8>>)>,
    /// Bytes of pictures that may still be unpacked.
    budget: Budget,
    unpacked: u64,
}

impl Canvas {
    pub(super) fn new((width, height): Size, budget: &Budget) -> Result<Self, Fault> {
        let pixels = budget.check_pixels("", width, height)?;
        Ok(Self {
            width: width as usize,
            height: height as usize,
            rgba: zeros("", 4 * pixels)?,
            leaves: None,
            budget: *budget,
            unpacked: 0,
        })
    }

    /// Refuses a picture that is too large, or with which the pictures so far are. To be called before it is unpacked.
    pub(super) fn check(&mut self, rect: Rect) -> Result<(), Fault> {
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let pixels = self.budget.check_pixels("", side(rect.width), side(rect.height))? as u64;
        // Colours and alpha, before they are laid down and after.
        self.unpacked = self.unpacked.saturating_add(8 * pixels);
        Ok(self.budget.check_bytes("", self.unpacked)?)
    }

    /// Lays a picture of red, green, blue and alpha on what the pictures before it left. What lies outside is cut off.
    pub(super) fn lay(&mut self, piece: Piece, pixels: &[u8]) -> Result<(), Fault> {
        match self.leaves.take() {
            Some((rect, Some(before))) => self.each_row(rect, &before, |to, from| to.copy_from_slice(from)),
            Some((rect, None)) => self.clear(rect),
            None => {}
        }
        let rect = piece.rect;
        self.leaves = match piece.dispose {
            Dispose::Keep => None,
            Dispose::Clear => Some((rect, None)),
            Dispose::Restore => Some((rect, Some(self.copy(rect)?))),
        };
        self.each_row(rect, pixels, |to, from| {
            let to = to.as_chunks_mut::<4>().0.iter_mut();
            to.zip(from.as_chunks::<4>().0).for_each(|(to, from)| *to = (piece.blend)(*from, *to));
        });
        Ok(())
    }

    /// Each row of the canvas that a part of it covers, with the same row of `pixels`, which are those of the part.
    fn each_row(&mut self, rect: Rect, pixels: &[u8], mut take: impl FnMut(&mut [u8], &[u8])) {
        let across = rect.width.min(self.width.saturating_sub(rect.left));
        if across == 0 {
            return;
        }
        let rows = self.rgba.chunks_exact_mut(4 * self.width).skip(rect.top).take(rect.height);
        for (row, part) in rows.zip(pixels.chunks_exact(4 * rect.width)) {
            take(&mut row[4 * rect.left..][..4 * across], &part[..4 * across]);
        }
    }

    fn clear(&mut self, rect: Rect) {
        let across = rect.width.min(self.width.saturating_sub(rect.left));
        let left = rect.left.min(self.width);
        for row in self.rgba.chunks_exact_mut(4 * self.width).skip(rect.top).take(rect.height) {
            row[4 * left..][..4 * across].fill(0);
        }
    }

    /// The pixels of a part; those outside are transparent.
    fn copy(&self, rect: Rect) -> Result<Vec<u8>, Fault> {
        let mut part = zeros("", 4 * rect.width * rect.height)?;
        let across = rect.width.min(self.width.saturating_sub(rect.left));
        let left = rect.left.min(self.width);
        let rows = self.rgba.chunks_exact(4 * self.width).skip(rect.top);
        for (to, row) in part.chunks_exact_mut(4 * rect.width).zip(rows) {
            to[..4 * across].copy_from_slice(&row[4 * left..][..4 * across]);
        }
        Ok(part)
    }

    /// Width and height.
    pub(super) fn size(&self) -> Size {
        (self.width as u32, self.height as u32)
    }
}

/// The new pixel, whatever was there.
pub(super) fn replace(new: [u8; 4], _: [u8; 4]) -> [u8; 4] {
    new
}

/// The new pixel, unless nothing of it can be seen.
pub(super) fn unless_clear(new: [u8; 4], old: [u8; 4]) -> [u8; 4] {
    if new[3] == 0 { old } else { new }
}

/// The new pixel seen through by its alpha, rounded: the operator "over" of the PNG specification.
pub(super) fn over(new: [u8; 4], old: [u8; 4]) -> [u8; 4] {
    let (above, below) = (u32::from(new[3]), u32::from(old[3]));
    // In 255 × 255ths.
    let (above, below) = (above * 255, below * (255 - above));
    let all = above + below;
    if all == 0 {
        return [0; 4];
    }
    let mixed = |channel: usize| {
        let sum = u32::from(new[channel]) * above + u32::from(old[channel]) * below;
        ((sum + all / 2) / all) as u8
    };
    [mixed(0), mixed(1), mixed(2), ((all + 127) / 255) as u8]
}

/// The same in the arithmetic of libwebp, which rounds down.
pub(super) fn over_webp(new: [u8; 4], old: [u8; 4]) -> [u8; 4] {
    let above = u32::from(new[3]);
    if above == 0 || above == 255 {
        return if above == 0 { old } else { new };
    }
    let below = (u32::from(old[3]) * (256 - above)) >> 8;
    let all = above + below;
    let scale = (1u32 << 24) / all;
    let mixed = |channel: usize| {
        let sum = u32::from(new[channel]) * above + u32::from(old[channel]) * below;
        ((u64::from(sum) * u64::from(scale)) >> 24) as u8
    };
    [mixed(0), mixed(1), mixed(2), all as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(canvas: &mut Canvas, (left, width): (usize, usize), dispose: Dispose, grey: u8) -> Vec<u8> {
        let rect = Rect { left, top: 0, width, height: 1 };
        let pixels = [grey, grey, grey, 255].repeat(width);
        canvas.check(rect).unwrap();
        canvas.lay(Piece { rect, dispose, blend: unless_clear }, &pixels).unwrap();
        canvas.rgba.chunks_exact(4).map(|pixel| if pixel[3] == 0 { 0 } else { pixel[0] }).collect()
    }

    #[test]
    fn pictures_leave_what_they_say() {
        let mut canvas = Canvas::new((4, 1), &Budget::default()).unwrap();
        assert_eq!(lay(&mut canvas, (0, 4), Dispose::Keep, 1), [1, 1, 1, 1]);
        assert_eq!(lay(&mut canvas, (1, 2), Dispose::Restore, 2), [1, 2, 2, 1]);
        assert_eq!(lay(&mut canvas, (3, 1), Dispose::Clear, 3), [1, 1, 1, 3]);
        assert_eq!(lay(&mut canvas, (0, 1), Dispose::Keep, 4), [4, 1, 1, 0]);
        // What sticks out is cut off, and what lies outside is not there.
        assert_eq!(lay(&mut canvas, (2, 9), Dispose::Restore, 5), [4, 1, 5, 5]);
        assert_eq!(lay(&mut canvas, (7, 2), Dispose::Clear, 6), [4, 1, 1, 0]);
        assert_eq!(lay(&mut canvas, (9, 2), Dispose::Restore, 6), [4, 1, 1, 0]);
        assert_eq!(lay(&mut canvas, (0, 1), Dispose::Keep, 7), [7, 1, 1, 0]);
    }

    #[test]
    fn what_is_unpacked_is_counted() {
        let budget = Budget { unpacked_bytes: 64, ..Budget::default() };
        let mut canvas = Canvas::new((4, 1), &budget).unwrap();
        let rect = Rect { left: 0, top: 0, width: 4, height: 1 };
        assert!(canvas.check(rect).is_ok() && canvas.check(rect).is_ok());
        let fault = canvas.check(rect).err().unwrap();
        assert!(fault.hint.contains("--max-unpacked-bytes"));
    }

    #[test]
    fn pixels_are_seen_through_by_their_alpha() {
        let (red, half, clear) = ([255, 0, 0, 255], [0, 0, 255, 128], [9, 9, 9, 0]);
        assert_eq!(over(half, red), [127, 0, 128, 255]);
        assert_eq!(over(half, clear), [0, 0, 255, 128]);
        assert_eq!(over(clear, red), red);
        assert_eq!(over(clear, clear), [0; 4]);
        assert_eq!(over(red, half), red);
        assert_eq!(over_webp(red, half), red);
        assert_eq!(over_webp(clear, red), red);
        assert_eq!(over_webp(half, clear), [0, 0, 255, 128]);
        assert_eq!(over_webp([200, 0, 0, 128], red), [227, 0, 0, 255]);
    }
}
