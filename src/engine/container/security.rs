//! What a container may do: its capabilities, and Docker's security options.

use std::collections::BTreeSet;

use crate::engine::runtime::launch::{CapabilitySet, Program};
use crate::engine::runtime::seccomp;
use crate::resource::container::ContainerSpec;
use crate::resource::failure::Failure;

/// All of it, decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Security {
    pub(super) capabilities: CapabilitySet,
    pub(super) no_new_privileges: bool,
    pub(super) seccomp: Option<Program>,
    pub(super) apparmor: Option<String>,
    /// Docker's masked and read-only paths.
    pub(super) masked: bool,
}

/// Decides.
pub(super) fn of(spec: &ContainerSpec) -> Result<Security, Failure> {
    let nothing = BTreeSet::new();
    let capabilities = CapabilitySet::resolve(&spec.cap_add, &spec.cap_drop, spec.privileged).map_err(|error| {
        let field = if CapabilitySet::resolve(&spec.cap_add, &nothing, false).is_err() { "CapAdd" } else { "CapDrop" };
        Failure::invalid(format!("invalid {field}: unknown capability: \"CAP_{}\"", error.0.trim_start_matches("CAP_")))
    })?;
    let mut no_new_privileges = false;
    let mut profile = None;
    let mut apparmor = None;
    let mut masked = !spec.privileged;
    for option in &spec.security_options {
        let invalid = || Failure::invalid(format!("invalid --security-opt: {option:?}"));
        // Docker still takes a colon.
        let (key, value) = option.split_once('=').or_else(|| option.split_once(':')).unwrap_or((option, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => no_new_privileges = true,
            ("no-new-privileges", "false") => no_new_privileges = false,
            ("seccomp", "") => return Err(invalid()),
            ("seccomp", _) => profile = Some(value),
            ("systempaths", "unconfined") => masked = false,
            ("apparmor", "unconfined") => apparmor = None,
            ("apparmor", name) if !name.is_empty() => apparmor = Some(name.to_owned()),
            // This engine labels nothing, so there is nothing to switch off.
            ("label", "disable") => {}
            ("label", _) => return Err(Failure::unsupported(format!("security option {option:?}: this engine has no SELinux labels"))),
            _ => return Err(invalid()),
        }
    }
    let seccomp = match profile {
        Some("unconfined") => None,
        None if spec.privileged => None,
        None | Some("builtin") => Some(seccomp::default_program(capabilities)),
        Some(text) => Some(seccomp::compile_json(text, capabilities).map_err(|error| Failure::invalid(error.to_string()))?),
    };
    Ok(Security { capabilities, no_new_privileges, seccomp, apparmor, masked })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &[&str], privileged: bool) -> Result<Security, String> {
        let security_options = options.iter().map(|option| (*option).to_owned()).collect();
        of(&ContainerSpec { security_options, privileged, ..ContainerSpec::default() }).map_err(|failure| failure.message)
    }

    #[test]
    fn options_are_read_as_docker_reads_them() {
        let plain = with(&[], false).expect("nothing asked");
        assert!(plain.masked && plain.seccomp.is_some() && !plain.no_new_privileges);
        let open =
            with(&["seccomp=unconfined", "systempaths=unconfined", "no-new-privileges:true", "label=disable"], false).expect("known");
        assert!(!open.masked && open.seccomp.is_none() && open.no_new_privileges);
        let privileged = with(&[], true).expect("nothing asked");
        assert!(!privileged.masked && privileged.seccomp.is_none());
        assert!(with(&["seccomp=builtin"], true).expect("known").seccomp.is_some());
        assert_eq!(with(&["apparmor=mine"], false).expect("known").apparmor.as_deref(), Some("mine"));
        assert_eq!(with(&["what=ever"], false), Err("invalid --security-opt: \"what=ever\"".to_owned()));
        assert!(with(&["seccomp={"], false).expect_err("no profile").contains("seccomp profile"));
    }
}
