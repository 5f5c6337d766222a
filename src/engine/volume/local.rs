//! The `local` driver's options `type`, `o` and `device`: a file system mounted where the volume lies, as mount(8) would.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::engine::volume::error::VolumeError;

/// A file system to mount, from a volume's options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LocalMount {
    kind: String,
    device: String,
    flags: MsFlagsBits,
    data: Vec<String>,
}

type MsFlagsBits = u64;

/// Options of mount(8) that are flags of mount(2): which they set, and whether they clear it instead.
const FLAGS: &[(&str, MsFlags, bool)] = &[
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("nodev", MsFlags::MS_NODEV, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("atime", MsFlags::MS_NOATIME, false),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("diratime", MsFlags::MS_NODIRATIME, false),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("norelatime", MsFlags::MS_RELATIME, false),
    ("strictatime", MsFlags::MS_STRICTATIME, true),
    ("bind", MsFlags::MS_BIND, true),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
];

impl LocalMount {
    /// Reads a volume's options; `None` when it is a plain folder.
    pub(super) fn parse(name: &str, options: &BTreeMap<String, String>) -> Result<Option<Self>, VolumeError> {
        let wrong = |reason: String| VolumeError::Option { name: name.to_owned(), reason };
        if let Some(key) = options.keys().find(|key| !["type", "o", "device", "size"].contains(&key.as_str())) {
            return Err(wrong(format!("invalid option: \"{key}\"; the local driver has `type`, `o` and `device`")));
        }
        if options.contains_key("size") {
            return Err(wrong("`size` needs project quotas, which this engine does not set; a tmpfs takes `o: size=…`".to_owned()));
        }
        if options.is_empty() {
            return Ok(None);
        }
        let value = |key: &str| options.get(key).cloned().unwrap_or_default();
        let (kind, device) = (value("type"), value("device"));
        if device.is_empty() {
            return Err(wrong("missing device in volume options".to_owned()));
        }
        let mut flags = MsFlags::empty();
        let mut data = Vec::new();
        for word in value("o").split(',').filter(|word| !word.is_empty() && *word != "defaults") {
            match FLAGS.iter().find(|(known, _, _)| *known == word) {
                Some((_, flag, true)) => flags.insert(*flag),
                Some((_, flag, false)) => flags.remove(*flag),
                None => data.push(word.to_owned()),
            }
        }
        if kind.is_empty() && !flags.contains(MsFlags::MS_BIND) {
            return Err(wrong("missing type in volume options".to_owned()));
        }
        let network_file_system = kind == "nfs" || kind == "nfs4" || kind == "cifs";
        if let Some(address) = data.iter().find_map(|word| word.strip_prefix("addr=")).filter(|_| network_file_system)
            && address.parse::<IpAddr>().is_err()
        {
            return Err(wrong(format!("`addr={address}` must be an address: the engine does not look up names for the kernel")));
        }
        Ok(Some(Self { kind, device, flags: flags.bits(), data }))
    }

    /// Mounts it at a folder that exists.
    pub(super) fn mount(&self, name: &str, at: &Path) -> Result<(), VolumeError> {
        let failed =
            |source: nix::Error| VolumeError::Step { step: "mount", name: name.to_owned(), path: at.to_owned(), source: source.into() };
        let flags = MsFlags::from_bits_retain(self.flags);
        let kind = Some(self.kind.as_str()).filter(|kind| !kind.is_empty() && *kind != "none");
        let data = Some(self.data.join(",")).filter(|data| !data.is_empty());
        mount(Some(self.device.as_str()), at, kind, flags, data.as_deref()).map_err(failed)?;
        let rest = flags - (MsFlags::MS_BIND | MsFlags::MS_REC);
        if flags.contains(MsFlags::MS_BIND) && !rest.is_empty() {
            // mount(2) ignores every other flag of a bind; they take a second call.
            let again = rest | MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
            if let Err(error) = mount(None::<&str>, at, None::<&str>, again, None::<&str>) {
                unmount(name, at)?;
                return Err(failed(error));
            }
        }
        Ok(())
    }
}

/// Takes the mount away from the host's tree; containers that still have it keep it until they end.
pub(super) fn unmount(name: &str, at: &Path) -> Result<(), VolumeError> {
    match umount2(at, MntFlags::MNT_DETACH) {
        // EINVAL: nothing is mounted there.
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        Err(error) => Err(VolumeError::Step { step: "unmount", name: name.to_owned(), path: at.to_owned(), source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<Option<LocalMount>, String> {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        LocalMount::parse("data", &options).map_err(|error| error.to_string())
    }

    #[test]
    fn options_become_a_mount() {
        assert_eq!(parse(&[]), Ok(None));
        let tmpfs = parse(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,uid=1000,noexec,ro,rw")]);
        let expected = LocalMount {
            kind: "tmpfs".to_owned(),
            device: "tmpfs".to_owned(),
            flags: MsFlags::MS_NOEXEC.bits(),
            data: vec!["size=1m".to_owned(), "uid=1000".to_owned()],
        };
        assert_eq!(tmpfs, Ok(Some(expected)));
        let bind = parse(&[("type", "none"), ("device", "/srv"), ("o", "bind,ro")]).expect("a bind").expect("a mount");
        assert_eq!(bind.flags, (MsFlags::MS_BIND | MsFlags::MS_RDONLY).bits());
    }

    #[test]
    fn what_cannot_be_mounted_is_refused() {
        let check = |options: &[(&str, &str)], part: &str| {
            let error = parse(options).expect_err("refused");
            assert!(error.contains(part), "{error}");
        };
        check(&[("type", "tmpfs")], "missing device");
        check(&[("device", "/dev/sdb1")], "missing type");
        check(&[("colour", "red")], "invalid option");
        check(&[("size", "1g")], "quotas");
        check(&[("type", "nfs"), ("device", ":/srv"), ("o", "addr=server")], "must be an address");
    }
}
