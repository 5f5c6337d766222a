//! What is built, in which order, and how it is told to others.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::plan::cause::Cause;
use crate::compose::plan::simulate::{World, project};
use crate::compose::plan::{BuildOptions, Plan, UpOptions, bake, build, due_builds, is_built, pull_before_build, up};
use crate::compose::project::model::Project;
use crate::resource::build::{DockerfileSource, ImageBuild, NamedContext, SecretSource};
use crate::resource::operation::Operation;

/// Everything is built.
fn planned(project: &Project, options: &BuildOptions) -> Result<Plan, String> {
    let all = project.services.keys().map(|name| (name.clone(), Cause::Asked)).collect();
    build(project, &all, options).map_err(|error| error.to_string())
}

fn text(project: &Project) -> String {
    planned(project, &BuildOptions::default()).map_or_else(|error| error, |plan| plan.to_string())
}

/// The build of the first step.
#[track_caller]
fn first(text: &str, options: &BuildOptions) -> ImageBuild {
    match planned(&project(text), options).expect("a plan").steps() {
        [step, ..] => match &step.operation {
            Operation::BuildImage { build, .. } => (**build).clone(),
            other => panic!("{other:?}"),
        },
        [] => panic!("nothing is built"),
    }
}

#[test]
fn what_is_built_on_comes_first_and_what_is_alike_is_made_once() {
    for (services, expect) in [
        (
            "{a: {build: {additional_contexts: {x: 'service:b'}}}, b: {build: ./b}, c: {image: i}}",
            "#1 build image p-b (asked)\n#2 build image p-a after #1 (asked)\n",
        ),
        (
            "{a: {build: .}, b: {build: .}, c: {build: {context: ., target: t}}}",
            "#1 build image p-a (asked)\n#2 build image p-b after #1 (asked)\n#3 build image p-c (asked)\n",
        ),
        ("{a: {image: x, build: .}, b: {image: x, build: .}}", "#1 build image x (asked)\n"),
        // Of two with one name the later one has it, whichever is the faster.
        ("{a: {image: x, build: ./a}, b: {image: x, build: ./b}}", "#1 build image x (asked)\n#2 build image x after #1 (asked)\n"),
        ("{a: {image: i}}", ""),
    ] {
        assert_eq!(text(&project(&format!("services: {services}"))), expect, "{services}");
    }
}

#[test]
fn a_base_that_no_profile_enables_is_built_all_the_same() {
    let project = project("services: {a: {build: {additional_contexts: {x: 'service:b'}}}, b: {build: ./b, profiles: [q]}}");
    let due = due_builds(&project, &World::default().observed(&project));
    let plan = build(&project, &due, &BuildOptions::default()).expect("a plan");
    assert_eq!(plan.to_string(), "#1 build image p-b (missing)\n#2 build image p-a after #1 (missing)\n");
}

#[test]
fn what_is_due_is_missing_or_always_built() {
    let project = project(
        "services: {here: {build: .}, gone: {build: .}, always: {build: ., pull_policy: build}, never: {build: ., pull_policy: never}, both: {image: i, build: .}, tried: {image: j, build: .}, kept: {image: k, build: ., pull_policy: never}}",
    );
    let mut world = World::default();
    ["p-here", "p-always", "i"].into_iter().for_each(|image| world.retag(image));
    let observed = world.observed(&project);
    let due: Vec<String> = due_builds(&project, &observed).iter().map(|(name, cause)| format!("{name} {cause}")).collect();
    assert_eq!(due, ["always asked", "gone missing", "kept missing", "never missing", "tried missing"]);
    // Only what has a name of its own can be in a registry.
    assert_eq!(pull_before_build(&project, &observed).to_string(), "#1 pull image j (missing)\n");
    assert!(is_built(&project, "j") && is_built(&project, "p-gone") && !is_built(&project, "z"));
}

#[test]
fn a_new_image_replaces_containers_and_a_dry_run_needs_none() {
    let project = project("services: {a: {build: .}}");
    let mut world = World::default();
    assert!(up(&project, &world.observed(&project), &UpOptions::default()).expect("a plan").to_string().starts_with("#1 pull image p-a"));
    let built = UpOptions { built: BTreeSet::from(["p-a".to_owned()]), ..UpOptions::default() };
    assert!(up(&project, &world.observed(&project), &built).expect("a plan").to_string().starts_with("#1 create network"));
    world.run(&planned(&project, &BuildOptions::default()).expect("a plan"));
    world.run(&up(&project, &world.observed(&project), &UpOptions::default()).expect("a plan"));
    assert!(up(&project, &world.observed(&project), &UpOptions::default()).expect("a plan").is_empty());
    world.run(&planned(&project, &BuildOptions::default()).expect("a plan"));
    let plan = up(&project, &world.observed(&project), &UpOptions::default()).expect("a plan").to_string();
    assert!(plan.contains("image changed: "), "{plan}");
}

#[test]
fn all_of_the_section_is_passed_on() {
    let section = "{context: ./web, dockerfile: ../docker/Dockerfile, args: {A: '1', B: file}, target: dev, \
        additional_contexts: {res: ./res, img: 'docker-image://alpine:3'}, secrets: [tok, {source: key, target: k}], \
        ssh: ['x=./agent'], labels: {l: v}, tags: [t1], network: host, extra_hosts: ['h=::1'], shm_size: 64m, ulimits: {nproc: 5}, \
        no_cache_filter: [s], cache_from: [c:1, 'type=gha'], platforms: [linux/amd64]}";
    let top = "secrets: {tok: {environment: NOT_SET}, key: {file: ./k}}";
    let options = BuildOptions {
        args: BTreeMap::from([("B".to_owned(), "flag".to_owned())]),
        default_args: BTreeMap::from(["A", "P"].map(|name| (name.to_owned(), "default".to_owned()))),
        pull: true,
        ..BuildOptions::default()
    };
    let build = first(&format!("services: {{web: {{build: {section}}}}}\n{top}"), &options);
    let spec = &build.spec;
    let args: Vec<String> = spec.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(args, ["A=1", "B=flag", "P=default"]);
    assert_eq!(build.context.as_deref(), Some("/p/web".as_ref()));
    assert_eq!(spec.dockerfile, DockerfileSource::InContext("/p/docker/Dockerfile".to_owned()));
    assert_eq!(spec.contexts.values().collect::<Vec<_>>(), [&NamedContext::Image("alpine:3".to_owned()), &NamedContext::Folder]);
    assert_eq!(build.folders.into_iter().map(|(name, path)| format!("{name} {}", path.display())).collect::<Vec<_>>(), ["res /p/res"]);
    // A variable that is not set is no secret.
    assert_eq!(build.secrets, BTreeMap::from([("k".to_owned(), SecretSource::File("/p/k".into()))]));
    assert_eq!(spec.secrets, BTreeSet::from(["k".to_owned()]));
    assert_eq!(build.ssh.into_values().collect::<Vec<_>>(), [std::path::Path::new("/p/agent")]);
    assert_eq!(
        (spec.tags.join(" "), spec.extra_hosts.join(" "), spec.cache_from.join(" ")),
        ("p-web t1".into(), "h:::1".into(), "c:1".into())
    );
    assert_eq!((spec.shm_size, spec.platform.as_deref(), spec.pull, spec.no_cache), (Some(64 << 20), Some("linux/amd64"), true, false));
    assert_eq!(spec.labels["com.docker.compose.service"], "web");
    assert_eq!(spec.labels["l"], "v");
    let inline = first("services: {a: {build: {dockerfile_inline: FROM scratch}}}", &BuildOptions::default());
    assert_eq!(
        inline.spec.dockerfile,
        DockerfileSource::Text { name: "dockerfile_inline of a".to_owned(), text: "FROM scratch".to_owned() }
    );
    let inside = first("services: {a: {build: {dockerfile: ./x/../D}}}", &BuildOptions::default());
    assert_eq!(inside.spec.dockerfile, DockerfileSource::InContext("D".to_owned()));
}

#[test]
fn one_build_is_for_one_platform() {
    for (service, every, expect) in [
        ("platform: linux/arm64, build: .", false, Ok(Some("linux/arm64"))),
        ("platform: linux/arm64, build: {platforms: [linux/amd64, linux/arm64]}", false, Ok(Some("linux/arm64"))),
        ("build: {platforms: [linux/amd64, linux/arm64]}", false, Ok(None)),
        (
            "build: {platforms: [linux/amd64, linux/arm64]}",
            true,
            Err("service \"a\" is to be built for linux/amd64, linux/arm64: one build makes an image for one platform"),
        ),
        ("build: {ssh: [default]}", false, Err("the build of service \"a\" wants the agent `default`, and SSH_AUTH_SOCK names none")),
    ] {
        let options = BuildOptions { every_platform: every, ..BuildOptions::default() };
        let plan = planned(&project(&format!("services: {{a: {{{service}}}}}")), &options);
        let platform = plan.map(|plan| match &plan.steps()[0].operation {
            Operation::BuildImage { build, .. } => build.spec.platform.clone(),
            other => panic!("{other:?}"),
        });
        assert_eq!(platform.as_ref().map(Option::as_deref).map_err(String::as_str), expect, "{service}");
    }
}

/// As Docker Compose 2.40 writes it, but for its own version.
#[test]
fn a_bake_file_is_as_docker_composes() {
    let project = project(
        "services:\n  base: {build: ./base}\n  web:\n    image: example/web:1\n    build:\n      context: .\n      dockerfile: docker/Dockerfile\n      args: {A: '1'}\n      target: dev\n      additional_contexts: {base: 'service:base', r: ./res, i: 'docker-image://alpine:3'}\n      secrets: [tok, {source: key, target: k}]\n      ssh: [default, 'x=./agent']\n      labels: {l: v}\n      tags: [t1]\n      network: host\n      extra_hosts: ['h=1.2.3.4', 'h=1.2.3.5']\n      shm_size: 64m\n      ulimits: {nofile: {soft: 10, hard: 20}}\n      no_cache: true\n      pull: true\n      platforms: [linux/amd64, linux/arm64]\n      cache_from: [img:1]\n      cache_to: [type=inline]\n      entitlements: [network.host]\n  in: {build: {dockerfile_inline: FROM scratch}}\nsecrets: {tok: {environment: TOK}, key: {file: ./k}}\n",
    );
    let file = bake(&project, project.services.keys(), &BuildOptions::default()).expect("a file").expect("builds");
    let mut web = file["target"]["web"].clone();
    web["labels"].as_object_mut().expect("labels").retain(|key, _| !key.starts_with("com.docker"));
    assert_eq!(file["group"]["default"]["targets"].to_string(), r#"["base","in","web"]"#);
    assert_eq!(file["target"]["in"]["dockerfile-inline"], "FROM scratch");
    assert_eq!(
        web.to_string(),
        r#"{"context":"/p","contexts":{"base":"target:base","i":"docker-image://alpine:3","r":"/p/res"},"dockerfile":"/p/docker/Dockerfile","args":{"A":"1"},"labels":{"l":"v"},"tags":["t1","example/web:1"],"cache-from":["img:1"],"cache-to":["type=inline"],"target":"dev","secret":["id=k,type=file,src=/p/k","id=tok,type=env,env=TOK"],"ssh":["default=","x=/p/agent"],"platforms":["linux/amd64","linux/arm64"],"pull":true,"no-cache":true,"network":"host","shm-size":"67108864","ulimits":["nofile=10:20"],"entitlements":["network.host"],"extra-hosts":{"h":"1.2.3.4,1.2.3.5"},"output":["type=image,push=false"]}"#
    );
    assert_eq!(bake(&project, [], &BuildOptions::default()), Ok(None));
    let output = |options: BuildOptions| {
        let file = bake(&project, project.services.keys(), &options).expect("a file").expect("builds");
        ["web", "in"].map(|name| file["target"][name]["output"].to_string())
    };
    assert_eq!(output(BuildOptions { push: true, ..BuildOptions::default() }), [r#"["type=image,push=true"]"#, r#"["type=docker"]"#]);
    assert_eq!(output(BuildOptions { check: true, ..BuildOptions::default() }), ["null", "null"]);
}
