//! The rooms that read Compose files, as a crate of their own: with coverage, the compiler takes half an hour over all of Gantry.

#[path = "../../src/compose"]
pub mod compose {
    pub mod project;
}
#[path = "../../src/resource/mod.rs"]
pub mod resource;
