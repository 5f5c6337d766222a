//! Whom to trust: the system's authorities or a file that replaces them, and what `certs.d` has for a registry.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::registry::certificate::certificates;
use crate::registry::config::RegistryConfig;
use crate::registry::error::RegistryError;

/// What TLS is to be like with a registry; `names` are those its folder in `certs.d` may have.
pub(super) fn client_config(config: &RegistryConfig, names: &[&str], insecure: bool) -> Result<ClientConfig, RegistryError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| RegistryError::Config(format!("no TLS: {error}")))?;
    if insecure {
        let verifier = Arc::new(AnyCertificate { provider });
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let mut roots = base_roots(config)?;
    for folder in config.certificate_folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name))) {
        add_folder(&mut roots, &folder)?;
    }
    if roots.is_empty() {
        let reason = "no certificate of any authority was found: install ca-certificates, or name a file by SSL_CERT_FILE";
        return Err(RegistryError::Config(reason.to_owned()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn base_roots(config: &RegistryConfig) -> Result<RootCertStore, RegistryError> {
    let mut roots = RootCertStore::empty();
    match &config.certificates {
        Some(file) => add_file(&mut roots, file)?,
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in found.errors {
                tracing::warn!(%error, "a certificate of the system cannot be read");
            }
            // The system's store has some that are too old for anybody.
            let (_added, ignored) = roots.add_parsable_certificates(found.certs);
            tracing::debug!(ignored, "the system's authorities were read");
        }
    }
    Ok(roots)
}

fn add_folder(roots: &mut RootCertStore, folder: &Path) -> Result<(), RegistryError> {
    let unreadable = |error: io::Error| RegistryError::Config(format!("cannot read {}: {error}", folder.display()));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(unreadable)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut files: Vec<_> =
        entries.iter().map(std::fs::DirEntry::path).filter(|path| path.extension().is_some_and(|it| it == "crt")).collect();
    files.sort();
    files.iter().try_for_each(|file| add_file(roots, file))
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), RegistryError> {
    let wrong =
        |error: &dyn std::fmt::Display| RegistryError::Config(format!("cannot use the certificates in {}: {error}", file.display()));
    let found = certificates(file).map_err(|error| wrong(&error))?;
    found.into_iter().try_for_each(|certificate| roots.add(certificate)).map_err(|error| wrong(&error))
}

/// Believes every certificate, for registries that are named as insecure; the connection is encrypted all the same.
#[derive(Debug)]
pub(crate) struct AnyCertificate {
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
