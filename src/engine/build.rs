//! Graphs opened, and their engines seen to where a device builds some: taken from where they are kept, or built, held
//! against another provider and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::parity::{self, Sample};
use super::progress::{LOG, Progress};
use super::{EngineOptions, memory};
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::onnx::{ENGINE, Engines, GraphOptions, KvShape, Ranges, Runtime, TIMING, TIMING_FACTS, Turn};
use crate::package::{GraphContract, Package, Profile};
use crate::store::{self, Entry, Facts, State, Store};
use crate::vision::VisionTower;

/// Where engines go that have to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnginePlace {
    /// The folder of [`EngineOptions::engine_cache`].
    Cache,
    /// The package's folder `engines`, so that they are shipped with it.
    Package,
}

/// What was built of a graph: TensorRT's engines.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BuiltEngines {
    /// File of the graph.
    pub graph: String,
    /// Name of the folder: SHA-256 of all that the engines depend on.
    pub key: String,
    /// The folder.
    pub folder: PathBuf,
    /// Length of all files in it.
    pub bytes: u64,
    /// How long it took to open the graph, building included.
    pub seconds: f64,
    /// The least cosine with another provider's answers, if they were built just now.
    pub cosine: Option<f64>,
}

/// How it is with the engines of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineState {
    /// File of the graph.
    pub graph: String,
    /// Name of the folder: SHA-256 of all that the engines depend on.
    pub key: String,
    /// The folder, if they are there.
    pub folder: Option<PathBuf>,
    /// What is wrong with them, if they are there and were altered.
    pub damage: Option<String>,
}

/// A graph and the engines it runs on, if it does.
pub(super) struct Opened<T> {
    pub(super) graph: T,
    pub(super) engines: Option<BuiltEngines>,
}

/// Opens the graphs of a package.
pub(super) struct Opening<'a> {
    runtime: &'a Runtime,
    package: &'a Package,
    vision: GraphOptions,
    /// Those of the vision graph, unless its provider leaves decoders to another.
    decoder: GraphOptions,
    shape: KvShape,
    stores: Option<Stores>,
}

/// Where engines are looked for and built, and where else there may be some to copy.
struct Stores {
    own: Store,
    other: Option<Store>,
}

/// One of the graphs.
struct Part<'a, T> {
    contract: &'a GraphContract,
    options: &'a GraphOptions,
    ranges: Option<Ranges>,
    open: &'a dyn Fn(&GraphOptions) -> Result<T>,
    sample: &'a dyn Fn(&mut T) -> Result<Sample>,
    /// What another provider makes of the same inputs. It is asked before there is an engine, so that the weights are
    /// not in memory twice.
    reference: &'a dyn Fn(&GraphOptions) -> Result<Sample>,
}

/// The folder for engines in a package's folder.
const SHIPPED: &str = "engines";

/// Opens the graphs of a package as an engine would, runs each, and has engines built that are not there. Returns the
/// engines of each graph; none where the provider builds none.
///
/// ```no_run
/// use fleming::{EngineOptions, EnginePlace, warm};
///
/// let options = EngineOptions { provider: "tensorrt".into(), ..EngineOptions::default() };
/// for engines in warm("models/fleming-8b".as_ref(), &options, EnginePlace::Cache)? {
///     println!("{}: {} bytes in {}", engines.graph, engines.bytes, engines.folder.display());
/// }
/// # Ok::<(), fleming::Error>(())
/// ```
///
/// # Errors
/// Those of [`Engine::open`](super::Engine::open), and [`Error::Runtime`] with the cosine if an engine computes something
/// else than another provider does.
pub fn warm(folder: &Path, options: &EngineOptions, place: EnginePlace) -> Result<Vec<BuiltEngines>> {
    options.check()?;
    let package = Package::open(folder)?;
    check(&package, options)?;
    let needs = memory::MemoryNeeds::of(&package, options)?;
    let runtime = Runtime::load(options.library.as_deref())?;
    needs.check(options.graph()?.device.free_memory(&runtime)?)?;
    package.verify()?;
    let _turn = Turn::long();
    let opening = Opening::new(&runtime, &package, options, place)?;
    let Opened { graph: mut tower, engines: vision } = opening.vision()?;
    parity::of_vision(&mut tower, package.manifest())?;
    // to build the next one takes memory of its own
    drop(tower);
    let Opened { graph: mut decoder, engines } = opening.decoder()?;
    parity::of_decoder(&mut decoder, package.manifest())?;
    Ok(vision.into_iter().chain(engines).collect())
}

/// How it is with the engines that a package needs with these options; none where the provider builds none.
///
/// # Errors
/// [`Error::Request`] for options that cannot be met, [`Error::Runtime`] if the device does not tell what engines depend on.
pub fn engine_states(package: &Package, options: &EngineOptions) -> Result<Vec<EngineState>> {
    check(package, options)?;
    let runtime = Runtime::load(options.library.as_deref())?;
    let opening = Opening::new(&runtime, package, options, EnginePlace::Cache)?;
    let Some(stores) = &opening.stores else { return Ok(Vec::new()) };
    let parts = opening.graphs().into_iter().zip(opening.ranges());
    let state = |((contract, graph), ranges): ((&GraphContract, &GraphOptions), Option<Ranges>)| {
        let Some(ranges) = ranges else { return Ok(None) };
        let facts = opening.facts(contract, graph, &ranges)?;
        let (folder, damage) = match stores.own.state(&facts) {
            State::Present(entry) => (Some(entry.folder), None),
            State::Damaged(folder, reason) => (Some(folder), Some(reason)),
            State::Absent => (None, None),
        };
        Ok(Some(EngineState { graph: contract.file.clone(), key: store::key(&facts), folder, damage }))
    };
    parts.filter_map(|part| state(part).transpose()).collect()
}

/// Which provider runs which graph of a package with these options: the one that was asked for, and CUDA for the decoder
/// where TensorRT is too old for it.
///
/// # Errors
/// [`Error::Request`] for options that cannot be met, [`Error::Runtime`] if a library that the provider needs is missing.
pub fn graph_providers(package: &Package, options: &EngineOptions) -> Result<Vec<(String, &'static str)>> {
    let runtime = Runtime::load(options.library.as_deref())?;
    let opening = Opening::new(&runtime, package, options, EnginePlace::Cache)?;
    let named = |(contract, graph): (&GraphContract, &GraphOptions)| {
        (contract.file.clone(), graph.device.provider.name)
    };
    Ok(opening.graphs().into_iter().map(named).collect())
}

/// Refuses options that would have runs outside the profiles that engines are built for.
pub(super) fn check(package: &Package, options: &EngineOptions) -> Result<()> {
    let [_, Some(decoder)] = ranges(package) else { return Ok(()) };
    if !options.graph()?.device.builds_engines() {
        return Ok(());
    }
    let chunk = options.chunk.min(options.context(package.manifest())?);
    for (option, axis, wanted) in [("slots", 0, options.slots), ("chunk", 1, chunk)] {
        if let Some(most) = decoder.most("input_ids", axis).filter(|most| *most < wanted) {
            let range = format!("at most {most}, for which the package's engines are built");
            return Err(Error::request(option, range, wanted)
                .hint("ask for less, use the cuda provider, or export with wider profiles"));
        }
    }
    Ok(())
}

/// Of the vision graph and the decoder, for packages that have profiles.
fn ranges(package: &Package) -> [Option<Ranges>; 2] {
    let manifest = package.manifest();
    let (graphs, profiles) = (&manifest.graphs, manifest.profiles.as_ref());
    let ranges = |contract: &GraphContract, profiles: &[Profile]| Ranges::spanning(&contract.file, profiles);
    [
        profiles.map(|profiles| ranges(&graphs.vision, &profiles.vision)),
        profiles.map(|profiles| ranges(&graphs.decoder, &profiles.decoder)),
    ]
}

impl<'a> Opening<'a> {
    pub(super) fn new(
        runtime: &'a Runtime,
        package: &'a Package,
        options: &EngineOptions,
        place: EnginePlace,
    ) -> Result<Self> {
        let vision = options.graph()?;
        let manifest = package.manifest();
        vision.device.provider.accept(&manifest.target, &manifest.precision)?;
        let decoder = GraphOptions { device: vision.device.for_decoder(runtime)?, ..vision.clone() };
        let shape = memory::kv_shape(package, options)?;
        let stores = match vision.device.builds_engines() {
            true => Some(Stores::new(package.path(SHIPPED), options.engine_cache.as_deref(), place)?),
            false => None,
        };
        Ok(Self { runtime, package, vision, decoder, shape, stores })
    }

    /// The graphs in the order in which they are opened, with their options.
    fn graphs(&self) -> [(&GraphContract, &GraphOptions); 2] {
        let graphs = &self.package.manifest().graphs;
        [(&graphs.vision, &self.vision), (&graphs.decoder, &self.decoder)]
    }

    /// The ranges of those that are built into engines.
    fn ranges(&self) -> [Option<Ranges>; 2] {
        let [vision, decoder] = ranges(self.package);
        let built = |options: &GraphOptions| options.device.builds_engines();
        [vision.filter(|_| built(&self.vision)), decoder.filter(|_| built(&self.decoder))]
    }

    pub(super) fn vision(&self) -> Result<Opened<VisionTower>> {
        let manifest = self.package.manifest();
        let open = |options: &GraphOptions| VisionTower::open(self.runtime, self.package, options);
        let [ranges, _] = self.ranges();
        self.open(&Part {
            contract: &manifest.graphs.vision,
            options: &self.vision,
            ranges,
            open: &open,
            sample: &|tower| parity::of_vision(tower, manifest),
            reference: &|options| parity::of_vision(&mut open(options)?, manifest),
        })
    }

    pub(super) fn decoder(&self) -> Result<Opened<Decoder>> {
        let manifest = self.package.manifest();
        let open = |options: &GraphOptions, shape| Decoder::open(self.runtime, self.package, options, shape);
        let [_, ranges] = self.ranges();
        let one = KvShape { slots: 1, ..self.shape };
        self.open(&Part {
            contract: &manifest.graphs.decoder,
            options: &self.decoder,
            ranges,
            open: &|options| open(options, self.shape),
            sample: &|decoder| parity::of_decoder(decoder, manifest),
            reference: &|options| parity::of_decoder(&mut open(options, one)?, manifest),
        })
    }

    fn open<T>(&self, part: &Part<'_, T>) -> Result<Opened<T>> {
        let (Some(stores), Some(ranges)) = (&self.stores, &part.ranges) else {
            return Ok(Opened { graph: (part.open)(part.options)?, engines: None });
        };
        let started = Instant::now();
        let facts = self.facts(part.contract, part.options, ranges)?;
        let found = match stores.own.look_up(&facts) {
            Some(entry) => Some(entry),
            None => stores.copied(&facts)?,
        };
        let (graph, entry, cosine) = match found {
            Some(entry) => (self.load(part, ranges, &entry)?, entry, None),
            None => {
                let (graph, entry, cosine) = self.build(part, ranges, &facts)?;
                (graph, entry, Some(cosine))
            }
        };
        let Entry { key, folder, bytes } = entry;
        let (name, seconds) = (part.contract.file.clone(), started.elapsed().as_secs_f64());
        let engines = BuiltEngines { graph: name, key, folder, bytes, seconds, cosine };
        Ok(Opened { graph, engines: Some(engines) })
    }

    /// Opens a graph with engines that are there.
    fn load<T>(&self, part: &Part<'_, T>, ranges: &Ranges, entry: &Entry) -> Result<T> {
        let marks = entry.marks();
        let remove = format!("remove {} to have them built again", entry.folder.display());
        let options = part.options.with_engines(ranges, Engines::Load(&entry.folder));
        let graph = (part.open)(&options).map_err(|error| match error.facts().hint.is_empty() {
            true => error.hint(&remove),
            false => error,
        })?;
        if entry.marks() != marks {
            return Err(Error::runtime(
                format!("{}: its engines", part.contract.file),
                "those that are there to be used",
                "others, which ONNX Runtime has built without a word",
            )
            .hint(remove));
        }
        Ok(graph)
    }

    /// Has the engines of a graph built, holds them against another provider, and keeps them.
    fn build<T>(&self, part: &Part<'_, T>, ranges: &Ranges, facts: &Facts) -> Result<(T, Entry, f64)> {
        let (Some(stores), name) = (&self.stores, &part.contract.file) else {
            return Err(Error::runtime(&part.contract.file, "a place for its engines", "none"));
        };
        // what is kept under the digest of the package must be of the package
        self.package.verify()?;
        let draft = stores.own.start(facts)?;
        let reference = part.options.reference(self.package.manifest())?;
        let wanted = (part.reference)(&reference)?;
        if let Some(times) = stores.times(facts) {
            // without them it only takes longer
            let _ = fs::copy(&times, draft.folder().join(times.file_name().unwrap_or_default()));
        }
        let progress = Progress::start(name);
        let options = part.options.with_engines(ranges, Engines::Build(draft.folder()));
        let mut graph = (part.open)(&options)?;
        progress.done();
        if !draft.has(ENGINE) {
            return Err(Error::runtime(
                name,
                "nodes that an engine is built of",
                "none that the provider takes",
            )
            .hint("use the version of TensorRT that README.md names, or the cuda provider"));
        }
        let found = (part.sample)(&mut graph)?;
        let cosine = parity::check(name, &found, &wanted, reference.device.provider.name)?;
        tracing::info!(target: LOG, graph = name, cosine, "the engine agrees with the {} provider", reference.device.provider.name);
        Ok((graph, draft.publish()?, cosine))
    }

    /// All that the engines of a graph depend on.
    fn facts(&self, contract: &GraphContract, graph: &GraphOptions, ranges: &Ranges) -> Result<Facts> {
        let mut facts = graph.device.engine_facts(self.runtime, ranges)?;
        let files = self.package.manifest().files.iter().filter(|(name, _)| name.starts_with(&contract.file));
        let digests: Vec<_> = files.map(|(_, facts)| facts.sha256.as_str()).collect();
        facts.insert("package".into(), self.package.digest().into());
        facts.insert("graph".into(), contract.file.clone());
        facts.insert("files".into(), digests.join(" "));
        Ok(facts)
    }
}

impl Stores {
    fn new(shipped: PathBuf, cache: Option<&Path>, place: EnginePlace) -> Result<Self> {
        let cache = cache.map_or_else(store::usual_folder, |folder| Ok(folder.to_path_buf()));
        // ONNX Runtime is told the names as texts
        for folder in [Some(&shipped), cache.as_ref().ok()].into_iter().flatten() {
            if folder.to_str().is_none() {
                return Err(Error::request("engine-cache", "a folder named in UTF-8", folder.display()));
            }
        }
        Ok(match place {
            EnginePlace::Cache => Self { own: Store::new(vec![shipped, cache?]), other: None },
            // what is in the package need not be anywhere else
            EnginePlace::Package => Self {
                own: Store::new(vec![shipped]),
                other: cache.ok().map(|folder| Store::new(vec![folder])),
            },
        })
    }

    /// An entry of the other store, brought here.
    fn copied(&self, facts: &Facts) -> Result<Option<Entry>> {
        let Some(entry) = self.other.as_ref().and_then(|other| other.look_up(facts)) else { return Ok(None) };
        entry.copy_to(&self.own, facts)?.publish().map(Some)
    }

    /// Times that were taken for other engines on the same GPU.
    fn times(&self, facts: &Facts) -> Option<PathBuf> {
        let stores = [Some(&self.own), self.other.as_ref()];
        stores.into_iter().flatten().find_map(|store| store.newest(TIMING, facts, &TIMING_FACTS))
    }
}

#[cfg(test)]
mod tests;
