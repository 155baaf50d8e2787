//! The workspace as it lies on the disk.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A package of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Where its manifest is, from the top folder.
    pub(crate) manifest: String,
    /// What the code itself is built with.
    pub(crate) normal: Vec<Dependency>,
    /// What tests and build scripts need besides.
    pub(crate) other: Vec<Dependency>,
}

/// What a package depends on.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) is_ours: bool,
}

/// The top folder.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every package of the workspace, as `cargo metadata` tells.
pub(crate) fn packages() -> Vec<Package> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn package(package: &Value) -> Package {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let manifest = manifest.strip_prefix(top()).unwrap_or(manifest);
    let all = package["dependencies"].as_array().unwrap();
    // A normal dependency has no kind; `path` tells a member of the workspace.
    let (normal, other): (Vec<&Value>, Vec<&Value>) =
        all.iter().partition(|one| one["kind"].is_null());
    let dependency = |one: &Value| Dependency {
        name: one["name"].as_str().unwrap().to_owned(),
        is_ours: one["path"].is_string(),
    };
    Package {
        name: package["name"].as_str().unwrap().to_owned(),
        manifest: manifest.to_str().unwrap().to_owned(),
        normal: normal.into_iter().map(dependency).collect(),
        other: other.into_iter().map(dependency).collect(),
    }
}

/// Every file of the repository, from the top folder; nothing that is built.
pub(crate) fn files() -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![top()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let name = entry.file_name();
            let built = ["target", ".git", "node_modules"].iter().any(|one| name == *one);
            // In a second worktree `.git` is a file that names the first one.
            if built {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                files.push(path.strip_prefix(top()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Every file of Rust.
pub(crate) fn sources() -> Vec<String> {
    files().into_iter().filter(|path| path.ends_with(".rs")).collect()
}

/// Fails with everything that is wrong, one line each.
pub(crate) fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n  {}\n", problems.join("\n  "));
}

/// Whether a name stands in a text by itself.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|one| one == word)
}
