//! What this machine has and lacks, and whether a package runs on it.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::agreement;
use super::machine::{driver, gpus, kernels, machine, onnxruntime};
use super::measure::{noise, round, summary};
use crate::engine::{Engine, EngineOptions, MemoryNeeds, PlanState, graph_providers, plan_states};
use crate::error::Result;
use crate::onnx::{GpuFacts, ProviderFacts, gpu_facts, providers_for, survey};
use crate::package::{Manifest, Package};
use crate::request::{AskOptions, Instruction, Request, StopRule};
use crate::self_test::self_test;

/// How far a package is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// Nothing is loaded.
    Look,
    /// It is loaded, asked about noise, and asked the questions of its self-test.
    SelfTest,
}

const NEW_TOKENS: usize = 8;
/// The provider that needs no driver.
const CPU: &str = "cpu";
/// The library whose version is TensorRT's.
const TENSORRT: &str = "libnvinfer.so.10";

/// What this machine has and lacks for each execution provider: `machine`, `driver`, `gpus`, `providers`; and of a package, if
/// one is given, what it is and whether it runs with these options. `problems` lists what is in the way, `ok` says that
/// nothing is. `docs/cli.md` describes the fields.
pub fn doctor(package: Option<&Path>, options: &EngineOptions, checks: Checks) -> Value {
    let mut report = Report { json: beginning(options), problems: Vec::new(), options };
    report.look_at_machine();
    if let Some(folder) = package {
        report.look_at_package(folder);
        if report.problems.is_empty()
            && checks == Checks::SelfTest
            && let Err(error) = report.self_test(folder)
        {
            report.problems.push(error.to_string());
        }
    }
    let Report { mut json, problems, .. } = report;
    json["ok"] = problems.is_empty().into();
    json["problems"] = problems.into();
    json
}

struct Report<'a> {
    json: Value,
    problems: Vec<String>,
    options: &'a EngineOptions,
}

fn beginning(options: &EngineOptions) -> Value {
    json!({
        "fleming": env!("CARGO_PKG_VERSION"),
        "machine": machine(options),
        "driver": driver(),
        "gpus": gpus(),
    })
}

impl Report<'_> {
    /// Reports what providers there are, and what stands in the way of the one that is asked for.
    fn look_at_machine(&mut self) {
        let Self { json: report, problems, options } = self;
        let (name, number) = options.provider.split_once(':').unwrap_or((&options.provider, "0"));
        // where CUDA finds none, a provider that needs one says what is missing
        if let Some(gpu) = number.parse().ok().and_then(|number| gpu_facts(number).ok()) {
            report["cuda"] = cuda(&gpu);
            let needed = name != CPU;
            problems.extend(gpu.problem.filter(|_| needed).map(|problem| problem.to_string()));
        }
        match survey(options.library.as_deref()) {
            Ok(providers) => {
                report["onnxruntime"] = onnxruntime();
                report["providers"] = providers.iter().map(provider).collect();
                report["tensorrt"] = tensorrt(&providers);
                match providers.iter().find(|facts| facts.name == name) {
                    Some(facts) => problems.extend(facts.problem.as_ref().map(ToString::to_string)),
                    None => problems.push(format!("{name} is no provider")),
                }
            }
            Err(error) => problems.push(error.to_string()),
        }
    }

    /// Reports what the package is, with what is wrong with it, and what will run where if nothing is wrong at all.
    fn look_at_package(&mut self, folder: &Path) {
        let Self { json: report, problems, options } = self;
        let package = match Package::open(folder) {
            Ok(package) => package,
            Err(error) => return problems.push(error.to_string()),
        };
        let memory = MemoryNeeds::of(&package, options);
        report["package"] = package_facts(&package, memory.as_ref().ok());
        let manifest = package.manifest();
        let name = options.provider.split(':').next().unwrap_or_default();
        if !providers_for(manifest).contains(&name) {
            let Manifest { target, precision, .. } = manifest;
            problems.push(format!(
                "a package of target {target} in {precision} does not run on the {name} provider"
            ));
        }
        problems.extend(memory.err().map(|error| error.to_string()));
        if !problems.is_empty() {
            return;
        }
        let places = graph_providers(&package, options);
        match places.and_then(|places| Ok((places, plan_states(&package, options)?))) {
            Ok((places, states)) => {
                report["graphs"] = places.into_iter().collect();
                report["engines"] = states.iter().map(plan).collect();
                report["kernels"] = kernels(&package, options);
            }
            Err(error) => problems.push(error.to_string()),
        }
    }

    /// Loads the package, has it look at a noise picture twice, for the times, and asks it the questions of its self-test.
    fn self_test(&mut self, folder: &Path) -> Result<()> {
        let started = Instant::now();
        let engine = Engine::open(folder, self.options)?;
        let load_ms = started.elapsed().as_secs_f64() * 1e3;
        let options = AskOptions {
            max_new_tokens: Some(NEW_TOKENS),
            stop: StopRule::LengthOnly,
            ..AskOptions::default()
        };
        let ask = |seed: u64| {
            let studies = vec![noise(engine.package().manifest().tile_size(), seed)?];
            let request = Request::about(studies, "What is shown?");
            let request = Request { instruction: Instruction::Direct, ..request };
            round(&engine, &[request], &options)
        };
        // the first run also makes ready what later ones use
        ask(1)?;
        let mut times = summary(&[&ask(2)?]);
        times["load_ms"] = load_ms.into();
        self.json["self_test"] = times;
        if let Some(found) = self_test(&engine)? {
            self.json["agreement"] = agreement::to_json(&found);
            self.problems.extend(found.problems());
        }
        Ok(())
    }
}

fn provider(facts: &ProviderFacts) -> Value {
    let libraries = facts.libraries.iter().map(|library| {
        let path = library.path.as_ref().map(|path| path.display().to_string());
        json!({"name": library.name, "path": path, "version": library.version})
    });
    json!({
        "name": facts.name,
        "built_in": facts.built_in,
        "ready": facts.problem.is_none(),
        "problem": facts.problem.as_ref().map(ToString::to_string),
        "libraries": libraries.collect::<Vec<_>>(),
    })
}

/// What CUDA tells of the GPU.
fn cuda(gpu: &GpuFacts) -> Value {
    json!({
        "gpu": gpu.name,
        "compute_capability": gpu.compute_capability,
        "driver_for": gpu.cuda,
        "problem": gpu.problem.as_ref().map(ToString::to_string),
    })
}

/// TensorRT's version; null where it is not there.
fn tensorrt(providers: &[ProviderFacts]) -> Value {
    let mut libraries = providers.iter().flat_map(|provider| &provider.libraries);
    let library = libraries.find(|library| library.name == TENSORRT);
    library.and_then(|library| library.version.clone()).map_or(Value::Null, Value::from)
}

fn plan(state: &PlanState) -> Value {
    let word = match (&state.folder, &state.damage) {
        (_, Some(_)) => "damaged",
        (Some(_), None) => "present",
        (None, None) => "not built",
    };
    json!({
        "graph": state.graph,
        "key": state.key,
        "state": word,
        "folder": state.folder.as_ref().map(|folder| folder.display().to_string()),
        "damage": state.damage,
    })
}

/// What a package is, and the memory it needs where that is known.
pub fn package_facts(package: &Package, memory: Option<&MemoryNeeds>) -> Value {
    let manifest = package.manifest();
    json!({
        "name": manifest.name,
        "digest": package.digest(),
        "target": manifest.target,
        "precision": manifest.precision,
        "runs_on": providers_for(manifest),
        "memory_bytes": memory.map(MemoryNeeds::total),
    })
}
