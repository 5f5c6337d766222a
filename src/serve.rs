//! The engine role: its threads, its log, and the sockets its API is served at.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gantry::api::server::activity::Activity;
use gantry::api::server::listener::Listener;
use gantry::api::server::seat::Seats;
use gantry::api::server::tls::Tls;
use gantry::engine::configuration::Configuration;
use gantry::engine::runtime::link::{KeeperLink, Leaving};
use gantry::engine::runtime::role::EngineStart;
use gantry::engine::{Engine, EngineConfig};
use gantry::resource::failure::Failure;
use tokio::task::JoinSet;

/// Serves until the keeper asks for the end or there is nothing left to do.
pub(crate) fn serve(start: EngineStart) -> Result<(), Failure> {
    let log = Log::open(start.log.clone(), start.keeper.is_permanent())
        .map_err(|error| Failure::internal(format!("cannot open {}: {error}", start.log.display())))?;
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false).log_internal_errors(false).with_writer(log).init();
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 8));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("gantry-worker")
        // Nothing recurses deeply here; stacks are touched lazily, and what was touched stays.
        .thread_stack_size(512 * 1024)
        // A thread waits for each client that is slow to send or to take a tar; other work must not wait for them.
        .max_blocking_threads(4096)
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start the engine's threads: {error}")))?;
    let ended = runtime.block_on(run(start));
    // What still runs on the blocking pool has no one left to tell.
    runtime.shutdown_background();
    ended
}

/// What the keeper let through of its environment.
#[expect(clippy::disallowed_methods, reason = "the engine has no command line of its own; the keeper passes these variables on")]
fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

/// An engine without containers leaves when nobody has called for so long.
const IDLE: Duration = Duration::from_secs(10);

/// So long an engine that was stopped goes on with answers it has begun.
const LAST_WORDS: Duration = Duration::from_secs(1);

async fn run(start: EngineStart) -> Result<(), Failure> {
    let keeper = start.keeper;
    let tls = start.tls.as_ref().map(Tls::read).transpose().map_err(|error| Failure::invalid(error.to_string()))?;
    let configuration = Configuration::of(start.settings, &environment());
    tokio::spawn(keeper.clone().attend());
    let engine = Engine::open(EngineConfig { root: start.root, keeper: keeper.clone(), configuration }).await?;
    let activity = Activity::default();
    let seats = Seats::by_limit();
    let mut servers = listen(&keeper, &engine, &activity, &seats, tls.as_ref())?;
    tracing::info!("serving");
    loop {
        tokio::select! {
            () = keeper.stopping() => engine.stop_and_leave().await?,
            () = engine.closed() => {
                servers.shutdown().await;
                // Whoever asked for it gets an answer; who follows a log or the events need not be waited for.
                let _ = tokio::time::timeout(LAST_WORDS, activity.quiet(Duration::ZERO)).await;
                leave(&keeper, Leaving::Stopped);
                return Ok(());
            }
            () = until_idle(&engine, &activity), if !keeper.is_permanent() => {
                // Whoever calls from here on is the keeper's to hear, and is not kept from an engine.
                servers.shutdown().await;
                if engine.is_idle() && activity.under_way() == 0 {
                    engine.close().await;
                    leave(&keeper, Leaving::Idle);
                    return Ok(());
                }
                servers = listen(&keeper, &engine, &activity, &seats, tls.as_ref())?;
            }
            Some(ended) = servers.join_next() => {
                let reason = match ended {
                    Ok(Ok(())) => "its listener ended".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                return Err(Failure::internal(format!("the API cannot be served: {reason}")));
            }
        }
    }
}

/// Returns when nothing runs and nobody has called for a while.
async fn until_idle(engine: &Engine, activity: &Activity) {
    loop {
        engine.until_idle().await;
        activity.quiet(IDLE).await;
        if engine.is_idle() {
            return;
        }
    }
}

/// Serves at every socket the keeper has.
fn listen(
    keeper: &KeeperLink,
    engine: &Engine,
    activity: &Activity,
    seats: &Seats,
    tls: Option<&Tls>,
) -> Result<JoinSet<io::Result<()>>, Failure> {
    let mut servers = JoinSet::new();
    for (name, socket) in keeper.listeners().map_err(|error| Failure::internal(error.to_string()))? {
        let listener = Listener::of(socket, tls.cloned()).map_err(|error| Failure::internal(format!("cannot serve at {name}: {error}")))?;
        servers.spawn(gantry::api::server::serve(engine.clone(), listener, activity.clone(), seats.clone()));
    }
    Ok(servers)
}

fn leave(keeper: &KeeperLink, why: Leaving) {
    tracing::info!("leaving: {why:?}");
    keeper.leave(why);
}

/// The engine's log: two files of about [`Log::LIMIT`] bytes, and standard error where the engine runs in the foreground.
struct Log {
    path: PathBuf,
    foreground: bool,
    file: Mutex<(File, u64)>,
}

impl Log {
    const LIMIT: u64 = 4 << 20;

    fn open(path: PathBuf, foreground: bool) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, foreground, file: Mutex::new((file, size)) })
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.1 > Self::LIMIT {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *file = (File::options().create(true).append(true).open(&self.path)?, 0);
        }
        file.0.write_all(bytes)?;
        file.1 += bytes.len() as u64;
        Ok(())
    }

    /// Shows it, too, where somebody started the engine in the foreground; who has left does not hear it.
    fn show(&self, bytes: &[u8]) {
        if self.foreground {
            let _ = io::stderr().write_all(bytes);
        }
    }
}

/// One message on its way to the log.
struct Entry<'a>(&'a Log);

impl Write for Entry<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.show(bytes);
        self.0.write(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Entry<'a>;

    fn make_writer(&'a self) -> Entry<'a> {
        Entry(self)
    }
}
