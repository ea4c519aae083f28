//! The name of a device, as users write it.

use super::device::{Device, Provider};
use super::table::PROVIDERS;
use crate::error::{Error, Result};
use crate::onnx::settings::whole;

impl Device {
    /// Reads `cpu`, `cuda`, `cuda:1` or `tensorrt:0`, and options of that provider.
    ///
    /// # Errors
    /// [`Error::Request`] listing the providers there are, the options of the provider, or the values of an option.
    pub(crate) fn parse(text: &str, options: &[(String, String)]) -> Result<Self> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let provider = named(name).ok_or_else(|| {
            let known: Vec<_> = PROVIDERS.iter().map(|provider| usage(provider)).collect();
            Error::request("provider", format!("one of: {}", known.join(", ")), text).hint("name one of them")
        })?;
        let number = match number {
            None => 0,
            Some(digits) => number_of(digits).filter(|_| provider.on_device()).ok_or_else(|| {
                Error::request("provider", usage(provider), text)
                    .hint("correct it; the first device has the number 0")
            })?,
        };
        Self::new(provider, number, options)
    }
}

fn named(name: &str) -> Option<&'static Provider> {
    let known = PROVIDERS.into_iter();
    #[cfg(feature = "fake-device")]
    let known = known.chain(super::fake::FAKES);
    { known }.find(|provider| provider.name == name)
}

fn usage(provider: &Provider) -> String {
    match provider.on_device() {
        true => format!("{0} or {0}:N with the number of the device", provider.name),
        false => format!("{} without a number", provider.name),
    }
}

fn number_of(text: &str) -> Option<i32> {
    whole(text)?.try_into().ok()
}
