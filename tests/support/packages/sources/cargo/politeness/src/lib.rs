//! How somebody is addressed.

/// The name, with a word before it.
pub fn address(name: &str) -> String {
    format!("dear {name}")
}
