//! Scenarios: real projects on a real engine, each in a bottle of its own (network, mount and UTS namespaces, its own root).

mod api;
mod bad_input;
mod bottle;
mod cache;
mod config;
mod docker;
mod down;
mod engine;
mod exec;
mod health;
mod killed;
mod left_behind;
mod life;
mod log;
mod machine;
mod network;
mod port;
mod program;
mod quickstart;
mod registry;
mod secret;
mod shop;
mod two_roots;
mod up;
mod volume;
mod world;
