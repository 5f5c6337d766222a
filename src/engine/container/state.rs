//! What a container may do next: every change of its state, and nothing but that.

use crate::resource::container::{ContainerState, ExitStatus};
use crate::resource::time::Timestamp;

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Its command was executed.
    Started { pid: i32, at: Timestamp },
    /// It could not be started.
    StartFailed { status: ExitStatus, at: Timestamp },
    /// Its processes are frozen.
    Paused,
    /// They go on.
    Resumed,
    /// Nothing of it runs any more; `again` when its policy will start it.
    Ended { status: ExitStatus, at: Timestamp, again: bool },
    /// It was stopped while it waited to be started again.
    CalledOff,
    /// It is being removed.
    Removing,
    /// It could not be removed whole.
    RemovalFailed,
}

/// A change that the state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a container that is {word} cannot be {change}")]
pub(super) struct IllegalChange {
    word: &'static str,
    change: &'static str,
}

impl Change {
    const fn word(&self) -> &'static str {
        match self {
            Self::Started { .. } | Self::StartFailed { .. } => "started",
            Self::Paused => "paused",
            Self::Resumed => "unpaused",
            Self::Ended { .. } => "ended",
            Self::CalledOff => "kept from starting again",
            Self::Removing => "removed",
            Self::RemovalFailed => "left dead",
        }
    }
}

/// Returns the state after a change.
///
/// No sequence of changes leads from `Removing` or `Dead` back to `Running`, and no end precedes its start, even when the clock was set
/// back meanwhile.
pub(super) fn after(state: &ContainerState, change: Change) -> Result<ContainerState, IllegalChange> {
    use ContainerState as State;
    let illegal = IllegalChange { word: state.word(), change: change.word() };
    Ok(match (state, change) {
        (State::Created | State::Exited { .. } | State::Restarting { .. }, Change::Started { pid, at }) => {
            State::Running { pid, started_at: at, paused: false }
        }
        (State::Created, Change::StartFailed { status, at }) => State::Exited { status, started_at: None, finished_at: at },
        (State::Exited { started_at, .. }, Change::StartFailed { status, at }) => {
            State::Exited { status, started_at: *started_at, finished_at: at }
        }
        (State::Restarting { started_at, .. }, Change::StartFailed { status, at }) => {
            State::Exited { status, started_at: Some(*started_at), finished_at: at.max(*started_at) }
        }
        (State::Running { pid, started_at, paused: false }, Change::Paused) => {
            State::Running { pid: *pid, started_at: *started_at, paused: true }
        }
        (State::Running { pid, started_at, paused: true }, Change::Resumed) => {
            State::Running { pid: *pid, started_at: *started_at, paused: false }
        }
        (State::Running { started_at, .. }, Change::Ended { status, at, again: true }) => {
            State::Restarting { status, started_at: *started_at, finished_at: at.max(*started_at) }
        }
        (State::Running { started_at, .. }, Change::Ended { status, at, again: false }) => {
            State::Exited { status, started_at: Some(*started_at), finished_at: at.max(*started_at) }
        }
        (State::Restarting { status, started_at, finished_at }, Change::CalledOff) => {
            State::Exited { status: status.clone(), started_at: Some(*started_at), finished_at: *finished_at }
        }
        (State::Created | State::Exited { .. } | State::Dead, Change::Removing) => State::Removing,
        (State::Removing, Change::RemovalFailed) => State::Dead,
        _ => return Err(illegal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn status(code: i32) -> ExitStatus {
        ExitStatus { code, ..ExitStatus::default() }
    }

    fn walk(changes: &[Change]) -> Result<Vec<&'static str>, IllegalChange> {
        let mut state = ContainerState::Created;
        changes
            .iter()
            .map(|change| {
                state = after(&state, change.clone())?;
                Ok(state.word())
            })
            .collect()
    }

    const START: Change = Change::Started { pid: 7, at: Timestamp::from_nanos(1_000_000_000) };

    fn ended(again: bool) -> Change {
        Change::Ended { status: status(3), at: at(2), again }
    }

    #[test]
    fn lives_follow_their_course() {
        let check = |changes: &[Change], expected: &[&str]| assert_eq!(walk(changes).expect("a legal life"), expected);
        check(&[START, ended(false), START, ended(false), Change::Removing], &["running", "exited", "running", "exited", "removing"]);
        check(&[START, Change::Paused, Change::Resumed, ended(true), START], &["running", "paused", "running", "restarting", "running"]);
        check(&[START, Change::Paused, ended(false)], &["running", "paused", "exited"]);
        check(&[START, ended(true), Change::CalledOff, Change::Removing], &["running", "restarting", "exited", "removing"]);
        check(&[Change::StartFailed { status: status(127), at: at(1) }, START], &["created", "running"]);
        check(&[Change::Removing, Change::RemovalFailed, Change::Removing], &["removing", "dead", "removing"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for changes in [
            &[START, START][..],
            &[START, Change::Removing],
            &[Change::Paused],
            &[START, Change::Resumed],
            &[ended(false)],
            &[Change::Removing, START],
            &[Change::Removing, Change::RemovalFailed, START],
            &[Change::CalledOff],
        ] {
            assert!(walk(changes).is_err(), "{changes:?}");
        }
        let error = after(&ContainerState::Removing, START).expect_err("refused");
        assert_eq!(error.to_string(), "a container that is removing cannot be started");
    }

    #[test]
    fn no_end_precedes_its_start() {
        let running = ContainerState::Running { pid: 7, started_at: at(10), paused: false };
        let exited = after(&running, Change::Ended { status: status(0), at: at(4), again: false }).expect("it ends");
        assert_eq!(exited, ContainerState::Exited { status: status(0), started_at: Some(at(10)), finished_at: at(10) });
    }
}
