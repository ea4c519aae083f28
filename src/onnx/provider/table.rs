//! Every provider there is, and how a session gets each.

use ort::ep::{self, ExecutionProvider};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::{Device, Provider, RECORDING};
use crate::onnx::libraries::{CUDA, TENSORRT};
use crate::onnx::memory::Memory;
use crate::onnx::settings::{Values, option};
use crate::onnx::{engines, raw};

/// Whether there are kernels for activations of 16 bits and weights of 4 or 8.
const MIXED_PRODUCTS: &str = "ep.cuda.fpa_intb_gemm";

/// Tiles that a GPU encodes at once: those of a picture in its finest tiling without the thumbnail, or of a volume.
pub(crate) const GPU_TILES: usize = 12;

/// Every provider there is.
pub(crate) static PROVIDERS: [Provider; 3] = [
    Provider {
        name: "cpu",
        targets: &["cpu"],
        // the form of a GPU's package in a type that the CPU has: it shows that the form computes the same
        twins: Some("f32"),
        lacks: None,
        options: &[option("use_arena", Values::Flag)],
        defaults: &[("use_arena", "1")],
        built_in: ep::CPU::is_available,
        libraries: &[],
        register: cpu,
        free_memory: |_| Ok(None),
        memory: of_the_host,
        engines: None,
        decoders: None,
        nodes_on: &[],
        tiles_per_run: 1,
    },
    Provider {
        name: "cuda",
        targets: &["cuda", "tensorrt"],
        twins: None,
        lacks: None,
        options: &[
            option("gpu_mem_limit", Values::Bytes),
            option("arena_extend_strategy", Values::OneOf(&["kNextPowerOfTwo", "kSameAsRequested"])),
            option("use_tf32", Values::Flag),
            option("enable_skip_layer_norm_strict_mode", Values::Flag),
            option("sdpa_kernel", Values::Whole(0, 1023)),
            option(RECORDING, Values::Flag),
            option(MIXED_PRODUCTS, Values::Flag),
        ],
        // memory is taken as it is needed, f32 means f32, and steps are recorded. cuDNN is left out: no graph has a
        // convolution, and its attention, which ONNX Runtime prefers on GPUs of 9.0 and newer, makes a plan for every
        // length of a prompt that it has not seen. So attention is Flash, efficient or plain, in the bits of its
        // `AttentionBackend`. Weights of 4 and 8 bits are multiplied as they are, by prompts too, and not written out in 16
        // bits first
        defaults: &[
            (RECORDING, "1"),
            ("arena_extend_strategy", "kSameAsRequested"),
            ("enable_cudnn", "0"),
            (MIXED_PRODUCTS, "1"),
            ("sdpa_kernel", "19"),
            ("use_tf32", "0"),
        ],
        built_in: ep::CUDA::is_available,
        libraries: &[CUDA],
        register: cuda,
        free_memory: |device| raw::free_memory(device.number).map(Some),
        memory: of_a_gpu,
        engines: None,
        decoders: None,
        nodes_on: &[ep::CUDA::NAME],
        tiles_per_run: GPU_TILES,
    },
    Provider {
        name: "tensorrt",
        targets: &["tensorrt"],
        twins: None,
        // its attention is fused or nothing, and the fused kernels are of 16 bits
        lacks: Some("f32"),
        options: &[
            option("trt_max_workspace_size", Values::Bytes),
            option("trt_builder_optimization_level", Values::Whole(0, 5)),
            option("trt_auxiliary_streams", Values::Whole(0, 16)),
            option("trt_max_partition_iterations", Values::Whole(1, 100_000)),
            option("trt_min_subgraph_size", Values::Whole(1, 100_000)),
            option("trt_build_heuristics_enable", Values::Flag),
            option("trt_context_memory_sharing_enable", Values::Flag),
            option("trt_detailed_build_log", Values::Flag),
            option("trt_engine_hw_compatible", Values::Flag),
            option("trt_sparsity_enable", Values::Flag),
            option("trt_load_user_initializer", Values::Flag),
        ],
        // the types are written into the graph; these switches are the weak ones that lose accuracy. Weights are handed over
        // as they are: written into a copy of the graph, they might have no more than 2 GiB
        defaults: &[
            ("trt_fp16_enable", "0"),
            ("trt_bf16_enable", "0"),
            ("trt_int8_enable", "0"),
            ("trt_load_user_initializer", "1"),
        ],
        built_in: ep::TensorRT::is_available,
        libraries: &[CUDA, TENSORRT],
        register: tensorrt,
        free_memory: |device| raw::free_memory(device.number).map(Some),
        memory: of_a_gpu,
        engines: Some(engines::of_tensorrt),
        decoders: Some(engines::in_stead_of_tensorrt),
        // one engine for the whole graph, or none
        nodes_on: &[ep::TensorRT::NAME],
        tiles_per_run: GPU_TILES,
    },
];

pub(super) fn cpu(builder: SessionBuilder, device: &Device) -> ort::Result<SessionBuilder> {
    let provider = ep::CPU::default().with_arena_allocator(device.setting("use_arena") == Some("1"));
    Ok(builder.with_execution_providers([provider.build().error_on_failure()])?)
}

fn cuda(builder: SessionBuilder, device: &Device) -> ort::Result<SessionBuilder> {
    let provider = device.configure(ep::CUDA::default());
    Ok(builder.with_execution_providers([provider.build().error_on_failure()])?)
}

/// What TensorRT does not take is CUDA's, where it is found and told.
fn tensorrt(builder: SessionBuilder, device: &Device) -> ort::Result<SessionBuilder> {
    let beside = device.beside().map_err(|error| ort::Error::new(error.to_string()))?;
    let beside = beside.configure(ep::CUDA::default());
    let provider = device.configure(ep::TensorRT::default());
    Ok(builder
        .with_execution_providers([provider.build().error_on_failure(), beside.build().error_on_failure()])?)
}

fn of_the_host(_: &Session, _: &Device) -> ort::Result<Memory> {
    Ok(Memory::Host(Allocator::default()))
}

/// TensorRT's graphs are in CUDA's memory too.
fn of_a_gpu(session: &Session, device: &Device) -> ort::Result<Memory> {
    let kind = (AllocatorType::Device, MemoryType::Default);
    let info = MemoryInfo::new(AllocationDevice::CUDA, device.number, kind.0, kind.1)?;
    Allocator::new(session, info).map(Memory::Device)
}
