//! What stands in for constraints in a build without them.

use crate::error::{Error, Result};
use crate::request::Constraint;
use crate::sampler::Mask;
use crate::tokenizer::Tokenizer;

/// Compiles no constraint.
#[derive(Default)]
pub(crate) struct Grammars(());

/// What cannot exist without grammars.
#[derive(Clone)]
pub(crate) enum Matcher {}

impl Grammars {
    pub(crate) fn compile(&self, _: &Tokenizer, constraint: &Constraint, _: Option<&str>) -> Result<Matcher> {
        constraint.check()?;
        Err(Error::request(constraint.name(), "a build with the feature `constrained`", "one without it")
            .hint("build with the default features"))
    }
}

impl Matcher {
    pub(crate) fn mask(&mut self) -> Result<Mask> {
        match *self {}
    }

    pub(crate) fn take(&mut self, _: u32) -> Result<()> {
        match *self {}
    }

    pub(crate) fn completes(&mut self, _: u32) -> Result<bool> {
        match *self {}
    }

    pub(crate) fn is_complete(&self) -> bool {
        match *self {}
    }
}
