//! Small answers: the id of something made, an exit, processes, and what a prune removed.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::container::ExitStatus;
use crate::resource::id::ImageId;

/// Writes the id of a command that was made.
pub fn created_to_json(id: impl Display) -> Value {
    json!({ "Id": id.to_string() })
}

/// Writes the id of an image that was made of a container.
pub fn committed_to_json(image: &ImageId) -> Value {
    json!({ "Id": image })
}

/// Writes that a container was changed, and that there is nothing to warn of, which dockerd writes as `null` here.
pub fn updated_to_json() -> Value {
    json!({ "Warnings": null })
}

/// Writes the id of a container that was made, and what is to be said about it.
pub fn container_created_to_json(id: impl Display, warnings: &[String]) -> Value {
    json!({ "Id": id.to_string(), "Warnings": warnings })
}

/// Writes the id of a network that was made.
pub fn network_created_to_json(id: impl Display) -> Value {
    json!({ "Id": id.to_string(), "Warning": "" })
}

/// Reads the id of something that was made.
pub fn created_from_json<T: FromStr>(body: Value) -> Result<T, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    fields.text("Id")?.and_then(|id| id.parse().ok()).ok_or_else(|| WireError::malformed("Id", "an id"))
}

/// Writes how a container ended, the answer to a wait.
pub fn exit_to_json(status: &ExitStatus) -> Value {
    let mut value = json!({ "StatusCode": status.code });
    if !status.error.is_empty() {
        value["Error"] = json!({ "Message": status.error });
    }
    if status.out_of_memory {
        value["Gantry"] = json!({ "OutOfMemory": true });
    }
    value
}

/// Reads how a container ended. Another engine does not tell here whether memory ran out.
pub fn exit_from_json(body: Value) -> Result<ExitStatus, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    Ok(ExitStatus {
        code: fields.get("StatusCode", "a number")?.unwrap_or_default(),
        out_of_memory: fields.object("Gantry")?.flag("OutOfMemory")?,
        error: fields.object("Error")?.text("Message")?.unwrap_or_default(),
    })
}

/// Writes the processes of a container: the columns' names, and a row for each process.
pub fn processes_to_json(titles: &[String], rows: &[Vec<String>]) -> Value {
    json!({ "Processes": rows, "Titles": titles })
}

/// Reads the processes of a container: the columns' names, and a row for each process.
pub fn processes_from_json(body: Value) -> Result<(Vec<String>, Vec<Vec<String>>), WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    Ok((fields.texts("Titles")?, fields.get("Processes", "a list of rows")?.unwrap_or_default()))
}

/// What is pruned, in the spelling of the answer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// Containers, by id.
    Containers,
    /// Networks, by name.
    Networks,
    /// Volumes, by name.
    Volumes,
}

impl Pruned {
    const fn key(self) -> &'static str {
        match self {
            Self::Containers => "ContainersDeleted",
            Self::Networks => "NetworksDeleted",
            Self::Volumes => "VolumesDeleted",
        }
    }
}

/// Writes what a prune removed and the bytes it gave back, of which networks have none.
pub fn prune_to_json(pruned: Pruned, removed: &[String], reclaimed: u64) -> Value {
    let removed = if removed.is_empty() && pruned != Pruned::Volumes { Value::Null } else { json!(removed) };
    let mut value = json!({ pruned.key(): removed });
    if pruned != Pruned::Networks {
        value["SpaceReclaimed"] = json!(reclaimed);
    }
    value
}

/// Reads what a prune removed and the bytes it gave back.
pub fn prune_from_json(pruned: Pruned, body: Value) -> Result<(Vec<String>, u64), WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    Ok((fields.texts(pruned.key())?, fields.unsigned("SpaceReclaimed")?.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::id::ContainerId;

    #[test]
    fn small_answers_survive() {
        let id = ContainerId::from_bytes([7; 32]);
        assert_eq!(created_from_json::<ContainerId>(created_to_json(id)).expect("good"), id);
        assert!(created_from_json::<ContainerId>(json!({})).is_err());
        for (error, out_of_memory) in [("", false), ("no such file", true)] {
            let status = ExitStatus { code: 137, out_of_memory, error: error.to_owned() };
            assert_eq!(exit_from_json(exit_to_json(&status)).expect("good"), status);
        }
        let table = (vec!["PID".to_owned()], vec![vec!["1".to_owned()]]);
        assert_eq!(processes_from_json(processes_to_json(&table.0, &table.1)).expect("good"), table);
        let made = container_created_to_json(id, &["w".to_owned()]);
        assert_eq!((created_from_json::<ContainerId>(made.clone()).expect("good"), &made["Warnings"][0]), (id, &json!("w")));
        assert_eq!(created_from_json::<ContainerId>(network_created_to_json(id)).expect("good"), id);
        for pruned in [Pruned::Containers, Pruned::Networks, Pruned::Volumes] {
            let bytes = if pruned == Pruned::Networks { 0 } else { 9 };
            for removed in [vec![], vec!["a".to_owned()]] {
                let answer = prune_from_json(pruned, prune_to_json(pruned, &removed, bytes)).expect("good");
                assert_eq!(answer, (removed, bytes));
            }
        }
    }
}
