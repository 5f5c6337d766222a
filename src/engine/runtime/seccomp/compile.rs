//! From rules by name to a program: a tree for each of the three ways to call this kernel.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::engine::runtime::seccomp::Program;
use crate::engine::runtime::seccomp::rule::{Action, Rule};
use crate::engine::runtime::seccomp::tree::{self, Decision};

/// Numbers by name: x86_64, x86, x32 without its bit.
static TABLE: OnceLock<BTreeMap<&'static str, [Option<u32>; 3]>> = OnceLock::new();

fn table() -> &'static BTreeMap<&'static str, [Option<u32>; 3]> {
    TABLE.get_or_init(|| {
        let lines = include_str!("syscalls.txt").lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| {
                let mut words = line.split(' ');
                let name = words.next()?;
                let mut number = || words.next().and_then(|word| word.parse().ok());
                Some((name, [number(), number(), number()]))
            })
            .collect()
    })
}

/// x32 calls are told from others by this bit of the number.
const X32: u32 = 0x4000_0000;

/// `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_I386`.
const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;

/// Makes the program. `architectures` says which of x86_64, x86 and x32 may call at all; the others end, as under libseccomp.
pub(super) fn compile(rules: &[Rule<'_>], otherwise: Action, architectures: [bool; 3]) -> Program {
    let part = |index: usize, bit: u32| {
        if architectures[index] { tree::over_numbers(&ranges(rules, otherwise, index, bit)) } else { vec![tree::done(Action::KillThread)] }
    };
    // seccomp_data: number at 0, architecture at 4.
    let mut long = vec![tree::load(0)];
    long.extend(tree::if_at_least(X32, part(2, X32), part(0, 0)));
    let mut short = vec![tree::load(0)];
    short.extend(part(1, 0));
    let foreign = vec![tree::done(Action::KillThread)];
    let mut program = vec![tree::load(4)];
    program.extend(tree::if_equal(X86_64, long, tree::if_equal(I386, short, foreign)));
    Program(program)
}

/// Where each decision begins among the numbers of one architecture.
fn ranges(rules: &[Rule<'_>], otherwise: Action, architecture: usize, bit: u32) -> Vec<(u32, Decision)> {
    let mut decided: BTreeMap<u32, Decision> = BTreeMap::new();
    for rule in rules {
        for number in rule.names.iter().filter_map(|name| table().get(name)?[architecture]) {
            let decision = decided.entry(number | bit).or_insert_with(|| Decision { rules: Vec::new(), otherwise });
            if rule.conditions.is_empty() {
                // Whatever the arguments; and the first such rule has the word.
                if decision.otherwise == otherwise {
                    *decision = Decision { rules: Vec::new(), otherwise: rule.action };
                }
            } else if decision.otherwise == otherwise {
                decision.rules.push((rule.conditions.clone(), rule.action));
            }
        }
    }
    let default = Decision { rules: Vec::new(), otherwise };
    let mut starts: Vec<(u32, Decision)> = Vec::new();
    let mut push = |start: u32, decision: &Decision| {
        if starts.last().is_none_or(|(_, last)| last != decision) {
            starts.push((start, decision.clone()));
        }
    };
    let mut next = bit;
    for (number, decision) in &decided {
        if *number > next {
            push(next, &default);
        }
        push(*number, decision);
        next = number + 1;
    }
    push(next, &default);
    starts
}
