//! A plan is gone through with the values of its variables before anything is done: what is wrong is told at once, and what takes time begins.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Base, Plan};
use super::problem::Problem;
use super::scope::{Inherited, Scope};
use super::step::{CopySource, Step};

/// What a plan comes to, as far as that is known before anything is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// What is wrong, in the order of the stages.
    pub problems: Vec<Problem>,
    /// What ADD fetches whatever comes: addresses without a checksum.
    pub addresses: BTreeSet<String>,
}

impl Plan {
    /// Goes through it. What hangs on a variable of a base that is not among these environments is not said to be wrong.
    pub fn try_out(&self, environments: &BTreeMap<Base, Vec<String>>) -> Trial {
        let mut trial = Trial::default();
        let mut ended: Vec<Scope> = Vec::with_capacity(self.stages.len());
        for (index, stage) in self.stages.iter().enumerate() {
            let mut scope = match &stage.base {
                Base::Stage(below) => Scope::derive(self, index, &ended[*below]),
                base => {
                    let environment = environments.get(base);
                    let inherited = Inherited { environment: environment.map(Vec::as_slice).unwrap_or_default(), ..Inherited::default() };
                    let mut scope = Scope::new(self, index, inherited);
                    if environment.is_none() && *base != Base::Scratch {
                        scope.distrust();
                    }
                    scope
                }
            };
            for instruction in &stage.instructions {
                match instruction.guess(&mut scope) {
                    (_, true) => {}
                    (Err(problem), false) => trial.problems.push(problem),
                    (Ok(Step::Copy(copy)), false) if copy.checksum.is_none() => {
                        trial.addresses.extend(copy.sources.into_iter().filter_map(|source| match source {
                            CopySource::Url(url) => Some(url),
                            CopySource::Path(_) | CopySource::Inline { .. } => None,
                        }));
                    }
                    (Ok(_), false) => {}
                }
            }
            ended.push(scope);
        }
        trial
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
            plan.try_out(&known).problems.iter().map(|problem| problem.place.expect("a place").line).collect()
        };
        assert_eq!(told(&[]), [2, 5, 7], "who knows what SIGNAL is?");
        assert_eq!(told(&["X=1"]), [2, 3, 5, 7], "it is nothing");
        assert_eq!(told(&["SIGNAL=SIGUSR1"]), [2, 5, 7]);
        // What comes of such a variable is as little known, and so is what must not be without it.
        let text = "FROM a\nENV S=$SIGNAL\nSTOPSIGNAL $S\nSTOPSIGNAL ${SIGNAL:?needed}\nFROM a\nARG SIGNAL\nSTOPSIGNAL $SIGNAL\n";
        for target in ["0", "1"] {
            let options = Options { target: Some(target.to_owned()), ..Options::default() };
            let plan = Dockerfile::parse(text).expect("a file").plan(&options).expect("a plan");
            assert_eq!(plan.try_out(&BTreeMap::new()), Trial::default(), "{target}");
        }
    }

    #[test]
    fn what_is_fetched_is_known_before() {
        let text = "FROM scratch AS one\nARG V=1\nADD http://h/a-$V http://h/b /x/\nADD --checksum=sha256:1 http://h/c /c\nFROM scratch AS unused\nADD http://h/d /\nFROM one\nADD http://h/b f /\n";
        let plan = Dockerfile::parse(text).expect("a file").plan(&Options::default()).expect("a plan");
        let addresses = ["http://h/a-1", "http://h/b"].map(str::to_owned);
        assert_eq!(plan.try_out(&BTreeMap::new()), Trial { problems: Vec::new(), addresses: addresses.into() });
    }
}
