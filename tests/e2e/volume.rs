//! Volumes: named, anonymous, binds.

use crate::bottle::Bottle;
use crate::up::RUNS;

#[test]
fn named_volumes_are_filled_from_the_image_once_and_survive() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    volumes: [data:/etc]\nvolumes: {{data: {{}}}}\n"));
    bottle.gantry(["up", "-d"]).success();
    let inside = |line: &str| bottle.gantry(["exec", "-T", "a", "sh", "-c", line]).success();
    assert!(inside("cat /etc/group").contains("extra"));
    inside("rm /etc/group; echo mine > /etc/own");
    bottle.gantry(["down"]).success();
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(inside("cat /etc/own; ls /etc/group 2>/dev/null || true"), "mine\n");
}

#[test]
fn binds_show_the_hosts_files_and_read_only_ones_cannot_be_written() {
    let bottle = Bottle::with_image();
    bottle.write("page", "from the host\n");
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    volumes: ['./page:/page:ro', './out:/out']\n"));
    bottle.gantry(["up", "-d"]).success();
    let inside = |line: &str| bottle.gantry(["exec", "-T", "a", "sh", "-c", line]).success();
    assert_eq!(inside("cat /page; echo x 2>/dev/null > /page || echo refused; echo written > /out/file"), "from the host\nrefused\n");
    assert_eq!(std::fs::read_to_string(bottle.project().join("out/file")).expect("the folder was made"), "written\n");
}

#[test]
fn anonymous_volumes_pass_to_the_successor_and_go_with_down_v() {
    let bottle = Bottle::with_image();
    let project = |value: &str| {
        format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    environment: {{V: '{value}'}}\n    volumes: [/data]\n")
    };
    bottle.compose(&project("1"));
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["exec", "-T", "a", "sh", "-c", "echo kept > /data/file"]).success();
    bottle.compose(&project("2"));
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(bottle.gantry(["exec", "-T", "a", "sh", "-c", "echo $V; cat /data/file"]).success(), "2\nkept\n");
    assert_eq!(bottle.get("/volumes")["Volumes"].as_array().map_or(0, Vec::len), 1);
    bottle.gantry(["down", "-v"]).success();
    assert_eq!(bottle.get("/volumes")["Volumes"].as_array().map_or(0, Vec::len), 0);
}
