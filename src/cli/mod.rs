//! Arguments, one page per command, all terminal output, exit codes.
