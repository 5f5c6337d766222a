//! The shim's loop: waits for whatever comes first, and passes it on.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::shim::client::Client;
use crate::engine::runtime::shim::container::{Phase, Shim};
use crate::engine::runtime::shim::stream::Part;

/// What a descriptor that is waited for belongs to.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Engine,
    Talk,
    Container(Part),
    ExecTalk(usize),
    Exec(usize, Part),
    Remnant(usize),
    Lingering(usize),
    Group,
    Signals,
}

impl Shim {
    /// Works until nothing is left of the container and everybody has been told.
    pub(super) fn run(mut self) -> Result<(), LaunchError> {
        while !matches!(self.phase, Phase::Over) || !self.lingering.is_empty() {
            for (owner, flags) in self.wait()? {
                self.react(owner, flags);
            }
            self.sweep();
            self.advance();
        }
        Ok(())
    }

    /// Everything to wait for; ends of children last, so that what they said before is heard before.
    fn wanted(&self) -> Vec<(BorrowedFd<'_>, PollFlags, Owner)> {
        let mut wanted = Vec::with_capacity(16);
        if !self.engine.is_gone() {
            let flags = if self.engine.is_behind() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            wanted.push((self.engine.as_fd(), flags, Owner::Engine));
        }
        wanted.extend(self.container.talk().map(|talk| (talk, PollFlags::IN, Owner::Talk)));
        wanted.extend(
            self.container.streams.wanted().into_iter().map(|(descriptor, flags, part)| (descriptor, flags, Owner::Container(part))),
        );
        for (index, exec) in self.execs.iter().enumerate() {
            wanted.extend(exec.process.talk().map(|talk| (talk, PollFlags::IN, Owner::ExecTalk(index))));
            let streams = exec.process.streams.wanted().into_iter();
            wanted.extend(streams.map(|(descriptor, flags, part)| (descriptor, flags, Owner::Exec(index, part))));
        }
        let remnants = self.remnants.iter().enumerate();
        wanted.extend(remnants.filter_map(|(index, remnant)| Some((remnant.as_ref()?.as_fd(), PollFlags::IN, Owner::Remnant(index)))));
        let lingering = self.lingering.iter().enumerate();
        wanted.extend(lingering.map(|(index, client)| (client.as_fd(), PollFlags::OUT, Owner::Lingering(index))));
        if let Phase::Ending { events, .. } = &self.phase {
            wanted.push((events.as_fd(), PollFlags::PRI, Owner::Group));
        }
        wanted.push((self.signals.as_fd(), PollFlags::IN, Owner::Signals));
        wanted
    }

    fn deadline(&self) -> Option<Instant> {
        self.lingering.iter().filter_map(Client::deadline).chain(self.container.streams.deadline()).min()
    }

    fn wait(&self) -> Result<Vec<(Owner, PollFlags)>, LaunchError> {
        let wanted = self.wanted();
        let mut polled: Vec<_> = wanted.iter().map(|(descriptor, flags, _)| PollFd::new(descriptor, *flags)).collect();
        let left = self.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(LaunchError::step("wait", error)),
        }
        let ready = polled.iter().zip(&wanted).map(|(polled, (.., owner))| (*owner, polled.revents()));
        Ok(ready.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    fn react(&mut self, owner: Owner, flags: PollFlags) {
        match owner {
            Owner::Engine => {
                self.engine.flush();
                self.obey_all();
            }
            Owner::Talk => self.hear_container(),
            Owner::Container(part) => self.container.streams.react(part, flags, &mut self.scratch),
            Owner::ExecTalk(index) => self.hear_exec(index),
            Owner::Exec(index, part) => self.execs[index].process.streams.react(part, flags, &mut self.scratch),
            Owner::Remnant(index) => self.throw_away(index),
            Owner::Lingering(index) => {
                self.lingering[index].flush();
                if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
                    self.lingering[index].leave();
                }
            }
            // What it holds is read by whoever asks whether the group is empty.
            Owner::Group => {}
            Owner::Signals => self.reap_all(),
        }
    }

    fn throw_away(&mut self, index: usize) {
        let Some(remnant) = &self.remnants[index] else { return };
        self.scratch.clear();
        match rustix::io::read(remnant, rustix::buffer::spare_capacity(&mut self.scratch)) {
            Ok(1..) | Err(Errno::AGAIN | Errno::INTR) => {}
            _ => self.remnants[index] = None,
        }
    }

    /// Lets go of what has come to its end.
    fn sweep(&mut self) {
        self.container.streams.sweep();
        self.sweep_execs();
        self.remnants.retain(Option::is_some);
        let now = Instant::now();
        self.lingering.retain(|client| {
            let waits = client.is_behind() && client.deadline().is_none_or(|deadline| deadline > now);
            if !waits {
                client.finish();
            }
            waits
        });
    }
}
