//! Execution providers: what can run a graph, one row each.

use ort::session::builder::SessionBuilder;

use crate::error::{Error, Result};

/// One way to run a graph.
pub(crate) struct Provider {
    /// The name used in options and JSON.
    pub(crate) name: &'static str,
    /// Targets of the packages it can run: a package's operators and types are those of its target.
    pub(super) targets: &'static [&'static str],
    /// Registers the provider with a session; fails where the provider is not to be had.
    pub(super) register: fn(SessionBuilder) -> ort::Result<SessionBuilder>,
    /// Tiles that one run of the vision graph takes. One tile keeps all cores of a CPU busy, and a tile's result then
    /// does not depend on its neighbours.
    pub(crate) tiles_per_run: usize,
}

/// Every provider there is.
pub(crate) static PROVIDERS: [Provider; 1] =
    [Provider { name: "cpu", targets: &["cpu"], register: cpu, tiles_per_run: 1 }];

impl Provider {
    /// The row of that name.
    ///
    /// # Errors
    /// [`Error::Request`] listing the names there are.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name).ok_or_else(|| {
            let known: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
            Error::request("provider", format!("one of: {}", known.join(", ")), name)
        })
    }

    /// Refuses a package that was exported for something else.
    ///
    /// # Errors
    /// [`Error::Package`] with the target that this provider wants.
    pub(crate) fn accept(&self, target: &str) -> Result<()> {
        if self.targets.contains(&target) {
            return Ok(());
        }
        let wanted =
            format!("a package for the {} provider, of target {}", self.name, self.targets.join(" or "));
        Err(Error::package("fleming.json: target", wanted, target)
            .hint(format!("export the checkpoint with --target {}", self.targets[0])))
    }
}

fn cpu(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder.with_execution_providers([ort::ep::CPU::default().build().error_on_failure()])?)
}
