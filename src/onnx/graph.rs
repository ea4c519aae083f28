//! One ONNX graph: opened, held against its contract, run.

use std::path::Path;
use std::time::{Duration, Instant};

use ndarray::{Array, Dimension as Rank};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;
use ort::session::{IoBinding, Session};
use ort::value::{Outlet, PrimitiveTensorElementType, TensorElementType, ValueType};

use super::provider::Device;
use super::runtime::Runtime;
use super::{placement, raw};
use crate::error::{Error, Result};
use crate::package::{Dimension, GraphContract, TensorContract};

/// A tensor that ONNX Runtime holds, on whatever device.
pub(crate) struct Tensor(pub(super) ort::value::DynValue);

/// How graphs are run.
#[derive(Clone)]
pub(crate) struct GraphOptions {
    pub(crate) device: Device,
    /// Threads inside an operator; `None` leaves it to ONNX Runtime, which takes one for each physical core.
    pub(crate) threads: Option<usize>,
}

/// A loaded graph with its bound inputs and outputs.
pub(crate) struct Graph {
    name: String,
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

impl Tensor {
    /// A tensor with the array's values, in row-major order.
    pub(crate) fn new<T, D>(array: Array<T, D>) -> Result<Self>
    where
        T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
        D: Rank + 'static,
    {
        let shape: Vec<i64> = array.shape().iter().map(|&size| size as i64).collect();
        let values = if array.is_standard_layout() {
            array.into_raw_vec_and_offset().0
        } else {
            array.iter().cloned().collect()
        };
        let tensor =
            ort::value::Tensor::from_array((shape, values)).map_err(|error| failed("tensor", &error))?;
        Ok(Self(tensor.into_dyn()))
    }

    /// The values, row-major.
    ///
    /// # Errors
    /// [`Error::Runtime`] if they are not in host memory or of another type.
    pub(crate) fn numbers(&self) -> Result<&[f32]> {
        let (_, numbers) = self.0.try_extract_tensor::<f32>().map_err(|error| failed("tensor", &error))?;
        Ok(numbers)
    }
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
        Ok(Self { name: contract.file.clone(), session, binding, ran: Ran::default() })
    }

    /// Gives `input` this value in all runs from now on.
    pub(crate) fn bind_input(&mut self, input: &str, tensor: &Tensor) -> Result<()> {
        self.binding.bind_input(input, &tensor.0).map_err(|error| failed(&self.name, &error))
    }

    /// Has `output` written into this tensor in all runs from now on.
    pub(crate) fn bind_output(&mut self, output: &str, tensor: &mut Tensor) -> Result<()> {
        self.binding.bind_output(output, &mut tensor.0).map_err(|error| failed(&self.name, &error))
    }

    /// Has `output` allocated in host memory by the next run.
    fn fetch_output(&mut self, output: &str) -> Result<()> {
        let host = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)
            .map_err(|error| failed(&self.name, &error))?;
        self.binding.bind_output_to_device(output, &host).map_err(|error| failed(&self.name, &error))
    }

    /// What it has done so far.
    pub(crate) fn ran(&self) -> Ran {
        self.ran
    }

    /// Runs the graph on what is bound and returns `output`, which lies in host memory.
    pub(crate) fn run(&mut self, output: &str) -> Result<Tensor> {
        // Each time: ONNX Runtime takes what the last run returned for the place of the next one's, and fails if the
        // shape is another.
        self.fetch_output(output)?;
        let started = Instant::now();
        let ran = self.session.run_binding(&self.binding);
        self.ran.time += started.elapsed();
        let mut outputs = ran.map_err(|error| failed(&self.name, &error))?;
        outputs.remove(output).map(Tensor).ok_or_else(|| {
            Error::runtime(
                &self.name,
                format!("an output named {output}"),
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
