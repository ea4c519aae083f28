//! Weights in blocks.

/// Values of a block at most.
pub(super) const BLOCK: usize = 256;

/// Where levels of zero are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// The middle level, everywhere.
    Middle,
    /// Stored for each block.
    Stored,
}

impl Zeros {
    fn of(stored: Option<&[u8]>) -> Self {
        stored.map_or(Self::Middle, |_| Self::Stored)
    }
}

/// A weight whose rows are cut into blocks with a scale each, as `MatMulNBits` stores it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blockwise<'a> {
    /// Of a level: 4 or 8.
    pub(crate) bits: usize,
    /// Values that share a scale: a multiple of 32. The last block of a row is filled up.
    pub(crate) block: usize,
    /// Rows of the weight.
    pub(crate) outputs: usize,
    /// Values of a row.
    pub(crate) inputs: usize,
    /// `[outputs, blocks, block * bits / 8]`. Of two levels of 4 bits the first is the lower half of a byte.
    pub(crate) levels: &'a [u8],
    /// `[outputs, blocks]`
    pub(crate) scales: &'a [f32],
    /// The levels of zero, packed: `[outputs, ceil(blocks / 2)]`, for 4 bits alone. Without them it is the middle one.
    pub(crate) zeros: Option<&'a [u8]>,
}

impl<'a> Blockwise<'a> {
    /// Blocks of a row.
    pub(super) fn blocks(&self) -> usize {
        self.inputs.div_ceil(self.block)
    }

    /// Values of a row with those that fill up its last block.
    pub(super) fn padded(&self) -> usize {
        self.blocks() * self.block
    }

    /// The levels of a row, packed.
    pub(super) fn row(&self, output: usize) -> &'a [u8] {
        let bytes = self.padded() * self.bits / 8;
        &self.levels[output * bytes..][..bytes]
    }

    /// The scales of a row's blocks.
    pub(super) fn row_scales(&self, output: usize) -> &'a [f32] {
        &self.scales[output * self.blocks()..][..self.blocks()]
    }

    /// The levels of zero of a row, packed, where they are stored.
    pub(super) fn row_zeros(&self, output: usize) -> Option<&'a [u8]> {
        let bytes = self.blocks().div_ceil(2);
        self.zeros.map(|zeros| &zeros[output * bytes..][..bytes])
    }

    /// The level that stands for zero where none are stored.
    pub(super) fn middle(&self) -> u8 {
        1 << (self.bits - 1)
    }

    /// The level that stands for zero in a block of a row.
    pub(super) fn zero(&self, output: usize, block: usize) -> u8 {
        let Some(zeros) = self.row_zeros(output) else { return self.middle() };
        let byte = zeros[block / 2];
        if block.is_multiple_of(2) { byte & 15 } else { byte >> 4 }
    }

    /// Whether the kernels compute with weights that are stored so.
    pub(crate) fn takes(bits: usize, block: usize, zeros: Zeros) -> bool {
        matches!(block, 32 | 64 | 128 | BLOCK) && (bits == 4 || bits == 8 && zeros == Zeros::Middle)
    }

    /// Whether the lengths of its parts are right, and the kernels can compute with it.
    pub(super) fn is_sound(&self) -> bool {
        let zeros = self.outputs * self.blocks().div_ceil(2);
        Self::takes(self.bits, self.block, Zeros::of(self.zeros))
            && self.inputs > 0
            && self.levels.len() == self.outputs * self.padded() * self.bits / 8
            && self.scales.len() == self.outputs * self.blocks()
            && self.zeros.is_none_or(|found| found.len() == zeros)
    }
}
