//! Opens the graphs of a package on the devices that run them. A graph that needs a plan is opened with a stored one, or has
//! one built and compared with another provider.

use std::fs;
use std::time::Instant;

use super::agreement::{self, SampleOutputs};
use super::plan::{Plan, PlanFolder};
use super::stores::Stores;
use super::ticker::{LOG, Ticker};
use crate::decoder::Decoder;
use crate::engine::memory;
use crate::engine::options::EngineOptions;
use crate::error::{Error, Result};
use crate::onnx::{GraphOptions, KvShape, PLAN_ENDING, PlanMode, Runtime, ShapeRanges};
use crate::package::{GraphContract, Package, Profile};
use crate::plan_store::{BuildInputs, StoredPlan};
use crate::vision::VisionTower;
use crate::watch::Watch;

/// The folder for plans in a package's folder.
const SHIPPED: &str = "engines";

/// A graph, and the plan that it runs on, if any.
pub(in crate::engine) struct Opened<T> {
    pub(in crate::engine) graph: T,
    pub(super) plan: Option<Plan>,
}

/// Opens the graphs of a package.
pub(in crate::engine) struct GraphOpener<'a> {
    runtime: &'a Runtime,
    package: &'a Package,
    vision: GraphOptions,
    /// Those of the vision graph, unless its provider leaves decoders to another.
    decoder: GraphOptions,
    shape: KvShape,
    /// `None` where graphs run without plans.
    pub(super) stores: Option<Stores>,
}

/// A graph that may run on a plan.
pub(super) trait PlannedGraph {
    /// What it is when it is open.
    type Open;

    fn contract(&self) -> &GraphContract;

    fn options(&self) -> &GraphOptions;

    /// The shapes that its plan takes; `None` if it runs without a plan.
    fn ranges(&self) -> Option<ShapeRanges>;

    fn open(&self, options: &GraphOptions) -> Result<Self::Open>;

    /// Its outputs for fixed inputs.
    fn sample(&self, graph: &mut Self::Open) -> Result<SampleOutputs>;

    /// The outputs with other options, for comparison. It is closed again, because two open graphs hold the weights twice.
    fn reference(&self, options: &GraphOptions) -> Result<SampleOutputs> {
        self.sample(&mut self.open(options)?)
    }
}

/// The ranges of the vision graph and of the decoder, for packages with profiles.
pub(super) fn ranges(package: &Package) -> [Option<ShapeRanges>; 2] {
    let manifest = package.manifest();
    let (graphs, profiles) = (&manifest.graphs, manifest.profiles.as_ref());
    let ranges =
        |contract: &GraphContract, profiles: &[Profile]| ShapeRanges::spanning(&contract.file, profiles);
    [
        profiles.map(|profiles| ranges(&graphs.vision, &profiles.vision)),
        profiles.map(|profiles| ranges(&graphs.decoder, &profiles.decoder)),
    ]
}

impl<'a> GraphOpener<'a> {
    /// An opener with these options. New plans are stored in `folder`.
    ///
    /// # Errors
    /// [`Error::Request`] for options that cannot be met, [`Error::Package`] for a package that the provider does not run,
    /// [`Error::Runtime`] if a library that the provider needs is missing.
    pub(in crate::engine) fn new(
        runtime: &'a Runtime,
        package: &'a Package,
        options: &EngineOptions,
        folder: PlanFolder,
    ) -> Result<Self> {
        let manifest = package.manifest();
        let vision = options.graph(manifest)?;
        vision.device.provider.accept(&manifest.target, &manifest.precision)?;
        let decoder = GraphOptions { device: vision.device.for_decoder(runtime)?, ..vision.clone() };
        let shape = memory::kv_shape(package, options)?;
        let stores = match vision.device.builds_plans() {
            true => Some(Stores::new(package.path(SHIPPED), options.plan_cache.as_deref(), folder)?),
            false => None,
        };
        Ok(Self { runtime, package, vision, decoder, shape, stores })
    }

    /// The same, with what ends it early.
    pub(in crate::engine) fn watched(mut self, watch: &Watch) -> Self {
        self.vision.watch = watch.clone();
        self.decoder.watch = watch.clone();
        self
    }

    /// The graphs in the order in which they are opened: contract, options, and ranges where there is a plan.
    pub(super) fn graphs(&self) -> [(&GraphContract, &GraphOptions, Option<ShapeRanges>); 2] {
        let graphs = &self.package.manifest().graphs;
        let [vision, decoder] = ranges(self.package);
        [(&graphs.vision, &self.vision, vision), (&graphs.decoder, &self.decoder, decoder)].map(
            |(contract, options, ranges)| {
                (contract, options, ranges.filter(|_| options.device.builds_plans()))
            },
        )
    }

    /// Opens the vision graph, with its plan where it needs one.
    ///
    /// # Errors
    /// Those of [`VisionTower::open`], and [`Error::Runtime`] if a plan cannot be loaded, or built and verified.
    pub(in crate::engine) fn vision(&self) -> Result<Opened<VisionTower>> {
        self.open(&VisionGraph(self))
    }

    /// Opens the decoder, with its plan where it needs one.
    ///
    /// # Errors
    /// Those of [`Decoder::open`], and [`Error::Runtime`] if a plan cannot be loaded, or built and verified.
    pub(in crate::engine) fn decoder(&self) -> Result<Opened<Decoder>> {
        self.open(&DecoderGraph(self))
    }

    pub(super) fn open<G: PlannedGraph>(&self, graph: &G) -> Result<Opened<G::Open>> {
        let (Some(stores), Some(ranges)) = (&self.stores, graph.ranges()) else {
            return Ok(Opened { graph: graph.open(graph.options())?, plan: None });
        };
        let started = Instant::now();
        let inputs = self.build_inputs(graph.contract(), graph.options(), &ranges)?;
        let (open, stored, cosine) = match stores.find(&inputs)? {
            Some(stored) => (load(graph, &ranges, &stored)?, stored, None),
            None => {
                let (open, stored, cosine) = self.build(graph, &ranges, &inputs, stores)?;
                (open, stored, Some(cosine))
            }
        };
        let StoredPlan { key, folder, bytes } = stored;
        let (name, seconds) = (graph.contract().file.clone(), started.elapsed().as_secs_f64());
        Ok(Opened { graph: open, plan: Some(Plan { graph: name, key, folder, bytes, seconds, cosine }) })
    }

    /// Builds the plan of a graph, compares it with another provider and stores it. Returns the open graph, the plan and the
    /// least cosine.
    fn build<G: PlannedGraph>(
        &self,
        graph: &G,
        ranges: &ShapeRanges,
        inputs: &BuildInputs,
        stores: &Stores,
    ) -> Result<(G::Open, StoredPlan, f64)> {
        let name = &graph.contract().file;
        // the package's digest is part of the plan's key, so the files must be those of the package
        self.package.verify()?;
        let draft = stores.own.start(inputs)?;
        let reference = graph.options().reference(self.package.manifest())?;
        let wanted = graph.reference(&reference)?;
        if let Some(timings) = stores.timings(inputs) {
            // without them the build only takes longer
            let _ = fs::copy(&timings, draft.folder().join(timings.file_name().unwrap_or_default()));
        }
        let ticker = Ticker::start(name);
        let mut open = graph.open(&graph.options().with_plan(ranges, PlanMode::Build(draft.folder())))?;
        ticker.done();
        if !draft.has(PLAN_ENDING) {
            let (wanted, got) = ("nodes that a plan is built of", "none that the provider takes");
            return Err(Error::runtime(name, wanted, got)
                .hint("use the version of TensorRT that docs/gpu.md names, or the cuda provider"));
        }
        let found = graph.sample(&mut open)?;
        let cosine = agreement::check(name, &found, &wanted, reference.device.provider.name)?;
        tracing::info!(target: LOG, graph = name, cosine, "the plan agrees with the {} provider", reference.device.provider.name);
        Ok((open, draft.publish()?, cosine))
    }

    /// All that the plan of a graph depends on.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a version cannot be found out.
    pub(super) fn build_inputs(
        &self,
        contract: &GraphContract,
        options: &GraphOptions,
        ranges: &ShapeRanges,
    ) -> Result<BuildInputs> {
        let mut inputs = options.device.build_inputs(self.runtime, ranges)?;
        let files = self.package.manifest().files.iter().filter(|(name, _)| name.starts_with(&contract.file));
        let digests: Vec<_> = files.map(|(_, file)| file.sha256.as_str()).collect();
        inputs.insert("package".into(), self.package.digest().into());
        inputs.insert("graph".into(), contract.file.clone());
        inputs.insert("files".into(), digests.join(" "));
        Ok(inputs)
    }
}

/// Opens a graph with a stored plan.
fn load<G: PlannedGraph>(graph: &G, ranges: &ShapeRanges, plan: &StoredPlan) -> Result<G::Open> {
    let before = plan.write_times();
    let remove = format!("remove {} to have it built again", plan.folder.display());
    let options = graph.options().with_plan(ranges, PlanMode::Load(&plan.folder));
    let open = graph.open(&options).map_err(|error| match error.facts().hint.is_empty() {
        true => error.hint(&remove),
        false => error,
    })?;
    if plan.write_times() != before {
        return Err(Error::runtime(
            format!("{}: its plan", graph.contract().file),
            "the stored one to be loaded",
            "another one, which ONNX Runtime has built without a word",
        )
        .hint(remove));
    }
    Ok(open)
}

struct VisionGraph<'a>(&'a GraphOpener<'a>);

impl PlannedGraph for VisionGraph<'_> {
    type Open = VisionTower;

    fn contract(&self) -> &GraphContract {
        &self.0.package.manifest().graphs.vision
    }

    fn options(&self) -> &GraphOptions {
        &self.0.vision
    }

    fn ranges(&self) -> Option<ShapeRanges> {
        let [(_, _, ranges), _] = self.0.graphs();
        ranges
    }

    fn open(&self, options: &GraphOptions) -> Result<VisionTower> {
        VisionTower::open(self.0.runtime, self.0.package, options)
    }

    fn sample(&self, tower: &mut VisionTower) -> Result<SampleOutputs> {
        agreement::of_vision(tower, self.0.package.manifest())
    }
}

struct DecoderGraph<'a>(&'a GraphOpener<'a>);

impl PlannedGraph for DecoderGraph<'_> {
    type Open = Decoder;

    fn contract(&self) -> &GraphContract {
        &self.0.package.manifest().graphs.decoder
    }

    fn options(&self) -> &GraphOptions {
        &self.0.decoder
    }

    fn ranges(&self) -> Option<ShapeRanges> {
        let [_, (_, _, ranges)] = self.0.graphs();
        ranges
    }

    fn open(&self, options: &GraphOptions) -> Result<Decoder> {
        Decoder::open(self.0.runtime, self.0.package, options, self.0.shape)
    }

    fn sample(&self, decoder: &mut Decoder) -> Result<SampleOutputs> {
        agreement::of_decoder(decoder, self.0.package.manifest())
    }

    fn reference(&self, options: &GraphOptions) -> Result<SampleOutputs> {
        // the sample needs one slot
        let one = KvShape { slots: 1, ..self.0.shape };
        self.sample(&mut Decoder::open(self.0.runtime, self.0.package, options, one)?)
    }
}
