//! `schema/engine-api.yaml` against the table of routes, and against what their handlers ask for.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::server::activity::Activity;
use crate::api::server::tests::sample::{Description, Sampler};
use crate::api::server::{connection, router};
use crate::api::wire::asked;
use crate::engine::configuration::Configuration;
use crate::engine::network::test_namespace::in_namespace;
use crate::engine::root::Root;
use crate::engine::runtime::link::KeeperLink;
use crate::engine::{Engine, EngineConfig};

/// The beginning of a path in the oldest version.
const OLDEST: &str = "/v1.24";

/// An operation, as `GET /info`.
type Operation = (String, String);

/// Names and values.
type Texts = [(String, String)];

/// What is on one side alone, in words.
fn differences<T: Ord + ToString>(described: &BTreeSet<T>, served: &BTreeSet<T>) -> String {
    let lines = |missing: Vec<&T>, words: &str| -> String {
        missing.into_iter().map(|item| format!("  {} is {words}\n", item.to_string())).collect()
    };
    lines(served.difference(described).collect(), "served, and not described")
        + &lines(described.difference(served).collect(), "described, and not served")
}

/// The table of routes, in the description's spelling.
fn routes() -> BTreeSet<Operation> {
    router::routes().map(|(method, path)| (method.to_string(), path.replace("*}", "}"))).collect()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let names = |operations: &BTreeSet<Operation>| -> BTreeSet<String> {
        operations.iter().map(|(method, path)| format!("{method} {path}")).collect()
    };
    let found = differences(&names(&Description::read().operations().collect()), &names(&routes()));
    assert!(found.is_empty(), "\n{found}");
}

/// An engine without containers.
struct Bench {
    engine: Engine,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, configuration) = (Root::new(Some(folder.path())), Configuration::default());
        let engine = Engine::open(EngineConfig { root, keeper: KeeperLink::alone(), configuration }).await.expect("an engine");
        Self { engine, _folder: folder }
    }

    /// Asks for something, and waits until the head of the answer is there; returns its status, and its beginning.
    async fn ask(&self, method: &str, path: &str, query: &Texts, headers: &Texts, body: Option<&Value>) -> String {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let engine = self.engine.clone();
        let answer = move |request| Box::pin(router::answer(engine.clone(), request)) as _;
        let serving = {
            let activity = Activity::default();
            let arrival = activity.begin();
            tokio::spawn(connection::serve(server, activity, arrival, answer))
        };
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let body = body.map(ToString::to_string).unwrap_or_default();
        let length = body.len();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{method} {path}?{} HTTP/1.1\r\nHost: a\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            query.join("&")
        );
        client.write_all(head.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
            assert_ne!(client.read_buf(&mut answer).await.expect("bytes"), 0, "no answer to {head}");
        }
        drop(client);
        serving.abort();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Sends every described parameter and field for itself, and collects what handlers ask for. An operation is asked for often enough that
/// each branch of its handler that a parameter opens is taken.
async fn compare(bench: &Bench, description: &Description, (method, path): &Operation, found: &mut String) {
    let sampler = Sampler::new(description);
    let parameters = description.parameters(method, path, "query");
    let required_of = |parameters: &[Value]| -> Vec<(String, String)> {
        let required = parameters.iter().filter(|parameter| parameter["required"] == Value::Bool(true));
        required.map(|parameter| (name_of(parameter), sampler.parameter(parameter).swap_remove(0))).collect()
    };
    let required = required_of(&parameters);
    let headers = required_of(&description.parameters(method, path, "header"));
    let body = description.body(method, path);
    let bodies = body.map(|schema| sampler.values(schema)).unwrap_or_default();
    let mut queries = vec![("", Vec::new()), ("", required.clone())];
    for parameter in &parameters {
        // What is deprecated may be read of older clients alone.
        let version = if parameter["deprecated"] == Value::Bool(true) { OLDEST } else { "" };
        for value in sampler.parameter(parameter) {
            let mut query = required.clone();
            query.retain(|(name, _)| *name != name_of(parameter));
            query.push((name_of(parameter), value));
            queries.push((version, query));
        }
    }
    let place = path.replace("{name}", "nobody");
    asked::take();
    for (version, query) in &queries {
        bench.ask(method, &format!("{version}{place}"), query, &headers, bodies.first()).await;
    }
    for body in &bodies {
        let answer = bench.ask(method, &place, &required, &headers, Some(body)).await;
        if answer.starts_with("HTTP/1.1 501") {
            let _ = writeln!(found, "{method} {path} refuses {body}:\n  {}", answer.lines().last().unwrap_or_default());
        }
    }
    let (asked_parameters, asked_fields) = asked::take();
    let described = parameters.iter().map(name_of).collect();
    let mut wrong = differences(&described, &asked_parameters);
    if let Some(schema) = body {
        let (fields, asked_fields) = sampler.fields(schema, &asked_fields);
        wrong += &differences(&fields, &asked_fields);
    }
    if !wrong.is_empty() {
        let _ = write!(found, "{method} {path}:\n{wrong}");
    }
}

fn name_of(parameter: &Value) -> String {
    parameter["name"].as_str().expect("a parameter has a name").to_owned()
}

#[test]
fn parameters_and_fields_are_described_as_they_are_read() {
    in_namespace(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (bench, description, routes) = (Bench::new().await, Description::read(), routes());
            let mut found = String::new();
            // What leaves does so for good.
            let served = description.operations().filter(|operation| routes.contains(operation) && operation.1 != "/gantry/stop");
            for operation in served {
                compare(&bench, &description, &operation, &mut found).await;
            }
            assert!(found.is_empty(), "\n{found}");
        });
    });
}
