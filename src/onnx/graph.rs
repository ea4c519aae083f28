//! One ONNX graph: opened, held against its contract, run.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;
use ort::session::{IoBinding, Session};
use ort::value::{DynTensorValueType, Outlet, TensorElementType, ValueType};

use super::memory::{Memory, Tensor};
use super::profiles::Ranges;
use super::provider::Device;
use super::runtime::Runtime;
use super::{placement, raw};
use crate::error::{Error, Result};
use crate::package::{Dimension, GraphContract, TensorContract};

/// How graphs are run.
#[derive(Clone)]
pub(crate) struct GraphOptions {
    pub(crate) device: Device,
    /// Threads inside an operator; `None` leaves it to ONNX Runtime, which takes one for each physical core.
    pub(crate) threads: Option<usize>,
    /// What the shapes of inputs are held to; nothing where any will do.
    pub(crate) ranges: Option<Arc<Ranges>>,
}

/// A loaded graph with its bound inputs and outputs.
pub(crate) struct Graph {
    name: String,
    device: Device,
    ranges: Option<Arc<Ranges>>,
    session: Session,
    binding: IoBinding,
    ran: Ran,
}

/// What a graph has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ran {
    /// The time that ONNX Runtime took for it.
    pub(crate) time: Duration,
}

impl Graph {
    /// Loads the graph at `path` and checks its inputs and outputs against what the package promises.
    ///
    /// # Errors
    /// [`Error::Runtime`] if it does not load or a node is not on the provider, [`Error::Package`] naming the tensor that
    /// is not as promised.
    pub(crate) fn open(
        runtime: &Runtime,
        path: &Path,
        contract: &GraphContract,
        options: &GraphOptions,
    ) -> Result<Self> {
        let session = session(runtime, path, options)?;
        check(path, "input", session.inputs(), &contract.inputs)?;
        check(path, "output", session.outputs(), &contract.outputs)?;
        let binding = session.create_binding().map_err(|error| failed(&contract.file, &error))?;
        let (name, device) = (contract.file.clone(), options.device.clone());
        Ok(Self { name, device, ranges: options.ranges.clone(), session, binding, ran: Ran::default() })
    }

    /// Gives `input` this value in all runs from now on.
    ///
    /// # Errors
    /// [`Error::Request`] for a shape that the graph was not opened for, [`Error::Runtime`] if it cannot be bound.
    pub(crate) fn bind_input(&mut self, input: &str, tensor: &Tensor) -> Result<()> {
        if let Some(ranges) = &self.ranges {
            ranges.check(input, tensor.0.shape())?;
        }
        self.binding.bind_input(input, &tensor.0).map_err(|error| failed(&self.name, &error))
    }

    /// Has `output` written into this tensor in all runs from now on.
    pub(crate) fn bind_output(&mut self, output: &str, tensor: &mut Tensor) -> Result<()> {
        self.binding.bind_output(output, &mut tensor.0).map_err(|error| failed(&self.name, &error))
    }

    /// The memory that the graph computes in.
    pub(crate) fn memory(&self) -> Result<Memory> {
        self.device.memory(&self.session).map_err(|error| failed(&self.name, &error))
    }

    /// What it has done so far.
    pub(crate) fn ran(&self) -> Ran {
        self.ran
    }

    /// Runs the graph on what is bound and returns `output`, in the host's memory.
    pub(crate) fn run(&mut self, output: &str) -> Result<Tensor> {
        let host = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)
            .map_err(|error| failed(&self.name, &error))?;
        self.run_into(output, &host)
    }

    /// Runs the graph on what is bound and returns `output`, in this memory.
    pub(crate) fn run_on(&mut self, output: &str, memory: &Memory) -> Result<Tensor> {
        match memory {
            Memory::Host(_) => self.run(output),
            Memory::Device(_) => self.run_into(output, memory.info()),
        }
    }

    fn run_into(&mut self, output: &str, place: &MemoryInfo<'_>) -> Result<Tensor> {
        let broken = |error: ort::Error| failed(&self.name, &error);
        // Each time: ONNX Runtime takes what the last run returned for the place of the next one's, and fails if the
        // shape is another.
        self.binding.bind_output_to_device(output, place).map_err(broken)?;
        let started = Instant::now();
        let ran = self.session.run_binding(&self.binding);
        self.ran.time += started.elapsed();
        let mut outputs = ran.map_err(broken)?;
        let made = outputs.remove(output).and_then(|value| value.downcast::<DynTensorValueType>().ok());
        made.map(Tensor).ok_or_else(|| {
            Error::runtime(
                &self.name,
                format!("a tensor named {output}"),
                "none: it was not bound for fetching",
            )
        })
    }
}

fn session(runtime: &Runtime, path: &Path, options: &GraphOptions) -> Result<Session> {
    let (device, provider) = (&options.device, options.device.provider);
    let refused = |error: ort::Error| {
        Error::runtime(path.display(), format!("a graph that the {} provider can run", provider.name), error)
    };
    let mut builder = recording(runtime).map_err(refused)?;
    if provider.on_device() {
        // weights for good, not from the arena that grows with the largest run
        builder = builder.with_device_allocated_initializers().map_err(|error| refused(error.into()))?;
    }
    if let Some(threads) = options.threads {
        builder = builder.with_intra_threads(threads).map_err(|error| refused(error.into()))?;
    }
    let session = device.register(runtime, builder)?.commit_from_file(path).map_err(refused)?;
    if provider.on_device() {
        let placed = raw::placement(&session).map_err(refused)?;
        placement::check(&path.display().to_string(), &placed, provider.nodes_on)?;
    }
    Ok(session)
}

/// A session to be that knows afterwards which provider each node is on.
pub(super) fn recording(runtime: &Runtime) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(&runtime.environment)?;
    Ok(builder.with_config_entry("session.record_ep_graph_assignment_info", "1")?)
}

fn check(path: &Path, kind: &str, found: &[Outlet], promised: &[TensorContract]) -> Result<()> {
    let complain = |name: &str, wanted: String, got: String| {
        Error::package(format!("{}: {kind} {name}", path.display()), wanted, got)
            .hint("graph and fleming.json are not of one export: export the checkpoint again")
    };
    if let Some(extra) =
        found.iter().find(|outlet| promised.iter().all(|tensor| tensor.name != outlet.name()))
    {
        return Err(complain(extra.name(), "no such tensor".into(), describe(extra.dtype())));
    }
    for tensor in promised {
        let wanted = format!("{} {:?}", tensor.dtype, sizes(&tensor.shape));
        let Some(outlet) = found.iter().find(|outlet| outlet.name() == tensor.name) else {
            return Err(complain(&tensor.name, wanted, "no such tensor in the graph".into()));
        };
        if !fits(outlet.dtype(), tensor) {
            return Err(complain(&tensor.name, wanted, describe(outlet.dtype())));
        }
    }
    Ok(())
}

/// Sizes with −1 for the named ones, as ONNX Runtime tells them.
fn sizes(shape: &[Dimension]) -> Vec<i64> {
    let size = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => *size,
        Dimension::Named(_) => -1,
    };
    shape.iter().map(size).collect()
}

fn fits(found: &ValueType, promised: &TensorContract) -> bool {
    match found {
        ValueType::Tensor { ty, shape, .. } => {
            dtype(*ty) == promised.dtype && shape.iter().copied().eq(sizes(&promised.shape))
        }
        _ => false,
    }
}

fn describe(found: &ValueType) -> String {
    match found {
        ValueType::Tensor { ty, shape, .. } => {
            format!("{} {:?}", dtype(*ty), shape.iter().collect::<Vec<_>>())
        }
        other => other.to_string(),
    }
}

/// The name of an element type in `fleming.json`.
fn dtype(found: TensorElementType) -> &'static str {
    match found {
        TensorElementType::Float32 => "float32",
        TensorElementType::Float16 => "float16",
        TensorElementType::Bfloat16 => "bfloat16",
        TensorElementType::Int64 => "int64",
        TensorElementType::Int32 => "int32",
        _ => "a type that no contract names",
    }
}

fn failed(thing: &str, error: &ort::Error) -> Error {
    Error::runtime(thing, "a run without an error", error)
}
