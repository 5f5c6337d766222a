//! One service.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::project::decode::{
    check, command, dictionary, duration, endpoint, entries, file, flag, health, hook, host, image, integer, limit, mount, other, port,
    text, texts, variables,
};
use crate::compose::project::diagnostic::{Diagnostic, Severity};
use crate::compose::project::fix::Fix;
use crate::compose::project::model::{Dependency, Service};
use crate::compose::project::node::Node;
use crate::compose::project::source::Span;
use crate::compose::project::suggest;
use crate::resource::capability;
use crate::resource::container::RestartPolicy;
use crate::resource::name::{ContainerName, ServiceName, is_name_byte};
use crate::resource::operation::Condition;

/// Reads one service.
pub(super) struct Decoder<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its attributes.
    pub node: &'a Node,
    /// Where its name is.
    pub place: Span,
    /// The whole, for what it refers to.
    pub document: &'a Node,
    /// The project's secrets and configs.
    pub objects: file::Objects<'a>,
    /// Something of it is wrong already, so that a missing attribute may be a misspelt one.
    pub broken: bool,
    /// A section of the document has no known name, so that a missing one may be there.
    pub misspelt: bool,
    /// Hears of what is wrong.
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Decoder<'_> {
    pub(super) fn service(&mut self) -> Option<Service> {
        let name: ServiceName = self.key.parse().ok()?;
        let node = self.node;
        node.as_map()?;
        host::refuse_foreign(self);
        check::service(self);
        let replicas = self.replicas();
        let mut mounts = mount::mounts(self);
        let files = file::files(self, &mut mounts);
        let networks = endpoint::networks(self);
        Some(Service {
            image: image::reference(self),
            build: None,
            pull_policy: image::pull_policy(self),
            platform: image::platform(self),
            command: command(node, "command"),
            entrypoint: command(node, "entrypoint"),
            environment: variables(node, "environment"),
            working_dir: text(node, "working_dir"),
            user: text(node, "user"),
            hostname: text(node, "hostname"),
            container_name: self.container_name(replicas),
            labels: dictionary(node, "labels"),
            annotations: dictionary(node, "annotations"),
            attach: flag(node, "attach").unwrap_or(true),
            domainname: text(node, "domainname"),
            group_add: texts(node, "group_add"),
            init: flag(node, "init").unwrap_or_default(),
            tty: flag(node, "tty").unwrap_or_default(),
            stdin_open: flag(node, "stdin_open").unwrap_or_default(),
            stop_signal: text(node, "stop_signal"),
            stop_grace_period: duration(node, "stop_grace_period"),
            restart: self.restart(),
            healthcheck: health::check(self),
            ports: port::bindings(self),
            expose: port::exposed(self),
            mounts,
            files,
            volumes_from: other::volumes_from(self),
            network_mode: other::network_mode(self),
            mac_address: endpoint::mac_address(self, &networks),
            networks,
            links: other::links(self),
            pid: other::pid(self),
            ipc: other::ipc(self),
            depends_on: self.dependencies(),
            extra_hosts: host::extra_hosts(self),
            dns: host::dns(self),
            dns_search: texts(node, "dns_search"),
            dns_opt: texts(node, "dns_opt"),
            security_opt: host::security_options(self),
            devices: host::devices(self),
            device_cgroup_rules: host::device_rules(self),
            sysctls: host::sysctls(self),
            ulimits: limit::ulimits(self, node.get("ulimits"), "ulimits"),
            resources: limit::resources(self),
            shm_size: limit::shm_size(node),
            oom_score_adj: limit::oom_score_adj(self),
            uts: host::namespace(self, "uts", ""),
            cgroup: host::namespace(self, "cgroup", "private"),
            logging: host::logging(self),
            read_only: flag(node, "read_only").unwrap_or_default(),
            privileged: flag(node, "privileged").unwrap_or_default(),
            cap_add: self.capabilities("cap_add"),
            cap_drop: self.capabilities("cap_drop"),
            pre_start: hook::hooks(self, "pre_start"),
            post_start: hook::hooks(self, "post_start"),
            pre_stop: hook::hooks(self, "pre_stop"),
            replicas,
            profiles: texts(node, "profiles").into_iter().collect(),
            name,
        })
    }

    /// Reports an error at an attribute, or at the service's name when it has no such attribute.
    pub(super) fn error(&mut self, code: &'static str, span: Option<Span>, message: String, hint: Option<String>) -> &mut Diagnostic {
        let mut problem = Diagnostic::error(code, message).at(span.unwrap_or(self.place));
        problem.hint = hint;
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Reports what this engine cannot do, and another may.
    pub(super) fn refuse(&mut self, code: &'static str, span: Option<Span>, message: String, hint: Option<String>) -> &mut Diagnostic {
        let problem = self.error(code, span, message, hint);
        problem.severity = Severity::Refusal;
        problem
    }

    fn replicas(&mut self) -> u32 {
        let scale = self.node.get("scale");
        let replicas = self.node.get("deploy").and_then(|deploy| deploy.get("replicas"));
        let (scale_number, replicas_number) =
            (integer(self.node, "scale"), self.node.get("deploy").and_then(|deploy| integer(deploy, "replicas")));
        for (node, number) in [(scale, scale_number), (replicas, replicas_number)] {
            if let Some(number) = number.filter(|number| u32::try_from(*number).is_err()) {
                let message = format!("services.{}: {number} is no number of containers", self.key);
                let problem = self.error("scale", node.map(|node| node.span), message, Some("write 0, 1 or more".to_owned()));
                problem.fix = node.map(|node| Fix::Replace(node.span, "1".to_owned()));
            }
        }
        if let (Some(one), Some(other)) = (scale_number, replicas_number)
            && one != other
        {
            let message = format!("services.{}: can't set distinct values on 'scale' and 'deploy.replicas'", self.key);
            let fix = self.without("scale");
            self.error("scale", scale.map(|node| node.span), message, Some("keep one of the two".to_owned())).fix = fix;
        }
        scale_number.or(replicas_number).and_then(|number| u32::try_from(number).ok()).unwrap_or(1)
    }

    fn container_name(&mut self, replicas: u32) -> Option<String> {
        let node = self.node.get("container_name")?;
        let name = node.as_text()?;
        // All that Docker Compose asks: such letters somewhere in it.
        let letters = name.as_bytes().windows(2).any(|pair| pair[0].is_ascii_alphanumeric() && is_name_byte(pair[1]));
        if !letters {
            let message = format!("services.{}.container_name: `{name}` is no name: it has two letters or more", self.key);
            self.error(
                "container-name",
                Some(node.span),
                message,
                Some("write a letter or digit, and letters, digits, `_`, `.` and `-` behind it".to_owned()),
            );
        } else if let Err(error) = name.parse::<ContainerName>() {
            let hint = Some("write letters, digits, `_`, `.` and `-`, and begin with a letter or digit".to_owned());
            self.refuse("container-name", Some(node.span), format!("services.{}: {error}", self.key), hint);
        }
        if replicas > 1 {
            let message =
                format!("services.{}: can't set container_name and run {replicas} containers: container name must be unique", self.key);
            let fix = self.without("container_name");
            self.error("container-name", Some(node.span), message, Some("remove `container_name`, or run one container".to_owned())).fix =
                fix;
        }
        Some(name.to_owned())
    }

    fn restart(&mut self) -> RestartPolicy {
        let deployed = self.node.get("deploy").and_then(|deploy| deploy.get("restart_policy")).filter(|policy| policy.as_map().is_some());
        if let Some(policy) = deployed {
            return self.deployed_restart(policy);
        }
        let Some(node) = self.node.get("restart") else { return RestartPolicy::No };
        let Some(word) = node.as_text() else { return RestartPolicy::No };
        let (policy, attempts) = match word.split_once(':') {
            Some((policy, attempts)) => (policy, Some(attempts)),
            None => (word, None),
        };
        match (policy, attempts) {
            ("no" | "", None) => RestartPolicy::No,
            ("always", None) => RestartPolicy::Always,
            ("unless-stopped", None) => RestartPolicy::UnlessStopped,
            ("on-failure", attempts) if attempts.is_none_or(|attempts| attempts.parse::<u32>().is_ok()) => {
                RestartPolicy::OnFailure { maximum: attempts.and_then(|attempts| attempts.parse().ok()).unwrap_or_default() }
            }
            _ => {
                let message = format!("services.{}.restart: invalid restart policy \"{word}\"", self.key);
                let hint = "there are \"no\", always, on-failure, on-failure:N and unless-stopped";
                self.refuse("restart", Some(node.span), message, Some(hint.to_owned()));
                RestartPolicy::No
            }
        }
    }

    /// `deploy.restart_policy`, which is above `restart`.
    fn deployed_restart(&mut self, node: &Node) -> RestartPolicy {
        let attempts = node.get("max_attempts").filter(|attempts| !attempts.is_null());
        let maximum = integer(node, "max_attempts").unwrap_or_default();
        let path = self.path("deploy.restart_policy");
        let Ok(maximum) = u32::try_from(maximum) else {
            self.refuse(
                "restart",
                attempts.map(|node| node.span),
                format!("{path}.max_attempts cannot be {maximum}"),
                Some("write 1 or more".to_owned()),
            );
            return RestartPolicy::No;
        };
        let word = text(node, "condition").unwrap_or_default();
        let policy = match word.as_str() {
            "on-failure" => return RestartPolicy::OnFailure { maximum },
            // Docker Compose's, whatever the specification says: nothing is restarted then.
            "" => {
                let message = format!("{path} without a `condition` restarts nothing");
                self.problems.push(Diagnostic::warning("restart", message).at(node.span).hint("write `condition: on-failure`, or `any`"));
                return RestartPolicy::No;
            }
            "none" | "no" => RestartPolicy::No,
            "any" | "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            _ => {
                let message = format!("{path}.condition: there is no condition `{word}`");
                let hint = Some("there are none, on-failure and any".to_owned());
                self.refuse("restart", node.get("condition").map(|node| node.span), message, hint);
                return RestartPolicy::No;
            }
        };
        if maximum > 0 {
            let message = format!("{path}.max_attempts: maximum retry count can only be used with 'on-failure'");
            self.refuse("restart", attempts.map(|node| node.span), message, Some("write `condition: on-failure`".to_owned()));
        }
        policy
    }

    /// Reports a network or volume that the project does not have.
    pub(super) fn defined(&mut self, kind: &'static str, one: &str, key: &str, span: Span) {
        // Where the whole section is of the wrong type, that was told.
        let all = self.document.get(kind);
        if all.is_some_and(|all| all.get(key).is_some() || all.as_map().is_none()) || (all.is_none() && self.misspelt) {
            return;
        }
        let message = format!("service \"{}\" refers to undefined {one} {key}", self.key);
        let (hint, fix) = match suggest::nearest(key, entries(self.document, kind).map(|(key, _)| key)) {
            Some(near) => (format!("did you mean `{near}`?"), Fix::Word(span, key.to_owned(), near)),
            None => {
                let entry = match kind {
                    "secrets" | "configs" => format!("{key}:\n  file: ./{key}.txt"),
                    "models" => format!("{key}:\n  model: {key}"),
                    _ => format!("{key}:"),
                };
                let shown = entry.replace('\n', "\n  ");
                (format!("define it at the top level:\n{kind}:\n  {shown}"), Fix::Define(self.document.span.source, kind, entry))
            }
        };
        self.error("undefined", Some(span), message, Some(hint)).fix = Some(fix);
    }

    fn dependencies(&mut self) -> BTreeMap<ServiceName, Dependency> {
        let mut dependencies = BTreeMap::new();
        for (key, entry) in self.node.get("depends_on").and_then(Node::as_map).into_iter().flatten() {
            let required = flag(&entry.node, "required").unwrap_or(true);
            let condition = Self::condition(&entry.node);
            if self.document.get("services").and_then(|services| services.get(key)).is_none() {
                if required {
                    let message = format!("service \"{}\" depends on undefined service \"{key}\"", self.key);
                    let services = entries(self.document, "services").map(|(name, _)| name).filter(|name| *name != self.key);
                    let near = suggest::nearest(key, services);
                    let hint = match &near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "define that service, or do without".to_owned(),
                    };
                    self.error("undefined", Some(entry.key), message, Some(hint)).fix = near.map(|near| Fix::Replace(entry.key, near));
                }
                continue;
            }
            if let Ok(name) = key.parse() {
                let restart = flag(&entry.node, "restart").unwrap_or_default();
                dependencies.insert(name, Dependency { condition, restart, required });
            }
        }
        dependencies
    }

    fn condition(node: &Node) -> Condition {
        match text(node, "condition").as_deref() {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            _ => Condition::Started,
        }
    }

    /// Capability names without `CAP_`.
    fn capabilities(&mut self, key: &str) -> BTreeSet<String> {
        let written: Vec<_> = self.items(key).iter().filter_map(|node| Some((node.as_text()?.to_owned(), node.span))).collect();
        let mut names = BTreeSet::new();
        for (text, span) in written {
            let upper = text.to_ascii_uppercase();
            let name = upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned();
            if name != "ALL" && capability::number(&name).is_none() {
                let hint = suggest::nearest(&name, capability::NAMES).map(|near| format!("did you mean `{near}`?"));
                let hint = hint.unwrap_or_else(|| "capabilities(7) lists them; `ALL` is every one".to_owned());
                self.refuse("unknown-capability", Some(span), format!("{}: `{text}` is not a capability", self.path(key)), Some(hint));
            }
            names.insert(name);
        }
        names
    }

    /// The change that takes an attribute out.
    pub(super) fn without(&self, key: &str) -> Option<Fix> {
        let entry = self.node.as_map()?.get(key)?;
        Some(Fix::Remove(entry.key, entry.node.span))
    }

    /// Returns the items of a list of the service.
    pub(super) fn items(&self, key: &str) -> &[Node] {
        self.node.get(key).and_then(Node::as_list).unwrap_or_default()
    }

    /// Returns the texts of a list of the service, and where each was written.
    pub(super) fn lines(&self, key: &str) -> Vec<(String, Span)> {
        self.items(key).iter().filter_map(|item| Some((item.as_text()?.to_owned(), item.span))).collect()
    }

    /// Returns the path of an attribute, for messages.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("services.{}.{rest}", self.key)
    }
}
