//! A single picture from a file, in the pixel mode that Pillow 11.3 would open it in.
//!
//! The mode matters because the reference resizes in it; a mode that this crate does not reproduce exactly is
//! refused by name.

mod ifd;
mod orientation;
mod picture;
mod paced;
mod layout;
mod wide;
// ── formats
mod png;
mod webp;
mod jpeg;
mod bmp;
mod gif;
mod tiff;
// ── the table of them
mod formats;
mod mend;
mod file;

#[cfg(test)]
mod tests;

pub(super) use file::{open, sniff};
