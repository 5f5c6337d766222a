//! What a container runs once the image's configuration is merged into its spec, by Docker's rules.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::resource::container::{ContainerSpec, EffectiveConfig, HealthCheck, HealthTest};
use crate::resource::failure::Failure;
use crate::resource::image::ImageConfig;

/// Merges. `hostname` is the name that counts when the spec has none.
pub(super) fn merge(spec: &ContainerSpec, image: &ImageConfig, hostname: &str) -> Result<EffectiveConfig, Failure> {
    let (entrypoint, command) = match &spec.entrypoint {
        // An entry point of the container's own is not given the image's arguments.
        Some(entrypoint) => (entrypoint.clone(), spec.command.clone().unwrap_or_default()),
        None => (image.entrypoint.clone(), spec.command.clone().unwrap_or_else(|| image.command.clone())),
    };
    if entrypoint.is_empty() && command.is_empty() {
        return Err(Failure::invalid("no command specified"));
    }
    let mut labels = image.labels.clone();
    labels.extend(spec.labels.clone());
    let mut exposed = image.exposed.clone();
    exposed.extend(spec.exposed.iter().copied());
    exposed.extend(spec.ports.iter().map(|binding| binding.container));
    let working_dir = spec.working_dir.clone().unwrap_or_else(|| image.working_dir.clone());
    Ok(EffectiveConfig {
        entrypoint,
        command,
        environment: environment(&image.environment, &spec.environment),
        working_dir,
        user: spec.user.clone().unwrap_or_else(|| image.user.clone()),
        labels,
        exposed,
        volumes: image.volumes.clone(),
        stop_signal: spec.stop_signal.clone().or_else(|| image.stop_signal.clone()),
        health: health(spec.health.as_ref(), image.health.as_ref()),
        hostname: spec.hostname.clone().unwrap_or_else(|| hostname.to_owned()),
    })
}

/// The image's variables in their order, replaced or removed in place; then the spec's others.
fn environment(image: &[String], spec: &BTreeMap<String, Option<String>>) -> Vec<String> {
    let name = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    let written = |name: &str, value: &str| format!("{name}={value}");
    let mut seen = Vec::new();
    let mut lines = Vec::new();
    for line in image {
        let name = name(line);
        match spec.get(&name) {
            None => lines.push(line.clone()),
            Some(Some(value)) if !seen.contains(&name) => lines.push(written(&name, value)),
            Some(_) => {}
        }
        seen.push(name);
    }
    let added = spec.iter().filter(|(name, _)| !seen.contains(name));
    lines.extend(added.filter_map(|(name, value)| value.as_ref().map(|value| written(name, value))));
    lines
}

/// Field by field: what the spec leaves at zero is the image's.
fn health(spec: Option<&HealthCheck>, image: Option<&HealthCheck>) -> Option<HealthCheck> {
    let Some(spec) = spec else { return image.cloned() };
    let Some(image) = image else {
        return (spec.test != HealthTest::Inherit).then(|| spec.clone());
    };
    let longer = |own: Duration, inherited: Duration| if own.is_zero() { inherited } else { own };
    Some(HealthCheck {
        test: if spec.test == HealthTest::Inherit { image.test.clone() } else { spec.test.clone() },
        interval: longer(spec.interval, image.interval),
        timeout: longer(spec.timeout, image.timeout),
        retries: if spec.retries == 0 { image.retries } else { spec.retries },
        start_period: longer(spec.start_period, image.start_period),
        start_interval: longer(spec.start_interval, image.start_interval),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn command(entrypoint: Option<&str>, command: Option<&str>) -> Option<String> {
        let image = ImageConfig { entrypoint: words("tini --"), command: words("serve -v"), ..ImageConfig::default() };
        let spec = ContainerSpec { entrypoint: entrypoint.map(words), command: command.map(words), ..ContainerSpec::default() };
        let merged = merge(&spec, &image, "host").ok()?;
        Some([merged.entrypoint, merged.command].concat().join(" "))
    }

    #[test]
    fn an_entry_point_drops_the_images_command() {
        let check = |entrypoint, arguments, expected: Option<&str>| assert_eq!(command(entrypoint, arguments).as_deref(), expected);
        check(None, None, Some("tini -- serve -v"));
        check(None, Some("sh"), Some("tini -- sh"));
        check(Some("run"), None, Some("run"));
        check(Some("run"), Some("a b"), Some("run a b"));
        check(Some(""), Some("sh"), Some("sh"));
        check(Some(""), None, None);
    }

    #[test]
    fn variables_are_replaced_where_they_stand() {
        let image = ["PATH=/bin", "A=1", "B=2"].map(str::to_owned);
        let spec = BTreeMap::from([
            ("A".to_owned(), Some("x=y".to_owned())),
            ("B".to_owned(), None),
            ("C".to_owned(), Some(String::new())),
            ("D".to_owned(), None),
        ]);
        assert_eq!(environment(&image, &spec), ["PATH=/bin", "A=x=y", "C="]);
    }

    #[test]
    fn a_check_inherits_field_by_field() {
        let check = |test, seconds, retries| HealthCheck {
            test,
            interval: Duration::from_secs(seconds),
            timeout: Duration::ZERO,
            retries,
            start_period: Duration::ZERO,
            start_interval: Duration::ZERO,
        };
        let image = check(HealthTest::Shell("true".to_owned()), 5, 4);
        assert_eq!(health(None, Some(&image)), Some(image.clone()));
        assert_eq!(health(Some(&check(HealthTest::Inherit, 1, 0)), Some(&image)), Some(check(image.test.clone(), 1, 4)));
        assert_eq!(health(Some(&check(HealthTest::Inherit, 1, 0)), None), None);
        let disabled = health(Some(&check(HealthTest::Disabled, 0, 0)), Some(&image)).expect("a check that is off");
        assert_eq!(disabled.test, HealthTest::Disabled);
    }
}
