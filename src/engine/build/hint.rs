//! The way out of a copy that found nothing.

use crate::dockerfile::{Copy, CopySource, Ignore, Source};
use crate::engine::build::Build;
use crate::engine::build::stage::StepError;
use crate::resource::failure::FailureKind;

impl Build {
    /// Says of a source that is not there that the client left it out, if it did.
    pub(super) fn hinted(&self, copy: &Copy, mut error: StepError) -> StepError {
        if error.failure.kind == FailureKind::NotFound
            && copy.from == Source::Context
            && let Some(left_out) = self.job.ignore.as_ref().and_then(|ignore| left_out(&copy.sources, ignore))
        {
            error.failure.message += &format!("; `.dockerignore` leaves `{left_out}` out: take it in there with `!{left_out}`");
        }
        error
    }
}

/// The first of some sources that patterns leave out.
fn left_out<'a>(sources: &'a [CopySource], ignore: &Ignore) -> Option<&'a str> {
    let paths = sources.iter().filter_map(|source| match source {
        CopySource::Path(path) => Some(path.trim_matches('/')),
        CopySource::Inline { .. } | CopySource::Url(_) => None,
    });
    paths.into_iter().find(|path| !path.is_empty() && ignore.matches(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_named() {
        let ignore = Ignore::parse("dist\n*.log\n!kept.log\n").expect("patterns");
        let check = |sources: &[&str], expect| {
            let sources: Vec<_> = sources.iter().map(|path| CopySource::Path((*path).to_owned())).collect();
            assert_eq!(left_out(&sources, &ignore), expect, "{sources:?}");
        };
        check(&["/src", "/dist/"], Some("dist"));
        check(&["/dist/app.js"], Some("dist/app.js"));
        check(&["/kept.log", "/a.log"], Some("a.log"));
        check(&["/", "/src", "/kept.log"], None);
    }
}
