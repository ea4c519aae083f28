//! A provider and the settings that an engine chose for it.

use std::sync::Arc;

use ort::ep::ArbitrarilyConfigurableExecutionProvider;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use crate::error::{Error, Result};
use crate::kernels::Instructions;
use crate::onnx::libraries::{self, Library};
use crate::onnx::memory::Memory;
use crate::onnx::runtime::Runtime;
use crate::onnx::settings::ProviderOption;

/// One way to run graphs. There is one row for each in [`PROVIDERS`](super::PROVIDERS).
pub(crate) struct Provider {
    /// The name used in options and JSON.
    pub(crate) name: &'static str,
    pub(super) packages: Packages,
    /// What users may set, by ONNX Runtime's names.
    pub(super) options: &'static [ProviderOption],
    /// What is set where the user chose nothing, by ONNX Runtime's names.
    pub(super) defaults: &'static [(&'static str, &'static str)],
    /// How the names of options begin that are not for users, and why.
    pub(super) refusals: &'static [(&'static str, &'static str)],
    /// Whether ONNX Runtime was built with it.
    pub(super) built_in: fn() -> ort::Result<bool>,
    /// Libraries beside ONNX Runtime's own.
    pub(super) libraries: &'static [&'static [Library]],
    /// Registers the provider with a session. Fails where the provider cannot run.
    pub(super) register: fn(SessionBuilder, &Device) -> ort::Result<SessionBuilder>,
    pub(super) memory: MemoryAccess,
    /// How it builds plans of graphs; `None` for a provider that runs graphs as they are.
    pub(super) plans: Option<PlanSupport>,
    /// ONNX Runtime's names of the providers that nodes must be on; empty on the CPU, which takes every node.
    pub(in crate::onnx) nodes_on: &'static [&'static str],
    /// Tiles in one run of the vision graph. One tile keeps all cores of a CPU busy, and then its result does not depend on
    /// its neighbours; a GPU has room for a whole volume.
    pub(crate) tiles_per_run: usize,
}

/// The packages that a provider runs.
pub(super) struct Packages {
    /// Of these targets: a package's operators and types are those of its target.
    pub(super) targets: &'static [&'static str],
    /// Of any target in this precision too.
    pub(super) any_target_in: Option<&'static str>,
    /// But not in this precision, for which it has no kernels.
    pub(super) except_in: Option<&'static str>,
}

/// The memory that a provider's graphs compute in.
#[derive(Clone, Copy)]
pub(super) struct MemoryAccess {
    /// Free bytes on the device; `None` where graphs compute in the host's memory.
    pub(super) free: fn(&Device) -> std::result::Result<Option<u64>, String>,
    /// The memory of a session.
    pub(super) of_session: fn(&Session, &Device) -> ort::Result<Memory>,
}

/// How a provider builds plans.
#[derive(Clone, Copy)]
pub(super) struct PlanSupport {
    /// What its plans depend on beside graph and settings, as names and values.
    pub(super) inputs: PlanInputs,
    pub(super) decoder_fallback: DecoderFallback,
}

/// Names and values of what plans depend on, or why they cannot be found out.
type PlanInputs = fn(&Device) -> std::result::Result<Vec<(&'static str, String)>, String>;

/// The provider that runs the decoder where this one has no in-place KV cache; `None` where it has one.
type DecoderFallback = fn(&Device) -> std::result::Result<Option<&'static Provider>, String>;

/// The setting by which the steps of a decoder are captured as a CUDA graph, which launches all kernels at once.
pub(super) const RECORDING: &str = "enable_cuda_graph";

/// The setting by which this crate's kernels run where it has faster ones than the provider, with the fastest instructions of
/// the machine or with those that it names. It is not ONNX Runtime's.
pub(super) const KERNELS: &str = "kernels";

/// The setting by which threads that wait for work keep their cores busy for so many microseconds.
pub(super) const SPINNING: &str = "spin_duration_us";

/// Keys that begin like this are for the session and not for the provider.
const OF_SESSIONS: &str = "ep.";

const DOCTOR: &str = "`fleming doctor` shows what this machine has";
const NVIDIA_SMI: &str = "`nvidia-smi` shows the devices and the driver";

/// A device of a provider, with the settings that an engine chose. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) provider: &'static Provider,
    /// Which of the provider's devices, from 0.
    number: i32,
    /// ONNX Runtime's keys and values.
    settings: Arc<[(String, String)]>,
}

impl Device {
    /// A device of the provider with these options, which must be ones of the provider.
    ///
    /// # Errors
    /// [`Error::Request`] listing the options of the provider, or the values of an option.
    pub(super) fn new(
        provider: &'static Provider,
        number: i32,
        options: &[(String, String)],
    ) -> Result<Self> {
        let mut settings: Vec<(String, String)> =
            provider.defaults.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        if provider.on_device() {
            settings.push(("device_id".into(), number.to_string()));
        }
        for (place, (key, value)) in options.iter().enumerate() {
            let value = provider.value(key, value)?;
            if options[..place].iter().any(|(earlier, _)| earlier == key) {
                return Err(Error::request(format!("provider-option {key}"), "it once", "twice")
                    .hint("leave one of them out"));
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
    pub(in crate::onnx) fn register(
        &self,
        runtime: &Runtime,
        builder: SessionBuilder,
    ) -> Result<SessionBuilder> {
        let built_in = self.load_libraries(runtime)?;
        (self.provider.register)(builder, self).map_err(|error| {
            self.unregistered(runtime, &error).hint(match built_in {
                true => NVIDIA_SMI,
                false => {
                    "`pip install 'onnxruntime-gpu[cuda]'` in place of onnxruntime, or ORT_DYLIB_PATH, brings \
                     one that was built with it"
                }
            })
        })
    }

    /// Free bytes of the device's memory; `None` where graphs compute in the host's memory.
    ///
    /// # Errors
    /// [`Error::Runtime`] if there is no such device.
    pub(crate) fn free_memory(&self, runtime: &Runtime) -> Result<Option<u64>> {
        if !self.load_libraries(runtime)? {
            // `register` reports that
            return Ok(None);
        }
        (self.provider.memory.free)(self).map_err(|reason| {
            Error::runtime(
                format!("{} provider", self.provider.name),
                "a device whose memory can be asked for",
                reason,
            )
            .hint(NVIDIA_SMI)
        })
    }

    /// The same device with these settings too.
    pub(in crate::onnx) fn with(&self, settings: Vec<(String, String)>) -> Self {
        let settings = self.settings.iter().cloned().chain(settings).collect();
        Self { settings, ..self.clone() }
    }

    /// Which of the provider's devices it is.
    pub(in crate::onnx) fn number(&self) -> i32 {
        self.number
    }

    /// ONNX Runtime's keys and values.
    pub(in crate::onnx) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    pub(in crate::onnx) fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Loads the libraries that the provider needs. Returns whether ONNX Runtime was built with the provider.
    ///
    /// # Errors
    /// [`Error::Runtime`] naming the libraries that are missing.
    pub(in crate::onnx) fn load_libraries(&self, runtime: &Runtime) -> Result<bool> {
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
        .hint("`fleming doctor` says what is missing")
    }

    /// The device that runs the decoder: this one, or one of its provider's fallback for decoders.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a library is missing or its version cannot be found out.
    pub(crate) fn for_decoder(&self, runtime: &Runtime) -> Result<Self> {
        let Some(plans) = self.provider.plans else { return Ok(self.clone()) };
        if !self.load_libraries(runtime)? {
            // `register` reports that
            return Ok(self.clone());
        }
        let fallback = (plans.decoder_fallback)(self).map_err(|reason| {
            Error::runtime(format!("{} provider", self.provider.name), "a version", reason).hint(DOCTOR)
        })?;
        fallback.map_or_else(|| Ok(self.clone()), |provider| Self::new(provider, self.number, &[]))
    }

    /// Whether graphs are built into plans when they are opened.
    pub(crate) fn builds_plans(&self) -> bool {
        self.provider.plans.is_some()
    }

    /// What plans on this device depend on beside graph and settings; nothing where there are no plans.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a version cannot be found out.
    pub(in crate::onnx) fn plan_inputs(&self) -> Result<Vec<(&'static str, String)>> {
        let found = self.provider.plans.map_or_else(|| Ok(Vec::new()), |plans| (plans.inputs)(self));
        found.map_err(|reason| {
            let thing = format!("{} provider", self.provider.name);
            Error::runtime(thing, "a device and libraries whose versions can be asked for", reason)
                .hint(DOCTOR)
        })
    }

    /// The memory that a session on this device computes in.
    pub(in crate::onnx) fn memory(&self, session: &Session) -> ort::Result<Memory> {
        (self.provider.memory.of_session)(session, self)
    }

    /// Whether runs are recorded and replayed.
    pub(crate) fn records(&self) -> bool {
        self.setting(RECORDING) == Some("1")
    }

    /// The instructions of this crate's kernels, where these run.
    ///
    /// # Errors
    /// [`Error::Request`] if they were chosen and the machine does not have them.
    pub(in crate::onnx) fn kernels(&self) -> Result<Option<Instructions>> {
        match self.setting(KERNELS) {
            None | Some("0") => Ok(None),
            Some("1") => Ok(Some(Instructions::here()).filter(|found| *found != Instructions::Plain)),
            Some(key) => Instructions::of(key).map(Some).ok_or_else(|| {
                let here = Instructions::here().name();
                Error::request(format!("provider-option {KERNELS}"), "instructions of this machine", key)
                    .hint(format!("it has {here}; `{KERNELS}=true` takes the fastest"))
            }),
        }
    }

    /// Whether the provider can record runs, even where a setting forbids it.
    pub(crate) fn can_record(&self) -> bool {
        self.provider.defaults.iter().any(|(key, _)| *key == RECORDING)
    }

    /// The same device for a graph whose runs are never recorded.
    pub(in crate::onnx) fn without_recording(&self) -> Self {
        let settings = self.settings.iter().filter(|(key, _)| key != RECORDING).cloned().collect();
        Self { settings, ..self.clone() }
    }

    /// The settings that are for the provider; the others are for its session.
    pub(super) fn of_provider(&self) -> impl Iterator<Item = &(String, String)> {
        self.settings.iter().filter(|(key, _)| !key.starts_with(OF_SESSIONS))
    }

    /// Hands the provider's settings to ONNX Runtime.
    pub(super) fn configure<P: ArbitrarilyConfigurableExecutionProvider>(&self, provider: P) -> P {
        self.of_provider().fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value))
    }

    /// Hands the session's settings to ONNX Runtime.
    pub(in crate::onnx) fn configure_session(&self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        let builder = match self.setting(SPINNING) {
            Some("0") => builder.with_config_entry("session.intra_op.allow_spinning", "0")?,
            Some(value) => builder.with_config_entry("session.intra_op.spin_duration_us", value)?,
            None => builder,
        };
        let mut settings = self.settings.iter().filter(|(key, _)| key.starts_with(OF_SESSIONS));
        settings.try_fold(builder, |builder, (key, value)| Ok(builder.with_config_entry(key, value)?))
    }
}

impl Provider {
    /// Refuses a package that was exported for something else.
    ///
    /// # Errors
    /// [`Error::Package`] with the targets that this provider runs, or the precision that it has no kernels for.
    pub(crate) fn accept(&self, target: &str, precision: &str) -> Result<()> {
        let Packages { targets, any_target_in, except_in } = &self.packages;
        if *except_in == Some(precision) && targets.contains(&target) {
            let wanted = format!("one that the {} provider has kernels for", self.name);
            return Err(Error::package("fleming.json: precision", wanted, precision).hint(format!(
                "export the checkpoint with --target {target} alone, for its usual precision"
            )));
        }
        if targets.contains(&target) || *any_target_in == Some(precision) {
            return Ok(());
        }
        let wanted = format!("a package for the {} provider, of target {}", self.name, targets.join(" or "));
        Err(Error::package("fleming.json: target", wanted, target)
            .hint(format!("export the checkpoint with --target {}", targets[0])))
    }

    /// Whether ONNX Runtime was built with it.
    pub(in crate::onnx) fn built_in(&self) -> ort::Result<bool> {
        (self.built_in)()
    }

    /// The libraries that it needs beside ONNX Runtime's own.
    pub(in crate::onnx) fn libraries(&self) -> impl Iterator<Item = &'static Library> {
        self.libraries.iter().copied().flatten()
    }

    /// Whether it computes on devices with numbers, and not on the CPU.
    pub(in crate::onnx) fn on_device(&self) -> bool {
        !self.nodes_on.is_empty()
    }

    /// A value of an option in ONNX Runtime's words.
    fn value(&self, key: &str, value: &str) -> Result<String> {
        let thing = format!("provider-option {key}");
        if let Some(option) = self.options.iter().find(|option| option.key == key) {
            let read = option.values.read(value);
            return read.ok_or_else(|| {
                Error::request(thing, option.values.usage(), value).hint("correct it, or leave it out")
            });
        }
        let known: Vec<_> =
            self.options.iter().map(|option| format!("{} ({})", option.key, option.values.usage())).collect();
        let wanted = format!("an option of the {} provider, which are {}", self.name, known.join(", "));
        let error = Error::request(thing, wanted, "none of them");
        Err(match self.refusals.iter().find(|(head, _)| key.starts_with(head)) {
            Some((_, reason)) => error.hint(reason),
            None => error.hint("correct it, or leave it out"),
        })
    }
}
