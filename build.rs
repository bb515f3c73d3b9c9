//! Migrations and texts are read while compiling: a change of theirs is a change of the code.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=locales");
}
