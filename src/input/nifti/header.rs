//! The header: 348 bytes in version 1 (nifti1.h), 540 in version 2 (nifti2.h), in either byte order.

use super::super::volume::{ByteOrder, Number};
use crate::error::{Error, Result};

/// Slices, rows and columns; far more than any scan has.
const MOST_PLACES: usize = 1 << 16;
/// Bytes of the longer header.
pub(super) const LONGEST: usize = 540;

/// What a header says.
#[derive(Debug, Clone)]
pub(super) struct NiftiHeader {
    pub(super) order: ByteOrder,
    /// Whether the voxels follow in the same file.
    pub(super) single: bool,
    /// Lengths of the seven axes, the first one fastest; 1 beyond the last.
    pub(super) dim: [usize; 7],
    pub(super) voxel: Voxel,
    /// Slope and intercept.
    pub(super) scaling: [f64; 2],
    /// Offset of the first voxel in bytes.
    pub(super) start: u64,
    /// What is odd about it, one sentence each.
    pub(super) notes: Vec<String>,
    /// The lowest and the highest value to be displayed.
    pub(super) display: Option<[f64; 2]>,
    pub(super) affine: AffineFields,
}

/// The numbers that say where voxels lie.
#[derive(Debug, Clone)]
pub(super) struct AffineFields {
    pub(super) qform_code: i32,
    pub(super) sform_code: i32,
    /// The factor `qfac`, then distances of neighbours along the axes.
    pub(super) pixdim: [f64; 4],
    pub(super) quatern: [f64; 3],
    pub(super) qoffset: [f64; 3],
    /// Rows.
    pub(super) srow: [[f64; 4]; 3],
    /// Millimetres of one unit of length.
    pub(super) millimetres: f64,
}

/// What a voxel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voxel {
    Number(Number),
    /// Red, green, blue, 8 bits each.
    Rgb24,
}

impl Voxel {
    /// Bytes.
    pub(super) fn size(self) -> usize {
        match self {
            Voxel::Number(number) => number.size(),
            Voxel::Rgb24 => 3,
        }
    }
}

/// The fields of a header of one version.
struct Fields<'a> {
    name: &'a str,
    bytes: &'a [u8; LONGEST],
    version: u8,
    order: ByteOrder,
}

/// Version and byte order, by the length that a header begins with; that of Analyze 7.5 is the same as version 1's.
pub(super) fn version(head: &[u8]) -> Option<(u8, ByteOrder)> {
    match *head.first_chunk::<4>()? {
        [0x5c, 1, 0, 0] => Some((1, ByteOrder::Little)),
        [0, 0, 1, 0x5c] => Some((1, ByteOrder::Big)),
        [0x1c, 2, 0, 0] => Some((2, ByteOrder::Little)),
        [0, 0, 2, 0x1c] => Some((2, ByteOrder::Big)),
        _ => None,
    }
}

impl Fields<'_> {
    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes: [u8; N] =
            self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N]);
        if self.order == ByteOrder::Big {
            bytes.reverse();
        }
        bytes
    }

    /// A real number, of 4 bytes in version 1 and 8 in version 2, at an offset of each.
    fn real(&self, one: usize, two: usize) -> f64 {
        match self.version {
            1 => f32::from_le_bytes(self.at(one)).into(),
            _ => f64::from_le_bytes(self.at(two)),
        }
    }

    fn reals<const N: usize>(&self, one: usize, two: usize) -> [f64; N] {
        std::array::from_fn(|place| self.real(one + 4 * place, two + 8 * place))
    }

    /// A length, of 2 bytes or 8.
    fn length(&self, place: usize) -> i64 {
        match self.version {
            1 => i16::from_le_bytes(self.at(40 + 2 * place)).into(),
            _ => i64::from_le_bytes(self.at(16 + 8 * place)),
        }
    }

    /// A code, of 2 bytes or 4.
    fn code(&self, one: usize, two: usize) -> i32 {
        match self.version {
            1 => i16::from_le_bytes(self.at(one)).into(),
            _ => i32::from_le_bytes(self.at(two)),
        }
    }

    fn refuse<T>(&self, field: &str, wanted: &str, got: impl std::fmt::Display) -> Result<T> {
        let hint = match field {
            "datatype" => "convert it to whole numbers of 8 to 64 bits, or to floating-point numbers",
            "intent_code" => "project it onto a volume first",
            _ => "the header is damaged: write the volume again",
        };
        Err(Error::input(format!("{}: {field}", self.name), wanted, got).hint(hint))
    }

    /// Whether the voxels follow in the same file.
    fn single(&self) -> Result<bool> {
        let magic = if self.version == 1 { &self.bytes[344..348] } else { &self.bytes[4..12] };
        match magic {
            b"n+1\0" | b"n+2\0\r\n\x1a\n" => Ok(true),
            b"ni1\0" | b"ni2\0\r\n\x1a\n" => Ok(false),
            other => {
                let error = self.refuse("magic", "n+1 or ni1, of version 2 n+2 or ni2", other.escape_ascii());
                // Analyze's header has the same length and none.
                let hint = "an Analyze 7.5 header does not say which side is left: convert it to NIfTI";
                error.map_err(|error: Error| if other == [0; 4] { error.hint(hint) } else { error })
            }
        }
    }

    fn dim(&self) -> Result<[usize; 7]> {
        let axes = self.length(0);
        if !(1..=7).contains(&axes) {
            return self.refuse("dim", "1 to 7 axes", format!("dim[0] = {axes}"));
        }
        let mut dim = [1; 7];
        for (place, length) in dim.iter_mut().enumerate().take(axes as usize) {
            let stated = self.length(place + 1);
            let most = if place < 3 { MOST_PLACES } else { usize::MAX };
            let Some(stated) = usize::try_from(stated).ok().filter(|length| (1..=most).contains(length))
            else {
                let wanted = if place < 3 { "lengths of 1 to 65536" } else { "lengths of at least 1" };
                return self.refuse("dim", wanted, format!("dim[{}] = {stated}", place + 1));
            };
            *length = stated;
        }
        Ok(dim)
    }

    fn voxel(&self) -> Result<Voxel> {
        let number = |number: Number| Ok(Voxel::Number(number));
        let (code, bits) = match self.version {
            1 => (i16::from_le_bytes(self.at(70)), i16::from_le_bytes(self.at(72))),
            _ => (i16::from_le_bytes(self.at(12)), i16::from_le_bytes(self.at(14))),
        };
        let voxel = match code {
            2 => number(Number::U8),
            4 => number(Number::I16),
            8 => number(Number::I32),
            16 => number(Number::F32),
            64 => number(Number::F64),
            128 => Ok(Voxel::Rgb24),
            256 => number(Number::I8),
            512 => number(Number::U16),
            768 => number(Number::U32),
            1024 => number(Number::I64),
            1280 => number(Number::U64),
            32 | 1792 | 2048 => self.refuse("datatype", "real numbers", format!("complex ones, code {code}")),
            1 => self.refuse("datatype", "numbers of whole bytes", "single bits, code 1"),
            1536 => self.refuse("datatype", "numbers of at most 64 bits", "128 bits, code 1536"),
            2304 => self.refuse("datatype", "numbers or RGB24", "RGBA32, code 2304"),
            _ => self.refuse("datatype", "a type that NIfTI knows", format!("code {code}")),
        }?;
        match bits == 8 * voxel.size() as i16 {
            true => Ok(voxel),
            false => {
                let wanted = format!("{} bits, as datatype {code} has", 8 * voxel.size());
                self.refuse("bitpix", &wanted, format!("{bits} bits"))
            }
        }
    }

    /// Slope and intercept. A slope that is 0 or not finite means that values are stored as they are.
    fn scaling(&self, voxel: Voxel) -> Result<[f64; 2]> {
        let [slope, intercept] = [self.real(112, 176), self.real(116, 184)];
        match (voxel, slope.is_finite() && slope != 0.0) {
            (Voxel::Rgb24, _) | (_, false) => Ok([1.0, 0.0]),
            _ if !intercept.is_finite() => self.refuse("scl_inter", "a finite intercept", intercept),
            _ => Ok([slope, intercept]),
        }
    }

    /// Offset of the first voxel.
    fn start(&self, notes: &mut Vec<String>) -> Result<u64> {
        let single = self.single()?;
        let least = match (single, self.version) {
            (false, _) => 0,
            (_, 1) => 352,
            _ => 544,
        };
        let stated = match self.version {
            1 => f32::from_le_bytes(self.at(108)).into(),
            _ => i64::from_le_bytes(self.at(168)) as f64,
        };
        // Nothing longer can be read, and every number of version 1 up to there is exact.
        let sound = (0.0..9e15).contains(&stated) && stated.fract() == 0.0;
        match stated as u64 {
            0 if sound && single => {
                notes.push(format!("vox_offset is 0: voxels are read from byte {least} on"));
                Ok(least)
            }
            stated if sound && stated >= least => Ok(stated),
            _ => self.refuse("vox_offset", &format!("a whole number of at least {least}"), stated),
        }
    }

    fn affine(&self) -> AffineFields {
        let units = if self.version == 1 { i32::from(self.bytes[123]) } else { self.code(0, 500) };
        AffineFields {
            qform_code: self.code(252, 344),
            sform_code: self.code(254, 348),
            pixdim: self.reals(76, 104),
            quatern: self.reals(256, 352),
            qoffset: self.reals(268, 376),
            srow: [self.reals(280, 400), self.reals(296, 432), self.reals(312, 464)],
            // Metres, millimetres, micrometres; in practice, what is not said is millimetres.
            millimetres: match units & 7 {
                1 => 1e3,
                3 => 1e-3,
                _ => 1.0,
            },
        }
    }
}

impl NiftiHeader {
    /// Reads a header; a shorter one is followed by anything.
    ///
    /// # Errors
    /// [`Error::Input`] naming the field that is wrong, or that is not read here.
    pub(super) fn parse(name: &str, bytes: &[u8; LONGEST]) -> Result<Self> {
        let Some((version, order)) = version(bytes) else {
            let error = Error::input(name, "a NIfTI header of 348 or 540 bytes", "another length");
            return Err(error.hint("write the volume again"));
        };
        let fields = Fields { name, bytes, version, order };
        let single = fields.single()?;
        if (3000..3100).contains(&fields.code(68, 504)) {
            return fields.refuse("intent_code", "a volume", "a CIFTI file, whose values lie on surfaces");
        }
        let (dim, voxel, mut notes) = (fields.dim()?, fields.voxel()?, Vec::new());
        let [highest, lowest] = [fields.real(124, 192), fields.real(128, 200)];
        Ok(Self {
            order,
            single,
            dim,
            voxel,
            scaling: fields.scaling(voxel)?,
            start: fields.start(&mut notes)?,
            notes,
            display: (highest > lowest && lowest.is_finite() && highest.is_finite())
                .then_some([lowest, highest]),
            affine: fields.affine(),
        })
    }

    /// Volumes, each at another point in time or of another kind.
    pub(super) fn volumes(&self) -> Option<usize> {
        self.dim[3..].iter().try_fold(1_usize, |count, length| count.checked_mul(*length))
    }

    /// Bytes of one slice, and of one volume.
    pub(super) fn sizes(&self) -> Option<[u64; 2]> {
        let product = |lengths: &[usize]| {
            lengths
                .iter()
                .try_fold(self.voxel.size() as u64, |bytes, length| bytes.checked_mul(*length as u64))
        };
        Some([product(&self.dim[..2])?, product(&self.dim[..3])?])
    }
}
