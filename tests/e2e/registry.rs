//! A real registry on loopback: Debian's docker-registry.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::bottle::Bottle;
use crate::program::{end, run, top};

/// A registry that ends with the test.
pub(crate) struct Registry {
    process: Child,
}

impl Registry {
    /// Starts one on this port of the bottle's loopback, with its files in `folder`.
    pub(crate) fn start(bottle: &Bottle, folder: &Path, port: u16) -> Self {
        Self::start_at(bottle, folder, &format!("127.0.0.1:{port}"))
    }

    /// Starts one at an address of the bottle's.
    pub(crate) fn start_at(bottle: &Bottle, folder: &Path, address: &str) -> Self {
        std::fs::create_dir_all(folder).expect("the registry's folder");
        Self::serve(bottle, folder, &folder.join("registry"), address, "")
    }

    /// Starts one that lets in only whom an htpasswd file names.
    pub(crate) fn with_users(bottle: &Bottle, folder: &Path, port: u16, users: &Path) -> Self {
        let more = format!("auth: {{htpasswd: {{realm: here, path: {}}}}}\n", users.display());
        Self::serve(bottle, folder, &folder.join("registry"), &format!("127.0.0.1:{port}"), &more)
    }

    /// Starts one that has the images of examples/shop under the names Docker Hub has them under.
    pub(crate) fn of_the_shop(bottle: &Bottle, port: u16) -> Self {
        Self::of(bottle, "target/shop/registry", port)
    }

    /// Starts one that has the images applications are built from, under the names Docker Hub has them under.
    pub(crate) fn of_the_packages(bottle: &Bottle, port: u16) -> Self {
        Self::of(bottle, "target/packages/registry", port)
    }

    fn of(bottle: &Bottle, images: &str, port: u16) -> Self {
        let images = top().join(images);
        assert!(images.exists(), "{} is missing: run tests/run, which makes it", images.display());
        Self::serve(bottle, bottle.project().parent().expect("a parent"), &images, &format!("127.0.0.1:{port}"), "")
    }

    fn serve(bottle: &Bottle, folder: &Path, storage: &Path, address: &str, more: &str) -> Self {
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n{more}",
            storage.display()
        );
        std::fs::write(&config, text).expect("the registry's configuration");
        let mut command = bottle.server("docker-registry");
        let mut process = command
            .arg("serve")
            .arg(&config)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("docker-registry is installed by tests/run");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("listening on"));
        assert!(ready, "the registry did not start");
        // Its pipe is read to the end, so that it never blocks.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process }
    }

    /// Pushes an image of busybox with a file `/said`.
    pub(crate) fn push(bottle: &Bottle, said: &str, name: &str) {
        let make =
            "rm -rf image && mkdir -p image/bin && cp /bin/busybox image/bin/ && ln -s busybox image/bin/cat && ln -s busybox image/bin/sh";
        let push = format!("skopeo copy --quiet --insecure-policy --dest-tls-verify=false tarball:image.tar docker://{name}");
        bottle.shell(&format!("{make} && echo {said} >image/said && tar --owner=0 --group=0 -C image -cf image.tar . && {push}")).success();
    }

    /// Pushes the image of examples/cache.
    pub(crate) fn push_redis(bottle: &Bottle, port: u16) {
        run(bottle.command(top().join("tests/support/redis-image")).arg(top().join("target/redis")).arg(format!("127.0.0.1:{port}")))
            .success();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}
