//! The system calls that neither nix nor rustix has, each behind a safe function.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use crate::engine::runtime::error::Errno;

/// The two sides of a birth.
#[derive(Debug)]
pub(super) enum Birth {
    /// In the parent: the child's number and pidfd.
    Parent {
        /// In the caller's pid namespace.
        pid: i32,
        /// Close-on-exec, as every pidfd is.
        pidfd: OwnedFd,
    },
    /// In the child.
    Child,
}

fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

/// Makes a child process with the memory of this one (as fork does), in new namespaces and another control group.
///
/// glibc's fork handlers do not run, so the caller must have one thread only: a lock that another thread holds would stay locked in the
/// child forever.
pub(super) fn clone3(flags: libc::c_int, cgroup: Option<BorrowedFd<'_>>) -> Result<Birth, Errno> {
    let mut pidfd: libc::c_int = -1;
    let mut arguments = libc::clone_args {
        flags: u64::from(flags.cast_unsigned()) | libc::CLONE_PIDFD as u64,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = cgroup {
        // CLONE_INTO_CGROUP, which libc declares too narrow to be written as it is.
        arguments.flags |= 0x2_0000_0000;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: the structure has the size that is given; without CLONE_VM the child has a copy of this memory and this stack.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    match check(result)? {
        0 => Ok(Birth::Child),
        pid => Ok(Birth::Parent {
            pid: i32::try_from(pid).map_err(|_| Errno(libc::EOVERFLOW))?,
            // SAFETY: the kernel has just put a new descriptor there, which nobody else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Makes a child with the memory of this process; in it the result is 0. The caller must have one thread only.
pub(super) fn fork() -> Result<libc::pid_t, Errno> {
    // SAFETY: there is no other thread that could hold a lock; the C library sets its own free.
    let pid = unsafe { libc::fork() };
    if pid < 0 { Err(Errno::last()) } else { Ok(pid) }
}

/// Which of the files that had this inode one after the other a file is; 0 where the file system does not use numbers again, or not tell.
pub(super) fn generation(file: BorrowedFd<'_>) -> i64 {
    let mut generation: libc::c_long = 0;
    // SAFETY: the kernel writes an int (`FS_IOC_GETVERSION`, declared as a long) to a variable that has room for it.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETVERSION as libc::Ioctl, &raw mut generation) };
    if result < 0 { 0 } else { generation }
}

/// From here on one heap serves all threads, however many they are: each would else keep one of its own.
pub(super) fn share_one_heap() {
    // SAFETY: takes numbers; no other thread allocates yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// What `mount_setattr` changes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MountChange {
    /// `MOUNT_ATTR_…` to set.
    pub(super) set: u64,
    /// `MOUNT_ATTR_…` to clear.
    pub(super) clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, or 0.
    pub(super) propagation: u64,
    /// Of every mount below, too.
    pub(super) recursive: bool,
}

/// `MOUNT_ATTR_RDONLY`.
pub(super) const MOUNT_READ_ONLY: u64 = 0x1;

/// Changes the mount that a descriptor names.
pub(super) fn mount_setattr(mount: BorrowedFd<'_>, change: MountChange) -> Result<(), Errno> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let attributes = MountAttr { set: change.set, clear: change.clear, propagation: change.propagation, user_namespace: 0 };
    let flags = libc::AT_EMPTY_PATH | if change.recursive { 0x8000 } else { 0 };
    // SAFETY: the path is an empty C string and the structure has the size that is given; both are only read.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), flags, &raw const attributes, size_of::<MountAttr>())
    };
    check(result).map(drop)
}

/// Joins namespaces: of one descriptor of `/proc/PID/ns`, or several of a pidfd.
pub(super) fn setns(namespace: BorrowedFd<'_>, kinds: libc::c_int) -> Result<(), Errno> {
    // SAFETY: takes two numbers; what other code assumes of the namespaces is the caller's business, who is alone in the process.
    check(libc::c_long::from(unsafe { libc::setns(namespace.as_raw_fd(), kinds) })).map(drop)
}

/// Leaves the view of the control groups of the parent for one of its own.
pub(super) fn unshare_cgroup() -> Result<(), Errno> {
    // SAFETY: takes a number; only this process's view changes.
    check(libc::c_long::from(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) })).map(drop)
}

/// Marks every descriptor from `first` on as close-on-exec.
pub(super) fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    // SAFETY: takes three numbers; only flags of descriptors change.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Closes every descriptor from `first` on. Owners of them must not be dropped afterwards: for a process that only calls the kernel
/// from here on.
pub(super) fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: the caller owns every descriptor of the process and uses none of them again.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Gives every signal its default action and unblocks all: what a parent ignores or blocks would otherwise outlive exec.
pub(super) fn reset_signals() {
    // The kernel's `struct sigaction` of zeros: the default action, no flags, no restorer, an empty mask.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the default action runs no code of ours. The C library refuses 32 and 33, which it keeps for threads, and ignores them
        // across posix_spawn, so the kernel is asked itself. SIGKILL and SIGSTOP are refused, to no harm.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8) };
    }
    // SAFETY: an all-zero set is a valid, empty one, and it is only read.
    unsafe {
        let empty: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut());
    }
}

/// A session keyring of its own, so that it shows nobody else's keys. A kernel without keys is fine.
pub(super) fn new_session_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for a new anonymous keyring; no memory is touched.
    match check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) }) {
        Err(Errno(libc::ENOSYS)) => Ok(()),
        result => result.map(drop),
    }
}

/// Removes a capability from the bounding set.
pub(super) fn drop_bounding(number: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(libc::c_long::from(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, u64::from(number), 0, 0, 0) })).map(drop)
}

/// Sets effective, permitted and inheritable capabilities of this thread.
pub(super) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Errno> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    // _LINUX_CAPABILITY_VERSION_3: two structures, the low and the high half.
    let header = Header { version: 0x2008_0522, pid: 0 };
    let half = |shift: u32| Data {
        effective: (effective >> shift & 0xffff_ffff) as u32,
        permitted: (permitted >> shift & 0xffff_ffff) as u32,
        inheritable: (inheritable >> shift & 0xffff_ffff) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: header and both data structures have the layout of version 3 and are only read.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// Installs a seccomp filter. Needs CAP_SYS_ADMIN or no_new_privs.
pub(super) fn install_filter(instructions: &[u64]) -> Result<(), Errno> {
    const SET_MODE_FILTER: libc::c_long = 1;
    #[repr(C)]
    struct Filter {
        length: u16,
        instructions: *const u64,
    }
    let length = u16::try_from(instructions.len()).map_err(|_| Errno(libc::E2BIG))?;
    let filter = Filter { length, instructions: instructions.as_ptr() };
    // SAFETY: an instruction is eight bytes, as each number is, in the order `seccomp::Program` packs them; the slice outlives the call.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const filter) }).map(drop)
}

/// Makes a terminal the controlling one of this session.
pub(super) fn set_controlling_terminal(terminal: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes numbers only; 0 does not steal it from another session.
    check(libc::c_long::from(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) })).map(drop)
}

/// Sets a resource limit of this process by its number.
pub(super) fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the structure is only read, and the old limit is not asked for.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, std::ptr::null_mut::<libc::rlimit64>()) }).map(drop)
}

/// The resource limit of this process by its number, soft and hard.
pub(super) fn limit(resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: no limit is set, and the structure is written as a whole.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<libc::rlimit64>(), &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Executes a program in place of this process. Returns only when that failed.
pub(super) fn execute(program: &CString, arguments: &[CString], environment: &[CString]) -> Errno {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: every string and both arrays end with a null and live until the call returns, if it does.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    Errno::last()
}

/// Ends this process at once, without destructors or exit handlers: for the child of [`clone3`], which shares both with its parent.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// One call of `bpf(2)`; the result is a number or a new descriptor.
pub(super) fn bpf(command: libc::c_long, attributes: &mut [u64]) -> Result<libc::c_long, Errno> {
    // SAFETY: the size is that of the slice; pointers in it are the caller's, who keeps what they name alive.
    check(unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of_val(attributes)) })
}
