//! What of its contexts a build can read, so that nothing else is sent.

use std::collections::{BTreeMap, BTreeSet};

use super::file::Dockerfile;
use super::path;
use super::plan::{Base, Options};
use super::problem::Problem;
use super::scope::{Inherited, Scope};
use super::step::{CopySource, Mount, Source, Step};

/// What a build can read of each context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Of its own one; nothing when it is not needed at all.
    pub main: Option<Extent>,
    /// Of each named one that is needed.
    pub named: BTreeMap<String, Extent>,
    /// Images whose triggers [`Options::triggers`] does not have: triggers may read more of the build's own context.
    pub untold: Vec<Base>,
}

/// A part of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it, or what is not known before the build runs.
    Everything,
    /// These paths and what is below them, relative, as patterns for [`glob`](super::glob()). Where one is a symbolic link, what that
    /// names is read too.
    Paths(BTreeSet<String>),
}

impl Extent {
    fn add(extent: &mut Option<Self>, path: Option<&str>) {
        let path = path.map(path::clean).filter(|it| it != "/");
        match (path, &mut *extent) {
            (None, _) => *extent = Some(Self::Everything),
            (Some(_), Some(Self::Everything)) => {}
            (Some(path), Some(Self::Paths(paths))) => drop(paths.insert(path[1..].to_owned())),
            (Some(path), None) => *extent = Some(Self::Paths(BTreeSet::from([path[1..].to_owned()]))),
        }
    }
}

impl Reach {
    fn add(&mut self, from: &Source, path: Option<&str>) {
        match from {
            Source::Context => Extent::add(&mut self.main, path),
            Source::Named(name) => {
                let mut extent = self.named.remove(name);
                Extent::add(&mut extent, path);
                self.named.extend(extent.map(|it| (name.clone(), it)));
            }
            Source::Stage(_) | Source::Image(_) | Source::Scratch => {}
        }
    }
}

impl Dockerfile {
    /// What the stages that a target needs can read.
    pub fn reach(&self, options: &Options) -> Result<Reach, Problem> {
        let plan = self.plan(options)?;
        let mut reach = Reach::default();
        let mut scopes: Vec<Scope> = Vec::new();
        for (index, stage) in plan.stages.iter().enumerate() {
            let mut scope = match &stage.base {
                Base::Stage(base) => Scope::derive(&plan, index, &scopes[*base]),
                _ => Scope::new(&plan, index, Inherited::default()),
            };
            match &stage.base {
                // Nothing of it is known but its name, so a variable may come from it.
                Base::Image(_) => scope.distrust(),
                Base::Context(name) => {
                    scope.distrust();
                    reach.add(&Source::Named(name.clone()), None);
                }
                Base::Stage(_) | Base::Scratch => {}
            }
            let untold = matches!(stage.base, Base::Image(_)) && !options.triggers.contains_key(&stage.base);
            if untold && !reach.untold.contains(&stage.base) {
                reach.untold.push(stage.base.clone());
            }
            for instruction in &stage.instructions {
                let (step, doubtful) = instruction.guess(&mut scope);
                let known = |path: &str| if doubtful { None } else { Some(path.to_owned()) };
                match step {
                    Ok(Step::Copy(copy)) => {
                        for source in &copy.sources {
                            if let CopySource::Path(path) = source {
                                reach.add(&copy.from, known(path).as_deref());
                            }
                        }
                    }
                    Ok(Step::Run(run)) => {
                        for mount in &run.mounts {
                            if let Mount::Bind { from, source, .. } | Mount::Cache { from, source, .. } = mount {
                                reach.add(from, known(source).as_deref());
                            }
                        }
                    }
                    Ok(_) => {}
                    // With the variables of the base it may be right.
                    Err(_) if doubtful => reach.everything(options),
                    Err(problem) => return Err(problem),
                }
            }
            scopes.push(scope);
        }
        Ok(reach)
    }
}

impl Reach {
    fn everything(&mut self, options: &Options) {
        self.add(&Source::Context, None);
        for name in &options.contexts {
            self.add(&Source::Named(name.clone()), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let options = Options { contexts: BTreeSet::from(["lib".to_owned()]), ..Options::default() };
        let reach = Dockerfile::parse(text).map_err(|mut it| it.remove(0)).and_then(|file| file.reach(&options)).expect("a reach");
        let extent = |it: &Extent| match it {
            Extent::Everything => "everything".to_owned(),
            Extent::Paths(paths) => paths.iter().cloned().collect::<Vec<_>>().join(" "),
        };
        let mut shown = reach.main.as_ref().map_or("nothing".to_owned(), extent);
        for (name, it) in &reach.named {
            shown += &format!(", {name}: {}", extent(it));
        }
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn a_build_reads_what_it_names() {
        check("FROM a\nRUN x", "nothing");
        check("FROM a\nCOPY b/*.c ./d /x/\nADD e https://x/y <<F /x/\nF", "b/*.c d e");
        check("FROM a\nCOPY . /x\nCOPY b /y", "everything");
        check("FROM a\nRUN --mount=target=/x y", "everything");
        check("FROM a\nRUN --mount=source=p,target=/x y", "p");
        check("FROM a AS s\nCOPY x /y\nFROM a\nCOPY z /y", "z");
        check("FROM a AS s\nCOPY x /y\nFROM a\nCOPY --from=s z /y", "x");
        check("FROM a\nCOPY --from=lib ../p /x\nRUN --mount=from=lib,target=/x y", "nothing, lib: everything");
        check("FROM a\nCOPY --from=lib ../p /x", "nothing, lib: p");
        check("FROM lib\nCOPY a /x", "a, lib: everything");
        check("FROM a AS lib\nCOPY a /x", "nothing, lib: everything");
    }

    #[test]
    fn variables_of_the_base_make_it_everything() {
        check("FROM a\nARG X=b\nCOPY $X /x", "b");
        check("FROM a\nCOPY $X /x", "everything");
        check("FROM scratch\nCOPY a$X /x", "a");
        check("FROM a\nENV Y=$X\nCOPY $Y /x", "everything");
        check("FROM a\nARG X\nCOPY $X /x", "everything");
        check("FROM a AS s\nENV Y=$X\nFROM s\nENV Z=$Y\nCOPY $Z /x", "everything");
        check("FROM a\nCOPY ${X:?no} /x", "everything, lib: everything");
    }

    #[test]
    fn images_may_hold_triggers() {
        let file = Dockerfile::parse("FROM a\nRUN x").expect("a file");
        let base = Base::Image("a".to_owned());
        assert_eq!(file.reach(&Options::default()).expect("a reach").untold, std::slice::from_ref(&base));
        let triggers = BTreeMap::from([(base, vec!["COPY b /c".to_owned()])]);
        let reach = file.reach(&Options { triggers, ..Options::default() }).expect("a reach");
        assert_eq!((reach.untold, reach.main), (Vec::new(), Some(Extent::Paths(BTreeSet::from(["b".to_owned()])))));
    }
}
