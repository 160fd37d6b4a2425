//! What runs tasks: builtins, and host commands under their guard.
