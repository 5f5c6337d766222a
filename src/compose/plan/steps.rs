//! A plan: operations in topological order, each with a cause and with what it runs after.

use std::fmt;

use crate::compose::plan::cause::Cause;
use crate::resource::name::{ContainerName, NetworkName, ServiceName};
use crate::resource::operation::{Condition, Operation};

/// A step of one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(usize);

impl StepId {
    /// Its place in the plan, from 0.
    pub const fn index(self) -> usize {
        self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.0 + 1)
    }
}

/// One operation of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is to be done.
    pub operation: Operation,
    /// The steps that must be done before.
    pub after: Vec<StepId>,
    /// Why.
    pub cause: Cause,
}

/// Something a user should know that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Containers of the project whose service the files do not name.
    Orphans(Vec<ContainerName>),
    /// A network of that name exists, but no project made it, or another one did.
    ForeignNetwork(NetworkName),
    /// A volume of that name exists, but no project made it, or another one did.
    ForeignVolume(String),
    /// A volume exists with another definition; its data is kept.
    VolumeDiffers(String),
    /// A service is scaled to nothing although others wait for it.
    NothingToAwait(ServiceName),
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Docker Compose's words: scripts match them.
            Self::Orphans(names) => write!(
                formatter,
                "Found orphan containers ([{}]) for this project. If you removed or renamed this service in your compose file, you can \
                 run this command with the --remove-orphans flag to clean it up.",
                names.iter().map(ContainerName::as_str).collect::<Vec<_>>().join(" ")
            ),
            Self::ForeignNetwork(name) => write!(
                formatter,
                "a network with name {name} exists but was not created by this project; set `external: true` to use an existing network"
            ),
            Self::ForeignVolume(name) => write!(
                formatter,
                "volume \"{name}\" already exists but was not created by this project; use `external: true` to use an existing volume"
            ),
            Self::VolumeDiffers(name) => write!(
                formatter,
                "volume \"{name}\" exists but doesn't match its definition in the compose file; it is kept as it is, with its data \
                 (`gantry up -y` makes it anew, without them)"
            ),
            Self::NothingToAwait(service) => write!(formatter, "service \"{service}\" has no container to wait for"),
        }
    }
}

/// What is to be done, and why. Ids come only from [`Plan::push`], so a cycle cannot be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    steps: Vec<Step>,
    /// Containers that are as wanted and run already.
    pub kept: Vec<ContainerName>,
    /// What a user should know.
    pub warnings: Vec<Warning>,
}

impl Plan {
    /// Adds an operation that runs after the steps given, which are steps of this plan.
    pub fn push(&mut self, operation: Operation, after: impl IntoIterator<Item = StepId>, cause: Cause) -> StepId {
        let mut after: Vec<StepId> = after.into_iter().collect();
        after.sort_unstable();
        after.dedup();
        debug_assert!(after.iter().all(|id| id.0 < self.steps.len()), "a step runs after steps of the same plan");
        self.steps.push(Step { operation, after, cause });
        StepId(self.steps.len() - 1)
    }

    /// The steps; each comes after those it runs after.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The first step whose operation is such.
    pub(super) fn find(&self, is: impl Fn(&Operation) -> bool) -> Option<StepId> {
        self.steps.iter().position(|step| is(&step.operation)).map(StepId)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Plan {
    /// Writes one line an operation: the dry run, and what tests compare.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            write!(formatter, "{} {}", StepId(index), Sentence(&step.operation))?;
            if !step.after.is_empty() {
                let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
                write!(formatter, " after {}", after.join(" "))?;
            }
            writeln!(formatter, " ({})", step.cause)?;
        }
        Ok(())
    }
}

/// An operation in words.
struct Sentence<'a>(&'a Operation);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Operation::PullImage { image, .. } => write!(formatter, "pull image {image}"),
            Operation::PushImage { image } => write!(formatter, "push image {image}"),
            Operation::BuildImage { image, .. } => write!(formatter, "build image {image}"),
            Operation::CreateNetwork { name, .. } => write!(formatter, "create network {name}"),
            Operation::RemoveNetwork { name } => write!(formatter, "remove network {name}"),
            Operation::CreateVolume { name, .. } => write!(formatter, "create volume {name}"),
            Operation::RemoveVolume { name } => write!(formatter, "remove volume {name}"),
            Operation::RemoveImage { name } => write!(formatter, "remove image {name}"),
            Operation::CreateContainer { name, .. } => write!(formatter, "create container {name}"),
            Operation::RenameContainer { from, to } => write!(formatter, "rename container {from} to {to}"),
            Operation::ConnectNetwork { network, container, .. } => write!(formatter, "connect container {container} to {network}"),
            Operation::DisconnectNetwork { network, container } => write!(formatter, "disconnect container {container} from {network}"),
            Operation::UnpauseContainer { name } => write!(formatter, "unpause container {name}"),
            Operation::StartContainer { name } => write!(formatter, "start container {name}"),
            Operation::AwaitContainer { name, condition, required, .. } => {
                let wanted = match condition {
                    Condition::Started => "runs",
                    Condition::Healthy => "is healthy",
                    Condition::Completed => "has completed",
                };
                let optional = if *required { "" } else { ", or fails" };
                write!(formatter, "wait until container {name} {wanted}{optional}")
            }
            Operation::RunHook { container, kind, index, .. } => write!(formatter, "run {}[{index}] in container {container}", kind.word()),
            Operation::RunPreStart { name, service, index, .. } => {
                write!(formatter, "run pre_start[{index}] of {service} in container {name}")
            }
            Operation::StopContainer { name, .. } => write!(formatter, "stop container {name}"),
            Operation::RemoveContainer { name, .. } => write!(formatter, "remove container {name}"),
        }
    }
}
