//! The memory that graphs compute in: the host's, or a device's, which only ONNX Runtime can access.

use ndarray::{Array, Dimension as Rank};
use ort::memory::{Allocator, MemoryInfo};
use ort::value::{DynTensor, PrimitiveTensorElementType};

use super::raw::Block;
use crate::error::{Error, Result};

/// The memory that a graph computes in.
pub(crate) enum Memory {
    /// The host's, which this process can access.
    Host(Allocator),
    /// A device's. ONNX Runtime copies within it, never through the host.
    Device(Allocator),
}

/// Rows in memory that never moves; their values change in place.
pub(crate) struct FixedRows {
    block: Block,
    /// Sizes of one row.
    row: Vec<usize>,
}

/// A tensor of ONNX Runtime, in any memory.
pub(crate) struct Tensor(pub(super) DynTensor);

impl Memory {
    /// What allocates in this memory.
    pub(super) fn allocator(&self) -> &Allocator {
        match self {
            Self::Host(allocator) | Self::Device(allocator) => allocator,
        }
    }

    /// ONNX Runtime's description of this memory.
    pub(super) fn info(&self) -> &MemoryInfo<'_> {
        self.allocator().memory_info()
    }

    /// Moves a tensor of the host's into this memory. Copies unless this is the host's.
    pub(crate) fn take(&self, tensor: Tensor) -> Result<Tensor> {
        match self {
            Self::Host(_) => Ok(tensor),
            Self::Device(_) => self.copy_of(&tensor),
        }
    }

    /// A copy of the tensor in this memory.
    pub(super) fn copy_of(&self, tensor: &Tensor) -> Result<Tensor> {
        let block = Block::new(self.allocator(), *tensor.0.data_type(), &tensor.sizes());
        let mut copy = block.map_err(|error| failed(&error))?.into_tensor();
        copy_values(&tensor.0, &mut copy).map_err(|error| failed(&error))?;
        Ok(Tensor(copy))
    }
}

impl FixedRows {
    /// Rows in this memory, initialised with those of the array.
    pub(crate) fn new<T, D>(memory: &Memory, rows: Array<T, D>) -> Result<Self>
    where
        T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
        D: Rank + 'static,
    {
        let row = rows.shape()[1..].to_vec();
        let tensor = memory.copy_of(&Tensor::new(rows)?)?;
        Ok(Self { block: Block::of(tensor.0).map_err(|error| failed(&error))?, row })
    }

    /// The first `rows` rows, as a tensor on the same memory. It must not outlive these rows.
    pub(crate) fn first(&mut self, rows: usize) -> Result<Tensor> {
        let sizes = [&[rows], self.row.as_slice()].concat();
        self.block.view(0, &sizes).map(Tensor).map_err(|error| failed(&error))
    }

    /// Overwrites the first rows with the array's and returns them, as [`first`](Self::first) does.
    pub(crate) fn fill<T, D>(&mut self, rows: Array<T, D>) -> Result<Tensor>
    where
        T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
        D: Rank + 'static,
    {
        let mut first = self.first(rows.shape()[0])?;
        copy_values(&Tensor::new(rows)?.0, &mut first.0).map_err(|error| failed(&error))?;
        Ok(first)
    }
}

impl Tensor {
    /// A tensor of the array's values, row-major, in the host's memory.
    pub(crate) fn new<T, D>(array: Array<T, D>) -> Result<Self>
    where
        T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
        D: Rank + 'static,
    {
        let shape: Vec<i64> = array.shape().iter().map(|&size| size as i64).collect();
        let values = if array.is_standard_layout() {
            array.into_raw_vec_and_offset().0
        } else {
            array.iter().cloned().collect()
        };
        let tensor = ort::value::Tensor::from_array((shape, values)).map_err(|error| failed(&error))?;
        Ok(Self(tensor.upcast()))
    }

    pub(super) fn sizes(&self) -> Vec<usize> {
        self.0.shape().iter().map(|&size| size as usize).collect()
    }

    /// Its bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.0.size().unwrap_or_default()
    }

    /// The values, row-major.
    ///
    /// # Errors
    /// [`Error::Runtime`] if they are not in the host's memory or of another type.
    pub(crate) fn numbers(&self) -> Result<&[f32]> {
        let (_, numbers) = self.0.try_extract_tensor::<f32>().map_err(|error| failed(&error))?;
        Ok(numbers)
    }

    /// A copy in the host's memory.
    pub(crate) fn on_host(&self) -> Result<Self> {
        Memory::Host(Allocator::default()).copy_of(self)
    }

    /// A copy of the values, row-major, from any memory.
    pub(crate) fn to_vec(&self) -> Result<Vec<f32>> {
        match self.0.memory_info().is_cpu_accessible() {
            true => Ok(self.numbers()?.to_vec()),
            false => self.on_host()?.to_vec(),
        }
    }
}

/// Copies the values of a tensor into one of the same sizes, in any memory.
pub(super) fn copy_values(from: &DynTensor, to: &mut DynTensor) -> ort::Result<()> {
    #[cfg(test)]
    fault::next()?;
    from.copy_into(to)
}

pub(super) fn failed(error: &ort::Error) -> Error {
    Error::runtime("tensor", "one that can be made and copied", error)
        .hint("fewer slots, a smaller context or smaller batches take less memory")
}

/// Copies that fail, as a device's can.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;

    thread_local! {
        /// How many copies of this thread succeed before one fails.
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Lets one copy of this thread fail, after so many that succeed.
    pub(crate) fn after(copies: usize) {
        LEFT.set(Some(copies));
    }

    pub(super) fn next() -> ort::Result<()> {
        let left = LEFT.take();
        LEFT.set(left.and_then(|left| left.checked_sub(1)));
        match left {
            Some(0) => Err(ort::Error::new("a copy that fails")),
            _ => Ok(()),
        }
    }
}
