//! The options of execution providers: keys by ONNX Runtime's names, values by type.

/// An option of a provider.
pub(super) struct ProviderOption {
    pub(super) key: &'static str,
    pub(super) values: Values,
}

/// The values that an option takes.
pub(super) enum Values {
    /// `true` or `false`; 1 and 0 in ONNX Runtime.
    Flag,
    /// A flag, or a name that means `true` and says more.
    FlagOr(&'static [&'static str]),
    /// A number of bytes, plain or with MiB or GiB.
    Bytes,
    /// A whole number between these two, which are among the values.
    Whole(u64, u64),
    OneOf(&'static [&'static str]),
}

pub(super) const fn option(key: &'static str, values: Values) -> ProviderOption {
    ProviderOption { key, values }
}

impl Values {
    /// The values in words, for errors.
    pub(super) fn usage(&self) -> String {
        match self {
            Self::Flag => "true or false".into(),
            Self::FlagOr(names) => format!("true, false, {}", names.join(", ")),
            Self::Bytes => "a number of bytes, or of MiB or GiB: 20GiB".into(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::OneOf(values) => values.join(" or "),
        }
    }

    /// The value in ONNX Runtime's words; `None` if the option does not take it.
    pub(super) fn read(&self, text: &str) -> Option<String> {
        match self {
            Self::Flag => [("true", "1"), ("false", "0")]
                .iter()
                .find_map(|(word, digit)| (*word == text).then(|| (*digit).to_owned())),
            Self::FlagOr(names) => Self::Flag.read(text).or_else(|| Self::OneOf(names).read(text)),
            Self::Bytes => {
                let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20)];
                let unit = units.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
                let (digits, unit) = unit.unwrap_or((text, 1));
                let bytes = whole(digits)?.checked_mul(unit).filter(|bytes| *bytes > 0)?;
                Some(bytes.to_string())
            }
            Self::Whole(least, most) => {
                whole(text).filter(|number| (least..=most).contains(&number)).map(|number| number.to_string())
            }
            Self::OneOf(values) => values.contains(&text).then(|| text.to_owned()),
        }
    }
}

/// A number of digits alone: no sign, no space.
pub(super) fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
