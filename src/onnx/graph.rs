//! One ONNX graph: opened, compared with its contract, run.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;
use ort::session::{IoBinding, RunOptions, Session, SessionOutputs};
use ort::value::{DynTensorValueType, Outlet, TensorElementType, ValueType};

use super::detached::Loading;
use super::device_lock::CaptureLock;
use super::memory::{Memory, Tensor};
use super::operators::OwnOperators;
use super::provider::Device;
use super::runtime::Runtime;
use super::shape_ranges::ShapeRanges;
use super::{placement, raw};
use crate::error::{Error, Result};
use crate::package::{Dimension, GraphContract, TensorContract};
use crate::watch::Watch;

/// How graphs are run.
#[derive(Clone)]
pub(crate) struct GraphOptions {
    pub(crate) device: Device,
    /// Threads inside an operator; `None` leaves it to ONNX Runtime, which takes one for each physical core.
    pub(crate) threads: Option<usize>,
    pub(crate) operators: OwnOperators,
    /// The shapes that the graph's plan takes; `None` without a plan, where every shape runs.
    pub(crate) ranges: Option<Arc<ShapeRanges>>,
    /// What ends the loading early.
    pub(crate) watch: Watch,
}

impl GraphOptions {
    /// The same options for a graph whose runs are never recorded.
    pub(crate) fn without_recording(&self) -> Self {
        Self { device: self.device.without_recording(), ..self.clone() }
    }
}

/// A loaded graph with its bound inputs and outputs.
pub(crate) struct Graph {
    name: String,
    device: Device,
    ranges: Option<Arc<ShapeRanges>>,
    session: Session,
    binding: IoBinding,
    bound: BTreeMap<String, Bound>,
    /// For runs that are not recorded.
    options: RunOptions,
    /// By their ids.
    recordings: HashMap<usize, Recording>,
    run_time: Duration,
}

/// The memory that an output of a run goes to.
#[derive(Clone, Copy)]
pub(crate) enum Destination<'a> {
    Host,
    Memory(&'a Memory),
}

/// The address and the sizes of a bound tensor.
#[derive(Clone, PartialEq, Eq)]
struct Bound {
    address: usize,
    sizes: Vec<usize>,
}

/// A run that was captured as a CUDA graph. It is replayed on the memory that was bound at the capture.
struct Recording {
    options: RunOptions,
    bound: BTreeMap<String, Bound>,
}

impl Recording {
    /// The name of a tensor that is bound elsewhere now, or with other sizes.
    fn moved<'a>(&self, bound: &'a BTreeMap<String, Bound>) -> Option<&'a str> {
        let moved = bound.iter().find(|(name, bound)| self.bound.get(*name) != Some(bound));
        moved.map(|(name, _)| name.as_str())
    }
}

impl Graph {
    /// Loads the graph at `path` and compares its inputs and outputs with the package's contract.
    ///
    /// # Errors
    /// [`Error::Runtime`] if it does not load or a node is not on the provider, [`Error::Package`] naming the tensor that
    /// differs.
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
        let device = options.device.clone();
        let not_recorded =
            run_options(&device, NOT_RECORDED).map_err(|error| failed(&contract.file, &error))?;
        Ok(Self {
            name: contract.file.clone(),
            device,
            ranges: options.ranges.clone(),
            session,
            binding,
            bound: BTreeMap::new(),
            options: not_recorded,
            recordings: HashMap::new(),
            run_time: Duration::ZERO,
        })
    }

    /// Binds the tensor to `input` for all runs from now on.
    ///
    /// # Errors
    /// [`Error::Request`] for a shape that the graph's plan does not take, [`Error::Runtime`] if it cannot be bound.
    pub(crate) fn bind_input(&mut self, input: &str, tensor: &Tensor) -> Result<()> {
        if let Some(ranges) = &self.ranges {
            ranges.check(input, tensor.0.shape())?;
        }
        self.note(input, tensor);
        self.binding.bind_input(input, &tensor.0).map_err(|error| failed(&self.name, &error))
    }

    /// Binds the tensor to `output`: all runs from now on write into it.
    ///
    /// # Errors
    /// [`Error::Runtime`] if it cannot be bound.
    pub(crate) fn bind_output(&mut self, output: &str, tensor: &mut Tensor) -> Result<()> {
        self.note(output, tensor);
        self.binding.bind_output(output, &mut tensor.0).map_err(|error| failed(&self.name, &error))
    }

    fn note(&mut self, name: &str, tensor: &Tensor) {
        if self.device.records() {
            let bound = Bound { address: tensor.0.data_ptr() as usize, sizes: tensor.sizes() };
            self.bound.insert(name.to_owned(), bound);
        }
    }

    /// The memory that the graph computes in.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the device has no allocator.
    pub(crate) fn memory(&self) -> Result<Memory> {
        self.device.memory(&self.session).map_err(|error| failed(&self.name, &error))
    }

    /// The time that ONNX Runtime has taken for all runs so far.
    pub(crate) fn run_time(&self) -> Duration {
        self.run_time
    }

    /// Runs the graph on what is bound and returns these outputs, each at its destination.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the run fails.
    pub(crate) fn run<const N: usize>(
        &mut self,
        outputs: [(&str, Destination<'_>); N],
    ) -> Result<[Tensor; N]> {
        let broken = |error: ort::Error| failed(&self.name, &error);
        let host = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)
            .map_err(broken)?;
        for (output, destination) in outputs {
            let info = match destination {
                Destination::Memory(memory @ Memory::Device(_)) => memory.info(),
                Destination::Memory(Memory::Host(_)) | Destination::Host => &host,
            };
            // before every run: otherwise ONNX Runtime writes into the last run's output, and fails if the shape differs
            self.binding.bind_output_to_device(output, info).map_err(broken)?;
        }
        let started = Instant::now();
        let ran = self.session.run_binding_with_options(&self.binding, &self.options);
        self.run_time += started.elapsed();
        let mut made = ran.map_err(broken)?;
        let taken = outputs.map(|(output, _)| take(&self.name, &mut made, output));
        taken.into_iter().collect::<Result<Vec<_>>>()?.try_into().map_err(|_| {
            Error::runtime(&self.name, format!("{N} outputs"), "another number of them").report()
        })
    }

    /// Runs the graph on what is bound. Captures the first run of each id, unless another thread is loading a model. Later
    /// runs of the id replay the capture: they read and write the memory that was bound then, whatever is bound now. So
    /// everything must still be bound to the same memory, and inputs change in place.
    ///
    /// # Errors
    /// [`Error::Runtime`] naming a tensor that is bound elsewhere, or if the run fails. A capture that fails is forgotten.
    pub(crate) fn run_recorded(&mut self, id: usize) -> Result<()> {
        if let Some(recording) = self.recordings.get(&id) {
            if let Some(name) = recording.moved(&self.bound) {
                return Err(Error::runtime(
                    format!("{}: {name} of recorded run {id}", self.name),
                    "the memory and the sizes it was recorded with",
                    "others",
                )
                .hint("report this; `--provider-option enable_cuda_graph=false` runs without recordings"));
            }
            return run_bound(&mut self.session, &self.binding, &recording.options, &mut self.run_time)
                .map_err(|error| unrecorded(&self.name, &error));
        }
        let Some(_alone) = CaptureLock::take() else {
            return run_bound(&mut self.session, &self.binding, &self.options, &mut self.run_time)
                .map_err(|error| unrecorded(&self.name, &error));
        };
        let options =
            run_options(&self.device, &id.to_string()).map_err(|error| failed(&self.name, &error))?;
        run_bound(&mut self.session, &self.binding, &options, &mut self.run_time)
            .map_err(|error| unrecorded(&self.name, &error))?;
        self.recordings.insert(id, Recording { options, bound: self.bound.clone() });
        Ok(())
    }
}

/// A run whose outputs are all bound to memory.
fn run_bound(
    session: &mut Session,
    binding: &IoBinding,
    options: &RunOptions,
    run_time: &mut Duration,
) -> ort::Result<()> {
    let started = Instant::now();
    let ran = session.run_binding_with_options(binding, options);
    *run_time += started.elapsed();
    ran.map(drop)
}

fn unrecorded(thing: &str, error: &ort::Error) -> Error {
    failed(thing, error).hint("`--provider-option enable_cuda_graph=false` runs without recordings")
}

/// The key and the value for runs that are neither captured nor replayed: `onnxruntime_run_options_config_keys.h`.
const GRAPH_ID: &str = "gpu_graph_id";
const NOT_RECORDED: &str = "-1";

fn run_options(device: &Device, recording: &str) -> ort::Result<RunOptions> {
    let mut options = RunOptions::new()?;
    if device.records() {
        options.set(GRAPH_ID, recording)?;
    }
    Ok(options)
}

fn take(graph: &str, made: &mut SessionOutputs<'_>, output: &str) -> Result<Tensor> {
    let tensor = made.remove(output).and_then(|value| value.downcast::<DynTensorValueType>().ok());
    tensor.map(Tensor).ok_or_else(|| {
        Error::runtime(graph, format!("a tensor named {output}"), "none: it was not bound for fetching")
            .report()
    })
}

fn session(runtime: &Runtime, path: &Path, options: &GraphOptions) -> Result<Session> {
    let (device, provider) = (&options.device, options.device.provider);
    let refused = |error: ort::Error| {
        Error::runtime(path.display(), format!("a graph that the {} provider can run", provider.name), error)
            .hint("`fleming doctor` says what is missing; a package of another version is exported again")
    };
    let builder = placement_builder(runtime).map_err(refused)?;
    let mut builder = device.configure_session(builder).map_err(refused)?;
    if provider.on_device() {
        // outside the arena, which grows with the largest run: weights stay
        builder = builder.with_device_allocated_initializers().map_err(|error| refused(error.into()))?;
    } else {
        // a block for each shape that was run comes on top of what the first run took: a third more for a tile
        builder = builder.with_memory_pattern(false).map_err(|error| refused(error.into()))?;
    }
    if let Some(threads) = options.threads {
        builder = builder.with_intra_threads(threads).map_err(|error| refused(error.into()))?;
    }
    let builder = device.register(runtime, builder)?;
    let builder = options.operators.register(builder, options.threads).map_err(refused)?;
    let loading = Loading::from(path.parent().unwrap_or(path));
    let session = committed(builder, path, &options.watch)?.map_err(refused)?;
    let detached = loading.detach().map_err(|error| {
        Error::runtime(path.display(), "memory for the weights, and the file as it was", error)
            .hint("close other programs, and leave the package alone while it loads")
    })?;
    drop(loading);
    tracing::debug!(bytes = detached, "weights were read that ONNX Runtime had mapped");
    if provider.on_device() {
        let placed = raw::placement(&session).map_err(refused)?;
        placement::check(&path.display().to_string(), &placed, provider.nodes_on)?;
    }
    Ok(session)
}

/// How often it is checked whether loading is to end.
const GLANCE: Duration = Duration::from_millis(20);

/// Loads a graph as long as the watch lets it. ONNX Runtime gives up between two steps of its own.
fn committed(mut builder: SessionBuilder, path: &Path, watch: &Watch) -> Result<ort::Result<Session>> {
    watch.check()?;
    if !watch.may_end() {
        return Ok(builder.commit_from_file(path));
    }
    let canceler = builder.canceler();
    let session = thread::scope(|scope| {
        let (done, rest) = mpsc::channel::<()>();
        scope.spawn(move || {
            while rest.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
                if watch.check().is_err() {
                    // What cannot be cancelled loads to its end.
                    let _ = canceler.cancel();
                    return;
                }
            }
        });
        let session = builder.commit_from_file(path);
        drop(done);
        session
    });
    watch.check()?;
    Ok(session)
}

/// A builder of sessions that record the provider of each node.
pub(super) fn placement_builder(runtime: &Runtime) -> ort::Result<SessionBuilder> {
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

/// Sizes with −1 for the named ones, as in ONNX Runtime.
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
        .hint("out of memory: fewer slots, a smaller context or smaller batches; else report this")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::FixedRows;
    use crate::onnx::survey::GRAPH;

    /// A graph of one `Identity` on a device that records.
    fn identity(folder: &Path) -> Graph {
        let path = folder.join("identity.onnx");
        std::fs::write(&path, GRAPH).unwrap();
        let tensor = |name: &str| serde_json::json!({"name": name, "dtype": "float32", "shape": [1]});
        let contract =
            serde_json::json!({"file": "identity", "inputs": [tensor("x")], "outputs": [tensor("y")]});
        let options = GraphOptions {
            device: Device::parse("fake", &[]).unwrap(),
            threads: None,
            operators: OwnOperators::NONE,
            ranges: None,
            watch: Watch::default(),
        };
        let runtime = Runtime::load(None).unwrap();
        Graph::open(&runtime, &path, &serde_json::from_value(contract).unwrap(), &options).unwrap()
    }

    #[test]
    fn a_capture_that_fails_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut graph = identity(folder.path());
        let memory = graph.memory().unwrap();
        let number = |value: f32| ndarray::Array1::from_elem(1, value);
        let [mut x, mut y] = [1.0, 0.0].map(|value| FixedRows::new(&memory, number(value)).unwrap());
        graph.bind_output("y", &mut y.first(1).unwrap()).unwrap();
        // without its input
        graph.run_recorded(1).unwrap_err();
        graph.bind_input("x", &x.first(1).unwrap()).unwrap();
        graph.run_recorded(1).unwrap();
        assert_eq!(y.first(1).unwrap().to_vec().unwrap(), [1.0]);
    }

    #[test]
    fn a_recording_is_replayed_only_on_its_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut graph = identity(folder.path());
        let memory = graph.memory().unwrap();
        let number = |value: f32| ndarray::Array1::from_elem(1, value);
        let [mut x, mut y] = [1.0, 0.0].map(|value| FixedRows::new(&memory, number(value)).unwrap());
        graph.bind_input("x", &x.first(1).unwrap()).unwrap();
        graph.bind_output("y", &mut y.first(1).unwrap()).unwrap();
        for value in [1.0, 2.0, 3.0] {
            x.fill(number(value)).unwrap();
            graph.run_recorded(1).unwrap();
            assert_eq!(y.first(1).unwrap().to_vec().unwrap(), [value]);
        }
        graph.bind_input("x", &Tensor::new(number(4.0)).unwrap()).unwrap();
        let error = graph.run_recorded(1).unwrap_err().to_string();
        assert!(error.contains("identity: x of recorded run 1"), "{error}");
        assert!(error.contains("enable_cuda_graph=false"), "{error}");
        graph.run_recorded(2).unwrap();
        assert_eq!(y.first(1).unwrap().to_vec().unwrap(), [4.0]);
        let [plain] = graph.run([("y", Destination::Host)]).unwrap();
        assert_eq!(plain.to_vec().unwrap(), [4.0]);
    }
}
