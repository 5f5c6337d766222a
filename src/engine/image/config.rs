//! An image's configuration: the OCI document, with the fields Docker adds to it.

use std::time::Duration;

use oci_spec::image::ImageConfiguration;
use serde::Deserialize;

use crate::engine::image::document::DockerHealth;
use crate::engine::image::error::ImageError;
use crate::registry::manifest::acceptable;
use crate::resource::container::{ContainerPort, HealthCheck, HealthTest, Protocol};
use crate::resource::id::Digest;
use crate::resource::image::{HistoryEntry, ImageConfig, Platform};
use crate::resource::time::Timestamp;

/// An image's configuration, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Understood {
    pub(super) platform: Platform,
    pub(super) created: Option<Timestamp>,
    pub(super) author: String,
    pub(super) comment: String,
    pub(super) docker_version: String,
    pub(super) os_version: String,
    /// Digests of the layers' tars, lowest first.
    pub(super) layers: Vec<Digest>,
    pub(super) config: ImageConfig,
    /// Oldest first, without sizes.
    pub(super) history: Vec<HistoryEntry>,
}

/// What Docker adds to the OCI document.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DockerDocument {
    config: Option<DockerConfig>,
    comment: Option<String>,
    docker_version: Option<String>,
    #[serde(rename = "os.version")]
    os_version: Option<String>,
}

/// The additions to its `config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DockerConfig {
    healthcheck: Option<DockerHealth>,
    shell: Option<Vec<String>>,
    on_build: Option<Vec<String>>,
    args_escaped: Option<bool>,
}

/// Understands a configuration; `name` is for the message.
pub(super) fn parse(document: &[u8], name: &str) -> Result<Understood, ImageError> {
    let wrong = |reason: String| ImageError::Config { image: name.to_owned(), reason };
    let oci: ImageConfiguration = serde_json::from_slice(document).map_err(|error| wrong(error.to_string()))?;
    let whole: DockerDocument = serde_json::from_slice(document).map_err(|error| wrong(error.to_string()))?;
    let docker = whole.config.unwrap_or_default();
    if !matches!(oci.rootfs().typ().as_str(), "layers" | "") {
        return Err(wrong(format!("its root file system is of the type `{}`", oci.rootfs().typ())));
    }
    let layers =
        oci.rootfs().diff_ids().iter().map(|it| it.parse().map_err(|error| wrong(format!("{error}")))).collect::<Result<_, _>>()?;
    let mut config = ImageConfig {
        shell: docker.shell.unwrap_or_default(),
        on_build: docker.on_build.unwrap_or_default(),
        args_escaped: docker.args_escaped.unwrap_or_default(),
        ..ImageConfig::default()
    };
    if let Some(run) = oci.config() {
        config.environment = run.env().clone().unwrap_or_default();
        config.entrypoint = run.entrypoint().clone().unwrap_or_default();
        config.command = run.cmd().clone().unwrap_or_default();
        config.working_dir = run.working_dir().clone().unwrap_or_default();
        config.user = run.user().clone().unwrap_or_default();
        config.volumes = run.volumes().iter().flatten().cloned().collect();
        config.labels = run.labels().iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
        config.stop_signal = run.stop_signal().clone().filter(|it| !it.is_empty());
        for port in run.exposed_ports().iter().flatten() {
            config.exposed.extend(parse_ports(port).ok_or_else(|| wrong(format!("`{port}` is not a port")))?);
        }
    }
    config.health = docker.healthcheck.and_then(|it| understand_health(&it));
    let history = oci.history().iter().flatten();
    let history: Vec<HistoryEntry> = history
        .map(|step| HistoryEntry {
            created: step.created().as_deref().and_then(parse_time),
            created_by: step.created_by().clone().unwrap_or_default(),
            comment: step.comment().clone().unwrap_or_default(),
            empty_layer: step.empty_layer().unwrap_or_default(),
            size: 0,
        })
        .collect();
    let comment = whole.comment.filter(|it| !it.is_empty()).or_else(|| history.last().map(|step| step.comment.clone()));
    Ok(Understood {
        platform: Platform {
            os: oci.os().to_string(),
            architecture: oci.architecture().to_string(),
            variant: oci.variant().clone().filter(|it| !it.is_empty()),
        },
        created: oci.created().as_deref().and_then(parse_time),
        author: oci.author().clone().unwrap_or_default(),
        comment: comment.unwrap_or_default(),
        docker_version: whole.docker_version.unwrap_or_default(),
        os_version: whole.os_version.unwrap_or_default(),
        layers,
        config,
        history,
    })
}

/// Whether an image of one platform can stand for one of another.
pub(super) fn suits(found: &Platform, wanted: &Platform) -> bool {
    // One spelling, so that both can be compared.
    acceptable(wanted).contains(&found.to_string().parse().unwrap_or_else(|_| found.clone()))
}

/// Says so where an image cannot stand for one of a platform.
pub(super) fn check_platform(found: &Platform, wanted: &Platform, name: &str) -> Result<(), ImageError> {
    if suits(found, wanted) {
        return Ok(());
    }
    Err(ImageError::Platform(format!(
        "image with reference {name} was found but its platform ({found}) does not match the specified platform ({wanted})"
    )))
}

/// Docker's zero time stands for "not known"; reproducible builds write it.
fn parse_time(text: &str) -> Option<Timestamp> {
    if text == Timestamp::NEVER_TEXT { None } else { text.parse().ok() }
}

/// Reads `80`, `80/tcp` or `8000-8010/udp`.
pub(super) fn parse_ports(text: &str) -> Option<Vec<ContainerPort>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" | "" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    if first == 0 || last < first {
        return None;
    }
    Some((first..=last).map(|port| ContainerPort { port, protocol }).collect())
}

/// What is not written is zero.
fn understand_health(health: &DockerHealth) -> Option<HealthCheck> {
    let test = match health.test.as_deref().unwrap_or_default() {
        [] => return None,
        [word] if word == "NONE" => HealthTest::Disabled,
        [word, rest @ ..] if word == "CMD" => HealthTest::Exec(rest.to_vec()),
        [word, rest @ ..] if word == "CMD-SHELL" => HealthTest::Shell(rest.join(" ")),
        // Docker takes what is none of these for a command, too.
        all => HealthTest::Exec(all.to_vec()),
    };
    let time = |nanos: i64| u64::try_from(nanos).map_or(Duration::ZERO, Duration::from_nanos);
    Some(HealthCheck {
        test,
        interval: time(health.interval),
        timeout: time(health.timeout),
        retries: u32::try_from(health.retries).unwrap_or_default(),
        start_period: time(health.start_period),
        start_interval: time(health.start_interval),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_fields_are_understood_beside_the_standards() {
        let diff = format!("sha256:{}", "1".repeat(64));
        let document = format!(
            r#"{{"architecture":"arm","variant":"v7","os":"linux","created":"2026-01-02T03:04:05Z","author":"me",
            "config":{{"Env":["A=b"],"Cmd":["x"],"Entrypoint":null,"ExposedPorts":{{"80/tcp":{{}},"53/udp":{{}}}},"Volumes":{{"/data":{{}}}},
              "Labels":{{"l":"v"}},"StopSignal":"SIGINT","User":"9","WorkingDir":"/w","Shell":["/bin/bash","-c"],"ArgsEscaped":true,"OnBuild":["RUN x"],
              "Healthcheck":{{"Test":["CMD-SHELL","true"],"Interval":5000000000,"Retries":7}}}},
            "rootfs":{{"type":"layers","diff_ids":["{diff}"]}},
            "history":[{{"created":"2026-01-02T03:04:05Z","created_by":"ADD"}},{{"created_by":"CMD","empty_layer":true,"comment":"c"}}]}}"#
        );
        let understood = parse(document.as_bytes(), "x").expect("a good document");
        assert_eq!(understood.platform.to_string(), "linux/arm/v7");
        assert_eq!(understood.layers, [diff.parse().expect("a digest")]);
        let config = &understood.config;
        assert_eq!((config.user.as_str(), config.working_dir.as_str(), config.entrypoint.len()), ("9", "/w", 0));
        assert_eq!(config.exposed.len(), 2);
        assert_eq!((config.shell.join(" "), config.on_build.join(" ")), ("/bin/bash -c".to_owned(), "RUN x".to_owned()));
        let health = config.health.as_ref().expect("a check");
        assert_eq!((&health.test, health.retries), (&HealthTest::Shell("true".to_owned()), 7));
        assert_eq!((health.interval, health.timeout), (Duration::from_secs(5), Duration::ZERO));
        assert!(understood.history[1].empty_layer);
    }

    #[test]
    fn a_bare_document_is_enough_and_a_wrong_one_is_refused() {
        let bare = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":null,"history":null}"#;
        assert!(parse(bare, "x").is_ok());
        for wrong in [&b""[..], b"[]", b"{}", br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["md5:1"]}}"#] {
            assert!(matches!(parse(wrong, "x"), Err(ImageError::Config { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn ports_may_be_ranges() {
        let check = |text: &str, count: Option<usize>| assert_eq!(parse_ports(text).map(|it| it.len()), count, "{text}");
        check("80", Some(1));
        check("80/udp", Some(1));
        check("8000-8002/tcp", Some(3));
        for text in ["", "0", "9-8", "80/icmp", "65536", "a"] {
            check(text, None);
        }
    }
}
