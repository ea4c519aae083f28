//! `fleming doctor`: what this machine has and lacks, and whether a package runs on it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use fleming::EngineOptions;
use fleming::wire::{self, Checks};
use serde_json::Value;

use super::agreement;
use super::emit;
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

impl Doctor {
    pub(super) fn run(self) -> Result<ExitCode> {
        let options = self.runtime.options(1)?;
        let checks = if self.no_self_test { Checks::Look } else { Checks::SelfTest };
        let report = match self.runtime.folder() {
            Ok(folder) => wire::doctor(Some(&folder), &options, checks),
            Err(error) => without_package(&options, &error),
        };
        let healthy = report["ok"] == true;
        emit(if self.json { format!("{report}\n") } else { text(&report) });
        Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The report where there is no package to look at, which is a problem.
fn without_package(options: &EngineOptions, error: &anyhow::Error) -> Value {
    let mut report = wire::doctor(None, options, Checks::Look);
    if let Some(problems) = report["problems"].as_array_mut() {
        problems.push(format!("{error:#}").into());
    }
    report["ok"] = false.into();
    report
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
    lines.extend(report["kernels"].as_str().map(|whose| row("kernels", whose)));
    let plans = report["engines"].as_array();
    lines.extend(plans.filter(|all| all.is_empty()).map(|_| row("plans", "none are needed")));
    lines.extend(plans.into_iter().flatten().map(|plan| {
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
