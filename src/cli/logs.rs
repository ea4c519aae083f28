//! The log, which goes to stderr.

use std::env::VarError;

use anyhow::Result;
use tracing_subscriber::EnvFilter;

use super::refusal::unusable;

/// Names the levels, in the syntax of `tracing-subscriber`'s filters.
const NAME: &str = "FLEMING_LOG";
/// Warnings, and which plans are being built; nothing from ONNX Runtime: what it logs as an error comes back as one.
const USUAL: &str = "warn,fleming::build=info,ort=off";

/// Starts the log.
pub(super) fn start() -> Result<()> {
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
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        // A line that cannot be written costs no answer.
        .log_internal_errors(false)
        .init();
    Ok(())
}
