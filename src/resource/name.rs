//! Names, parsed once; each kind a type of its own.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A text that cannot be a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {kind} name `{text}`: only {allowed} are allowed")]
pub struct NameError {
    /// What was to be named.
    pub kind: &'static str,
    /// The text.
    pub text: String,
    /// The rule, in words.
    pub allowed: &'static str,
}

/// Whether a byte can stand in a name.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Docker's rule for what an engine names: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
fn is_resource_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && text.len() > 1 && text.bytes().all(is_name_byte)
}

/// An engine's rule for networks: as for other resources, but one character is enough.
fn is_network_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && text.bytes().all(is_name_byte)
}

/// Compose's rule for keys: `[a-zA-Z0-9._-]+`.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_name_byte)
}

/// Compose's rule for projects: `[a-z0-9][a-z0-9_-]*`.
fn is_project_name(text: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(lower) && text.bytes().all(|byte| lower(byte) || matches!(byte, b'_' | b'-'))
}

macro_rules! name_type {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $rule:ident, $allowed:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if $rule(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { kind: $kind, text: text.to_owned(), allowed: $allowed })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}

name_type! {
    /// A container's name.
    ContainerName, "container", is_resource_name, "[a-zA-Z0-9][a-zA-Z0-9_.-]";
    /// A network's name.
    NetworkName, "network", is_network_name, "[a-zA-Z0-9][a-zA-Z0-9_.-]";
    /// A volume's name.
    VolumeName, "volume", is_resource_name, "[a-zA-Z0-9][a-zA-Z0-9_.-]";
    /// A service of a project.
    ServiceName, "service", is_key, "[a-zA-Z0-9._-]";
    /// A Compose project.
    ProjectName, "project", is_project_name, "lowercase alphanumeric characters, hyphens and underscores, starting with a letter or number,";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hold() {
        assert!("web-1".parse::<ContainerName>().is_ok());
        for text in ["", "a", "-web", "we b", "web/1", "wéb"] {
            assert!(text.parse::<ContainerName>().is_err(), "{text}");
        }
        assert!("a".parse::<ServiceName>().is_ok());
        assert!("Shop".parse::<ProjectName>().is_err());
        assert!("_shop".parse::<ProjectName>().is_err());
        assert!("shop_1".parse::<ProjectName>().is_ok());
    }
}
