//! What a control group has used: figures of version 2 where it has them, else of those hierarchies of version 1 that were joined.

use std::collections::BTreeMap;

use crate::engine::runtime::cgroup::Leaf;
use crate::engine::runtime::cgroup::group::Group;
use crate::resource::stats::{BlockUsage, Processor};

/// What a control group has used. What nobody counts is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupUsage {
    /// The processor; of the machine it knows nothing.
    pub processor: Processor,
    /// Memory: used, the limit if there is one, and the kernel's account.
    pub memory: Option<(u64, Option<u64>, BTreeMap<String, u64>)>,
    /// Tasks, and their limit if there is one.
    pub tasks: Option<(u64, Option<u64>)>,
    /// Block devices.
    pub block: Option<Vec<BlockUsage>>,
}

/// Above so much, a limit of version 1 is none (the kernel rounds the largest number down to pages).
const NONE: u64 = 1 << 62;

impl Leaf {
    /// Looks at what it has used.
    pub fn usage(&self) -> GroupUsage {
        let of = |controller: &str| {
            let legacy = self.legacy.iter().find(|legacy| legacy.controllers.iter().any(|known| known == controller));
            legacy.map(|legacy| &legacy.group)
        };
        let mut processor = processor(&self.unified.read("cpu.stat").unwrap_or_default());
        if let Some(group) = of("cpu") {
            let throttling = words(&group.read("cpu.stat").unwrap_or_default());
            let number = |word: &str| throttling.get(word).copied().unwrap_or(0);
            (processor.periods, processor.throttled_periods) = (number("nr_periods"), number("nr_throttled"));
            processor.throttled = number("throttled_time");
        }
        GroupUsage {
            processor,
            memory: match of("memory") {
                Some(group) => memory(group, "memory.usage_in_bytes", "memory.limit_in_bytes"),
                None => memory(&self.unified, "memory.current", "memory.max"),
            },
            tasks: tasks(of("pids").unwrap_or(&self.unified)),
            block: match of("blkio") {
                Some(group) => group.read("blkio.throttle.io_service_bytes_recursive").ok().map(|text| legacy_block(&text)),
                None => self.unified.read("io.stat").ok().map(|text| block(&text)),
            },
        }
    }
}

/// A limit that is one: not `max`, and not the largest number there is.
fn limit(group: &Group, name: &str) -> Option<u64> {
    group.bytes(name).filter(|limit| *limit < NONE)
}

fn memory(group: &Group, used: &str, most: &str) -> Option<(u64, Option<u64>, BTreeMap<String, u64>)> {
    let account = words(&group.read("memory.stat").unwrap_or_default());
    Some((group.bytes(used)?, limit(group, most), account))
}

fn tasks(group: &Group) -> Option<(u64, Option<u64>)> {
    Some((group.bytes("pids.current")?, limit(group, "pids.max")))
}

/// Numbers behind words, a line each.
fn words(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(word, number)| Some((word.to_owned(), number.trim().parse().ok()?)))
        .collect()
}

/// `cpu.stat` of version 2, which counts microseconds; it is there without a controller, too.
fn processor(text: &str) -> Processor {
    let words = words(text);
    let number = |word: &str| words.get(word).copied().unwrap_or(0);
    Processor {
        total: number("usage_usec") * 1_000,
        user: number("user_usec") * 1_000,
        kernel: number("system_usec") * 1_000,
        periods: number("nr_periods"),
        throttled_periods: number("nr_throttled"),
        throttled: number("throttled_usec") * 1_000,
        ..Processor::default()
    }
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `io.stat`: `8:0 rbytes=1 wbytes=2 …`.
fn block(text: &str) -> Vec<BlockUsage> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let device = device(fields.next()?)?;
        let mut usage = BlockUsage { device, ..BlockUsage::default() };
        for (word, number) in fields.filter_map(|field| field.split_once('=')) {
            match word {
                "rbytes" => usage.read = number.parse().ok()?,
                "wbytes" => usage.written = number.parse().ok()?,
                _ => {}
            }
        }
        Some(usage)
    };
    text.lines().filter_map(line).collect()
}

/// `blkio.throttle.io_service_bytes_recursive`: `8:0 Read 1`, a line for each device and operation.
fn legacy_block(text: &str) -> Vec<BlockUsage> {
    let mut found: BTreeMap<(u64, u64), BlockUsage> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [at, word, number] = fields[..] else { continue };
        let (Some(device), Ok(number)) = (device(at), number.parse::<u64>()) else { continue };
        let usage = found.entry(device).or_insert(BlockUsage { device, ..BlockUsage::default() });
        match word {
            "Read" => usage.read = number,
            "Write" => usage.written = number,
            _ => {}
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_both_versions_are_read() {
        let read = processor("usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 9\n");
        let expect = Processor {
            total: 5_000,
            user: 3_000,
            kernel: 2_000,
            periods: 7,
            throttled_periods: 1,
            throttled: 9_000,
            ..Processor::default()
        };
        assert_eq!(read, expect);
        let expect = [BlockUsage { device: (8, 16), read: 11, written: 22 }];
        assert_eq!(block("8:16 rbytes=11 wbytes=22 rios=1 wios=2 dbytes=0 dios=0\n254:0\n")[..1], expect);
        assert_eq!(legacy_block("8:16 Read 11\n8:16 Write 22\n8:16 Sync 33\nTotal 66\n"), expect);
    }
}
