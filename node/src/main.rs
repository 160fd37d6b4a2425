fn main() {
    // Before all else: a guard has one thread and no runtime.
    if let Some(code) = meshd::executor::guard_main() {
        std::process::exit(code);
    }
}
