//! Certificates, and the keys to them, in files of PEM.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::resource::reason;

/// Why a file has none to give.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It cannot be read, or what is in it is torn.
    #[error("{}", told(.0))]
    Unreadable(pem::Error),
    /// It has something else.
    #[error("it holds no certificate in PEM")]
    NoCertificate,
    /// It has something else, or asks for a password.
    #[error("it holds no private key in PEM that is readable without a password")]
    NoKey,
}

fn told(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => reason::plain(error),
        other => other.to_string(),
    }
}

/// Reads all certificates of a file, of which there is at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let read = CertificateDer::pem_file_iter(path).map_err(PemError::Unreadable)?;
    let found = read.collect::<Result<Vec<_>, _>>().map_err(PemError::Unreadable)?;
    if found.is_empty() { Err(PemError::NoCertificate) } else { Ok(found) }
}

/// Reads the first private key of a file.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => PemError::NoKey,
        other => PemError::Unreadable(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_why_it_has_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let known = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/registry/test_certificates"));
        let told = |path: &Path| {
            let certificates = certificates(path).map(|found| found.len()).map_err(|error| error.to_string());
            (certificates, key(path).map(drop).map_err(|error| error.to_string()))
        };
        let (certificate, key) = ("it holds no certificate in PEM", "it holds no private key in PEM that is readable without a password");
        assert_eq!(told(&known.join("server.pem")), (Ok(1), Err(key.to_owned())));
        assert_eq!(told(&known.join("server.key")), (Err(certificate.to_owned()), Ok(())));
        let missing = "No such file or directory".to_owned();
        assert_eq!(told(&folder.path().join("none")), (Err(missing.clone()), Err(missing)));
    }
}
