//! What builds keep for builds to come: told of, removed when asked, and within bounds without being asked.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::engine::filter::Filters;
use crate::engine::image::step::StepRecord;
use crate::resource::build::{BuildCache, BuildPrune};
use crate::resource::event::EventKind;
use crate::resource::failure::Failure;
use crate::resource::id::Digest;
use crate::resource::time::Timestamp;

/// So many bytes are kept for builds to come; beyond them, what was not needed for longest goes.
const BOUND: u64 = 20 << 30;
/// So many steps are remembered at most: also one that changed nothing has a file, and a place in memory.
const STEPS: usize = 10_000;

impl Engine {
    /// Returns what builds keep, the least recently used first.
    pub fn build_cache(&self) -> Vec<BuildCache> {
        let steps = self.shared.images.workshop().steps().into_iter().map(|(key, record, in_use, size)| BuildCache {
            id: key.hex(),
            name: record.name,
            mount: false,
            in_use,
            size,
            created: record.created,
            used: record.used,
        });
        let mut all: Vec<BuildCache> = steps.chain(self.shared.caches.list()).collect();
        all.sort_by(|one, other| one.used.cmp(&other.used).then_with(|| one.id.cmp(&other.id)));
        all
    }

    /// Removes what builds keep and nothing uses, what was not needed for longest first: steps, cache mounts, contexts; returns what it was,
    /// and the bytes that it took. Filters are `until`, `id`, `type` (`regular` or `exec.cachemount`) and `inuse`, as BuildKit has them.
    pub async fn prune_build_cache(&self, prune: &BuildPrune) -> Result<(Vec<String>, u64), Failure> {
        let (engine, prune) = (self.clone(), prune.clone());
        let pruned = tokio::task::spawn_blocking(move || engine.prune_now(&prune)).await;
        pruned.map_err(|error| Failure::internal(format!("the prune was given up: {error}")))?
    }

    fn prune_now(&self, prune: &BuildPrune) -> Result<(Vec<String>, u64), Failure> {
        let named = renamed(&prune.filters);
        let filters = Filters::of(&named, &["until", "id", "type", "inuse", "label", "label!"])?;
        // `docker system prune` asks everything for its labels, and what builds keep has none.
        let labelled = filters.labels(&BTreeMap::new());
        let (until, in_use) = (filters.until()?, filters.flag("inuse")?);
        let kind = |entry: &BuildCache| if entry.mount { "exec.cachemount" } else { "regular" };
        let workshop = self.shared.images.workshop();
        let all = self.build_cache();
        let mut layers = Layers::of(&workshop.steps());
        let mut kept: u64 = layers.bytes() + all.iter().filter(|entry| entry.mount).map(|entry| entry.size).sum::<u64>();
        let (mut removed, mut bytes) = (Vec::new(), 0);
        for entry in all {
            // What made an image that is still here makes it again at once; only `all` gives that up.
            let selected = labelled
                && (prune.all || !entry.in_use)
                && until.is_none_or(|until| entry.used < until)
                && (filters.values("id").is_empty() || filters.any("id", |id| entry.id.starts_with(id)))
                && (filters.values("type").is_empty() || filters.any("type", |wanted| wanted == kind(&entry)))
                && in_use.is_none_or(|wanted| wanted == entry.in_use)
                && prune.keep.is_none_or(|keep| kept > keep);
            if !selected {
                continue;
            }
            let mut size = entry.size;
            if entry.mount {
                if !self.shared.caches.remove(&entry.id)? {
                    continue;
                }
            } else if let Ok(key) = format!("sha256:{}", entry.id).parse() {
                workshop.forget(&key)?;
                size = layers.give_up(&key);
            }
            kept -= size;
            // A layer that an image has stays with the image.
            bytes += if entry.in_use { 0 } else { size };
            removed.push(entry.id);
        }
        drop(workshop);
        if prune.keep.is_none() && prune.filters.is_empty() {
            for (key, size) in self.shared.contexts.prune() {
                removed.push(key.hex());
                bytes += size;
            }
        }
        self.tell_prune(EventKind::Builder, bytes);
        Ok((removed, bytes))
    }

    /// Forgets the steps that were not needed for longest, until what is kept is within bounds. Cache mounts are whoever's who asked for
    /// them: only a prune removes them. Blocks.
    pub(super) fn keep_within_bounds(&self) {
        let workshop = self.shared.images.workshop();
        for key in beyond(workshop.steps(), BOUND, STEPS) {
            if let Err(error) = workshop.forget(&key) {
                tracing::warn!(%error, "a step of a build cannot be forgotten");
            }
        }
    }
}

/// A step that is remembered, whether an image has its layer, and the bytes of that.
type Remembered = (Digest, StepRecord, bool, u64);

/// The layers of steps: several may have come to the same one, which goes with the last of them.
struct Layers {
    of_steps: BTreeMap<Digest, Digest>,
    /// How many steps have it, and its bytes.
    known: BTreeMap<Digest, (usize, u64)>,
}

impl Layers {
    fn of<'a>(steps: impl IntoIterator<Item = &'a Remembered>) -> Self {
        let (mut of_steps, mut known) = (BTreeMap::new(), BTreeMap::new());
        for (key, record, _, size) in steps {
            let Some(layer) = record.layer else { continue };
            of_steps.insert(*key, layer);
            known.entry(layer).or_insert((0, *size)).0 += 1;
        }
        Self { of_steps, known }
    }

    fn bytes(&self) -> u64 {
        self.known.values().map(|(_, size)| size).sum()
    }

    /// Gives a step up; returns the bytes of its layer if it was the last that has it.
    fn give_up(&mut self, key: &Digest) -> u64 {
        let Some(layer) = self.of_steps.remove(key) else { return 0 };
        let Some((count, size)) = self.known.get_mut(&layer) else { return 0 };
        let size = *size;
        *count -= 1;
        if *count > 0 {
            return 0;
        }
        self.known.remove(&layer);
        size
    }
}

/// The steps that are too many: those whose layers no image has, the least recently used first, until so many bytes of layers and so many
/// steps are left; of those that images have, the number alone counts.
fn beyond(mut steps: Vec<Remembered>, bytes: u64, count: usize) -> Vec<Digest> {
    let mut layers = Layers::of(steps.iter().filter(|(_, _, in_use, _)| !in_use));
    // A layer is as new as the newest step that came to it.
    let mut newest: BTreeMap<Digest, Timestamp> = BTreeMap::new();
    for (_, record, ..) in &steps {
        if let Some(layer) = record.layer {
            let used = newest.entry(layer).or_insert(record.used);
            *used = record.used.max(*used);
        }
    }
    let used = |record: &StepRecord| record.layer.and_then(|layer| newest.get(&layer).copied()).unwrap_or(record.used);
    steps.sort_by_key(|(key, record, in_use, _)| (*in_use, used(record), *key));
    let (mut left, mut kept, mut lost) = (steps.len(), layers.bytes(), Vec::new());
    for (key, record, in_use, _) in &steps {
        let is_too_much = kept > bytes && !in_use && record.layer.is_some();
        if left > count || is_too_much {
            kept -= layers.give_up(key);
            left -= 1;
            lost.push(*key);
        }
    }
    lost
}

/// BuildKit's newer name of `until`, as the older one.
fn renamed(filters: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let name = |key: &str| if key == "unused-for" { "until".to_owned() } else { key.to_owned() };
    filters.iter().map(|(key, values)| (name(key), values.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::from_bytes([number; 32])
    }

    /// A step: its key, its layer, when it was used, whether an image has the layer, and the bytes of that.
    fn step((key, layer, used, in_use, size): (u8, Option<u8>, i64, bool, u64)) -> Remembered {
        let used = Timestamp::from_nanos(used);
        let layer = layer.map(digest);
        let record = StepRecord { layer, content: digest(0), created: used, used, name: String::new(), made_for: None };
        (digest(key), record, in_use, size)
    }

    fn check(bytes: u64, count: usize, steps: &[(u8, Option<u8>, i64, bool, u64)], expect: &[u8]) {
        let lost = beyond(steps.iter().copied().map(step).collect(), bytes, count);
        assert_eq!(lost, expect.iter().copied().map(digest).collect::<Vec<_>>());
    }

    #[test]
    fn steps_are_bounded_in_bytes_and_in_number() {
        let steps = [(1, Some(91), 1, false, 10), (2, None, 2, false, 0), (3, Some(93), 3, false, 10), (4, Some(94), 0, true, 100)];
        check(20, 4, &steps, &[]);
        // Bytes: nothing is won by a step without a layer, or by one that an image has.
        check(10, 4, &steps, &[1]);
        check(0, 4, &steps, &[1, 3]);
        // Number: those that no image has first.
        check(20, 3, &steps, &[1]);
        check(20, 2, &steps, &[1, 2]);
        check(20, 0, &steps, &[1, 2, 3, 4]);
        let many: Vec<_> = (0..100).map(|number| (number, None, i64::from(number), false, 0)).collect();
        check(u64::MAX, 98, &many, &[0, 1]);
    }

    #[test]
    fn a_layer_of_several_steps_counts_once_and_goes_with_the_last() {
        let steps = [(1, Some(91), 1, false, 10), (2, Some(92), 2, false, 10), (3, Some(91), 3, false, 10)];
        check(20, 9, &steps, &[]);
        check(19, 9, &steps, &[2]);
        check(9, 9, &steps, &[2, 1, 3]);
        let mut layers = Layers::of(&steps.map(step));
        assert_eq!(layers.bytes(), 20);
        assert_eq!([1, 2, 3, 3].map(|key| layers.give_up(&digest(key))), [0, 10, 10, 0]);
    }
}
