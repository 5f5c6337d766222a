//! Whether anybody asks anything: what an engine looks at before it leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The requests under way; cheap to clone, every clone the same count.
#[derive(Clone, Debug)]
pub struct Activity {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    under_way: usize,
    changed: Instant,
}

impl Default for Activity {
    fn default() -> Self {
        Self { state: Arc::new(watch::Sender::new(State { under_way: 0, changed: Instant::now() })) }
    }
}

impl Activity {
    /// A request has come; it is under way until the answer's last byte is written and what is returned is dropped.
    pub fn begin(&self) -> UnderWay {
        self.state.send_modify(|state| {
            state.under_way += 1;
            state.changed = Instant::now();
        });
        UnderWay { activity: self.clone() }
    }

    /// How many requests are under way.
    pub fn under_way(&self) -> usize {
        self.state.borrow().under_way
    }

    /// Returns once no request has been under way for so long.
    pub async fn quiet(&self, span: Duration) {
        let mut watch = self.state.subscribe();
        loop {
            let State { under_way, changed } = *watch.borrow_and_update();
            let left = span.saturating_sub(changed.elapsed());
            if under_way > 0 {
                // Its sender is here, so it cannot end.
                let _ = watch.changed().await;
            } else if left.is_zero() {
                return;
            } else {
                let _ = tokio::time::timeout(left, watch.changed()).await;
            }
        }
    }

    /// Returns when a request has come or gone.
    pub(super) async fn changed(&self) {
        let _ = self.state.subscribe().changed().await;
    }
}

/// A request under way.
#[derive(Debug)]
pub struct UnderWay {
    activity: Activity,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.activity.state.send_modify(|state| {
            state.under_way -= 1;
            state.changed = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_quiet_only_after_the_last_request_and_the_span() {
        let activity = Activity::default();
        let (first, second) = (activity.begin(), activity.begin());
        assert_eq!(activity.under_way(), 2);
        let span = Duration::from_millis(20);
        let mut quiet = Box::pin(activity.quiet(span));
        assert!(tokio::time::timeout(2 * span, &mut quiet).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(2 * span, &mut quiet).await.is_err());
        let last = Instant::now();
        drop(second);
        quiet.await;
        assert!(last.elapsed() >= span);
    }
}
