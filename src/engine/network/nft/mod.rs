//! nf_tables over netlink: an encoder, our table, and the two rules that other people's tables need.

pub mod dns_redirect;
