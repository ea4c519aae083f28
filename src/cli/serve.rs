//! `fleming serve`: the model behind HTTP.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fleming::server::{self, ServerSettings, TlsFiles};

use super::logs::LogFormat;
use super::options::RuntimeArguments;
use super::output::note;
use super::refusal::unusable;

/// Answer questions over HTTP, in OpenAI's protocol, and with a page for people.
///
/// It listens on this machine alone unless --host says otherwise, which needs --keys. SIGTERM ends it when what is under way
/// is answered; SIGHUP has it read keys and certificates again.
#[derive(Args)]
pub(super) struct Serve {
    /// Address to listen at
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen at; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// A file of API keys, one on a line, or sha256: and the hash of one
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Certificate chain for HTTPS, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A name of the model for clients; may be repeated [default: the name of its folder]
    #[arg(long, value_name = "NAME")]
    served_model_name: Vec<String>,
    /// A name by which the server may be called without keys, beside localhost; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// The origin of pages that may use the server, such as https://viewer.example; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Most bytes of the body of a request [default: 512 MiB]
    #[arg(long, value_name = "BYTES")]
    max_body: Option<u64>,
    /// Most bytes of all bodies that are being read and answered [default: 2 GiB]
    #[arg(long, value_name = "BYTES")]
    max_bodies: Option<u64>,
    /// Most tiles of a picture for which a client asks detail: high [default: 12]
    #[arg(long, value_name = "N")]
    high_detail_tiles: Option<usize>,
    /// Folder for files that clients upload [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// Most uploaded files of one key [default: 1000]
    #[arg(long, value_name = "N")]
    files_per_key: Option<usize>,
    /// Most bytes of all uploaded files of one key [default: 8 GiB]
    #[arg(long, value_name = "BYTES")]
    files_bytes_per_key: Option<u64>,
    /// Most bytes of all uploaded files [default: 16 GiB]
    #[arg(long, value_name = "BYTES")]
    files_bytes: Option<u64>,
    /// Most bytes of one uploaded file [default: 2 GiB]
    #[arg(long, value_name = "BYTES")]
    file_bytes: Option<u64>,
    /// How long an uploaded file is kept [default: a day]
    #[arg(long, value_name = "SECONDS")]
    file_ttl: Option<f64>,
    /// Append a line of JSON to this file for each request
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Write questions and answers into it too
    #[arg(long, requires = "audit")]
    audit_content: bool,
    /// How long any request may take [default: without end]
    #[arg(long, value_name = "SECONDS")]
    max_time: Option<f64>,
    /// How long what is under way may go on after SIGTERM [default: 30]
    #[arg(long, value_name = "SECONDS")]
    drain: Option<f64>,
    /// How long the engine may work without ending a step before the server is not ready [default: 120]
    #[arg(long, value_name = "SECONDS")]
    stall: Option<f64>,
    /// Let the requests of one key be answered faster by what those of another left in memory; their times then tell what
    /// others asked
    #[arg(long)]
    share_reuse: bool,
    /// How the lines of the log are written, which goes to stderr
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
    #[command(flatten)]
    runtime: RuntimeArguments,
}

/// Answers at once where nothing else is asked.
const SLOTS: usize = 4;

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode> {
        let settings = self.settings()?;
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        server::serve(settings, |address| note(format_args!("listening: {scheme}://{address}")))?;
        Ok(ExitCode::SUCCESS)
    }

    fn settings(self) -> Result<ServerSettings> {
        let mut settings = ServerSettings::new(self.runtime.folder()?);
        settings.engine = self.runtime.options(SLOTS)?;
        settings.address = SocketAddr::new(self.host, self.port);
        settings.keys = self.keys;
        let tls = self.tls_cert.zip(self.tls_key);
        settings.tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
        settings.names = self.served_model_name;
        settings.hosts = self.allow_host;
        settings.origins = self.allow_origin;
        let bytes = ServerSettings::BYTES;
        for (name, given, set) in [
            ("--max-body", self.max_body, &mut settings.max_body),
            ("--max-bodies", self.max_bodies, &mut settings.max_bodies),
            ("--files-bytes", self.files_bytes, &mut settings.files.bytes),
            ("--files-bytes-per-key", self.files_bytes_per_key, &mut settings.files.key_bytes),
            ("--file-bytes", self.file_bytes, &mut settings.files.file_bytes),
        ] {
            if let Some(given) = given {
                bytes.check(name, usize::try_from(given).unwrap_or(usize::MAX))?;
                *set = given;
            }
        }
        if let Some(tiles) = self.high_detail_tiles {
            fleming::AskOptions { max_tiles: Some(tiles), ..Default::default() }.check()?;
            settings.max_tiles = tiles;
        }
        if let Some(count) = self.files_per_key {
            ServerSettings::FILES.check("--files-per-key", count)?;
            settings.files.count = count;
        }
        settings.files.folder = self.files;
        settings.audit = self.audit;
        settings.audit_content = self.audit_content;
        settings.share_reuse = self.share_reuse;
        for (name, given, set) in [
            ("--file-ttl", self.file_ttl, &mut settings.files.lifetime),
            ("--drain", self.drain, &mut settings.drain),
            ("--stall", self.stall, &mut settings.stall),
        ] {
            if let Some(given) = given {
                *set = seconds(name, given)?;
            }
        }
        settings.timeout = self.max_time.map(|given| seconds("--max-time", given)).transpose()?;
        Ok(settings)
    }
}

fn seconds(name: &str, given: f64) -> Result<Duration> {
    match ServerSettings::SECONDS.contains(given) {
        true => Ok(Duration::from_secs_f64(given)),
        false => Err(unusable(
            name,
            &format!("seconds, {}", ServerSettings::SECONDS),
            &given,
            "correct it, or leave it out",
        )),
    }
}
