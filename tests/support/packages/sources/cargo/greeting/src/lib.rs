//! How a day begins.

/// What is said to somebody in the morning.
pub fn greet(name: &str) -> String {
    format!("Good morning, {}", politeness::address(name))
}
