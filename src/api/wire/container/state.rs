//! What a container is doing: as an object for programs and as a sentence for people.

use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::Fields;
use crate::api::wire::time;
use crate::resource::container::{ContainerInfo, ContainerState, ExitStatus, HealthResult, HealthState, HealthStatus};
use crate::resource::time::Timestamp;

/// Writes `State`.
pub(super) fn to_json(info: &ContainerInfo) -> Value {
    let unknown = ExitStatus::default();
    let (pid, status, started, finished) = match &info.state {
        ContainerState::Running { pid, started_at, .. } => (*pid, &unknown, Some(*started_at), None),
        ContainerState::Restarting { status, started_at, finished_at } => (0, status, Some(*started_at), Some(*finished_at)),
        ContainerState::Exited { status, started_at, finished_at } => (0, status, *started_at, Some(*finished_at)),
        ContainerState::Created | ContainerState::Removing | ContainerState::Dead => (0, &unknown, None, None),
    };
    let restarting = matches!(info.state, ContainerState::Restarting { .. });
    let mut state = json!({
        "Status": info.state.word(),
        // dockerd counts a container between two lives as running.
        "Running": info.state.is_running() || restarting,
        "Paused": matches!(info.state, ContainerState::Running { paused: true, .. }),
        "Restarting": restarting,
        "OOMKilled": status.out_of_memory,
        "Dead": info.state == ContainerState::Dead,
        "Pid": pid,
        "ExitCode": status.code,
        "Error": status.error,
        "StartedAt": time::to_json(started),
        "FinishedAt": time::to_json(finished),
    });
    if let Some(health) = &info.health {
        state["Health"] = health_to_json(health);
    }
    state
}

fn health_to_json(health: &HealthState) -> Value {
    let log: Vec<Value> = health
        .log
        .iter()
        .map(|probe| json!({ "Start": probe.start, "End": probe.end, "ExitCode": probe.exit_code, "Output": probe.output }))
        .collect();
    json!({ "Status": health.status.word(), "FailingStreak": health.failing_streak, "Log": log })
}

/// Reads `State`.
pub(super) fn from_fields(fields: &mut Fields) -> Result<(ContainerState, Option<HealthState>), WireError> {
    let word = fields.text("Status")?.unwrap_or_default();
    let status = ExitStatus {
        code: fields.get("ExitCode", "a number")?.unwrap_or_default(),
        out_of_memory: fields.flag("OOMKilled")?,
        error: fields.text("Error")?.unwrap_or_default(),
    };
    let pid = fields.get("Pid", "a number")?.unwrap_or_default();
    let started = fields.text("StartedAt")?.and_then(|text| time::from_text(&text));
    let finished = fields.text("FinishedAt")?.and_then(|text| time::from_text(&text));
    let epoch = Timestamp::from_nanos(0);
    let state = match word.as_str() {
        "created" if status == ExitStatus::default() => ContainerState::Created,
        "created" => ContainerState::Exited { status, started_at: None, finished_at: finished.unwrap_or(epoch) },
        "running" | "paused" => ContainerState::Running { pid, started_at: started.unwrap_or(epoch), paused: word == "paused" },
        "restarting" => ContainerState::Restarting { status, started_at: started.unwrap_or(epoch), finished_at: finished.unwrap_or(epoch) },
        "exited" | "stopped" => ContainerState::Exited { status, started_at: started, finished_at: finished.unwrap_or(epoch) },
        "removing" => ContainerState::Removing,
        "dead" => ContainerState::Dead,
        _ => return Err(WireError::malformed(fields.path("Status"), format!("a state of a container instead of `{word}`"))),
    };
    let mut health = fields.object("Health")?;
    let verdict = match health.text("Status")?.as_deref() {
        Some("starting") => HealthStatus::Starting,
        Some("healthy") => HealthStatus::Healthy,
        Some("unhealthy") => HealthStatus::Unhealthy,
        _ => return Ok((state, None)),
    };
    let failing_streak = health.get("FailingStreak", "a number")?.unwrap_or_default();
    let mut log = Vec::new();
    for value in health.list("Log")? {
        let mut probe = Fields::of("State.Health.Log", value, fields.mood())?;
        let mut instant = |name: &str| Ok::<_, WireError>(probe.text(name)?.and_then(|text| time::from_text(&text)).unwrap_or(epoch));
        let (start, end) = (instant("Start")?, instant("End")?);
        let exit_code = probe.get("ExitCode", "a number")?.unwrap_or_default();
        log.push(HealthResult { start, end, exit_code, output: probe.text("Output")?.unwrap_or_default() });
    }
    Ok((state, Some(HealthState { status: verdict, failing_streak, log })))
}

/// Says what a container is doing, as `docker ps` does: `Up 3 seconds (healthy)`.
pub fn sentence(state: &ContainerState, health: Option<&HealthState>, now: Timestamp) -> String {
    let ago = |instant: Timestamp| -> String { time::human(now.since(instant)) };
    match state {
        ContainerState::Created | ContainerState::Exited { started_at: None, .. } => "Created".to_owned(),
        ContainerState::Running { started_at, paused: true, .. } => format!("Up {} (Paused)", ago(*started_at)),
        ContainerState::Running { started_at, paused: false, .. } => {
            let health = match health.map(|health| health.status) {
                None => "",
                Some(HealthStatus::Starting) => " (health: starting)",
                Some(HealthStatus::Healthy) => " (healthy)",
                Some(HealthStatus::Unhealthy) => " (unhealthy)",
            };
            format!("Up {}{health}", ago(*started_at))
        }
        ContainerState::Restarting { status, finished_at, .. } => format!("Restarting ({}) {} ago", status.code, ago(*finished_at)),
        ContainerState::Exited { status, finished_at, .. } => format!("Exited ({}) {} ago", status.code, ago(*finished_at)),
        ContainerState::Removing => "Removal In Progress".to_owned(),
        ContainerState::Dead => "Dead".to_owned(),
    }
}
