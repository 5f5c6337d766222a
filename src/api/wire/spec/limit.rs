//! The limits within Docker's `HostConfig`.

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::Fields;
use crate::resource::container::{ContainerSpec, Resources, Ulimit};

/// Writes the limits, and the defaults of those we do not have.
pub(super) fn to_json(spec: &ContainerSpec, host: &mut Map<String, Value>) {
    let limits = &spec.resources;
    let ulimits: Vec<Value> =
        spec.ulimits.iter().map(|(name, limit)| json!({ "Name": name, "Hard": limit.hard, "Soft": limit.soft })).collect();
    let mut set = |name: &str, value: Value| host.insert(name.to_owned(), value);
    set("CpuShares", json!(limits.cpu_shares.unwrap_or_default()));
    set("Memory", json!(limits.memory.unwrap_or_default()));
    set("NanoCpus", json!(limits.nano_cpus.unwrap_or_default()));
    set("CgroupParent", json!(""));
    set("BlkioWeight", json!(0));
    for name in ["BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"] {
        set(name, Value::Null);
    }
    set("CpuPeriod", json!(limits.cpu_period.unwrap_or_default()));
    set("CpuQuota", json!(limits.cpu_quota.unwrap_or_default()));
    set("CpuRealtimePeriod", json!(0));
    set("CpuRealtimeRuntime", json!(0));
    set("CpusetCpus", json!(limits.cpuset.as_deref().unwrap_or_default()));
    set("CpusetMems", json!(limits.cpuset_mems.as_deref().unwrap_or_default()));
    set("MemoryReservation", json!(limits.memory_reservation.unwrap_or_default()));
    set("MemorySwap", json!(limits.memory_swap.unwrap_or_default()));
    set("MemorySwappiness", json!(limits.memory_swappiness));
    set("OomKillDisable", json!(limits.oom_kill_disable));
    // Less than none is no limit.
    set("PidsLimit", json!(limits.pids.filter(|&pids| pids > 0)));
    set("Ulimits", if ulimits.is_empty() { Value::Null } else { Value::Array(ulimits) });
    set("CpuCount", json!(0));
    set("CpuPercent", json!(0));
    set("IOMaximumIOps", json!(0));
    set("IOMaximumBandwidth", json!(0));
}

/// Reads the limits.
pub(super) fn from_fields(fields: &mut Fields, spec: &mut ContainerSpec) -> Result<(), WireError> {
    spec.resources = Resources {
        memory_swappiness: swappiness(fields)?,
        oom_kill_disable: fields.flag("OomKillDisable")?,
        pids: fields.signed("PidsLimit")?,
        ..changeable(fields)?
    };
    for value in fields.list("Ulimits")? {
        let mut limit = Fields::of(&fields.path("Ulimits"), value, fields.mood())?;
        let name = limit.text("Name")?.ok_or_else(|| WireError::malformed(limit.path("Name"), "a name"))?;
        let soft = limit.get("Soft", "an integer")?.unwrap_or_default();
        let hard = limit.get("Hard", "an integer")?.unwrap_or_default();
        limit.finish()?;
        spec.ulimits.insert(name, Ulimit { soft, hard });
    }
    Ok(())
}

/// Reads the limits that a container need not be made with, all but that of processes, which has a word of its own for "none".
pub(super) fn changeable(fields: &mut Fields) -> Result<Resources, WireError> {
    // Windows', of which dockerd on Linux takes no notice; and limits of the kernel's own memory, which it discards since kernels do.
    for name in ["CpuCount", "CpuPercent", "KernelMemory", "KernelMemoryTCP"] {
        fields.signed(name)?;
    }
    for (name, what) in [("IOMaximumIOps", "IOPs"), ("IOMaximumBandwidth", "bandwidth")] {
        fields.forbid(name, &format!("invalid option: QoS maximum {what} configuration is not supported on linux"))?;
    }
    for name in ["CpuRealtimePeriod", "CpuRealtimeRuntime"] {
        fields.forbid(name, "Your kernel does not support CPU real-time scheduler")?;
    }
    Ok(Resources {
        memory: fields.unsigned("Memory")?,
        memory_reservation: fields.unsigned("MemoryReservation")?,
        memory_swap: fields.signed("MemorySwap")?,
        nano_cpus: fields.unsigned("NanoCpus")?,
        cpu_shares: fields.unsigned("CpuShares")?,
        cpu_quota: fields.signed("CpuQuota")?,
        cpu_period: fields.unsigned("CpuPeriod")?,
        cpuset: fields.text("CpusetCpus")?,
        cpuset_mems: fields.text("CpusetMems")?,
        ..Resources::default()
    })
}

/// The command line sends -1 for "as the kernel has it".
fn swappiness(fields: &mut Fields) -> Result<Option<u64>, WireError> {
    match fields.get::<i64>("MemorySwappiness", "an integer")? {
        None | Some(-1) => Ok(None),
        Some(number) => match u64::try_from(number) {
            Ok(number) if number <= 100 => Ok(Some(number)),
            _ => Err(WireError::malformed(fields.path("MemorySwappiness"), "0 to 100")),
        },
    }
}
