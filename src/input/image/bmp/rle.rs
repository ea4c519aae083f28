//! BMP's run lengths.

use super::super::super::limits::collected;
use super::super::picture::Fault;
use super::header::Packing;

/// The indices of a picture of `size`, in file order. As in Pillow, what a row leaves out is index 0, and
/// what is stored too much is dropped.
pub(super) fn expand(data: &[u8], size: (u32, u32), packing: Packing) -> Result<Vec<u8>, Fault> {
    let (width, count) = (size.0 as usize, size.0 as usize * size.1 as usize);
    // A row or a literal run may reach beyond the last pixel.
    let out = collected("", count + width + 256, [])?;
    let mut runs = Runs { data, at: 0, out, x: 0, width, nibbles: packing == Packing::Rle4, jumps: false };
    while runs.out.len() < count && runs.step().is_some() {}
    if runs.jumps {
        return Err(Fault::unsupported("a BMP of run lengths with jumps, which the reference misreads"));
    }
    if runs.out.len() < count {
        return Err(Fault::damaged("BMP", "run lengths that do not fill the picture"));
    }
    runs.out.truncate(count);
    Ok(runs.out)
}

struct Runs<'a> {
    data: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// Pixels already in this row.
    x: usize,
    width: usize,
    nibbles: bool,
    /// Whether the end was a command to jump.
    jumps: bool,
}

impl Runs<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.data.get(self.at).copied();
        self.at += 1;
        byte
    }

    /// Appends what one command says; `None` at the end.
    fn step(&mut self) -> Option<()> {
        let (length, value) = (self.byte()?, self.byte()?);
        match (length, value) {
            (0, 0) => {
                let whole = self.out.len().next_multiple_of(self.width);
                self.out.resize(whole, 0);
                self.x = 0;
            }
            (0, 1) => return None,
            (0, 2) => {
                self.jumps = true;
                return None;
            }
            (0, _) => self.literal(value)?,
            _ => {
                let length = usize::from(length).min(self.width.saturating_sub(self.x));
                let pair = if self.nibbles { [value >> 4, value & 15] } else { [value; 2] };
                self.out.extend((0..length).map(|index| pair[index % 2]));
                self.x += length;
            }
        }
        Some(())
    }

    fn literal(&mut self, pixels: u8) -> Option<()> {
        let length = usize::from(if self.nibbles { pixels / 2 } else { pixels });
        let bytes = self.data.get(self.at..self.at + length)?;
        if self.nibbles {
            self.out.extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]));
        } else {
            self.out.extend_from_slice(bytes);
        }
        self.at += length + length % 2;
        self.x += usize::from(pixels);
        Some(())
    }
}
