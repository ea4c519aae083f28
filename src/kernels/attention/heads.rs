//! Where the numbers of heads are.

/// Vectors of heads: that of a head at a position of a batch's member begins at
/// `member * batch + position * stride + head * between`.
#[derive(Clone, Copy)]
pub(crate) struct Heads<'a> {
    pub(crate) numbers: &'a [f32],
    /// Numbers from one member of the batch to the next.
    pub(crate) batch: usize,
    /// Numbers from position to position.
    pub(crate) stride: usize,
    /// Numbers from head to head.
    pub(crate) between: usize,
}

impl<'a> Heads<'a> {
    /// The numbers of a head from a position on.
    pub(super) fn from(&self, member: usize, position: usize, head: usize) -> &'a [f32] {
        &self.numbers[member * self.batch + position * self.stride + head * self.between..]
    }
}
