//! The table of routes, and the way of a request through it.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, PRAGMA, SERVER};
use hyper::{Method, Request};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use crate::api::server::answer::{self, Outcome};
use crate::api::server::call::Call;
use crate::api::server::query::{self, Query};
use crate::api::server::{
    archive, attach, build, buildkit, change, container, event, exec, image, log, network, stats, swarm, system, volume,
};
use crate::api::wire::extension::{BUILD, BUILD_CACHE, BUSY, ENGINE_LOG, OBSERVATION, STOP_ENGINE};
use crate::api::wire::system::{API_VERSION, MIN_API_VERSION};
use crate::engine::Engine;
use crate::resource::failure::Failure;
use crate::trace::{self, Trace};

type Handler = fn(Call) -> BoxFuture<'static, Result<Outcome, Failure>>;

/// What is served at a path.
struct Route {
    method: Method,
    /// `{name}` is one piece of the path, `{name*}` any number of them (an image's name has slashes); braces after it are one that nobody
    /// asks for.
    path: &'static str,
    handler: Handler,
}

macro_rules! routes {
    ($($method:ident $path:expr => $handler:expr;)*) => {
        &[$(Route { method: Method::$method, path: $path, handler: |call| $handler(call).map(|answer| answer.map(Into::into)).boxed() },)*]
    };
}

#[rustfmt::skip]
const ROUTES: &[Route] = routes! {
    GET    "/_ping"                        => system::ping;
    HEAD   "/_ping"                        => system::ping;
    GET    "/version"                      => system::version;
    GET    "/info"                         => system::info;
    POST   "/auth"                         => system::login;
    POST   STOP_ENGINE                     => system::stop;
    GET    ENGINE_LOG                      => system::log;
    GET    OBSERVATION                     => system::observe;
    GET    BUSY                            => container::is_busy;
    GET    "/events"                       => event::stream;

    POST   BUILD                           => build::session;
    POST   "/build"                        => build::classic;
    POST   "/build/prune"                  => build::prune;
    GET    BUILD_CACHE                     => build::cache;
    POST   "/build/cancel"                 => build::cancel;

    GET    "/containers/json"              => container::list;
    POST   "/containers/create"            => container::create;
    POST   "/containers/prune"             => container::prune;
    GET    "/containers/{name}/json"       => container::inspect;
    GET    "/containers/{name}/top"        => container::processes;
    GET    "/containers/{name}/logs"       => log::stream;
    GET    "/containers/{name}/stats"      => stats::stream;
    HEAD   "/containers/{name}/archive"    => archive::stat;
    GET    "/containers/{name}/archive"    => archive::read;
    PUT    "/containers/{name}/archive"    => archive::write;
    GET    "/containers/{name}/export"     => archive::export;
    POST   "/containers/{name}/start"      => container::start;
    POST   "/containers/{name}/stop"       => container::stop;
    POST   "/containers/{name}/restart"    => container::restart;
    POST   "/containers/{name}/kill"       => container::kill;
    POST   "/containers/{name}/pause"      => container::pause;
    POST   "/containers/{name}/unpause"    => container::unpause;
    POST   "/containers/{name}/wait"       => container::wait;
    POST   "/containers/{name}/rename"     => container::rename;
    POST   "/containers/{name}/resize"     => container::resize;
    POST   "/containers/{name}/attach"     => attach::container;
    POST   "/containers/{name}/exec"       => exec::create;
    POST   "/containers/{name}/update"     => change::update;
    GET    "/containers/{name}/changes"    => change::changes;
    GET    "/containers/{name}/attach/ws"  => attach::web_socket;
    POST   "/commit"                       => change::commit;
    DELETE "/containers/{name}"            => container::remove;

    POST   "/exec/{name}/start"            => attach::exec;
    POST   "/exec/{name}/resize"           => exec::resize;
    GET    "/exec/{name}/json"             => exec::inspect;

    GET    "/images/json"                  => image::list;
    POST   "/images/create"                => image::create;
    POST   "/images/load"                  => image::load;
    GET    "/images/get"                   => image::save;
    GET    "/images/search"                => image::search;
    POST   "/images/prune"                 => image::prune;
    GET    "/images/{name*}/json"          => image::inspect;
    GET    "/images/{name*}/history"       => image::history;
    GET    "/images/{name*}/get"           => image::save;
    POST   "/images/{name*}/push"          => image::push;
    POST   "/images/{name*}/tag"           => image::tag;
    DELETE "/images/{name*}"               => image::remove;
    GET    "/distribution/{name*}/json"    => image::remote;

    GET    "/networks"                     => network::list;
    POST   "/networks/create"              => network::create;
    POST   "/networks/prune"               => network::prune;
    GET    "/networks/{name}"              => network::inspect;
    POST   "/networks/{name}/connect"      => network::connect;
    POST   "/networks/{name}/disconnect"   => network::disconnect;
    DELETE "/networks/{name}"              => network::remove;

    GET    "/volumes"                      => volume::list;
    POST   "/volumes/create"               => volume::create;
    POST   "/volumes/prune"                => volume::prune;
    GET    "/volumes/{name}"               => volume::inspect;
    PUT    "/volumes/{name}"               => swarm::update_volume;
    DELETE "/volumes/{name}"               => volume::remove;

    GET    "/system/df"                    => system::disk_usage;
    OPTIONS "/{name*}"                     => swarm::options;
};

/// What only engines in a swarm or with plugins do, and other doors that stay shut. Apart, since nobody has to know them.
#[rustfmt::skip]
const SHUT: &[Route] = routes! {
    GET    "/swarm"                        => swarm::manager_only;
    POST   "/swarm/init"                   => swarm::begin;
    POST   "/swarm/join"                   => swarm::begin;
    POST   "/swarm/leave"                  => swarm::leave;
    POST   "/swarm/update"                 => swarm::update;
    GET    "/swarm/unlockkey"              => swarm::manager_only;
    POST   "/swarm/unlock"                 => swarm::manager_only;
    GET    "/services"                     => swarm::manager_only;
    GET    "/services/{name}"              => swarm::manager_only;
    POST   "/services/create"              => swarm::manager_only;
    POST   "/services/{name}/update"       => swarm::update;
    DELETE "/services/{name}"              => swarm::manager_only;
    GET    "/services/{name}/logs"         => swarm::manager_only;
    GET    "/nodes"                        => swarm::manager_only;
    GET    "/nodes/{name}"                 => swarm::manager_only;
    DELETE "/nodes/{name}"                 => swarm::manager_only;
    POST   "/nodes/{name}/update"          => swarm::update;
    GET    "/tasks"                        => swarm::manager_only;
    GET    "/tasks/{name}"                 => swarm::manager_only;
    GET    "/tasks/{name}/logs"            => swarm::manager_only;
    GET    "/secrets"                      => swarm::manager_only;
    POST   "/secrets/create"               => swarm::manager_only;
    GET    "/secrets/{name}"               => swarm::manager_only;
    DELETE "/secrets/{name}"               => swarm::manager_only;
    POST   "/secrets/{name}/update"        => swarm::update;
    GET    "/configs"                      => swarm::manager_only;
    POST   "/configs/create"               => swarm::manager_only;
    GET    "/configs/{name}"               => swarm::manager_only;
    DELETE "/configs/{name}"               => swarm::manager_only;
    POST   "/configs/{name}/update"        => swarm::update;

    GET    "/plugins"                      => swarm::plugins;
    GET    "/plugins/privileges"           => swarm::install;
    POST   "/plugins/pull"                 => swarm::install;
    POST   "/plugins/create"               => swarm::install;
    GET    "/plugins/{name*}/json"         => swarm::no_plugin;
    POST   "/plugins/{name*}/enable"       => swarm::no_plugin;
    POST   "/plugins/{name*}/disable"      => swarm::no_plugin;
    POST   "/plugins/{name*}/push"         => swarm::no_plugin;
    POST   "/plugins/{name*}/set"          => swarm::no_plugin;
    POST   "/plugins/{name*}/upgrade"      => swarm::no_plugin;
    DELETE "/plugins/{name*}"              => swarm::no_plugin;

    POST   "/session"                      => buildkit::session;
    POST   "/grpc"                         => buildkit::calls;
    GET    "/containers/{name}/checkpoints" => swarm::checkpoint;
    POST   "/containers/{name}/checkpoints" => swarm::checkpoint;
    DELETE "/containers/{name}/checkpoints/{checkpoint}" => swarm::checkpoint;
};

/// The methods and patterns of the table, for whoever holds something to it.
#[cfg(test)]
pub(super) fn routes() -> impl Iterator<Item = (&'static Method, &'static str)> {
    ROUTES.iter().chain(SHUT).filter(|route| route.method != Method::OPTIONS).map(|route| (&route.method, route.path))
}

/// A version of Docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    pub(super) const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// Whether it is older than version 1.`minor`.
    pub(super) fn is_before(self, minor: u16) -> bool {
        self < Self::new(1, minor)
    }

    /// The version of a request without one in its path.
    fn newest() -> Self {
        Self::parse(API_VERSION).unwrap_or(Self::new(1, 51))
    }

    fn oldest() -> Self {
        Self::parse(MIN_API_VERSION).unwrap_or(Self::new(1, 24))
    }

    /// Says in dockerd's words why a version is not spoken here.
    fn check(self) -> Result<(), Failure> {
        if self < Self::oldest() {
            let message = format!(
                "client version {self} is too old. Minimum supported API version is {MIN_API_VERSION}, please upgrade your client to a newer version"
            );
            return Err(Failure::invalid(message));
        }
        if self > Self::newest() {
            return Err(Failure::invalid(format!("client version {self} is too new. Maximum supported API version is {API_VERSION}")));
        }
        Ok(())
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// Answers a request. What changes something is done to its end even when the client goes; what only looks or waits is not.
pub(super) async fn answer(engine: Engine, request: Request<Incoming>) -> Outcome {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let begun = tokio::time::Instant::now();
    let trace = trace_of(&parts.headers);
    let answered = async {
        let _span = trace::span(format!("{method} {path}"));
        let (version, handler, name) = find(&parts.method, parts.uri.path())?;
        version.check()?;
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let looks = matches!(parts.method, Method::GET | Method::HEAD);
        let call = Call { engine, version, name, query, headers: parts.headers, body };
        run(handler(call), looks).await
    };
    let mut outcome = match trace.scope(answered).await {
        Ok(outcome) => outcome,
        Err(failure) => {
            tracing::debug!(%method, path, kind = ?failure.kind, message = failure.message, "refused");
            match split_version(&path) {
                // Who speaks so old a version does not read errors in JSON either.
                (version, _) if version < ApiVersion::oldest() => answer::plain_failure(&failure).into(),
                _ => answer::failure(&failure).into(),
            }
        }
    };
    if let Outcome::Response(response) = &mut outcome {
        tracing::debug!(%method, path, status = response.status().as_u16(), took = ?begun.elapsed(), "answered");
        say_who(response.headers_mut());
    }
    outcome
}

/// The file that a client on this machine wants to see what it waited for in.
fn trace_of(headers: &HeaderMap) -> Trace {
    let path = headers.get(trace::HEADER).map(|value| PathBuf::from(OsStr::from_bytes(value.as_bytes())));
    // A connection is a task, and asks one thing at a time.
    let row = tokio::task::try_id().and_then(|id| id.to_string().parse().ok()).unwrap_or_default();
    let trace = Trace::to(path, std::process::id());
    trace.name_process("engine");
    trace.row(row)
}

/// Runs a handler apart from the connection, so that a panic in it is an answer of 500 and nothing more.
async fn run(handler: BoxFuture<'static, Result<Outcome, Failure>>, looks: bool) -> Result<Outcome, Failure> {
    let handler = Trace::current().scope(handler).in_current_span();
    let ended = if looks {
        // A set ends its tasks when it is dropped.
        let mut set = JoinSet::new();
        set.spawn(handler);
        set.join_next().await.unwrap_or_else(|| Ok(Err(panicked(None))))
    } else {
        tokio::spawn(handler).await
    };
    ended.unwrap_or_else(|error| Err(panicked(Some(&error))))
}

pub(super) fn panicked(error: Option<&JoinError>) -> Failure {
    tracing::error!(error = error.map(tracing::field::display), "a request ran into a bug of the engine");
    Failure::internal("the engine ran into a bug of its own at this request; its log tells more")
}

/// What every answer of dockerd says of the engine.
fn say_who(headers: &mut HeaderMap) {
    let mut say = |name: &'static str, value: &'static str| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    };
    say("api-version", API_VERSION);
    say("docker-experimental", "false");
    say("ostype", "linux");
    headers.insert(SERVER, HeaderValue::from_static(concat!("Gantry/", env!("CARGO_PKG_VERSION"), " (linux)")));
}

/// What is not to be kept by anyone on the way.
pub(super) fn forbid_caching(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

/// Finds what serves a path, and the name in it. A wrong method is a wrong page, as dockerd has it.
fn find(method: &Method, path: &str) -> Result<(ApiVersion, Handler, String), Failure> {
    let not_found = || Failure::not_found("page not found");
    let (version, path) = split_version(path);
    let pieces: Vec<&str> = path.strip_prefix('/').ok_or_else(not_found)?.trim_end_matches('/').split('/').collect();
    for route in ROUTES.iter().chain(SHUT).filter(|route| route.method == *method) {
        if let Some(name) = capture(route.path, &pieces) {
            return Ok((version, route.handler, query::decode(&name)?));
        }
    }
    Err(not_found())
}

/// Takes `/v1.43` off a path.
fn split_version(path: &str) -> (ApiVersion, &str) {
    let parse = || {
        let rest = path.strip_prefix("/v")?;
        let end = rest.find('/')?;
        Some((ApiVersion::parse(&rest[..end])?, &rest[end..]))
    };
    parse().unwrap_or((ApiVersion::newest(), path))
}

/// Says whether a path fits a pattern, and what the pattern's name stands for.
fn capture(pattern: &str, pieces: &[&str]) -> Option<String> {
    let words: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    let Some(place) = words.iter().position(|word| word.starts_with('{')) else {
        return (words == pieces).then(String::new);
    };
    let (head, tail) = (&words[..place], &words[place + 1..]);
    let length = pieces.len().checked_sub(head.len() + tail.len())?;
    let named = &pieces.get(place..place + length)?;
    let fits = length == 1 || (length > 1 && words[place].ends_with("*}"));
    let name = named.join("/");
    let ends =
        || pieces[place + length..].iter().zip(tail).all(|(piece, word)| piece == word || (word.starts_with('{') && !piece.is_empty()));
    (fits && !name.is_empty() && pieces.starts_with(head) && ends()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> Result<(String, String), String> {
        find(&method, path).map(|(version, _, name)| (version.to_string(), name)).map_err(|failure| failure.message)
    }

    #[test]
    fn paths_are_found_with_and_without_a_version() {
        let check = |method, path, version: &str, name: &str| {
            assert_eq!(found(method, path), Ok((version.to_owned(), name.to_owned())), "{path}");
        };
        check(Method::GET, "/_ping", API_VERSION, "");
        check(Method::HEAD, "/_ping", API_VERSION, "");
        check(Method::GET, "/v1.43/containers/json", "1.43", "");
        check(Method::GET, "/networks/", API_VERSION, "");
        check(Method::DELETE, "/containers/web-1", API_VERSION, "web-1");
        check(Method::GET, "/v1.41/images/127.0.0.1:5000/a/b:x/json", "1.41", "127.0.0.1:5000/a/b:x");
        check(Method::GET, "/images/redis%3A7/json", API_VERSION, "redis:7");
        check(Method::GET, "/images/json/json", API_VERSION, "json");
    }

    #[test]
    fn what_is_not_served_is_not_found() {
        let check = |method, path, expect: &str| assert_eq!(found(method, path), Err(expect.to_owned()), "{path}");
        check(Method::GET, "/", "page not found");
        check(Method::GET, "/v1.43", "page not found");
        check(Method::PUT, "/containers/json", "page not found");
        check(Method::GET, "/containers//json", "page not found");
        check(Method::GET, "/containers/a/b/json", "page not found");
        check(Method::DELETE, "/containers/a/checkpoints", "page not found");
    }

    #[test]
    fn versions_have_bounds_in_dockers_words() {
        let check = |text: &str| ApiVersion::parse(text).expect("a version").check().map_err(|failure| failure.message);
        assert_eq!(check("1.24"), Ok(()));
        assert_eq!(check(API_VERSION), Ok(()));
        let expect = format!("client version 1.99 is too new. Maximum supported API version is {API_VERSION}");
        assert_eq!(check("1.99"), Err(expect));
        let before = |text: &str| ApiVersion::parse(text).expect("a version").is_before(44);
        assert_eq!(["0.99", "1.9", "1.43", "1.44", "1.100"].map(before), [true, true, true, false, false]);
        assert!(check("1.9").expect_err("too old").starts_with("client version 1.9 is too old. Minimum supported API version is 1.24"));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        for looks in [true, false] {
            let failed = run(async { panic!("a bug") }.boxed(), looks).await.err().expect("a failure");
            assert!(failed.message.contains("bug"), "{failed}");
        }
    }
}
