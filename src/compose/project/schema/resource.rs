//! The keys of networks, volumes, secrets, configs and models.

use crate::compose::project::schema::Shape::{Boolean, Dictionary, Text};
use crate::compose::project::schema::{Attribute, Print, Shape, Unique, inert, not_yet, yes};

/// The keys of a network.
pub(crate) const NETWORK: &[Attribute] = &[
    yes("name", &Text, "Its name in the engine; `PROJECT_KEY` when absent."),
    yes("driver", &Text, "The driver."),
    yes("driver_opts", &Shape::Options, "Options of the driver."),
    yes("ipam", &Shape::Object(IPAM), "Its addresses.").printed(Print::Filled),
    yes("external", &Boolean, "Whether it exists already and is not the project's to make or remove."),
    yes("internal", &Boolean, "Whether it leads nowhere else."),
    yes("attachable", &Boolean, "Whether others may join it, in a swarm."),
    yes("labels", &Dictionary, "Labels."),
    yes("enable_ipv4", &Boolean, "Whether it has addresses of version 4; it has unless this is `false`.").printed(Print::Always),
    yes("enable_ipv6", &Boolean, "Whether it has addresses of version 6.").printed(Print::Always),
];

/// The keys of `ipam`.
const IPAM: &[Attribute] = &[
    yes("driver", &Text, "The driver."),
    yes("config", &Shape::List(&Shape::Object(IPAM_POOL), Unique::Within("subnet")), "Address pools."),
    yes("options", &Shape::Options, "Options of the driver."),
];

/// The keys of an address pool.
const IPAM_POOL: &[Attribute] = &[
    yes("subnet", &Text, "The block of addresses, as in `172.28.0.0/16`."),
    yes("gateway", &Text, "The address of the host."),
    yes("ip_range", &Text, "The part that addresses are taken from."),
    yes("aux_addresses", &Shape::Options, "Addresses that are not given to anyone, by name."),
];

/// The keys of a volume.
pub(crate) const VOLUME: &[Attribute] = &[
    yes("name", &Text, "Its name in the engine; `PROJECT_KEY` when absent."),
    yes("driver", &Text, "The driver."),
    yes("driver_opts", &Shape::Options, "Options of the driver."),
    yes("external", &Boolean, "Whether it exists already and is not the project's to make or remove."),
    yes("labels", &Dictionary, "Labels."),
];

/// The keys of a secret.
pub(crate) const SECRET: &[Attribute] = &[
    yes("name", &Text, "Its name; `PROJECT_KEY` when absent."),
    yes("file", &Shape::Path, "The file it is in."),
    yes("environment", &Text, "The variable it is in."),
    yes("external", &Boolean, "Whether a swarm has it."),
    inert("labels", &Dictionary, "Labels, in a swarm."),
    not_yet("driver", &Text, "The driver, in a swarm."),
    not_yet("driver_opts", &Shape::Options, "Options of the driver, in a swarm."),
    not_yet("template_driver", &Text, "What fills in its template, in a swarm."),
];

/// The keys of a config.
pub(crate) const CONFIG: &[Attribute] = &[
    yes("name", &Text, "Its name; `PROJECT_KEY` when absent."),
    yes("file", &Shape::Path, "The file it is in."),
    yes("environment", &Text, "The variable it is in."),
    yes("content", &Text, "What is in it."),
    yes("external", &Boolean, "Whether a swarm has it."),
    inert("labels", &Dictionary, "Labels, in a swarm."),
    not_yet("template_driver", &Text, "What fills in its template, in a swarm."),
];

/// The keys of a model.
pub(crate) const MODEL: &[Attribute] = &[
    not_yet("name", &Text, "Its name; `PROJECT_KEY` when absent."),
    not_yet("model", &Text, "The model, as a registry has it.").needed(),
    not_yet("context_size", &Shape::Strict, "How many tokens it sees."),
    not_yet("runtime_flags", &Shape::List(&Text, Unique::Nothing), "Flags of what runs it."),
];
