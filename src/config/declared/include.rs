//! `include`: which files besides the configuration file hold declarations.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    super::mistakes::{Mistake, Mistakes},
    document::{Included, place_of_key},
};

/// The key of the configuration file that names other files.
pub(in crate::config) const INCLUDE: &str = "include";

/// Reads the files that `include` of the file `main` names, in the order of the list, and of their names where there is a `*`.
/// `directory` is where `main` is looked for.
pub(in crate::config) fn read(directory: &Path, main: &Path, text: &str, mistakes: &mut Mistakes) -> Vec<Included> {
    let Some(named) = text.parse::<toml::Table>().ok().and_then(|mut table| table.remove(INCLUDE)) else { return Vec::new() };
    let origin = place_of_key(main, text, INCLUDE);
    let patterns: Option<Vec<&str>> = named.as_array().and_then(|list| list.iter().map(toml::Value::as_str).collect());
    let Some(patterns) = patterns else {
        mistakes.push(Mistake::at(INCLUDE, origin, "must be a list of paths: [\"clients.d/*.toml\", \"people.toml\"]"));
        return Vec::new();
    };
    let folder = main.parent().unwrap_or(Path::new(""));
    let mut seen = vec![directory.join(main).canonicalize().unwrap_or_default()];
    let mut included = Vec::new();
    for pattern in patterns {
        let told = |remedy: String| Mistake { value: Some(format!("{pattern:?}")), ..Mistake::at(INCLUDE, origin.clone(), remedy) };
        let names = match expand(&directory.join(folder), pattern) {
            Ok(names) => names,
            Err(remedy) => {
                mistakes.push(told(remedy));
                continue;
            }
        };
        for name in names {
            let path = folder.join(&name);
            let found = directory.join(&path);
            match fs::read_to_string(&found) {
                Err(error) => mistakes.push(told(format!("{} cannot be read: {error}", path.display()))),
                Ok(text) => {
                    let identity = found.canonicalize().unwrap_or(found);
                    if !seen.contains(&identity) {
                        seen.push(identity);
                        included.push(Included { name, path, text });
                    }
                }
            }
        }
    }
    included
}

/// The names that a pattern stands for. Only the last part of a path may have a `*`, which does not match hidden files.
fn expand(folder: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let (parent, last) = pattern.rsplit_once('/').map_or(("", pattern), |(parent, last)| (&pattern[..=parent.len()], last));
    if last.is_empty() || parent.contains('*') {
        return Err("must be the path of a file, with a * in its last part at most: clients.d/*.toml".to_owned());
    }
    if !last.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let folder = folder.join(parent);
    // A file without a folder is beside the process.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    let mut names = files(folder).map_err(|error| format!("the folder cannot be read: {error}"))?;
    names.retain(|name| !name.starts_with('.') && matches(last, name));
    names.sort_unstable();
    Ok(names.into_iter().map(|name| format!("{parent}{name}")).collect())
}

fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

/// Whether a name is what the pattern says, `*` standing for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_also_for_nothing() {
        for (pattern, name) in [("*.toml", "a.toml"), ("*.toml", ".toml"), ("a*b*c", "abc"), ("a*b*c", "a1b2bc"), ("*", "x"), ("a", "a")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.toml", "a.toml~"), ("a*a", "a"), ("a*b*c", "acb"), ("a", "b"), ("b*", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
