//! `Project` × what is observed → `Plan` of operations, with a cause each; and the walk over it.
