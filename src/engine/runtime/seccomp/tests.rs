//! Filters, run by a machine of our own.

use super::*;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL: u32 = 0;

/// Runs a program as the kernel would; returns its answer and how many instructions it took.
fn run(program: &Program, arch: u32, number: u32, arguments: [u64; 6]) -> (u32, usize) {
    let word = |offset: u32| match offset {
        0 => number,
        4 => arch,
        offset => {
            let argument = arguments[(offset as usize - 16) / 8];
            if offset % 8 == 0 { (argument & 0xffff_ffff) as u32 } else { (argument >> 32) as u32 }
        }
    };
    let (mut at, mut loaded, mut steps) = (0usize, 0u32, 0);
    loop {
        let instruction = program.0[at];
        let (yes, no) = ((instruction >> 16 & 0xff) as usize, (instruction >> 24 & 0xff) as usize);
        let constant = (instruction >> 32) as u32;
        at += 1;
        steps += 1;
        match instruction & 0xffff {
            0x20 => loaded = word(constant),
            0x54 => loaded &= constant,
            0x05 => at += constant as usize,
            0x15 => at += if loaded == constant { yes } else { no },
            0x25 => at += if loaded > constant { yes } else { no },
            0x35 => at += if loaded >= constant { yes } else { no },
            0x06 => return (constant, steps),
            other => panic!("instruction {other:#x}"),
        }
    }
}

#[test]
fn the_default_profile_decides_as_docker_does() {
    let plain = default_program(CapabilitySet::docker_default());
    let check = |arch, number, first: u64, expect| {
        assert_eq!(run(&plain, arch, number, [first, 0, 0, 0, 0, 0]).0, expect, "{arch:#x} {number} {first:#x}");
    };
    check(X86_64, 0, 0, ALLOW);
    check(X86_64, 165, 0, EPERM);
    check(X86_64, 9999, 0, EPERM);
    check(X86_64, 41, 2, ALLOW);
    check(X86_64, 41, 40, EPERM);
    check(X86_64, 41, 38, EPERM);
    check(X86_64, 56, 0x11, ALLOW);
    check(X86_64, 56, 0x1000_0011, EPERM);
    check(X86_64, 435, 0, ENOSYS);
    check(X86_64, 135, 0x8, ALLOW);
    check(X86_64, 135, 0x4_0000, EPERM);
    check(X86_64, 135, 0xffff_ffff, ALLOW);
    check(X86_64, 0x4000_0000 | 39, 0, ALLOW);
    check(X86_64, 0x4000_0000 | 165, 0, EPERM);
    check(I386, 3, 0, ALLOW);
    check(I386, 21, 0, EPERM);
    check(0xc000_00b7, 0, 0, KILL);
}

#[test]
fn capabilities_open_what_they_are_for() {
    let admin = CapabilitySet::resolve(&["SYS_ADMIN".to_owned()].into(), &[].into(), false).expect("known");
    let program = default_program(admin);
    for number in [56, 165, 435, 272] {
        assert_eq!(run(&program, X86_64, number, [0x1000_0000; 6]).0, ALLOW, "{number}");
    }
}

#[test]
fn no_call_is_far_from_the_root_of_the_tree() {
    let program = default_program(CapabilitySet::docker_default());
    assert!(program.0.len() < 1000, "{} instructions", program.0.len());
    for number in 0..500 {
        let (_, steps) = run(&program, X86_64, number, [0; 6]);
        assert!(steps < 40, "{number}: {steps}");
    }
}

#[test]
fn a_profile_of_the_user_is_compiled() {
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],"syscalls":[
        {"names":["chmod","no_such_call"],"action":"SCMP_ACT_ERRNO","errnoRet":13},
        {"name":"kill","action":"SCMP_ACT_KILL_PROCESS","args":[{"index":1,"value":9,"op":"SCMP_CMP_GE"}]},
        {"names":["dup"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":7,"op":"SCMP_CMP_EQ"},{"index":0,"value":8589934592,"op":"SCMP_CMP_GT"}]},
        {"names":["read"],"action":"SCMP_ACT_ERRNO","includes":{"caps":["CAP_SYS_ADMIN"]}}]}"#;
    let program = compile_json(profile, CapabilitySet::docker_default()).expect("a good profile");
    let check = |number, arguments: [u64; 2], expect| {
        let arguments = [arguments[0], arguments[1], 0, 0, 0, 0];
        assert_eq!(run(&program, X86_64, number, arguments).0, expect, "{number} {arguments:?}");
    };
    check(0, [0, 0], ALLOW);
    check(90, [0, 0], 0x0005_000d);
    check(62, [1, 8], ALLOW);
    check(62, [1, 9], 0x8000_0000);
    check(62, [1, 1 << 40], 0x8000_0000);
    check(32, [7, 0], EPERM);
    check(32, [8, 0], ALLOW);
    check(32, [1 << 33, 0], ALLOW);
    check(32, [(1 << 33) + 1, 0], EPERM);
    assert_eq!(run(&program, I386, 3, [0; 6]).0, KILL);
}

#[test]
fn a_profile_that_is_not_understood_is_refused() {
    for profile in ["{", r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, r#"{"defaultAction":"SCMP_ACT_ALLOW","surprise":1}"#] {
        assert!(compile_json(profile, CapabilitySet::EMPTY).is_err(), "{profile}");
    }
}
