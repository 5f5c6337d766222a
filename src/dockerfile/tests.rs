//! Whole files: what is planned, and what instructions come to.

use std::collections::BTreeMap;

use super::*;

fn options() -> Options {
    Options { build_platform: "linux/amd64".to_owned(), target_platform: "linux/arm64/v8".to_owned(), ..Options::default() }
}

fn file(text: &str) -> Dockerfile {
    Dockerfile::parse(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// Plans and resolves everything; a line a stage, a line a step. Images have `IMAGE=1` and what else they have by default.
fn steps(text: &str, options: &Options) -> Vec<String> {
    let plan = match file(text).plan(options) {
        Ok(plan) => plan,
        Err(problem) => return vec![problem.to_string()],
    };
    let mut lines = Vec::new();
    let mut scopes: Vec<Scope> = Vec::new();
    for (index, stage) in plan.stages.iter().enumerate() {
        lines.push(format!("{} <- {:?} {:?} {:?}", stage.name, stage.base, stage.platform, stage.needs));
        let environment = ["IMAGE=1".to_owned()];
        let mut scope = match stage.base {
            Base::Stage(base) => Scope::derive(&plan, index, &scopes[base]),
            _ => Scope::new(&plan, index, Inherited { environment: &environment, ..Inherited::default() }),
        };
        for instruction in &stage.instructions {
            lines.push(match instruction.resolve(&mut scope) {
                Ok(step) => format!("{step:?}"),
                Err(problem) => problem.to_string(),
            });
        }
        scopes.push(scope);
    }
    lines
}

fn step(line: &str, expect: &str) {
    let text = format!("FROM scratch\nARG A=1 B=\"two words\"\nENV E=e\n{line}\n");
    let lines = steps(&text, &options());
    assert_eq!(lines.last().map(String::as_str), Some(expect), "{line}");
}

/// The plan of a file: its stages, or its problem.
fn planned(text: &str, options: &Options, expect: &[&str]) {
    let lines: Vec<String> = match file(text).plan(options) {
        Ok(plan) => plan.stages.iter().map(|it| format!("{} <- {:?} {:?}", it.name, it.base, it.needs)).collect(),
        Err(problem) => vec![problem.to_string()],
    };
    assert_eq!(lines, expect, "{text}");
}

#[test]
fn a_plan_has_what_the_target_needs() {
    let text = "FROM a AS one\nFROM b AS two\nCOPY --from=one x y\nFROM one AS three\nRUN --mount=from=two,target=/m x\nFROM c\nCOPY --from=0 x y\nCOPY --from=busybox x y\n";
    let target = |name: &str| Options { target: Some(name.to_owned()), ..options() };
    planned(text, &target("TWO"), &["one <- Image(\"a\") []", "two <- Image(\"b\") [0]"]);
    planned(text, &target("three"), &["one <- Image(\"a\") []", "two <- Image(\"b\") [0]", "three <- Stage(0) [0, 1]"]);
    planned(text, &options(), &["one <- Image(\"a\") []", "stage-3 <- Image(\"c\") [0]"]);
    planned(text, &target("1"), &["one <- Image(\"a\") []", "two <- Image(\"b\") [0]"]);
    planned(text, &target("thre"), &["the Dockerfile has no stage `thre`; did you mean `three`?"]);
    planned(text, &target("9"), &["the Dockerfile has no stage `9`; it has `one`, `three`, `two`"]);
    planned("FROM scratch\n", &options(), &[" <- Scratch []"]);
    planned("FROM scratch\nCOPY --from=a x y\n", &options(), &["stage-0 <- Scratch []"]);
    planned("FROM a AS x\nFROM b AS x\nFROM x\n", &options(), &["x <- Image(\"b\") []", "stage-2 <- Stage(0) [0]"]);
}

#[test]
fn plans_that_cannot_be_are_refused() {
    planned(
        "FROM a\nCOPY --from=b x y\nFROM b AS b\n",
        &Options { target: Some("0".to_owned()), ..options() },
        &[
            "line 2: `b` comes later in the file, so nothing can be taken from it; move the stage that is copied from or mounted above the one that does so",
        ],
    );
    planned(
        "FROM a AS b\nCOPY --from=b x y\n",
        &options(),
        &[
            "line 2: `b` is the stage itself, so nothing can be taken from it; move the stage that is copied from or mounted above the one that does so",
        ],
    );
    planned(
        "FROM a\nCOPY --from=3 x y\n",
        &options(),
        &["line 2: there is no stage 3; stages count from 0; give the stage a name and use that"],
    );
    planned("ARG X\nFROM $X\n", &options(), &["line 2: the base `$X` is empty; give its ARG a default before the first FROM"]);
    planned("ARG X\nFROM a${X:?which}\n", &options(), &["line 2: FROM: `a${X:?which}` cannot be read: X: which"]);
}

#[test]
fn global_arguments_choose_bases() {
    let text = "ARG A=1\nARG B=${A}2\nFROM --platform=$BUILDPLATFORM image:$B-${TARGETARCH}\nARG A\nARG B=x$B\nRUN x\n";
    let check = |options: &Options, stage: &str, arguments: &str| {
        let lines = steps(text, options);
        assert_eq!(lines[0], stage);
        assert_eq!([lines[1].as_str(), lines[2].as_str()].join(" "), arguments);
    };
    check(&options(), " <- Image(\"image:12-arm64\") Some(\"linux/amd64\") []", "Arg([(\"A\", Some(\"1\"))]) Arg([(\"B\", Some(\"x\"))])");
    let given = BTreeMap::from([("A".to_owned(), "9".to_owned()), ("TARGETARCH".to_owned(), "z80".to_owned())]);
    check(
        &Options { args: given, ..options() },
        " <- Image(\"image:92-z80\") Some(\"linux/amd64\") []",
        "Arg([(\"A\", Some(\"9\"))]) Arg([(\"B\", Some(\"x\"))])",
    );
}

#[test]
fn arguments_nobody_declares_are_told() {
    let args = ["A", "B", "C", "http_proxy", "BUILDKIT_X", "TARGETOS"].map(|it| (it.to_owned(), "1".to_owned()));
    let plan = file("ARG A\nFROM a\nARG B\n").plan(&Options { args: BTreeMap::from(args), ..options() }).expect("a plan");
    assert_eq!(plan.unconsumed, ["C"]);
}

#[test]
fn named_contexts_stand_for_images_and_stages() {
    let with = |names: &[&str]| Options { contexts: names.iter().map(|it| (*it).to_owned()).collect(), ..options() };
    let text = "FROM alpine:latest AS base\nRUN x\nFROM base\nCOPY --from=busybox x y\n";
    let lines = steps(text, &with(&["alpine", "busybox"]));
    assert_eq!(lines[0], "base <- Context(\"alpine\") None []");
    assert!(lines[3].contains("from: Named(\"busybox\")"), "{}", lines[3]);
    planned(text, &with(&["base"]), &["base <- Context(\"base\") []", "stage-1 <- Stage(0) [0]"]);
    planned("FROM scratch\n", &with(&["scratch"]), &[" <- Scratch []"]);
}

#[test]
fn triggers_come_first() {
    let text = "FROM a AS other\nFROM b AS base\nONBUILD COPY <<E /f\na\nE\nFROM base\nRUN mine\nFROM image\nRUN mine\n";
    let lines = steps(text, &Options { target: Some("2".to_owned()), ..options() });
    assert!(lines[3].contains("Inline { name: \"E\", content: \"a\\n\" }"), "{lines:?}");
    assert!(lines[4].contains("mine"), "{lines:?}");
    let triggers = BTreeMap::from([(Base::Image("image".to_owned()), vec!["COPY --from=other x /y".to_owned()])]);
    let lines = steps(text, &Options { triggers, ..options() });
    assert_eq!(lines[1], "stage-3 <- Image(\"image\") None [0]");
    assert!(lines[2].contains("from: Stage(0)"), "{lines:?}");
    let triggers = BTreeMap::from([(Base::Image("image".to_owned()), vec!["FROM x".to_owned()])]);
    let options = Options { triggers, ..options() };
    planned(text, &options, &["line 8: FROM cannot be a trigger of ONBUILD; put it into the Dockerfile that builds on this one"]);
}

#[test]
fn a_stage_goes_on_where_its_base_ended() {
    let text = "FROM a AS base\nARG A=1\nENV B=2\nWORKDIR /w\nSHELL [\"/bin/bash\", \"-c\"]\nUSER me\nFROM base\nWORKDIR $A\nRUN $B\n";
    let lines = steps(text, &options());
    assert_eq!(lines[7], "Workdir(\"/w/1\")");
    assert_eq!(
        lines[8],
        "Run(Run { command: [\"/bin/bash\", \"-c\", \"$B\"], shell_form: true, files: [], mounts: [], network: Default, environment: [\
         (\"IMAGE\", \"1\"), (\"PATH\", \"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"), (\"A\", \"1\"), (\"B\", \"2\")], \
         arguments: [(\"A\", \"1\")], proxies: [], working_dir: \"/w/1\", user: \"me\" })"
    );
}

#[test]
fn configuration_instructions_are_resolved() {
    step("ENV X=$A Y=\"$B\" Z='$A' W=a\\ b", r#"Env([("X", "1"), ("Y", "two words"), ("Z", "$A"), ("W", "a b")])"#);
    step("ENV X a  $B \"c\"", r#"Env([("X", "a  two words c")])"#);
    step("ENV E=2 F=$E", r#"Env([("E", "2"), ("F", "e")])"#);
    step("LABEL $E.x=\"a b\" c='d'", r#"Label([("e.x", "a b"), ("c", "d")])"#);
    step("WORKDIR a/../$E", "Workdir(\"/e\")");
    step("USER $A:$E", "User(\"1:e\")");
    step("CMD echo $A", r#"Cmd(Command { words: ["/bin/sh", "-c", "echo $A"], shell_form: true })"#);
    step("CMD [\"echo\", \"$A\"]", r#"Cmd(Command { words: ["echo", "$A"], shell_form: false })"#);
    step("CMD []", "Cmd(Command { words: [], shell_form: false })");
    step("ENTRYPOINT [\"x\"]", r#"Entrypoint(Command { words: ["x"], shell_form: false })"#);
    step("EXPOSE 90 80$A-802/udp", r#"Expose(["801/udp", "802/udp", "90/tcp"])"#);
    step("EXPOSE $NONE", "Expose([])");
    step("EXPOSE x", "line 4: EXPOSE: `x` is not a port: a number up to 65535 or a range is expected");
    step("VOLUME /a $E", r#"Volume(["/a", "e"])"#);
    step("VOLUME [\"/a b\"]", r#"Volume(["/a b"])"#);
    step("STOPSIGNAL SIG$E", "line 4: `SIGe` of STOPSIGNAL is not a signal; write it like `SIGTERM`");
    step("STOPSIGNAL 9", "Stopsignal(\"9\")");
    step("ONBUILD RUN echo $A", "Onbuild(\"RUN echo $A\")");
    step("SHELL [\"a\", \"-b\"]", r#"Shell(["a", "-b"])"#);
    step("MAINTAINER me <$A>", "Maintainer(\"me <$A>\")");
    step("ARG C D=$A", r#"Arg([("C", None), ("D", Some("1"))])"#);
    step(
        "ARG TARGETPLATFORM TARGETVARIANT TARGETSTAGE",
        r#"Arg([("TARGETPLATFORM", Some("linux/arm64/v8")), ("TARGETVARIANT", Some("v8")), ("TARGETSTAGE", Some("default"))])"#,
    );
    step(
        "HEALTHCHECK --interval=1m --start-interval=2s --retries=3 CMD a b",
        r#"Healthcheck(Healthcheck { test: ["CMD-SHELL", "a b"], interval: 60000000000, timeout: 0, start_period: 0, start_interval: 2000000000, retries: 3 })"#,
    );
    step(
        "HEALTHCHECK NONE",
        r#"Healthcheck(Healthcheck { test: ["NONE"], interval: 0, timeout: 0, start_period: 0, start_interval: 0, retries: 0 })"#,
    );
}

/// The sources and the destination of a copy, or the problem.
fn copied(line: &str, expect: &str) {
    let text = format!("FROM scratch\nARG A=1\nENV E=e\nWORKDIR /w\n{line}\n");
    let plan = file(&text).plan(&options()).expect("a plan");
    let mut scope = Scope::new(&plan, 0, Inherited::default());
    let last = plan.stages[0].instructions.iter().map(|it| it.resolve(&mut scope)).last();
    let shown = match last {
        Some(Ok(Step::Copy(copy))) => {
            let more = [&copy.chown, &copy.chmod, &copy.checksum].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
            format!("{:?} {} {more}", copy.sources, copy.destination)
        }
        Some(Err(problem)) => problem.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(shown.trim_end(), expect, "{line}");
}

#[test]
fn copies_are_resolved() {
    copied("COPY a$A b/ ./", r#"[Path("a1"), Path("b/")] /w/"#);
    copied("COPY a /x//y", r#"[Path("a")] /x/y"#);
    copied("COPY [\"a b\", \"/c d/\"]", r#"[Path("a b")] /c d/"#);
    copied("COPY --chown=$E:1 --chmod=u=rw,go+X a b", r#"[Path("a")] /w/b e:1 u=rw,go+X"#);
    copied("COPY --chmod=9 a b", "line 5: `--chmod=9` of COPY is not a mode; write it like `0644` or `u=rw,go=r`");
    copied("COPY a b c", "line 5: COPY has several sources, and its destination `c` is not a folder; end it with a slash: `c/`");
    copied(
        "COPY <<F <<'G' /x/\n$A\\\\ \"q\"\nF\n$A\nG",
        r#"[Inline { name: "F", content: "1\\ \"q\"\n" }, Inline { name: "G", content: "$A\n" }] /x/"#,
    );
    copied("COPY <<-F /x\n\t\ta\n\tF", r#"[Inline { name: "F", content: "a\n" }] /x"#);
    copied("ADD --checksum=sha256:1 https://x/y.tar /z", r#"[Url("https://x/y.tar")] /z sha256:1"#);
    copied("ADD --checksum=sha256:1 a /z", "line 5: `--checksum` of ADD is for one address alone; give each address an ADD of its own");
    copied("COPY https://x/y /z", "line 5: `https://x/y` is an address, which COPY cannot fetch; use ADD");
    copied(
        "ADD https://github.com/a/b.git#v1 /z",
        "line 5: `https://github.com/a/b.git#v1` is a git repository, which ADD cannot fetch; \
         clone it beside the Dockerfile and copy it from there, or clone it in a RUN",
    );
}

/// The command and the files of a RUN.
fn ran(line: &str, expect: &str) {
    let text = format!("FROM scratch\n{line}\n");
    let plan = file(&text).plan(&options()).expect("a plan");
    let mut scope = Scope::new(&plan, 0, Inherited::default());
    let shown = match plan.stages[0].instructions[0].resolve(&mut scope) {
        Ok(Step::Run(run)) => format!("{:?} {:?}", run.command, run.files),
        other => format!("{other:?}"),
    };
    assert_eq!(shown, expect, "{line}");
}

#[test]
fn commands_are_resolved() {
    ran("RUN a  $B \\\n  c", r#"["/bin/sh", "-c", "a  $B   c"] []"#);
    ran("RUN [\"a\", \"b\"]", r#"["a", "b"] []"#);
    ran("RUN <<EOF\na $B\nb\nEOF", r#"["/bin/sh", "-c", "a $B\nb\n"] []"#);
    ran("RUN <<-EOF\n\ta\n\tEOF", r#"["/bin/sh", "-c", "a\n"] []"#);
    ran(
        "RUN <<EOF\n#!/usr/bin/python\nx\nEOF",
        r##"["/bin/sh", "-c", "/dev/pipes/EOF"] [InlineFile { path: "/dev/pipes/EOF", content: "#!/usr/bin/python\nx\n", mode: 493 }]"##,
    );
    ran("RUN python3 <<EOF\nx\nEOF", r#"["/bin/sh", "-c", "python3 <<EOF\nx\nEOF"] []"#);
    ran("RUN cat <<A && cat <<'B'\na\nA\nb\nB", r#"["/bin/sh", "-c", "cat <<A && cat <<'B'\na\nA\nb\nB"] []"#);
}

/// The mounts of a RUN, or the problem.
fn mounted(mount: &str, expect: &str) {
    let text = format!("FROM a AS other\nFROM b\nARG A=1\nWORKDIR /w\nRUN --mount={mount} x\n");
    let shown = match Dockerfile::parse(&text).map_err(|mut problems| problems.remove(0)).and_then(|file| file.plan(&options())) {
        Err(problem) => problem.to_string(),
        Ok(plan) => {
            let index = plan.target;
            let mut scope = Scope::new(&plan, index, Inherited::default());
            match plan.stages[index].instructions.iter().map(|it| it.resolve(&mut scope)).last() {
                Some(Ok(Step::Run(run))) => format!("{:?}", run.mounts),
                Some(Err(problem)) => problem.to_string(),
                other => format!("{other:?}"),
            }
        }
    };
    assert_eq!(shown, expect, "{mount}");
}

#[test]
fn mounts_are_resolved() {
    const NOBODY: &str = "owner: Owner { uid: None, gid: None, mode: None }";
    mounted("target=/x", r#"[Bind { from: Context, source: "/", target: "/x", read_write: false }]"#);
    mounted("type=bind,from=other,src=a,dst=b$A,rw", r#"[Bind { from: Stage(0), source: "/a", target: "/w/b1", read_write: true }]"#);
    mounted("from=busybox,target=/x", r#"[Bind { from: Image("busybox"), source: "/", target: "/x", read_write: false }]"#);
    mounted(
        "type=cache,target=/c/,sharing=locked,uid=1,mode=0700",
        r#"[Cache { id: "/c", target: "/c", read_only: false, sharing: Locked, from: Scratch, source: "/", owner: Owner { uid: Some(1), gid: None, mode: Some(448) } }]"#,
    );
    mounted("type=tmpfs,target=/t,size=1.5k", r#"[Tmpfs { target: "/t", size: 1536 }]"#);
    mounted(
        "type=secret,id=s/t",
        &format!(r#"[Secret {{ id: "s/t", target: Some("/run/secrets/t"), variable: None, required: false, {NOBODY} }}]"#),
    );
    mounted(
        "type=secret,id=s,env=S,required",
        &format!(r#"[Secret {{ id: "s", target: None, variable: Some("S"), required: true, {NOBODY} }}]"#),
    );
    mounted(
        "type=secret,target=/a/b",
        &format!(r#"[Secret {{ id: "b", target: Some("/a/b"), variable: None, required: false, {NOBODY} }}]"#),
    );
    mounted("type=ssh", &format!(r#"[Ssh {{ id: "default", target: None, required: false, {NOBODY} }}]"#));
    mounted("type=bind,\\\"target=/a,b\\\"", r#"[Bind { from: Context, source: "/", target: "/a,b", read_write: false }]"#);
    mounted("type=what,target=/x", "line 5: the mount type `what` is unknown; it is bind, cache, tmpfs, secret or ssh");
    mounted("tpye=bind", "line 5: a mount has no field `tpye`; did you mean `type`?");
    mounted("type=bind,target=/", "line 5: a mount cannot have `/` as its target; name a folder below it with `target=`");
    mounted("type=bind,target=/x,size=1", "line 5: a mount of type bind has no `size`");
    mounted("type=secret,id=a,src=b", "line 5: a secret has both `source` and `id`; leave one of them");
    mounted("type=cache,target", "line 5: the field `target` of a mount has no value; write `target=…`");
    mounted(
        "from=$A,target=/x",
        "line 5: `from=$A` of a mount cannot hold a variable; write `FROM $A AS name` with a global ARG, and mount `from=name`",
    );
}

#[test]
fn proxies_are_seen_by_commands_alone() {
    let args = BTreeMap::from([("HTTP_PROXY".to_owned(), "p".to_owned())]);
    let lines = steps("FROM a\nRUN $HTTP_PROXY\nENV X=$HTTP_PROXY\n", &Options { args, ..options() });
    assert!(lines[1].contains(r#"arguments: [], proxies: [("HTTP_PROXY", "p"), ("http_proxy", "p")]"#), "{}", lines[1]);
    assert_eq!(lines[2], r#"Env([("X", "")])"#);
}

#[test]
fn instructions_are_shown() {
    let text = "FROM scratch\nARG A=1\nCOPY a$A b\nrun echo \"$A\" $B\nRUN <<E\n  first\n  second\nE\n";
    let plan = file(text).plan(&options()).expect("a plan");
    let mut scope = Scope::new(&plan, 0, Inherited::default());
    let mut shown = Vec::new();
    for instruction in &plan.stages[0].instructions {
        instruction.resolve(&mut scope).expect("a step");
        shown.push(instruction.shown(&scope));
    }
    assert_eq!(shown[1..], ["COPY a1 b", "RUN echo \"1\" $B", "RUN <<E (first...)"]);
}

#[test]
fn another_reader_finds_the_same_instructions() {
    let text = "# syntax=docker/dockerfile:1\n# escape=\\\n\n# A comment\nARG V=1\nFROM --platform=$P a:$V AS one\n\n  RUN x \\\n  # inside\n  && y\n\
                ENV A=1 B=\"2 3\" \\\n    C=4\ncopy <<E /x\nRUN no\nE\nONBUILD RUN <<E\nno\nE\nFROM one\nLABEL a=b\nRUN [\"a\"]\nCMD x\nENTRYPOINT [\"y\"]\n\
                EXPOSE 80\nVOLUME /x\nUSER me\nWORKDIR /x\nSHELL [\"s\"]\nSTOPSIGNAL 9\nHEALTHCHECK --interval=1s \\\n  CMD x\nADD a b\nMAINTAINER me\n";
    let ours = file(text);
    let ours = ours.arguments.iter().map(|it| (it.place.line, it.kind)).chain(ours.stages.iter().flat_map(|stage| {
        let rest = stage.instructions.iter().map(|it| (it.place.line, it.kind));
        std::iter::once((stage.place.line, Kind::From)).chain(rest)
    }));
    let ours: Vec<_> = ours.map(|(line, kind)| (line, kind.as_str().to_lowercase())).collect();
    let theirs = parse_dockerfile::parse_iter(text).expect("directives").map(|instruction| {
        let shown = format!("{:?}", instruction.expect("an instruction"));
        // The name of the variant, and where the span of its word begins.
        let start =
            shown.split("span: ").nth(1).and_then(|it| it.split("..").next()).and_then(|it| it.parse::<usize>().ok()).expect("a span");
        (number(text[..start].matches('\n').count() + 1), shown.split('(').next().unwrap_or_default().to_lowercase())
    });
    assert_eq!(ours, theirs.collect::<Vec<_>>());
}

#[test]
fn what_would_fill_the_memory_is_refused() {
    let first = |text: &str, expect: &str| {
        let lines = match Dockerfile::parse(text) {
            Ok(_) => steps(text, &options()),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        };
        assert!(lines.iter().any(|it| it.contains(expect)), "{expect}: {:.200}", lines.last().map_or("", String::as_str));
    };
    first(&format!("FROM scratch\nENV A=aaaaaaaa\n{}", "ENV A=$A$A\n".repeat(40)), "line 18: ENV: ");
    first(&format!("ARG A=aaaaaaaa\n{}FROM $A", "ARG A=$A$A\n".repeat(40)), "line 16: ARG A: ");
    first(&format!("FROM scratch\n{}", "EXPOSE 0-65535\n".repeat(4)), "line 5: EXPOSE: more ports");
    first(&format!("FROM a\n{}", "USER x\n".repeat(10_000)), "more than 10000 instructions");
    first(&"FROM a\n".repeat(1001), "more than 1000 stages");
    first(&format!("FROM a\nUSER {}", "x".repeat(65_536)), "line 2: the line has more than 65535 bytes");
    let triggers = "ONBUILD USER x\n".repeat(200);
    let stages: String = (0..100).map(|it| format!("FROM base AS s{it}\n")).collect();
    let copies: String = (0..100).map(|it| format!("COPY --from=s{it} x /x\n")).collect();
    first(&format!("FROM a AS base\n{triggers}{stages}FROM a\n{copies}"), "the triggers of the bases are too many");
}

#[test]
fn one_heredoc_is_one_file() {
    let lines = steps("FROM scratch\nCOPY <<A <<A <<B /x/\n1\nA\n2\nA\n3\nB\n", &options());
    assert_eq!(lines[1].matches("Inline").count(), 2, "{}", lines[1]);
    assert!(lines[1].contains("\"2\\n\"") && !lines[1].contains("\"1\\n\""), "{}", lines[1]);
}

#[test]
fn large_files_are_read_in_time() {
    let words = "COPY ".to_owned() + &"<<A \\\n".repeat(9_000) + "/x/\n" + &"A\n".repeat(9_000);
    let pairs = "ENV ".to_owned() + &(0..3_000).map(|it| format!("V{it}=1 \\\n")).collect::<String>() + "W=1\n";
    let text = format!("FROM scratch\n{words}{pairs}{}", "RUN x $y\n".repeat(100));
    let start = std::time::Instant::now();
    assert_eq!(steps(&text, &options()).len(), 103);
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "it took {:?}", start.elapsed());
}

#[test]
fn a_heredoc_is_a_file_of_its_folder_and_of_no_other() {
    for (text, name) in [
        ("COPY <<../../etc/x /x/\n1\n../../etc/x\n", "../../etc/x"),
        ("COPY <</etc/x /x\n1\n/etc/x\n", "/etc/x"),
        ("ADD <<.. /x/\n1\n..\n", ".."),
        ("RUN <<../x\n#!/bin/sh\n../x\n", "../x"),
    ] {
        let lines = steps(&format!("FROM scratch\n{text}"), &options());
        let expect = format!("the heredoc `{name}` cannot be the name of a file");
        assert!(lines.iter().any(|line| line.contains(&expect)), "{text}: {lines:?}");
    }
}
