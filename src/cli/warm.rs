//! `fleming warm`: builds plans before anybody waits for them.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use fleming::{Package, Plan, PlanFolder, warm};
use serde_json::{Value, json};

use super::emit;
use super::options::RuntimeArguments;

/// Build the plans that a package needs, so that its first use has nothing to build.
///
/// TensorRT builds a plan of each graph, which takes minutes. A new plan is compared with another provider and kept under all
/// that it depends on: package, TensorRT, ONNX Runtime, driver, GPU and options. Plans that are there stay as they are.
#[derive(Args)]
pub(super) struct Warm {
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Put the plans into the package's folder, to ship them to machines with the same GPU and versions
    #[arg(long)]
    into_package: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Warm {
    pub(super) fn run(self) -> Result<ExitCode> {
        let folder = self.runtime.folder()?;
        let options = self.runtime.options(1)?;
        let place = if self.into_package { PlanFolder::Package } else { PlanFolder::Cache };
        let plans = warm(&folder, &options, place)?;
        let package = Package::open(&folder)?;
        emit(match self.json {
            true => {
                let plans: Vec<_> = plans.iter().map(object).collect();
                let package = fleming::wire::package(&package);
                format!("{}\n", json!({"package": package, "provider": options.provider, "engines": plans}))
            }
            false if plans.is_empty() => {
                format!("nothing to build: the package runs on the {} provider as it is\n", options.provider)
            }
            false => plans.iter().map(line).collect(),
        });
        Ok(ExitCode::SUCCESS)
    }
}

fn object(plan: &Plan) -> Value {
    json!({
        "graph": plan.graph,
        "key": plan.key,
        "folder": plan.folder.display().to_string(),
        "bytes": plan.bytes,
        "seconds": plan.seconds,
        "was_there": plan.cosine.is_none(),
        "cosine": plan.cosine,
    })
}

fn line(plan: &Plan) -> String {
    let how = match plan.cosine {
        Some(cosine) => format!("built in {:.0} s, cosine {cosine:.6}", plan.seconds),
        None => "was there".into(),
    };
    format!("{}: {how}; {} bytes in {}\n", plan.graph, plan.bytes, plan.folder.display())
}
