//! What a registry has under a name, told without bringing it in.

use bytes::Bytes;
use serde::Deserialize;

use crate::registry::error::RegistryError;
use crate::registry::manifest::Manifest;
use crate::registry::session::Session;
use crate::resource::remote_image::{RemoteImage, RemotePlatform};

/// What of an index tells platforms.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    platform: Option<Platform>,
}

/// A platform as indexes and configurations write it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Platform {
    architecture: String,
    os: String,
    #[serde(rename = "os.version")]
    os_version: String,
    #[serde(rename = "os.features")]
    os_features: Vec<String>,
    variant: String,
}

/// What says itself what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    media_type: Option<String>,
}

impl Session {
    /// Tells what lies under the reference, and which platforms it is for. What stands beside the images of an index is told, too.
    pub async fn inspect(&self) -> Result<RemoteImage, RegistryError> {
        let document = self.manifest().await?;
        let said: Option<Head> = serde_json::from_slice(&document.bytes).ok();
        let media_type = said.and_then(|head| head.media_type).or(document.content_type).unwrap_or_default();
        let platforms = match &document.manifest {
            Manifest::Index(_) => of_index(&document.bytes),
            Manifest::Image { config, .. } => match self.document_blob(config).await {
                Ok(config) => serde_json::from_slice(&config).ok().into_iter().map(told).filter(RemotePlatform::is_known).collect(),
                // As in Docker, whose manifest is there is told of even where the rest is not.
                Err(RegistryError::BlobUnknown { .. }) => Vec::new(),
                Err(error) => return Err(error),
            },
        };
        Ok(RemoteImage { media_type, digest: document.digest, size: document.bytes.len() as u64, platforms })
    }
}

fn of_index(bytes: &Bytes) -> Vec<RemotePlatform> {
    let index: Option<Index> = serde_json::from_slice(bytes).ok();
    index.into_iter().flat_map(|index| index.manifests).map(|entry| told(entry.platform.unwrap_or_default())).collect()
}

fn told(platform: Platform) -> RemotePlatform {
    RemotePlatform {
        architecture: platform.architecture,
        os: platform.os,
        os_version: platform.os_version,
        os_features: platform.os_features,
        variant: platform.variant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::client::Registries;
    use crate::registry::config::RegistryConfig;
    use crate::registry::test_server::{Reply, Server, descriptor};

    async fn inspect(name: &str, server: &Server) -> Result<RemoteImage, RegistryError> {
        let registries = Registries::new(RegistryConfig::default()).expect("a good configuration");
        let reference = format!("{}/{name}", server.host()).parse().expect("a reference");
        registries.session(&reference, None).await.expect("a session").inspect().await
    }

    #[tokio::test]
    async fn platforms_are_told_by_the_index_or_by_the_configuration() {
        let config = r#"{"architecture":"arm","os":"linux","variant":"v7"}"#;
        let it = descriptor(config.as_bytes());
        let part = format!(r#"{{"mediaType":"x/y","digest":"{}","size":{}}}"#, it.digest, it.size);
        let image = format!(r#"{{"schemaVersion":2,"config":{part},"layers":[]}}"#);
        let with = |platform: &str| part.replace('}', &format!(r#","platform":{platform}}}"#));
        let entries =
            [with(r#"{"os":"linux","architecture":"amd64","os.version":"1"}"#), with(r#"{"os":"unknown","architecture":"unknown"}"#), part]
                .join(",");
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{entries}]}}"#);
        let length = index.len() as u64;
        let server = Server::start(move |asked| match asked.path.as_str() {
            "/v2/app/manifests/1" => Reply::of(200, image.clone()).with("content-type", "application/vnd.x+json"),
            "/v2/app/manifests/2" => Reply::of(200, index.clone()),
            path if path.contains("/blobs/") => Reply::of(200, config),
            _ => Reply::refusal(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        })
        .await;
        let one = inspect("app:1", &server).await.expect("an image");
        assert_eq!(one.media_type, "application/vnd.x+json");
        assert_eq!((one.platforms.len(), one.platforms[0].variant.as_str()), (1, "v7"));
        let many = inspect("app:2", &server).await.expect("an index");
        assert_eq!((many.media_type.as_str(), many.size), ("application/vnd.oci.image.index.v1+json", length));
        let told: Vec<&str> = many.platforms.iter().map(|it| it.architecture.as_str()).collect();
        assert_eq!((told, many.platforms[0].os_version.as_str()), (vec!["amd64", "unknown", ""], "1"));
        assert!(matches!(inspect("app:3", &server).await, Err(RegistryError::ManifestUnknown { .. })));
    }
}
