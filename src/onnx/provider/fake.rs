//! Devices for tests: they compute on the CPU, and reach their memory only as a device's is reached.

use std::fs;
use std::path::Path;

use ort::ep::{self, ExecutionProvider};
use ort::memory::Allocator;
use ort::session::builder::SessionBuilder;

use super::table::cpu;
use super::{Device, Memory, Provider, RECORDING};
use crate::onnx::settings::{Values, option};

/// What they have in common: one runs packages for TensorRT, and has nothing to be set.
const BARE: Provider = Provider {
    name: "other",
    targets: &["tensorrt"],
    twins: None,
    lacks: None,
    options: &[],
    defaults: &[],
    built_in: ep::CPU::is_available,
    libraries: &[],
    register: cpu,
    free_memory: |_| Ok(Some(1 << 40)),
    memory: |_, _| Ok(Memory::Device(Allocator::default())),
    engines: None,
    decoders: None,
    nodes_on: &[ep::CPU::NAME],
    tiles_per_run: 2,
};

/// A device that records runs and builds no engines.
pub(super) static PLAIN: Provider = Provider {
    name: "fake",
    targets: &["cuda"],
    twins: Some("f32"),
    options: &[option(RECORDING, Values::Flag)],
    defaults: &[(RECORDING, "1")],
    ..BARE
};

/// A device that builds engines: it writes the files that TensorRT's provider writes. With the option
/// `trt_detailed_build_log` it builds none, as where TensorRT takes no node; with `trt_auxiliary_streams` it leaves
/// decoders to another, as an old TensorRT does.
pub(super) static BUILDER: Provider = Provider {
    name: "builder",
    options: &[
        option("trt_detailed_build_log", Values::Flag),
        option("trt_auxiliary_streams", Values::Whole(0, 1)),
    ],
    defaults: &[("trt_fp16_enable", "0")],
    register: build,
    engines: Some(|_| Ok(vec![("tensorrt", "10".into()), ("gpu", "fake".into())])),
    decoders: Some(|device| Ok(device.setting("trt_auxiliary_streams").map(|_| "other"))),
    tiles_per_run: 16,
    ..BARE
};

/// The one that runs decoders in its stead.
pub(super) static OTHER: Provider = BARE;

/// Writes the engine that is not there, as TensorRT's provider does, whoever asked for it.
fn build(builder: SessionBuilder, device: &Device) -> ort::Result<SessionBuilder> {
    let write = |folder: &str, name: String| {
        let file = Path::new(folder).join(name);
        if !file.exists() {
            fs::write(file, "built").unwrap();
        }
    };
    let prefix = device.setting("trt_engine_cache_prefix").unwrap_or_default();
    if let (Some(folder), None) =
        (device.setting("trt_engine_cache_path"), device.setting("trt_detailed_build_log"))
    {
        write(folder, format!("{prefix}_1_0_sm00.engine"));
        write(folder, format!("{prefix}_1_0_sm00.profile"));
    }
    if let Some(folder) = device.setting("trt_timing_cache_path") {
        write(folder, "TensorrtExecutionProvider_cache_sm00.timing".into());
    }
    cpu(builder, device)
}
