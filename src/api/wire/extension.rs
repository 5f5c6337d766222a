//! What our own two ends say to each other beyond Docker's API. Another engine does not look at any of it.
//!
//! Objects of ours inside Docker's JSON are called `Gantry`, and live with what they extend: a spec, an event, an exit.

/// In the query of `GET /containers/json` and `GET /images/json`: every line is to tell all. One request instead of one and as many as
/// there are lines. Containers come in our own types ([`crate::api::wire::container::whole`]), an image as an inspect of it shows it
/// ([`is_whole`] tells such a line from Docker's).
pub const WHOLE: &str = "whole";

/// In the query of a stop or restart: the wait may be skipped where nobody can notice (`StopOptions::skip_deaf`).
pub const SKIP_DEAF: &str = "skip-deaf";

/// In the head of the answer to such a stop: nothing could notice, and the wait was skipped ([`crate::resource::container::Stopped`]).
pub const UNHEARD: &str = "gantry-unheard";

/// `POST` there stops every container and the engine; answered with 204 once the containers have ended.
pub const STOP_ENGINE: &str = "/gantry/stop";

/// `GET` there answers with what the engine wrote down of itself, as text.
pub const ENGINE_LOG: &str = "/gantry/log";

/// `GET` there answers with one look at everything a project may concern ([`crate::api::wire::observation`]): containers that `filters`
/// select, all networks and volumes, and what every `image` of the query means.
pub const OBSERVATION: &str = "/gantry/observation";

/// `GET` below there, with a running container's name, answers with `true` where any of its processes is at work.
pub const BUSY: &str = "/gantry/busy/{name}";

/// `POST` there turns the connection into that of one build ([`crate::api::wire::build::message`]).
pub const BUILD: &str = "/gantry/build";

/// `GET` there answers with all that builds keep, as a list of [`crate::resource::build::BuildCache`].
pub const BUILD_CACHE: &str = "/gantry/build/cache";

/// Whether a line of the list of images is what an inspect shows: there the root file system is an object.
pub fn is_whole(line: &serde_json::Value) -> bool {
    line.get("RootFS").is_some_and(serde_json::Value::is_object)
}
