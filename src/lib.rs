//! Fleming answers questions about medical images, videos and volumes with a vision-language model.
//!
//! This file is the map. A module uses only modules declared above it, so an input meets them in this order.

#![warn(missing_docs)]

// ── words
mod words;
mod error;
mod watch;
mod view;
mod frame;
mod limits;
mod study;
mod request;
// ── what was exported
mod digest;
mod quality;
mod package;
mod plan_store;
mod kernels;
mod onnx;
// ── stages, in the order an image meets them
mod input;
mod pixels;
mod tokenizer;
mod prompt;
mod vision;
mod decoder;
mod sampler;
mod constraint;
mod draft;
mod stop;
mod answer;
mod guide;
// ── the whole
mod engine;
mod conversation;
mod self_test;
mod preview;
// ── JSON and options, for every surface
pub mod wire;
// ── surfaces
#[cfg(feature = "capi")]
mod capi;
#[cfg(feature = "server")]
pub mod server;

pub use conversation::Conversation;
pub use engine::{Counts, Engine, EngineOptions, ImageEmbeddings, MemoryNeeds, Pending, TokenCount};
pub use engine::{Plan, PlanFolder, PlanState, graph_providers, plan_states, warm};
pub use error::{Error, ErrorCode, Facts, Result};
pub use frame::{Frame, Modality, Provenance, Study};
pub use input::{Browsed, Browser, Budget, Fact, FactValue, Measured, ReadOptions, StudyFacts};
pub use input::{inspect, measure, read};
pub use onnx::{GpuFacts, LibraryFacts, ProviderFacts, RuntimeFacts};
pub use onnx::{gpu_facts, onnxruntime, providers_for, survey};
pub use package::{FileFacts, Manifest, Package, SelfTest};
pub use preview::{Picture, Preview, preview};
pub use quality::{Accuracy, Divergence, Quality};
pub use request::*;
pub use self_test::{Bound, CaseReport, Nearness, RunReport, SelfTestReport, self_test};
pub use study::{Buffer, FrameCount, KeptFile, Look, Source, Window, WindowFunction, Windowing};
pub use study::{PatientSpace, RawPicture, RawVolume, Rescale, VolumeKind, Voxels};
pub use study::{PixelFormat, RawFrame, RawFrames, Yuv, YuvMatrix, YuvRange};
pub use view::{Crop, Plane, Slab, VolumeForm, VolumeView};
pub use watch::Watch;

/// The Rust of the documents, compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
#[cfg(doctest)]
#[doc = include_str!("../docs/rust.md")]
mod in_rust {}
