//! The log, which goes to stderr.

use std::env::VarError;

use anyhow::Result;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::refusal::unusable;

/// Names the levels, in the syntax of `tracing-subscriber`'s filters.
const NAME: &str = "FLEMING_LOG";
/// Warnings, which plans are being built, and what a server does; nothing from ONNX Runtime: what it logs as an error comes
/// back as one.
const USUAL: &str = "warn,fleming::build=info,fleming::server=info,ort=off";

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum LogFormat {
    /// For people, and for a journal that knows the time.
    #[default]
    Text,
    /// An object with its time.
    Json,
}

/// Starts the log.
pub(super) fn start(format: LogFormat) -> Result<()> {
    let filter = match std::env::var(NAME) {
        Ok(levels) if !levels.is_empty() => {
            EnvFilter::builder().parse(levels).map_err(|error| error.to_string())
        }
        Err(error @ VarError::NotUnicode(_)) => Err(error.to_string()),
        _ => Ok(EnvFilter::new(USUAL)),
    };
    let wanted = "levels such as warn, fleming=debug or fleming=info,ort=warn";
    let filter =
        filter.map_err(|error| unusable(NAME, wanted, &error, "set it to one of these, or unset it"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A line that cannot be written costs no answer.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.without_time().init(),
        LogFormat::Json => {
            log.json().flatten_event(true).with_current_span(false).with_span_list(false).init()
        }
    }
    Ok(())
}
