//! What an engine's configuration says of registries. Nothing here is read from the environment: whoever starts the engine passes it.

use std::path::PathBuf;

use crate::registry::proxy::masked;

/// How registries are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Mirrors of Docker Hub, tried in order before it (`registry-mirrors`): `https://mirror.example`, `http://127.0.0.1:5000`.
    pub mirrors: Vec<String>,
    /// Registries that may speak plain HTTP or show any certificate (`insecure-registries`): host, host and port, or a block of addresses.
    pub insecure: Vec<String>,
    /// The value of `HTTP_PROXY`.
    pub http_proxy: Option<String>,
    /// The value of `HTTPS_PROXY`.
    pub https_proxy: Option<String>,
    /// The value of `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// Certificates to trust instead of the system's (`SSL_CERT_FILE`).
    pub certificates: Option<PathBuf>,
    /// Folders with a folder for each registry (`certs.d`), which holds `*.crt` to trust for it besides.
    pub certificate_folders: Vec<PathBuf>,
}

impl RegistryConfig {
    /// Returns the values of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` as they may be shown to anybody.
    pub fn shown_proxies(&self) -> [String; 3] {
        let shown = |proxy: &Option<String>| proxy.as_deref().map(masked).unwrap_or_default();
        [shown(&self.http_proxy), shown(&self.https_proxy), self.no_proxy.clone().unwrap_or_default()]
    }
}
