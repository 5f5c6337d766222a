//! Builds for another machine than this one.

use crate::bottle::Bottle;
use crate::build::{image, write_context};

/// An entry of binfmt_misc (the kernel's, so everybody's) until it is dropped.
struct Emulator<'a>(&'a Bottle);

impl Emulator<'_> {
    const PLACE: &'static str = "/proc/sys/fs/binfmt_misc";

    /// Programs that begin as those of arm64 do go to busybox, which does not look into them.
    fn register(bottle: &Bottle) -> Emulator<'_> {
        let begin = |rest: &str| format!("\\x7fELF\\x02\\x01\\x01{}\\x02\\x00{rest}", "\\x00".repeat(9));
        let (emulator, entry) = (Emulator(bottle), format!(":gantry-test:M::{}::/bin/busybox:F", begin("\\xb7\\x00")));
        emulator.remove();
        bottle.shell(&format!("printf '%s' '{entry}' >{}/register", Self::PLACE)).success();
        emulator
    }

    fn remove(&self) {
        self.0.shell(&format!("if [ -e {0}/gantry-test ]; then echo -1 >{0}/gantry-test; fi", Self::PLACE)).success();
    }
}

impl Drop for Emulator<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

#[test]
fn a_command_for_another_machine_runs_where_there_is_an_emulator() {
    let bottle = Bottle::new();
    bottle.shell(&format!("mountpoint -q {0} || mount -t binfmt_misc binfmt_misc {0}", Emulator::PLACE)).success();
    let program = "printf '\\177ELF\\2\\1\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\2\\0\\267\\0' >c/touch && chmod +x c/touch";
    write_context(&bottle, "c", "FROM scratch\nCOPY --chmod=755 touch /bin/\nRUN [\"/bin/touch\", \"/touched\"]\n");
    bottle.shell(program).success();
    let build = || bottle.gantry(["image", "build", "--platform", "linux/arm64", "-t", "c:1", "c"]);
    let told = build().failure(1);
    assert!(told.contains("a command for linux/arm64 cannot run on this machine"), "{told}");
    assert_eq!(image(&bottle, "c:1"), None);

    let _emulator = Emulator::register(&bottle);
    build().success();
    assert_eq!(image(&bottle, "c:1").expect("it was built")["Architecture"], "arm64");
    bottle.shell("$GANTRY image save c:1 >saved.tar && mkdir saved && tar -C saved -xf saved.tar").success();
    let layers = bottle
        .shell("for layer in $(grep -o 'blobs/sha256/[0-9a-f]*' saved/manifest.json | sort -u); do tar -tf saved/$layer 2>/dev/null || true; done")
        .success();
    assert!(layers.lines().any(|name| name == "touched"), "{layers}");
    // A service that asks for it is built as well.
    bottle.compose("services:\n  c:\n    image: c:2\n    build: { context: c, platforms: [linux/arm64] }\n");
    bottle.gantry(["build", "-q"]).success();
    assert_eq!(image(&bottle, "c:2").expect("it was built")["Architecture"], "arm64");
}
