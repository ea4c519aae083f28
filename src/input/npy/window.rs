//! From the range of a slice to 0..255, in the arithmetic that NumPy uses for each type.
//!
//! The rule is the script's: `((slice - min) / (max - min) * 255).astype(uint8)`, or zeros where `max - min` is 0. Every
//! step of it is done in the array's own floating-point type; integers are subtracted as integers and divided in double
//! precision.

use half::f16;

use crate::error::{Error, Result};
use crate::study::{Preprocessing, Window, WindowFunction, Windowing};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// The number types of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

/// A slice in 8 bits.
pub(super) struct Scaled {
    /// Row by row.
    pub(super) grey: Vec<u8>,
    /// The values that became 0 and 255.
    pub(super) window: [f64; 2],
    /// Whether the range is wider than the slice's integer type.
    pub(super) wraps: bool,
}

impl Number {
    /// Byte order and type of a descriptor such as `<f4`.
    pub(super) fn of(descriptor: &str) -> Option<(ByteOrder, Self)> {
        let (order, kind) = descriptor.split_at_checked(1)?;
        let number = match kind {
            "f2" => Number::F16,
            "f4" => Number::F32,
            "f8" => Number::F64,
            "i1" => Number::I8,
            "i2" => Number::I16,
            "i4" => Number::I32,
            "i8" => Number::I64,
            "u1" => Number::U8,
            "u2" => Number::U16,
            "u4" => Number::U32,
            "u8" => Number::U64,
            _ => return None,
        };
        match order {
            "<" | "|" => Some((ByteOrder::Little, number)),
            ">" => Some((ByteOrder::Big, number)),
            _ => None,
        }
    }

    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        match self {
            Number::I8 | Number::U8 => 1,
            Number::F16 | Number::I16 | Number::U16 => 2,
            Number::F32 | Number::I32 | Number::U32 => 4,
            Number::F64 | Number::I64 | Number::U64 => 8,
        }
    }

    /// Scales a slice from its own range. `slice` names it in errors.
    ///
    /// # Errors
    /// [`Error::Input`] in clinical mode if the slice holds NaN or infinity, or its range is infinite in its type.
    pub(super) fn scale(
        self,
        slice: &str,
        bytes: (&[u8], ByteOrder),
        windowing: Windowing,
        mode: Preprocessing,
    ) -> Result<Scaled> {
        let (bytes, order) = bytes;
        match self {
            Number::F16 => scaled(slice, &values(bytes, order, f16::from_le_bytes), windowing, mode),
            Number::F32 => scaled(slice, &values(bytes, order, f32::from_le_bytes), windowing, mode),
            Number::F64 => scaled(slice, &values(bytes, order, f64::from_le_bytes), windowing, mode),
            Number::I8 => scaled(slice, &values(bytes, order, i8::from_le_bytes), windowing, mode),
            Number::I16 => scaled(slice, &values(bytes, order, i16::from_le_bytes), windowing, mode),
            Number::I32 => scaled(slice, &values(bytes, order, i32::from_le_bytes), windowing, mode),
            Number::I64 => scaled(slice, &values(bytes, order, i64::from_le_bytes), windowing, mode),
            Number::U8 => scaled(slice, &values(bytes, order, u8::from_le_bytes), windowing, mode),
            Number::U16 => scaled(slice, &values(bytes, order, u16::from_le_bytes), windowing, mode),
            Number::U32 => scaled(slice, &values(bytes, order, u32::from_le_bytes), windowing, mode),
            Number::U64 => scaled(slice, &values(bytes, order, u64::from_le_bytes), windowing, mode),
        }
    }

    /// What to say of slices whose range is wider than their type, or that are not finite.
    pub(super) fn warning(self, slices: &[usize], mode: Preprocessing) -> Option<String> {
        let float = matches!(self, Number::F16 | Number::F32 | Number::F64);
        let what = match (slices, mode) {
            ([], _) => return None,
            (_, Preprocessing::Reference) if float => {
                "are black: they hold NaN or infinity, or their range is infinite"
            }
            (_, Preprocessing::Reference) => {
                "are garbage: their range is wider than their type and wraps around"
            }
            (_, Preprocessing::Clinical) => {
                "have a range wider than their type and were computed in a wider one"
            }
        };
        let list: Vec<_> = slices.iter().map(usize::to_string).collect();
        Some(format!("slices {} {what}", list.join(", ")))
    }
}

/// The numbers of a slice, from bytes in either order.
fn values<const N: usize, T>(bytes: &[u8], order: ByteOrder, of: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks::<N>();
    let number = |mut bytes: [u8; N]| {
        if order == ByteOrder::Big {
            bytes.reverse();
        }
        of(bytes)
    };
    numbers.iter().copied().map(number).collect()
}

/// What the floating-point types share.
trait Float: Copy + PartialOrd + std::ops::Sub<Output = Self> + Into<f64> {
    /// `a / b * 255`, each step rounded to the type.
    fn share(a: Self, b: Self) -> Self;
}

impl Float for f16 {
    fn share(a: Self, b: Self) -> Self {
        a / b * f16::from_f32(255.0)
    }
}

impl Float for f32 {
    fn share(a: Self, b: Self) -> Self {
        a / b * 255.0
    }
}

impl Float for f64 {
    fn share(a: Self, b: Self) -> Self {
        a / b * 255.0
    }
}

fn float<T: Float + Sample>(slice: &str, values: &[T], mode: Preprocessing) -> Result<Scaled> {
    if mode == Preprocessing::Clinical {
        finite(slice, values)?;
    }
    let Some((&first, rest)) = values.split_first() else {
        return Err(Error::input(slice, "at least one value", "none"));
    };
    let (min, max) = rest.iter().fold((first, first), |(min, max), &value| {
        (if value < min { value } else { min }, if value > max { value } else { max })
    });
    let window = [min.into(), max.into()];
    let range = max - min;
    let finite = values.iter().all(|value| value.value().is_finite()) && range.into().is_finite();
    if !finite {
        if mode == Preprocessing::Clinical {
            return Err(Error::input(
                slice,
                "a range that its type can hold",
                format!("{} to {}", window[0], window[1]),
            )
            .hint("save the volume as float64"));
        }
        // NumPy's cast makes 0 of every NaN, and with an infinity in it every quotient is NaN or 0.
        return Ok(Scaled { grey: vec![0; values.len()], window, wraps: true });
    }
    let grey = match range.into() == 0.0 {
        true => vec![0; values.len()],
        false => values.iter().map(|&value| T::share(value - min, range).into() as u8).collect(),
    };
    Ok(Scaled { grey, window, wraps: false })
}

/// What the integer types share.
pub(super) trait Integer: Copy + Ord + Into<i128> {
    /// `a - b`, wrapping around in the type.
    fn wrapping(a: Self, b: Self) -> Self;
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Integer for $type {
            fn wrapping(a: Self, b: Self) -> Self {
                a.wrapping_sub(b)
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 u8 u16 u32 u64);

fn integer<T: Integer>(_: &str, values: &[T], mode: Preprocessing) -> Result<Scaled> {
    let (Some(&min), Some(&max)) = (values.iter().min(), values.iter().max()) else {
        return Ok(Scaled { grey: Vec::new(), window: [0.0; 2], wraps: false });
    };
    let range = max.into() - min.into();
    let wraps = range != T::wrapping(max, min).into();
    let grey = match (range, wraps, mode) {
        (0, ..) => vec![0; values.len()],
        (_, true, Preprocessing::Reference) => {
            let range = T::wrapping(max, min).into() as f64;
            values
                .iter()
                .map(|&value| low_byte(T::wrapping(value, min).into() as f64 / range * 255.0))
                .collect()
        }
        _ => values.iter().map(|&value| grey((value.into() - min.into()) as f64, range as f64)).collect(),
    };
    Ok(Scaled { grey, window: [min.into() as f64, max.into() as f64], wraps })
}

/// From a value above the lowest to 0..255, in double precision; what is beyond becomes 0 or 255.
fn grey(above: f64, range: f64) -> u8 {
    (above / range * 255.0) as u8
}

/// A number of a volume.
pub(super) trait Sample: Copy {
    /// The number in double precision.
    fn value(self) -> f64;

    /// A slice scaled from its own range.
    ///
    /// # Errors
    /// [`Error::Input`] naming the slice, in clinical mode, if it holds NaN or infinity or its range is infinite in its type.
    fn own_range(slice: &str, values: &[Self], mode: Preprocessing) -> Result<Scaled>;
}

macro_rules! samples {
    ($way:ident: $($type:ty)*) => {$(
        impl Sample for $type {
            fn value(self) -> f64 {
                samples!(@value $way self)
            }

            fn own_range(slice: &str, values: &[Self], mode: Preprocessing) -> Result<Scaled> {
                $way(slice, values, mode)
            }
        }
    )*};
    (@value integer $self:ident) => { $self as f64 };
    (@value float $self:ident) => { $self.into() };
}

samples!(integer: i8 i16 i32 i64 u8 u16 u32 u64);
samples!(float: f16 f32 f64);

/// A slice in 8 bits.
///
/// # Errors
/// [`Error::Input`] naming the slice, in clinical mode, if it holds NaN or infinity, or, scaled from its own range, if that is
/// infinite in its type.
pub(super) fn scaled<T: Sample>(
    slice: &str,
    values: &[T],
    windowing: Windowing,
    mode: Preprocessing,
) -> Result<Scaled> {
    let Windowing::Window(window) = windowing else { return T::own_range(slice, values, mode) };
    if mode == Preprocessing::Clinical {
        finite(slice, values)?;
    }
    let Window { center, width, function } = window;
    let [low, high] = match function {
        WindowFunction::Linear => [center - 0.5 - (width - 1.0) / 2.0, center - 0.5 + (width - 1.0) / 2.0],
        WindowFunction::LinearExact | WindowFunction::Sigmoid => [center - width / 2.0, center + width / 2.0],
    };
    // What is not a number becomes 0.
    let grey = |value: f64| match function {
        WindowFunction::Linear if width == 1.0 => {
            if value > low {
                255
            } else {
                0
            }
        }
        WindowFunction::Linear => grey(value - low, width - 1.0),
        WindowFunction::LinearExact => grey(value - low, width),
        WindowFunction::Sigmoid => (255.0 / (1.0 + (-4.0 * (value - center) / width).exp())) as u8,
    };
    let grey = values.iter().map(|&value| grey(value.value())).collect();
    Ok(Scaled { grey, window: [low, high], wraps: false })
}

/// Refuses values that are no measurements.
fn finite<T: Sample>(slice: &str, values: &[T]) -> Result<()> {
    match values.iter().map(|value| value.value()).find(|value| !value.is_finite()) {
        Some(value) => {
            Err(Error::input(slice, "finite values", value).hint("replace what is not a measurement"))
        }
        None => Ok(()),
    }
}

/// What NumPy's cast from double to uint8 gives on x86-64 outside 0..255, where C leaves it undefined: the low byte of
/// the 32-bit integer, which is 0 where that overflows.
fn low_byte(value: f64) -> u8 {
    match value > -2_147_483_649.0 && value < 2_147_483_648.0 {
        true => value as i32 as u8,
        false => 0,
    }
}
