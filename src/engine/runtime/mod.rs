//! Keeper, shim and init: the only room with `unsafe`.

#![expect(unsafe_code, reason = "the kernel is spoken to here, and only here")]

pub mod capability;
pub mod cgroup;
pub mod error;
pub mod init;
pub mod launch;
pub mod link;
pub mod role;
pub mod seccomp;
pub mod task;
