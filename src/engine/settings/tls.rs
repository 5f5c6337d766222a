//! What is said of TLS at the API's TCP ports, in a configuration file or on the command line before it, and what follows from it.

use std::path::PathBuf;

/// The keys `tls`, `tlsverify`, `tlscacert`, `tlscert` and `tlskey`, and the flags of the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// `tls`: TCP is spoken inside of TLS.
    pub enabled: Option<bool>,
    /// `tlsverify`: and clients show a certificate, which is so unless it is denied.
    pub verify: Option<bool>,
    /// `tlscacert`: who may vouch for clients.
    pub authority: Option<PathBuf>,
    /// `tlscert`: the engine's own certificate.
    pub certificate: Option<PathBuf>,
    /// `tlskey`: the key to it.
    pub key: Option<PathBuf>,
}

/// What TLS is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The engine's own certificate, and those between it and an authority.
    pub certificate: PathBuf,
    /// The key to it.
    pub key: PathBuf,
    /// Who may vouch for clients; `None` where clients show no certificate.
    pub authority: Option<PathBuf>,
}

/// Settings that contradict each other.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file that is needed has no name.
    #[error("TLS needs `{key}`, {what}: name it in the engine's configuration, or by `--{key}`")]
    Missing {
        /// The key, and the flag.
        key: &'static str,
        /// What the file holds.
        what: &'static str,
    },
    /// A file is named that would not be used.
    #[error("`{key}` names a file that nothing would be done with: {reason}")]
    Idle {
        /// The key, and the flag.
        key: &'static str,
        /// Why not.
        reason: &'static str,
    },
}

impl TlsSettings {
    /// What is said here; where nothing is, what is said there.
    pub fn over(self, other: Self) -> Self {
        Self {
            enabled: self.enabled.or(other.enabled),
            verify: self.verify.or(other.verify),
            authority: self.authority.or(other.authority),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
        }
    }

    /// What TLS is to be made with; `None` where there is to be none. As in Docker, `tlsverify` is enough to ask for it, and who asks for
    /// it by `tls` alone has clients show a certificate.
    pub fn files(&self) -> Result<Option<TlsFiles>, TlsError> {
        let is_on = self.verify == Some(true) || self.enabled == Some(true);
        if !is_on {
            let reason = "neither `tls` nor `tlsverify` asks for TLS";
            let named = [("tlscacert", &self.authority), ("tlscert", &self.certificate), ("tlskey", &self.key)];
            return match named.into_iter().find(|(_, file)| file.is_some()) {
                Some((key, _)) => Err(TlsError::Idle { key, reason }),
                None => Ok(None),
            };
        }
        let needed = |file: &Option<PathBuf>, key, what| file.clone().ok_or(TlsError::Missing { key, what });
        let authority = if self.verify == Some(false) {
            if self.authority.is_some() {
                return Err(TlsError::Idle { key: "tlscacert", reason: "`tlsverify` says that clients show no certificate" });
            }
            None
        } else {
            Some(needed(&self.authority, "tlscacert", "the certificates of those who may vouch for clients")?)
        };
        Ok(Some(TlsFiles {
            certificate: needed(&self.certificate, "tlscert", "the engine's own certificate")?,
            key: needed(&self.key, "tlskey", "the key to the engine's certificate")?,
            authority,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(enabled: Option<bool>, verify: Option<bool>, files: &[&str]) -> TlsSettings {
        let file = |name: &str| files.contains(&name).then(|| PathBuf::from(format!("/{name}")));
        TlsSettings { enabled, verify, authority: file("ca"), certificate: file("cert"), key: file("key") }
    }

    #[test]
    fn tls_is_whole_or_refused() {
        let check = |enabled, verify, files: &[&str], expect: Result<Option<bool>, &str>| {
            let found = settings(enabled, verify, files).files();
            let found = found.map(|files| files.map(|files| files.authority.is_some())).map_err(|error| error.to_string());
            assert_eq!(found, expect.map_err(str::to_owned), "{enabled:?} {verify:?} {files:?}");
        };
        let all = ["ca", "cert", "key"];
        check(None, None, &[], Ok(None));
        check(Some(false), Some(false), &[], Ok(None));
        check(None, Some(true), &all, Ok(Some(true)));
        check(Some(true), None, &all, Ok(Some(true)));
        check(Some(false), Some(true), &all, Ok(Some(true)));
        check(Some(true), Some(false), &["cert", "key"], Ok(Some(false)));
        let without =
            |key: &str| format!("`{key}` names a file that nothing would be done with: neither `tls` nor `tlsverify` asks for TLS");
        check(None, None, &["key"], Err(&without("tlskey")));
        check(None, Some(false), &["cert", "key"], Err(&without("tlscert")));
        let contrary = "`tlscacert` names a file that nothing would be done with: `tlsverify` says that clients show no certificate";
        check(Some(true), Some(false), &all, Err(contrary));
        let missing = |key: &str, what: &str| format!("TLS needs `{key}`, {what}: name it in the engine's configuration, or by `--{key}`");
        check(None, Some(true), &["cert", "key"], Err(&missing("tlscacert", "the certificates of those who may vouch for clients")));
        check(None, Some(true), &["ca", "key"], Err(&missing("tlscert", "the engine's own certificate")));
        check(Some(true), None, &["ca", "cert"], Err(&missing("tlskey", "the key to the engine's certificate")));
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let flags = TlsSettings { verify: Some(true), key: Some("/mine".into()), ..TlsSettings::default() };
        let both = flags.over(settings(Some(true), Some(false), &["ca", "cert", "key"]));
        assert_eq!(both, TlsSettings { key: Some("/mine".into()), ..settings(Some(true), Some(true), &["ca", "cert"]) });
    }
}
