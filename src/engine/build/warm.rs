//! Plans built ahead, and what is known of them before a graph is opened.

use std::path::Path;

use super::agreement;
use super::graphs::{GraphOpener, Opened, ranges};
use super::plan::{Plan, PlanFolder, PlanState};
use crate::engine::memory::MemoryNeeds;
use crate::engine::options::EngineOptions;
use crate::error::{Error, Result};
use crate::onnx::{DeviceLock, OwnOperators, Runtime};
use crate::package::Package;
use crate::plan_store::{self, LookUp};

/// Opens the graphs of a package as an engine would, runs each once, and builds the plans that are missing. Returns the plan
/// of each graph; none where the provider runs graphs without plans.
///
/// ```no_run
/// use fleming::{EngineOptions, PlanFolder, warm};
///
/// let options = EngineOptions { provider: "tensorrt".into(), ..EngineOptions::default() };
/// for plan in warm("models/fleming-8b".as_ref(), &options, PlanFolder::Cache)? {
///     println!("{}: {} bytes in {}", plan.graph, plan.bytes, plan.folder.display());
/// }
/// # Ok::<(), fleming::Error>(())
/// ```
///
/// # Errors
/// Those of [`Engine::open`](crate::Engine::open), and [`Error::Runtime`] with the cosine if the outputs of a new plan differ
/// from those of another provider.
pub fn warm(folder: &Path, options: &EngineOptions, plans: PlanFolder) -> Result<Vec<Plan>> {
    options.check()?;
    let package = Package::open(folder)?;
    check(&package, options)?;
    let needs = MemoryNeeds::of(&package, options)?;
    let runtime = Runtime::load(options.library.as_deref())?;
    needs.check(options.graph(package.manifest())?.device.free_memory(&runtime)?)?;
    package.verify()?;
    let _lock = DeviceLock::loading();
    let opener = GraphOpener::new(&runtime, &package, options, plans)?;
    let Opened { graph: mut tower, plan: vision } = opener.vision()?;
    agreement::of_vision(&mut tower, package.manifest())?;
    // the next build needs the memory
    drop(tower);
    let Opened { graph: mut decoder, plan } = opener.decoder()?;
    agreement::of_decoder(&mut decoder, package.manifest())?;
    package.unchanged()?;
    Ok(vision.into_iter().chain(plan).collect())
}

/// Looks up the plans that a package needs with these options; none where the provider runs graphs without plans.
///
/// # Errors
/// [`Error::Request`] for options that cannot be met, [`Error::Runtime`] if what plans depend on cannot be
/// found out.
pub fn plan_states(package: &Package, options: &EngineOptions) -> Result<Vec<PlanState>> {
    check(package, options)?;
    let runtime = Runtime::load(options.library.as_deref())?;
    let opener = GraphOpener::new(&runtime, package, options, PlanFolder::Cache)?;
    let Some(stores) = &opener.stores else { return Ok(Vec::new()) };
    let mut states = Vec::new();
    for (contract, graph, ranges) in opener.graphs() {
        let Some(ranges) = ranges else { continue };
        let inputs = opener.build_inputs(contract, graph, &ranges)?;
        let (folder, damage) = match stores.own.look_up(&inputs) {
            LookUp::Present(plan) => (Some(plan.folder), None),
            LookUp::Damaged(folder, reason) => (Some(folder), Some(reason)),
            LookUp::Exposed(exposed) => {
                (Some(exposed.path), Some(format!("{} ({})", exposed.reason, exposed.advice)))
            }
            LookUp::Absent => (None, None),
        };
        let key = plan_store::key(&inputs);
        states.push(PlanState { graph: contract.file.clone(), key, folder, damage });
    }
    Ok(states)
}

/// The provider of each graph of a package with these options, by the graph's file: the one in the options, or CUDA for the
/// decoder where TensorRT is too old for it.
///
/// # Errors
/// [`Error::Request`] for options that cannot be met, [`Error::Runtime`] if a library that the provider needs is missing.
pub fn graph_providers(package: &Package, options: &EngineOptions) -> Result<Vec<(String, &'static str)>> {
    let runtime = Runtime::load(options.library.as_deref())?;
    let opener = GraphOpener::new(&runtime, package, options, PlanFolder::Cache)?;
    let graphs = opener.graphs().into_iter();
    Ok(graphs.map(|(contract, graph, _)| (contract.file.clone(), graph.device.provider.name)).collect())
}

/// The operators of a package that this crate computes with these options.
///
/// # Errors
/// [`Error::Request`] for options that cannot be met.
pub(crate) fn own_operators(package: &Package, options: &EngineOptions) -> Result<OwnOperators> {
    Ok(options.graph(package.manifest())?.operators)
}

/// Refuses options whose runs would be outside the profiles that plans are built for.
///
/// # Errors
/// [`Error::Request`] naming the option and its limit.
pub(in crate::engine) fn check(package: &Package, options: &EngineOptions) -> Result<()> {
    let [_, Some(decoder)] = ranges(package) else { return Ok(()) };
    if !options.graph(package.manifest())?.device.builds_plans() {
        return Ok(());
    }
    let chunk = options.chunk.min(options.context(package.manifest())?);
    for (option, axis, wanted) in [("slots", 0, options.slots), ("chunk", 1, chunk)] {
        if let Some(max) = decoder.max("input_ids", axis).filter(|max| *max < wanted) {
            let range = format!("at most {max}, for which the package's plans are built");
            return Err(Error::request(option, range, wanted)
                .hint("ask for less, use the cuda provider, or export with wider profiles"));
        }
    }
    Ok(())
}
