//! Bodies of `POST /containers/create` that are not what they should be: refused, or warned of, in dockerd's words.

use serde_json::{Value, json};

use crate::api::request;
use crate::bottle::{Bottle, IMAGE, busybox_tar};
use crate::docker::{Docker, docker};
use crate::program::run;

/// Makes a container on both engines; returns what ours and theirs answer.
fn create(bottle: &Bottle, theirs: &Docker<'_>, body: &Value) -> [(u16, Value); 2] {
    [bottle.socket(), theirs.socket()].map(|socket| request(&socket, "POST", "/containers/create", Some(body)))
}

#[test]
fn a_body_that_is_not_good_is_refused_in_dockers_words() {
    let bottle = Bottle::new();
    let theirs = Docker::start(&bottle);
    theirs.import();
    bottle.import();
    let of_image = |field: &str, value: Value| {
        let mut body = json!({ "Image": IMAGE, "Cmd": ["true"] });
        body[field] = value;
        body
    };
    for body in [
        of_image("WorkingDir", json!("relative")),
        of_image("Env", json!([""])),
        of_image("Env", json!(["=x"])),
        of_image("HostConfig", json!({ "ExtraHosts": ["a:b"] })),
        of_image("HostConfig", json!({ "ExtraHosts": ["a"] })),
        of_image("HostConfig", json!({ "ExtraHosts": [":1.2.3.4"] })),
        of_image("HostConfig", json!({ "IOMaximumIOps": 5 })),
        of_image("HostConfig", json!({ "IOMaximumBandwidth": 5 })),
        of_image("HostConfig", json!({ "RestartPolicy": { "Name": "", "MaximumRetryCount": 3 } })),
        of_image("HostConfig", json!({ "Mounts": [{ "Type": "tmpfs", "Target": "/x", "Source": "x" }] })),
    ] {
        let [ours, theirs] = create(&bottle, &theirs, &body);
        assert_eq!((ours.0, &ours), (400, &theirs), "{body}");
    }
    for body in [
        of_image("WorkingDir", json!("/srv")),
        of_image("Env", json!(["A", "B=", "C==x"])),
        of_image("HostConfig", json!({ "ExtraHosts": ["a:host-gateway", "b:::1"] })),
    ] {
        let [ours, theirs] = create(&bottle, &theirs, &body);
        assert_eq!((ours.0, &ours.1["Warnings"]), (theirs.0, &theirs.1["Warnings"]), "{body}");
        assert_eq!(ours.0, 201, "{body}: {ours:?}");
    }
    // dockerd would write these as they are, and so begin lines of its own in a file.
    for body in [
        of_image("Hostname", json!("a\n1.2.3.4 b")),
        of_image("Domainname", json!("a\nb")),
        of_image("HostConfig", json!({ "ExtraHosts": ["a\n1.2.3.4 b:1.2.3.4"] })),
        of_image("HostConfig", json!({ "DnsSearch": ["a\nnameserver 1.2.3.4"] })),
        of_image("HostConfig", json!({ "DnsOptions": ["a\nnameserver 1.2.3.4"] })),
    ] {
        let (status, answer) = request(&bottle.socket(), "POST", "/containers/create", Some(&body));
        assert_eq!(status, 400, "{body}: {answer}");
    }
}

#[test]
fn an_image_of_another_platform_is_warned_of() {
    let bottle = Bottle::new();
    let theirs = Docker::start(&bottle);
    bottle.import();
    let tar = busybox_tar().display().to_string();
    for architecture in ["arm64", "386", "s390x"] {
        let name = format!("of/{architecture}:1");
        let platform = format!("linux/{architecture}");
        let import = ["import", "--platform", &platform, &tar, &name];
        run(docker(&bottle).args(import)).success();
        theirs.docker(&import).success();
        let [ours, theirs] = create(&bottle, &theirs, &json!({ "Image": name, "Cmd": ["true"] }));
        assert_eq!((ours.0, &ours.1["Warnings"]), (201, &theirs.1["Warnings"]), "{architecture}");
        let count = usize::from(architecture != "386");
        assert_eq!(ours.1["Warnings"].as_array().map(Vec::len), Some(count), "{architecture}: {ours:?}");
    }
}
