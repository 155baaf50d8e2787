//! What the documents promise: settings, crates, dependencies, links.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::tree::{files, has_word, none, packages, read, top};

/// What stands before and behind the table of settings in the README.
const SETTINGS: (&str, &str) = ("<!-- settings: as --help shows them -->\n", "\n<!-- settings end");

/// A setting as `--help` shows it.
#[derive(PartialEq)]
struct Setting {
    variable: String,
    default: String,
    meaning: String,
    commands: Vec<String>,
}

#[test]
fn the_readme_lists_every_setting_as_help_shows_it() {
    let mut table = String::from("| Variable | Default | Read by | Meaning |\n|---|---|---|---|\n");
    for one in settings() {
        let default =
            if one.default.is_empty() { "–".into() } else { format!("`{}`", one.default) };
        let (variable, commands) = (&one.variable, one.commands.join(", "));
        table += &format!("| `{variable}` | {default} | {commands} | {} |\n", one.meaning);
    }
    let readme = read("README.md");
    let written = readme
        .split_once(SETTINGS.0)
        .and_then(|(_, rest)| rest.split_once(SETTINGS.1))
        .map(|(table, _)| table)
        .expect("README.md must have its table of settings between two comments");
    assert!(
        written.trim() == table.trim(),
        "README.md's table of settings is not what --help shows; between the comments belongs:\n\n\
         {table}"
    );
}

/// Every setting of every command, in the order in which `--help` shows them.
fn settings() -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for command in commands() {
        for found in settings_in(&help(&[&command])) {
            match settings.iter_mut().find(|one| one.variable == found.variable) {
                Some(known) => {
                    let same = known.default == found.default && known.meaning == found.meaning;
                    assert!(same, "{}: `{command}` has it differently", found.variable);
                    known.commands.push(command.clone());
                }
                None => settings.push(Setting { commands: vec![command.clone()], ..found }),
            }
        }
    }
    settings
}

fn commands() -> Vec<String> {
    let help = help(&[]);
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let lines = rest.lines().take_while(|line| !line.trim().is_empty());
    // Two blanks before a command; more before the rest of a long description.
    lines
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// `--name <NAME> What it is [env: RELINK_NAME=] [default: 1]`, broken over lines.
fn settings_in(help: &str) -> Vec<Setting> {
    let mut entries: Vec<String> = Vec::new();
    for line in help.lines().map(str::trim) {
        // A blank line stands before a heading.
        let is_new = line.is_empty() || line.starts_with("--") || line.starts_with("-h,");
        if is_new || entries.is_empty() {
            entries.push(String::new());
        }
        let entry = entries.last_mut().unwrap();
        *entry = format!("{entry} {line}").trim().to_owned();
    }
    let named = entries.iter().filter_map(|entry| {
        let (before, behind) = entry.split_once(" [env: ")?;
        let (variable, behind) = behind.split_once(']')?;
        let meaning = before.split_once("> ")?.1.trim().replace('|', "\\|");
        let default = behind.trim().strip_prefix("[default: ").unwrap_or_default();
        let default = default.trim_end_matches(']').to_owned();
        let variable = variable.split('=').next()?.to_owned();
        Some(Setting { variable, default, meaning, commands: Vec::new() })
    });
    named.collect()
}

/// What the built binary says; it lies beside the folder of the test's own.
fn help(arguments: &[&str]) -> String {
    let own = env::current_exe().unwrap();
    let binary = own.parent().and_then(Path::parent).unwrap().join("relink");
    assert!(
        binary.exists(),
        "{} is missing; build it first: cargo build (tests/run does)",
        binary.display()
    );
    let output = Command::new(binary).args(arguments).arg("--help").env_clear().output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_map_has_every_crate_and_every_dependency() {
    let map = read("crates/README.md");
    let mut problems = Vec::new();
    let mut wanted = BTreeSet::new();
    for package in packages() {
        if let Some(folder) = package.manifest.strip_prefix("crates/") {
            let folder = folder.trim_end_matches("/Cargo.toml");
            if !map.contains(&format!("\n### `{folder}`\n")) {
                problems.push(format!("crates/README.md: write a paragraph `### `{folder}``"));
            }
        }
        let foreign = package.normal.into_iter().chain(package.other).filter(|one| !one.is_ours);
        wanted.extend(foreign.map(|one| one.name));
    }
    let (_, table) = map.split_once("\n## Dependencies\n").expect("a section of dependencies");
    let listed: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | ").map(|(name, _)| name))
        .collect();
    for name in &wanted {
        match listed.iter().filter(|one| *one == name).count() {
            1 => {}
            0 => problems.push(format!("crates/README.md: say in a line why `{name}` is there")),
            _ => problems.push(format!("crates/README.md: `{name}` is listed twice")),
        }
    }
    for name in listed.into_iter().filter(|name| !wanted.contains(*name)) {
        problems.push(format!("crates/README.md: nothing depends on `{name}`; remove its line"));
    }
    none(&problems);
}

#[test]
fn every_link_leads_somewhere() {
    let mut problems = Vec::new();
    for document in files().iter().filter(|path| path.ends_with("README.md")) {
        let folder = top().join(document).parent().unwrap().to_owned();
        for (text, target) in links(&read(document)) {
            let path = folder.join(&target);
            if !path.exists() {
                problems.push(format!("{document}: [{text}]({target}) leads nowhere"));
            } else if let Some(name) = name_in(&text, &path)
                && !has_word(&fs::read_to_string(&path).unwrap(), &name)
            {
                problems.push(format!("{document}: {target} has no `{name}` any more"));
            }
        }
    }
    none(&problems);
}

/// Text and target of every relative link outside of code.
fn links(markdown: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let mut parts = line.split("](");
        let mut before = parts.next().unwrap_or_default();
        for part in parts.filter(|_| !in_code) {
            let text = before.rsplit('[').next().unwrap_or_default();
            before = part;
            let target = part.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                links.push((text.to_owned(), target.to_owned()));
            }
        }
    }
    links
}

/// `Type::name` as a link to a file of Rust: the name has to be in there.
fn name_in(text: &str, path: &Path) -> Option<String> {
    path.extension().filter(|extension| *extension == "rs")?;
    let name = text.strip_prefix('`')?.strip_suffix('`')?;
    let plain = !name.contains('/') && !name.contains('.');
    plain.then(|| name.rsplit("::").next().unwrap_or(name).to_owned())
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    // Put together here, or this file would be the first to be found.
    let folders = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let mut problems = Vec::new();
    for path in files() {
        // What is not text names nothing.
        let Ok(text) = fs::read_to_string(top().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if folders.iter().any(|folder| starts_in(line, folder)) {
                let number = number + 1;
                problems.push(format!("{path}:{number}: names a folder of one machine"));
            }
        }
    }
    none(&problems);
}

fn starts_in(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '}' | ')' | '-' | '_'))
    })
}
