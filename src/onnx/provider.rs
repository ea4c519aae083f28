//! Execution providers: what can run a graph, and how it is told to.

#[cfg(test)]
mod fake;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ort::ep::ArbitrarilyConfigurableExecutionProvider;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

pub(crate) use self::table::{GPU_TILES, PROVIDERS};
use super::libraries::{self, Library};
use super::memory::Memory;
use super::runtime::Runtime;
use super::settings::{ProviderOption, whole};
use crate::error::{Error, Result};

/// Tells what engines of a device depend on, or why that cannot be told.
type EngineFacts = fn(&Device) -> std::result::Result<Vec<(&'static str, String)>, String>;

/// Tells which provider runs decoders instead of it, if one does.
type Stead = fn(&Device) -> std::result::Result<Option<&'static str>, String>;

/// One way to run graphs.
pub(crate) struct Provider {
    /// The name used in options and JSON.
    pub(crate) name: &'static str,
    /// Targets of the packages it can run: a package's operators and types are those of its target.
    targets: &'static [&'static str],
    /// Packages of any target in this precision run too.
    twins: Option<&'static str>,
    /// Packages in this precision do not, for want of kernels.
    lacks: Option<&'static str>,
    /// What may be set, and what is set where nothing is chosen, in ONNX Runtime's own words.
    options: &'static [ProviderOption],
    defaults: &'static [(&'static str, &'static str)],
    /// Whether ONNX Runtime was built with it.
    built_in: fn() -> ort::Result<bool>,
    /// Libraries beside ONNX Runtime's own.
    libraries: &'static [&'static [Library]],
    /// Registers the provider with a session; fails where the provider is not to be had.
    register: fn(SessionBuilder, &Device) -> ort::Result<SessionBuilder>,
    /// Free bytes of the device's memory; nothing where that is the host's.
    free_memory: fn(&Device) -> std::result::Result<Option<u64>, String>,
    /// Where its graphs compute.
    memory: fn(&Session, &Device) -> ort::Result<Memory>,
    /// What the engines depend on that it builds of graphs, in names and values; nothing if it builds none.
    pub(super) engines: Option<EngineFacts>,
    /// Who runs decoders where it cannot keep keys and values in place; nothing if it always can.
    decoders: Option<Stead>,
    /// ONNX Runtime's names of the providers that nodes must be on; none where there is no choice.
    pub(super) nodes_on: &'static [&'static str],
    /// Tiles that one run of the vision graph takes. One tile keeps all cores of a CPU busy, and a tile's result then
    /// does not depend on its neighbours; a GPU has room for a whole volume.
    pub(crate) tiles_per_run: usize,
}

/// What is set where the steps of a decoder are recorded once as a CUDA graph, which launches all kernels at once.
const RECORDING: &str = "enable_cuda_graph";

/// How the keys begin of what a session is told, and not the provider.
const OF_SESSIONS: &str = "ep.";

/// A provider as an engine was told to use it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) provider: &'static Provider,
    /// Which of the provider's devices, from 0.
    number: i32,
    /// What ONNX Runtime is told, by key.
    settings: Arc<[(String, String)]>,
}

impl Device {
    /// Reads `cpu`, `cuda`, `cuda:1`, `tensorrt:0`, and options of that provider.
    ///
    /// # Errors
    /// [`Error::Request`] listing the names there are, the options of the provider, or the values of an option.
    pub(crate) fn parse(text: &str, options: &[(String, String)]) -> Result<Self> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let providers = PROVIDERS.iter();
        #[cfg(test)]
        let providers = providers.chain([&fake::PLAIN, &fake::BUILDER, &fake::OTHER]);
        let provider = providers.clone().find(|provider| provider.name == name).ok_or_else(|| {
            let known: Vec<_> = PROVIDERS.iter().map(|provider| provider.usage()).collect();
            Error::request("provider", format!("one of: {}", known.join(", ")), text)
        })?;
        let number = match number {
            None => 0,
            Some(digits) => number_of(digits)
                .filter(|_| provider.on_device())
                .ok_or_else(|| Error::request("provider", provider.usage(), text))?,
        };
        let mut settings: Vec<(String, String)> =
            provider.defaults.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        if provider.on_device() {
            settings.push(("device_id".into(), number.to_string()));
        }
        for (place, (key, value)) in options.iter().enumerate() {
            let value = provider.value(key, value)?;
            if options[..place].iter().any(|(earlier, _)| earlier == key) {
                return Err(Error::request(format!("provider-option {key}"), "it once", "twice"));
            }
            settings.retain(|(known, _)| known != key);
            settings.push((key.clone(), value));
        }
        Ok(Self { provider, number, settings: settings.into() })
    }

    /// Registers the provider with a session.
    ///
    /// # Errors
    /// [`Error::Runtime`] if ONNX Runtime was built without it, or if a library or the device is missing.
    pub(super) fn register(&self, runtime: &Runtime, builder: SessionBuilder) -> Result<SessionBuilder> {
        let built_in = self.load_libraries(runtime)?;
        let failed = |error| self.unregistered(runtime, &error);
        (self.provider.register)(builder, self).map_err(|error| {
            failed(error).hint(match built_in {
                true => "`nvidia-smi` tells which devices and which driver there are",
                false => {
                    "`pip install 'onnxruntime-gpu[cuda]'` in place of onnxruntime, or ORT_DYLIB_PATH, brings \
                     one that was built with it"
                }
            })
        })
    }

    /// Free bytes of the device's memory, where that is not the host's.
    ///
    /// # Errors
    /// [`Error::Runtime`] if there is no such device.
    pub(crate) fn free_memory(&self, runtime: &Runtime) -> Result<Option<u64>> {
        if !self.load_libraries(runtime)? {
            // which is told when it is registered
            return Ok(None);
        }
        (self.provider.free_memory)(self).map_err(|reason| {
            Error::runtime(
                format!("{} provider", self.provider.name),
                "a device that tells its memory",
                reason,
            )
            .hint("`nvidia-smi` tells which devices and which driver there are")
        })
    }

    /// The same device, with ONNX Runtime told this too.
    pub(super) fn with(&self, settings: Vec<(String, String)>) -> Self {
        let settings = self.settings.iter().cloned().chain(settings).collect();
        Self { provider: self.provider, number: self.number, settings }
    }

    /// Which of the provider's devices it is.
    pub(super) fn number(&self) -> i32 {
        self.number
    }

    /// What ONNX Runtime is told, by key.
    pub(super) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Loads what the provider needs, and returns whether ONNX Runtime was built with it.
    pub(super) fn load_libraries(&self, runtime: &Runtime) -> Result<bool> {
        let built_in = self.provider.built_in().map_err(|error| self.unregistered(runtime, &error))?;
        if built_in {
            let libraries: Vec<_> = self.provider.libraries().collect();
            libraries::load(self.provider.name, &libraries, &libraries::folders(runtime.folder()))?;
        }
        Ok(built_in)
    }

    fn unregistered(&self, runtime: &Runtime, error: &ort::Error) -> Error {
        Error::runtime(
            format!("{} provider", self.provider.name),
            "one that ONNX Runtime can register",
            format!("{error} ({})", runtime.folder().display()),
        )
    }

    /// What runs a decoder on this device: itself, or another provider.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a library is missing or does not tell its version.
    pub(crate) fn for_decoder(&self, runtime: &Runtime) -> Result<Self> {
        let Some(ask) = self.provider.decoders else { return Ok(self.clone()) };
        if !self.load_libraries(runtime)? {
            // which is told when it is registered
            return Ok(self.clone());
        }
        let other = ask(self).map_err(|reason| {
            Error::runtime(format!("{} provider", self.provider.name), "a version", reason)
                .hint("`fleming doctor` tells what this machine has")
        })?;
        other.map_or_else(|| Ok(self.clone()), |name| Self::parse(&format!("{name}:{}", self.number), &[]))
    }

    /// The memory that a session of this device computes in.
    pub(super) fn memory(&self, session: &Session) -> ort::Result<Memory> {
        (self.provider.memory)(session, self)
    }

    /// Whether runs may be recorded and played again.
    pub(crate) fn records(&self) -> bool {
        self.setting(RECORDING) == Some("1")
    }

    /// Whether the provider can record runs, even if it is told not to.
    pub(crate) fn can_record(&self) -> bool {
        self.provider.defaults.iter().any(|(key, _)| *key == RECORDING)
    }

    /// The same device for a graph whose runs are never recorded.
    pub(super) fn without_recording(&self) -> Self {
        let settings = self.settings.iter().filter(|(key, _)| key != RECORDING).cloned().collect();
        Self { settings, ..self.clone() }
    }

    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// CUDA on the same device, for a session in which it is not the first and records nothing.
    fn beside(&self) -> Result<Self> {
        Ok(Self::parse(&format!("cuda:{}", self.number), &[])?.without_recording())
    }

    /// What the provider is told; the rest is for its session.
    fn of_provider(&self) -> impl Iterator<Item = &(String, String)> {
        self.settings.iter().filter(|(key, _)| !key.starts_with(OF_SESSIONS))
    }

    /// Hands the provider's settings on, as they are.
    fn configure<P: ArbitrarilyConfigurableExecutionProvider>(&self, provider: P) -> P {
        self.of_provider().fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value))
    }

    /// What a session is told beside its provider.
    pub(super) fn tell_session(&self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        let mut settings = self.settings.iter().filter(|(key, _)| key.starts_with(OF_SESSIONS));
        settings.try_fold(builder, |builder, (key, value)| Ok(builder.with_config_entry(key, value)?))
    }
}

impl Provider {
    /// Refuses a package that was exported for something else.
    ///
    /// # Errors
    /// [`Error::Package`] with the target that this provider wants, or the precision that it has no kernels for.
    pub(crate) fn accept(&self, target: &str, precision: &str) -> Result<()> {
        if self.lacks == Some(precision) && self.targets.contains(&target) {
            let wanted = format!("one that the {} provider has kernels for", self.name);
            return Err(Error::package("fleming.json: precision", wanted, precision).hint(format!(
                "export the checkpoint with --target {target} alone, for its usual precision"
            )));
        }
        if self.targets.contains(&target) || self.twins == Some(precision) {
            return Ok(());
        }
        let wanted =
            format!("a package for the {} provider, of target {}", self.name, self.targets.join(" or "));
        Err(Error::package("fleming.json: target", wanted, target)
            .hint(format!("export the checkpoint with --target {}", self.targets[0])))
    }

    /// Whether ONNX Runtime was built with it.
    pub(super) fn built_in(&self) -> ort::Result<bool> {
        (self.built_in)()
    }

    /// The libraries that it needs beside ONNX Runtime's own.
    pub(super) fn libraries(&self) -> impl Iterator<Item = &'static Library> {
        self.libraries.iter().copied().flatten()
    }

    /// Whether it computes elsewhere than on the CPU, on devices that have numbers.
    pub(super) fn on_device(&self) -> bool {
        !self.nodes_on.is_empty()
    }

    fn usage(&self) -> String {
        match self.on_device() {
            true => format!("{0} or {0}:N with the number of the device", self.name),
            false => format!("{} without a number", self.name),
        }
    }

    /// A value of an option in ONNX Runtime's words.
    fn value(&self, key: &str, value: &str) -> Result<String> {
        let Some(option) = self.options.iter().find(|option| option.key == key) else {
            let known: Vec<_> = self
                .options
                .iter()
                .map(|option| format!("{} ({})", option.key, option.values.usage()))
                .collect();
            let error = Error::request(
                format!("provider-option {key}"),
                format!("an option of the {} provider, which are {}", self.name, known.join(", ")),
                "none of them",
            );
            return Err(match key {
                _ if self.defaults.iter().any(|(fixed, _)| *fixed == key) => {
                    error.hint("types are written into the graph: export the checkpoint in another precision")
                }
                _ if ["trt_engine_cache", "trt_timing_cache"].iter().any(|head| key.starts_with(head)) => {
                    error.hint("engines are kept without it: --engine-cache says where")
                }
                _ if key.starts_with("trt_profile") => error.hint("the profiles are those of the package"),
                _ => error,
            });
        };
        option
            .values
            .read(value)
            .ok_or_else(|| Error::request(format!("provider-option {key}"), option.values.usage(), value))
    }
}

fn number_of(text: &str) -> Option<i32> {
    whole(text)?.try_into().ok()
}
