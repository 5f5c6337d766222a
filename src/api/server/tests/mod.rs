//! The description of the API, held to what is served.

mod description;
mod sample;
