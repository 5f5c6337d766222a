//! Netlink: messages as bytes, and one blocking socket for requests and their answers.

pub(super) mod socket;
pub(super) mod wire;
