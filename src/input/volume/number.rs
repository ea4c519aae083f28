//! The number types of volumes.

use half::f16;

use super::window::{Scaled, Scaling};
use crate::error::Result;
use crate::study::Preprocessing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::input) enum ByteOrder {
    Little,
    Big,
}

/// The number types of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::input) enum Number {
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

impl Number {
    /// Byte order and type of a descriptor such as `<f4`.
    pub(in crate::input) fn of(descriptor: &str) -> Option<(ByteOrder, Self)> {
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
    pub(in crate::input) fn size(self) -> usize {
        match self {
            Number::I8 | Number::U8 => 1,
            Number::F16 | Number::I16 | Number::U16 => 2,
            Number::F32 | Number::I32 | Number::U32 => 4,
            Number::F64 | Number::I64 | Number::U64 => 8,
        }
    }

    /// A slice in 8 bits, from its bytes.
    ///
    /// # Errors
    /// As [`Scaling::scale`].
    pub(in crate::input) fn scale(
        self,
        scaling: &Scaling<'_>,
        index: usize,
        bytes: &[u8],
        order: ByteOrder,
    ) -> Result<Scaled> {
        match self {
            Number::F16 => scaling.scale(index, &values(bytes, order, f16::from_le_bytes)),
            Number::F32 => scaling.scale(index, &values(bytes, order, f32::from_le_bytes)),
            Number::F64 => scaling.scale(index, &values(bytes, order, f64::from_le_bytes)),
            Number::I8 => scaling.scale(index, &values(bytes, order, i8::from_le_bytes)),
            Number::I16 => scaling.scale(index, &values(bytes, order, i16::from_le_bytes)),
            Number::I32 => scaling.scale(index, &values(bytes, order, i32::from_le_bytes)),
            Number::I64 => scaling.scale(index, &values(bytes, order, i64::from_le_bytes)),
            Number::U8 => scaling.scale(index, &values(bytes, order, u8::from_le_bytes)),
            Number::U16 => scaling.scale(index, &values(bytes, order, u16::from_le_bytes)),
            Number::U32 => scaling.scale(index, &values(bytes, order, u32::from_le_bytes)),
            Number::U64 => scaling.scale(index, &values(bytes, order, u64::from_le_bytes)),
        }
    }

    /// The numbers of these bytes times a slope plus an intercept, in single precision, computed in double. Replaces what `out`
    /// holds.
    pub(in crate::input) fn read(
        self,
        (bytes, order): (&[u8], ByteOrder),
        scaling: [f64; 2],
        out: &mut Vec<f32>,
    ) {
        let scale = |value: f64| rescaled(value, scaling);
        out.clear();
        match self {
            Number::F16 => out.extend(numbers(bytes, order, |b| scale(f16::from_le_bytes(b).into()))),
            Number::F32 => out.extend(numbers(bytes, order, |b| scale(f32::from_le_bytes(b).into()))),
            Number::F64 => out.extend(numbers(bytes, order, |b| scale(f64::from_le_bytes(b)))),
            Number::I8 => out.extend(numbers(bytes, order, |b| scale(i8::from_le_bytes(b).into()))),
            Number::I16 => out.extend(numbers(bytes, order, |b| scale(i16::from_le_bytes(b).into()))),
            Number::I32 => out.extend(numbers(bytes, order, |b| scale(i32::from_le_bytes(b).into()))),
            Number::I64 => out.extend(numbers(bytes, order, |b| scale(i64::from_le_bytes(b) as f64))),
            Number::U8 => out.extend(numbers(bytes, order, |b| scale(u8::from_le_bytes(b).into()))),
            Number::U16 => out.extend(numbers(bytes, order, |b| scale(u16::from_le_bytes(b).into()))),
            Number::U32 => out.extend(numbers(bytes, order, |b| scale(u32::from_le_bytes(b).into()))),
            Number::U64 => out.extend(numbers(bytes, order, |b| scale(u64::from_le_bytes(b) as f64))),
        }
    }

    /// What to say of slices whose range is wider than their type, or that are not finite.
    pub(in crate::input) fn warning(self, slices: &[usize], mode: Preprocessing) -> Option<String> {
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

/// A number times a slope plus an intercept, in single precision, computed in double.
pub(super) fn rescaled(value: f64, [slope, intercept]: [f64; 2]) -> f32 {
    (value * slope + intercept) as f32
}

/// The numbers of a slice, from bytes in either order.
fn values<const N: usize, T>(bytes: &[u8], order: ByteOrder, of: impl Fn([u8; N]) -> T) -> Vec<T> {
    numbers(bytes, order, of).collect()
}

fn numbers<const N: usize, T>(
    bytes: &[u8],
    order: ByteOrder,
    of: impl Fn([u8; N]) -> T,
) -> impl Iterator<Item = T> {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers.iter().copied().map(move |mut bytes: [u8; N]| {
        if order == ByteOrder::Big {
            bytes.reverse();
        }
        of(bytes)
    })
}
