//! From a file to the values of its slices.

use std::io::{self, Read, Seek, SeekFrom};

use super::super::limits::zeros;
use super::super::reading::{Chosen, Fact, Header, ReadOptions};
use super::super::source::{Opened, unreadable};
use super::super::volume::{Kind, Samples, Space, UsualPlane, Values, choose};
use super::gzip::{Members, is_damage, is_packed, peek};
use super::header::{LONGEST, NiftiHeader, Voxel, version};
use super::orientation::Orientation;
use crate::error::{Error, Result};
use crate::frame::Modality;
use crate::study::Look;

/// Bytes that a packed file may unpack to, whatever its size.
const UNPACKED: u64 = 64 << 20;
/// How much larger than its packed file more than that may be. Scans are some 2 times as large, and masks 100 times.
const EXPANSION: u64 = 200;
/// What is read behind the voxels to reach the check sum of a packed file.
const BEHIND: u64 = 1 << 20;

/// The name of the format of a file that begins with these bytes.
pub(in crate::input) fn sniff(head: &[u8]) -> Option<&'static str> {
    let is_nifti = match is_packed(head) {
        true => version(&peek(head, 4)).is_some(),
        false => version(head).is_some(),
    };
    is_nifti.then_some("NIfTI")
}

/// A volume, or several of different times.
///
/// # Errors
/// [`Error::Input`] if the header is wrong, of what is not read, or promises more than there is.
pub(in crate::input) fn open(opened: Opened, _: &ReadOptions) -> Result<Box<dyn Header>> {
    let name = opened.name().to_owned();
    let packed = is_packed(opened.head());
    let head = if packed { peek(opened.head(), LONGEST) } else { opened.head().to_vec() };
    let mut bytes = [0; LONGEST];
    let length = head.len().min(LONGEST);
    bytes[..length].copy_from_slice(&head[..length]);
    let least = if version(&head).is_some_and(|(version, _)| version == 2) { LONGEST } else { 348 };
    if length < least {
        return Err(Error::input(
            name,
            format!("a NIfTI header of {least} bytes"),
            format!("{length} bytes"),
        )
        .hint("the file was cut short"));
    }
    let header = NiftiHeader::parse(&name, &bytes)?;
    let opened = if header.single { opened } else { image(opened)? };
    let [dim @ .., _, _, _, _] = header.dim;
    let orientation = Orientation::new(&name, &header.affine, dim)?;
    let packed = is_packed(opened.head());
    Ok(Box::new(Nifti { name, header, orientation, voxels: Voxels { opened, packed } }))
}

/// The file of voxels beside a header.
fn image(header: Opened) -> Result<Opened> {
    let plain = header.beside(|name| image_name(name, ""))?;
    let found =
        plain.map_or_else(|| header.beside(|name| image_name(name, ".gz")), |plain| Ok(Some(plain)))?;
    found.ok_or_else(|| {
        Error::input(header.name(), "its voxels in a file beside it, named .img or .img.gz", "no such file")
            .hint("name the .hdr of a pair, with the .img in the same folder")
    })
}

/// The name of the file that holds the voxels of a header's; `packed` ends it.
fn image_name(header: &str, packed: &str) -> Option<String> {
    let stem = header.strip_suffix(".gz").unwrap_or(header);
    let image = stem.strip_suffix(".hdr").map(|stem| format!("{stem}.img"));
    let image = image.or_else(|| stem.strip_suffix(".HDR").map(|stem| format!("{stem}.IMG")))?;
    Some(image + packed)
}

struct Nifti {
    name: String,
    header: NiftiHeader,
    orientation: Orientation,
    voxels: Voxels,
}

/// The file that holds the voxels.
struct Voxels {
    opened: Opened,
    packed: bool,
}

impl Header for Nifti {
    fn modality(&self) -> Modality {
        Modality::Volume
    }

    fn facts(&self) -> Vec<Fact> {
        let voxel = match self.header.voxel {
            Voxel::Number(number) => format!("{number:?}").to_lowercase(),
            Voxel::Rgb24 => "rgb24".into(),
        };
        vec![
            Fact::numbers("dim", self.header.dim.map(|length| length as f64)),
            Fact::text("voxel", voxel),
            Fact::text("orientation", self.orientation.from),
            Fact::text("packed", if self.voxels.packed { "gzip" } else { "no" }),
        ]
    }

    fn choose(self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        let Self { name, header, orientation, voxels } = *self;
        let (slices, mut notes) = Slices::new(&name, &header, voxels, look.time)?;
        notes.extend(orientation.notes);
        let [columns, rows, depth, ..] = header.dim;
        let space = Space {
            name,
            shape: [depth, rows, columns],
            placement: Some(orientation.placement),
            spacing_mm: orientation.spacing_mm,
            kind: Kind::Unknown,
            usual_plane: UsualPlane::Thickest,
            windows: Vec::new(),
            display: header.display,
            padding: None,
            parts: Vec::new(),
            colour: header.voxel == Voxel::Rgb24,
            notes: [header.notes, notes].concat(),
        };
        choose(space, Box::new(slices), look)
    }
}

/// The slices of one volume.
struct Slices {
    name: String,
    voxels: Voxels,
    header: NiftiHeader,
    /// Offset of the first slice.
    start: u64,
    /// Bytes of a slice.
    size: u64,
    /// Offset of the end of all volumes.
    end: u64,
}

impl Slices {
    /// Those of the volume at this point in time, and what there is to say of the others.
    fn new(
        name: &str,
        header: &NiftiHeader,
        voxels: Voxels,
        time: Option<usize>,
    ) -> Result<(Self, Vec<String>)> {
        let length = voxels.opened.length();
        let dim: Vec<_> = header.dim.iter().rev().skip_while(|length| **length == 1).collect();
        let dim: Vec<_> = dim.into_iter().rev().map(usize::to_string).collect();
        let promised = format!("data for dim {}", dim.join("×"));
        let counted = header.sizes().zip(header.volumes());
        let counted = counted.and_then(|([slice, volume], volumes)| {
            Some((slice, volume, volumes, volume.checked_mul(volumes as u64)?.checked_add(header.start)?))
        });
        let Some((size, volume, volumes, end)) = counted else {
            let error = Error::input(name, promised, format!("{length} bytes"));
            return Err(error.hint("the header is damaged: write the volume again"));
        };
        let time_of = time.unwrap_or(0);
        if time_of >= volumes {
            let wanted = format!("0 to {}", volumes - 1);
            let error = Error::request(format!("{name}: time"), wanted, time_of);
            return Err(error.hint("correct it, or leave it out"));
        }
        let start = header.start + volume * time_of as u64;
        if header.start > length && !voxels.packed {
            let wanted = format!("voxels within the {length} bytes of the file");
            return Err(Error::input(
                format!("{name}: vox_offset"),
                wanted,
                format!("byte {}", header.start),
            )
            .hint("the file was cut short, or its header is damaged: copy it again"));
        }
        voxels.check(name, &promised, start + volume)?;
        let other = (volumes > 1 && time.is_none())
            .then(|| format!("{volumes} volumes: the first is taken, --time chooses another"));
        let slices = Self { name: name.into(), voxels, header: header.clone(), start, size, end };
        Ok((slices, other.into_iter().collect()))
    }
}

impl Voxels {
    /// Refuses a file that is too short for `needed` bytes, or packs too many of them.
    fn check(&self, name: &str, promised: &str, needed: u64) -> Result<()> {
        let length = self.opened.length();
        if !self.packed {
            return match needed > length {
                true => {
                    Err(Error::input(name, format!("{needed} bytes, {promised}"), format!("{length} bytes"))
                        .hint("the file was cut short"))
                }
                false => Ok(()),
            };
        }
        match needed > UNPACKED && needed > length.saturating_mul(EXPANSION) {
            true => Err(Error::input(
                name,
                format!("a gzip file within the limit: at most {UNPACKED} bytes, or {EXPANSION} times its size, unpacked"),
                format!("{needed} bytes out of {length}, {promised}"),
            )
            .hint("unpack it first")),
            false => Ok(()),
        }
    }

    /// The voxels from their file's beginning.
    fn stream(&self) -> Result<Stream> {
        let opened = self.opened.again()?;
        Ok(match self.packed {
            true => Stream::Packed(Box::new(Members::new(opened)), 0),
            false => Stream::Plain(Box::new(opened)),
        })
    }
}

/// Bytes that are read at rising offsets.
enum Stream {
    Plain(Box<Opened>),
    /// And how many of them were read.
    Packed(Box<Members>, u64),
}

impl Stream {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Stream::Plain(opened) => {
                opened.seek(SeekFrom::Start(offset))?;
                opened.read_exact(buffer)
            }
            Stream::Packed(members, position) => {
                let skipped = offset.saturating_sub(*position);
                if io::copy(&mut members.by_ref().take(skipped), &mut io::sink())? < skipped {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                members.read_exact(buffer)?;
                *position += skipped + buffer.len() as u64;
                Ok(())
            }
        }
    }

    /// Reads the end of a packed file of which all up to `end` was read, where its check sum is. A long tail is left.
    fn check_sum(&mut self, end: u64) -> io::Result<()> {
        match self {
            Stream::Packed(members, position) if *position == end => {
                io::copy(&mut members.by_ref().take(BEHIND), &mut io::sink()).map(drop)
            }
            _ => Ok(()),
        }
    }
}

impl Slices {
    fn damaged(&self, error: io::Error) -> Error {
        match (error.kind(), self.voxels.packed) {
            (io::ErrorKind::UnexpectedEof, packed) => {
                let promised = format!("{} bytes of voxels", self.end - self.header.start);
                let got = if packed { "fewer bytes in its gzip stream" } else { "fewer bytes" };
                Error::input(&self.name, promised, got).hint("the file was cut short")
            }
            (_, true) if is_damage(&error) => {
                Error::input(&self.name, "a sound gzip stream", error).hint("copy the file again")
            }
            _ => unreadable(&self.name, error),
        }
    }
}

impl Values for Slices {
    fn each(
        &mut self,
        slices: &[usize],
        take: &mut dyn FnMut(usize, Samples<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut stream = self.voxels.stream()?;
        let mut bytes = zeros(&self.name, self.size as usize)?;
        let mut values = Vec::new();
        for &slice in slices {
            let read = stream.read_at(self.start + slice as u64 * self.size, &mut bytes);
            read.map_err(|error| self.damaged(error))?;
            match self.header.voxel {
                Voxel::Rgb24 => take(slice, Samples::Rgb(&bytes))?,
                Voxel::Number(number) => {
                    number.read((&bytes, self.header.order), self.header.scaling, &mut values);
                    take(slice, Samples::Values(&values))?;
                }
            }
        }
        stream.check_sum(self.end).map_err(|error| self.damaged(error))
    }
}
