//! The device filter of a control group: an eBPF program that the kernel asks at every open and mknod of a device.

use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::engine::runtime::cgroup::group::Group;
use crate::engine::runtime::device::Rule;
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::kernel;

/// Attaches a filter that allows nothing but these rules. It stays as long as the group.
pub(super) fn attach(group: &Group, rules: &[Rule]) -> Result<(), Errno> {
    const PROG_LOAD: libc::c_long = 5;
    const PROG_ATTACH: libc::c_long = 8;
    const TYPE_CGROUP_DEVICE: u64 = 15;
    const ATTACH_CGROUP_DEVICE: u64 = 6;
    // Filters of groups above keep their say.
    const ALLOW_MULTI: u64 = 2;

    let program = compile(rules);
    let mut load = [0; 9];
    load[0] = TYPE_CGROUP_DEVICE | (program.len() as u64) << 32;
    load[1] = program.as_ptr() as u64;
    // The helpers it calls (none) decide which licence the kernel asks for.
    load[2] = c"Apache-2.0".as_ptr() as u64;
    load[6] = u64::from_ne_bytes(*b"gantry_d");
    let descriptor = kernel::bpf(PROG_LOAD, &mut load)?;
    let descriptor = i32::try_from(descriptor).map_err(|_| Errno(libc::EBADF))?;
    // SAFETY: the kernel has just made this descriptor (close-on-exec, as all of bpf's), and nobody else owns it.
    let program = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let number = |descriptor: i32| u64::from(descriptor.cast_unsigned());
    let mut attach = [number(group.as_fd().as_raw_fd()) | number(program.as_raw_fd()) << 32, ATTACH_CGROUP_DEVICE | ALLOW_MULTI << 32];
    kernel::bpf(PROG_ATTACH, &mut attach).map(drop)
}

/// The same by the `devices` controller of version 1, where the kernel or our rights have no eBPF for us.
pub(super) fn write_legacy(group: &Group, rules: &[Rule]) -> Result<(), LaunchError> {
    group.set("devices.deny", "a")?;
    for rule in rules {
        group.set("devices.allow", &legacy_text(*rule))?;
    }
    Ok(())
}

fn legacy_text(rule: Rule) -> String {
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    let letters: String =
        [(rule.read, 'r'), (rule.write, 'w'), (rule.make, 'm')].into_iter().filter(|(has, _)| *has).map(|(_, letter)| letter).collect();
    format!("{} {}:{} {letters}", if rule.block { 'b' } else { 'c' }, number(rule.major), number(rule.minor))
}

// Registers: 1 is the context, then type, access, major, minor, and one to calculate in.
const CONTEXT: u64 = 1;
const TYPE: u64 = 2;
const ACCESS: u64 = 3;
const MAJOR: u64 = 4;
const MINOR: u64 = 5;
const SCRATCH: u64 = 6;

/// One instruction: operation, destination, source, offset, constant.
const fn instruction(operation: u64, destination: u64, source: u64, offset: i16, constant: u32) -> u64 {
    operation | destination << 8 | source << 12 | (offset.cast_unsigned() as u64) << 16 | (constant as u64) << 32
}

const fn load(destination: u64, offset: i16) -> u64 {
    instruction(0x61, destination, CONTEXT, offset, 0)
}

const fn copy(destination: u64, source: u64) -> u64 {
    instruction(0xbc, destination, source, 0, 0)
}

const fn and(destination: u64, constant: u32) -> u64 {
    instruction(0x54, destination, 0, 0, constant)
}

const fn shift_right(destination: u64, constant: u32) -> u64 {
    instruction(0x74, destination, 0, 0, constant)
}

/// Jumps when they are different; to be given its distance.
const fn unless_constant(register: u64, constant: u32) -> u64 {
    instruction(0x55, register, 0, 0, constant)
}

const fn unless_register(register: u64, other: u64) -> u64 {
    instruction(0x5d, register, other, 0, 0)
}

const fn answer(number: u32) -> [u64; 2] {
    [instruction(0xb7, 0, 0, 0, number), instruction(0x95, 0, 0, 0, 0)]
}

fn compile(rules: &[Rule]) -> Vec<u64> {
    // struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor.
    let mut program = vec![load(TYPE, 0), copy(ACCESS, TYPE), and(TYPE, 0xffff), shift_right(ACCESS, 16), load(MAJOR, 4), load(MINOR, 8)];
    for rule in rules {
        let access = u32::from(rule.make) | u32::from(rule.read) << 1 | u32::from(rule.write) << 2;
        let mut test = vec![unless_constant(TYPE, if rule.block { 1 } else { 2 })];
        if access != 7 {
            test.extend([copy(SCRATCH, ACCESS), and(SCRATCH, access), unless_register(SCRATCH, ACCESS)]);
        }
        test.extend(rule.major.map(|major| unless_constant(MAJOR, major)));
        test.extend(rule.minor.map(|minor| unless_constant(MINOR, minor)));
        test.extend(answer(1));
        let length = test.len();
        program.extend(test.into_iter().enumerate().map(|(index, instruction)| {
            let jumps = matches!(instruction & 0xff, 0x55 | 0x5d);
            // To the first instruction after the answer; a rule is a few instructions long.
            let distance = if jumps { (length - index - 1) as u64 } else { 0 };
            instruction | distance << 16
        }));
    }
    program.extend(answer(0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_spelt_for_version_1() {
        let rule = Rule { block: false, major: Some(136), minor: None, read: true, write: true, make: false };
        assert_eq!(legacy_text(rule), "c 136:* rw");
        assert_eq!(legacy_text(Rule { block: true, major: None, minor: None, read: false, write: false, make: true }), "b *:* m");
    }

    /// Runs a program as the kernel would.
    fn run(program: &[u64], block: bool, access: u32, major: u32, minor: u32) -> u32 {
        let context = [access << 16 | if block { 1 } else { 2 }, major, minor];
        let mut registers = [0u32; 11];
        let mut at = 0;
        loop {
            let instruction = program[at];
            let (to, from) = ((instruction >> 8 & 15) as usize, (instruction >> 12 & 15) as usize);
            let (offset, constant) = ((instruction >> 16 & 0xffff) as usize, (instruction >> 32) as u32);
            at += 1;
            match instruction & 0xff {
                0x61 => registers[to] = context[offset / 4],
                0xbc => registers[to] = registers[from],
                0x54 => registers[to] &= constant,
                0x74 => registers[to] >>= constant,
                0x55 if registers[to] != constant => at += offset,
                0x5d if registers[to] != registers[from] => at += offset,
                0x55 | 0x5d => {}
                0xb7 => registers[to] = constant,
                0x95 => return registers[0],
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn only_what_a_rule_names_is_allowed() {
        let any = Rule { block: false, major: None, minor: None, read: false, write: false, make: true };
        let null = Rule { block: false, major: Some(1), minor: Some(3), read: true, write: true, make: true };
        let disk = Rule { block: true, major: Some(8), minor: None, read: true, write: false, make: false };
        let program = compile(&[any, null, disk]);
        let check = |block, access, major, minor, expect| {
            assert_eq!(run(&program, block, access, major, minor), expect, "{block} {access} {major}:{minor}");
        };
        check(false, 6, 1, 3, 1);
        check(false, 2, 1, 5, 0);
        check(false, 1, 99, 99, 1);
        check(false, 3, 99, 99, 0);
        check(true, 2, 8, 7, 1);
        check(true, 4, 8, 7, 0);
        check(true, 6, 8, 7, 0);
        check(true, 2, 9, 7, 0);
    }
}
