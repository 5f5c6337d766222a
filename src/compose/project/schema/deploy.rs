//! The keys of `deploy`: swarm's, all but a few without an effect outside a swarm.

use crate::compose::project::schema::Shape::{Bytes, Dictionary, Duration, Integer, Number, Text};
use crate::compose::project::schema::{Attribute, Print, Shape, TEXTS, Unique, VALUES, inert, not_yet, yes};

/// The keys of `deploy`.
pub(crate) const DEPLOY: &[Attribute] = &[
    inert("mode", &Text, "Whether there is one on every machine, in a swarm."),
    yes("replicas", &Integer, "How many containers; 1 when absent.").printed(Print::Always),
    inert("labels", &Dictionary, "Labels of the service, in a swarm."),
    inert("update_config", &Shape::Object(UPDATE), "How a swarm updates it."),
    inert("rollback_config", &Shape::Object(UPDATE), "How a swarm takes an update back."),
    yes("resources", &Shape::Object(RESOURCES), "What it may use.").printed(Print::Filled),
    yes("restart_policy", &Shape::Object(RESTART_POLICY), "What happens when it ends; stands above `restart`."),
    inert("placement", &Shape::Object(PLACEMENT), "Where a swarm puts it.").printed(Print::Filled),
    inert("endpoint_mode", &Text, "How a swarm finds it."),
];

/// The keys of `deploy.update_config` and `deploy.rollback_config`.
const UPDATE: &[Attribute] = &[
    inert("parallelism", &Integer, "How many at a time.").printed(Print::Always),
    inert("delay", &Duration, "From one to the next."),
    inert("failure_action", &Text, "What a failure sets off."),
    inert("monitor", &Duration, "How long one is looked at."),
    inert("max_failure_ratio", &Number, "How many may fail."),
    inert("order", &Shape::Word(&["start-first", "stop-first"]), "Whether the new one starts before the old one stops."),
];

/// The keys of `deploy.resources`.
const RESOURCES: &[Attribute] = &[
    yes("limits", &Shape::Object(LIMITS), "The most it may use."),
    yes("reservations", &Shape::Object(RESERVATIONS), "What is kept for it."),
];

/// The keys of `deploy.resources.limits`.
const LIMITS: &[Attribute] = &[
    yes("cpus", &Number, "How many processors; fractions are allowed."),
    yes("memory", &Bytes, "Memory, as in `512m`."),
    yes("pids", &Integer, "Processes."),
];

/// The keys of `deploy.resources.reservations`: processors and kinds of things are a scheduler's, of which there is none.
const RESERVATIONS: &[Attribute] = &[
    inert("cpus", &Number, "Processors, in a swarm."),
    yes("memory", &Bytes, "Memory that is left to it where memory is short."),
    not_yet("devices", &Shape::List(&Shape::Object(DEVICE_REQUEST_FULL), Unique::Nothing), "Devices, by what they can do."),
    inert("generic_resources", &Shape::List(&Shape::Object(GENERIC_RESOURCE), Unique::Nothing), "Things of other kinds, in a swarm."),
];

/// The keys of a request for devices.
pub(crate) const DEVICE_REQUEST: &[Attribute] = &[
    not_yet("capabilities", &VALUES, "What they can do: `gpu`, `tpu`…"),
    not_yet("driver", &Text, "The driver."),
    not_yet("count", &Shape::Count, "How many, or `all`.").printed(Print::Always),
    not_yet("device_ids", &VALUES, "Which ones, by the driver's names."),
    not_yet("options", &Dictionary, "Options of the driver."),
];

/// The same where what they can do must be said.
const DEVICE_REQUEST_FULL: &[Attribute] =
    &[DEVICE_REQUEST[0].needed(), DEVICE_REQUEST[1], DEVICE_REQUEST[2], DEVICE_REQUEST[3], DEVICE_REQUEST[4]];

/// The keys of an entry of `generic_resources`.
const GENERIC_RESOURCE: &[Attribute] =
    &[inert("discrete_resource_spec", &Shape::Object(DISCRETE_RESOURCE), "A number of things of a kind.")];

/// The keys of `discrete_resource_spec`.
const DISCRETE_RESOURCE: &[Attribute] = &[inert("kind", &Text, "The kind."), inert("value", &Integer, "The number.")];

/// The keys of `deploy.restart_policy`.
const RESTART_POLICY: &[Attribute] = &[
    yes("condition", &Text, "When: none, on-failure or any."),
    inert("delay", &Duration, "From the end to the next start, in a swarm."),
    yes("max_attempts", &Integer, "How often.").printed(Print::Always),
    inert("window", &Duration, "How long one must run to count as started, in a swarm."),
];

/// The keys of `deploy.placement`.
const PLACEMENT: &[Attribute] = &[
    inert("constraints", &TEXTS, "On which machines."),
    inert("preferences", &Shape::List(&Shape::Object(PREFERENCE), Unique::Nothing), "How they are spread."),
    inert("max_replicas_per_node", &Integer, "The most on one machine."),
];

/// The keys of a preference of `deploy.placement`.
const PREFERENCE: &[Attribute] = &[inert("spread", &Text, "Over the values of what label.")];
