//! A container becomes an image: what it wrote is a layer on top of its image's, and what it runs is the image's configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::container::entry::Container;
use crate::engine::container::state::Change;
use crate::engine::image::change;
use crate::engine::image::document::{DockerHealth, Empty, HistoryStep, RunConfig};
use crate::engine::image::workshop::Workshop;
use crate::engine::runtime::task::Task;
use crate::engine::{Engine, clock, store};
use crate::resource::container::{CommitOptions, ContainerSpec, ContainerState, EffectiveConfig, HealthCheck, MountSource};
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::image::ImageReference;

impl Engine {
    /// Makes an image of a container. Nobody starts, stops or removes it meanwhile.
    pub(in crate::engine) async fn commit(&self, container: &Arc<Container>, options: &CommitOptions) -> Result<ImageId, Failure> {
        let turn = container.turn().await;
        let (id, life, record) = (container.id(), container.life(), container.record());
        match life.state {
            ContainerState::Dead => return Err(Failure::conflict(format!("You cannot commit container {id} which is Dead"))),
            _ if life.removed || life.state == ContainerState::Removing => {
                return Err(Failure::conflict(format!("You cannot commit container {id} which is being removed")));
            }
            _ => {}
        }
        if let Some(reference) = options.reference.as_ref().filter(|reference| reference.digest().is_some()) {
            return Err(Failure::invalid(format!("refusing to create a tag with a digest reference: {}", reference.familiar())));
        }
        let config = configuration(&record.spec, &record.effective, options)?;
        // What does not run, or is paused already, need not be.
        let paused = options.pause && matches!(life.state, ContainerState::Running { paused: false, .. });
        if paused {
            self.freeze_to_commit(container).await?;
        }
        let workshop = self.shared.images.workshop();
        let made = self.make_image(container, &workshop, config, options).await;
        if paused && let Err(failure) = self.thaw_committed(container).await {
            tracing::warn!(container = %id, %failure, "a container that was committed could not be thawed");
        }
        // What nobody needs any more is nothing to keep a container frozen for.
        workshop.close().await;
        drop(turn);
        made
    }

    /// Freezes a container, and notes that it is for a commit: the engine may not live to thaw it.
    async fn freeze_to_commit(&self, container: &Container) -> Result<(), Failure> {
        let note = note_of_freeze(container);
        store::replace_until_reboot(&note, &container.task()?.started_at())?;
        let frozen = self.freeze_held(container).await;
        if frozen.is_err() {
            forget_freeze(container);
        }
        frozen
    }

    async fn thaw_committed(&self, container: &Container) -> Result<(), Failure> {
        // One that was ended meanwhile was thawed for that.
        if matches!(container.life().state, ContainerState::Running { paused: true, .. }) {
            return self.thaw_held(container).await;
        }
        forget_freeze(container);
        Ok(())
    }

    /// Thaws a container that runs and that an engine froze for a commit which it did not live to finish.
    pub(super) async fn thaw_uncommitted(&self, container: &Container, task: &Task) -> Result<(), Failure> {
        let note = note_of_freeze(container);
        // One of an earlier life says nothing of this one.
        if store::read_until_reboot(&note)? == Some(task.started_at()) {
            tracing::warn!(container = %container.id(), "an engine was killed while it committed a container, which goes on now");
            task.resume().await?;
            // The engine may have been killed before it wrote down that it is frozen.
            if container.update(|life| life.change(Change::Resumed)).is_ok() {
                self.tell(container, "unpause", &[]);
            }
        }
        Ok(store::remove(&note)?)
    }

    async fn make_image(
        &self,
        container: &Container,
        workshop: &Workshop,
        config: RunConfig,
        options: &CommitOptions,
    ) -> Result<ImageId, Failure> {
        let record = container.record();
        let mut document = workshop.origin(&record.image.to_string())?.document;
        let layer = workshop.copy(container.folder().join("upper")).await?;
        let created = Some(clock::now());
        document.author.clone_from(&options.author);
        document.config = config;
        document.created = created;
        // Steps of a build are the image's it was made of.
        document.steps.clear();
        document.rootfs.diff_ids.extend(layer);
        document.history.push(HistoryStep {
            created,
            created_by: record.effective.command.join(" "),
            author: options.author.clone(),
            comment: options.comment.clone(),
            empty_layer: layer.is_none(),
        });
        let image = workshop.publish(&document, options.reference.as_slice())?;
        let called = options.reference.as_ref().map(ImageReference::familiar).unwrap_or_default();
        self.tell_image(&image.to_string(), &image.to_string(), "create");
        if !called.is_empty() {
            self.tell_image(&image.to_string(), &called, "tag");
        }
        let more = [("comment", options.comment.clone()), ("imageID", image.to_string()), ("imageRef", called)];
        self.tell(container, "commit", &more);
        Ok(image)
    }
}

/// Ends the note that a container is frozen for a commit.
pub(super) fn forget_freeze(container: &Container) {
    if let Err(error) = store::remove(&note_of_freeze(container)) {
        tracing::error!(container = %container.id(), %error, "a container counts as frozen for a commit, and is not");
    }
}

/// Where it is noted that a container is frozen for a commit.
fn note_of_freeze(container: &Container) -> PathBuf {
    container.folder().join("frozen.json")
}

/// What the image is to run: what was asked for, changed by the lines, and the container's own for the rest.
fn configuration(spec: &ContainerSpec, effective: &EffectiveConfig, options: &CommitOptions) -> Result<RunConfig, Failure> {
    let own = of_container(spec, effective);
    let mut config = options.config.as_ref().map_or_else(|| own.clone(), of_spec);
    change::apply_all(&mut config, &options.changes).map_err(Failure::invalid)?;
    let keeps_entrypoint = options.config.as_ref().is_none_or(|asked| asked.entrypoint.is_some());
    fill(&mut config, own, keeps_entrypoint);
    Ok(config)
}

fn of_container(spec: &ContainerSpec, effective: &EffectiveConfig) -> RunConfig {
    RunConfig {
        user: effective.user.clone(),
        exposed_ports: effective.exposed.iter().map(|port| (port.to_string(), Empty {})).collect(),
        env: effective.environment.clone(),
        entrypoint: effective.entrypoint.clone(),
        cmd: effective.command.clone(),
        healthcheck: effective.health.as_ref().map(docker_health),
        volumes: effective.volumes.iter().cloned().map(|path| (path, Empty {})).chain(unnamed_volumes(spec)).collect(),
        working_dir: effective.working_dir.clone(),
        labels: effective.labels.clone(),
        stop_signal: effective.stop_signal.clone().unwrap_or_default(),
        ..RunConfig::default()
    }
}

fn of_spec(spec: &ContainerSpec) -> RunConfig {
    let variable = |(name, value): (&String, &Option<String>)| value.as_ref().map(|value| format!("{name}={value}"));
    RunConfig {
        user: spec.user.clone().unwrap_or_default(),
        exposed_ports: spec.exposed.iter().map(|port| (port.to_string(), Empty {})).collect(),
        env: spec.environment.iter().filter_map(variable).collect(),
        entrypoint: spec.entrypoint.clone().unwrap_or_default(),
        cmd: spec.command.clone().unwrap_or_default(),
        healthcheck: spec.health.as_ref().map(docker_health),
        volumes: unnamed_volumes(spec).collect(),
        working_dir: spec.working_dir.clone().unwrap_or_default(),
        on_build: spec.remarks.on_build.clone(),
        shell: spec.shell.clone(),
        labels: spec.labels.clone(),
        stop_signal: spec.stop_signal.clone().unwrap_or_default(),
        ..RunConfig::default()
    }
}

/// Paths of volumes that no name was given for: images have such, too.
fn unnamed_volumes(spec: &ContainerSpec) -> impl Iterator<Item = (String, Empty)> {
    let unnamed = spec.mounts.iter().filter(|mount| matches!(mount.source, MountSource::Volume { name: None, .. }));
    unnamed.map(|mount| (mount.target.clone(), Empty {}))
}

fn docker_health(check: &HealthCheck) -> DockerHealth {
    let nanos = |time: std::time::Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    DockerHealth {
        test: Some(check.test.words()).filter(|words| !words.is_empty()),
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        start_period: nanos(check.start_period),
        start_interval: nanos(check.start_interval),
        retries: check.retries.into(),
    }
}

/// Gives a configuration what it lacks, by Docker's rules.
fn fill(config: &mut RunConfig, own: RunConfig, keeps_entrypoint: bool) {
    let or = |text: &mut String, other: String| {
        if text.is_empty() {
            *text = other;
        }
    };
    or(&mut config.user, own.user);
    or(&mut config.working_dir, own.working_dir);
    or(&mut config.stop_signal, own.stop_signal);
    config.exposed_ports.extend(own.exposed_ports);
    config.volumes.extend(own.volumes);
    let labels: BTreeMap<String, String> = std::mem::replace(&mut config.labels, own.labels);
    config.labels.extend(labels);
    let name = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    for line in own.env {
        if !config.env.iter().any(|known| name(known) == name(&line)) {
            config.env.push(line);
        }
    }
    if config.entrypoint.is_empty() {
        if config.cmd.is_empty() {
            config.cmd = own.cmd;
        }
        if !keeps_entrypoint {
            config.entrypoint = own.entrypoint;
        }
    }
    config.healthcheck = match (config.healthcheck.take(), own.healthcheck) {
        (Some(asked), Some(own)) => Some(fill_health(asked, own)),
        (asked, own) => asked.or(own),
    };
}

/// What is not said of a health check is as it was.
fn fill_health(asked: DockerHealth, own: DockerHealth) -> DockerHealth {
    let or = |number: i64, other: i64| if number == 0 { other } else { number };
    DockerHealth {
        test: asked.test.filter(|words| !words.is_empty()).or(own.test),
        interval: or(asked.interval, own.interval),
        timeout: or(asked.timeout, own.timeout),
        start_period: or(asked.start_period, own.start_period),
        start_interval: or(asked.start_interval, own.start_interval),
        retries: or(asked.retries, own.retries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn committed(config: Option<ContainerSpec>, changes: &[&str]) -> RunConfig {
        let effective = EffectiveConfig {
            entrypoint: words("tini --"),
            command: words("serve -v"),
            environment: words("PATH=/bin A=1"),
            working_dir: "/srv".to_owned(),
            user: "app".to_owned(),
            labels: BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]),
            ..EffectiveConfig::default()
        };
        let changes = changes.iter().map(|line| (*line).to_owned()).collect();
        let options = CommitOptions { config, changes, ..CommitOptions::default() };
        configuration(&ContainerSpec::default(), &effective, &options).expect("a configuration")
    }

    #[test]
    fn what_runs_is_the_containers_own_but_for_what_is_changed() {
        let run = |config: &RunConfig| [config.entrypoint.clone(), config.cmd.clone()].concat().join(" ");
        let plain = committed(None, &[]);
        assert_eq!((run(&plain).as_str(), plain.user.as_str(), plain.working_dir.as_str()), ("tini -- serve -v", "app", "/srv"));
        let check = |changes: &[&str], expect: &str| assert_eq!(run(&committed(None, changes)), expect, "{changes:?}");
        check(&["CMD [\"x\"]"], "tini -- x");
        check(&["ENTRYPOINT [\"e\"]"], "e");
        check(&["ENTRYPOINT [\"e\"]", "CMD [\"x\"]"], "e x");
        let changed = committed(None, &["ENV A=2 B=3", "LABEL b=9", "WORKDIR sub", "EXPOSE 80"]);
        assert_eq!(changed.env, ["PATH=/bin", "A=2", "B=3"]);
        assert_eq!((changed.labels["a"].as_str(), changed.labels["b"].as_str()), ("1", "9"));
        assert_eq!((changed.working_dir.as_str(), changed.exposed_ports.len()), ("/srv/sub", 1));
        let wrong = CommitOptions { changes: words("RUN"), ..CommitOptions::default() };
        assert!(configuration(&ContainerSpec::default(), &EffectiveConfig::default(), &wrong).is_err());
    }

    #[test]
    fn what_is_asked_for_counts_first() {
        let asked = ContainerSpec {
            command: Some(words("other")),
            environment: BTreeMap::from([("A".to_owned(), Some("5".to_owned()))]),
            user: Some("root".to_owned()),
            ..ContainerSpec::default()
        };
        let config = committed(Some(asked), &[]);
        assert_eq!((config.entrypoint, config.cmd), (words("tini --"), words("other")));
        assert_eq!((config.env, config.user.as_str()), (words("A=5 PATH=/bin"), "root"));
        let bare = ContainerSpec { entrypoint: Some(words("e")), ..ContainerSpec::default() };
        assert_eq!(committed(Some(bare), &[]).cmd, Vec::<String>::new());
    }
}
