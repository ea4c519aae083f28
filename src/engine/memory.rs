//! How much memory an engine takes, known before anything is loaded.

use std::fmt;
use std::fs;

use super::EngineOptions;
use crate::error::{Error, Result};
use crate::onnx::{GPU_TILES, KvNumbers, KvShape, ShapeRanges};
use crate::package::{Configuration, Manifest, Package, Work};

/// The memory that an engine takes, in bytes: what it keeps, and what a run takes while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryNeeds {
    /// The weights of both graphs, and what ONNX Runtime adds to those in blocks where it rearranges them.
    pub weights: u64,
    /// Keys and values of all slots.
    pub slots: u64,
    /// The most that kept image embeddings take.
    pub vision_cache: u64,
    /// The most that runs work with, and ONNX Runtime itself.
    pub work: u64,
}

impl MemoryNeeds {
    /// What an engine on this package takes with these options.
    ///
    /// # Errors
    /// [`Error::Request`] for options that cannot be met.
    pub fn of(package: &Package, options: &EngineOptions) -> Result<Self> {
        options.check()?;
        let files = &package.manifest().files;
        let weights = files.iter().filter(|(name, _)| name.contains(".onnx")).map(|(_, facts)| facts.bytes);
        let own = options.graph(package.manifest())?.operators;
        let mut figures = work(package.manifest());
        if own.attention {
            // this crate's kernels take blocks of keys, and never all scores
            figures.score_bytes = 0;
        }
        let packing = match own.products {
            true => 0,
            false => package.manifest().quantization.as_ref().map_or(0, |facts| facts.packing_bytes),
        };
        Ok(Self {
            weights: weights.fold(packing, u64::saturating_add),
            slots: kv_shape(package, options)?.bytes(),
            vision_cache: options.vision_cache as u64,
            work: taken(&figures, options.context(package.manifest())? as u64, options),
        })
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        [self.weights, self.slots, self.vision_cache, self.work].into_iter().fold(0, u64::saturating_add)
    }

    /// Refuses what does not fit into the free bytes of the device or, if that is `None`, of the machine.
    pub(super) fn check(&self, device: Option<u64>) -> Result<()> {
        let thing = if device.is_some() { "memory of the device" } else { "memory" };
        match device.or_else(available) {
            Some(available) if available < self.total() => {
                Err(Error::request(thing, self, format!("{} available", readable(available)))
                    .hint("ask for a smaller context or fewer slots, or use a package of lower precision"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for MemoryNeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [total, weights, slots, cache, work] =
            [self.total(), self.weights, self.slots, self.vision_cache, self.work].map(readable);
        write!(
            f,
            "{total}: {weights} for weights, {slots} for slots, up to {cache} for image embeddings, {work} to work with"
        )
    }
}

/// Workspace of both graphs; ONNX Runtime never returns it.
fn taken(work: &Work, context: u64, options: &EngineOptions) -> u64 {
    let of_position = sum(&[work.position_bytes, product(&[work.score_bytes, context])]);
    sum(&[
        work.base_bytes,
        product(&[work.positions.unwrap_or(context.min(options.chunk as u64)), of_position]),
        product(&[work.tiles as u64, work.tile_bytes]),
        product(&[options.slots as u64, work.logits_bytes]),
    ])
}

/// The package's figures. The exporter's `memory.py`, which makes them, documents each.
fn work(manifest: &Manifest) -> Work {
    manifest.work.clone().unwrap_or_else(|| work_of_widths(manifest))
}

/// The figures of a package whose `fleming.json` has none: it was exported before version 0.1.0 of the exporter was
/// finished, as `models/demo` was. They follow from the widths of the model. This formula stays as it is.
fn work_of_widths(manifest: &Manifest) -> Work {
    const FLOAT: u64 = size_of::<f32>() as u64;
    let Configuration { llm_config: language, vision_config: tower } = &manifest.source.config;
    let attention = product(&[language.heads, manifest.kv.head_dim as u64]);
    let widths =
        [product(&[2, language.intermediate]), product(&[3, language.hidden]), product(&[2, attention])];
    let grid = u64::from(manifest.vision.image_size / manifest.vision.patch_size);
    let tokens = product(&[grid, grid]).saturating_add(1);
    let (tiles, tile, scores) = match manifest.target.as_str() {
        "cpu" => {
            let scores = product(&[tower.heads, tokens, tokens]);
            (1, sum(&[product(&[2, tokens, tower.intermediate]), scores]), language.heads)
        }
        _ => (GPU_TILES, product(&[tokens, sum(&[tower.intermediate, product(&[3, tower.hidden])])]), 0),
    };
    Work {
        base_bytes: 150_000_000,
        position_bytes: product(&[FLOAT, sum(&widths)]),
        score_bytes: product(&[FLOAT, scores]),
        positions: positions(manifest),
        tiles,
        tile_bytes: product(&[FLOAT, tile]),
        logits_bytes: product(&[FLOAT, manifest.tokens.vocabulary as u64]),
    }
}

fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |all, &factor| all.saturating_mul(factor))
}

fn sum(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |all, &part| all.saturating_add(part))
}

/// New positions that an engine of TensorRT takes at once, in all its slots together.
fn positions(manifest: &Manifest) -> Option<u64> {
    let profiles = &manifest.profiles.as_ref()?.decoder;
    let ranges = ShapeRanges::spanning(&manifest.graphs.decoder.file, profiles);
    let [slots, chunk] = [0, 1].map(|axis| ranges.max("input_ids", axis));
    Some((slots? as u64).saturating_mul(chunk? as u64))
}

/// The sizes of the KV cache.
pub(super) fn kv_shape(package: &Package, options: &EngineOptions) -> Result<KvShape> {
    let kv = &package.manifest().kv;
    let numbers = KvNumbers::named(&kv.dtype).ok_or_else(|| {
        Error::package("fleming.json: kv.dtype", "a type that this version knows", &kv.dtype)
            .hint("use the version of fleming that the package was exported for, or export it again")
    })?;
    let context = options.context(package.manifest())?;
    Ok(KvShape {
        layers: kv.layers,
        slots: options.slots,
        heads: kv.heads,
        // the form for TensorRT has it fixed
        capacity: package.manifest().kv_capacity().unwrap_or(context),
        head_dim: kv.head_dim,
        numbers,
    })
}

/// Memory that may be taken without pushing anything out, the limit of a container included; unknown where there is
/// no /proc.
fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let line = machine.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024;
    Some(container().map_or(machine, |container| container.min(machine)))
}

fn container() -> Option<u64> {
    let read = |name| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let number = |name| read(name)?.trim().parse::<u64>().ok();
    let (most, used) = (number("memory.max")?, number("memory.current")?);
    // Files that were read count as used until the memory is needed for something else.
    let facts = read("memory.stat").unwrap_or_default();
    let bytes = |line: &str| {
        let (name, bytes) = line.split_once(' ')?;
        ["active_file", "inactive_file"].contains(&name).then(|| bytes.parse::<u64>().ok()).flatten()
    };
    let files: u64 = facts.lines().filter_map(bytes).sum();
    Some(most.saturating_sub(used.saturating_sub(files)))
}

fn readable(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1e9 => format!("{:.0} MB", bytes / 1e6),
        bytes => format!("{:.2} GB", bytes / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_room_or_says_how_much() {
        let needs = MemoryNeeds { weights: 16 << 30, slots: 2 << 30, vision_cache: 1 << 28, work: 1 << 30 };
        needs.check(Some(20 << 30)).unwrap();
        let error = needs.check(Some(19 << 30)).unwrap_err().to_string();
        for part in
            ["memory of the device", "17.18 GB for weights", "1.07 GB to work with", "20.40 GB available"]
        {
            assert!(error.contains(part), "{error}");
        }
    }
}
