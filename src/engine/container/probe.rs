//! The probes of a running container: when they run, and what each says.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::engine::container::attach::{HEAD, length_of};
use crate::engine::container::entry::Container;
use crate::engine::container::health::{self, Health, Probe};
use crate::engine::container::{exec, listen};
use crate::engine::runtime::launch::ProcessSpec;
use crate::engine::runtime::task::{ExecIo, Task};
use crate::engine::{Engine, clock};
use crate::resource::container::{ContainerState, HealthResult, HealthState, Protocol};
use crate::resource::id::ExecId;

/// So much of a probe's output is kept.
const OUTPUT: usize = 4096;
/// What a probe leaves running may hold its output open; so long is waited for the rest of it.
const LINGER: Duration = Duration::from_secs(2);

/// What a probe came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    exit_code: i32,
    output: String,
    processor_time: Duration,
}

/// Who is probed.
trait Patient {
    /// Runs the probe once.
    fn probe(&self, probe: Probe, timeout: Duration) -> impl Future<Output = Outcome> + Send;
    /// It listens on a TCP port that it declares, or declares none.
    fn listens(&self) -> bool;
    /// Hears its health after each probe.
    fn note(&self, health: &HealthState, changed: bool);
}

/// Probes for good. Early probes take one of `early` while they run: there are as many as processors.
async fn attend(mut health: Health, started: Instant, patient: &impl Patient, early: &Semaphore) {
    loop {
        let (at, probe) = health.next();
        // Time is the subject here.
        tokio::time::sleep_until(started + at).await;
        let permit = match probe {
            Probe::Early => early.acquire().await.ok(),
            Probe::Counted => None,
        };
        let (began, start) = (started.elapsed(), clock::now());
        let outcome = patient.probe(probe, health.timeout()).await;
        drop(permit);
        let (now, end) = (started.elapsed(), clock::now());
        let result = HealthResult { start, end, exit_code: outcome.exit_code, output: outcome.output };
        let changed = match probe {
            Probe::Counted => health.counted(result, began, now),
            Probe::Early => {
                let listens = result.exit_code == 0 && patient.listens();
                health.early(result, listens, outcome.processor_time, now)
            }
        };
        patient.note(health.state(), changed);
    }
}

impl Engine {
    /// Probes a container as long as it runs; returns at once when it has no check.
    pub(super) async fn probe(&self, container: &Arc<Container>, task: &Task) {
        let record = container.record();
        let Some(check) = record.effective.health.clone() else { return };
        let of_image = || self.shared.images.get(&record.image.to_string()).map(|image| image.config.shell).unwrap_or_default();
        let shell = if record.spec.shell.is_empty() { of_image() } else { record.spec.shell.clone() };
        let Some(command) = health::command(&check, &shell) else { return };
        let process = match exec::beside(&record, command) {
            Ok(process) => process,
            Err(failure) => {
                tracing::error!(container = %container.id(), %failure, "a container's health cannot be probed");
                return;
            }
        };
        let ports = record.effective.exposed.iter().filter(|port| port.protocol == Protocol::Tcp).map(|port| port.port).collect();
        let patient = Running { engine: self, container, task, process, ports };
        let mut life = container.watch();
        loop {
            let pauses = |state: &ContainerState| matches!(state, ContainerState::Running { paused: true, .. });
            // Who is frozen is not probed.
            let Ok(state) = life.wait_for(|life| !pauses(&life.state)).await.map(|life| life.health.clone()) else { return };
            let Some(state) = state else { return };
            let age = clock::now().since(task.started_at());
            let now = Instant::now();
            let started = now.checked_sub(age).unwrap_or(now);
            let health = Health::new(check.clone(), state, now - started);
            tokio::select! {
                () = attend(health, started, &patient, &self.shared.probes) => return,
                frozen = life.wait_for(|life| pauses(&life.state)) => if frozen.is_err() { return },
            }
        }
    }
}

/// A container that runs.
struct Running<'a> {
    engine: &'a Engine,
    container: &'a Arc<Container>,
    task: &'a Task,
    process: ProcessSpec,
    ports: BTreeSet<u16>,
}

impl Patient for Running<'_> {
    async fn probe(&self, probe: Probe, timeout: Duration) -> Outcome {
        let id = match exec::new_id() {
            Ok(id) => id,
            Err(failure) => return Outcome { exit_code: -1, output: failure.message, ..Outcome::default() },
        };
        // Of early probes nobody is told: Docker has none.
        let tell = |action: &str, more: &[(&str, String)]| {
            if probe == Probe::Counted {
                let own = [("execID", id.to_string())];
                self.engine.tell(self.container, action, &[&own, more].concat());
            }
        };
        let line = exec::line(&self.process.command);
        tell(&format!("exec_create: {line}"), &[]);
        tell(&format!("exec_start: {line}"), &[]);
        let outcome = run(self.task, id, self.process.clone(), timeout).await;
        tell("exec_die", &[("exitCode", outcome.exit_code.to_string())]);
        outcome
    }

    fn listens(&self) -> bool {
        self.ports.is_empty() || listen::is_reachable(Path::new("/proc"), self.task.pid(), &self.ports)
    }

    fn note(&self, health: &HealthState, changed: bool) {
        self.container.set_health(health.clone());
        if changed {
            self.engine.tell(self.container, format!("health_status: {}", health.status.word()), &[]);
        }
    }
}

/// Ends a probe that took too long, or that nobody waits for any more.
struct Killer(Option<std::os::fd::OwnedFd>);

impl Drop for Killer {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            // It has ended in most cases.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

async fn run(task: &Task, id: ExecId, process: ProcessSpec, timeout: Duration) -> Outcome {
    let io = ExecIo { stdin: false, stdout: true, stderr: true, detach: false };
    let mut exec = match task.exec(id, process, io).await {
        Ok(exec) => exec,
        Err(error) => return Outcome { exit_code: -1, output: error.chain(), ..Outcome::default() },
    };
    let killer = Killer(Pid::from_raw(exec.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()));
    let mut kept = Kept::default();
    let stream = exec.attached.take();
    let finished = {
        let collected = async {
            if let Some(stream) = stream {
                let (mut output, _input) = (stream.output, stream.input);
                kept.collect(&mut output).await;
            }
        };
        tokio::pin!(collected);
        let whole = async {
            let ended = tokio::select! {
                code = exec.wait() => Some(code),
                () = &mut collected => None,
            };
            match ended {
                Some(code) => {
                    let _ = tokio::time::timeout(LINGER, &mut collected).await;
                    code
                }
                None => exec.wait().await,
            }
        };
        tokio::time::timeout(timeout, whole).await.ok()
    };
    let Some(exit_code) = finished else {
        drop(killer);
        exec.wait().await;
        let (limit, output) = (health::spoken(timeout), kept.text());
        let output = match output.is_empty() {
            true => format!("Health check exceeded timeout ({limit})"),
            false => format!("Health check exceeded timeout ({limit}): {output}"),
        };
        return Outcome { exit_code: -1, output, processor_time: exec.processor_time() };
    };
    Outcome { exit_code, output: kept.text(), processor_time: exec.processor_time() }
}

/// The beginning of a probe's output, both streams in one.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: bool,
}

impl Kept {
    /// Takes Docker's frames apart until they end.
    async fn collect(&mut self, output: &mut (impl AsyncRead + Unpin)) {
        let mut header = [0; HEAD];
        let mut piece = [0; OUTPUT];
        while output.read_exact(&mut header).await.is_ok() {
            let mut left = length_of(header) as usize;
            while left > 0 {
                let most = left.min(OUTPUT);
                let Ok(read @ 1..) = output.read(&mut piece[..most]).await else { return };
                self.keep(&piece[..read]);
                left -= read;
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = OUTPUT - self.bytes.len();
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        self.cut |= piece.len() > room;
    }

    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.cut {
            text.push_str("...");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Notify;

    use super::*;
    use crate::resource::container::{HealthCheck, HealthStatus, HealthTest};

    /// Its probe succeeds from a certain one on, and it listens from a certain one on.
    struct Script {
        ready: usize,
        listening: usize,
        probed: Mutex<Vec<Probe>>,
        noted: Notify,
    }

    impl Patient for Script {
        async fn probe(&self, probe: Probe, _timeout: Duration) -> Outcome {
            let mut probed = self.probed.lock().expect("no panic");
            probed.push(probe);
            Outcome { exit_code: i32::from(probed.len() < self.ready), ..Outcome::default() }
        }

        fn listens(&self) -> bool {
            self.probed.lock().expect("no panic").len() >= self.listening
        }

        fn note(&self, health: &HealthState, changed: bool) {
            assert_eq!(changed, health.status == HealthStatus::Healthy);
            if changed {
                self.noted.notify_one();
            }
        }
    }

    /// The probes up to the first verdict.
    async fn probes(ready: usize, listening: usize, interval: u64) -> Vec<Probe> {
        let interval = Duration::from_millis(interval);
        let (timeout, start_period, start_interval) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let test = HealthTest::Shell("true".to_owned());
        let check = HealthCheck { test, interval, timeout, retries: 1, start_period, start_interval };
        let health = Health::new(check.clone(), health::at_start(Some(&check), None).expect("a check"), Duration::ZERO);
        let script = Script { ready, listening, probed: Mutex::default(), noted: Notify::new() };
        let early = Semaphore::new(1);
        tokio::select! {
            () = attend(health, Instant::now(), &script, &early) => {}
            () = script.noted.notified() => {}
        }
        script.probed.into_inner().expect("no panic")
    }

    #[tokio::test]
    async fn readiness_is_noticed_when_it_comes() {
        assert_eq!(probes(4, 0, 60_000).await, [Probe::Early; 4]);
        assert_eq!(probes(2, 5, 60_000).await, [Probe::Early; 5]);
        // What never listens is believed at Docker's own probe.
        let probes = probes(1, usize::MAX, 100).await;
        assert_eq!(probes.iter().filter(|probe| **probe == Probe::Counted).count(), 1);
        assert!(probes.len() > 1 && probes.last() == Some(&Probe::Counted));
    }

    #[tokio::test]
    async fn output_is_cut() {
        let mut wire = vec![1, 0, 0, 0, 0, 0, 0, 2, b'a', b'b', 2, 0, 0, 0, 0, 0, 0x20, 0];
        wire.extend([b'x'; 0x2000]);
        let mut kept = Kept::default();
        kept.collect(&mut wire.as_slice()).await;
        let text = kept.text();
        assert!(text.starts_with("abxxx") && text.ends_with("x..."));
        assert_eq!(text.len(), OUTPUT + 3);
    }
}
