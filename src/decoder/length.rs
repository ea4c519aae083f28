//! How far the cache is filled: the next tokens of slots, and the input by which the graph learns the length.

use ndarray::{Array0, Array1};

use crate::error::{Error, Result};
use crate::onnx::{Device, Graph, Tensor};
use crate::package::GraphContract;

/// The input that carries the filled length of the cache, in graphs for the CPU and CUDA.
pub(super) const LENGTH: &str = "total_sequence_length";
/// The input that carries the positions 0..n of the cache that are read, in graphs for TensorRT, whose sizes all come from
/// the shapes of inputs.
const POSITIONS: &str = "key_positions";

/// The next token of a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Next {
    pub(crate) id: u32,
    /// Tokens in the slot before it.
    pub(crate) position: usize,
}

/// How the length of the longest row enters the graph.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LengthInput {
    /// As it is.
    Exact,
    /// In steps rounded up to a power of two, at most the capacity. The length is part of a recording, and a step that is not
    /// recorded must compute the same.
    PowerOfTwo,
    /// As the positions that are read; with the number of positions that are bound, if any.
    Positions(Option<usize>),
}

/// Shorter lengths are not worth recordings of their own.
const MIN_POWER_OF_TWO: usize = 512;
/// TensorRT works out all sizes anew for every new shape, so the number of positions grows in blocks.
const POSITIONS_AT_ONCE: usize = 256;

impl LengthInput {
    /// How the length enters this graph on this device.
    ///
    /// # Errors
    /// [`Error::Package`] for a graph without an input for it.
    pub(super) fn of(contract: &GraphContract, device: &Device) -> Result<Self> {
        let mut names = contract.inputs.iter().map(|tensor| tensor.name.as_str());
        match names.find(|name| [LENGTH, POSITIONS].contains(name)) {
            Some(POSITIONS) => Ok(Self::Positions(None)),
            Some(_) if device.can_record() => Ok(Self::PowerOfTwo),
            Some(_) => Ok(Self::Exact),
            None => Err(Error::package(
                format!("{}: inputs", contract.file),
                format!("{LENGTH} or {POSITIONS}"),
                "neither",
            )
            .hint("export the checkpoint again, with this version's exporter")),
        }
    }

    /// The length that a step binds, after which the slots have `totals` tokens.
    pub(super) fn of_step(self, totals: &[usize], capacity: usize) -> usize {
        let longest = totals.iter().max().copied().unwrap_or_default();
        match self {
            Self::Exact | Self::Positions(_) => longest,
            // not the capacity: CUDA splits attention into blocks by this length, and all of a short conversation would be in
            // one block
            Self::PowerOfTwo => longest.next_power_of_two().max(MIN_POWER_OF_TWO).min(capacity),
        }
    }

    /// Binds the length of the longest row, in a cache with this capacity.
    ///
    /// # Errors
    /// [`Error::Request`] for more positions than the graph's plan takes, [`Error::Runtime`] if it cannot be bound.
    pub(super) fn bind(&mut self, graph: &mut Graph, longest: usize, capacity: usize) -> Result<()> {
        let Self::Positions(bound) = self else {
            return graph.bind_input(LENGTH, &Tensor::new(Array0::from_elem((), longest as i32))?);
        };
        let read = longest.next_multiple_of(POSITIONS_AT_ONCE).min(capacity);
        if *bound != Some(read) {
            graph.bind_input(POSITIONS, &Tensor::new(Array1::from_iter(0..read as i64))?)?;
            *bound = Some(read);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_input_for_the_length_decides_the_form() {
        let input = |names: &[&str], device: &str| {
            let inputs = names.iter().map(|name| json!({"name": name, "dtype": "int64", "shape": []}));
            let contract =
                json!({"file": "decoder.onnx", "inputs": inputs.collect::<Vec<_>>(), "outputs": []});
            let contract = serde_json::from_value(contract).unwrap();
            LengthInput::of(&contract, &Device::parse(device, &[]).unwrap())
        };
        assert!(input(&["input_ids", LENGTH], "cpu").unwrap() == LengthInput::Exact);
        assert!(input(&["input_ids", LENGTH], "cuda").unwrap() == LengthInput::PowerOfTwo);
        assert!(input(&["input_ids", POSITIONS], "cuda").unwrap() == LengthInput::Positions(None));
        let error = input(&["input_ids", "seqlens_k"], "cpu").err().unwrap().to_string();
        assert!(error.contains("decoder.onnx: inputs") && error.contains(POSITIONS), "{error}");
    }

    #[test]
    fn there_are_few_recordings_for_many_lengths() {
        let bound = |longest| LengthInput::PowerOfTwo.of_step(&[3, longest, 1], 3000);
        let lengths = [1, 512, 513, 1024, 1025, 2048, 2049, 3000].map(bound);
        assert_eq!(lengths, [512, 512, 1024, 1024, 2048, 2048, 3000, 3000]);
        assert_eq!(LengthInput::PowerOfTwo.of_step(&[7], 64), 64);
        assert_eq!(LengthInput::Exact.of_step(&[7, 600], 3000), 600);
    }
}
