//! A stage as far as it has come: its files, its configuration, and what its next instruction sees.

use crate::dockerfile::Scope;
use crate::engine::build::key::Key;
use crate::engine::image::document::{CarriedStep, Document, HistoryStep};
use crate::engine::image::step::StepRecord;
use crate::resource::id::Digest;
use crate::resource::time::Timestamp;

/// What BuildKit writes beside its steps; tools tell by it how to read them.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// A stage.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    /// Layers, configuration, history.
    pub(super) document: Document,
    /// What its files are, by content: two grounds with the same files have the same, whenever they were made.
    pub(super) files: Digest,
    /// When the newest of its steps was done.
    pub(super) newest: Timestamp,
    /// What its next instruction sees.
    pub(super) scope: Scope,
    /// The stage has set its own command: a new entry point does not take it away.
    pub(super) own_command: bool,
}

impl Ground {
    /// Its layers, lowest first.
    pub(super) fn layers(&self) -> &[Digest] {
        &self.document.rootfs.diff_ids
    }

    /// Puts what a step came to on top.
    pub(super) fn add(&mut self, key: Digest, record: &StepRecord, created_by: Option<String>) {
        let &StepRecord { layer, content, created, .. } = record;
        if let Some(layer) = layer {
            self.document.rootfs.diff_ids.push(layer);
            self.files = above(&self.files, &content);
            self.document.steps.push(CarriedStep { key, layer, content, created });
        }
        self.newest = self.newest.max(record.created);
        self.note(created_by, record.layer.is_none(), record.created);
    }

    /// Notes a step in the history, if it stands there.
    pub(super) fn note(&mut self, created_by: Option<String>, empty_layer: bool, created: Timestamp) {
        let Some(created_by) = created_by else { return };
        let (author, comment) = (self.document.author.clone(), COMMENT.to_owned());
        self.document.history.push(HistoryStep { created: Some(created), created_by, author, comment, empty_layer });
    }
}

/// What files are once some more lie over them.
fn above(below: &Digest, content: &Digest) -> Digest {
    Key::of("files").digest(below).digest(content).finish()
}

/// What the files of an image are.
pub(super) fn of_layers(layers: &[Digest]) -> Digest {
    layers.iter().fold(Key::of("files").finish(), |below, layer| above(&below, layer))
}
