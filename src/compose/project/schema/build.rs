//! The keys of `build`.

use crate::compose::project::schema::Shape::{Boolean, Bytes, Dictionary, Text, Texts};
use crate::compose::project::schema::service::SERVICE_FILE;
use crate::compose::project::schema::{Attribute, Form, HOSTS, NAMES, Shape, TEXTS, Unique, VALUES, not_yet};

/// The keys of `build`. A service that has an `image`, too, runs with what the name means here or in its registry.
pub(crate) const BUILD: &[Attribute] = &[
    not_yet("context", &Shape::Context, "The folder to build in, or the address of a repository; `.` when absent."),
    not_yet("dockerfile", &Text, "The Dockerfile, relative to the context."),
    not_yet("dockerfile_inline", &Text, "The Dockerfile itself."),
    not_yet("entitlements", &TEXTS, "What the build may do beside the usual."),
    not_yet("args", &Dictionary, "Build arguments; one without a value has that of the project's environment."),
    not_yet("provenance", &Shape::Setting, "Whether the image says how it was built."),
    not_yet("sbom", &Shape::Setting, "Whether the image says what it is made of."),
    not_yet("ssh", &Shape::Short(Form::Keys, &NAMES), "Agents and keys for the build, `default` or `ID=PATH`."),
    not_yet("labels", &Dictionary, "Labels of the image."),
    not_yet("cache_from", &TEXTS, "Where cached layers come from."),
    not_yet("cache_to", &TEXTS, "Where cached layers go to."),
    not_yet("no_cache", &Boolean, "Whether every step is done anew."),
    not_yet("no_cache_filter", &Texts, "The stages of which every step is done anew."),
    not_yet("additional_contexts", &Shape::Contexts, "Further folders, images and addresses by name."),
    not_yet("pull", &Boolean, "Whether the images it builds on are pulled anew."),
    not_yet("extra_hosts", &HOSTS, "Names and their addresses."),
    not_yet("isolation", &Text, "How the build is isolated."),
    not_yet("network", &Text, "The network of the build: host, none, or a name."),
    not_yet("target", &Text, "The stage to build."),
    not_yet(
        "secrets",
        &Shape::List(&Shape::Short(Form::Config, &Shape::Object(SERVICE_FILE)), Unique::Nothing),
        "Secrets of the project that the build may read.",
    ),
    not_yet("shm_size", &Bytes, "The size of /dev/shm."),
    not_yet("tags", &VALUES, "Further names of the image."),
    not_yet("ulimits", &Shape::Map(&Shape::Limit), "Limits of the build's processes."),
    not_yet("platforms", &TEXTS, "The platforms to build for."),
    not_yet("privileged", &Boolean, "Every capability and every device."),
];
