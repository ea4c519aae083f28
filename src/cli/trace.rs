//! `--trace DIR`: the tensors of every stage, to be compared with the reference, and the frames to be looked at.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use fleming::wire::{self, Report};
use fleming::{Modality, Provenance};
use ndarray::{Array1, ArrayBase, Data, Dimension};
use ndarray_npy::{WritableElement, WriteNpyExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{files, sheet};

/// Makes the folder of a trace, before there is anything to write.
pub(super) fn make(folder: &Path) -> Result<()> {
    files::make_folder(folder)
}

/// Writes the `.npy` files, `trace.json` and, if there was anything to see, `seen.png`.
pub(super) fn write(folder: &Path, report: &Report<'_>) -> Result<()> {
    let trace = report.reply.trace.as_ref().context("a reply without a trace")?;
    make(folder)?;
    // The reference records ids as 32-bit numbers.
    let input_ids: Array1<i32> = trace.input_ids.iter().map(|&id| id as i32).collect();
    let first_logits = Array1::from(trace.first_logits.clone());
    save(folder, "pixel_values", &trace.pixel_values)?;
    save(folder, "input_ids", &input_ids)?;
    save(folder, "image_embeds", &trace.image_embeds)?;
    save(folder, "first_logits", &first_logits)?;
    sheet::write(&folder.join("seen.png"), trace.pixels.view(), &report.reply.frames)?;
    let hashes = json!({
        "pixels_u8": hash(trace.pixels.iter().map(|value| [*value])),
        "pixel_values": hash(trace.pixel_values.iter().map(|value| value.to_le_bytes())),
        "input_ids": hash(input_ids.iter().map(|id| id.to_le_bytes())),
        "image_embeds": hash(trace.image_embeds.iter().map(|value| value.to_le_bytes())),
        "first_logits": hash(first_logits.iter().map(|value| value.to_le_bytes())),
    });
    let object = json!({
        "prompt": trace.prompt,
        "sources": per_frame(report, |frame| frame.source.as_str().into()),
        "frame_indices": of_videos(report, |index, _| index.into()),
        "timestamps": of_videos(report, |_, seconds| seconds.into()),
        "slice_indices": of_volumes(report, |index, _| index.into()),
        "frames": per_frame(report, wire::frame),
        "windows": of_volumes(report, |_, window| json!(window)),
        "tiles": per_frame(report, |frame| frame.tiles.into()),
        "usage": wire::usage(&report.reply.usage),
        "timings_ms": report.timings(),
        "sha256": hashes,
        "package": wire::package(report.package),
    });
    files::write(&folder.join("trace.json"), |file| writeln!(file, "{object:#}"))
}

fn save<T, S, D>(folder: &Path, name: &str, array: &ArrayBase<S, D>) -> Result<()>
where
    T: WritableElement,
    S: Data<Elem = T>,
    D: Dimension,
{
    files::write(&folder.join(format!("{name}.npy")), |file| array.write_npy(file).map_err(io::Error::other))
}

fn hash<const N: usize>(values: impl Iterator<Item = [u8; N]>) -> String {
    let bytes: Vec<u8> = values.flatten().collect();
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn per_frame(report: &Report<'_>, value: impl Fn(&fleming::FrameUsed) -> Value) -> Vec<Value> {
    report.reply.frames.iter().map(value).collect()
}

fn of_videos(report: &Report<'_>, value: impl Fn(usize, f64) -> Value) -> Vec<Value> {
    let frames = report.reply.frames.iter().filter_map(|frame| match frame.provenance {
        Provenance { modality: Modality::Video, index: Some(index), seconds: Some(seconds), .. } => {
            Some(value(index, seconds))
        }
        _ => None,
    });
    frames.collect()
}

fn of_volumes(report: &Report<'_>, value: impl Fn(usize, [f64; 2]) -> Value) -> Vec<Value> {
    let slices = report.reply.frames.iter().filter_map(|frame| match frame.provenance {
        Provenance { modality: Modality::Volume, index: Some(index), window: Some(window), .. } => {
            Some(value(index, window))
        }
        _ => None,
    });
    slices.collect()
}
