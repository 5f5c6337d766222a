//! The attributes that the Compose Specification has (its schema of June 2026), against the tables.

use crate::compose::project::schema::{self, FILE, Shape};

/// A path, and the attributes below it.
const SPECIFICATION: &[(&str, &str)] = &[
    ("", "version name include services networks volumes secrets configs models"),
    ("include", "path project_directory env_file"),
    (
        "services",
        "annotations attach build blkio_config cap_add cap_drop cgroup cgroup_parent command configs container_name cpu_count cpu_percent \
         cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec depends_on deploy develop \
         device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends external_links \
         extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging mac_address mem_limit \
         mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform \
         ports post_start pre_start pre_stop privileged profiles provider pull_policy pull_refresh_after read_only restart runtime scale \
         secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user \
         userns_mode uts volumes volumes_from working_dir",
    ),
    (
        "services.build",
        "additional_contexts args cache_from cache_to context dockerfile dockerfile_inline entitlements extra_hosts isolation labels network \
         no_cache no_cache_filter platforms privileged provenance pull sbom secrets shm_size ssh tags target ulimits",
    ),
    ("services.build.secrets", "source target uid gid mode"),
    ("services.blkio_config", "device_read_bps device_read_iops device_write_bps device_write_iops weight weight_device"),
    ("services.blkio_config.device_read_bps", "path rate"),
    ("services.blkio_config.weight_device", "path weight"),
    ("services.configs", "source target uid gid mode"),
    ("services.secrets", "source target uid gid mode"),
    ("services.credential_spec", "config file registry"),
    ("services.depends_on", "condition restart required"),
    ("services.deploy", "mode endpoint_mode replicas labels rollback_config update_config resources restart_policy placement"),
    ("services.deploy.update_config", "parallelism delay failure_action monitor max_failure_ratio order"),
    ("services.deploy.rollback_config", "parallelism delay failure_action monitor max_failure_ratio order"),
    ("services.deploy.resources.limits", "cpus memory pids"),
    ("services.deploy.resources.reservations", "cpus memory generic_resources devices"),
    ("services.deploy.resources.reservations.devices", "capabilities count device_ids driver options"),
    ("services.deploy.resources.reservations.generic_resources.discrete_resource_spec", "kind value"),
    ("services.deploy.restart_policy", "condition delay max_attempts window"),
    ("services.deploy.placement", "constraints preferences max_replicas_per_node"),
    ("services.deploy.placement.preferences", "spread"),
    ("services.develop.watch", "path action target include ignore exec initial_sync"),
    ("services.develop.watch.exec", "command user privileged working_dir environment"),
    ("services.devices", "source target permissions"),
    ("services.env_file", "path format required"),
    ("services.extends", "service file"),
    ("services.gpus", "capabilities count device_ids driver options"),
    ("services.healthcheck", "disable interval retries test timeout start_period start_interval"),
    ("services.logging", "driver options"),
    ("services.models", "endpoint_var model_var"),
    ("services.networks", "aliases driver_opts gw_priority interface_name ipv4_address ipv6_address link_local_ips mac_address priority"),
    ("services.ports", "name mode host_ip target published protocol app_protocol"),
    ("services.post_start", "command user privileged working_dir environment"),
    ("services.pre_stop", "command user privileged working_dir environment"),
    ("services.pre_start", "command image user privileged working_dir environment per_replica"),
    ("services.provider", "type options"),
    ("services.ulimits", "soft hard"),
    ("services.volumes", "type source target read_only consistency bind volume tmpfs image"),
    ("services.volumes.bind", "propagation create_host_path recursive selinux"),
    ("services.volumes.volume", "labels nocopy subpath"),
    ("services.volumes.tmpfs", "size mode"),
    ("services.volumes.image", "subpath"),
    ("networks", "name driver driver_opts ipam external internal enable_ipv4 enable_ipv6 attachable labels"),
    ("networks.ipam", "driver config options"),
    ("networks.ipam.config", "subnet ip_range gateway aux_addresses"),
    ("volumes", "name driver driver_opts external labels"),
    ("secrets", "name environment file external labels driver driver_opts template_driver"),
    ("configs", "name content environment file external labels template_driver"),
    ("models", "name model context_size runtime_flags"),
];

/// The table below a path.
fn table(path: &str) -> &'static [schema::Attribute] {
    let mut table = FILE;
    for key in path.split('.').filter(|key| !key.is_empty()) {
        let attribute = schema::find(table, key).unwrap_or_else(|| panic!("{path}: there is no `{key}`"));
        table = inside(attribute.shape).unwrap_or_else(|| panic!("{path}: `{key}` has no attributes"));
    }
    table
}

fn inside(shape: &'static Shape) -> Option<&'static [schema::Attribute]> {
    match shape {
        Shape::Object(attributes) => Some(attributes),
        Shape::Ulimit => Some(schema::ULIMIT),
        Shape::Map(inner) | Shape::List(inner, _) | Shape::Short(_, inner) => inside(inner),
        _ => None,
    }
}

#[test]
fn no_attribute_of_the_specification_is_missing() {
    for (path, names) in SPECIFICATION {
        let table = table(path);
        let missing: Vec<&str> = names.split_whitespace().filter(|name| schema::find(table, name).is_none()).collect();
        assert!(missing.is_empty(), "`{path}` has no {missing:?}");
    }
}
