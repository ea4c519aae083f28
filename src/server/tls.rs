//! Certificates.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::settings::TlsFiles;
use crate::error::{Error, Result};

/// What connections are accepted with. New ones take what was read last.
pub(super) struct Tls {
    files: TlsFiles,
    acceptor: RwLock<TlsAcceptor>,
}

impl Tls {
    /// Reads a certificate and its key.
    ///
    /// # Errors
    /// [`Error::Request`] naming the file that cannot be used.
    pub(super) fn open(files: &TlsFiles) -> Result<Self> {
        Ok(Self { files: files.clone(), acceptor: RwLock::new(acceptor(files)?) })
    }

    /// Reads them again. If they cannot be used, those of before stay.
    ///
    /// # Errors
    /// As [`Tls::open`].
    pub(super) fn reload(&self) -> Result<()> {
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = acceptor(&self.files)?;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor> {
    let refuse = |file: &Path, wanted: &str, got: String| {
        Error::request(file.display(), wanted, got)
            .hint("write it as PEM, and check that the server may read it")
    };
    let read = |file: &Path, wanted: &str| {
        fs::read(file).map_err(|error: io::Error| refuse(file, wanted, error.to_string()))
    };
    let wanted = "a chain of certificates";
    let text = read(&files.certificate, wanted)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| refuse(&files.certificate, wanted, error.to_string()))?;
    if chain.is_empty() {
        return Err(refuse(&files.certificate, wanted, "none".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key, "a private key")?)
        .map_err(|error| refuse(&files.key, "a private key", error.to_string()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| refuse(&files.certificate, "the certificate of the key", error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
