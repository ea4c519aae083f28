//! Work that takes a while, off the threads that serve connections.

use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use super::fault::Fault;
use super::state::Shared;
use crate::input::ReadOptions;
use crate::request::Cancel;
use crate::watch::Watch;

/// How long reading a study may take where the server has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(120);

/// Does work off the threads that serve connections. It is cancelled if the client leaves.
pub(super) async fn cancellable<T: Send + 'static>(
    work: impl FnOnce(Cancel) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    struct OnDrop(Cancel);

    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }

    let cancel = OnDrop(Cancel::default());
    let thrown = cancel.0.clone();
    spawn_blocking(move || work(thrown)).await.unwrap_or_else(|_| Err(Fault::internal()))
}

/// Reads a study, within the server's budget and its time. A few are read at a time; others wait.
pub(super) async fn reading<T: Send + 'static>(
    app: &Shared,
    work: impl FnOnce(ReadOptions, Cancel) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let turn = app.readers().await?;
    let (budget, patience) = (app.settings.engine.budget, app.settings.timeout.unwrap_or(PATIENCE));
    cancellable(move |cancel| {
        let _turn = turn;
        let watch = Watch::default().switch(&cancel);
        let watch = Instant::now().checked_add(patience).map_or(watch.clone(), |end| watch.deadline(end));
        work(ReadOptions::default().budget(budget).watch(watch), cancel)
    })
    .await
}
