//! A build on another engine, by its classic builder: an archive goes there and lines come back. What it cannot do is refused here, by its
//! name, for it would do something else instead.

use std::collections::BTreeMap;

use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::HeaderName;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::client::apart;
use crate::api::client::build::ContextSource;
use crate::api::client::build::archive::Packing;
use crate::api::client::build::prepare::Prepared;
use crate::api::client::call::{ARCHIVE, Call, Payload};
use crate::api::client::client_image::payload;
use crate::api::client::transport::Transport;
use crate::api::wire::build::classic::{Follower, Told};
use crate::api::wire::system;
use crate::dockerfile::{Instruction, Kind};
use crate::resource::build::{BuildEvent, BuildNetwork, BuildSpec, DockerfileSource};
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::image::Credentials;

/// What the Dockerfile is called in the archive where it does not come from the context, or the builder would take it out.
const DOCKERFILE: &str = ".dockerfile.gantry";

/// Builds by the classic builder.
pub(in crate::api::client) async fn build(
    transport: &Transport,
    name: &str,
    prepared: Prepared,
    credentials: &BTreeMap<String, Credentials>,
    events: &mut impl FnMut(BuildEvent),
) -> Result<ImageId, Failure> {
    if let Some(what) = beyond(&prepared) {
        let message = format!(
            "{what} cannot be built by the classic builder of the engine at {name}: build on Gantry's own engine (unset DOCKER_HOST and choose no context), or leave it out"
        );
        return Err(Failure::unsupported(message));
    }
    let (body, dockerfile) = context(&prepared.spec.dockerfile.clone(), prepared).await?;
    let (spec, payload) = body;
    let mut call = call(&spec, &dockerfile);
    if !credentials.is_empty() {
        call = call.header(HeaderName::from_static("x-registry-config"), &system::all_credentials_to_header(credentials))?;
    }
    let begun = Instant::now();
    let mut lines = transport.send_body(&call, ARCHIVE, payload).await?.lines();
    let (mut follower, mut image) = (Follower::default(), None);
    while let Some(line) = lines.next().await {
        for told in follower.hear(&line?, begun.elapsed()) {
            match told {
                Told::Event(event) => events(event),
                Told::Image(id) => image = Some(id),
                Told::Failed(failure) => return Err(failure),
            }
        }
    }
    for told in follower.finish(begun.elapsed()) {
        if let Told::Event(event) = told {
            events(event);
        }
    }
    let image = image.ok_or_else(|| Failure::internal(format!("the engine at {name} did not tell which image it built")))?;
    events(BuildEvent::Built { image });
    Ok(image)
}

/// The context as an archive, and where the Dockerfile is in it.
async fn context(source: &DockerfileSource, prepared: Prepared) -> Result<((BuildSpec, Payload), String), Failure> {
    let whole = prepared.whole();
    let Prepared { spec, context, inside, .. } = prepared;
    let (folder, text) = match (context, source) {
        (ContextSource::Archive(archive), DockerfileSource::InContext(path)) => return Ok(((spec, payload(archive)), path.clone())),
        (ContextSource::Archive(_), DockerfileSource::Text { .. }) => {
            return Err(Failure::unsupported(
                "a context that is an archive has its Dockerfile in it, where the classic builder is concerned: name it with `--file`",
            ));
        }
        (_, DockerfileSource::InContext(path)) => {
            return Err(Failure::invalid(format!("there is no build context for the Dockerfile `{path}`")));
        }
        (ContextSource::Folder(folder), DockerfileSource::Text { text, .. }) => (Some(folder), text.clone()),
        (ContextSource::None, DockerfileSource::Text { text, .. }) => (None, text.clone()),
    };
    // One that the patterns leave out is not in the archive.
    let inside = inside.filter(|path| !whole.leaves_out(path));
    let (extra, dockerfile) = match inside {
        Some(path) => (Vec::new(), path),
        None => {
            // The builder takes away what its own patterns name, once it was read.
            let patterns = match &spec.ignore {
                Some(patterns) => format!("{patterns}\n{DOCKERFILE}\n"),
                None => format!("{DOCKERFILE}\n.dockerignore\n"),
            };
            (vec![(DOCKERFILE, text), (".dockerignore", patterns)], DOCKERFILE.to_owned())
        }
    };
    let packing = apart(move || Packing::list(folder.as_deref(), whole, extra)).await?;
    let pieces = stream::unfold(packing.start(), async |mut pieces| Some((pieces.recv().await?.map(Frame::data), pieces)));
    Ok(((spec, StreamBody::new(Box::pin(pieces)).boxed_unsync()), dockerfile))
}

fn call(spec: &BuildSpec, dockerfile: &str) -> Call {
    let network = match &spec.network {
        BuildNetwork::Default => None,
        BuildNetwork::Host => Some("host"),
        BuildNetwork::None => Some("none"),
        BuildNetwork::Named(name) => Some(name.as_str()),
    };
    let map = |map: &BTreeMap<String, String>| (!map.is_empty()).then(|| json!(map).to_string());
    let limits: Vec<Value> =
        spec.ulimits.iter().map(|(name, limit)| json!({ "Name": name, "Soft": limit.soft, "Hard": limit.hard })).collect();
    let call = Call::post("/build")
        .query("version", "1")
        .query("dockerfile", dockerfile)
        // Containers of steps that are done are of no use to anyone.
        .flag("rm", true)
        .flag("forcerm", true)
        .flag("nocache", spec.no_cache)
        .flag("pull", spec.pull)
        .option("target", spec.target.as_deref())
        .option("platform", spec.platform.as_deref())
        .option("networkmode", network)
        .option("buildargs", map(&spec.args).as_deref())
        .option("labels", map(&spec.labels).as_deref())
        .option("shmsize", spec.shm_size.map(|size| size.to_string()).as_deref())
        .option("ulimits", (!limits.is_empty()).then(|| json!(limits).to_string()).as_deref())
        .option("cachefrom", (!spec.cache_from.is_empty()).then(|| json!(spec.cache_from).to_string()).as_deref());
    let call = spec.tags.iter().fold(call, |call, tag| call.query("t", tag));
    spec.extra_hosts.iter().fold(call, |call, host| call.query("extrahosts", host))
}

/// What of a build is beyond the classic builder.
fn beyond(prepared: &Prepared) -> Option<String> {
    let spec = &prepared.spec;
    let first = |what: &str, names: Vec<&String>| names.first().map(|name| format!("{what} `{name}`"));
    first("a build with the secret", spec.secrets.iter().collect())
        .or_else(|| first("a build with the ssh agent", spec.ssh.iter().collect()))
        .or_else(|| first("a build with the named context", spec.contexts.keys().collect()))
        .or_else(|| first("a build without a cache for the stage", spec.no_cache_filter.iter().collect()))
        .or_else(|| spec.shell.map(|_| "a build with a shell where a step fails".to_owned()))
        .or_else(|| {
            let dockerfile = prepared.dockerfile()?;
            let all = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
            all.filter_map(|instruction| new_in(instruction).map(|what| format!("{what} in line {}", instruction.place.line))).next()
        })
}

/// What an instruction has that came with BuildKit.
fn new_in(instruction: &Instruction) -> Option<String> {
    let (is_run, is_transfer) = (instruction.kind == Kind::Run, matches!(instruction.kind, Kind::Copy | Kind::Add));
    let mut words = instruction.text.split_whitespace();
    let word = words.next()?;
    for flag in words.clone().map_while(|word| word.strip_prefix("--")) {
        let flag = flag.split('=').next().unwrap_or_default();
        let is_old = matches!(flag, "from" | "chown") || matches!(instruction.kind, Kind::Healthcheck);
        if (is_run || is_transfer) && !is_old {
            return Some(format!("`{word} --{flag}`"));
        }
    }
    let is_heredoc = |word: &str| {
        let name = word.trim_start_matches(|letter: char| letter.is_ascii_digit()).strip_prefix("<<")?;
        let name = name.trim_start_matches('-').trim_start_matches(['"', '\'']);
        name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_').then_some(())
    };
    ((is_run || is_transfer) && instruction.place.end_line > instruction.place.line && words.any(|word| is_heredoc(word).is_some()))
        .then(|| format!("the heredoc of `{word}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::client::build::BuildRequest;
    use crate::resource::container::Ulimit;

    fn prepared(text: &str, change: impl FnOnce(&mut BuildSpec)) -> Prepared {
        let dockerfile = DockerfileSource::Text { name: "Dockerfile".to_owned(), text: text.to_owned() };
        let mut spec = BuildSpec { dockerfile, ..BuildSpec::default() };
        change(&mut spec);
        Prepared::read(BuildRequest { spec, ..BuildRequest::default() }).expect("read")
    }

    #[test]
    fn what_is_beyond_the_classic_builder_is_named() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(beyond(&prepared(text, |_| ())).as_deref(), expect, "{text}");
        check("FROM a\nRUN x <<E | y\nz\nE", Some("the heredoc of `RUN` in line 2"));
        check("FROM a\nCOPY <<-\"E\" /x\nz\nE", Some("the heredoc of `COPY` in line 2"));
        check("FROM a\nRUN --mount=type=cache,target=/x y", Some("`RUN --mount` in line 2"));
        check("FROM a\nRUN --network=none y", Some("`RUN --network` in line 2"));
        check("FROM a\n\nCOPY --chown=1 --link a b", Some("`COPY --link` in line 3"));
        check(
            "FROM a\nADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://x/y b",
            Some("`ADD --checksum` in line 2"),
        );
        check("FROM a AS b\nCOPY --from=b --chown=1 x y\nHEALTHCHECK --interval=1s CMD x\nRUN x --mount \\\n  << 3", None);
        let named = |change: fn(&mut BuildSpec)| beyond(&prepared("FROM a", change)).unwrap_or_default();
        assert!(named(|spec| spec.secrets.extend(["token".to_owned()])).contains("secret `token`"));
        assert!(named(|spec| spec.ssh.extend(["default".to_owned()])).contains("agent `default`"));
        assert!(named(|spec| spec.no_cache_filter.extend(["s".to_owned()])).contains("stage `s`"));
    }

    #[test]
    fn a_build_is_asked_for_as_docker_does() {
        let spec = BuildSpec {
            tags: vec!["a:1".to_owned(), "b".to_owned()],
            args: BTreeMap::from([("A".to_owned(), "b c".to_owned())]),
            network: BuildNetwork::Host,
            ulimits: BTreeMap::from([("nofile".to_owned(), Ulimit { soft: 1, hard: 2 })]),
            extra_hosts: vec!["h:1.2.3.4".to_owned()],
            pull: true,
            ..BuildSpec::default()
        };
        let target = call(&spec, "d/File").target(41);
        assert_eq!(
            target,
            "/v1.41/build?version=1&dockerfile=d%2FFile&rm=1&forcerm=1&pull=1&networkmode=host&buildargs=%7B%22A%22%3A%22b%20c%22%7D\
            &ulimits=%5B%7B%22Name%22%3A%22nofile%22%2C%22Soft%22%3A1%2C%22Hard%22%3A2%7D%5D&t=a%3A1&t=b&extrahosts=h%3A1.2.3.4"
        );
    }
}
