//! The client's verbs on commands run beside a container's own.

use crate::api::client::Client;
use crate::api::client::hijack::Hijacked;
use crate::resource::exec::{ExecInfo, ExecSpec, TerminalSize};
use crate::resource::failure::Failure;
use crate::resource::id::ExecId;

impl Client {
    /// Prepares a command in a running container.
    pub async fn exec_create(&self, name: &str, spec: &ExecSpec) -> Result<ExecId, Failure> {
        todo!("{name} {spec:?}")
    }

    /// Starts a prepared command; with `detach` there are no streams.
    pub async fn exec_start(&self, id: &ExecId, tty: bool, detach: bool) -> Result<Option<Hijacked>, Failure> {
        todo!("{id} {tty} {detach}")
    }

    /// Tells the terminal of a command its size.
    pub async fn exec_resize(&self, id: &ExecId, size: TerminalSize) -> Result<(), Failure> {
        todo!("{id} {size:?}")
    }

    /// Returns what is known of a command.
    pub async fn exec_inspect(&self, id: &ExecId) -> Result<ExecInfo, Failure> {
        todo!("{id}")
    }
}
