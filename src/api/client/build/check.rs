//! `build --check`: what could be better in a Dockerfile; nothing is built.

use std::collections::BTreeMap;

use crate::api::client::build::Prepared;
use crate::dockerfile::{Base, Dockerfile, Known, Problem};
use crate::resource::build::{BuildEvent, BuildPlace, DockerfileSource};
use crate::resource::failure::Failure;

/// Tells what could be better, or what is wrong. Where the variables of a base are not known, whoever uses one is believed.
pub(in crate::api) fn check(prepared: &Prepared, environments: BTreeMap<Base, Vec<String>>) -> Result<Vec<BuildEvent>, Failure> {
    let DockerfileSource::Text { name, text } = &prepared.spec.dockerfile else {
        return Err(Failure::unsupported("a Dockerfile within an archive is not checked: name a folder, or the file with -f"));
    };
    let refusal = |problems: &[Problem]| Failure::invalid(Problem::tell(name, problems));
    let file = Dockerfile::parse(text).map_err(|problems| refusal(&problems))?;
    let file = file.directed(&prepared.spec.args).map_err(|problem| refusal(&[problem]))?;
    let plan = file.plan(prepared.options()).map_err(|problem| refusal(&[problem]))?;
    let refused = plan.try_out(&environments).problems;
    if !refused.is_empty() {
        return Err(refusal(&refused));
    }
    let known = Known { ignore: prepared.ignore(), all_stages: true, environments };
    let warnings = file.warnings(prepared.options(), &known).into_iter().map(|warning| {
        let place = BuildPlace::of(name, text, warning.place.line, warning.place.column, warning.place.end_line);
        BuildEvent::Warning { rule: warning.rule.as_str().to_owned(), message: warning.message, place: Some(place) }
    });
    Ok(warnings.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::client::build::{BuildRequest, ContextSource};
    use crate::resource::build::{BuildSpec, NamedContext};

    fn checked(text: &str) -> Result<Vec<String>, Failure> {
        let dockerfile = DockerfileSource::Text { name: "D".to_owned(), text: text.to_owned() };
        let spec = BuildSpec { dockerfile, ..BuildSpec::default() };
        let contexts = [("named".to_owned(), NamedContext::Image("there:1".to_owned()))].into();
        let spec = BuildSpec { contexts, ..spec };
        let mut prepared = Prepared::read(BuildRequest { spec, context: ContextSource::None, ..BuildRequest::default() })?;
        prepared.set_platforms("linux/amd64".to_owned());
        let bases = prepared.bases().into_iter().filter(|(_, image)| image == "there:1");
        let told = check(&prepared, bases.map(|(base, _)| (base, vec!["KNOWN=1".to_owned()])).collect())?;
        let shown = told.into_iter().map(|event| match event {
            BuildEvent::Warning { rule, place, .. } => format!("{rule} {}", place.map_or(0, |place| place.line)),
            other => format!("{other:?}"),
        });
        Ok(shown.collect())
    }

    #[test]
    fn stages_that_nobody_needs_are_checked_too() {
        assert_eq!(
            checked("FROM a AS Base\nFROM scratch\nMAINTAINER me\n"),
            Ok(vec!["StageNameCasing 1".to_owned(), "MaintainerDeprecated 3".to_owned()])
        );
        assert_eq!(checked("FROM scratch\n"), Ok(Vec::new()));
        // Variables of images that the engine has are known, in every stage.
        assert_eq!(
            checked("FROM there:1 AS one\nCOPY $KNOWN $OTHER /\nFROM named\nCOPY $KNOWN $OTHER /\nFROM missing\nCOPY $KNOWN $OTHER /\n"),
            Ok(vec!["UndefinedVar 2".to_owned(), "UndefinedVar 4".to_owned()])
        );
        let failure = checked("FROM a\nRUNN x\n").expect_err("no instruction");
        assert_eq!(failure.message, "D:2:1: `RUNN` is not an instruction; did you mean `RUN`?");
    }
}
