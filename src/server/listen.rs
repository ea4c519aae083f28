//! Connections: accepted, bounded, and ended when the server is.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::state::{Phase, Shared};
use super::tls::Tls;

/// Connections at a time; further ones wait.
const MOST: usize = 2048;
/// How long a client may take to send the headers of a request, or to agree on TLS.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of the headers of a request.
const HEADERS: usize = 64 << 10;
/// Headers of a request.
const MOST_HEADERS: usize = 100;
/// How long to wait when no connection can be accepted, as when there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the server ends, and waits for the end of those that there are.
pub(super) async fn serve(app: Shared, listener: TcpListener, router: Router, tls: Option<Arc<Tls>>) {
    let room = Arc::new(Semaphore::new(MOST));
    let mut phase = app.phase();
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = Connection { router: router.clone(), phase: app.phase(), _place: place };
                tokio::spawn(connection.run(stream, tls.clone()));
            }
            Err(error) => {
                tracing::warn!(target: "fleming::server", %error, "no connection accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // All places are free when all connections have ended.
    let _ = room.acquire_many(MOST as u32).await;
}

struct Connection {
    router: Router,
    phase: watch::Receiver<Phase>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<Arc<Tls>>) {
        // Chunks are small and must not wait for one another.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.speak(stream).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = timeout(PATIENCE, tls.acceptor().accept(stream)).await {
                    self.speak(stream).await;
                }
            }
        }
    }

    async fn speak(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = TowerToHyperService::new(self.router);
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(HEADERS)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::Pin::new(&mut connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.phase.wait_for(|phase| *phase == Phase::Ending) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}
