//! The body of Docker's `POST /containers/{id}/update`: limits and a restart policy.

use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::spec::{host, limit};
use crate::resource::container::{ContainerChange, Resources};

/// Reads what is to be changed. What cannot be changed is refused by its name; some of that dockerd lets pass, and does nothing.
pub fn change_from_json(body: Value) -> Result<ContainerChange, WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    // The command line's word for "as the kernel has it".
    fields.inert("MemorySwappiness", &[json!(-1)])?;
    // Absent, it stays; 0 takes the limit away.
    let pids = fields.get::<i64>("PidsLimit", "an integer")?;
    let resources = Resources { pids: pids.map(|pids| pids.max(0)), ..limit::changeable(&mut fields)? };
    let mut policy = fields.take("RestartPolicy").unwrap_or_default();
    let names = |(key, value): (&String, &Value)| key.eq_ignore_ascii_case("Name") && value.as_str().is_some_and(|name| !name.is_empty());
    let is_named = policy.as_object().into_iter().flatten().any(names);
    if let Some(unnamed) = policy.as_object_mut().filter(|_| !is_named) {
        // A number alone changes nothing.
        unnamed.retain(|key, _| !key.eq_ignore_ascii_case("MaximumRetryCount"));
    }
    let mut policy = Fields::of("RestartPolicy", policy, Mood::Request)?;
    let restart = Some(host::restart_from_fields(&mut policy)?).filter(|_| is_named);
    policy.finish()?;
    fields.finish()?;
    Ok(ContainerChange { resources, restart })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::container::RestartPolicy;

    #[test]
    fn what_is_not_named_stays() {
        let read = |body: Value| change_from_json(body).map_err(|error| error.to_string());
        assert_eq!(read(Value::Null), Ok(ContainerChange::default()));
        // All that Docker's command line sends when nothing but the memory is asked for.
        let sent = json!({
            "CpuShares": 0, "Memory": 67_108_864, "NanoCpus": 0, "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": null,
            "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": null,
            "DeviceCgroupRules": null, "DeviceRequests": null, "MemoryReservation": 0, "MemorySwap": -1, "MemorySwappiness": null,
            "OomKillDisable": null, "PidsLimit": null, "Ulimits": null, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0,
            "IOMaximumBandwidth": 0, "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
        });
        let resources = Resources { memory: Some(64 << 20), memory_swap: Some(-1), ..Resources::default() };
        assert_eq!(read(sent), Ok(ContainerChange { resources, restart: None }));
        let policy = read(json!({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}));
        assert_eq!(policy.map(|change| change.restart), Ok(Some(RestartPolicy::OnFailure { maximum: 3 })));
        let unnamed = read(json!({"MemorySwappiness": -1, "RestartPolicy": {"MaximumRetryCount": 3}}));
        assert_eq!(unnamed, Ok(ContainerChange::default()));
        let policy = read(json!({"restartPolicy": {"name": "always"}}));
        assert_eq!(policy.map(|change| change.restart), Ok(Some(RestartPolicy::Always)));
        let policy = read(json!({"RestartPolicy": {"Name": "no"}}));
        assert_eq!(policy.map(|change| change.restart), Ok(Some(RestartPolicy::No)));
    }

    #[test]
    fn a_limit_of_processes_can_be_taken_away() {
        let check = |pids: i64, expect| {
            let read = change_from_json(json!({ "PidsLimit": pids })).expect("a change");
            assert_eq!(read.resources.pids, Some(expect), "{pids}");
        };
        check(7, 7);
        check(0, 0);
        check(-1, 0);
    }

    #[test]
    fn what_cannot_be_changed_is_refused_by_its_name() {
        for (body, name) in [
            (json!({"OomKillDisable": true}), "`OomKillDisable`"),
            (json!({"MemorySwappiness": 10}), "`MemorySwappiness`"),
            (json!({"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 1}]}), "`Ulimits`"),
            (json!({"Devices": [{"PathOnHost": "/dev/null"}]}), "`Devices`"),
            (json!({"RestartPolicy": {"Name": "sometimes"}}), "unknown policy 'sometimes'"),
        ] {
            let refused = change_from_json(body).expect_err("a refusal").to_string();
            assert!(refused.contains(name), "{refused}");
        }
    }
}
