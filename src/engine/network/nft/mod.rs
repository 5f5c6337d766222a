//! nf_tables over netlink: an encoder, our table, and the two rules that other people's tables need.

pub(super) mod batch;
pub(super) mod conntrack;
pub mod dns_redirect;
pub(super) mod expression;
pub(super) mod foreign;
pub(super) mod table;
