//! Containers and their life on top of image, network and runtime.
