//! The architecture as a test: floors, file openings, file sizes. Reads the tree as text and needs nothing built.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor: a room imports from lower floors only, never sideways.
const FLOORS: &[&[&str]] = &[
    &["model", "bounds"],
    &["pii", "parameters", "http", "store", "telemetry", "audit"],
    &["identity", "interception", "meter", "kill", "exposure", "observation", "anomaly"],
    &["policy", "route", "credentials", "fleet"],
    &["upstream"],
    &["config"],
    &["gateway", "openapi"],
    &["listener", "admin"],
    &["server"],
    &["demo"],
    &["cli"],
];

/// Longest file: what a reader holds in the head. Counted with its tests.
const LINES_MAX: usize = 400;

#[test]
fn rooms_import_only_from_lower_floors() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some((room, own)) = room_of(&file).and_then(|room| Some((room.clone(), floor_of(&room)?))) else {
            continue;
        };
        for (number, line) in lines(&file) {
            for used in rooms_named(&line) {
                if used != room && floor_of(&used).is_none_or(|floor| floor >= own) {
                    wrong.push(format!("{}:{number} imports {used}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "floors are crossed upwards or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_has_a_floor() {
    let missing: Vec<_> = sources().iter().filter_map(|file| room_of(file)).filter(|r| floor_of(r).is_none()).collect();
    assert!(missing.is_empty(), "rooms without a floor: {missing:?}");
}

#[test]
fn a_type_has_a_name_of_its_own() {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources().iter().filter(|file| !is_for_tests(file)) {
        for (number, line) in lines(file) {
            if let Some(name) = type_named(&line) {
                homes.entry(name.to_owned()).or_default().push(format!("{}:{number}", file.display()));
            }
        }
    }
    homes.retain(|_, homes| homes.len() > 1);
    assert!(homes.is_empty(), "a search for one of these types finds another: {homes:#?}");
}

#[test]
fn pure_rooms_stay_pure() {
    let mut wrong = Vec::new();
    for file in sources() {
        let room = room_of(&file).unwrap_or_default();
        let words: &[&str] = match room.as_str() {
            "model" | "parameters" | "pii" | "policy" | "route" => {
                &["tokio", "hyper", "async fn", "Instant::now", "tracing::"]
            }
            "meter" | "exposure" => &["tokio", "hyper", "async fn", "tracing::"],
            _ => continue,
        };
        for (number, line) in lines(&file) {
            for word in words.iter().filter(|word| line.contains(**word) && !line.contains("disallowed_methods")) {
                if !(room == "model" && file.ends_with("time.rs")) {
                    wrong.push(format!("{}:{number} says {word}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a pure room does I/O, waits or speaks:\n{}", wrong.join("\n"));
}

#[test]
fn pii_needs_only_paths_vendor_ids_categories_and_kinds_of_treatments_of_model() {
    const ALLOWED: [&str; 9] = [
        "FieldPath",
        "FieldPathError",
        "PathStep",
        "PathSelector",
        "VendorId",
        "IdError",
        "TreatmentKind",
        "Category",
        "CategoryError",
    ];
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|file| room_of(file).as_deref() == Some("pii")) {
        for (number, line) in lines(&file) {
            let names = line.split_once("crate::model::").map_or("", |(_, names)| names);
            let names = names.split(|c: char| !c.is_alphanumeric()).filter(|name| !name.is_empty());
            wrong.extend(
                names.filter(|name| !ALLOWED.contains(name)).map(|n| format!("{}:{number}: {n}", file.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "pii is to become a crate with these of model alone: {wrong:?}");
}

#[test]
fn the_map_leads_to_places_that_are_there() {
    let map = read(&root().join("src/lib.rs"));
    let (_, map) = map.split_once("# To add something").expect("a heading");
    let map = map.lines().take_while(|line| line.starts_with("//!") || line.is_empty()).collect::<String>();
    let places = || map.split('`').skip(1).step_by(2).filter(|place| place.contains('/'));
    assert!(places().count() > 20, "the map names places");
    let gone: Vec<_> =
        places().filter(|place| ["", "src"].iter().all(|from| !root().join(from).join(place).exists())).collect();
    assert!(gone.is_empty(), "src/lib.rs leads to what is not there: {gone:?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> = all_rust().into_iter().filter(|file| !read(file).starts_with("//!")).collect();
    assert!(silent.is_empty(), "files that do not open with //!: {silent:?}");
}

#[test]
fn a_doc_has_more_than_one_word() {
    let is_doc = |line: &str| line.trim_start().starts_with("///");
    let mut bare = Vec::new();
    for file in sources() {
        let text = read(&file);
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_doc(line)) {
            let alone =
                ![at.wrapping_sub(1), at + 1].iter().any(|other| lines.get(*other).is_some_and(|line| is_doc(line)));
            if alone && line.split_whitespace().count() == 2 {
                bare.push(format!("{}:{}", file.display(), at + 1));
            }
        }
    }
    assert!(bare.is_empty(), "say what it is in a sentence: {bare:#?}");
}

/// The formatter wraps code and leaves comments alone. Tables cannot be wrapped.
#[test]
fn comments_fit_their_lines() {
    let too_wide = |line: &&str| {
        let text = line.trim_start();
        text.starts_with("//") && !text.contains("| ") && line.chars().count() > 120
    };
    let wide: Vec<_> = all_rust()
        .into_iter()
        .flat_map(|file| {
            read(&file).lines().filter(too_wide).map(|line| format!("{}: {line}", file.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(wide.is_empty(), "comments over 120 columns: {wide:#?}");
}

/// A test that returns early where a tool is missing would be reported as passed.
#[test]
fn a_test_that_cannot_run_everywhere_is_ignored_and_says_what_it_needs() {
    let mut wrong = Vec::new();
    for file in all_rust().iter().filter(|file| !file.ends_with("tests/tidy.rs")) {
        for (number, line) in read(file).lines().enumerate() {
            let is_plain = line.trim_start().starts_with("#[ignore")
                && !["needs ", "runs as the second process"].iter().any(|why| line.contains(&format!("= \"{why}")));
            let is_silent = ["not run:", "not judged:", "skipped:"].iter().any(|word| line.contains(word));
            if is_plain || is_silent {
                wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "write #[ignore = \"needs …\"]: {wrong:#?}");
}

#[test]
fn every_file_can_be_held_in_the_head() {
    let long: Vec<_> = all_rust()
        .into_iter()
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "files over {LINES_MAX} lines: {long:?}");
}

#[test]
fn a_room_is_named_in_the_line_of_its_crate_path() {
    // `use crate::{a, b}` would hide from the floors what is imported.
    let grouped: Vec<_> = sources()
        .into_iter()
        .filter(|file| read(file).contains("use crate::{"))
        .filter(|file| !file.ends_with("lib.rs"))
        .collect();
    assert!(grouped.is_empty(), "write one room per `use crate::` line: {grouped:?}");
}

/// Files that import each other in a ring can only be understood all at once.
#[test]
fn the_files_of_the_gateway_import_each_other_in_no_ring() {
    let files = rust_files(&root().join("src/gateway"));
    let name = |file: &PathBuf| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut left: BTreeMap<_, _> = files.iter().map(|file| (name(file), siblings_imported(file))).collect();
    left.remove("mod");
    let is_free = |left: &BTreeMap<String, BTreeSet<String>>, used: &BTreeSet<String>| {
        used.iter().all(|sibling| !left.contains_key(sibling))
    };
    while let Some(free) = left.iter().find(|(_, used)| is_free(&left, used)).map(|(file, _)| file.clone()) {
        left.remove(&free);
    }
    assert!(left.is_empty(), "files that are in a ring, or import one that is: {left:#?}");
}

/// The names behind `use super::`, also of a group as in `use super::{a, b::C}`.
fn siblings_imported(file: &Path) -> BTreeSet<String> {
    let first = |path: &str| path.split([':', ';', ' ']).next().unwrap_or_default().to_owned();
    let mut names = BTreeSet::new();
    for (_, line) in lines(file) {
        let Some(path) = line.strip_prefix("use super::") else { continue };
        match path.strip_prefix('{') {
            Some(group) => names.extend(group.trim_end_matches("};").split(", ").map(first)),
            None => _ = names.insert(first(path)),
        }
    }
    names
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let page = read(&root().join("docs/threat-model.md"));
    let (_, page) = page.split_once("## What is defended").expect("a heading");
    let (table, _) = page.split_once("\n## ").expect("another heading");
    let code: String = all_rust().iter().map(|file| read(file)).collect();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 15, "the table lists threats");
    for row in rows {
        let tests = row.rsplit(" | ").next().unwrap_or_default();
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test holds this: {row}");
        let gone: Vec<_> = named.iter().filter(|name| !code.contains(&format!("#[test]\nfn {name}()"))).collect();
        assert!(gone.is_empty(), "there is no test {gone:?}");
    }
}

#[test]
fn every_dependency_has_its_paragraph() {
    let named = |line: &str| line.split_once(" = ").map(|(name, _)| name.trim().to_owned());
    let manifest = read(&root().join("Cargo.toml"));
    let in_lists = manifest.split("\n[").filter(|part| part.contains("dependencies]\n"));
    let own = env!("CARGO_PKG_NAME");
    let crates: BTreeSet<_> = in_lists
        .flat_map(|part| part.lines())
        .filter(|line| !line.starts_with('#'))
        .filter_map(named)
        .filter(|name| name != own)
        .collect();
    let page = read(&root().join("docs/dependencies.md"));
    let paragraph_of = |line: &str| line.strip_prefix("**")?.split_once("**:").map(|(name, _)| name.to_owned());
    let paragraphs: BTreeSet<_> = page.lines().filter_map(paragraph_of).collect();
    assert!(crates.len() > 40, "the lists of Cargo.toml were not found");
    assert_eq!(
        crates, paragraphs,
        "docs/dependencies.md has a paragraph for each crate that Cargo.toml names, and no other"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<PathBuf> {
    rust_files(&root().join("src"))
}

fn all_rust() -> Vec<PathBuf> {
    ["src", "tests", "benches", "examples"].iter().flat_map(|folder| rust_files(&root().join(folder))).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// Lines of code, numbered from 1: comments are left out, and so is all from the first module of tests on that is
/// written in the file itself.
fn lines(file: &Path) -> Vec<(usize, String)> {
    let text = read(file);
    let all: Vec<&str> = text.lines().collect();
    let begins_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{') && pair[1].contains("mod ");
    let end = all.windows(2).position(begins_tests).unwrap_or(all.len());
    let code = all[..end].iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.map(|(at, line)| (at + 1, (*line).to_owned())).collect()
}

/// `src/pii/json/mod.rs` is in room `pii`; `src/server.rs` is room `server`; the two roots are in none.
fn room_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib" && room != "main").then(|| room.to_owned())
}

/// Files that only tests compile.
fn is_for_tests(file: &Path) -> bool {
    let inside = file.strip_prefix(root()).unwrap_or(file);
    inside.iter().any(|part| part == "tests")
        || file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| ["tests", "testing", "fake", "faulty"].contains(&stem) || stem.ends_with("_tests"))
}

/// The type that a line at the left margin defines: `pub(crate) struct Name` defines `Name`. A type within a macro is
/// indented once.
fn type_named(line: &str) -> Option<&str> {
    let line = line
        .strip_prefix("    ")
        .filter(|line| line.starts_with("pub") && (line.contains(" enum ") || line.contains(" struct ")))
        .unwrap_or(line);
    let line = line.strip_prefix("pub").map_or(line, |rest| {
        rest.strip_prefix('(').and_then(|inside| inside.split_once(')')).map_or(rest, |(_, rest)| rest).trim_start()
    });
    let (keyword, rest) = line.split_once(' ')?;
    ["struct", "enum", "trait", "type", "union"].contains(&keyword).then(|| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn rooms_named(line: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    line.match_indices("crate::").map(|(at, found)| word(&line[at + found.len()..])).filter(|w| !w.is_empty()).collect()
}
