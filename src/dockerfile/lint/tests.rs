//! Files with something to warn of.

use super::*;

fn check_with(text: &str, options: &Options, known: &Known<'_>, expect: &[&str]) {
    let file = Dockerfile::parse(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let found = file.warnings(options, known);
    let shown: Vec<_> = found.iter().map(|it| format!("{} {}", it.place.line, it.rule.as_str())).collect();
    assert_eq!(shown, expect, "{text}");
}

fn check(text: &str, expect: &[&str]) {
    let options = Options { target_platform: "linux/amd64".to_owned(), ..Options::default() };
    check_with(text, &options, &Known { all_stages: true, ..Known::default() }, expect);
}

#[test]
fn stages_are_checked() {
    check("FROM a AS Build", &["1 StageNameCasing"]);
    check("FROM a as build", &["1 FromAsCasing"]);
    check("from a as build\nrun x", &[]);
    check("FROM a AS x\nFROM b AS x", &["2 DuplicateStageName"]);
    check("FROM a AS scratch", &["1 ReservedStageName"]);
    check("FROM a\nrun x\nRun x\nRUN y", &["2 ConsistentInstructionCasing", "3 ConsistentInstructionCasing"]);
    check("FROM a$X", &["1 UndefinedArgInFrom"]);
    check("ARG X\nFROM a$X", &[]);
    check("ARG X\nFROM a:$X", &["2 InvalidDefaultArgInFrom"]);
    check("ARG X=UPPER\nFROM $X", &["2 InvalidDefaultArgInFrom"]);
    check("ARG X=host:5000/a/b_c:v1\nFROM $X", &[]);
    check("FROM --platform=$TARGETPLATFORM a", &["1 RedundantTargetPlatform"]);
    check("FROM --platform=linux/arm64 a", &["1 FromPlatformFlagConstDisallowed"]);
    check("FROM --platform=linux/arm64 a AS build_arm64", &[]);
    check("ARG P=linux/arm64\nFROM --platform=$P a", &[]);
}

#[test]
fn instructions_are_checked() {
    check("FROM a\nRUN x \\\n\n y", &["2 NoEmptyContinuation"]);
    check("FROM a\nMAINTAINER me", &["2 MaintainerDeprecated"]);
    check("FROM a\nCMD x\nENTRYPOINT [\"y\"]", &["2 JSONArgsRecommended"]);
    check("FROM a\nSHELL [\"/bin/bash\", \"-c\"]\nCMD x", &[]);
    check(
        "FROM a\nCMD [\"x\"]\nCMD [\"y\"]\nHEALTHCHECK NONE\nHEALTHCHECK NONE",
        &["2 MultipleInstructionsDisallowed", "4 MultipleInstructionsDisallowed"],
    );
    check("FROM a\nWORKDIR x\nWORKDIR y", &["2 WorkdirRelativePath"]);
    check("FROM a\nWORKDIR /x\nWORKDIR y", &[]);
    check("FROM a AS b\nWORKDIR /x\nFROM b\nWORKDIR y", &[]);
    check("FROM a\nENV X y\nLABEL x y", &["2 LegacyKeyValueFormat", "3 LegacyKeyValueFormat"]);
    check(
        "FROM a\nARG API_KEY\nENV GIT_TOKEN=1 PUBLIC_KEY=2 MONKEY=3\nLABEL token=x",
        &["2 SecretsUsedInArgOrEnv", "3 SecretsUsedInArgOrEnv"],
    );
    check("FROM a\nEXPOSE 80/TCP\nEXPOSE 80:80", &["2 ExposeProtoCasing", "3 ExposeInvalidFormat"]);
    check("FROM a AS x\nWORKDIR x\nFROM b", &["2 WorkdirRelativePath"]);
    let leaves = "FROM a AS x\nWORKDIR /x\nFROM x AS y\nWORKDIR y\nFROM a AS p\nWORKDIR p\nFROM x AS z\nCOPY --from=p a b\nWORKDIR z";
    check(leaves, &["6 WorkdirRelativePath"]);
    check_with("FROM a AS x\nWORKDIR x\nFROM b", &Options::default(), &Known::default(), &[]);
}

#[test]
fn variables_are_checked_where_the_base_is_known() {
    check("FROM scratch\nARG A\nCOPY $A $B /x/", &["3 UndefinedVar"]);
    check("FROM a\nCOPY $B /x/", &[]);
    let known = Known { environments: BTreeMap::from([(Base::Image("a".to_owned()), vec!["B=1".to_owned()])]), ..Known::default() };
    check_with("FROM a AS s\nCOPY $B $C $PATH /x/\nFROM s\nENV X=$C", &Options::default(), &known, &["2 UndefinedVar", "4 UndefinedVar"]);
    let file = Dockerfile::parse("FROM scratch\nENV NAME=1\nCOPY $NAMES /x").expect("a file");
    let found = file.warnings(&Options::default(), &Known::default());
    assert_eq!(found[0].message, "the variable `$NAMES` has no value; did you mean `$NAME`?");
}

#[test]
fn sources_that_are_left_out_are_told() {
    let text = "FROM a AS s\nCOPY x y.c /z/\nADD . /z/\nFROM b\nCOPY --from=s x /z";
    let with = |patterns: &str, expect: &[&str]| {
        let ignore = Ignore::parse(patterns).expect("patterns");
        let known = Known { ignore: Some(&ignore), ..Known::default() };
        check_with(text, &Options::default(), &known, expect);
    };
    with("*.c", &["2 CopyIgnoredFile"]);
    with("*", &["2 CopyIgnoredFile", "2 CopyIgnoredFile", "3 CopyIgnoredFile"]);
    with("*\n!x", &[]);
    with("other", &[]);
}

#[test]
fn checks_are_skipped() {
    check("# check=skip=StageNameCasing\nFROM a AS Build\nMAINTAINER me", &["3 MaintainerDeprecated"]);
    check("# check=skip=all\nFROM a AS Build\nMAINTAINER me", &[]);
    check("FROM a\n# check=skip=MaintainerDeprecated\nMAINTAINER me\nENV A b", &["4 LegacyKeyValueFormat"]);
    check("# a comment\nFROM a AS x", &[]);
    check("# check=experimental=all\n# a comment\nFROM a AS x\n# A is a\nARG A", &["3 InvalidDefinitionDescription"]);
}
