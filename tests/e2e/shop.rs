//! examples/shop: an application of five services on images as Docker Hub has them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::bottle::Bottle;
use crate::docker::Docker;
use crate::program::{Outcome, run, top};
use crate::registry::Registry;

/// The example in a bottle, where a registry stands in for Docker Hub.
struct Shop<'a> {
    bottle: &'a Bottle,
    place: PathBuf,
    _registry: Registry,
}

impl<'a> Shop<'a> {
    fn new(bottle: &'a Bottle) -> Self {
        let registry = Registry::of_the_shop(bottle, 5000);
        let etc = bottle.root().join("etc");
        std::fs::create_dir_all(&etc).expect("the folder of the configuration");
        std::fs::write(etc.join("engine.json"), r#"{"registry-mirrors": ["http://127.0.0.1:5000"]}"#).expect("the configuration");
        let place = bottle.project().join("shop");
        bottle.shell(&format!("cp -r {} {}", top().join("examples/shop").display(), place.display())).success();
        Self { bottle, place, _registry: registry }
    }

    fn gantry(&self, arguments: &[&str]) -> Outcome {
        run(self.bottle.command(Bottle::binary()).args(arguments).current_dir(&self.place))
    }

    #[track_caller]
    fn curl(&self, arguments: &str) -> String {
        self.bottle.shell(&format!("curl -sS --fail --max-time 20 {arguments}")).success()
    }

    fn volumes(&self) -> BTreeSet<String> {
        let listed = self.bottle.get("/volumes");
        listed["Volumes"].as_array().into_iter().flatten().filter_map(|it| it["Name"].as_str().map(str::to_owned)).collect()
    }

    #[track_caller]
    fn assert_nothing_is_left(&self) {
        assert_eq!(self.bottle.containers(), Vec::<String>::new());
        let networks = self.bottle.get("/networks");
        assert!(networks.as_array().expect("a list").iter().all(|it| !it["Name"].as_str().unwrap_or_default().starts_with("shop")));
    }
}

#[test]
fn the_shop_opens_sells_closes_and_remembers() {
    let bottle = Bottle::new();
    let shop = Shop::new(&bottle);
    shop.gantry(&["up", "-d", "--wait", "--quiet-pull"]).success();
    let page = shop.curl("http://127.0.0.1:8080/");
    for text in ["The Corner Shop", "Bicycle bell", "24.00 €", "Visit number 1,"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // To PostgreSQL and to Redis, and back.
    let page = shop.curl("-L -d 'good=Lamp' -d 'customer=Ada' http://127.0.0.1:8080/orders");
    assert!(page.contains("1 sold") && page.contains("Ada bought: Lamp") && page.contains("Visit number 2,"), "{page}");
    // nginx asks the resolver for `app`, and finds all three.
    let mut served = BTreeSet::new();
    for _ in 0..100 {
        let answer = shop.curl("-i http://127.0.0.1:8080/health");
        served.extend(answer.lines().filter_map(|line| line.strip_prefix("X-Served-By: ")).map(|name| name.trim().to_owned()));
    }
    assert_eq!(served.len(), 3, "{served:?}");
    // nginx is not on the database's network, and that one leads nowhere.
    assert_eq!(shop.gantry(&["exec", "-T", "web", "getent", "hosts", "db"]).code, 2);
    assert_eq!(shop.gantry(&["exec", "-T", "web", "getent", "hosts", "app"]).code, 0);
    // The password is seen by who asked for it, and only there.
    assert_eq!(shop.gantry(&["exec", "-T", "db", "cat", "/run/secrets/database-password"]).success(), "correct horse battery staple\n");
    assert_eq!(shop.gantry(&["exec", "-T", "cache", "ls", "/run/secrets"]).code, 2);
    assert_eq!(bottle.state("shop-migrate-1"), "exited");

    // The volume outlives `down`, what was only in Redis does not; nor is the database made, or migrated, a second time.
    shop.gantry(&["down"]).success();
    // As in Docker, volumes without a name outlive it, too.
    let mut kept = shop.volumes();
    assert!(kept.remove("shop_database"), "{kept:?}");
    shop.gantry(&["up", "-d", "--wait"]).success();
    let page = shop.curl("http://127.0.0.1:8080/");
    assert!(page.contains("1 sold") && page.contains("Visit number 1,") && !page.contains("Ada bought"), "{page}");
    assert!(shop.gantry(&["logs", "db"]).success().contains("Skipping initialization"));
    assert!(shop.gantry(&["logs", "migrate"]).success().contains("0 of 3 steps"));

    // The profile adds one service, and leaves the others alone.
    assert!(!bottle.containers().contains(&"shop-monitor-1".to_owned()));
    let before = bottle.pid("shop-db-1");
    shop.gantry(&["--profile", "debug", "up", "-d"]).success();
    assert_eq!(bottle.pid("shop-db-1"), before);
    let seen = "until $GANTRY --profile debug logs monitor | grep -q '\"visits\"'; do curl -s -o /dev/null http://127.0.0.1:8080/; done";
    run(bottle.command("sh").env("GANTRY", Bottle::binary()).args(["-c", seen]).current_dir(&shop.place)).success();

    shop.gantry(&["--profile", "debug", "down", "-v"]).success();
    shop.assert_nothing_is_left();
    assert_eq!(shop.volumes(), kept);
}

#[test]
fn the_same_files_run_on_docker() {
    let bottle = Bottle::new();
    let shop = Shop::new(&bottle);
    let docker = Docker::start_with(&bottle, &["--registry-mirror", "http://127.0.0.1:5000"]);
    let compose = |arguments: &[&str]| run(docker.compose_command().args(arguments).current_dir(&shop.place));
    compose(&["up", "-d", "--wait", "--quiet-pull"]).success();
    let page = shop.curl("-L -d 'good=Lamp' -d 'customer=Ada' http://127.0.0.1:8080/orders");
    assert!(page.contains("1 sold") && page.contains("Ada bought: Lamp"), "{page}");
    let files = ["-f", "compose.yaml", "-f", "compose.dev.yaml"];
    compose(&[&files[..], &["up", "-d", "--wait"]].concat()).success();
    let page = shop.curl("http://127.0.0.1:8081/");
    assert!(page.contains("<h1>The Shop (development)</h1>"), "{page}");
    compose(&[&files[..], &["down", "-v", "-t", "1"]].concat()).success();
    compose(&["down", "-v", "-t", "1"]).success();
}

#[test]
fn the_override_for_development_serves_the_source_tree_on_other_ports() {
    let bottle = Bottle::new();
    let shop = Shop::new(&bottle);
    let files = ["-f", "compose.yaml", "-f", "compose.dev.yaml"];
    let gantry = |arguments: &[&str]| shop.gantry(&[&files[..], arguments].concat());
    gantry(&["up", "-d", "--wait", "--quiet-pull"]).success();
    assert!(shop.curl("http://127.0.0.1:8081/").contains("<h1>The Shop (development)</h1>"));
    assert!(shop.curl("http://127.0.0.1:8000/health").contains("fine"));
    assert_eq!(bottle.shell("curl -s --max-time 5 http://127.0.0.1:8080/").code, 7);
    assert_eq!(bottle.containers().iter().filter(|name| name.contains("-app-")).count(), 1);
    // A change of the tree is served without another `up`.
    let page = shop.place.join("app/templates/page.html");
    let changed = std::fs::read_to_string(&page).expect("the page").replace("<h1>", "<h1>Changed: ");
    std::fs::write(&page, changed).expect("the page is written");
    bottle.shell("until curl -s --max-time 5 http://127.0.0.1:8081/ | grep -q 'Changed: The Shop'; do :; done").success();
    gantry(&["down", "-v"]).success();
    shop.assert_nothing_is_left();
    assert_eq!(shop.volumes(), BTreeSet::new());
}

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
    assert_eq!(says("python", "ls -d /usr/lib/python3.11/pydoc_data /usr/lib/python3.11/lib2to3 2>/dev/null; true"), "");
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
