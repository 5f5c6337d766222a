//! Rules about system calls, free of any spelling.

/// What is done with a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Allow,
    /// It fails with this error number.
    Fail(u16),
    /// It is made, and the kernel's log tells of it.
    Log,
    /// A tracer is told this.
    Trace(u16),
    /// The thread gets SIGSYS.
    Trap,
    /// The thread ends.
    KillThread,
    /// The process ends.
    KillProcess,
}

impl Action {
    /// `SECCOMP_RET_…`.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap => 0x0003_0000,
            Self::Fail(number) => 0x0005_0000 | number as u32,
            Self::Trace(number) => 0x7ff0_0000 | number as u32,
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    Greater,
    /// `& mask ==`
    Masked {
        /// The mask.
        mask: u64,
    },
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Which of the six.
    pub(super) index: u8,
    /// How.
    pub(super) comparison: Comparison,
    /// With what.
    pub(super) value: u64,
}

/// What is done with some system calls where all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule<'a> {
    /// Their names; one that this machine does not know is passed over, as libseccomp passes it over.
    pub(super) names: Vec<&'a str>,
    /// The conditions.
    pub(super) conditions: Vec<Condition>,
    /// What is done.
    pub(super) action: Action,
}
