//! What the files that deploy the server say, as far as tests ask.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use grantor::config::{Config, Sources};
use regex::Regex;
use serde_json::{Map, Value};
use tempfile::TempDir;
use yaml_rust2::{Yaml, YamlLoader};

/// The environment of a container.
pub type Environment = BTreeMap<String, String>;

/// A file of the repository, and where it is.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents of a YAML file.
pub fn documents(name: &str) -> Vec<Value> {
    YamlLoader::load_from_str(&text(name)).unwrap().iter().map(json).collect()
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Hash(entries) => {
            entries.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), json(value))).collect::<Map<_, _>>().into()
        }
        Yaml::Array(items) => items.iter().map(json).collect(),
        Yaml::String(text) => text.as_str().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Boolean(flag) => (*flag).into(),
        Yaml::Null => Value::Null,
        other => panic!("{other:?}"),
    }
}

/// The texts of an array.
#[track_caller]
pub fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}")).iter().map(|item| item.as_str().unwrap()).collect()
}

/// The texts of an object.
#[track_caller]
pub fn pairs(value: &Value) -> Environment {
    let entries = value.as_object().unwrap_or_else(|| panic!("not a table: {value}"));
    entries.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// `docker/Dockerfile`: its instructions, each with what it says, in their order.
pub struct Image(Vec<(String, String)>);

impl Image {
    pub fn read() -> Self {
        let joined = text("docker/Dockerfile").replace("\\\n", " ");
        let instructions = joined.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(instructions.map(|line| line.split_once(' ').unwrap()).map(|(name, said)| (name.to_owned(), said.to_owned())).collect())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(instruction, _)| instruction == name).map(|(_, said)| said.as_str()).collect()
    }

    /// What is said once, in the last stage.
    #[track_caller]
    pub fn only(&self, name: &str) -> &str {
        let begin = self.0.iter().rposition(|(instruction, _)| instruction == "FROM").unwrap();
        let said: Vec<&str> =
            self.0[begin..].iter().filter(|(instruction, _)| instruction == name).map(|(_, said)| said.as_str()).collect();
        assert_eq!(said.len(), 1, "{name} {said:?}");
        said[0]
    }

    pub fn environment(&self) -> Environment {
        self.all("ENV")
            .into_iter()
            .map(|said| said.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The one user by number.
    pub fn user(&self) -> i64 {
        let (user, group) = self.only("USER").split_once(':').unwrap();
        assert_eq!(user, group);
        user.parse().expect("a number: Kubernetes cannot tell by a name that it is not root")
    }

    pub fn port(&self) -> u16 {
        self.only("EXPOSE").parse().unwrap()
    }
}

/// What `docker/make-secrets` makes.
pub struct Secrets(TempDir);

impl Secrets {
    pub fn make() -> Self {
        let secrets = Self(tempfile::tempdir().unwrap());
        assert!(secrets.make_again().contains("master-key: made"));
        secrets
    }

    /// What it tells.
    pub fn make_again(&self) -> String {
        let made = Command::new(path("docker/make-secrets")).arg(self.directory()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap()
    }

    pub fn directory(&self) -> PathBuf {
        self.0.path().join("secrets")
    }

    /// Name and text of each.
    pub fn all(&self) -> Environment {
        let entries = fs::read_dir(self.directory()).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
    }

    /// What the server makes of an environment whose secrets are mounted below `mounted`; these are read from here.
    #[track_caller]
    pub fn configuration(&self, environment: &Environment, mounted: &str) -> Config {
        let here = format!("{}/", self.directory().display());
        let environment = environment.iter().map(|(name, value)| (name.clone(), value.replace(mounted, &here))).collect();
        Config::from_sources(Sources { environment, ..Sources::default() }).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }
}

/// A compose file with the variables of `docker/.env.example`, those included that are commented out there.
pub struct Compose {
    pub file: Value,
    variables: Environment,
}

impl Compose {
    pub fn read(name: &str) -> Self {
        let example = text("docker/.env.example");
        let assignment = Regex::new("(?m)^#?([A-Z][A-Z_0-9]+)=(.+)$").unwrap();
        let variables = assignment.captures_iter(&example).map(|found| (found[1].to_owned(), found[2].to_owned())).collect();
        Self { file: documents(name).remove(0), variables }
    }

    /// With what `${NAME:?...}` and `${NAME:-...}` stand for.
    pub fn filled_in(&self, text: &str) -> String {
        let variable = Regex::new(r"\$\{([A-Z_]+):[-?][^}]*\}").unwrap();
        variable.replace_all(text, |found: &regex::Captures| self.variables[&found[1]].clone()).into_owned()
    }

    pub fn services(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.file["services"].as_object().unwrap().iter()
    }

    pub fn grantor(&self) -> &Value {
        &self.file["services"]["grantor"]
    }

    /// What the server is started with: the image's, those of `env_file`, and those of the service, each before the one before.
    pub fn environment(&self, image: &Image) -> Environment {
        assert_eq!(self.grantor()["env_file"], ".env");
        let own = pairs(&self.grantor()["environment"]).into_iter().map(|(name, value)| (name, self.filled_in(&value)));
        image.environment().into_iter().chain(self.variables.clone()).chain(own).collect()
    }
}

/// The one object of a kind in `docker/kubernetes.yaml`.
#[track_caller]
pub fn kubernetes(kind: &str) -> Value {
    let mut objects: Vec<Value> = documents("docker/kubernetes.yaml").into_iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(objects.len(), 1, "{kind}");
    objects.remove(0)
}

/// `docker/grantor.service`: each value of a key, in their order.
pub fn unit(key: &str) -> Vec<String> {
    let assigned = format!("{key}=");
    text("docker/grantor.service").lines().filter_map(|line| line.strip_prefix(&assigned)).map(str::to_owned).collect()
}

/// A time as compose and systemd write it, in seconds.
pub fn seconds(text: &str) -> u64 {
    text.trim_end_matches('s').parse().unwrap()
}
