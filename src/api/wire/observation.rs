//! One look at an engine between our own two ends, in our own types: a single answer, where Docker's API takes four requests and one more
//! for every container and image.

use crate::api::wire::container::whole;
use crate::resource::observation::Observation;

/// Writes what was seen, without what is in files (see [`whole`]).
pub fn to_json(mut observation: Observation) -> Vec<u8> {
    observation.containers.iter_mut().for_each(whole::withhold_files);
    // Invariant: plain data with string keys, which JSON can always hold.
    serde_json::to_vec(&observation).expect("an observation is plain data")
}

/// Reads it; `None` when another version of ours wrote it.
pub fn from_json(bytes: &[u8]) -> Option<Observation> {
    serde_json::from_slice(bytes).ok()
}
