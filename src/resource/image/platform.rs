//! What an image is made for: a system and a processor.

use std::fmt;
use std::str::FromStr;

/// What an image is made for: `os/architecture[/variant]`, in Go's spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub architecture: String,
    /// Variant of the architecture: `v7`.
    pub variant: Option<String>,
}

impl Platform {
    /// Linux on the processor this program was built for.
    pub fn host() -> Self {
        let (architecture, variant) = normalize_architecture(std::env::consts::ARCH, None);
        Self { os: "linux".to_owned(), architecture, variant }
    }

    /// Reads a platform that somebody wants to build for: there must be such machines. (What an image says of itself may be anything.)
    pub fn wanted(text: &str) -> Result<Self, PlatformError> {
        let platform: Self = text.parse()?;
        let unknown = |what, part: &str| Err(PlatformError::Unknown(text.to_owned(), what, part.to_owned()));
        if !SYSTEMS.contains(&platform.os.as_str()) {
            return unknown("system", &platform.os);
        }
        if !ARCHITECTURES.contains(&platform.architecture.as_str()) {
            return unknown("architecture", &platform.architecture);
        }
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(formatter, "/{variant}"))
    }
}

/// Systems and architectures that there are (Go's, which containerd knows).
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
];
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc", "ppc64", "ppc64le", "riscv", "riscv64",
    "s390x", "sparc64", "wasm",
];

/// A text that is not a platform, or one of no machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// It is not written like one.
    #[error("`{0}` is not a platform: `os/architecture[/variant]` is expected, as in linux/arm64")]
    Form(String),
    /// There is no such system, or no such architecture.
    #[error("`{0}` is no platform that is known: there is no {1} `{2}`; `os/architecture[/variant]` is expected, as in linux/arm64")]
    Unknown(String, &'static str, String),
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Reads `os/architecture[/variant]`, or an architecture alone, with the synonyms containerd knows (`x86_64`, `aarch64`, `armhf`).
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let plain = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !parts.iter().all(plain) {
            return Err(PlatformError::Form(text.to_owned()));
        }
        let (os, architecture, variant) = match parts.as_slice() {
            ["linux"] => return Ok(Self::host()),
            [architecture] => ("linux", *architecture, None),
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some(*variant)),
            _ => return Err(PlatformError::Form(text.to_owned())),
        };
        let (architecture, variant) = normalize_architecture(architecture, variant);
        Ok(Self { os: os.to_ascii_lowercase(), architecture, variant })
    }
}

/// One spelling for each architecture (containerd's `normalizeArch`): the default variants of amd64 and arm64 are not written, arm's is.
fn normalize_architecture(architecture: &str, variant: Option<&str>) -> (String, Option<String>) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.map(str::to_ascii_lowercase);
    let (architecture, variant) = match architecture.as_str() {
        "x86_64" | "x86-64" | "amd64" => ("amd64", variant.filter(|it| it != "v1")),
        "i386" | "x86" | "386" => ("386", None),
        "aarch64" | "arm64" => ("arm64", variant.filter(|it| it != "8" && it != "v8")),
        "armhf" => ("arm", Some("v7".to_owned())),
        "armel" => ("arm", Some("v6".to_owned())),
        "arm" => {
            let variant = variant.unwrap_or_else(|| "v7".to_owned());
            ("arm", Some(if variant.starts_with('v') { variant } else { format!("v{variant}") }))
        }
        _ => return (architecture, variant),
    };
    (architecture.to_owned(), variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_one_spelling() {
        let check = |text: &str, expect: &str| assert_eq!(text.parse::<Platform>().map(|it| it.to_string()), Ok(expect.to_owned()));
        check("linux/amd64", "linux/amd64");
        check("x86_64", "linux/amd64");
        check("linux/aarch64/v8", "linux/arm64");
        check("linux/arm", "linux/arm/v7");
        check("armel", "linux/arm/v6");
        check("linux/arm/6", "linux/arm/v6");
        check("linux/riscv64", "linux/riscv64");
        for text in ["", "linux/", "a/b/c/d", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_platform_that_is_wanted_is_one_that_there_is() {
        for text in ["linux/amd64", "arm64", "linux", "linux/arm/v6", "windows/amd64"] {
            assert_eq!(Platform::wanted(text), text.parse());
        }
        let refused = |text: &str| Platform::wanted(text).expect_err("there is none").to_string();
        assert!(refused("foo").contains("there is no architecture `foo`"), "{}", refused("foo"));
        assert!(refused("foo/amd64").contains("there is no system `foo`"), "{}", refused("foo/amd64"));
        assert!(refused("linux/bar").contains("there is no architecture `bar`"), "{}", refused("linux/bar"));
        assert_eq!("unknown/unknown".parse::<Platform>().map(|it| it.to_string()), Ok("unknown/unknown".to_owned()));
    }
}
