//! Netlink: messages as bytes, one blocking socket for requests and their answers, and what is asked of `NETLINK_ROUTE`.

pub(super) mod host;
pub(super) mod route;
pub(super) mod socket;
pub(super) mod wire;
