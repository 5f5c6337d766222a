//! The client's verbs on volumes.

use std::collections::BTreeMap;

use crate::api::client::Client;
use crate::resource::failure::Failure;
use crate::resource::volume::{VolumeInfo, VolumeSpec};

impl Client {
    /// Returns the volumes that filters (`name`, `label`, `driver`, `dangling`) select, by name.
    pub async fn volumes(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<VolumeInfo>, Failure> {
        todo!("{filters:?}")
    }

    /// Returns a volume by name.
    pub async fn volume(&self, name: &str) -> Result<VolumeInfo, Failure> {
        todo!("{name}")
    }

    /// Makes a volume, or returns the one of that name; without a name it gets one.
    pub async fn create_volume(&self, name: Option<&str>, spec: &VolumeSpec) -> Result<VolumeInfo, Failure> {
        todo!("{name:?} {spec:?}")
    }

    /// Removes a volume that no container uses; `force` forgives one that does not exist.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<(), Failure> {
        todo!("{name} {force}")
    }

    /// Removes every unused anonymous volume (`all=true`: every unused one) that the filters select; returns the names and the bytes given back.
    pub async fn prune_volumes(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<(Vec<String>, u64), Failure> {
        todo!("{filters:?}")
    }
}
