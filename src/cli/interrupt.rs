//! Ctrl-C, SIGTERM and the size of the terminal.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::error::CommandError;

/// Listens to what asks a command to end.
pub(crate) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupt {
    /// Begins to listen: from now on the process no longer ends by itself.
    pub(crate) fn listen() -> Result<Self, CommandError> {
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Returns when the next one came.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Listens to one signal.
pub(crate) fn listen(kind: SignalKind) -> Result<Signal, CommandError> {
    signal(kind).map_err(|error| CommandError::local(format!("cannot listen to signal {}: {error}", kind.as_raw_value())))
}
