//! The providers: one row each, and how each is registered with a session.

use ort::ep::{self, ExecutionProvider};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::device::{Device, KERNELS, MemoryAccess, Packages, PlanSupport, Provider, RECORDING, SPINNING};
use super::tensorrt;
use crate::kernels::Instructions;
use crate::onnx::memory::Memory;
use crate::onnx::settings::{Values, option};
use crate::onnx::{libraries, raw};

/// Whether activations of 16 bits are multiplied with weights of 4 or 8 bits as they are.
const MIXED_PRODUCTS: &str = "ep.cuda.fpa_intb_gemm";

/// Tiles that a GPU encodes at once: a picture in its finest tiling without the thumbnail, or a volume.
pub(crate) const GPU_TILES: usize = 12;

const TYPES: &str = "types are written into the graph: export the checkpoint in another precision";
const PLANS: &str = "plans are kept without it: --engine-cache says where";

/// Every provider there is.
pub(crate) static PROVIDERS: [&Provider; 3] = [&CPU, &CUDA, &TENSORRT];

static CPU: Provider = Provider {
    name: "cpu",
    // the CPU runs f32 twins of GPU packages, to test that both forms of the graphs compute the same
    packages: Packages { targets: &["cpu"], any_target_in: Some("f32"), except_in: None },
    options: &[
        option("use_arena", Values::Flag),
        option(KERNELS, Values::FlagOr(&Instructions::KEYS)),
        option(SPINNING, Values::Whole(0, 1_000_000)),
    ],
    // docs/speed.md: as fast as ONNX Runtime's own default alone, and 1.4 times as fast where another process wants a core
    defaults: &[("use_arena", "1"), (KERNELS, "1"), (SPINNING, "20")],
    refusals: &[],
    built_in: ep::CPU::is_available,
    libraries: &[],
    register: cpu,
    memory: MemoryAccess { free: |_| Ok(None), of_session: |_, _| Ok(Memory::Host(Allocator::default())) },
    plans: None,
    nodes_on: &[],
    tiles_per_run: 1,
};

static CUDA: Provider = Provider {
    name: "cuda",
    packages: Packages { targets: &["cuda", "tensorrt"], any_target_in: None, except_in: None },
    options: &[
        option("gpu_mem_limit", Values::Bytes),
        option("arena_extend_strategy", Values::OneOf(&["kNextPowerOfTwo", "kSameAsRequested"])),
        option("use_tf32", Values::Flag),
        option("enable_skip_layer_norm_strict_mode", Values::Flag),
        option("sdpa_kernel", Values::Whole(0, 1023)),
        option(RECORDING, Values::Flag),
        option(MIXED_PRODUCTS, Values::Flag),
    ],
    // - Memory is taken as it is needed.
    // - f32 means f32, and no TF32.
    // - Steps are recorded.
    // - cuDNN is off. No graph has a convolution. Its attention, which ONNX Runtime prefers from compute capability 9.0 on,
    //   compiles something for every new length of a prompt.
    // - So attention is Flash, efficient or plain: 19 is those bits of ONNX Runtime's `AttentionBackend`.
    // - Weights of 4 and 8 bits are multiplied as they are, in prompts too. Otherwise they would first be expanded to 16 bits.
    defaults: &[
        (RECORDING, "1"),
        ("arena_extend_strategy", "kSameAsRequested"),
        ("enable_cudnn", "0"),
        (MIXED_PRODUCTS, "1"),
        ("sdpa_kernel", "19"),
        ("use_tf32", "0"),
    ],
    refusals: &[("enable_cudnn", "no graph has a convolution, and attention is sdpa_kernel's")],
    built_in: ep::CUDA::is_available,
    libraries: &[libraries::CUDA],
    register: cuda,
    memory: OF_A_GPU,
    plans: None,
    nodes_on: &[ep::CUDA::NAME],
    tiles_per_run: GPU_TILES,
};

static TENSORRT: Provider = Provider {
    name: "tensorrt",
    // its attention is fused or not at all, and the fused kernels are of 16 bits
    packages: Packages { targets: &["tensorrt"], any_target_in: None, except_in: Some("f32") },
    options: &[
        option("trt_max_workspace_size", Values::Bytes),
        option("trt_builder_optimization_level", Values::Whole(0, 5)),
        option("trt_auxiliary_streams", Values::Whole(0, 16)),
        option("trt_max_partition_iterations", Values::Whole(1, 100_000)),
        option("trt_min_subgraph_size", Values::Whole(1, 100_000)),
        option("trt_build_heuristics_enable", Values::Flag),
        option("trt_context_memory_sharing_enable", Values::Flag),
        option("trt_detailed_build_log", Values::Flag),
        option(tensorrt::ANY_GPU, Values::Flag),
        option("trt_sparsity_enable", Values::Flag),
        option("trt_load_user_initializer", Values::Flag),
    ],
    // - Types are written into the graph. These switches would pick types by speed and lose accuracy.
    // - Weights are passed by reference: copied into the graph they would be limited to 2 GiB.
    defaults: &[
        ("trt_fp16_enable", "0"),
        ("trt_bf16_enable", "0"),
        ("trt_int8_enable", "0"),
        ("trt_load_user_initializer", "1"),
    ],
    refusals: &[
        ("trt_fp16_enable", TYPES),
        ("trt_bf16_enable", TYPES),
        ("trt_int8_enable", TYPES),
        ("trt_engine_cache", PLANS),
        ("trt_timing_cache", PLANS),
        ("trt_profile", "the profiles are those of the package"),
    ],
    built_in: ep::TensorRT::is_available,
    libraries: &[libraries::CUDA, libraries::TENSORRT],
    register: tensorrt_with_cuda,
    // TensorRT's graphs compute in CUDA's memory
    memory: OF_A_GPU,
    plans: Some(PlanSupport { inputs: tensorrt::plan_inputs, decoder_fallback }),
    // a plan for the whole graph or an error
    nodes_on: &[ep::TensorRT::NAME],
    tiles_per_run: GPU_TILES,
};

const OF_A_GPU: MemoryAccess = MemoryAccess {
    free: |device| raw::free_memory(device.number()).map(Some),
    of_session: |session, device| of_a_gpu(session, device.number()),
};

pub(super) fn cpu(builder: SessionBuilder, device: &Device) -> ort::Result<SessionBuilder> {
    let provider = ep::CPU::default().with_arena_allocator(device.setting("use_arena") == Some("1"));
    Ok(builder.with_execution_providers([provider.build().error_on_failure()])?)
}

fn cuda(builder: SessionBuilder, device: &Device) -> ort::Result<SessionBuilder> {
    let provider = device.configure(ep::CUDA::default());
    Ok(builder.with_execution_providers([provider.build().error_on_failure()])?)
}

/// Nodes that TensorRT does not take go to CUDA, where `placement` finds and reports them.
fn tensorrt_with_cuda(builder: SessionBuilder, device: &Device) -> ort::Result<SessionBuilder> {
    let cuda = cuda_beside(device).map_err(|error| ort::Error::new(error.to_string()))?;
    let cuda = cuda.configure(ep::CUDA::default());
    let provider = device.configure(ep::TensorRT::default());
    Ok(builder
        .with_execution_providers([provider.build().error_on_failure(), cuda.build().error_on_failure()])?)
}

/// CUDA on the same device as TensorRT. It records nothing in a session in which it is not the first provider.
pub(super) fn cuda_beside(device: &Device) -> crate::error::Result<Device> {
    Ok(Device::new(&CUDA, device.number(), &[])?.without_recording())
}

/// CUDA runs the decoder where TensorRT would copy the KV cache in every step.
fn decoder_fallback(_: &Device) -> std::result::Result<Option<&'static Provider>, String> {
    Ok(tensorrt::copies_caches()?.then_some(&CUDA))
}

fn of_a_gpu(session: &Session, number: i32) -> ort::Result<Memory> {
    let info = MemoryInfo::new(AllocationDevice::CUDA, number, AllocatorType::Device, MemoryType::Default)?;
    Allocator::new(session, info).map(Memory::Device)
}
