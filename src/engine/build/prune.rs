//! What builds keep for builds to come: told of, removed when asked, and within bounds without being asked.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::engine::filter::Filters;
use crate::resource::build::{BuildCache, BuildPrune};
use crate::resource::event::EventKind;
use crate::resource::failure::Failure;

/// So many bytes are kept for builds to come; beyond them, what was not needed for longest goes.
const BOUND: u64 = 20 << 30;

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
        let named = renamed(&prune.filters);
        let filters = Filters::of(&named, &["until", "id", "type", "inuse"])?;
        let (until, in_use) = (filters.until()?, filters.flag("inuse")?);
        let kind = |entry: &BuildCache| if entry.mount { "exec.cachemount" } else { "regular" };
        let workshop = self.shared.images.workshop();
        let all = self.build_cache();
        let mut kept: u64 = all.iter().map(|entry| entry.size).sum();
        let (mut removed, mut bytes) = (Vec::new(), 0);
        for entry in all {
            // What made an image that is still here makes it again at once; only `all` gives that up.
            let selected = (prune.all || !entry.in_use)
                && until.is_none_or(|until| entry.used < until)
                && (filters.values("id").is_empty() || filters.any("id", |id| entry.id.starts_with(id)))
                && (filters.values("type").is_empty() || filters.any("type", |wanted| wanted == kind(&entry)))
                && in_use.is_none_or(|wanted| wanted == entry.in_use)
                && prune.keep.is_none_or(|keep| kept > keep);
            if !selected {
                continue;
            }
            if entry.mount {
                if !self.shared.caches.remove(&entry.id)? {
                    continue;
                }
            } else if let Ok(key) = format!("sha256:{}", entry.id).parse() {
                workshop.forget(&key)?;
            }
            kept -= entry.size;
            // A layer that an image has stays with the image.
            bytes += if entry.in_use { 0 } else { entry.size };
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
    /// them: only a prune removes them.
    pub(super) fn keep_within_bounds(&self) {
        let workshop = self.shared.images.workshop();
        let mut idle: Vec<_> = workshop.steps().into_iter().filter(|(_, _, in_use, size)| !in_use && *size > 0).collect();
        let mut bytes: u64 = idle.iter().map(|(_, _, _, size)| size).sum();
        idle.sort_by_key(|(_, record, ..)| record.used);
        for (key, _, _, size) in idle {
            if bytes <= BOUND {
                return;
            }
            bytes -= size;
            if let Err(error) = workshop.forget(&key) {
                tracing::warn!(%error, "a step of a build cannot be forgotten");
            }
        }
    }
}

/// BuildKit's newer name of `until`, as the older one.
fn renamed(filters: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let name = |key: &str| if key == "unused-for" { "until".to_owned() } else { key.to_owned() };
    filters.iter().map(|(key, values)| (name(key), values.clone())).collect()
}
