//! What a container uses, as a line of `GET /containers/{id}/stats`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::time;
use crate::resource::stats::{BlockUsage, ContainerStats, Memory, NetworkUsage, Processor, Usage};
use crate::resource::time::Timestamp;

/// Writes a look. Of a container that does not run, only which it is.
pub fn to_json(stats: &ContainerStats) -> Value {
    let usage = stats.usage.as_ref();
    let (preread, before) = match &stats.before {
        Some((read, before)) => (Some(*read), Some(before)),
        None => (None, None),
    };
    let memory = usage.map_or_else(|| json!({}), |usage| memory_to_json(&usage.memory));
    let mut value = json!({
        "name": format!("/{}", stats.name),
        "id": stats.id,
        "read": time::to_json(usage.map(|usage| usage.read)),
        "preread": time::to_json(preread),
        "pids_stats": usage.map_or_else(|| json!({}), pids_to_json),
        "blkio_stats": block_to_json(usage.map(|usage| usage.block.as_slice())),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": processor_to_json(usage.map(|usage| &usage.processor)),
        "precpu_stats": processor_to_json(before),
        "memory_stats": memory,
    });
    if let Some(usage) = usage.filter(|usage| !usage.networks.is_empty()) {
        let networks: Map<String, Value> = usage.networks.iter().map(|(name, usage)| (name.clone(), network_to_json(usage))).collect();
        value["networks"] = Value::Object(networks);
    }
    value
}

fn pids_to_json(usage: &Usage) -> Value {
    // Docker's word for no limit is the largest number there is.
    json!({ "current": usage.tasks, "limit": usage.task_limit.unwrap_or(u64::MAX) })
}

fn memory_to_json(memory: &Memory) -> Value {
    json!({ "usage": memory.used, "stats": memory.account, "limit": memory.limit })
}

fn processor_to_json(processor: Option<&Processor>) -> Value {
    let none = Processor::default();
    let it = processor.unwrap_or(&none);
    let mut value = json!({
        "cpu_usage": { "total_usage": it.total, "usage_in_kernelmode": it.kernel, "usage_in_usermode": it.user },
        "throttling_data": { "periods": it.periods, "throttled_periods": it.throttled_periods, "throttled_time": it.throttled },
    });
    if it.machine > 0 {
        value["system_cpu_usage"] = json!(it.machine);
        value["online_cpus"] = json!(it.count);
    }
    value
}

fn block_to_json(block: Option<&[BlockUsage]>) -> Value {
    let bytes = |it: &BlockUsage| {
        let line = |op: &str, value: u64| json!({ "major": it.device.0, "minor": it.device.1, "op": op, "value": value });
        [line("read", it.read), line("write", it.written)]
    };
    let bytes: Option<Vec<Value>> = block.map(|block| block.iter().flat_map(bytes).collect());
    json!({
        "io_service_bytes_recursive": bytes.filter(|bytes| !bytes.is_empty()),
        "io_serviced_recursive": null,
        "io_queue_recursive": null,
        "io_service_time_recursive": null,
        "io_wait_time_recursive": null,
        "io_merged_recursive": null,
        "io_time_recursive": null,
        "sectors_recursive": null,
    })
}

fn network_to_json(usage: &NetworkUsage) -> Value {
    json!({
        "rx_bytes": usage.received,
        "rx_packets": usage.received_packets,
        "rx_errors": usage.received_errors,
        "rx_dropped": usage.received_dropped,
        "tx_bytes": usage.sent,
        "tx_packets": usage.sent_packets,
        "tx_errors": usage.sent_errors,
        "tx_dropped": usage.sent_dropped,
    })
}

/// Reads a look.
pub fn from_json(body: Value) -> Result<ContainerStats, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let missing = |name: &'static str| move || WireError::malformed(name, "a container's");
    let id = fields.text("id")?.and_then(|id| id.parse().ok()).ok_or_else(missing("id"))?;
    let name = fields.text("name")?.and_then(|name| name.trim_start_matches('/').parse().ok()).ok_or_else(missing("name"))?;
    let read = fields.text("read")?.and_then(|text| time::from_text(&text));
    let before = fields.text("preread")?.and_then(|text| time::from_text(&text));
    let before = before.map(|read| processor(fields.object("precpu_stats")?).map(|before| (read, before))).transpose()?;
    let usage = read.map(|read| usage(read, &mut fields)).transpose()?;
    Ok(ContainerStats { id, name, usage, before })
}

fn usage(read: Timestamp, fields: &mut Fields) -> Result<Usage, WireError> {
    let mut memory = fields.object("memory_stats")?;
    let mut pids = fields.object("pids_stats")?;
    Ok(Usage {
        read,
        processor: processor(fields.object("cpu_stats")?)?,
        memory: Memory {
            used: memory.unsigned("usage")?.unwrap_or_default(),
            limit: memory.unsigned("limit")?.unwrap_or_default(),
            account: memory.get("stats", "numbers")?.unwrap_or_default(),
        },
        tasks: pids.unsigned("current")?.unwrap_or_default(),
        task_limit: pids.unsigned("limit")?.filter(|limit| *limit < u64::MAX),
        block: block(&mut fields.object("blkio_stats")?)?,
        networks: networks(fields)?,
    })
}

fn processor(mut fields: Fields) -> Result<Processor, WireError> {
    let mut used = fields.object("cpu_usage")?;
    let mut throttling = fields.object("throttling_data")?;
    let number = |fields: &mut Fields, name: &str| Ok(fields.unsigned(name)?.unwrap_or_default());
    Ok(Processor {
        total: number(&mut used, "total_usage")?,
        user: number(&mut used, "usage_in_usermode")?,
        kernel: number(&mut used, "usage_in_kernelmode")?,
        machine: number(&mut fields, "system_cpu_usage")?,
        count: fields.get("online_cpus", "a number")?.unwrap_or_default(),
        periods: number(&mut throttling, "periods")?,
        throttled_periods: number(&mut throttling, "throttled_periods")?,
        throttled: number(&mut throttling, "throttled_time")?,
    })
}

fn block(fields: &mut Fields) -> Result<Vec<BlockUsage>, WireError> {
    let mut found: BTreeMap<(u64, u64), BlockUsage> = BTreeMap::new();
    for line in fields.list("io_service_bytes_recursive")? {
        let mut line = Fields::of("blkio_stats", line, Mood::Answer)?;
        let device = (line.unsigned("major")?.unwrap_or_default(), line.unsigned("minor")?.unwrap_or_default());
        let value = line.unsigned("value")?.unwrap_or_default();
        let usage = found.entry(device).or_insert(BlockUsage { device, ..BlockUsage::default() });
        match line.text("op")?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "read" => usage.read += value,
            "write" => usage.written += value,
            _ => {}
        }
    }
    Ok(found.into_values().collect())
}

fn networks(fields: &mut Fields) -> Result<BTreeMap<String, NetworkUsage>, WireError> {
    let mut found = BTreeMap::new();
    for (name, value) in fields.entries("networks")? {
        let mut line = Fields::of(&name, value, Mood::Answer)?;
        let mut number = |name: &str| -> Result<u64, WireError> { Ok(line.unsigned(name)?.unwrap_or_default()) };
        let usage = NetworkUsage {
            received: number("rx_bytes")?,
            received_packets: number("rx_packets")?,
            received_errors: number("rx_errors")?,
            received_dropped: number("rx_dropped")?,
            sent: number("tx_bytes")?,
            sent_packets: number("tx_packets")?,
            sent_errors: number("tx_errors")?,
            sent_dropped: number("tx_dropped")?,
        };
        found.insert(name, usage);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::id::ContainerId;

    #[test]
    fn a_look_survives() {
        let processor = Processor { total: 5, user: 3, kernel: 2, machine: 90, count: 2, periods: 4, throttled_periods: 1, throttled: 8 };
        let usage = Usage {
            read: Timestamp::from_nanos(1_500_000_000_000_000_000),
            processor: processor.clone(),
            memory: Memory { used: 10, limit: 20, account: BTreeMap::from([("inactive_file".to_owned(), 4)]) },
            tasks: 3,
            task_limit: None,
            block: vec![BlockUsage { device: (8, 0), read: 1, written: 2 }],
            networks: BTreeMap::from([("eth0".to_owned(), NetworkUsage { received: 7, sent: 9, ..NetworkUsage::default() })]),
        };
        let mut stats = ContainerStats {
            id: ContainerId::from_bytes([1; 32]),
            name: "web".parse().expect("a name"),
            usage: Some(usage),
            before: Some((Timestamp::from_nanos(1_400_000_000_000_000_000), processor)),
        };
        assert_eq!(from_json(to_json(&stats)).expect("good"), stats);
        (stats.usage, stats.before) = (None, None);
        assert_eq!(from_json(to_json(&stats)).expect("good"), stats);
        assert!(from_json(json!({ "name": "/x" })).is_err());
    }
}
