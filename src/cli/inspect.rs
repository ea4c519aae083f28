//! `fleming inspect`: what a study is and what of it would be looked at; or what a package is, what it needs, and how near it
//! is to the model it was made of.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use fleming::{Fact, FactValue, Manifest, MemoryNeeds, Package, Quality, ReadOptions, StudyFacts, Watch};
use fleming::{inspect, providers_for, wire};
use serde_json::{Value, json};

use super::arguments::{Given, Looking};
use super::emit;
use super::options::RuntimeArguments;
use super::reading::ReadingBar;
use super::studies::Studies;

/// Say what is in studies and what of them would be looked at; without one, what a package is, what memory it needs and what
/// the exporter measured of its quality. Nothing is loaded.
///
/// What is said of a study does not say who the patient is.
#[derive(Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    studies: Studies,
    #[command(flatten)]
    looking: Given<Looking>,
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self) -> Result<ExitCode> {
        if !self.studies.is_empty() {
            return self.studies();
        }
        self.looking.chosen()?.fit(&[])?;
        let package = Package::open(&self.runtime.folder()?)?;
        let memory = MemoryNeeds::of(&package, &self.runtime.options(1)?)?;
        emit(match self.json {
            true => format!("{}\n", to_json(&package, &memory)),
            false => text(&package, &memory),
        });
        Ok(ExitCode::SUCCESS)
    }
}

impl Inspect {
    fn studies(&self) -> Result<ExitCode> {
        let bar = ReadingBar::new();
        let reading = ReadOptions::default().budget(self.runtime.options(1)?.budget);
        let reading = reading.watch(bar.over(Watch::default()));
        let chosen = self.looking.chosen()?;
        let studies = self.studies.inputs(&chosen.options()?.look);
        let studies: Vec<_> =
            studies.iter().map(|study| inspect(study, &reading)).collect::<Result<_, _>>()?;
        drop(bar);
        let kinds: Vec<_> = studies.iter().map(|study| study.measured.modality).collect();
        chosen.fit(&kinds)?;
        for study in &studies {
            match self.json {
                true => emit(format_args!("{}\n", wire::facts(study))),
                false => emit(study_text(study)),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn study_text(study: &StudyFacts) -> String {
    let sizes = study.measured.sizes.first();
    let size = sizes.map_or_else(String::new, |[width, height]| format!(" of {width}×{height} pixels"));
    let mut lines = vec![row(
        "study",
        &format!("{}, {} ({})", study.source, study.measured.modality.name(), study.format),
    )];
    lines.extend(study.contents.iter().map(fact));
    lines.push(row("frames", &format!("{}{size}", study.measured.sizes.len())));
    lines.extend(study.chosen.iter().map(fact));
    // What a file says of itself may hold anything.
    lines.join("\n").split('\n').map(|line| format!("{}\n", wire::printable(line))).collect()
}

fn fact(fact: &Fact) -> String {
    let name = fact.name.replace('_', " ");
    let numbers = |numbers: &[f64]| {
        // As short as they are exact to a thousandth.
        let short = |number: &f64| ((number * 1e3).round() / 1e3).to_string();
        numbers.iter().map(short).collect::<Vec<_>>().join(" ")
    };
    row(
        &name,
        &match &fact.value {
            FactValue::Text(text) => text.clone(),
            FactValue::Texts(texts) => texts.join("; "),
            FactValue::Numbers(values) => numbers(values),
            _ => String::new(),
        },
    )
}

fn to_json(package: &Package, memory: &MemoryNeeds) -> Value {
    let manifest = package.manifest();
    let files = manifest.files.iter().map(|(name, facts)| (name.clone(), facts.bytes.into()));
    let mut found = wire::package_facts(package, Some(memory));
    found["max_positions"] = manifest.max_positions.into();
    found["files"] = files.collect::<serde_json::Map<_, _>>().into();
    found["quality"] = manifest.quality.as_ref().map(quality_json).into();
    found
}

fn quality_json(quality: &Quality) -> Value {
    let answers = quality.answers.iter().map(|(kind, facts)| {
        let shares = json!({"cases": facts.cases, "reference": facts.reference, "package": facts.package});
        (kind.clone(), shares)
    });
    json!({
        "passed": quality.passed,
        "positions": quality.positions,
        "top1_agreement": quality.top1_agreement,
        "kl_divergence": {"mean": quality.kl_divergence.mean, "p99": quality.kl_divergence.p99},
        "answers": answers.collect::<serde_json::Map<_, _>>(),
    })
}

fn text(package: &Package, memory: &MemoryNeeds) -> String {
    let manifest = package.manifest();
    let runs_on = providers_for(manifest).join(", ");
    let mut lines = vec![
        row("package", &format!("{}, {} for {}", manifest.name, manifest.precision, manifest.target)),
        row("digest", package.digest()),
        row("runs on", &runs_on),
        row("context", &format!("up to {} tokens", manifest.max_positions)),
    ];
    lines.extend(manifest.files.iter().map(|(name, facts)| {
        let size = format!("{:.1} MB", facts.bytes as f64 / 1e6);
        row("file", &format!("{size:>12}  {name}"))
    }));
    lines.push(row("memory", &memory.to_string()));
    lines.extend(quality(manifest));
    lines.join("\n") + "\n"
}

fn quality(manifest: &Manifest) -> Vec<String> {
    let Some(quality) = &manifest.quality else {
        return vec![row("quality", "not measured")];
    };
    let verdict = if quality.passed { "passed" } else { "below its bars" };
    let (agreement, divergence) = (100.0 * quality.top1_agreement, &quality.kl_divergence);
    let mut lines = vec![
        row("quality", &format!("{verdict}, beside the f32 package")),
        row("", &format!("same likeliest token at {agreement:.2} % of {} positions", quality.positions)),
        row(
            "",
            &format!("KL divergence {:.2e} in the mean, {:.2e} at 99 %", divergence.mean, divergence.p99),
        ),
    ];
    lines.extend(quality.answers.iter().map(|(kind, facts)| {
        let [ours, theirs] = [facts.package, facts.reference].map(|share| format!("{:.1} %", 100.0 * share));
        row("", &format!("{kind}: {ours} of {} answers right, f32 {theirs}", facts.cases))
    }));
    lines
}

fn row(head: &str, text: &str) -> String {
    format!("{head:<14}{text}")
}
