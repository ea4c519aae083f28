//! The KV cache: allocated once for all slots, updated in place by every run of the decoder.

use std::collections::HashMap;
use std::ops::Range;

use ort::memory::Allocator;
use ort::value::TensorElementType;

use super::graph::Graph;
use super::memory::{Memory, Tensor, copy_values};
use super::raw::Block;
use crate::error::{Error, Result};

/// The sizes of a KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    pub(crate) layers: usize,
    /// Conversations in memory.
    pub(crate) slots: usize,
    /// Key-value heads in a layer.
    pub(crate) heads: usize,
    /// Tokens in a slot.
    pub(crate) capacity: usize,
    pub(crate) head_dim: usize,
    pub(crate) numbers: KvNumbers,
}

/// The type of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KvNumbers {
    Float32,
    Float16,
    Bfloat16,
}

/// A key and a value tensor for each layer, `[slots, heads, capacity, head_dim]`. They are bound as past and as present: a
/// run appends to them and copies nothing. Neighbouring slots are bound as tensors of their own.
pub(crate) struct KvArena {
    shape: KvShape,
    /// Names and memory: `key.0`, `value.0`, `key.1`, ….
    blocks: Vec<(String, Block)>,
    /// Views of neighbouring slots, by the first slot and their number, in the order of `blocks`.
    views: HashMap<(usize, usize), Vec<Tensor>>,
    bound: Range<usize>,
    access: Access,
    /// Why slots could not be moved. Their content is unknown from then on.
    broken: Option<String>,
}

/// How the arena moves the content of slots.
enum Access {
    /// As bytes in the host's memory, only those of the tokens.
    Bytes,
    /// As tensors that ONNX Runtime copies on the device. Whole slots, because each copy has a fixed price. The block is
    /// one slot of one tensor, for exchanges.
    Tensors(Block),
}

impl KvNumbers {
    /// The type of that name in `fleming.json`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [("float32", Self::Float32), ("float16", Self::Float16), ("bfloat16", Self::Bfloat16)]
            .into_iter()
            .find_map(|(known, numbers)| (known == name).then_some(numbers))
    }

    /// Bytes of one number.
    fn width(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float16 | Self::Bfloat16 => 2,
        }
    }

    fn element(self) -> TensorElementType {
        match self {
            Self::Float32 => TensorElementType::Float32,
            Self::Float16 => TensorElementType::Float16,
            Self::Bfloat16 => TensorElementType::Bfloat16,
        }
    }
}

impl KvShape {
    /// Bytes of memory for all layers and slots; `u64::MAX` for more than can be counted.
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = [self.layers, self.slots, self.heads, self.capacity, self.head_dim, self.numbers.width()];
        sizes.iter().fold(2, |bytes: u64, &size| bytes.saturating_mul(size as u64))
    }

    /// Refuses a cache of more bytes than memory can have. No product of its sizes overflows otherwise.
    fn check(&self) -> Result<()> {
        match self.bytes() <= isize::MAX as u64 {
            true => Ok(()),
            false => Err(Error::request(
                "KV cache",
                format!("at most {} bytes", isize::MAX),
                format!(
                    "{} layers of {} slots, {} heads, {} tokens and {} numbers per token",
                    self.layers, self.slots, self.heads, self.capacity, self.head_dim
                ),
            )
            .hint("ask for a smaller context or fewer slots")),
        }
    }

    /// Numbers in one slot of one tensor.
    fn slot_numbers(&self) -> usize {
        self.heads * self.capacity * self.head_dim
    }

    /// The bytes of the first `tokens` tokens of a slot in each tensor, a range for each head.
    fn spans(&self, slot: usize, tokens: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let token = self.head_dim * self.numbers.width();
        let (start, stride) = (slot * self.heads * self.capacity * token, self.capacity * token);
        (0..self.heads).map(move |head| start + head * stride..start + head * stride + tokens * token)
    }

    /// Bytes of `tokens` tokens in all layers.
    pub(crate) fn bytes_of(&self, tokens: usize) -> usize {
        2 * self.layers * self.heads * tokens * self.head_dim * self.numbers.width()
    }

    /// The sizes of a tensor of `slots` slots.
    fn sizes(&self, slots: usize) -> [usize; 4] {
        [slots, self.heads, self.capacity, self.head_dim]
    }
}

impl KvArena {
    /// Allocates the cache in the memory that the decoder computes in, filled with zeros.
    ///
    /// # Errors
    /// [`Error::Request`] for more bytes than memory can have, [`Error::Runtime`] if the memory cannot be had.
    pub(crate) fn new(shape: KvShape, memory: &Memory) -> Result<Self> {
        shape.check()?;
        let block = |slots: usize| {
            Block::new(memory.allocator(), shape.numbers.element(), &shape.sizes(slots)).map_err(|error| {
                Error::runtime("KV cache", format!("{} bytes of memory", shape.bytes()), error)
                    .hint("ask for a smaller context or fewer slots")
            })
        };
        let mut blocks = Vec::with_capacity(2 * shape.layers);
        for layer in 0..shape.layers {
            for kind in ["key", "value"] {
                blocks.push((format!("{kind}.{layer}"), block(shape.slots)?));
            }
        }
        let access = match memory {
            Memory::Host(_) => Access::Bytes,
            Memory::Device(_) => Access::Tensors(block(1)?),
        };
        let mut arena = Self { shape, blocks, views: HashMap::new(), bound: 0..0, access, broken: None };
        // On the host, ort has written zeros. Kernels also read beyond the tokens of a slot and weigh that with zero, but NaN × 0
        // is NaN.
        if let Memory::Device(_) = memory {
            arena.clear(0);
            (1..shape.slots).for_each(|slot| arena.copy(0, slot, shape.capacity));
        }
        Ok(arena)
    }

    /// The sizes.
    pub(crate) fn shape(&self) -> &KvShape {
        &self.shape
    }

    /// Binds these slots to `graph`, as a batch in their order.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a move of slots failed before, or if a slot cannot be bound.
    pub(crate) fn bind(&mut self, graph: &mut Graph, slots: Range<usize>) -> Result<()> {
        if let Some(broken) = &self.broken {
            return Err(
                Error::runtime("KV cache", "slots that can be moved", broken).hint("open the engine again")
            );
        }
        if self.bound == slots {
            return Ok(());
        }
        self.bound = 0..0;
        let key = (slots.start, slots.len());
        if !self.views.contains_key(&key) {
            let sizes = self.shape.sizes(slots.len());
            let first = slots.start * self.shape.slot_numbers();
            let views = self.blocks.iter_mut().map(|(_, block)| block.view(first, &sizes).map(Tensor));
            let views = views.collect::<ort::Result<_>>().map_err(|error| {
                Error::runtime(
                    "KV cache",
                    format!("a view of {} slots from slot {} on", slots.len(), slots.start),
                    error,
                )
                .report()
            })?;
            self.views.insert(key, views);
        }
        if let Some(views) = self.views.get_mut(&key) {
            for ((name, _), view) in self.blocks.iter().zip(views) {
                graph.bind_input(&format!("past_{name}"), view)?;
                graph.bind_output(&format!("present_{name}"), view)?;
            }
        }
        self.bound = slots;
        Ok(())
    }

    /// Fills a slot with zeros. If that fails, every later [`bind`](Self::bind) fails.
    pub(crate) fn clear(&mut self, slot: usize) {
        let outcome = self.each(|shape, block, access| match access {
            Access::Bytes => {
                let bytes = block.bytes_mut()?;
                shape.spans(slot, shape.capacity).for_each(|span| bytes[span].fill(0));
                Ok(())
            }
            Access::Tensors(_) => {
                let sizes = shape.sizes(1);
                let mut view = block.bits(slot * shape.slot_numbers(), &sizes)?;
                copy_values(&host_slot(shape)?.bits(0, &sizes)?, &mut view)
            }
        });
        self.keep(outcome);
    }

    /// Copies the first `tokens` tokens of a slot to another one. If that fails, every later [`bind`](Self::bind) fails.
    pub(crate) fn copy(&mut self, from: usize, to: usize, tokens: usize) {
        let outcome = self.each(|shape, block, access| match access {
            Access::Bytes => {
                let bytes = block.bytes_mut()?;
                for (from, to) in shape.spans(from, tokens).zip(shape.spans(to, tokens)) {
                    bytes.copy_within(from, to.start);
                }
                Ok(())
            }
            Access::Tensors(_) => {
                let sizes = shape.sizes(1);
                let mut to = block.bits(to * shape.slot_numbers(), &sizes)?;
                copy_values(&block.bits(from * shape.slot_numbers(), &sizes)?, &mut to)
            }
        });
        self.keep(outcome);
    }

    /// Exchanges the first `tokens` tokens of two slots. If that fails, every later [`bind`](Self::bind) fails.
    pub(crate) fn exchange(&mut self, one: usize, other: usize, tokens: usize) {
        let (low, high) = (one.min(other), one.max(other));
        let outcome = self.each(|shape, block, access| match access {
            Access::Bytes => {
                let start = high * shape.slot_numbers() * shape.numbers.width();
                let (lower, upper) = block.bytes_mut()?.split_at_mut(start);
                for (here, there) in shape.spans(low, tokens).zip(shape.spans(0, tokens)) {
                    lower[here].swap_with_slice(&mut upper[there]);
                }
                Ok(())
            }
            Access::Tensors(spare) => {
                let sizes = shape.sizes(1);
                let mut low = block.bits(low * shape.slot_numbers(), &sizes)?;
                let mut high = block.bits(high * shape.slot_numbers(), &sizes)?;
                let mut spare = spare.bits(0, &sizes)?;
                copy_values(&low, &mut spare)?;
                copy_values(&high, &mut low)?;
                copy_values(&spare, &mut high)
            }
        });
        self.keep(outcome);
    }

    /// The first `tokens` tokens of a slot: tensor by tensor, head by head, little-endian.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the device fails.
    pub(crate) fn read(&mut self, slot: usize, tokens: usize) -> Result<Vec<u8>> {
        let mut read = Vec::with_capacity(self.shape.bytes_of(tokens));
        let outcome = self.each(|shape, block, access| {
            let mut gather = |bytes: &[u8], slot: usize| {
                shape.spans(slot, tokens).for_each(|span| read.extend_from_slice(&bytes[span]));
            };
            match access {
                Access::Bytes => gather(block.bytes()?, slot),
                Access::Tensors(_) => {
                    let mut host = host_slot(shape)?;
                    let sizes = shape.sizes(1);
                    let view = block.bits(slot * shape.slot_numbers(), &sizes)?;
                    copy_values(&view, &mut host.bits(0, &sizes)?)?;
                    gather(host.bytes()?, 0);
                }
            }
            Ok(())
        });
        outcome
            .map_err(|error| Error::runtime("KV cache", format!("slot {slot} to be read"), error).report())?;
        Ok(read)
    }

    /// Writes what [`read`](Self::read) returned into a slot. If that fails, the content of the slot is unknown.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the device fails.
    pub(crate) fn write(&mut self, slot: usize, tokens: usize, mut values: &[u8]) -> Result<()> {
        let outcome = self.each(|shape, block, access| {
            let mut spread = |bytes: &mut [u8], slot: usize| {
                for span in shape.spans(slot, tokens) {
                    let (head, rest) = values.split_at(span.len());
                    bytes[span].copy_from_slice(head);
                    values = rest;
                }
            };
            match access {
                Access::Bytes => spread(block.bytes_mut()?, slot),
                Access::Tensors(_) => {
                    let mut host = host_slot(shape)?;
                    spread(host.bytes_mut()?, 0);
                    let sizes = shape.sizes(1);
                    let mut view = block.bits(slot * shape.slot_numbers(), &sizes)?;
                    copy_values(&host.bits(0, &sizes)?, &mut view)?;
                }
            }
            Ok(())
        });
        outcome
            .map_err(|error| Error::runtime("KV cache", format!("slot {slot} to be written"), error).report())
    }

    fn each(
        &mut self,
        mut act: impl FnMut(&KvShape, &mut Block, &mut Access) -> ort::Result<()>,
    ) -> ort::Result<()> {
        self.blocks.iter_mut().try_for_each(|(_, block)| act(&self.shape, block, &mut self.access))
    }

    fn keep(&mut self, outcome: ort::Result<()>) {
        if let Err(error) = outcome {
            tracing::error!(%error, "slots could not be moved");
            self.broken = Some(error.to_string());
        }
    }
}

/// One slot of one tensor in the host's memory, filled with zeros.
fn host_slot(shape: &KvShape) -> ort::Result<Block> {
    Block::new(&Allocator::default(), shape.numbers.element(), &shape.sizes(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Runtime;

    /// An arena whose slots all hold other bytes.
    fn filled(shape: KvShape, memory: &Memory) -> KvArena {
        let mut arena = KvArena::new(shape, memory).unwrap();
        for slot in 0..shape.slots {
            let all: Vec<u8> =
                (0..shape.bytes_of(shape.capacity)).map(|byte| (byte * 7 + slot * 31) as u8).collect();
            arena.write(slot, shape.capacity, &all).unwrap();
        }
        arena
    }

    fn shape(numbers: KvNumbers) -> KvShape {
        KvShape { layers: 2, slots: 4, heads: 3, capacity: 9, head_dim: 4, numbers }
    }

    #[test]
    fn a_device_moves_what_the_host_moves() {
        let _runtime = Runtime::load(None).unwrap();
        for numbers in ["float32", "float16", "bfloat16"].map(|name| KvNumbers::named(name).unwrap()) {
            let shape = shape(numbers);
            assert_eq!(shape.bytes(), (shape.slots * shape.bytes_of(shape.capacity)) as u64);
            let mut host = filled(shape, &Memory::Host(Allocator::default()));
            let mut device = filled(shape, &Memory::Device(Allocator::default()));
            for arena in [&mut host, &mut device] {
                arena.copy(1, 3, 5);
                arena.exchange(2, 0, 4);
                arena.exchange(0, 3, 5);
                let saved = arena.read(3, 4).unwrap();
                arena.write(1, 4, &saved).unwrap();
                assert_eq!(arena.read(1, 4).unwrap(), saved);
                assert!(arena.broken.is_none());
            }
            for slot in 0..shape.slots {
                assert_eq!(
                    host.read(slot, 4).unwrap(),
                    device.read(slot, 4).unwrap(),
                    "{numbers:?}, slot {slot}"
                );
            }
            assert_ne!(host.read(0, 4).unwrap(), host.read(3, 4).unwrap());
        }
        assert_eq!(KvNumbers::named("float8"), None);
    }

    #[test]
    fn sizes_whose_product_overflows_are_refused() {
        let _runtime = Runtime::load(None).unwrap();
        let huge = KvShape { heads: 1 << 30, head_dim: 1 << 30, ..shape(KvNumbers::Bfloat16) };
        assert_eq!(huge.bytes(), u64::MAX);
        for memory in [Memory::Host(Allocator::default()), Memory::Device(Allocator::default())] {
            let error = KvArena::new(huge, &memory).err().unwrap().to_string();
            assert!(error.contains("KV cache") && error.contains("1073741824 heads"), "{error}");
        }
        // one step before the overflow, bytes are counted
        let large = KvShape { heads: 1 << 20, head_dim: 1 << 20, ..shape(KvNumbers::Bfloat16) };
        assert_eq!(large.bytes(), (2 * 2 * 4 * 9 * 2) << 40);
    }

    #[test]
    fn a_new_or_cleared_slot_is_zero() {
        let _runtime = Runtime::load(None).unwrap();
        let shape = shape(KvNumbers::Bfloat16);
        let is_clear = |arena: &mut KvArena, slot| {
            arena.read(slot, shape.capacity).unwrap().iter().all(|byte| *byte == 0)
        };
        for memory in [Memory::Host(Allocator::default()), Memory::Device(Allocator::default())] {
            let mut arena = KvArena::new(shape, &memory).unwrap();
            assert!((0..shape.slots).all(|slot| is_clear(&mut arena, slot)));
            let mut arena = filled(shape, &memory);
            arena.clear(1);
            assert_eq!([0, 1, 2].map(|slot| is_clear(&mut arena, slot)), [false, true, false]);
        }
    }

    #[test]
    fn on_the_host_only_tokens_move() {
        let _runtime = Runtime::load(None).unwrap();
        let shape = shape(KvNumbers::Float16);
        let mut arena = filled(shape, &Memory::Host(Allocator::default()));
        let (all, one) = (shape.capacity, arena.read(1, shape.capacity).unwrap());
        let three = arena.read(3, all).unwrap();
        arena.copy(1, 3, 2);
        let after = arena.read(3, all).unwrap();
        let token = shape.head_dim * shape.numbers.width();
        for (place, byte) in after.iter().enumerate() {
            let wanted = if place / token % shape.capacity < 2 { &one } else { &three };
            assert_eq!(*byte, wanted[place], "byte {place}");
        }
    }
}
