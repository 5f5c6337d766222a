//! examples/shop: an application of five services on images as Docker Hub has them.

use crate::bottle::Bottle;
use crate::registry::Registry;

#[test]
fn the_images_keep_what_their_layers_say() {
    let bottle = Bottle::new();
    let _registry = Registry::of_the_shop(&bottle, 5000);
    let service = |name: &str| {
        let command = "command: [sleep, '1000']\n    entrypoint: []\n    stop_signal: KILL";
        format!("  {name}:\n    image: 127.0.0.1:5000/library/{name}\n    {command}\n")
    };
    bottle.compose(&format!("services:\n{}", ["nginx", "redis", "postgres", "python"].map(service).concat()));
    bottle.gantry(["up", "-d"]).success();
    let says = |name: &str, line: &str| bottle.gantry(["exec", "-T", name, "sh", "-c", line]).success();
    // Whiteouts and an opaque folder: of the packages' files only what the last layer put there is seen.
    assert_eq!(
        says("nginx", "ls -d /etc/nginx/sites-enabled 2>/dev/null; ls /etc/nginx/conf.d /etc/nginx/sites-available"),
        "/etc/nginx/conf.d:\ndefault.conf\n\n/etc/nginx/sites-available:\n"
    );
    assert_eq!(says("redis", "ls -A /etc/redis; ls -d /etc/init.d 2>/dev/null; true"), "");
    assert_eq!(says("python", "find / -xdev -name __pycache__ -path '/usr/lib/*' | head -n 1"), "");
    // Hard links are one file, a program's rights stay on it, and attributes are there.
    assert_eq!(says("postgres", "stat -c %h /usr/bin/perl; test /usr/bin/perl -ef /usr/bin/perl5.36.0 && echo same"), "2\nsame\n");
    assert_eq!(says("postgres", "stat -c '%a %U' /usr/bin/su /var/lib/postgresql/data"), "4755 root\n755 postgres\n");
    let attribute = |name: &str, attribute: &str| {
        let pid = bottle.pid("project-nginx-1");
        bottle
            .shell(&format!("getfattr --absolute-names --only-values -n {attribute} /proc/{pid}/root{name} | od -An -tx1 | tr -d ' \\n'"))
            .success()
    };
    assert_eq!(attribute("/usr/share/nginx/html/index.html", "user.shop.origin"), "64656269616e");
    assert_eq!(attribute("/usr/sbin/nginx", "security.capability"), "0100000200040000000000000000000000000000");
    bottle.gantry(["down", "-v"]).success();
}
