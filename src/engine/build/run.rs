//! RUN: a command in a container nobody is told of; what it wrote is the layer.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::OwnedReadHalf;

use crate::archive::copy::{Choice, CopyOwner};
use crate::archive::digest::digest_tree;
use crate::archive::layer::LayerRules;
use crate::archive::opaque::opaque_folders;
use crate::archive::open_folder;
use crate::archive::select::Selection;
use crate::dockerfile::{Network, Run};
use crate::engine::build::ground::Ground;
use crate::engine::build::key::Key;
use crate::engine::build::mount::{Mounted, source_keys};
use crate::engine::build::stage::{Made, StepError, Task};
use crate::engine::build::teller::ToldStep;
use crate::engine::build::{Build, Halt, emulator};
use crate::engine::container::attach::{HEAD, length_of};
use crate::engine::container::unlisted::Unlisted;
use crate::engine::image::mount_point::MountPoints;
use crate::engine::runtime::launch::LaunchMount;
use crate::resource::build::BuildNetwork;
use crate::resource::container::{ContainerSpec, EffectiveConfig, ExitStatus, NetworkMode};
use crate::resource::extra_host;
use crate::resource::failure::Failure;
use crate::resource::id::Digest;
use crate::resource::image::Platform;

/// Bytes of output that are taken at once.
const PIECE: usize = 32 << 10;
/// So long a command waits for whoever reads what it writes; its shim gives up after twice the time.
const PATIENCE: Duration = Duration::from_secs(5);

/// A command that is ready to be started.
pub(super) struct Ready {
    pub(super) unlisted: Unlisted,
    pub(super) spec: ContainerSpec,
    pub(super) effective: EffectiveConfig,
    /// The layers below, topmost first.
    pub(super) lower: Vec<PathBuf>,
    pub(super) mounts: Vec<LaunchMount>,
    /// Where they are, seen from the root.
    targets: BTreeSet<PathBuf>,
}

impl Build {
    /// Runs a command over a ground, and puts what it wrote on top.
    pub(super) async fn run(&self, ground: &mut Ground, run: &Run, history: Option<String>, task: Task) -> Result<(), Halt> {
        let key = self.run_key(ground, run, &task).await?;
        let record = self.step(&task, key, |told| self.execute(ground, run, told)).await?;
        ground.add(key, &record, history);
        Ok(())
    }

    async fn run_key(&self, ground: &Ground, run: &Run, task: &Task) -> Result<Digest, Halt> {
        let pairs = |pairs: &[(String, String)]| -> Vec<String> { pairs.iter().map(|(name, value)| format!("{name}={value}")).collect() };
        let spec = &self.job.spec;
        let mut key = self
            .key("run", ground)
            .texts(&run.command)
            .texts(pairs(&run.environment))
            .text(&run.working_dir)
            .text(&run.user)
            .text(self.job.hostname())
            .text(&format!("{}/{}/{:?}", ground.document.os, ground.document.architecture, ground.document.variant))
            .text(&format!("{:?} {:?} {:?} {:?} {:?}", run.network, spec.network, spec.extra_hosts, spec.shm_size, spec.ulimits));
        key = run.files.iter().fold(key, |key, file| key.text(&file.path).text(&file.content).number(file.mode.into()));
        for source in source_keys(self, run, task).await? {
            key = key.digest(&source);
        }
        Ok(key.finish())
    }

    /// Makes a container for a command over a ground, with all that it mounts; nothing runs yet.
    pub(super) async fn ready(&self, ground: &Ground, run: &Run) -> Result<Ready, StepError> {
        let can_run = Platform { os: ground.document.os.clone(), architecture: ground.document.architecture.clone(), variant: None };
        check_machine(&can_run)?;
        let mut unlisted = self.job.engine.unlisted()?;
        let mut mounted = Mounted::default();
        mounted.prepare(self, run, &unlisted).await?;
        let all = run.proxies.iter().chain(&run.environment).chain(&mounted.environment);
        let mut environment: Vec<String> = all.map(|(name, value)| format!("{name}={value}")).collect();
        if !environment.iter().any(|line| line.starts_with("HOSTNAME=")) {
            // A name without a value takes away what every container is told.
            environment.push("HOSTNAME".to_owned());
        }
        let (spec, effective) = self.container(run, environment)?;
        let mut lower = self.job.workshop.folders(ground.layers(), MountPoints::Build).await?;
        lower.extend(mounted.stubs.take());
        let mounts = std::mem::take(&mut mounted.mounts);
        unlisted.hold(std::mem::take(&mut mounted.held));
        Ok(Ready { unlisted, spec, effective, lower, mounts, targets: mounted.targets })
    }

    async fn execute(&self, ground: &Ground, run: &Run, told: ToldStep) -> Result<Made, StepError> {
        let engine = &self.job.engine;
        let Ready { mut unlisted, spec, effective, lower, mounts, targets } = self.ready(ground, run).await?;
        let status = match unlisted.start(spec, effective, lower, mounts).await {
            Ok(attached) => {
                self.pass_on(attached.output, &told).await;
                unlisted.wait().await
            }
            Err((code, failure)) => {
                told.output(true, format!("{}\n", failure.message).into_bytes()).await;
                ExitStatus { code, ..ExitStatus::default() }
            }
        };
        if status.code != 0 && engine.shared.leaving.load(Ordering::Acquire) {
            return Err(Failure::unavailable("the engine is leaving: the build was ended").into());
        }
        if status.code != 0 {
            let how = if status.out_of_memory { " (it was killed for want of memory)" } else { "" };
            let shown = run.command.join(" ");
            let message = format!("process \"{shown}\" did not complete successfully: exit code: {}{how}", status.code);
            return Err(StepError { failure: Failure::invalid(message), code: Some(status.code) });
        }
        let rules = LayerRules { newest: self.job.epoch, leave_out: targets, sealed: true, ..LayerRules::default() };
        self.finish(unlisted.upper(), unlisted, rules).await
    }

    fn container(&self, run: &Run, environment: Vec<String>) -> Result<(ContainerSpec, EffectiveConfig), Failure> {
        let wanted = &self.job.spec;
        let network = match (run.network, &wanted.network) {
            (Network::None, _) | (Network::Default, BuildNetwork::None) => NetworkMode::None,
            (Network::Host | Network::Default, BuildNetwork::Host) => NetworkMode::Host,
            // Who wrote the Dockerfile is not who runs the machine (BuildKit's entitlement `network.host`).
            (Network::Host, _) => {
                let message = "RUN --network=host is not allowed: a Dockerfile alone does not open the host's network; build with `--network host`, \
                               or `network: host` of `build:`";
                return Err(Failure::denied(message));
            }
            (Network::Default, BuildNetwork::Default) => NetworkMode::Bridge,
            (Network::Default, BuildNetwork::Named(name)) => NetworkMode::Named(name.clone()),
        };
        let hosts = wanted.extra_hosts.iter().map(|line| extra_host::parse(line).map_err(Failure::invalid));
        let spec = ContainerSpec {
            network,
            extra_hosts: hosts.collect::<Result<_, _>>()?,
            ulimits: wanted.ulimits.clone(),
            shm_size: wanted.shm_size,
            ..ContainerSpec::default()
        };
        let effective = EffectiveConfig {
            entrypoint: Vec::new(),
            command: run.command.clone(),
            environment,
            working_dir: run.working_dir.clone(),
            user: run.user.clone(),
            labels: BTreeMap::new(),
            exposed: BTreeSet::new(),
            volumes: BTreeSet::new(),
            stop_signal: None,
            health: None,
            hostname: self.job.hostname().to_owned(),
        };
        Ok((spec, effective))
    }

    /// Passes on what a command writes until it closes its outputs. It waits for whoever listens, but not for ever: what is written while
    /// somebody has stopped his terminal is left out, and so many bytes are told.
    async fn pass_on(&self, output: OwnedReadHalf, told: &ToldStep) {
        let mut output = BufReader::with_capacity(2 * PIECE, output);
        let mut head = [0; HEAD];
        let (mut waits, mut lost) = (true, 0);
        while output.read_exact(&mut head).await.is_ok() {
            let mut left = length_of(head) as usize;
            while left > 0 {
                let mut piece = vec![0; left.min(PIECE)];
                if output.read_exact(&mut piece).await.is_err() {
                    return;
                }
                left -= piece.len();
                // A command that writes word by word is not told of word by word: what is there already goes along.
                while left == 0
                    && piece.len() < PIECE
                    && let Some((_, more)) = whole_frame(output.buffer()).filter(|(stream, _)| *stream == head[0])
                {
                    piece.extend_from_slice(more);
                    let length = HEAD + more.len();
                    output.consume(length);
                }
                let (error, length) = (head[0] == 2, piece.len());
                if lost > 0 && told.try_output(true, note_of(lost)) {
                    (waits, lost) = (true, 0);
                }
                let passed = match waits {
                    true => tokio::time::timeout(PATIENCE, told.output(error, piece)).await.is_ok(),
                    false => told.try_output(error, piece),
                };
                if !passed {
                    (waits, lost) = (false, lost + length);
                }
            }
        }
        if lost > 0 {
            told.output(true, note_of(lost)).await;
        }
    }

    /// Makes what was written a layer. What is held goes only once nobody reads the folder any more.
    pub(super) async fn finish(&self, upper: PathBuf, held: impl Send + 'static, rules: LayerRules) -> Result<Made, StepError> {
        let digested = upper.clone();
        let content = tokio::task::spawn_blocking(move || content_of(&digested)).await;
        let content = content.map_err(|error| Failure::internal(format!("the digest of a layer was given up: {error}")))??;
        let layer = self.job.workshop.finish(upper, held, rules).await?;
        Ok(Made { layer, content })
    }
}

/// The frame that some bytes begin with, if all of it is there: its stream, and what it carries.
fn whole_frame(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    Some((head[0], rest.get(..length_of(*head) as usize)?))
}

/// What stands in the place of output that was left out.
fn note_of(lost: usize) -> Vec<u8> {
    format!("\n[{lost} bytes of output were left out: nobody read them in time]\n").into_bytes()
}

/// The digest of what an upper folder holds, whiteouts and all, without times.
fn content_of(upper: &Path) -> Result<Digest, Failure> {
    let root = open_folder(upper).map_err(|error| Failure::internal(error.to_string()))?;
    let all = [PathBuf::from("/")];
    let selection = Selection { from: root.as_fd(), sources: &all, keep_parents: false, sealed: false, choose: &|_, _| Choice::Take };
    let digest = digest_tree(&selection, CopyOwner::Keep, &|_| None);
    let digest = digest.map(Digest::from_bytes).map_err(|error| Failure::internal(error.to_string()))?;
    // A folder that hides what lies below it is not the same as one that does not.
    let opaque = opaque_folders(upper).map_err(|error| Failure::internal(format!("cannot look through {}: {error}", upper.display())))?;
    Ok(opaque.iter().fold(Key::of("written").digest(&digest), |key, path| key.bytes(path.as_os_str().as_encoded_bytes())).finish())
}

/// Refuses commands for a machine that this one cannot be.
fn check_machine(platform: &Platform) -> Result<(), Failure> {
    let host = Platform::host();
    if platform.architecture == host.architecture || (host.architecture == "amd64" && platform.architecture == "386") {
        return Ok(());
    }
    if emulator::is_registered(&platform.architecture) {
        return Ok(());
    }
    Err(Failure::unsupported(format!(
        "a command for {platform} cannot run on this machine, which is {host}: install qemu-user-static and binfmt-support, or build for {host}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_when_all_of_it_is_there() {
        let bytes = [&[2, 0, 0, 0, 0, 0, 0, 3][..], b"abc", &[1, 0, 0, 0, 0, 0, 0, 1]].concat();
        assert_eq!(whole_frame(&bytes), Some((2, b"abc".as_slice())));
        assert_eq!([whole_frame(&bytes[..10]), whole_frame(&bytes[..7]), whole_frame(&bytes[11..])], [None; 3]);
    }

    #[test]
    fn a_folder_that_hides_is_another_than_one_that_does_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("d/e")).expect("folders");
        std::fs::write(folder.path().join("d/file"), "x").expect("a file");
        let plain = content_of(folder.path()).expect("a digest");
        assert_eq!(content_of(folder.path()).expect("a digest"), plain);
        let mark = |at: &str| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::lsetxattr(folder.path().join(at), "trusted.overlay.opaque", b"y", flags).expect("an attribute");
            content_of(folder.path()).expect("a digest")
        };
        let (one, both) = (mark("d/e"), mark("d"));
        assert!(plain != one && one != both && plain != both);
    }
}
