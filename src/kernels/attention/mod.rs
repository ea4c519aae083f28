//! Attention in float32: scores, softmax and weighted values in one pass over blocks of keys.

mod heads;
mod block;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod dispatch;
mod attend;
mod cached;
#[cfg(test)]
mod tests;

pub(crate) use attend::{Attention, Sight, attend};
pub(crate) use cached::{Cached, Rotation, attend_cached};
pub(crate) use heads::Heads;
