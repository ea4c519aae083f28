//! How a server is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::EngineOptions;
use crate::limits::{Real, Whole};

/// How a server is set up.
///
/// ```
/// use fleming::server::ServerSettings;
///
/// let settings = ServerSettings::new("models/demo");
/// assert!(settings.address.ip().is_loopback());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerSettings {
    /// Folder of the package.
    pub model: PathBuf,
    /// How its engine is set up. The reading budget in it holds for all that clients send.
    pub engine: EngineOptions,
    /// Where to listen. An address that other machines reach needs `keys`.
    pub address: SocketAddr,
    /// Names by which the server may be called, beside `localhost` and its address. Without keys, other names are refused:
    /// a page from elsewhere that has its name lead here could use the server (DNS rebinding).
    pub hosts: Vec<String>,
    /// Origins of pages that may use the server from a browser, such as `https://viewer.example`.
    pub origins: Vec<String>,
    /// A file of API keys, one on a line. Without it, everybody who reaches the server may use it.
    pub keys: Option<PathBuf>,
    /// Certificate and private key, both PEM. Without them the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Names of the model for clients, the first in replies; the name of the package's folder if there are none.
    pub names: Vec<String>,
    /// Most bytes of the body of one request.
    pub max_body: u64,
    /// Most bytes of the bodies of all requests that are being read and prepared.
    pub max_bodies: u64,
    /// Where files that clients upload are kept, and how much of them.
    pub files: FileSettings,
    /// Where a line of each request is written.
    pub audit: Option<PathBuf>,
    /// Whether these lines hold questions and answers too.
    pub audit_content: bool,
    /// Most tiles of a picture for which a client asks `detail: high`.
    pub max_tiles: usize,
    /// How long a request may take, whatever time it names.
    pub timeout: Option<Duration>,
    /// How long requests that are under way may go on after the server is asked to stop.
    pub drain: Duration,
    /// How long the engine may work without ending a step before the server says that it is not ready.
    pub stall: Duration,
    /// Whether what one key's requests left in memory speeds up those of others. Their times then tell what others asked.
    pub share_reuse: bool,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain of certificates, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// Where files that clients upload are kept, and how much of them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FileSettings {
    /// The folder. Absent, it is a temporary one that is deleted with the server.
    pub folder: Option<PathBuf>,
    /// Most bytes of one file.
    pub file_bytes: u64,
    /// Most bytes of all files of one key.
    pub key_bytes: u64,
    /// Most bytes of all files.
    pub bytes: u64,
    /// Most files of one key.
    pub count: usize,
    /// How long a file is kept for which the client names no time, and the longest that it may name.
    pub lifetime: Duration,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            folder: None,
            file_bytes: 2 << 30,
            key_bytes: 8 << 30,
            bytes: 16 << 30,
            count: 1000,
            lifetime: Duration::from_secs(24 * 3600),
        }
    }
}

impl ServerSettings {
    /// Bytes: a tebibyte.
    pub const BYTES: Whole = Whole::new(1, 1 << 40);
    /// Uploaded files of one key.
    pub const FILES: Whole = Whole::new(1, 1_000_000);
    /// Seconds.
    pub const SECONDS: Real = Real::new(0.0, 1e9);

    /// A server on this machine alone, for a package.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            engine: EngineOptions { slots: 4, ..EngineOptions::default() },
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hosts: Vec::new(),
            origins: Vec::new(),
            keys: None,
            tls: None,
            names: Vec::new(),
            max_body: 512 << 20,
            max_bodies: 2 << 30,
            files: FileSettings::default(),
            audit: None,
            audit_content: false,
            max_tiles: 12,
            timeout: None,
            drain: Duration::from_secs(30),
            stall: Duration::from_secs(120),
            share_reuse: false,
        }
    }
}
