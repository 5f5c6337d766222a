//! Addresses: blocks as ranges of numbers, the choice of a block for a network, and the addresses within it.

pub(super) mod block;
pub(super) mod pool;
pub(super) mod space;
