//! `fleming warm`: has engines built before anybody waits for them.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use fleming::{Package, Plan, PlanFolder, warm};
use serde_json::{Value, json};

use super::emit;
use super::options::RuntimeArguments;

/// Have the engines built that a package needs, so that nothing has to be built when it is used.
///
/// TensorRT builds an engine of each graph, which takes minutes. It is held against what another provider computes, and kept
/// by all that it depends on: package, TensorRT, ONNX Runtime, driver, GPU and options. What is there already is left as it is.
#[derive(Args)]
pub(super) struct Warm {
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Put the engines into the package's folder, to be shipped with it to machines with the same GPU and versions
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
        let engines = warm(&folder, &options, place)?;
        let package = Package::open(&folder)?;
        emit(match self.json {
            true => {
                let engines: Vec<_> = engines.iter().map(object).collect();
                let package = fleming::wire::package(&package);
                format!("{}\n", json!({"package": package, "provider": options.provider, "engines": engines}))
            }
            false if engines.is_empty() => {
                format!("nothing to build: the package runs on the {} provider as it is\n", options.provider)
            }
            false => engines.iter().map(line).collect(),
        });
        Ok(ExitCode::SUCCESS)
    }
}

fn object(engines: &Plan) -> Value {
    json!({
        "graph": engines.graph,
        "key": engines.key,
        "folder": engines.folder.display().to_string(),
        "bytes": engines.bytes,
        "seconds": engines.seconds,
        "was_there": engines.cosine.is_none(),
        "cosine": engines.cosine,
    })
}

fn line(engines: &Plan) -> String {
    let how = match engines.cosine {
        Some(cosine) => format!("built in {:.0} s, cosine {cosine:.6}", engines.seconds),
        None => "was there".into(),
    };
    format!("{}: {how}; {} bytes in {}\n", engines.graph, engines.bytes, engines.folder.display())
}
