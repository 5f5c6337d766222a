//! Which attributes of the file differ between two specifications.

use std::fmt;

use crate::compose::plan::attribute::{self, Origin, Shown};
use crate::resource::container::ContainerSpec;

/// Values longer than this, both together, hide what they are to tell.
const LONGEST: usize = 80;

/// An attribute that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name in the file: `command`, `environment.LEVEL`, `networks.front.aliases`.
    pub field: String,
    /// What it was; absent when it was the default, or may be secret.
    pub from: Option<String>,
    /// What it is to be; absent when it is the default, or may be secret.
    pub to: Option<String>,
}

impl fmt::Display for FieldChange {
    /// Writes the attribute; its values, too, where they are short.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.field)?;
        let length = self.from.as_deref().map_or(0, str::len) + self.to.as_deref().map_or(0, str::len);
        if (self.from.is_none() && self.to.is_none()) || length > LONGEST {
            return Ok(());
        }
        write!(formatter, " {} -> {}", self.from.as_deref().unwrap_or("unset"), self.to.as_deref().unwrap_or("unset"))
    }
}

/// The attributes in which two specifications differ, in the order of their names; none where they differ in nothing that a file tells.
pub(super) fn changes(from: &ContainerSpec, to: &ContainerSpec, origin: Origin<'_>) -> Vec<FieldChange> {
    let (from, to) = (attribute::of(from, origin), attribute::of(to, origin));
    let mut keys: Vec<_> = from.keys().chain(to.keys()).filter(|key| from.get(*key) != to.get(*key)).collect();
    keys.sort_unstable();
    keys.dedup();
    let shown = |value: Option<&Shown>| match value {
        Some(Shown::Text(text)) => Some(text.clone()),
        Some(Shown::Hidden(_)) | None => None,
    };
    keys.into_iter().map(|key| FieldChange { field: key.0.clone(), from: shown(from.get(key)), to: shown(to.get(key)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::plan::simulate::project;
    use crate::compose::plan::{Known, desired, label};
    use crate::compose::project::model::Project;

    /// Compares what `a` was with what it is to be, both written as the attributes of a service.
    #[track_caller]
    fn check(from: &str, to: &str, expect: &str) {
        let top = "\nnetworks: {front: , back: {name: other}}\nvolumes: {data: , cache: }\nsecrets: {token: {file: ./token}}\nconfigs: {conf: {content: hush}}";
        let load = |attributes: &str| project(&format!("services: {{b: {{image: x}}, a: {{image: x, {attributes}}}}}{top}"));
        let (old, new) = (load(from), load(to));
        let spec =
            |project: &Project| desired::container(project, &project.services["a"], 1, None, &Known::default()).labels[label::SPEC].clone();
        let read = |text: String| serde_json::from_str::<ContainerSpec>(&text).expect("a specification");
        let found = changes(&read(spec(&old)), &read(spec(&new)), Origin { project: &new, service: &new.services["a"] });
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(text.join("; "), expect, "{from} => {to}");
        // And back: as many.
        assert_eq!(changes(&read(spec(&new)), &read(spec(&old)), Origin { project: &old, service: &old.services["a"] }).len(), found.len());
    }

    #[test]
    fn what_was_not_there_is_the_only_thing_told() {
        check("", "", "");
        check("", "cpus: 0.5", "cpus unset -> 0.5");
        check("", "mem_limit: 64m", "mem_limit unset -> 67108864");
        check("mem_limit: 64m", "mem_limit: 64m, pids_limit: 5", "pids_limit unset -> 5");
        check("init: true", "", "init true -> unset");
        check("command: a", "command: b", r#"command ["a"] -> ["b"]"#);
        check("", "entrypoint: []", "entrypoint unset -> []");
        check("", "stop_grace_period: 90s, dns_opt: [ndots:2]", r#"dns_opt unset -> ["ndots:2"]; stop_grace_period unset -> 1m30s"#);
        check(
            "security_opt: [no-new-privileges]",
            "expose: [80, 53/udp]",
            r#"expose unset -> ["53/udp","80"]; security_opt ["no-new-privileges"] -> unset"#,
        );
        check("ports: ['80']", "ports: ['127.0.0.1:8080:80/udp']", r#"ports ["80"] -> ["127.0.0.1:8080:80/udp"]"#);
        check("restart: always", "restart: on-failure:3", r#"restart "always" -> "on-failure:3""#);
        check("ulimits: {nofile: 5}", "ulimits: {nofile: {soft: 5, hard: 6}}", "ulimits.nofile 5 -> 5:6");
        check("sysctls: {net.core.somaxconn: 5}", "", r#"sysctls.net.core.somaxconn "5" -> unset"#);
        check(
            "healthcheck: {test: x}",
            "healthcheck: {test: x, retries: 2, interval: 1m}",
            "healthcheck.interval unset -> 1m0s; healthcheck.retries unset -> 2",
        );
    }

    #[test]
    fn networks_have_their_names_of_the_file() {
        check("", "networks: [front]", r#"networks ["default"] -> ["front"]"#);
        check("networks: [back]", "networks: [front, back]", r#"networks ["back"] -> ["back","front"]"#);
        check("networks: [front, back]", "networks: {back: , front: {priority: 5}}", r#"networks ["back","front"] -> ["front","back"]"#);
        check("networks: [front]", "networks: {front: {aliases: [web]}}", r#"networks.front.aliases unset -> ["web"]"#);
        check("", "network_mode: none", r#"network_mode unset -> "none"; networks ["default"] -> unset"#);
        check("network_mode: host", "network_mode: service:b", r#"network_mode "host" -> "service:b""#);
        check("", "links: ['b:c'], external_links: [d]", r#"external_links unset -> ["d:d"]; links unset -> ["b:c"]"#);
        check("pid: host", "ipc: 'container:z'", r#"ipc unset -> "container:z"; pid "host" -> unset"#);
    }

    #[test]
    fn logs_and_mounts_are_told_as_files_write_them() {
        check("", "logging: {options: {max-size: 1m}}", r#"logging.options.max-size unset -> "1m""#);
        check(
            "logging: {driver: none}",
            "logging: {options: {max-file: 2}}",
            r#"logging.driver "none" -> unset; logging.options.max-file unset -> "2""#,
        );
        check("volumes: ['data:/d', /e]", "volumes: ['cache:/d:ro', /e]", r#"volumes "data:/d" -> "cache:/d:ro""#);
        check("volumes: [/e]", "volumes: ['./x:/x']", r#"volumes "/e" -> unset; volumes unset -> "/p/x:/x""#);
        check("tmpfs: /run", "tmpfs: '/run:size=1m'", r#"tmpfs "/run" -> "/run:size=1048576""#);
        check("secrets: [token]", "volumes_from: [b]", r#"secrets "/p/token:/run/secrets/token:ro" -> unset; volumes_from unset -> ["b"]"#);
    }

    #[test]
    fn what_may_be_secret_is_not_told() {
        check("", "environment: {A: s3cret, B: }, labels: {c: s3cret}", "environment.A; environment.B; labels.c");
        check("configs: [conf]", "configs: [{source: conf, mode: 0400, uid: '7'}]", r#"configs "/conf 0:0 0444" -> "/conf 7:0 0400""#);
        check(
            "",
            "security_opt: ['label=a very long word that nobody wants to read twice in one line of a plan, and more']",
            "security_opt",
        );
    }
}
