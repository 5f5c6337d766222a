//! What an engine has that may concern a project.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::resource::container::ContainerInfo;
use crate::resource::id::ImageId;
use crate::resource::network::NetworkInfo;
use crate::resource::volume::VolumeInfo;

/// One look at an engine: the containers that were asked for, and all that they could be connected to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Containers, running or not, newest first.
    pub containers: Vec<ContainerInfo>,
    /// Every network; the containers on them are not told.
    pub networks: Vec<NetworkInfo>,
    /// Every volume.
    pub volumes: Vec<VolumeInfo>,
    /// What image references mean now; those that mean nothing are absent.
    pub images: BTreeMap<String, ImageId>,
}
