//! The client's look at everything a project may concern.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};

use crate::api::client::Client;
use crate::api::client::call::Call;
use crate::api::wire::{extension, observation};
use crate::resource::container::ContainerFilter;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ImageId;
use crate::resource::observation::Observation;

impl Client {
    /// Returns the containers that filters select, every network and volume, and what image references mean: from our own engine in one
    /// answer, from another piece by piece.
    pub async fn observe(&self, filters: &BTreeMap<String, Vec<String>>, references: &BTreeSet<&str>) -> Result<Observation, Failure> {
        let call = Call::get(extension::OBSERVATION).filters(filters);
        let call = references.iter().fold(call, |call, reference| call.query("image", reference));
        match self.transport.send(&call).await {
            Ok(answer) => {
                if let Some(observation) = observation::from_json(&answer.bytes().await?) {
                    return Ok(observation);
                }
            }
            // Another engine knows no such page, and who guards one may let nobody ask for it: what they think of each piece they say below.
            Err(failure) if failure.kind != FailureKind::Unavailable => {}
            Err(failure) => return Err(failure),
        }
        let (everything, filter) = (BTreeMap::new(), ContainerFilter { all: true, filters: filters.clone() });
        let (containers, networks, volumes, images) =
            tokio::join!(self.containers(&filter), self.networks(&everything), self.volumes(&everything), self.meanings(references));
        Ok(Observation { containers: containers?, networks: networks?, volumes: volumes?, images: images? })
    }

    /// What image references mean; those that mean nothing are absent.
    async fn meanings(&self, references: &BTreeSet<&str>) -> Result<BTreeMap<String, ImageId>, Failure> {
        let asked = references.iter().map(|reference| async move { (reference, self.image(reference).await) });
        let mut found = BTreeMap::new();
        let mut answers = stream::iter(asked).buffered(self.transport.breadth());
        while let Some((reference, answer)) = answers.next().await {
            match answer {
                Ok(image) => drop(found.insert((*reference).to_owned(), image.id)),
                Err(failure) if failure.kind == FailureKind::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }
}
