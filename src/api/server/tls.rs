//! TLS at the engine's end: its certificate, and whose clients it lets in.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::engine::settings::TlsFiles;
use crate::registry::certificate::{self, certificates};

/// So long a client may take to show its certificate.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every client of TLS begins with, a record of its handshake.
const HANDSHAKE: u8 = 0x16;

/// What dockerd tells a client that speaks HTTP where TLS is expected.
const IN_THE_OPEN: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Files that TLS cannot be made with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of them holds something else.
    #[error("cannot use {what} in {}: {reason}", path.display())]
    File {
        /// What was to be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificate and key do not go together.
    #[error("cannot use the certificate in {} with the key in {}: {reason}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// TLS 1.2 and newer, at every TCP port of an engine; cheap to clone.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let TlsFiles { certificate, key, authority } = files;
        let chain = certificates(certificate).map_err(|error| wrong("the engine's certificate", certificate, &error))?;
        let private = certificate::key(key).map_err(|error| wrong("the key", key, &error))?;
        let pair = |reason: &dyn Display| TlsError::Pair { certificate: certificate.clone(), key: key.clone(), reason: reason.to_string() };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| pair(&error))?;
        let builder = match authority {
            Some(authority) => {
                let what = "the authorities' certificates";
                let mut roots = RootCertStore::empty();
                for root in certificates(authority).map_err(|error| wrong(what, authority, &error))? {
                    roots.add(root).map_err(|error| wrong(what, authority, &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| wrong(what, authority, &error))?)
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain, private).map_err(|error| pair(&error))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Has a client show who it is, within a bounded time.
    pub(super) async fn greet(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let greeted = tokio::time::timeout(PATIENCE, self.handshake(stream)).await;
        greeted.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it did not finish the handshake of TLS in time")))
    }

    async fn handshake(&self, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [HANDSHAKE];
        stream.peek(&mut first).await?;
        if first[0].is_ascii_uppercase() {
            stream.write_all(IN_THE_OPEN).await?;
            stream.shutdown().await?;
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak TLS"));
        }
        self.0.accept(stream).await
    }
}

fn wrong(what: &'static str, path: &Path, reason: &dyn Display) -> TlsError {
    TlsError::File { what, path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let known = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/registry/test_certificates"));
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let certificate = || known.join("server.pem");
        let key = || known.join("server.key");
        let good = TlsFiles { certificate: certificate(), key: key(), authority: Some(known.join("ca.pem")) };
        assert!(Tls::read(&good).is_ok());
        let empty = write("empty.pem", "nothing\n");
        let torn = write("torn.pem", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n");
        let missing = folder.path().join("missing.pem");
        let check = |files: TlsFiles, parts: &[&str]| {
            let told = Tls::read(&files).expect_err("a refusal").to_string();
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        };
        let file = |path: &Path| path.display().to_string();
        check(TlsFiles { certificate: empty.clone(), ..good.clone() }, &[&file(&empty), "it holds no certificate"]);
        check(TlsFiles { certificate: missing.clone(), ..good.clone() }, &["the engine's certificate", &file(&missing), "No such file"]);
        check(TlsFiles { key: certificate(), ..good.clone() }, &["the key in", &file(&certificate()), "no private key"]);
        check(TlsFiles { key: missing.clone(), ..good.clone() }, &["the key in", "No such file"]);
        check(TlsFiles { authority: Some(torn.clone()), ..good.clone() }, &["the authorities' certificates", &file(&torn)]);
        check(TlsFiles { certificate: known.join("ca.pem"), ..good }, &["cannot use the certificate in", "with the key in", &file(&key())]);
    }
}
