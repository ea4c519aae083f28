//! What this machine has and lacks.

use std::ffi::c_char;
use std::sync::Arc;

use super::arguments::{HandleOut, optional_path, options};
use super::aside::aside;
use super::buffer::fleming_buffer;
use super::log::{dispatch, logged};
use super::options::fleming_engine_options;
use super::status::{fleming_status, guard};
use crate::wire::{self, Checks};

/// Reports what this machine has and lacks, as JSON: "providers" with what each of them lacks, "gpus", "machine",
/// "onnxruntime". With a package it is loaded with these options, and asked the questions of its self-test: "ok" says whether it
/// runs and answers as exported, "problems" what stands in the way. package may be NULL, and so may the options. docs/cli.md
/// has the fields: `fleming doctor --json` is the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_doctor(
    package: *const c_char,
    options: *const fleming_engine_options,
    report: *mut *mut fleming_buffer,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (folder, setup) = (optional_path("package", package)?, self::options(options)?);
        let out = HandleOut::at("report", report)?;
        let log = dispatch(setup.log, setup.log_user_data, setup.log_level)?;
        let options = setup.read()?;
        let look = || wire::doctor(folder.as_deref(), &options, Checks::SelfTest);
        let report = aside(|| logged(log.as_ref(), look), || {})?;
        out.give(Arc::new(fleming_buffer::new(report.to_string().into_bytes())));
        Ok(fleming_status::Ok)
    })
}
