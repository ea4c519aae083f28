//! Opens the graphs of a package; loads, or builds and verifies, their plans.

mod agreement;
mod ticker;
mod plan;
mod stores;
mod graphs;
mod warm;
#[cfg(test)]
mod tests;

pub(super) use graphs::GraphOpener;
pub use plan::{Plan, PlanFolder, PlanState};
pub(super) use warm::check;
pub(crate) use warm::own_operators;
pub use warm::{graph_providers, plan_states, warm};
