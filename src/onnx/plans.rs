//! Plans: what TensorRT builds of a graph in minutes. How a graph is opened with one, and what a plan depends on.

use std::path::Path;
use std::sync::Arc;

use ort::session::Session;

use super::graph::GraphOptions;
use super::operators::OwnOperators;
use super::provider::Device;
use super::runtime::{self, Runtime};
use super::shape_ranges::ShapeRanges;
use crate::error::{Error, Result};
use crate::package::Manifest;
use crate::plan_store::BuildInputs;

/// What happens to the plan of a graph when the graph is opened.
#[derive(Clone, Copy)]
pub(crate) enum PlanMode<'a> {
    /// It is built into this folder, with the help of kernel timings that are there already.
    Build(&'a Path),
    /// It is loaded from this folder.
    Load(&'a Path),
}

/// How ONNX Runtime ends the names of files with plans, which it calls engines.
pub(crate) const PLAN_ENDING: &str = ".engine";
/// How it ends the name of the file with kernel timings, which later builds can use.
pub(crate) const TIMING_ENDING: &str = ".timing";

impl GraphOptions {
    /// The same options for a graph whose inputs are in these ranges, with its plan.
    pub(crate) fn with_plan(&self, ranges: &ShapeRanges, mode: PlanMode<'_>) -> Self {
        let mut settings = vec![
            ("trt_engine_cache_enable".to_owned(), "1".to_owned()),
            ("trt_engine_cache_prefix".to_owned(), ranges.stem().to_owned()),
        ];
        settings.extend(ranges.settings());
        let mut path = |key: &str, path: &Path| settings.push((key.into(), path.display().to_string()));
        match mode {
            PlanMode::Load(folder) => path("trt_engine_cache_path", folder),
            PlanMode::Build(folder) => {
                path("trt_engine_cache_path", folder);
                path("trt_timing_cache_path", folder);
                settings.push(("trt_timing_cache_enable".into(), "1".into()));
            }
        }
        let device = self.device.with(settings);
        Self {
            device,
            threads: self.threads,
            operators: self.operators,
            ranges: Some(Arc::new(ranges.clone())),
            watch: self.watch.clone(),
        }
    }

    /// The options for what new plans are compared with: the CPU where it runs the package, else CUDA on the same device.
    ///
    /// # Errors
    /// [`Error::Request`] if there is no such provider.
    pub(crate) fn reference(&self, manifest: &Manifest) -> Result<Self> {
        let cpu = Device::parse("cpu", &[])?;
        let device = match cpu.provider.accept(&manifest.target, &manifest.precision) {
            Ok(()) => cpu,
            Err(_) => Device::parse(&format!("cuda:{}", self.device.number()), &[])?,
        };
        let operators = OwnOperators::of(&device, manifest)?;
        Ok(Self { device, threads: self.threads, operators, ranges: None, watch: self.watch.clone() })
    }

    /// Tiles in one run of the vision graph: the provider's number, or less where the plan takes less.
    pub(crate) fn tiles_per_run(&self) -> usize {
        let max = self.ranges.as_ref().and_then(|ranges| ranges.max("pixel_values", 0));
        max.map_or(self.device.provider.tiles_per_run, |max| max.min(self.device.provider.tiles_per_run))
    }
}

impl Device {
    /// All that a plan for these ranges depends on, except the graph.
    ///
    /// # Errors
    /// [`Error::Runtime`] if ONNX Runtime was built without the provider, or if a version cannot be found
    /// out.
    pub(crate) fn build_inputs(&self, runtime: &Runtime, ranges: &ShapeRanges) -> Result<BuildInputs> {
        if !self.load_libraries(runtime)? {
            let builder = Session::builder(&runtime.environment).map_err(|error| {
                Error::runtime(format!("{} provider", self.provider.name), "a session", error)
                    .hint("`fleming doctor` says what is missing")
            })?;
            // fails, and says why
            self.register(runtime, builder)?;
        }
        let mut inputs = BuildInputs::from([("onnxruntime".to_owned(), runtime::build())]);
        inputs.extend(self.plan_inputs()?.into_iter().map(|(name, value)| (name.to_owned(), value)));
        // a plan is good for a device of any number
        let settings = self.settings().iter().filter(|(key, _)| key != "device_id").cloned();
        inputs.extend(settings.chain(ranges.settings()));
        Ok(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Watch;

    #[test]
    fn plans_are_built_and_loaded_by_options() {
        let ranges = ShapeRanges::spanning("vision.onnx", &[]);
        let options = [("trt_builder_optimization_level".to_owned(), "5".to_owned())];
        let device = Device::parse("tensorrt:1", &options).unwrap();
        let options = GraphOptions {
            device,
            threads: None,
            operators: OwnOperators::NONE,
            ranges: None,
            watch: Watch::default(),
        };
        let settings = |mode| {
            let device = options.with_plan(&ranges, mode).device;
            let mut settings: Vec<_> = device.settings().to_vec();
            settings.retain(|(key, _)| {
                ["trt_engine", "trt_timing", "device"].iter().any(|head| key.starts_with(head))
            });
            settings.sort();
            settings
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let load = [
            pair("device_id", "1"),
            pair("trt_engine_cache_enable", "1"),
            pair("trt_engine_cache_path", "/cache/key"),
            pair("trt_engine_cache_prefix", "vision"),
        ];
        assert_eq!(settings(PlanMode::Load(Path::new("/cache/key"))), load);
        let build = [
            load[0].clone(),
            load[1].clone(),
            pair("trt_engine_cache_path", "/cache/partial"),
            load[3].clone(),
            pair("trt_timing_cache_enable", "1"),
            pair("trt_timing_cache_path", "/cache/partial"),
        ];
        assert_eq!(settings(PlanMode::Build(Path::new("/cache/partial"))), build);
    }
}
