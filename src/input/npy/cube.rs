//! Where in a file the numbers of a slice are.

/// Three axes in the order of the file, slowest first, one of which counts the slices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cube {
    /// Which of them counts the slices: 0, 1 or 2.
    pub(super) counts: usize,
    /// How many slices there are.
    slices: usize,
    /// Length of the slower one of the other two.
    pub(super) slow: usize,
    /// Length of the faster one.
    fast: usize,
    /// Whether the slower one runs along a row of the picture, so that slices are turned over.
    turned: bool,
}

impl Cube {
    /// An array of this shape whose slices are counted by this axis, and which axis runs fastest.
    pub(super) fn new(shape: [usize; 3], axis: usize, layout: Order) -> Self {
        let (order, counts) = match layout {
            Order::C => ([0, 1, 2], axis),
            Order::Fortran => ([2, 1, 0], 2 - axis),
        };
        let mut others = order.into_iter().filter(|other| *other != axis).map(|other| shape[other]);
        let (slow, fast) = (others.next().unwrap_or(1), others.next().unwrap_or(1));
        Self { counts, slices: shape[axis], slow, fast, turned: layout == Order::Fortran }
    }

    /// Numbers of one slice.
    pub(super) fn plane(&self) -> usize {
        self.slow * self.fast
    }

    /// Numbers between neighbours along `slow`, where slices are not whole pieces of the file.
    pub(super) fn block(&self) -> usize {
        self.slices * self.fast
    }

    /// Whether a slice stands in the file as it is in the picture.
    pub(super) fn is_plain(&self) -> bool {
        self.counts == 0 && !self.turned
    }

    /// Puts a slice that is one piece of the file in the picture's order. Numbers have `size` bytes.
    pub(super) fn turn(&self, size: usize, stored: &[u8], slice: &mut [u8]) {
        for slow in 0..self.slow {
            let from = |fast| slow * self.fast + fast;
            self.copy(size, slow, (stored, &from), slice);
        }
    }

    /// Takes from block number `slow` what belongs to the slice at `place`. Numbers have `size` bytes.
    pub(super) fn pick(&self, size: usize, (slow, place): (usize, usize), block: &[u8], slice: &mut [u8]) {
        let from = |fast| match self.counts {
            1 => place * self.fast + fast,
            _ => fast * self.slices + place,
        };
        self.copy(size, slow, (block, &from), slice);
    }

    /// Copies a line of the slice; `from` says where each of its numbers is in the block.
    fn copy(&self, size: usize, slow: usize, from: (&[u8], &dyn Fn(usize) -> usize), slice: &mut [u8]) {
        match size {
            1 => self.copy_sized::<1>(slow, from, slice),
            2 => self.copy_sized::<2>(slow, from, slice),
            4 => self.copy_sized::<4>(slow, from, slice),
            _ => self.copy_sized::<8>(slow, from, slice),
        }
    }

    fn copy_sized<const N: usize>(
        &self,
        slow: usize,
        (block, from): (&[u8], &dyn Fn(usize) -> usize),
        slice: &mut [u8],
    ) {
        let (block, slice) = (block.as_chunks::<N>().0, slice.as_chunks_mut::<N>().0);
        for fast in 0..self.fast {
            let to = if self.turned { fast * self.slow + slow } else { slow * self.fast + fast };
            slice[to] = block[from(fast)];
        }
    }
}

/// Which axis of an array runs fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The last one.
    C,
    /// The first one.
    Fortran,
}
