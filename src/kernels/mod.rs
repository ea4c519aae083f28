//! What takes most of the time on a CPU, in the instructions of the machine: products with weights in blocks, attention,
//! norms, and what feed-forward layers do number by number.
//!
//! Products are those of ONNX Runtime's `MatMulNBits` at accuracy level 4, on the weights as they stand in the file: activations
//! are rounded to 8 bits, by row and block of inputs. What is multiplied and added up within a block are whole numbers, so
//! nothing is lost there. Scales are applied in one order that all instruction sets keep, so that each gives the same bits:
//! `plain.rs` says which. AMX is the exception: for many rows it rounds both sides to bfloat16, which loses less.

#![allow(
    clippy::needless_range_loop,
    reason = "rows and lanes are registers: what is done with each is unrolled"
)]

#[cfg(target_arch = "x86_64")]
mod tile_registers;
mod instructions;
mod blockwise;
mod threads;
mod output;
mod scratch;
mod activations;
mod few;
mod panel;
mod plain;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod amx;
mod vector;
mod vectorised;
mod elementwise;
mod norm;
mod attention;
mod dispatch;
mod product;
#[cfg(test)]
mod tests;

pub(crate) use attention::{Attention, Cached, Heads, Rotation, Sight, attend, attend_cached};
pub(crate) use blockwise::{Blockwise, Zeros};
pub(crate) use elementwise::{Function, apply};
pub(crate) use instructions::Instructions;
pub(crate) use norm::{Norm, Streams, add_and_norm};
pub(crate) use product::product;
pub(crate) use threads::Threads;
