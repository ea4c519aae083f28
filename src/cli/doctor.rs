//! `fleming doctor`: what this machine has and lacks, and whether a package runs on it.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use fleming::{
    AskOptions, EngineOptions, GpuFacts, Instruction, Manifest, MemoryNeeds, Package, PlanState,
    ProviderFacts, Request, StopRule, gpu_facts, graph_providers, plan_states, providers_for, self_test,
    survey,
};
use serde_json::{Value, json};

use super::agreement;
use super::bench::{machine, noise, onnxruntime};
use super::emit;
use super::gpus::{driver, gpus};
use super::measure::{round, summary};
use super::options::RuntimeArguments;

/// Say what this machine has and lacks for each execution provider and whether a package runs on it.
///
/// The exit code is 0 if the package runs with the provider that is asked for: it is loaded, checked and asked about a noise
/// picture, and the questions of its self-test are answered as near to those on record as its precision allows. It is 1
/// otherwise, and the report says why.
#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Do not load the package; the exit code then tells only whether the provider can be used
    #[arg(long)]
    no_self_test: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const NEW_TOKENS: usize = 8;
/// The provider that needs no driver.
const CPU: &str = "cpu";
/// The library whose version is TensorRT's.
const TENSORRT: &str = "libnvinfer.so.10";

impl Doctor {
    pub(super) fn run(self) -> Result<ExitCode> {
        let options = self.runtime.options(1)?;
        let (name, number) = options.provider.split_once(':').unwrap_or((&options.provider, "0"));
        let mut report = json!({
            "fleming": env!("CARGO_PKG_VERSION"),
            "machine": machine(&options),
            "driver": driver(),
            "gpus": gpus(),
        });
        let mut problems = Vec::new();
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
        self.look_at_package(&mut report, &options, &mut problems);
        if problems.is_empty()
            && !self.no_self_test
            && let Err(error) = self.self_test(&mut report, &mut problems)
        {
            problems.push(format!("{error:#}"));
        }
        let healthy = problems.is_empty();
        report["problems"] = problems.into();
        report["ok"] = healthy.into();
        emit(if self.json { format!("{report}\n") } else { text(&report) });
        Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Reports what the package is, with what is wrong with it, and what will run where if nothing is wrong at all.
    fn look_at_package(&self, report: &mut Value, options: &EngineOptions, problems: &mut Vec<String>) {
        let package = match self.runtime.folder().and_then(|folder| Ok(Package::open(&folder)?)) {
            Ok(package) => package,
            Err(error) => return problems.push(format!("{error:#}")),
        };
        let memory = MemoryNeeds::of(&package, options);
        report["package"] = described(&package, memory.as_ref().ok());
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
            }
            Err(error) => problems.push(error.to_string()),
        }
    }

    /// Loads the package, has it look at a noise picture twice, for the times, and asks it the questions of its self-test.
    fn self_test(&self, report: &mut Value, problems: &mut Vec<String>) -> Result<()> {
        let started = Instant::now();
        let engine = self.runtime.open(1)?;
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
        report["self_test"] = times;
        if let Some(found) = self_test(&engine)? {
            report["agreement"] = agreement::to_json(&found);
            problems.extend(found.problems());
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
pub(super) fn described(package: &Package, memory: Option<&MemoryNeeds>) -> Value {
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

fn text(report: &Value) -> String {
    let mut lines = vec![machine_line(&report["machine"]), runtime_line(&report["onnxruntime"])];
    lines.push(row("driver", report["driver"].as_str().unwrap_or("none of NVIDIA's")));
    let gpus = report["gpus"].as_array().into_iter().flatten();
    lines.extend(gpus.map(|gpu| {
        let [memory, free] = ["memory_mib", "free_mib"].map(|field| gpu[field].to_string());
        let (name, capability) = (plain(&gpu["name"]), plain(&gpu["compute_capability"]));
        row(&format!("gpu {}", gpu["index"]), &format!("{name}, {capability}, {memory} MiB, {free} free"))
    }));
    if let Value::Object(gpu) = &report["cuda"] {
        let [name, capability, cuda] =
            ["gpu", "compute_capability", "driver_for"].map(|field| plain(&gpu[field]));
        lines.push(row("CUDA", &format!("{name}, {capability}; the driver is good for CUDA {cuda}")));
    }
    lines.extend(report["tensorrt"].as_str().map(|version| row("TensorRT", version)));
    for facts in report["providers"].as_array().into_iter().flatten() {
        let state = facts["problem"].as_str().unwrap_or("ready");
        lines.push(row(&plain(&facts["name"]), state));
        let libraries = facts["libraries"].as_array().into_iter().flatten();
        lines.extend(libraries.filter(|_| facts["built_in"] == true).map(|library| {
            let version = library["version"].as_str().map(|version| format!(" ({version})"));
            let place = library["path"].as_str().unwrap_or("missing");
            row("", &format!("{} {place}{}", plain(&library["name"]), version.unwrap_or_default()))
        }));
    }
    if let Value::Object(package) = &report["package"] {
        let [name, precision, target] = ["name", "precision", "target"].map(|field| plain(&package[field]));
        let runs = package["runs_on"].as_array().into_iter().flatten().map(plain).collect::<Vec<_>>();
        let runs = if runs.is_empty() { "nothing".into() } else { runs.join(", ") };
        lines.push(row("package", &format!("{name}, {precision} for {target}; runs on {runs}")));
    }
    let graphs = report["graphs"].as_object().into_iter().flatten();
    lines.extend(graphs.map(|(graph, place)| row("graph", &format!("{graph} on {}", plain(place)))));
    lines.extend(
        report["engines"].as_array().filter(|all| all.is_empty()).map(|_| row("plans", "none are needed")),
    );
    lines.extend(report["engines"].as_array().into_iter().flatten().map(|plan| {
        let place = plan["folder"].as_str().map(|folder| format!(" in {folder}")).unwrap_or_default();
        row("plans", &format!("of {}: {}{place}", plain(&plan["graph"]), plain(&plan["state"])))
    }));
    if let Value::Object(times) = &report["self_test"] {
        let median = |field: &str| times[field]["median"].as_f64().unwrap_or_default();
        lines.push(row(
            "self-test",
            &format!(
                "loaded in {:.0} ms; vision {:.1} ms a tile, prefill {:.0} tokens/s, decoding {:.1} tokens/s",
                times["load_ms"].as_f64().unwrap_or_default(),
                median("vision_ms_per_tile"),
                median("prefill_tokens_per_s"),
                median("decode_tokens_per_s"),
            ),
        ));
    }
    lines.extend(agreement::lines(&report["agreement"]).iter().map(|line| row("agreement", line)));
    lines.extend(
        report["problems"].as_array().into_iter().flatten().map(|problem| row("problem", &plain(problem))),
    );
    lines.push(row("verdict", agreement::verdict(report)));
    lines.join("\n") + "\n"
}

fn machine_line(machine: &Value) -> String {
    row("machine", &format!("{}, {} cores", plain(&machine["cpu"]), machine["cores"]))
}

fn runtime_line(runtime: &Value) -> String {
    row("ONNX Runtime", runtime["library"].as_str().unwrap_or("none"))
}

fn row(head: &str, text: &str) -> String {
    format!("{head:<14}{text}")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}
