//! The program: from arguments to a verb, from its answer to an exit code.

fn main() -> std::process::ExitCode {
    vendorgate::cli::main(std::env::args_os())
}
