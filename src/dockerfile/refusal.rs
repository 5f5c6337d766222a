//! What is wrong with instructions once their variables have their values. All of it is told before anything is done.

use std::collections::BTreeMap;

use super::plan::{Base, Plan};
use super::problem::Problem;
use super::scope::{Inherited, Scope};

impl Plan {
    /// What is wrong, in the order of the stages. What hangs on a variable of a base that is not among these environments is not said to be.
    pub fn refusals(&self, environments: &BTreeMap<Base, Vec<String>>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut ended: Vec<(Scope, bool)> = Vec::with_capacity(self.stages.len());
        for (index, stage) in self.stages.iter().enumerate() {
            let (mut scope, is_known) = match &stage.base {
                Base::Stage(below) => {
                    let (below, is_known) = &ended[*below];
                    (Scope::derive(self, index, below), *is_known)
                }
                base => {
                    let environment = environments.get(base);
                    let inherited = Inherited { environment: environment.map(Vec::as_slice).unwrap_or_default(), ..Inherited::default() };
                    (Scope::new(self, index, inherited), environment.is_some() || *base == Base::Scratch)
                }
            };
            for instruction in &stage.instructions {
                scope.undefined.clear();
                let step = instruction.resolve(&mut scope);
                problems.extend(step.err().filter(|_| is_known || scope.undefined.is_empty()));
            }
            ended.push((scope, is_known));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::{Dockerfile, Options};

    #[test]
    fn all_that_is_wrong_is_told_and_nothing_that_may_be_right() {
        let text = "FROM a AS one\nEXPOSE 99999\nSTOPSIGNAL $SIGNAL\nFROM one\nADD https://example.com/x.git#main /x\nARG P=NOPE\nSTOPSIGNAL $P\nRUN x\n";
        let file = Dockerfile::parse(text).expect("a file");
        let plan = file.plan(&Options::default()).expect("a plan");
        let told = |environments: &[&str]| -> Vec<u32> {
            let of = environments.iter().map(|it| (*it).to_owned()).collect();
            let known = if environments.is_empty() { BTreeMap::new() } else { BTreeMap::from([(Base::Image("a".to_owned()), of)]) };
            plan.refusals(&known).iter().map(|problem| problem.place.expect("a place").line).collect()
        };
        assert_eq!(told(&[]), [2, 5, 7], "who knows what SIGNAL is?");
        assert_eq!(told(&["X=1"]), [2, 3, 5, 7], "it is nothing");
        assert_eq!(told(&["SIGNAL=SIGUSR1"]), [2, 5, 7]);
    }
}
