//! The handle from outside: containers made, named, found again and removed, by an engine of a root and a network namespace of their own.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use crate::engine::configuration::Configuration;
use crate::engine::network::test_namespace::in_namespace;
use crate::engine::root::Root;
use crate::engine::runtime::link::KeeperLink;
use crate::engine::{Engine, EngineConfig};
use crate::resource::container::{
    ContainerSpec, ContainerState, EndpointSpec, HealthState, HealthStatus, Mount, MountSource, NetworkMode, WaitCondition,
};
use crate::resource::event::EventFilter;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ExecId;
use crate::resource::image::ImportOptions;
use crate::resource::network::NetworkSpec;
use crate::resource::time::Timestamp;

/// Runs `body` with a folder for a root.
fn with_root<F: Future<Output = ()>>(body: impl FnOnce(tempfile::TempDir) -> F + Send + 'static) {
    in_namespace(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(body(tempfile::tempdir().expect("a folder")));
    });
}

async fn open(folder: &Path) -> Engine {
    let configuration = Configuration::default();
    Engine::open(EngineConfig { root: Root::new(Some(folder)), keeper: KeeperLink::alone(), configuration }).await.expect("an engine")
}

/// An engine with the image `app`, which wants a volume at `/data`.
async fn with_image(folder: &Path) -> Engine {
    let engine = open(folder).await;
    let archive = tar::Builder::new(Vec::new()).into_inner().expect("an archive");
    let changes = ["CMD [\"/bin/x\"]", "VOLUME /data", "LABEL from=image", "EXPOSE 80"].map(str::to_owned).to_vec();
    let reference = Some("app".parse().expect("a reference"));
    let options = ImportOptions { reference, changes, ..ImportOptions::default() };
    engine.import_image(Cursor::new(archive), options).await.expect("an image");
    engine
}

fn app() -> ContainerSpec {
    ContainerSpec { image: "app".to_owned(), ..ContainerSpec::default() }
}

fn words(failure: Failure) -> (FailureKind, String) {
    (failure.kind, failure.message)
}

#[test]
fn a_container_is_what_image_and_spec_say_together() {
    with_root(async |folder| {
        let engine = with_image(folder.path()).await;
        engine.create_network("front", &NetworkSpec::default()).await.expect("a network");
        let endpoint = EndpointSpec { aliases: vec!["www".to_owned()], ..EndpointSpec::default() };
        let spec = ContainerSpec {
            network: NetworkMode::Named("front".to_owned()),
            endpoints: BTreeMap::from([("front".to_owned(), endpoint)]),
            labels: BTreeMap::from([("own".to_owned(), "1".to_owned())]),
            ..app()
        };
        let id = engine.create_container(Some("web"), &spec).await.expect("a container");
        let info = engine.container("web").await.expect("it is known");
        assert_eq!((info.id, &info.state, info.name.as_str()), (id, &ContainerState::Created, "web"));
        assert_eq!(info.effective.command, ["/bin/x"]);
        assert_eq!(info.effective.hostname, id.short());
        assert_eq!(info.effective.labels.keys().collect::<Vec<_>>(), ["from", "own"]);
        let endpoints: Vec<_> = info.endpoints.iter().map(|it| (it.network_name.as_str(), it.spec.aliases.join(","))).collect();
        assert_eq!(endpoints, [("front", "www".to_owned())]);
        let [volume] = &info.mounts[..] else { panic!("one mount: {:?}", info.mounts) };
        assert_eq!((volume.target.as_str(), volume.anonymous, volume.source.is_dir()), ("/data", true, true));
        assert_eq!(engine.container(&id.short()).await.expect("by the start of its id").id, id);
        assert!(engine.is_idle());

        engine.remove_container("web", false, true).await.expect("removed");
        assert!(engine.volume(volume.name.as_deref().expect("a name")).await.is_err(), "its volume went with it");
        assert_eq!(words(engine.container("web").await.expect_err("gone")), (FailureKind::NotFound, "No such container: web".to_owned()));
        assert_eq!(std::fs::read_dir(folder.path().join("data/containers")).expect("a folder").count(), 0);
    });
}

#[test]
fn what_is_told_of_a_container_follows_each_change() {
    with_root(async |folder| {
        let engine = with_image(folder.path()).await;
        engine.create_container(Some("web"), &app()).await.expect("a container");
        let container = engine.shared.containers.find("web").expect("it is known");
        let told = container.info();
        assert!(Arc::ptr_eq(&told, &container.info()), "nothing changed");
        let exec = ExecId::from_bytes([7; 32]);
        container.exec_began(exec);
        assert_eq!(container.info().execs, [exec]);
        container.exec_ended(&exec);
        assert_eq!(container.info(), told);
        for failing_streak in [1, 2] {
            let mut watch = container.watch();
            let health = HealthState { status: HealthStatus::Unhealthy, failing_streak, log: Vec::new() };
            let setter = std::thread::spawn({
                let (container, health) = (Arc::clone(&container), health.clone());
                move || container.set_health(health)
            });
            watch.changed().await.expect("it is there");
            assert_eq!(container.info().health, Some(health), "whoever hears of a change is told of it");
            setter.join().expect("set");
        }
        engine.rename_container("web", "shop").await.expect("renamed");
        assert_eq!(container.info().name.as_str(), "shop");
    });
}

#[test]
fn what_cannot_be_made_is_refused_and_leaves_nothing() {
    with_root(async |folder| {
        let engine = with_image(folder.path()).await;
        let first = engine.create_container(Some("web"), &app()).await.expect("a container");
        let check = async |name: &str, spec: ContainerSpec, kind: FailureKind, expected: &str| {
            let failure = engine.create_container(Some(name), &spec).await.expect_err("refused");
            assert_eq!(words(failure), (kind, expected.to_owned()));
        };
        let taken = format!(
            "Conflict. The container name \"/web\" is already in use by container \"{first}\". You have to remove (or rename) that container \
             to be able to reuse that name."
        );
        check("web", app(), FailureKind::Conflict, &taken).await;
        let other = ContainerSpec { image: "other".to_owned(), ..app() };
        check("x1", other, FailureKind::NotFound, "No such image: other:latest").await;
        let lost = ContainerSpec { network: NetworkMode::Named("nope".to_owned()), ..app() };
        // Not "not found": the docker command line would look for an image to pull.
        check("x1", lost, FailureKind::Invalid, "network nope not found").await;
        let source = MountSource::Bind { path: "/not/here".into(), create: false, propagation: None, recursion: Default::default() };
        let bound = ContainerSpec { mounts: vec![Mount { target: "/x".to_owned(), read_only: false, source }], ..app() };
        let missing = "invalid mount config for type \"bind\": bind source path does not exist: /not/here";
        check("x1", bound, FailureKind::Invalid, missing).await;
        let shared = ContainerSpec { network: NetworkMode::Container("x2".to_owned()), ..app() };
        check("x1", shared, FailureKind::Invalid, "joining network namespace of container: No such container: x2").await;

        assert_eq!(std::fs::read_dir(folder.path().join("data/containers")).expect("a folder").count(), 1);
        assert_eq!(engine.volumes(&BTreeMap::new()).await.expect("a list").len(), 1);
        engine.create_container(Some("x1"), &app()).await.expect("the name is free again");
    });
}

#[test]
fn an_engine_after_this_one_knows_what_was_made() {
    with_root(async |folder| {
        let engine = with_image(folder.path()).await;
        let id = engine.create_container(Some("web"), &app()).await.expect("a container");
        engine.rename_container("web", "shop").await.expect("renamed");
        let half = folder.path().join("data/containers").join("ab".repeat(32));
        std::fs::create_dir_all(half.join("upper")).expect("an interrupted creation");
        let before = engine.container("shop").await.expect("it is known");
        drop(engine);

        let engine = open(folder.path()).await;
        assert_eq!(engine.container(&id.to_string()).await.expect("it is known"), before);
        assert!(!half.exists());
        let volume = before.mounts[0].name.clone().expect("a name");
        assert_eq!(engine.remove_volume(&volume, false).await.expect_err("in use").kind, FailureKind::Conflict);
        let filter = EventFilter { since: Some(Timestamp::from_nanos(0)), ..EventFilter::default() };
        let mut events = engine.events(&filter).expect("events");
        let mut actions = Vec::new();
        while actions.last().is_none_or(|last: &String| last != "rename") {
            actions.push(events.next().await.expect("an event").expect("in time").action.clone());
        }
        assert_eq!(actions, ["tag", "import", "create", "create", "rename"]);
    });
}

#[test]
fn a_wait_ends_with_the_removal_it_waits_for() {
    with_root(async |folder| {
        let engine = with_image(folder.path()).await;
        engine.create_container(Some("web"), &app()).await.expect("a container");
        assert_eq!(engine.wait_container("web", WaitCondition::NotRunning).await.expect("it never ran").code, 0);
        let removed = engine.watch_container("web", WaitCondition::Removed).expect("a wait");
        let next = engine.watch_container("web", WaitCondition::NextExit).expect("a wait");
        engine.remove_container("web", false, false).await.expect("removed");
        assert_eq!(removed.status().await.map(|status| status.code), Ok(0));
        assert_eq!(next.status().await.map(|status| status.code), Ok(0));
        let stop = engine.stop_container("web", &Default::default()).await.expect_err("gone");
        assert_eq!(stop.kind, FailureKind::NotFound);
    });
}
