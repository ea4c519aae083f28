//! What an answer must look like, as the set of tokens that may come next.

#[cfg(feature = "constrained")]
mod grammar;
#[cfg(not(feature = "constrained"))]
mod absent;

#[cfg(not(feature = "constrained"))]
pub(crate) use absent::{Grammars, Matcher};
#[cfg(feature = "constrained")]
pub(crate) use grammar::{Grammars, Matcher};
