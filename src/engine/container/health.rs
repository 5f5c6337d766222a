//! A container's health, as a pure function of what its probes say and when: Docker's rules, and one liberty.
//!
//! Docker waits a whole interval before the first probe. Here a container that is starting is probed early, too: from 2 ms after its
//! start, at growing distances up to the next of Docker's own probes. An early probe that fails is as if it had not been; one that
//! succeeds counts, unless the container declares TCP ports and listens on none of them: database images first start a temporary server
//! that only their own probe reaches.

use std::time::Duration;

use crate::resource::container::{HealthCheck, HealthResult, HealthState, HealthStatus, HealthTest};

/// So many probes are remembered.
const REMEMBERED: usize = 5;
/// From the start to the first early probe.
const FIRST: Duration = Duration::from_millis(2);
/// An early probe is at least so many times the processor time of the last one away from it.
const SPARING: u32 = 10;

/// What a probe is to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// One of Docker's.
    Counted,
    /// One of ours.
    Early,
}

/// The course of one container's health. Instants are durations since its start.
#[derive(Debug)]
pub(super) struct Health {
    check: HealthCheck,
    state: HealthState,
    /// When the next counted probe is due.
    due: Duration,
    /// When the next early one is.
    early: Duration,
    /// The distance between early ones.
    pause: Duration,
    /// What is on record is the last early one, until a counted one has ended.
    provisional: bool,
}

/// The health a container is started with; its earlier probes stay on record. `None` when it has no check.
pub(super) fn at_start(check: Option<&HealthCheck>, before: Option<HealthState>) -> Option<HealthState> {
    check.filter(|check| command(check, &[]).is_some())?;
    let log = before.map(|state| state.log).unwrap_or_default();
    Some(HealthState { status: HealthStatus::Starting, failing_streak: 0, log })
}

/// What a check runs, if it runs anything; `shell` is the image's, or Docker's own when empty.
pub(super) fn command(check: &HealthCheck, shell: &[String]) -> Option<Vec<String>> {
    match &check.test {
        HealthTest::Disabled | HealthTest::Inherit => None,
        HealthTest::Exec(command) => (!command.is_empty()).then(|| command.clone()),
        HealthTest::Shell(line) => {
            let shell = if shell.is_empty() { vec!["/bin/sh".to_owned(), "-c".to_owned()] } else { shell.to_vec() };
            Some([shell, vec![line.clone()]].concat())
        }
    }
}

impl Health {
    /// Begins, or goes on after a pause or with another engine, at this time since the start.
    pub(super) fn new(check: HealthCheck, state: HealthState, now: Duration) -> Self {
        let or = |value: Duration, default: u64| if value.is_zero() { Duration::from_secs(default) } else { value };
        let check = HealthCheck {
            interval: or(check.interval, 30),
            timeout: or(check.timeout, 30),
            start_interval: or(check.start_interval, 5),
            retries: if check.retries == 0 { 3 } else { check.retries },
            ..check
        };
        let mut health = Self { check, state, due: Duration::ZERO, early: now + FIRST, pause: FIRST, provisional: false };
        health.due = now + health.pace(now);
        health
    }

    /// What is known.
    pub(super) const fn state(&self) -> &HealthState {
        &self.state
    }

    /// How long a probe may take.
    pub(super) const fn timeout(&self) -> Duration {
        self.check.timeout
    }

    /// When the next probe is due, and which it is.
    pub(super) fn next(&self) -> (Duration, Probe) {
        if self.state.status == HealthStatus::Starting && self.early < self.due {
            (self.early, Probe::Early)
        } else {
            (self.due, Probe::Counted)
        }
    }

    /// Takes in what one of Docker's probes said; true when the verdict changed.
    pub(super) fn counted(&mut self, result: HealthResult, began: Duration, now: Duration) -> bool {
        let before = self.state.status;
        if result.exit_code == 0 {
            self.state.failing_streak = 0;
            self.state.status = HealthStatus::Healthy;
        } else if before != HealthStatus::Starting || began >= self.check.start_period {
            self.state.failing_streak += 1;
            if self.state.failing_streak >= self.check.retries {
                self.state.status = HealthStatus::Unhealthy;
            }
        }
        self.remember(result);
        self.due = now + self.pace(now);
        self.early = now + self.pause;
        self.state.status != before
    }

    /// Takes in what an early probe said; true when the verdict changed.
    pub(super) fn early(&mut self, result: HealthResult, listens: bool, processor_time: Duration, now: Duration) -> bool {
        if result.exit_code == 0 && listens {
            return self.counted(result, now, now);
        }
        // Until one of Docker's has ended it is all there is to show.
        if self.state.log.is_empty() || self.provisional {
            self.state.log = vec![result];
            self.provisional = true;
        }
        // By a quarter each: what gets ready after a time is found ready after at most a quarter more.
        self.pause = self.pause * 5 / 4;
        self.early = now + self.pause.max(processor_time * SPARING);
        false
    }

    fn remember(&mut self, result: HealthResult) {
        let log = &mut self.state.log;
        if std::mem::take(&mut self.provisional) {
            log.clear();
        }
        log.drain(..(log.len() + 1).saturating_sub(REMEMBERED));
        log.push(result);
    }

    /// From the end of a probe to the next of Docker's.
    fn pace(&self, now: Duration) -> Duration {
        if self.state.status == HealthStatus::Starting && now < self.check.start_period {
            self.check.start_interval
        } else {
            self.check.interval
        }
    }
}

/// A duration as Go prints it, in which Docker's words are: `1m30s`, `1.5s`, `250ms`.
pub(super) fn spoken(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let fraction = |whole: u128, rest: u128, width: usize| {
        let digits = format!("{rest:0width$}");
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") }
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanos / 1_000, nanos % 1_000, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6)),
        _ => {
            let seconds = nanos / 1_000_000_000;
            let rest = fraction(seconds % 60, nanos % 1_000_000_000, 9);
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{rest}s"),
                (0, minutes) => format!("{minutes}m{rest}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::time::Timestamp;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn result(exit_code: i32) -> HealthResult {
        HealthResult { start: Timestamp::from_nanos(0), end: Timestamp::from_nanos(0), exit_code, output: String::new() }
    }

    fn health(start_period: u64) -> Health {
        let check = HealthCheck {
            test: HealthTest::Shell("true".to_owned()),
            interval: seconds(10),
            timeout: Duration::ZERO,
            retries: 2,
            start_period: seconds(start_period),
            start_interval: seconds(1),
        };
        let state = at_start(Some(&check), None).expect("a check");
        Health::new(check, state, Duration::ZERO)
    }

    /// Lets every probe that is due up to an instant end with these codes; tells what was probed when, and what became of it.
    fn run(health: &mut Health, codes: &[i32], until: Duration) -> Vec<String> {
        let mut told = Vec::new();
        let mut codes = codes.iter();
        loop {
            let (at, probe) = health.next();
            if at > until {
                return told;
            }
            match probe {
                Probe::Early => drop(health.early(result(1), true, Duration::ZERO, at)),
                Probe::Counted => {
                    let Some(&code) = codes.next() else { return told };
                    health.counted(result(code), at, at);
                    told.push(format!("{}s {code} {} {}", at.as_secs(), health.state.status.word(), health.state.failing_streak));
                }
            }
        }
    }

    #[test]
    fn dockers_probes_come_at_dockers_times_and_decide_as_dockers() {
        let told = run(&mut health(0), &[1, 0, 1, 1, 1, 0], seconds(1000));
        assert_eq!(
            told,
            ["10s 1 starting 1", "20s 0 healthy 0", "30s 1 healthy 1", "40s 1 unhealthy 2", "50s 1 unhealthy 3", "60s 0 healthy 0"]
        );
        let told = run(&mut health(3), &[1, 1, 1, 1, 1], seconds(1000));
        assert_eq!(told, ["1s 1 starting 0", "2s 1 starting 0", "3s 1 starting 1", "13s 1 unhealthy 2", "23s 1 unhealthy 3"]);
        let told = run(&mut health(3), &[1, 0, 1], seconds(1000));
        assert_eq!(told, ["1s 1 starting 0", "2s 0 healthy 0", "12s 1 healthy 1"]);
    }

    #[test]
    fn of_early_probes_the_last_is_shown_until_a_counted_one_has_ended() {
        let mut health = health(0);
        assert_eq!(health.next(), (FIRST, Probe::Early));
        let mut early = 0;
        while let (at, Probe::Early) = health.next() {
            assert!(!health.early(result(1), true, Duration::ZERO, at));
            early += 1;
        }
        assert!((20..40).contains(&early), "{early}");
        assert_eq!(health.next(), (seconds(10), Probe::Counted));
        assert_eq!((health.state.status, health.state.failing_streak), (HealthStatus::Starting, 0));
        assert_eq!(health.state.log, [result(1)]);
        // A probe that costs much is rare.
        health.counted(result(2), seconds(10), seconds(10));
        health.early(result(1), true, Duration::from_millis(600), seconds(11));
        assert_eq!(health.state.log, [result(2)]);
        assert_eq!(health.next(), (seconds(17), Probe::Early));
        // Success with nothing listening is a temporary server's.
        assert!(!health.early(result(0), false, Duration::ZERO, seconds(17)));
        assert!(health.early(result(0), true, Duration::ZERO, seconds(18)));
        assert_eq!((health.state.status, health.state.log.len()), (HealthStatus::Healthy, 2));
        assert_eq!(health.next(), (seconds(28), Probe::Counted));
    }

    #[test]
    fn five_probes_are_remembered() {
        let mut health = health(0);
        for code in 1..9 {
            health.counted(result(code), seconds(1), seconds(1));
        }
        assert_eq!(health.state.log.iter().map(|result| result.exit_code).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
    }

    #[test]
    fn durations_are_spoken_as_in_go() {
        let check = |nanos: u64, expected: &str| assert_eq!(spoken(Duration::from_nanos(nanos)), expected);
        check(30_000_000_000, "30s");
        check(90_500_000_000, "1m30.5s");
        check(3_600_000_000_000, "1h0m0s");
        check(250_000_000, "250ms");
        check(1_500_000, "1.5ms");
        check(1_500, "1.5µs");
    }
}
