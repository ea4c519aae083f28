//! A single picture from a file, in the pixel mode that Pillow 11.3 would open it in.
//!
//! The mode matters because the reference resizes in it; a mode that this crate does not reproduce exactly is
//! refused by name.

mod ifd;
mod orientation;
mod picture;
mod paced;
mod canvas;
mod reel;
mod layout;
mod wide;
mod coded;
// ── formats
mod png;
mod webp;
mod jpeg;
mod jpeg_2000;
mod bmp;
mod gif;
mod tiff;
#[cfg(feature = "video")]
mod heif;
// ── the table of them
mod formats;
mod mend;
mod file;
mod animation;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod clip_tests;
#[cfg(all(test, feature = "video"))]
mod heif_tests;

pub(super) use animation::{open as open_clip, sniff as sniff_clip};
pub(super) use file::{open, sniff};
pub(super) use mend::of_rgba;
