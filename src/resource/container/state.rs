//! What a container is doing, how it ended, and how it feels.

use serde::{Deserialize, Serialize};

use crate::resource::time::Timestamp;

/// How a process ended, as Docker counts: a signal is 128 and its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The code.
    pub code: i32,
    /// The kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Why it never ran, or was ended by the engine; empty otherwise.
    pub error: String,
}

/// What a container is doing; data lives in the variant it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// Never started.
    Created,
    /// Its process runs.
    Running {
        /// In the host's process-id namespace.
        pid: i32,
        /// When its command was executed.
        started_at: Timestamp,
        /// Frozen.
        paused: bool,
    },
    /// It ended and will start again.
    Restarting {
        /// How it ended.
        status: ExitStatus,
        /// When it was started.
        started_at: Timestamp,
        /// When it ended.
        finished_at: Timestamp,
    },
    /// It ended.
    Exited {
        /// How.
        status: ExitStatus,
        /// When it was started, if it ever was.
        started_at: Option<Timestamp>,
        /// When it ended.
        finished_at: Timestamp,
    },
    /// It is being removed.
    Removing,
    /// It could not be removed whole.
    Dead,
}

impl ContainerState {
    /// Docker's word for it: `created`, `running`, `paused`, `restarting`, `exited`, `removing`, `dead`.
    pub const fn word(&self) -> &'static str {
        match self {
            // What could not be started is still what it was made as; how that failed is told beside it.
            Self::Created | Self::Exited { started_at: None, .. } => "created",
            Self::Running { paused: false, .. } => "running",
            Self::Running { paused: true, .. } => "paused",
            Self::Restarting { .. } => "restarting",
            Self::Exited { .. } => "exited",
            Self::Removing => "removing",
            Self::Dead => "dead",
        }
    }

    /// Whether a process of it exists.
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

/// A container's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Not yet known.
    Starting,
    /// The last probe succeeded.
    Healthy,
    /// As many probes in a row failed as were allowed.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResult {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Its exit code; -1 when it took too long.
    pub exit_code: i32,
    /// What it wrote, at most 4096 bytes.
    pub output: String,
}

/// A container's health and the last five probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthState {
    /// The verdict.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last five probes, oldest first.
    pub log: Vec<HealthResult>,
}
