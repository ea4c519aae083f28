//! Devices for tests. They compute on the CPU, and their memory is reached only as a device's is.

use std::fs;
use std::path::Path;

use ort::ep::{self, ExecutionProvider};
use ort::memory::Allocator;
use ort::session::builder::SessionBuilder;

use super::device::{Device, MemoryAccess, Packages, PlanSupport, Provider, RECORDING};
use super::table::cpu;
use crate::onnx::memory::Memory;
use crate::onnx::settings::{Values, option};

/// All of them. Nothing lists them: they are found by name alone.
pub(super) static FAKES: [&Provider; 3] = [&PLAIN, &BUILDER, &OTHER];

/// What they share. By itself it runs packages for TensorRT and has no options.
const BARE: Provider = Provider {
    name: "other",
    packages: Packages { targets: &["tensorrt"], any_target_in: None, except_in: None },
    options: &[],
    defaults: &[],
    refusals: &[],
    built_in: ep::CPU::is_available,
    libraries: &[],
    register: cpu,
    memory: MemoryAccess {
        free: |_| Ok(Some(1 << 40)),
        of_session: |_, _| Ok(Memory::Device(Allocator::default())),
    },
    plans: None,
    nodes_on: &[ep::CPU::NAME],
    tiles_per_run: 2,
};

/// A device that records runs and builds no plans.
static PLAIN: Provider = Provider {
    name: "fake",
    packages: Packages { targets: &["cuda"], any_target_in: Some("f32"), except_in: None },
    options: &[option(RECORDING, Values::Flag)],
    defaults: &[(RECORDING, "1")],
    ..BARE
};

/// A device that builds plans: it writes the files that TensorRT's provider writes. With the option
/// `trt_detailed_build_log` it writes none, as where TensorRT takes no node. With `trt_auxiliary_streams` it leaves decoders
/// to [`OTHER`], as an old TensorRT does.
static BUILDER: Provider = Provider {
    name: "builder",
    options: &[
        option("trt_detailed_build_log", Values::Flag),
        option("trt_auxiliary_streams", Values::Whole(0, 1)),
    ],
    defaults: &[("trt_fp16_enable", "0")],
    register: build,
    plans: Some(PlanSupport {
        inputs: |_| Ok(vec![("tensorrt", "10".into()), ("gpu", "fake".into())]),
        decoder_fallback: |device| Ok(device.setting("trt_auxiliary_streams").map(|_| &OTHER)),
    }),
    tiles_per_run: 16,
    ..BARE
};

/// The fallback of [`BUILDER`] for decoders.
static OTHER: Provider = BARE;

/// Writes a plan where there is none, as TensorRT's provider does even for a session that was to load one.
fn build(builder: SessionBuilder, device: &Device) -> ort::Result<SessionBuilder> {
    let write = |folder: &str, name: String| {
        let file = Path::new(folder).join(name);
        let written = if file.exists() { Ok(()) } else { fs::write(&file, "built") };
        written.map_err(|error| ort::Error::new(format!("{}: {error}", file.display())))
    };
    let prefix = device.setting("trt_engine_cache_prefix").unwrap_or_default();
    if let (Some(folder), None) =
        (device.setting("trt_engine_cache_path"), device.setting("trt_detailed_build_log"))
    {
        write(folder, format!("{prefix}_1_0_sm00.engine"))?;
        write(folder, format!("{prefix}_1_0_sm00.profile"))?;
    }
    if let Some(folder) = device.setting("trt_timing_cache_path") {
        write(folder, "TensorrtExecutionProvider_cache_sm00.timing".into())?;
    }
    cpu(builder, device)
}
