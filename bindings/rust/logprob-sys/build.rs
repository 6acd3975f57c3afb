// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links liblogprob: the one in LOGPROB_LIB_DIR; else the installed one, as pkg-config knows it; else one built by
//! CMake from the sources around this folder.
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=LOGPROB_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(dir) = env::var_os("LOGPROB_LIB_DIR") {
        link(Path::new(&dir));
    } else if !installed() {
        link(&built());
    }
}

/// From a folder that has the static or the shared library; the static one needs no path at run time.
fn link(dir: &Path) {
    println!("cargo:rustc-link-search=native={}", dir.display());
    if dir.join("liblogprob.a").exists() {
        println!("cargo:rerun-if-changed={}", dir.join("liblogprob.a").display());
        println!("cargo:rustc-link-lib=static=logprob");
        println!("cargo:rustc-link-lib=dylib=sleef");
        println!("cargo:rustc-link-lib=dylib=m");
    } else {
        println!("cargo:rustc-link-lib=dylib=logprob");
    }
}

fn installed() -> bool {
    let asked = Command::new("pkg-config").args(["--libs", "logprob >= 0.1.0", "logprob < 1"]).output();
    let flags = match asked {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => return false,
    };
    for dir in flags.split_whitespace().filter_map(|flag| flag.strip_prefix("-L")) {
        println!("cargo:rustc-link-search=native={dir}");
    }
    println!("cargo:rustc-link-lib=dylib=logprob");
    true
}

fn built() -> PathBuf {
    let sources = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../..");
    if !sources.join("include/logprob.h").exists() {
        panic!("liblogprob is neither installed nor around this crate; LOGPROB_LIB_DIR may name its folder");
    }
    for part in ["CMakeLists.txt", "cmake", "include", "src"] {
        println!("cargo:rerun-if-changed={}", sources.join(part).display());
    }
    let build = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("liblogprob");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&sources).arg("-B").arg(&build);
    configure.args(["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF"]);
    for part in ["TESTS", "TOOLS", "EXAMPLES", "BOTH", "INSTALL"] {
        configure.arg(format!("-DLOGPROB_{part}=OFF"));
    }
    run(&mut configure);
    let jobs = env::var("NUM_JOBS").unwrap_or_else(|_| "1".into());
    run(Command::new("cmake").arg("--build").arg(&build).args(["--parallel", &jobs]));
    build
}

fn run(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{command:?}: {status}"),
        Err(error) => {
            panic!("{command:?}: {error}; building liblogprob needs cmake, pkg-config and SLEEF (Debian: libsleef-dev)")
        }
    }
}
