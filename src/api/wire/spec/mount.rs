//! Docker's three ways to ask for a mount: `Mounts`, `Binds` and `Tmpfs`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::Fields;
use crate::resource::container::{BindRecursion, ContainerSpec, Mount, MountSource};

/// The fields of `BindOptions` that say what becomes of mounts below the source; one of them at most.
const RECURSION: [(&str, BindRecursion); 3] = [
    ("NonRecursive", BindRecursion::Disabled),
    ("ReadOnlyNonRecursive", BindRecursion::Writable),
    ("ReadOnlyForceRecursive", BindRecursion::Readonly),
];

/// Writes mounts as `Mounts`; in-memory ones with further options, which dockerd takes there only in part, as `Tmpfs`.
/// Those that a client wrote otherwise are told as it wrote them.
pub(super) fn to_json(spec: &ContainerSpec) -> (Vec<Value>, Map<String, Value>) {
    let mut tmpfs: Map<String, Value> = spec.remarks.tmpfs.iter().map(|(target, options)| (target.clone(), json!(options))).collect();
    let mut list = Vec::new();
    for mount in spec.mounts.iter().filter(|mount| !is_written_otherwise(spec, &mount.target)) {
        let mut value = json!({ "Type": "", "Target": mount.target });
        let mut set = |name: &str, field: Value| value[name] = field;
        if mount.read_only {
            set("ReadOnly", json!(true));
        }
        match &mount.source {
            MountSource::Bind { path, create, propagation, recursion } => {
                set("Type", json!("bind"));
                set("Source", json!(path.to_string_lossy()));
                let mut options = Map::new();
                if let Some(propagation) = propagation {
                    options.insert("Propagation".to_owned(), json!(propagation));
                }
                if *create {
                    options.insert("CreateMountpoint".to_owned(), json!(true));
                }
                if let Some((name, _)) = RECURSION.iter().find(|(_, known)| known == recursion) {
                    options.insert((*name).to_owned(), json!(true));
                }
                if !options.is_empty() {
                    set("BindOptions", Value::Object(options));
                }
            }
            MountSource::Volume { name, no_copy, subpath, labels } => {
                set("Type", json!("volume"));
                if let Some(name) = name {
                    set("Source", json!(name));
                }
                let mut options = Map::new();
                if *no_copy {
                    options.insert("NoCopy".to_owned(), json!(true));
                }
                if !labels.is_empty() {
                    options.insert("Labels".to_owned(), json!(labels));
                }
                if let Some(subpath) = subpath.as_deref().filter(|subpath| !subpath.is_empty()) {
                    options.insert("Subpath".to_owned(), json!(subpath));
                }
                if !options.is_empty() {
                    set("VolumeOptions", Value::Object(options));
                }
            }
            MountSource::Tmpfs { size, mode, options } if options.is_empty() => {
                set("Type", json!("tmpfs"));
                let mut options = Map::new();
                if let Some(size) = size {
                    options.insert("SizeBytes".to_owned(), json!(size));
                }
                if let Some(mode) = mode {
                    options.insert("Mode".to_owned(), json!(mode));
                }
                if !options.is_empty() {
                    set("TmpfsOptions", Value::Object(options));
                }
            }
            MountSource::Tmpfs { size, mode, options } => {
                let mut words = Vec::new();
                words.extend(mount.read_only.then(|| "ro".to_owned()));
                words.extend(size.map(|size| format!("size={size}")));
                words.extend(mode.map(|mode| format!("mode={mode:o}")));
                words.extend(options.iter().cloned());
                tmpfs.insert(mount.target.clone(), json!(words.join(",")));
                continue;
            }
        }
        list.push(value);
    }
    (list, tmpfs)
}

/// The options of a bind as a client wrote it, for the mount at this place; `None` where no bind is.
pub fn written_mode<'a>(spec: &'a ContainerSpec, target: &str) -> Option<&'a str> {
    spec.remarks.binds.iter().find_map(|bind| {
        let mut parts = bind.split(':');
        let first = parts.next()?;
        let place = parts.next().unwrap_or(first);
        (place == target).then(|| parts.next().unwrap_or_default())
    })
}

/// Whether what is mounted at a place was written as a bind, as in-memory or among the configuration's volumes.
fn is_written_otherwise(spec: &ContainerSpec, target: &String) -> bool {
    written_mode(spec, target).is_some() || spec.remarks.tmpfs.contains_key(target) || spec.remarks.volumes.contains(target)
}

/// Reads all three and adds them to a spec's; an anonymous volume that is there gives way to a mount at the same place.
pub(super) fn from_fields(fields: &mut Fields, spec: &mut ContainerSpec) -> Result<(), WireError> {
    let mut asked = Vec::new();
    spec.remarks.binds = fields.texts("Binds")?;
    for bind in &spec.remarks.binds {
        asked.push(parse_bind(&fields.path("Binds"), bind)?);
    }
    for (index, value) in fields.list("Mounts")?.into_iter().enumerate() {
        let mut mount = Fields::of(&fields.path(&format!("Mounts[{index}]")), value, fields.mood())?;
        if let Some(read) = parse_mount(&mut mount)? {
            asked.push(read);
        }
        mount.finish()?;
    }
    spec.remarks.tmpfs = fields.text_map("Tmpfs")?;
    for (target, options) in &spec.remarks.tmpfs {
        let path = fields.path(&format!("Tmpfs.{target}"));
        asked.push(parse_tmpfs(&path, target.clone(), options)?);
    }
    spec.mounts.retain(|mount| !asked.iter().any(|other| other.target == mount.target));
    spec.mounts.append(&mut asked);
    Ok(())
}

/// `[source:]target[:options]`, where a source that is no path is a volume's name.
fn parse_bind(path: &str, text: &str) -> Result<Mount, WireError> {
    let wrong = || WireError::malformed(path, format!("`source:target[:options]` instead of `{text}`"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(wrong()),
    };
    if !target.starts_with('/') || source == Some("") {
        return Err(wrong());
    }
    let (mut read_only, mut no_copy, mut propagation) = (None, false, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" | "rw" if read_only.is_some() => return Err(WireError::malformed(path, format!("one of `ro` and `rw` in `{text}`"))),
            "ro" | "rw" => read_only = Some(option == "ro"),
            "nocopy" => no_copy = true,
            option if PROPAGATIONS.contains(&option) => propagation = Some(option.to_owned()),
            // Nothing on Linux without SELinux, as in dockerd: the relabelling and Docker Desktop's cache modes.
            "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            _ => return Err(WireError::malformed(path, format!("known options instead of `{option}` in `{text}`"))),
        }
    }
    let source = match source {
        Some(source) if source.starts_with('/') => {
            MountSource::Bind { path: PathBuf::from(source), create: true, propagation, recursion: BindRecursion::Enabled }
        }
        name if propagation.is_none() => {
            MountSource::Volume { name: name.map(str::to_owned), no_copy, subpath: None, labels: BTreeMap::new() }
        }
        _ => return Err(WireError::malformed(path, format!("no propagation for the volume in `{text}`"))),
    };
    Ok(Mount { target: target.to_owned(), read_only: read_only.unwrap_or_default(), source })
}

/// How mounts may spread (mount_namespaces(7)).
const PROPAGATIONS: [&str; 6] = ["shared", "slave", "private", "rshared", "rslave", "rprivate"];

/// An entry of `Mounts`; `None` for a kind another engine has and we do not.
fn parse_mount(fields: &mut Fields) -> Result<Option<Mount>, WireError> {
    let kind = fields.text("Type")?.unwrap_or_default();
    let target = fields.text("Target")?.filter(|target| target.starts_with('/'));
    let target = target.ok_or_else(|| WireError::malformed(fields.path("Target"), "an absolute path"))?;
    let read_only = fields.flag("ReadOnly")?;
    let source = fields.text("Source")?;
    let caches = ["", "default", "consistent", "cached", "delegated"].map(|word| json!(word));
    fields.inert("Consistency", &caches)?;
    let source = match kind.as_str() {
        "bind" => {
            let path = source.filter(|path| path.starts_with('/'));
            let path = path.ok_or_else(|| WireError::malformed(fields.path("Source"), "an absolute path"))?;
            let mut options = fields.object("BindOptions")?;
            let propagation = options.text("Propagation")?;
            if propagation.as_ref().is_some_and(|word| !word.is_empty() && !PROPAGATIONS.contains(&word.as_str())) {
                return Err(WireError::malformed(options.path("Propagation"), PROPAGATIONS.join(", ")));
            }
            let create = options.flag("CreateMountpoint")?;
            let mut recursion = BindRecursion::Enabled;
            for (name, kind) in RECURSION {
                match (options.flag(name)?, recursion) {
                    (false, _) => {}
                    (true, BindRecursion::Enabled) => recursion = kind,
                    (true, _) => return Err(WireError::malformed(options.path(name), "no second word on mounts below")),
                }
            }
            if matches!(recursion, BindRecursion::Writable | BindRecursion::Readonly) && !read_only {
                return Err(WireError::malformed(
                    fields.path("ReadOnly"),
                    "true, where mounts below are to differ from it or to follow it",
                ));
            }
            options.finish()?;
            MountSource::Bind { path: PathBuf::from(path), create, propagation, recursion }
        }
        "volume" => {
            let mut options = fields.object("VolumeOptions")?;
            let volume = MountSource::Volume {
                name: source,
                no_copy: options.flag("NoCopy")?,
                subpath: options.text("Subpath")?,
                labels: options.text_map("Labels")?,
            };
            let mut driver = options.object("DriverConfig")?;
            driver.inert("Name", &[json!(""), json!("local")])?;
            driver.finish()?;
            options.finish()?;
            volume
        }
        "tmpfs" => {
            if source.is_some() {
                let message = "invalid mount config for type \"tmpfs\": field Source must not be specified".to_owned();
                return Err(WireError::Words { field: fields.path("Source"), message });
            }
            let mut options = fields.object("TmpfsOptions")?;
            let size = options.unsigned("SizeBytes")?;
            let mode = options.get::<u32>("Mode", "permission bits")?.filter(|&mode| mode != 0);
            let further = options.get::<Vec<Vec<String>>>("Options", "a list of lists of strings")?.unwrap_or_default();
            options.finish()?;
            MountSource::Tmpfs { size, mode, options: further.iter().map(|words| words.join("=")).collect() }
        }
        _ => return fields.refuse("Type", &json!(kind)).map(|()| None),
    };
    Ok(Some(Mount { target, read_only, source }))
}

/// An entry of `Tmpfs`, with the options of mount(8).
fn parse_tmpfs(path: &str, target: String, text: &str) -> Result<Mount, WireError> {
    let (mut read_only, mut size, mut mode, mut options) = (false, None, None, Vec::new());
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let wrong = || WireError::malformed(path, format!("a number in `{option}`"));
        match option.split_once('=') {
            Some(("size", value)) if value.ends_with('%') => options.push(option.to_owned()),
            Some(("size", value)) => size = Some(kernel_size(value).ok_or_else(wrong)?),
            Some(("mode", value)) => mode = Some(u32::from_str_radix(value, 8).map_err(|_| wrong())?),
            None if option == "ro" => read_only = true,
            None if option == "rw" => {}
            _ => options.push(option.to_owned()),
        }
    }
    Ok(Mount { target, read_only, source: MountSource::Tmpfs { size, mode, options } })
}

/// A number as the kernel's memparse reads it.
fn kernel_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (&text[..text.len() - 1], 10),
        b'm' => (&text[..text.len() - 1], 20),
        b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}
