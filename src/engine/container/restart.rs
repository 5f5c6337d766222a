//! Whether and when a container starts again by itself: Docker's restart manager, as a pure function.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::resource::container::RestartPolicy;

/// The first pause.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);
/// Who ran so long starts over with the shortest pause.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// What the restarts of a container have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Restarts {
    /// Restarts by the policy since it was last started by hand.
    pub count: u32,
    /// The last pause; absent before the first.
    pause: Option<Duration>,
}

/// How a run ended, as far as the policy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Its exit code.
    pub code: i32,
    /// How long it was.
    pub length: Duration,
    /// Somebody stopped it.
    pub stopped_by_hand: bool,
}

impl Restarts {
    /// Returns the pause before the container starts again, or `None` when it does not.
    ///
    /// The pause doubles from 100 ms to a minute and starts over after a run of ten seconds.
    pub(super) fn after_run(&mut self, policy: RestartPolicy, run: Run) -> Option<Duration> {
        let again = !run.stopped_by_hand
            && match policy {
                RestartPolicy::No => false,
                RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
                RestartPolicy::OnFailure { maximum } => run.code != 0 && (maximum == 0 || self.count < maximum),
            };
        if !again {
            return None;
        }
        let pause = match self.pause {
            Some(pause) if run.length < GOOD_RUN => (pause * 2).min(LONGEST),
            _ => SHORTEST,
        };
        self.pause = Some(pause);
        self.count += 1;
        Some(pause)
    }

    /// The pause that was last decided on.
    pub(super) fn pause(&self) -> Duration {
        self.pause.unwrap_or(SHORTEST)
    }
}

/// Whether a container that ran, or had a policy, when the machine or the engine went down is started by the next engine.
pub(super) fn starts_with_engine(policy: RestartPolicy, ran: bool, stopped_by_hand: bool, code: i32) -> bool {
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always => ran || stopped_by_hand,
        RestartPolicy::UnlessStopped => ran && !stopped_by_hand,
        RestartPolicy::OnFailure { .. } => ran && !stopped_by_hand && code != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: i32, seconds: u64) -> Run {
        Run { code, length: Duration::from_secs(seconds), stopped_by_hand: false }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_start_over() {
        let mut restarts = Restarts::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let pause = restarts.after_run(RestartPolicy::Always, run(0, 1)).expect("always");
            pauses.push(u64::try_from(pause.as_millis()).expect("a short pause"));
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(restarts.after_run(RestartPolicy::Always, run(0, 10)), Some(SHORTEST));
        assert_eq!(restarts.after_run(RestartPolicy::Always, run(0, 0)), Some(2 * SHORTEST));
        assert_eq!(restarts.count, 14);
    }

    #[test]
    fn policies_decide() {
        let check = |policy, code, stopped_by_hand, expected: bool| {
            let decided = Restarts::default().after_run(policy, Run { stopped_by_hand, ..run(code, 1) });
            assert_eq!(decided.is_some(), expected, "{policy:?} {code} {stopped_by_hand}");
        };
        check(RestartPolicy::No, 1, false, false);
        check(RestartPolicy::Always, 0, false, true);
        check(RestartPolicy::Always, 0, true, false);
        check(RestartPolicy::UnlessStopped, 0, false, true);
        check(RestartPolicy::UnlessStopped, 0, true, false);
        check(RestartPolicy::OnFailure { maximum: 0 }, 0, false, false);
        check(RestartPolicy::OnFailure { maximum: 0 }, 1, false, true);
    }

    #[test]
    fn a_maximum_ends_it() {
        let mut restarts = Restarts::default();
        let policy = RestartPolicy::OnFailure { maximum: 2 };
        let decided: Vec<bool> = (0..3).map(|_| restarts.after_run(policy, run(1, 1)).is_some()).collect();
        assert_eq!(decided, [true, true, false]);
        assert_eq!(restarts.count, 2);
    }

    #[test]
    fn a_new_engine_starts_what_its_policy_says() {
        assert!(starts_with_engine(RestartPolicy::Always, true, false, 0));
        assert!(starts_with_engine(RestartPolicy::Always, false, true, 0));
        assert!(!starts_with_engine(RestartPolicy::Always, false, false, 0));
        assert!(starts_with_engine(RestartPolicy::UnlessStopped, true, false, 0));
        assert!(!starts_with_engine(RestartPolicy::UnlessStopped, true, true, 0));
        assert!(!starts_with_engine(RestartPolicy::No, true, false, 1));
        assert!(starts_with_engine(RestartPolicy::OnFailure { maximum: 1 }, true, false, 255));
        assert!(!starts_with_engine(RestartPolicy::OnFailure { maximum: 1 }, true, false, 0));
    }
}
