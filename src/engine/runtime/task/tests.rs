//! Orders to shims, and what comes back.

use super::*;
use crate::engine::runtime::packet;

/// A task whose shim answers each order that it understands with these notices.
fn task(answer: impl Fn(Order) -> Vec<Notice> + Send + 'static) -> Task {
    let itself = rustix::process::getpid();
    let pidfd = || rustix::process::pidfd_open(itself, rustix::process::PidfdFlags::empty()).expect("a pidfd");
    let (socket, theirs) = packet::pair().expect("a socket pair");
    std::thread::spawn(move || {
        while let Ok(Some((order, _))) = talk::receive(&theirs, true) {
            answer(order).iter().for_each(|notice| talk::send(&theirs, notice, &[], true).expect("room"));
        }
    });
    let id = ContainerId::from_bytes([7; 32]);
    let claim = Claim { id, group: "none/none".to_owned(), exit_record: PathBuf::new(), keeper: KeeperLink::alone() };
    let shim = ShimProcess::found(itself.as_raw_pid(), pidfd(), socket).expect("a shim");
    Task::new(claim, shim, (itself.as_raw_pid(), pidfd()), Timestamp::from_nanos(1))
}

async fn limited(task: &Task) -> Result<(), String> {
    let limited = tokio::time::timeout(Duration::from_secs(20), task.limit(&Resources::default())).await;
    limited.expect("an answer").map_err(|error| error.to_string())
}

#[tokio::test]
async fn limits_are_in_force_refused_or_not_understood() {
    let running = || Notice::Running { pid: 7, started_at: Timestamp::from_nanos(1) };
    let shim = |said: Option<Result<(), LaunchError>>| {
        task(move |order| match order {
            Order::Limit(_) => said.clone().map(Notice::Limited).into_iter().collect(),
            _ => vec![running()],
        })
    };
    let fine = shim(Some(Ok(())));
    // The answer of one does not meet the next.
    for _ in 0..3 {
        assert_eq!(limited(&fine).await, Ok(()));
    }
    assert_eq!(limited(&shim(Some(Err(LaunchError::Invalid("too small".to_owned()))))).await, Err("too small".to_owned()));
    let old = limited(&shim(None)).await.expect_err("an old shim says nothing of limits");
    assert!(old.contains("older version"), "{old}");
}
