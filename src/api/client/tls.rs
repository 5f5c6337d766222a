//! TLS to an engine: whom to believe, and who we are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::registry::certificate::{self, certificates};
use crate::registry::tls::AnyCertificate;
use crate::resource::failure::Failure;

/// The files that TLS to an engine needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities to believe, and no other; the system's own without.
    pub authority: Option<PathBuf>,
    /// The certificate we show.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Whether the engine has to prove who it is.
    pub verify: bool,
}

/// What makes a connection one of TLS.
pub(super) struct Connector(TlsConnector);

impl Connector {
    /// Reads the files.
    pub(super) fn new(files: &TlsFiles) -> Result<Self, Failure> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::internal(format!("no TLS: {error}")))?;
        let builder = if files.verify {
            builder.with_root_certificates(roots(files.authority.as_deref())?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate { provider }))
        };
        let config = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate).map_err(|error| unusable("the certificate", certificate, &error))?;
                let secret = certificate::key(key).map_err(|error| unusable("the key", key, &error))?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| unusable("the key", key, &error))?
            }
            // As Docker: half a proof is none.
            _ => builder.with_no_client_auth(),
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Speaks TLS over a connection to a host.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.0.connect(name, stream).await
    }
}

fn roots(authority: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let Some(path) = authority else {
        // The system's store has some that are too old for anybody.
        let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Failure::invalid("no certificate of any authority was found: name a file by `--tlscacert`"));
        }
        return Ok(roots);
    };
    for certificate in certificates(path).map_err(|error| unusable("the authority", path, &error))? {
        roots.add(certificate).map_err(|error| unusable("the authority", path, &error))?;
    }
    Ok(roots)
}

fn unusable(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::invalid(format!("{what} in {} cannot be used for TLS: {error}", path.display()))
}

/// What a failure of TLS means between a client and an engine.
pub(super) fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            format!("its certificate is for another host ({error}): call it by a name that is in its certificate")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => format!("its certificate does not hold now ({error}): renew it, or set this machine's clock"),
        rustls::Error::InvalidCertificate(_) => {
            format!("its certificate is not to be trusted ({error}): name its authority's certificate by `--tlscacert`, or in the context")
        }
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: leave out `--tls`, `--tlsverify`, DOCKER_TLS and DOCKER_TLS_VERIFY".to_owned()
        }
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied,
        ) => {
            format!(
                "it does not take our certificate ({error}): name one of its authority, and its key, by `--tlscert` and `--tlskey`, or in the context"
            )
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_good_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let (missing, empty) = (folder.path().join("missing.pem"), folder.path().join("empty.pem"));
        std::fs::File::create(&empty).expect("a file");
        let check = |authority: Option<&Path>, certificate: Option<&Path>, key: Option<&Path>, words: [&str; 2]| {
            let own = |path: Option<&Path>| path.map(Path::to_owned);
            let files = TlsFiles { authority: own(authority), certificate: own(certificate), key: own(key), verify: true };
            let told = Connector::new(&files).err().expect("no good").message;
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
        };
        check(Some(&missing), None, None, ["missing.pem", "No such file"]);
        check(Some(&empty), None, None, ["empty.pem", "it holds no certificate"]);
    }
}
