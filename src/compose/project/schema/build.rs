//! The keys of `build`.

use crate::compose::project::schema::Shape::{Boolean, Bytes, Dictionary, Text, Texts};
use crate::compose::project::schema::service::SERVICE_FILE;
use crate::compose::project::schema::{Attribute, Form, HOSTS, NAMES, Shape, TEXTS, Unique, VALUES, inert, yes};

/// The keys of `build`. A service that has an `image`, too, is built where neither this engine nor a registry has that.
pub(crate) const BUILD: &[Attribute] = &[
    yes(
        "context",
        &Shape::Context,
        "The folder to build in; `.` when absent. Addresses of repositories are refused where something is to be built.",
    ),
    yes("dockerfile", &Text, "The Dockerfile, relative to the context."),
    yes("dockerfile_inline", &Text, "The Dockerfile itself."),
    yes("entitlements", &TEXTS, "What the build may do beside the usual: `network.host`, which needs none here; others are refused."),
    yes("args", &Dictionary, "Build arguments; one without a value has that of the project's environment."),
    yes("provenance", &Shape::Setting, "Whether the image says how it was built; it does not, and all but `false` is refused."),
    yes("sbom", &Shape::Setting, "Whether the image says what it is made of; it does not, and all but `false` is refused."),
    yes("ssh", &Shape::Short(Form::Keys, &NAMES), "Agents for the build, `default` or `ID=PATH` of an agent's socket."),
    yes("labels", &Dictionary, "Labels of the image."),
    yes("cache_from", &TEXTS, "Images built by Gantry that steps may come from; other kinds of cache are not read, which is told."),
    yes(
        "cache_to",
        &TEXTS,
        "Where cached steps go to: `type=inline` is always the case, others are refused, for the engine keeps its own.",
    ),
    yes("no_cache", &Boolean, "Whether every step is done anew."),
    yes("no_cache_filter", &Texts, "The stages of which every step is done anew."),
    yes(
        "additional_contexts",
        &Shape::Contexts,
        "Further folders, images (`docker-image://NAME`) and built services (`service:NAME`) by name; other addresses are refused.",
    ),
    yes("pull", &Boolean, "Whether the images it builds on are pulled anew."),
    yes("extra_hosts", &HOSTS, "Names and their addresses."),
    inert("isolation", &Text, "How the build is isolated, on Windows."),
    yes("network", &Text, "The network of the build: host, none, or a name."),
    yes("target", &Text, "The stage to build."),
    yes(
        "secrets",
        &Shape::List(&Shape::Short(Form::Config, &Shape::Object(SERVICE_FILE)), Unique::Nothing),
        "Secrets of the project that the build may read.",
    ),
    yes("shm_size", &Bytes, "The size of /dev/shm."),
    yes("tags", &VALUES, "Further names of the image."),
    yes("ulimits", &Shape::Map(&Shape::Limit), "Limits of the build's processes."),
    yes("platforms", &TEXTS, "The platform to build for; of several, `up` builds the service's own, and `build` refuses them."),
    yes("privileged", &Boolean, "Every capability and every device; refused, for a build has the rights of an ordinary container."),
];
