//! Work on images that tells how far it is, a line of JSON for each step.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use hyper::Response;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::server::answer::{self, Body};
use crate::api::server::router::panicked;
use crate::api::wire::progress;
use crate::resource::failure::Failure;
use crate::resource::image::ImageProgress;

/// Steps that may wait for a slow client; those beyond are not told.
const STEPS: usize = 1024;

enum Item {
    Step(ImageProgress),
    Line(Value),
    Ended(Result<Vec<Value>, Failure>),
}

/// Where work tells its steps.
#[derive(Clone)]
pub(super) struct Steps(Option<mpsc::Sender<Item>>);

impl Steps {
    /// Tells nothing more.
    pub(super) fn silent() -> Self {
        Self(None)
    }

    /// Tells what is no step, as it is to be written.
    pub(super) fn note(&self, line: Value) {
        if let Some(sender) = &self.0 {
            // As below.
            let _ = sender.try_send(Item::Line(line));
        }
    }

    /// Tells a step.
    pub(super) fn tell(&self, step: ImageProgress) {
        if let Some(sender) = &self.0 {
            // The work does not wait for those who watch it.
            let _ = sender.try_send(Item::Step(step));
        }
    }
}

/// Answers with the steps of some work and then with the lines it returns. Work that fails before its first step has the status of its
/// failure; work whose client has gone is dropped.
pub(super) async fn answer<F>(work: impl FnOnce(Steps) -> F) -> Result<Response<Body>, Failure>
where
    F: Future<Output = Result<Vec<Value>, Failure>> + Send + 'static,
{
    let (mut items, mut tasks) = begin(work);
    match next(&mut items, &mut tasks).await {
        Item::Ended(Err(failure)) => Err(failure),
        first => Ok(told(Some(first), items, tasks)),
    }
}

/// The same with every failure among the steps, as dockerd answers loads and pushes: the status is good in any case.
pub(super) fn answer_in_any_case<F>(work: impl FnOnce(Steps) -> F) -> Response<Body>
where
    F: Future<Output = Result<Vec<Value>, Failure>> + Send + 'static,
{
    let (items, tasks) = begin(work);
    told(None, items, tasks)
}

fn begin<F>(work: impl FnOnce(Steps) -> F) -> (mpsc::Receiver<Item>, JoinSet<()>)
where
    F: Future<Output = Result<Vec<Value>, Failure>> + Send + 'static,
{
    let (sender, items) = mpsc::channel(STEPS);
    let work = work(Steps(Some(sender.clone())));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let ended = work.await;
        let _ = sender.send(Item::Ended(ended)).await;
    });
    (items, tasks)
}

fn told(first: Option<Item>, items: mpsc::Receiver<Item>, tasks: JoinSet<()>) -> Response<Body> {
    let rest = stream::unfold((first, items, tasks, false), |(first, mut items, mut tasks, ended)| async move {
        if ended {
            return None;
        }
        let item = match first {
            Some(item) => item,
            None => next(&mut items, &mut tasks).await,
        };
        let ended = matches!(item, Item::Ended(_));
        Some((Ok::<_, io::Error>(text(item)), (None, items, tasks, ended)))
    });
    answer::stream("application/json", rest)
}

async fn next(items: &mut mpsc::Receiver<Item>, tasks: &mut JoinSet<()>) -> Item {
    tokio::select! {
        biased;
        Some(item) = items.recv() => item,
        Some(Err(error)) = tasks.join_next() => Item::Ended(Err(panicked(Some(&error)))),
        else => Item::Ended(Err(panicked(None))),
    }
}

fn text(item: Item) -> Bytes {
    let lines = match item {
        Item::Step(step) => vec![progress::step_to_json(&step)],
        Item::Line(line) => vec![line],
        Item::Ended(Ok(lines)) => lines,
        Item::Ended(Err(failure)) => vec![progress::failure_to_json(&failure)],
    };
    lines.iter().map(|line| format!("{line}\r\n")).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn step(status: &str) -> ImageProgress {
        ImageProgress { id: String::new(), status: status.to_owned(), current: None, total: None }
    }

    async fn lines(answer: Result<Response<Body>, Failure>) -> String {
        let body = answer.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
        String::from_utf8(body.to_vec()).expect("text").replace("\r\n", ";")
    }

    #[tokio::test]
    async fn steps_come_before_the_outcome() {
        let good = answer(|steps| async move {
            steps.tell(step("a"));
            Ok(vec![progress::text_to_json("done")])
        });
        assert_eq!(lines(good.await).await, r#"{"status":"a"};{"stream":"done"};"#);
        let late = answer(|steps| async move {
            steps.tell(step("a"));
            Err(Failure::not_found("gone"))
        });
        assert_eq!(lines(late.await).await, r#"{"status":"a"};{"errorDetail":{"code":404,"message":"gone"},"error":"gone"};"#);
        let early = answer(|_| async { Err(Failure::not_found("gone")) });
        assert_eq!(early.await.expect_err("a failure"), Failure::not_found("gone"));
        let told = answer_in_any_case(|steps| async move {
            steps.note(progress::text_to_json("a"));
            Err(Failure::not_found("gone"))
        });
        assert_eq!(lines(Ok(told)).await, r#"{"stream":"a"};{"errorDetail":{"code":404,"message":"gone"},"error":"gone"};"#);
        let broken = answer(|_| async { panic!("a bug") });
        assert!(broken.await.expect_err("a failure").message.contains("bug"));
    }
}
