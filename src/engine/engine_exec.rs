//! The engine's verbs on commands run beside a container's own.

use crate::engine::Engine;
use crate::engine::container::attach::{AttachReader, AttachWriter};
use crate::resource::exec::{ExecInfo, ExecSpec, TerminalSize};
use crate::resource::failure::Failure;
use crate::resource::id::ExecId;

impl Engine {
    /// Prepares a command in a running container.
    pub async fn exec_create(&self, name: &str, spec: &ExecSpec) -> Result<ExecId, Failure> {
        todo!("{name} {spec:?}")
    }

    /// Starts a prepared command; with `detach` there are no streams. `tty` must say what the command was prepared with.
    pub async fn exec_start(&self, id: &str, tty: bool, detach: bool) -> Result<Option<(AttachReader, AttachWriter)>, Failure> {
        todo!("{id} {tty} {detach}")
    }

    /// Tells the terminal of a command its size.
    pub async fn exec_resize(&self, id: &str, size: TerminalSize) -> Result<(), Failure> {
        todo!("{id} {size:?}")
    }

    /// Returns what is known of a command.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecInfo, Failure> {
        todo!("{id}")
    }
}
