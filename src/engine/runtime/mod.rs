//! Keeper, shim and init: the only room with `unsafe`.

#![expect(unsafe_code, reason = "the kernel is spoken to here, and only here")]

mod beneath;
mod bind;
pub mod capability;
pub mod cgroup;
mod child;
mod command;
mod device;
pub mod error;
mod estate;
mod exit;
mod file;
mod filesystem;
mod fill;
pub mod init;
mod keeper;
mod kernel;
pub mod launch;
mod launcher;
pub mod link;
mod mask;
mod mount;
mod namespace;
mod network;
mod note;
mod packet;
mod process;
mod program;
pub(in crate::engine) mod readiness;
mod reaper;
mod rlimit;
pub mod role;
mod rootfs;
pub(in crate::engine) mod rotation;
pub mod seccomp;
mod shim;
mod shim_process;
mod sync;
mod sysctl;
mod talk;
pub mod task;
mod terminal;
pub mod unread;
mod user;
pub mod view;
