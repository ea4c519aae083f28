//! One ONNX graph: opened, held against its contract, run.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;
use ort::session::{IoBinding, RunOptions, Session, SessionOutputs};
use ort::value::{DynTensorValueType, Outlet, TensorElementType, ValueType};

use super::memory::{Memory, Tensor};
use super::profiles::Ranges;
use super::provider::Device;
use super::runtime::Runtime;
use super::turns::Alone;
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

impl GraphOptions {
    /// The same for a graph whose runs are never recorded.
    pub(crate) fn without_recording(&self) -> Self {
        Self { device: self.device.without_recording(), ..self.clone() }
    }
}

/// A loaded graph with its bound inputs and outputs.
pub(crate) struct Graph {
    name: String,
    device: Device,
    ranges: Option<Arc<Ranges>>,
    session: Session,
    binding: IoBinding,
    /// Where each bound tensor is, and its sizes.
    bound: BTreeMap<String, Bound>,
    /// Of runs that are not recorded.
    options: RunOptions,
    recorded: HashMap<usize, Recorded>,
    ran: Ran,
}

/// Where an output is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Host,
    In(&'a Memory),
}

/// The place and the sizes of a tensor.
#[derive(Clone, PartialEq, Eq)]
struct Bound {
    address: usize,
    sizes: Vec<usize>,
}

/// A run that the device has recorded, and plays again with the memory it was recorded with.
struct Recorded {
    options: RunOptions,
    bound: BTreeMap<String, Bound>,
}

impl Recorded {
    /// The name of a tensor that is not where it was.
    fn moved<'a>(&self, bound: &'a BTreeMap<String, Bound>) -> Option<&'a str> {
        let moved = bound.iter().find(|(name, bound)| self.bound.get(*name) != Some(bound));
        moved.map(|(name, _)| name.as_str())
    }
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
        let ranges = options.ranges.clone();
        let options = run_options(&device, NOT_RECORDED).map_err(|error| failed(&name, &error))?;
        let (bound, recorded) = (BTreeMap::new(), HashMap::new());
        Ok(Self { name, device, ranges, session, binding, bound, options, recorded, ran: Ran::default() })
    }

    /// Gives `input` this value in all runs from now on.
    ///
    /// # Errors
    /// [`Error::Request`] for a shape that the graph was not opened for, [`Error::Runtime`] if it cannot be bound.
    pub(crate) fn bind_input(&mut self, input: &str, tensor: &Tensor) -> Result<()> {
        if let Some(ranges) = &self.ranges {
            ranges.check(input, tensor.0.shape())?;
        }
        self.note(input, tensor);
        self.binding.bind_input(input, &tensor.0).map_err(|error| failed(&self.name, &error))
    }

    /// Has `output` written into this tensor in all runs from now on.
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
    pub(crate) fn memory(&self) -> Result<Memory> {
        self.device.memory(&self.session).map_err(|error| failed(&self.name, &error))
    }

    /// What it has done so far.
    pub(crate) fn ran(&self) -> Ran {
        self.ran
    }

    /// Runs the graph on what is bound and returns these outputs, each in the memory where it is wanted.
    pub(crate) fn run<const N: usize>(&mut self, outputs: [(&str, Place<'_>); N]) -> Result<[Tensor; N]> {
        let broken = |error: ort::Error| failed(&self.name, &error);
        let host = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)
            .map_err(broken)?;
        for (output, place) in outputs {
            let info = match place {
                Place::In(memory @ Memory::Device(_)) => memory.info(),
                Place::In(Memory::Host(_)) | Place::Host => &host,
            };
            // Each time: ONNX Runtime takes what the last run returned for the place of the next one's, and fails if the
            // shape is another.
            self.binding.bind_output_to_device(output, info).map_err(broken)?;
        }
        let started = Instant::now();
        let ran = self.session.run_binding_with_options(&self.binding, &self.options);
        self.ran.time += started.elapsed();
        let mut made = ran.map_err(broken)?;
        let taken = outputs.map(|(output, _)| take(&self.name, &mut made, output));
        taken
            .into_iter()
            .collect::<Result<Vec<_>>>()?
            .try_into()
            .map_err(|_| Error::runtime(&self.name, format!("{N} outputs"), "another number of them"))
    }

    /// Runs the graph on what is bound. The device records the first run of each number that falls in no time when a
    /// graph is being loaded, and plays it again in later ones, which read and write the memory that was bound then,
    /// whatever is bound now: so everything that is bound must be where it was, and changes are made in place.
    ///
    /// # Errors
    /// [`Error::Runtime`] naming the tensor that is somewhere else.
    pub(crate) fn run_recorded(&mut self, number: usize) -> Result<()> {
        let broken = |error: ort::Error| failed(&self.name, &error);
        let alone = if self.recorded.contains_key(&number) { None } else { Alone::take() };
        if alone.is_some() {
            let options = run_options(&self.device, &number.to_string()).map_err(broken)?;
            self.recorded.insert(number, Recorded { options, bound: self.bound.clone() });
        }
        let recorded = self.recorded.get(&number);
        if let Some(name) = recorded.and_then(|recorded| recorded.moved(&self.bound)) {
            return Err(Error::runtime(
                format!("{}: {name} of recorded run {number}", self.name),
                "the memory and the sizes it was recorded with",
                "others",
            )
            .hint("report this; `--provider-option enable_cuda_graph=false` runs without recordings"));
        }
        let options = recorded.map_or(&self.options, |recorded| &recorded.options);
        let started = Instant::now();
        let ran = self.session.run_binding_with_options(&self.binding, options);
        self.ran.time += started.elapsed();
        ran.map(drop).map_err(|error| {
            broken(error).hint("`--provider-option enable_cuda_graph=false` runs without recordings")
        })
    }
}

/// The key and the value for runs that are neither recorded nor played, as `onnxruntime_run_options_config_keys.h` has
/// them.
const RECORDING: &str = "gpu_graph_id";
const NOT_RECORDED: &str = "-1";

fn run_options(device: &Device, recording: &str) -> ort::Result<RunOptions> {
    let mut options = RunOptions::new()?;
    if device.records() {
        options.set(RECORDING, recording)?;
    }
    Ok(options)
}

fn take(graph: &str, made: &mut SessionOutputs<'_>, output: &str) -> Result<Tensor> {
    let tensor = made.remove(output).and_then(|value| value.downcast::<DynTensorValueType>().ok());
    tensor.map(Tensor).ok_or_else(|| {
        Error::runtime(graph, format!("a tensor named {output}"), "none: it was not bound for fetching")
    })
}

fn session(runtime: &Runtime, path: &Path, options: &GraphOptions) -> Result<Session> {
    let (device, provider) = (&options.device, options.device.provider);
    let refused = |error: ort::Error| {
        Error::runtime(path.display(), format!("a graph that the {} provider can run", provider.name), error)
    };
    let builder = recording(runtime).map_err(refused)?;
    let mut builder = device.tell_session(builder).map_err(refused)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::FixedRows;
    use crate::onnx::survey::GRAPH;

    /// A graph of one `Identity` that can be recorded.
    fn identity(folder: &Path) -> Graph {
        let path = folder.join("identity.onnx");
        std::fs::write(&path, GRAPH).unwrap();
        let tensor = |name: &str| serde_json::json!({"name": name, "dtype": "float32", "shape": [1]});
        let contract =
            serde_json::json!({"file": "identity", "inputs": [tensor("x")], "outputs": [tensor("y")]});
        let options =
            GraphOptions { device: Device::parse("fake", &[]).unwrap(), threads: None, ranges: None };
        let runtime = Runtime::load(None).unwrap();
        Graph::open(&runtime, &path, &serde_json::from_value(contract).unwrap(), &options).unwrap()
    }

    #[test]
    fn a_recording_is_played_only_where_it_was_made() {
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
        let [plain] = graph.run([("y", Place::Host)]).unwrap();
        assert_eq!(plain.to_vec().unwrap(), [4.0]);
    }
}
