//! Instructions of the kernel's filter machine, laid out as a tree: a list of 400 numbers would cost 1.3 ms at every start, since the
//! kernel runs a new filter once for every number to remember its answer.

use crate::engine::runtime::seccomp::rule::{Action, Comparison, Condition};

/// What is decided about one system call: the first rule whose conditions all hold, else what is last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// Conditions, all of which must hold, and what then is done.
    pub(super) rules: Vec<(Vec<Condition>, Action)>,
    /// Otherwise.
    pub(super) otherwise: Action,
}

const LOAD: u64 = 0x20;
const AND: u64 = 0x54;
const JUMP: u64 = 0x05;
const IF_EQUAL: u64 = 0x15;
const IF_GREATER: u64 = 0x25;
const IF_AT_LEAST: u64 = 0x35;
const RETURN: u64 = 0x06;

/// One instruction: code, jump if true, jump if false, constant.
const fn instruction(code: u64, yes: u8, no: u8, constant: u32) -> u64 {
    code | (yes as u64) << 16 | (no as u64) << 24 | (constant as u64) << 32
}

/// Loads a word of `seccomp_data`.
pub(super) const fn load(offset: u32) -> u64 {
    instruction(LOAD, 0, 0, offset)
}

/// Ends with an action.
pub(super) const fn done(action: Action) -> u64 {
    instruction(RETURN, 0, 0, action.number())
}

/// `yes` when the loaded word is `constant`, else `no`.
pub(super) fn if_equal(constant: u32, yes: Vec<u64>, no: Vec<u64>) -> Vec<u64> {
    branch(IF_EQUAL, constant, yes, no)
}

/// `yes` when the loaded word is at least `constant`, else `no`.
pub(super) fn if_at_least(constant: u32, yes: Vec<u64>, no: Vec<u64>) -> Vec<u64> {
    branch(IF_AT_LEAST, constant, yes, no)
}

/// Both parts end with an action themselves. A jump of a condition reaches 255 instructions; a plain one any.
fn branch(code: u64, constant: u32, yes: Vec<u64>, no: Vec<u64>) -> Vec<u64> {
    let mut program = match u8::try_from(no.len()) {
        Ok(distance) => vec![instruction(code, distance, 0, constant)],
        Err(_) => vec![instruction(code, 0, 1, constant), JUMP | (no.len() as u64) << 32],
    };
    program.extend(no);
    program.extend(yes);
    program
}

/// The tree over the numbers of system calls: `starts` holds where each decision begins, in order, the first at 0.
pub(super) fn over_numbers(starts: &[(u32, Decision)]) -> Vec<u64> {
    match starts {
        [] => Vec::new(),
        [(_, decision)] => leaf(decision),
        _ => {
            let (low, high) = starts.split_at(starts.len() / 2);
            if_at_least(high[0].0, over_numbers(high), over_numbers(low))
        }
    }
}

fn leaf(decision: &Decision) -> Vec<u64> {
    let mut program = Vec::new();
    for (conditions, action) in &decision.rules {
        let mut rest = vec![done(*action)];
        for condition in conditions.iter().rev() {
            rest = test(*condition, rest);
        }
        program.extend(rest);
    }
    program.push(done(decision.otherwise));
    program
}

/// Where a comparison goes: on to the next instruction, to what follows if it holds, or past that.
#[derive(Clone, Copy)]
enum To {
    Next,
    Hold,
    Fail,
}

/// Tests a condition in front of `rest`, which is jumped over when it does not hold. Arguments have 64 bits, the machine 32.
fn test(condition: Condition, rest: Vec<u64>) -> Vec<u64> {
    let (high, low) = ((condition.value >> 32) as u32, (condition.value & 0xffff_ffff) as u32);
    let offset = 16 + 8 * u32::from(condition.index);
    let (load_low, load_high) = ((LOAD, offset, To::Next, To::Next), (LOAD, offset + 4, To::Next, To::Next));
    let steps = match condition.comparison {
        Comparison::Equal => vec![load_high, (IF_EQUAL, high, To::Next, To::Fail), load_low, (IF_EQUAL, low, To::Hold, To::Fail)],
        Comparison::NotEqual => vec![load_high, (IF_EQUAL, high, To::Next, To::Hold), load_low, (IF_EQUAL, low, To::Fail, To::Hold)],
        Comparison::Greater | Comparison::AtMost => ordered(load_high, load_low, high, low, IF_GREATER, condition.comparison),
        Comparison::AtLeast | Comparison::Less => ordered(load_high, load_low, high, low, IF_AT_LEAST, condition.comparison),
        Comparison::Masked { mask } => vec![
            load_high,
            (AND, (mask >> 32) as u32, To::Next, To::Next),
            (IF_EQUAL, high, To::Next, To::Fail),
            load_low,
            (AND, (mask & 0xffff_ffff) as u32, To::Next, To::Next),
            (IF_EQUAL, low, To::Hold, To::Fail),
        ],
    };
    let length = steps.len();
    let mut program: Vec<_> = steps
        .into_iter()
        .enumerate()
        .map(|(index, (code, constant, yes, no))| {
            // A condition is six instructions, and there are six arguments at most: the distance fits a byte.
            let distance = |to| match to {
                To::Next => 0,
                To::Hold => u8::try_from(length - index - 1).unwrap_or(u8::MAX),
                To::Fail => u8::try_from(length - index - 1 + rest.len()).unwrap_or(u8::MAX),
            };
            instruction(code, distance(yes), distance(no), constant)
        })
        .collect();
    program.extend(rest);
    program
}

type Step = (u64, u32, To, To);

/// Greater, or at least; or the opposite of either.
fn ordered(load_high: Step, load_low: Step, high: u32, low: u32, code: u64, comparison: Comparison) -> Vec<Step> {
    let (hold, fail) = match comparison {
        Comparison::AtMost | Comparison::Less => (To::Fail, To::Hold),
        _ => (To::Hold, To::Fail),
    };
    vec![load_high, (IF_GREATER, high, hold, To::Next), (IF_EQUAL, high, To::Next, fail), load_low, (code, low, hold, fail)]
}
