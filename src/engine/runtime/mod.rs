//! Keeper, shim and init: the only room with `unsafe`.

#![expect(unsafe_code, reason = "the kernel is spoken to here, and only here")]

pub mod capability;
pub mod cgroup;
pub mod error;
mod estate;
pub mod init;
mod keeper;
pub mod launch;
pub mod link;
mod note;
mod packet;
mod readiness;
pub mod role;
pub mod seccomp;
pub mod task;
