//! `build --check`: what could be better in a Dockerfile, without an engine.

use crate::api::client::build::{BuildRequest, Prepared};
use crate::dockerfile::{Dockerfile, Known, Problem};
use crate::resource::build::{BuildEvent, BuildPlace, DockerfileSource};
use crate::resource::failure::Failure;
use crate::resource::image::Platform;

/// Tells what could be better, or what is wrong. Variables of images are not known here, and not looked for. Blocks.
pub fn check(request: BuildRequest) -> Result<Vec<BuildEvent>, Failure> {
    let mut prepared = Prepared::read(request)?;
    prepared.set_platforms(Platform::host().to_string());
    let DockerfileSource::Text { name, text } = &prepared.spec.dockerfile else {
        return Err(Failure::unsupported("a Dockerfile within an archive is not checked: name a folder, or the file with -f"));
    };
    let refusal = |problems: &[Problem]| Failure::invalid(Problem::tell(name, problems));
    let file = Dockerfile::parse(text).map_err(|problems| refusal(&problems))?;
    file.plan(prepared.options()).map_err(|problem| refusal(&[problem]))?;
    let known = Known { ignore: prepared.ignore(), all_stages: true, ..Known::default() };
    let warnings = file.warnings(prepared.options(), &known).into_iter().map(|warning| {
        let place = BuildPlace::of(name, text, warning.place.line, warning.place.column, warning.place.end_line);
        BuildEvent::Warning { rule: warning.rule.as_str().to_owned(), message: warning.message, place: Some(place) }
    });
    Ok(warnings.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::client::build::ContextSource;
    use crate::resource::build::BuildSpec;

    fn checked(text: &str) -> Result<Vec<String>, Failure> {
        let dockerfile = DockerfileSource::Text { name: "D".to_owned(), text: text.to_owned() };
        let spec = BuildSpec { dockerfile, ..BuildSpec::default() };
        let told = check(BuildRequest { spec, context: ContextSource::None, ..BuildRequest::default() })?;
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
        let failure = checked("FROM a\nRUNN x\n").expect_err("no instruction");
        assert_eq!(failure.message, "D:2:1: `RUNN` is not an instruction; did you mean `RUN`?");
    }
}
