//! The slices of an array.

use std::io::{self, Read, Seek, SeekFrom};

use super::super::limits::zeros;
use super::super::reading::{Chosen, Header, Measured, ReadOptions};
use super::super::source::{Opened, unreadable};
use super::super::volume::{Grid, Number, Scaled, Scaling, SliceChoice, Slices};
use super::archive::{Archive, Member, is_archive};
use super::cube::Cube;
use super::header::{Layout, MAGIC, cut_short};
use crate::error::Result;
use crate::frame::{Modality, Study};
use crate::study::Look;

/// The name of the format of a file that begins with these bytes.
pub(in crate::input) fn sniff(head: &[u8]) -> Option<&'static str> {
    (head.starts_with(MAGIC) || is_archive(head)).then_some("NumPy array")
}

/// An array `(D, H, W)` or `(1, D, H, W)` of any number type, byte order and memory order.
///
/// # Errors
/// [`crate::Error::Input`] if it is damaged, or of another type or shape.
pub(in crate::input) fn open(mut opened: Opened, options: &ReadOptions) -> Result<Box<dyn Header>> {
    let name = opened.name().to_owned();
    let (store, layout) = match is_archive(opened.head()) {
        true => {
            let mut archive = Archive::open(opened, options.budget)?;
            let (mut array, length) = archive.array()?;
            let layout = Layout::read(&name, &mut array, length)?;
            drop(array);
            (Store::Archive(archive), layout)
        }
        false => {
            let length = opened.length();
            let layout = Layout::read(&name, &mut opened, length)?;
            (Store::Plain(opened), layout)
        }
    };
    let grid = Grid { name, shape: layout.shape, spacing_mm: None };
    grid.check()?;
    Ok(Box::new(Array { grid, layout, store }))
}

enum Store {
    Plain(Opened),
    Archive(Archive),
}

struct Array {
    grid: Grid,
    layout: Layout,
    store: Store,
}

impl Header for Array {
    fn modality(&self) -> Modality {
        Modality::Volume
    }

    fn choose(self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        let Self { grid, layout, store } = *self;
        let name = grid.name.clone();
        let warning = if look.axis.is_none() { other_axis(layout.shape) } else { None };
        Ok(Box::new(Picked { choice: grid.choose(look)?, name, layout, store, warning }))
    }
}

/// What to say of a shape that reads as an array whose slices are not counted by the first axis: slices are square, and
/// mostly fewer than their pixels.
fn other_axis([a, b, c]: [usize; 3]) -> Option<String> {
    let fewer = |count: usize| count < a;
    let axis = match (a == b, a == c) {
        (true, false) if fewer(c) => 2,
        (false, true) if fewer(b) => 1,
        _ => return None,
    };
    Some(format!(
        "the shape {a}×{b}×{c} reads as if axis {axis} counted the slices, but axis 0 was taken: name the axis with \
         --axis {axis} or --axis 0"
    ))
}

struct Picked {
    choice: SliceChoice,
    name: String,
    layout: Layout,
    store: Store,
    warning: Option<String>,
}

impl Chosen for Picked {
    fn measured(&self) -> Measured {
        self.choice.measured()
    }

    fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let Self { choice, name, layout, store, warning } = *self;
        let axis = choice.axis;
        let mut study = match store {
            Store::Plain(mut bytes) => {
                choice.read(&mut Strided { name: &name, layout, axis, bytes: &mut bytes }, options)?
            }
            Store::Archive(mut archive) => {
                let (mut bytes, _) = archive.array()?;
                let study =
                    choice.read(&mut Strided { name: &name, layout, axis, bytes: &mut bytes }, options)?;
                bytes.finish(&name)?;
                study
            }
        };
        study.warnings.extend(warning);
        Ok(study)
    }
}

/// Bytes that are read at rising offsets.
trait Rising: Read {
    fn go_to(&mut self, offset: u64) -> io::Result<()>;
}

impl Rising for Opened {
    fn go_to(&mut self, offset: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset)).map(drop)
    }
}

impl Rising for Member<'_> {
    fn go_to(&mut self, offset: u64) -> io::Result<()> {
        self.skip_to(offset)
    }
}

/// The numbers of an array whose slices are counted by one axis.
struct Strided<'a> {
    name: &'a str,
    layout: Layout,
    axis: usize,
    bytes: &'a mut dyn Rising,
}

impl Slices for Strided<'_> {
    fn number(&self) -> Number {
        self.layout.number
    }

    fn each(
        &mut self,
        places: &[usize],
        scaling: &Scaling<'_>,
        take: &mut dyn FnMut(usize, Scaled) -> Result<()>,
    ) -> Result<()> {
        let Layout { number, order, layout, shape, .. } = self.layout;
        let (cube, size) = (Cube::new(shape, self.axis, layout), number.size());
        let mut scale = |place: usize, slice: &[u8]| take(place, number.scale(scaling, place, slice, order)?);
        if cube.counts == 0 {
            let mut stored = zeros(self.name, cube.plane() * size)?;
            let mut slice = zeros(self.name, if cube.is_plain() { 0 } else { stored.len() })?;
            for &place in places {
                self.read(place as u64 * stored.len() as u64, &mut stored)?;
                if !cube.is_plain() {
                    cube.turn(size, &stored, &mut slice);
                }
                scale(place, if cube.is_plain() { &stored } else { &slice })?;
            }
            return Ok(());
        }
        // Every slice has a part of every block: all are put together on one way through the file.
        let mut slices = Vec::new();
        for _ in places {
            slices.push(zeros(self.name, cube.plane() * size)?);
        }
        let mut block = zeros(self.name, cube.block() * size)?;
        for slow in 0..cube.slow {
            self.read(slow as u64 * block.len() as u64, &mut block)?;
            for (&place, slice) in places.iter().zip(&mut slices) {
                cube.pick(size, (slow, place), &block, slice);
            }
        }
        places.iter().zip(&slices).try_for_each(|(&place, slice)| scale(place, slice))
    }
}

impl Strided<'_> {
    /// Fills the buffer from this offset among the numbers on.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = self.bytes.go_to(self.layout.start + offset).and_then(|()| self.bytes.read_exact(buffer));
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let shape = self.layout.shape;
                cut_short(self.name, format!("data for shape {shape:?}"), self.layout.start + offset)
            }
            _ => unreadable(self.name, error),
        })
    }
}

#[cfg(test)]
mod tests;
