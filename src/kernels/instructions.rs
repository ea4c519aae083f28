//! Which instructions a machine has.

use std::sync::LazyLock;

/// Sets of instructions that the kernels are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// None of a machine's own.
    Plain,
    Avx2,
    /// AVX-512 with VNNI.
    Avx512,
    /// The same, and AMX for products of many rows.
    Amx,
}

static HERE: LazyLock<Instructions> = LazyLock::new(|| {
    let best = Instructions::ALL.into_iter().rev().find(|instructions| instructions.are_here());
    best.unwrap_or(Instructions::Plain)
});

impl Instructions {
    /// From the slowest to the fastest.
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Avx2, Self::Avx512, Self::Amx];

    /// The fastest that this machine has.
    pub(crate) fn here() -> Self {
        *HERE
    }

    /// Those that can be chosen, by their keys.
    pub(crate) const KEYS: [&'static str; 3] = ["avx2", "avx512", "amx"];

    /// Those of a key, if the machine has them.
    pub(crate) fn of(key: &str) -> Option<Self> {
        let mut pairs = Self::KEYS.into_iter().zip([Self::Avx2, Self::Avx512, Self::Amx]);
        pairs.find_map(|(known, instructions)| {
            (known == key && instructions.are_here()).then_some(instructions)
        })
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512 VNNI",
            Self::Amx => "AMX and AVX-512 VNNI",
        }
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn are_here(self) -> bool {
        match self {
            Self::Plain => true,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            Self::Amx => {
                Self::Avx512.are_here()
                    && is_x86_feature_detected!("avx512bf16")
                    && super::tile_registers::may_be_used()
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn are_here(self) -> bool {
        self == Self::Plain
    }
}
