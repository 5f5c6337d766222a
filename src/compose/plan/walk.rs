//! The walk over a plan: each operation as soon as those before it are done.

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use crate::compose::plan::steps::Plan;
use crate::resource::operation::Operation;

/// Applies every operation of a plan as soon as those it runs after are done.
///
/// After the first failure nothing new begins; what goes on is seen to its end, so that no effect is cut in half, but nothing is
/// waited for any longer.
///
/// # Errors
/// The first failure.
pub async fn execute<F, E>(plan: &Plan, apply: impl Fn(Operation) -> F) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
{
    let steps = plan.steps();
    let mut missing: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        step.after.iter().for_each(|before| followers[before.index()].push(index));
    }
    // Effects and waits are kept apart: a failure drops the waits.
    let (mut effects, mut waits) = (FuturesUnordered::new(), FuturesUnordered::new());
    let begin = |index: usize| {
        let operation = steps[index].operation.clone();
        let done = apply(operation);
        async move { (index, done.await) }
    };
    let mut ready: Vec<usize> = (0..steps.len()).filter(|&index| missing[index] == 0).collect();
    loop {
        for index in ready.drain(..) {
            if matches!(steps[index].operation, Operation::AwaitContainer { .. }) {
                waits.push(begin(index));
            } else {
                effects.push(begin(index));
            }
        }
        let finished = match (effects.is_empty(), waits.is_empty()) {
            (true, true) => return Ok(()),
            (false, true) => effects.next().await,
            (true, false) => waits.next().await,
            (false, false) => match select(effects.next(), waits.next()).await {
                Either::Left((finished, _)) | Either::Right((finished, _)) => finished,
            },
        };
        match finished {
            Some((index, Ok(()))) => {
                for &follower in &followers[index] {
                    missing[follower] -= 1;
                    if missing[follower] == 0 {
                        ready.push(follower);
                    }
                }
            }
            Some((_, Err(error))) => {
                drop(waits);
                while effects.next().await.is_some() {}
                return Err(error);
            }
            None => {}
        }
    }
}
