//! Cutting a large image into tiles near its own aspect ratio, by InternVL's rule.

use super::resize::bicubic;
use super::rows::Bytes;
use super::tile::Tile;
use crate::error::Result;
use crate::frame::Frame;
use crate::package::TilingLimits;
use crate::request::AskOptions;
use crate::watch::Watch;

/// Into how many tiles an image is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiling {
    pub(crate) min_tiles: usize,
    /// 1 means that images are not cut.
    pub(crate) max_tiles: usize,
    /// Whether the whole picture is added as a last tile.
    pub(crate) thumbnail: bool,
}

impl Tiling {
    /// That of a package, at most this many tiles; 1 by default.
    ///
    /// # Errors
    /// [`crate::Error::Request`] if the number is out of its bounds.
    pub(crate) fn new(package: TilingLimits, max_tiles: Option<usize>) -> Result<Self> {
        let most = max_tiles.unwrap_or(1);
        AskOptions::MAX_TILES.check([most])?;
        Ok(Self { min_tiles: package.min_tiles, max_tiles: most, thumbnail: package.thumbnail })
    }

    /// The tiles of a picture in RGB, row by row, and its thumbnail where there is more than one.
    ///
    /// # Errors
    /// What the watch says.
    pub(super) fn cut(&self, frame: &Frame, size: u32, watch: &Watch) -> Result<Vec<Tile>> {
        let picture = Bytes::rgb(frame);
        let (columns, rows) = self.grid([frame.width(), frame.height()], size);
        let sheet = bicubic::<u8, 3>(&picture, [columns as u32 * size, rows as u32 * size], watch)?;
        let (side, width) = (size as usize, columns * size as usize);
        let mut tiles: Vec<Tile> = (0..rows * columns)
            .map(|place| {
                let (x, y) = (place % columns * side, place / columns * side);
                let row = |y: usize| &sheet[(y * width + x) * 3..][..side * 3];
                Tile((y..y + side).flat_map(row).copied().collect())
            })
            .collect();
        if self.thumbnail && tiles.len() > 1 {
            tiles.push(Tile(bicubic::<u8, 3>(&picture, [size; 2], watch)?));
        }
        Ok(tiles)
    }

    /// How many tiles [`cut`](Self::cut) makes of a picture of this width and height.
    pub(super) fn count(&self, sides: [u32; 2], size: u32) -> usize {
        let (columns, rows) = self.grid(sides, size);
        let tiles = columns * rows;
        tiles + usize::from(self.thumbnail && tiles > 1)
    }

    /// Columns and rows of the grid whose aspect ratio is nearest to the picture's. Among equals, a larger grid is taken if
    /// the picture fills more than half of its area.
    fn grid(&self, [width, height]: [u32; 2], size: u32) -> (usize, usize) {
        let (width, height, size) = (width as usize, height as usize, size as usize);
        let ratio = width as f64 / height as f64;
        let mut grids: Vec<(usize, usize)> = (1..=self.max_tiles)
            .flat_map(|columns| (1..=self.max_tiles).map(move |rows| (columns, rows)))
            .filter(|(columns, rows)| (self.min_tiles..=self.max_tiles).contains(&(columns * rows)))
            .collect();
        grids.sort_by_key(|(columns, rows)| columns * rows);
        let mut best = (f64::INFINITY, (1, 1));
        for (columns, rows) in grids {
            let difference = (ratio - columns as f64 / rows as f64).abs();
            let fills = (width * height) as f64 > 0.5 * (size * size * columns * rows) as f64;
            if difference < best.0 || (difference == best.0 && fills) {
                best = (difference, (columns, rows));
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids() {
        let tiling = Tiling { min_tiles: 1, max_tiles: 12, thumbnail: true };
        for (width, height, grid) in [
            (1400, 900, (3, 2)),
            (3000, 50, (12, 1)),
            (520, 520, (1, 1)),
            (1000, 1000, (3, 3)),
            (448, 896, (1, 2)),
        ] {
            assert_eq!(tiling.grid([width, height], 448), grid, "{width}×{height}");
            let frame = Frame::rgb(width, height, vec![7; (width * height * 3) as usize]).unwrap();
            let tiles = tiling.cut(&frame, 448, &Watch::default()).unwrap();
            assert_eq!(tiles.len(), tiling.count([width, height], 448), "{width}×{height}");
        }
    }
}
