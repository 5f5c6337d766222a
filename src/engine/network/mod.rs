//! Networks: addresses, bridges, endpoints, published ports and names.
//!
//! Everything here speaks to the kernel by netlink; no other program is run. What the kernel or a record on disk knows is not
//! kept a second time: at start the room reads both, adopts what belongs to somebody, and sweeps the rest.

mod bridge;
pub mod dns;
mod endpoint;
pub mod error;
mod forwarding;
pub mod handle;
mod ipam;
mod kernel;
mod machine_lock;
mod membership;
mod netlink;
pub mod nft;
pub mod port;
mod record;
mod state;
#[cfg(test)]
pub(crate) mod test_namespace;
#[cfg(test)]
mod tests;
mod watch;

/// So long waits who has run out of descriptors or memory before another try.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(50);
