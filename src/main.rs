//! The program: from arguments to a verb, from its answer to an exit code.

/// Gives back what a severed crowd of requests held in half the time of the system's, and serves each a little faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // A huge page is a thousand times what a stream keeps. Where the kernel says no, only memory is lost.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    vendorgate::main(std::env::args_os())
}
