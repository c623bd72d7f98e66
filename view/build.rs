//! Tells the linker what a view for small devices uses of its program, so that it lies side by side: `used.ld`.

use std::env::var;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=used.ld");
    let of = |name| var(name).unwrap_or_default();
    // The profile `small` alone is built for size. Linkers of other systems read no such scripts.
    if of("OPT_LEVEL") == "z" && of("CARGO_CFG_TARGET_OS") == "linux" {
        let script = Path::new(&of("CARGO_MANIFEST_DIR")).join("used.ld");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}
