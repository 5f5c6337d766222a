//! The rooms that read Compose files and Dockerfiles, as a crate of their own: with coverage, the compiler takes half an hour over all of Gantry.

// What other rooms read of a project is read by nobody here.
#![allow(dead_code)]

#[path = "../../src/compose"]
pub mod compose {
    pub mod project;
}
#[path = "../../src/resource/mod.rs"]
pub mod resource;
#[path = "../../src/dockerfile/mod.rs"]
pub mod dockerfile;
#[path = "../../src/archive"]
pub mod archive {
    pub mod mode;
}
