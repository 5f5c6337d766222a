//! Life on a terminal: sizes, keys, colours, pastes, and bytes that nobody touches.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;

use crate::bottle::Bottle;
use crate::up::RUNS;

/// A terminal with gantry on it, as a person has it.
pub(crate) struct Screen {
    master: File,
    process: Child,
    /// Everything that was shown.
    seen: Vec<u8>,
    /// So much of it was waited for.
    read: usize,
}

impl Screen {
    /// Starts gantry on a new terminal of 24 rows and 80 columns.
    pub(crate) fn start(bottle: &Bottle, arguments: &[&str]) -> Self {
        let pty = openpty(None, None).expect("a terminal");
        let (master, slave) = (File::from(pty.master), File::from(pty.slave));
        set_size(&master, 24, 80);
        let stream = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let mut command = bottle.command("setsid");
        command.env("TERM", "xterm").arg("--ctty").arg(Bottle::binary()).args(arguments);
        let process = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().expect("gantry starts");
        Self { master, process, seen: Vec::new(), read: 0 }
    }

    /// Changes the terminal's size, as a person who pulls at a window's corner.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.master, rows, columns);
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: impl AsRef<[u8]>) {
        self.master.write_all(keys.as_ref()).expect("the terminal takes keys");
    }

    /// Pastes while what is shown is read: returns a thread that ends when all was taken.
    pub(crate) fn paste(&self, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
        let mut master = self.master.try_clone().expect("a descriptor");
        std::thread::spawn(move || master.write_all(&bytes).expect("the terminal takes keys"))
    }

    /// Reads what is shown; whether there is more to come.
    fn look(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, timeout).expect("a terminal can be polled") == 0 {
            return false;
        }
        let mut bytes = [0; 64 << 10];
        match self.master.read(&mut bytes) {
            Ok(read @ 1..) => {
                self.seen.extend_from_slice(&bytes[..read]);
                true
            }
            // Nobody has the other end any more.
            _ => false,
        }
    }

    /// Waits until a text is shown after what was waited for before.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let found = self.seen[self.read..].windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = found {
                self.read += at + text.len();
                return;
            }
            assert!(self.look(deadline), "`{text}` is never shown:\n{}", self.text());
        }
    }

    /// Waits until so many bytes were shown in all.
    #[track_caller]
    pub(crate) fn wait_for_bytes(&mut self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.seen.len() < count {
            assert!(self.look(deadline), "only {} bytes are shown", self.seen.len());
        }
    }

    /// Everything that was shown so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Waits for the end; everything that was shown, and the exit code.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Vec<u8>, i32) {
        let deadline = Instant::now() + Duration::from_secs(40);
        while self.look(deadline) {}
        assert!(Instant::now() < deadline, "it never ends:\n{}", self.text());
        let status = self.process.wait().expect("it ends");
        (std::mem::take(&mut self.seen), status.code().unwrap_or(-1))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn set_size(master: &File, rows: u16, columns: u16) {
    let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(master, size).expect("a terminal has a size");
}

/// A service that runs until it is told to stop, and one whose command is a shell on a terminal.
fn two() -> Bottle {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n  shell:\n    image: IMAGE\n    command: sh\n    tty: true\n    stdin_open: true\n"
    ));
    bottle.gantry(["up", "-d"]).success();
    bottle
}

#[test]
fn a_window_that_changes_its_size_is_heard_of_inside() {
    let bottle = two();
    // A `run` hears of the size it begins with as of a change, before or after it is ready.
    let line = "trap 'size=$(stty size)' WINCH; echo ready; until test \"$size\" = '31 97'; do sleep 0.1; done; echo $size; exit 4";
    for arguments in [["exec", "a", "sh", "-c", line].as_slice(), &["run", "--rm", "--no-deps", "a", "sh", "-c", line]] {
        let mut screen = Screen::start(&bottle, arguments);
        screen.wait_for("ready");
        screen.resize(31, 97);
        screen.wait_for("31 97");
        assert_eq!(screen.end().1, 4, "{arguments:?}");
    }
}

#[test]
fn a_run_has_the_size_of_the_terminal_it_begins_on() {
    let bottle = two();
    let mut screen = Screen::start(&bottle, &["run", "--rm", "a", "sh", "-c", "read x; stty size"]);
    screen.press("\r");
    screen.wait_for("24 80");
    assert_eq!(screen.end().1, 0);
}

#[test]
fn the_keys_lead_away_and_what_runs_goes_on() {
    let bottle = two();
    // From a command beside the container's own.
    let mut screen = Screen::start(&bottle, &["exec", "a", "sh", "-c", "echo begun; read x; echo $x > /tmp/typed; sleep 1000"]);
    screen.wait_for("begun");
    screen.press(b"\x10\x11");
    let (shown, code) = screen.end();
    assert_eq!(code, 1, "as Docker's");
    assert!(String::from_utf8_lossy(&shown).contains("read escape sequence"), "{shown:?}");
    assert!(bottle.gantry(["exec", "-T", "a", "ps"]).success().contains("echo begun"), "it goes on");
    // From a container of one's own; what is typed before the keys is typed.
    let mut screen = Screen::start(&bottle, &["run", "--name", "mine", "shell"]);
    screen.press("echo $((40+2))\r");
    screen.wait_for("42");
    screen.press(b"\x10\x11");
    assert_eq!(screen.end().1, 0);
    assert_eq!(bottle.state("mine"), "running");
    // From what runs already, by keys of one's own choice, more than once.
    for number in 1..=2 {
        let mut screen = Screen::start(&bottle, &["attach", "--detach-keys", "ctrl-a,x", "shell"]);
        screen.press(format!("echo $((1000+{number}))\r"));
        screen.wait_for(&format!("100{number}"));
        screen.press(b"\x01x");
        assert_eq!(screen.end().1, 1, "as Docker's");
        assert_eq!(bottle.state("project-shell-1"), "running");
    }
    bottle.gantry(["kill"]).success();
}

#[test]
fn control_c_in_a_terminal_of_its_own_is_the_programs() {
    let bottle = two();
    for arguments in [["exec", "a"].as_slice(), &["run", "--rm", "a"]] {
        let line = ["sh", "-c", "trap 'echo heard; exit 9' INT; echo ready; while :; do sleep 0.1; done"];
        let mut screen = Screen::start(&bottle, &[arguments, &line].concat());
        screen.wait_for("ready");
        screen.press(b"\x03");
        screen.wait_for("heard");
        assert_eq!(screen.end().1, 9, "{arguments:?}");
    }
}

#[test]
fn a_full_screen_programs_bytes_arrive_unchanged() {
    let bottle = two();
    // Every byte there is, and what such programs write: none of it is the client's to understand.
    let mut drawn: Vec<u8> = b"\x1b[?1049h\x1b[2J\x1b[3;7H\x1b]0;title\x07\x1b[?25l".to_vec();
    drawn.extend(0..=u8::MAX);
    drawn.extend(b"\x1b[?1049l");
    std::fs::write(bottle.project().join("drawn"), &drawn).expect("a file");
    let volume = format!("{}:/drawn", bottle.project().join("drawn").display());
    let run = ["run", "--rm", "-v", &volume, "a", "sh", "-c", "stty raw -echo; cat /drawn; stty cooked; echo END"];
    let (shown, code) = Screen::start(&bottle, &run).end();
    assert_eq!(code, 0);
    assert!(shown.windows(drawn.len()).any(|window| window == drawn), "{:?}", String::from_utf8_lossy(&shown));
}

#[test]
fn a_large_paste_arrives_whole() {
    let bottle = two();
    let mut screen = Screen::start(&bottle, &["exec", "a", "sh", "-c", "stty raw -echo; echo ready; head -c 1048576 | md5sum; echo; cat"]);
    screen.wait_for("ready");
    let text: Vec<u8> =
        (0..1_048_576_u32).map(|number| b'a' + u8::try_from(number.wrapping_mul(2_654_435_761) >> 27).expect("five bits")).collect();
    std::fs::write(bottle.project().join("text"), &text).expect("a file");
    let sum = bottle.shell("md5sum < text").success();
    let pasted = screen.paste(text.clone());
    screen.wait_for(sum.split(' ').next().expect("a sum"));
    pasted.join().expect("all of it was taken");
    // And back again, through the very terminal.
    let before = screen.seen.len();
    let pasted = screen.paste(text.clone());
    screen.wait_for_bytes(before + text.len());
    pasted.join().expect("all of it was taken");
    assert!(screen.seen.windows(text.len()).any(|window| window == text), "what came back is not what was typed");
}

#[test]
fn ten_megabytes_pass_through_pipes_both_ways() {
    let bottle = two();
    let sums = bottle
        .shell(
            "head -c 10485760 /dev/urandom > bytes; md5sum < bytes; \
             $GANTRY exec -T a cat < bytes | md5sum; \
             $GANTRY run --rm -T --no-deps -q a cat < bytes | md5sum; \
             $GANTRY run --rm -T --no-deps -q a md5sum < bytes",
        )
        .success();
    let sums: Vec<&str> = sums.lines().collect();
    assert_eq!(sums.len(), 4);
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
}

#[test]
fn an_attached_up_has_a_colour_for_each_container_and_shows_what_goes_on() {
    let bottle = Bottle::with_image();
    let says = RUNS.replace("trap", "echo begun; trap");
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {says}\n  b:\n    image: IMAGE\n    command: {says}\n"));
    let mut screen = Screen::start(&bottle, &["up"]);
    screen.wait_for("begun");
    screen.wait_for("begun");
    let text = screen.text();
    for shown in [
        "\u{1b}[36ma-1  | \u{1b}[0mbegun",
        "\u{1b}[33mb-1  | \u{1b}[0mbegun",
        "[+] up ",
        "\u{1b}[32m✔\u{1b}[0m Container project-a-1",
        "Attaching to a-1, b-1",
    ] {
        assert!(text.contains(shown), "{shown:?} is not in {text:?}");
    }
    // What is drawn again erases what was drawn before.
    assert!(text.contains("A\r\u{1b}[J"), "{text:?}");
    screen.press(b"\x03");
    screen.wait_for("Gracefully Stopping... press Ctrl+C again to force");
    let (_, code) = screen.end();
    assert_eq!(code, 130);
    for arguments in [["--ansi", "never", "up"].as_slice(), &["up", "--no-color"]] {
        let mut screen = Screen::start(&bottle, arguments);
        screen.wait_for("begun");
        screen.press(b"\x03");
        let (shown, _) = screen.end();
        assert!(!String::from_utf8_lossy(&shown).contains("\u{1b}[36ma-1"), "{arguments:?}");
    }
}

#[test]
fn control_c_twice_does_not_wait_for_who_does_not_listen() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:\n  deaf:\n    image: IMAGE\n    stop_grace_period: 1h\n    command: [sh, -c, \"trap 'echo refused' TERM; echo begun; while :; do sleep 0.1; done\"]\n",
    );
    let mut screen = Screen::start(&bottle, &["up"]);
    screen.wait_for("begun");
    screen.press(b"\x03");
    screen.wait_for("press Ctrl+C again to force");
    screen.wait_for("refused");
    assert_eq!(bottle.state("project-deaf-1"), "running");
    screen.press(b"\x03");
    assert_eq!(screen.end().1, 130);
    assert_eq!(bottle.inspect("project-deaf-1").expect("it is there")["State"]["ExitCode"], 137);
}

#[test]
fn a_terminal_is_as_it_was_when_a_command_has_ended() {
    let bottle = two();
    let line = "before=$(stty -g); $GANTRY exec a true; $GANTRY run --rm a true; $GANTRY exec a no-such; test \"$before\" = \"$(stty -g)\" && echo same";
    std::fs::write(bottle.project().join("line"), line).expect("a file");
    let outcome = bottle.shell("script -qec 'sh ./line' /dev/null");
    assert!(outcome.stdout.contains("same"), "{outcome:?}");
}
