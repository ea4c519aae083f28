//! From the range of a slice to 0..255, in the arithmetic that NumPy uses for each type.
//!
//! The rule is the script's: `((slice - min) / (max - min) * 255).astype(uint8)`, or zeros where `max - min` is 0. Every
//! step of it is done in the array's own floating-point type; integers are subtracted as integers and divided in double
//! precision.

use half::f16;

use crate::error::{Error, Result};
use crate::study::{Preprocessing, Window, WindowFunction, Windowing};

/// A slice in 8 bits.
pub(in crate::input) struct Scaled {
    /// Row by row.
    pub(in crate::input) grey: Vec<u8>,
    /// The values that became 0 and 255.
    pub(in crate::input) window: [f64; 2],
    /// Whether the range is wider than the slice's integer type.
    pub(in crate::input) wraps: bool,
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
        return Err(Error::input(slice, "at least one value", "none").hint("check the shape of the array"));
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
trait Integer: Copy + Ord + Into<i128> {
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

/// How the slices of a volume become 8 bits.
pub(in crate::input) struct Scaling<'a> {
    /// The volume, for messages.
    pub(in crate::input) name: &'a str,
    pub(in crate::input) windowing: Windowing,
    pub(in crate::input) mode: Preprocessing,
}

impl Scaling<'_> {
    /// A slice in 8 bits.
    ///
    /// # Errors
    /// [`Error::Input`] naming the slice, in clinical mode, if it holds NaN or infinity, or, scaled from its own range, if that
    /// is infinite in its type.
    pub(super) fn scale<T: Sample>(&self, index: usize, values: &[T]) -> Result<Scaled> {
        let slice = format!("{}: slice {index}", self.name);
        let Windowing::Window(window) = self.windowing else {
            return T::own_range(&slice, values, self.mode);
        };
        if self.mode == Preprocessing::Clinical {
            finite(&slice, values)?;
        }
        let (ends, grey) = curve(window);
        Ok(Scaled {
            grey: values.iter().map(|&value| grey(value.value())).collect(),
            window: ends,
            wraps: false,
        })
    }
}

/// The values that a window makes 0 and 255 of. Of a sigmoid window, which never reaches them, where its steepest line does.
pub(super) fn ends(Window { center, width, function }: Window) -> [f64; 2] {
    match function {
        WindowFunction::Linear => [center - 0.5 - (width - 1.0) / 2.0, center - 0.5 + (width - 1.0) / 2.0],
        WindowFunction::LinearExact | WindowFunction::Sigmoid => [center - width / 2.0, center + width / 2.0],
    }
}

/// What a sigmoid window makes of a value, from 0 to 1.
pub(super) fn sigmoid(Window { center, width, .. }: Window, value: f64) -> f64 {
    1.0 / (1.0 + (-4.0 * (value - center) / width).exp())
}

/// A slice in 8 bits: `low` becomes 0, `high` 255.
pub(super) fn between(values: &[f32], [low, high]: [f64; 2]) -> Vec<u8> {
    values.iter().map(|&value| grey(f64::from(value) - low, high - low)).collect()
}

/// The values that a window makes 0 and 255 of, and what it makes of any value, not cut to 0 to 255 nor to whole numbers. What
/// is not a number stays none.
pub(in crate::input) fn levels(window: Window) -> ([f64; 2], Box<dyn Fn(f64) -> f64>) {
    let [low, high] = ends(window);
    let width = window.width;
    let level: Box<dyn Fn(f64) -> f64> = match window.function {
        WindowFunction::Linear if width == 1.0 => {
            Box::new(move |value| if value > low { 255.0 } else { 0.0 })
        }
        WindowFunction::Linear => Box::new(move |value| (value - low) / (width - 1.0) * 255.0),
        WindowFunction::LinearExact => Box::new(move |value| (value - low) / width * 255.0),
        WindowFunction::Sigmoid => Box::new(move |value| 255.0 * sigmoid(window, value)),
    };
    ([low, high], level)
}

/// The same in 8 bits. What is not a number becomes 0.
fn curve(window: Window) -> ([f64; 2], impl Fn(f64) -> u8) {
    let (ends, level) = levels(window);
    (ends, move |value| level(value) as u8)
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
