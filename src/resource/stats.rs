//! What a container uses of its machine.

use std::collections::BTreeMap;

use crate::resource::id::ContainerId;
use crate::resource::name::ContainerName;
use crate::resource::time::Timestamp;

/// One look at a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerStats {
    /// Which it is.
    pub id: ContainerId,
    /// What it is called.
    pub name: ContainerName,
    /// What it uses; absent where it does not run.
    pub usage: Option<Usage>,
    /// What it used of the processor at the look before; absent at the first.
    pub before: Option<(Timestamp, Processor)>,
}

/// What a container that runs uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// When it was looked at.
    pub read: Timestamp,
    /// The processor.
    pub processor: Processor,
    /// Memory.
    pub memory: Memory,
    /// Processes and threads.
    pub tasks: u64,
    /// How many of them it may have; absent where there is no limit.
    pub task_limit: Option<u64>,
    /// What was read from and written to block devices.
    pub block: Vec<BlockUsage>,
    /// Its interfaces, by name.
    pub networks: BTreeMap<String, NetworkUsage>,
}

/// Use of the processor since the start, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// All of it.
    pub total: u64,
    /// In programs.
    pub user: u64,
    /// In the kernel.
    pub kernel: u64,
    /// What all processors of the machine counted meanwhile, idle time included.
    pub machine: u64,
    /// How many processors there are.
    pub count: u32,
    /// Periods of its quota.
    pub periods: u64,
    /// Periods in which the quota was used up.
    pub throttled_periods: u64,
    /// How long it was held back for it.
    pub throttled: u64,
}

/// Use of memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it, files that the kernel keeps for it included.
    pub used: u64,
    /// How much it may have: its limit, or all that the machine has.
    pub limit: u64,
    /// The kernel's own account, by its own words; empty where there is none.
    pub account: BTreeMap<String, u64>,
}

impl Memory {
    /// What it uses without files that nobody looked at lately: what Docker shows.
    pub fn used_without_cache(&self) -> u64 {
        let inactive = self.account.get("total_inactive_file").or_else(|| self.account.get("inactive_file"));
        inactive.filter(|inactive| **inactive < self.used).map_or(self.used, |inactive| self.used - inactive)
    }
}

/// Use of one block device, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockUsage {
    /// The device's numbers.
    pub device: (u64, u64),
    /// Read.
    pub read: u64,
    /// Written.
    pub written: u64,
}

/// Use of one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkUsage {
    /// Bytes received.
    pub received: u64,
    /// Packets received.
    pub received_packets: u64,
    /// Receptions that failed.
    pub received_errors: u64,
    /// Packets received and dropped.
    pub received_dropped: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Sendings that failed.
    pub sent_errors: u64,
    /// Packets dropped instead of sent.
    pub sent_dropped: u64,
}
