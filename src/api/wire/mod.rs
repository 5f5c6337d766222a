//! Docker's JSON and its conversions to and from `resource`; nowhere else does Docker's JSON appear.
