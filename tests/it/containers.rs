//! The files that deploy the server (`docker/`) fit it and one another: its settings, ports, user, paths and times. `docker/try-root`
//! tries the image's root itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use grantor::config::{Config, DatabaseUrl, MasterKeySource, Sources};
use regex::Regex;
use serde_json::{Value, json};

use crate::{
    harness::deployment::{Compose, Environment, Image, Secrets, documents, kubernetes, pairs, path, seconds, text, texts, unit},
    on_every_backend,
};

const COMPOSE: [&str; 2] = ["docker/compose.yaml", "docker/compose.sqlite.yaml"];

/// The port of the metrics in every file.
const METRICS: u16 = 9464;

/// Of the repository.
fn files_below(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap());
    let names = entries.map(|entry| (format!("{folder}/{}", entry.file_name().to_str().unwrap()), entry.file_type().unwrap().is_dir()));
    // What an operator made there is not of the repository.
    let kept = names.filter(|(name, _)| !["docker/secrets", "docker/.env"].contains(&name.as_str()));
    kept.flat_map(|(name, is_folder)| if is_folder { files_below(&name) } else { vec![name] }).collect()
}

#[test]
fn every_variable_that_is_named_is_a_setting() {
    let variable = Regex::new(r"\bGRANTOR_[A-Z0-9_]*[A-Z0-9]").unwrap();
    let named = |text: &str| -> BTreeSet<String> { variable.find_iter(text).map(|found| found.as_str().to_owned()).collect() };
    // A test of its own holds that page to the settings.
    let known = named(&text("docs/configuration.md"));
    let mut count = 0;
    for file in files_below("docker").iter().map(String::as_str).chain(["docs/operations.md", "README.md"]) {
        let unknown: Vec<String> = named(&text(file)).into_iter().inspect(|_| count += 1).filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    assert!(count > 30, "{count}");
}

#[test]
fn every_file_is_explained() {
    let page = text("docs/operations.md");
    for file in files_below("docker") {
        assert!(page.contains(file.strip_prefix("docker/").unwrap()), "docs/operations.md does not say what {file} is for");
    }
}

#[test]
fn the_image_is_of_the_version_of_the_manifest_and_its_rust() {
    let image = Image::read();
    let manifest: toml::Table = toml::from_str(&text("Cargo.toml")).unwrap();
    let rust = manifest["package"]["rust-version"].as_str().unwrap();
    assert_eq!(image.all("FROM"), [format!("rust:{rust}-slim-bookworm AS build").as_str(), "scratch"]);

    let labels = image.all("LABEL");
    for (name, value) in [("version", "version"), ("licenses", "license"), ("description", "description")] {
        let label = format!("org.opencontainers.image.{name}={}", manifest["package"][value]);
        assert!(labels.contains(&label.as_str()), "{label} is missing: {labels:?}");
    }
    let tag = format!("registry.example.com/grantor:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(kubernetes("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"], tag);
}

/// What is compiled is copied, and what is not copied is not even sent to the builder.
#[test]
fn the_builder_gets_what_is_compiled_and_nothing_else() {
    let image = Image::read();
    let copies: BTreeSet<&str> = image
        .all("COPY")
        .into_iter()
        .filter(|said| !said.starts_with("--from"))
        .flat_map(|said| {
            let (sources, _) = said.rsplit_once(' ').unwrap();
            sources.split(' ').collect::<Vec<_>>()
        })
        .collect();
    let ignored = text(".dockerignore");
    let mut lines = ignored.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), ".dockerignore lets nothing pass that it does not name");
    assert_eq!(lines.map(|line| line.strip_prefix('!').unwrap()).collect::<BTreeSet<_>>(), copies);

    let from_outside = Regex::new(r#"include_(?:str|bytes)!\("(?:\.\./)+([a-z]+)/"#).unwrap();
    let mut needed = BTreeSet::from([".cargo", "build.rs", "locales", "migrations", "src", "templates"].map(str::to_owned));
    for file in files_below("src").iter().filter(|file| !file.contains("tests")) {
        let text = text(file);
        let program = text.split("#[cfg(test)]").next().unwrap();
        needed.extend(from_outside.captures_iter(program).map(|found| found[1].to_owned()).filter(|folder| path(folder).exists()));
    }
    assert!(needed.contains("static"));
    for name in needed {
        assert!(copies.contains(name.as_str()), "docker/Dockerfile does not copy {name}");
    }
}

#[test]
fn the_image_runs_the_server_as_a_user_with_one_folder_and_one_port() {
    let image = Image::read();
    assert_eq!(image.user(), 65532);
    let user = format!("grantor:x:{0}:{0}:", image.user());
    assert!(text("docker/make-root").contains(&user), "docker/make-root names another user");
    let owner = format!("--from=build --chown={0}:{0} /image/data/ /var/lib/", image.user());
    assert!(image.all("COPY").contains(&owner.as_str()));

    let secrets = Secrets::make();
    let mut environment = image.environment();
    environment.insert("GRANTOR_ISSUER".to_owned(), "https://id.example.com".to_owned());
    let config = secrets.configuration(&environment, "/run/secrets/");
    assert!(config.listen.ip().is_unspecified(), "a container's loopback is reached from nowhere");
    assert_eq!(config.listen.port(), image.port());
    assert_eq!(config.data_dir, Path::new(image.only("VOLUME")));
    assert_eq!(config.metrics.listen, None, "whoever wants metrics says so");

    assert_eq!(image.only("ENTRYPOINT"), r#"["grantor"]"#);
    assert_eq!(image.only("CMD"), r#"["serve"]"#);
    assert!(image.only("HEALTHCHECK").ends_with(r#"CMD ["grantor", "healthcheck"]"#), "there is no shell");
    assert_eq!(image.only("STOPSIGNAL"), "SIGTERM");
    assert_eq!(image.only("WORKDIR"), "/etc/grantor");
}

/// Of every file, with the secrets that `docker/make-secrets` makes: where what is mounted is what is read.
#[test]
fn the_server_takes_what_each_file_gives_it() {
    let (image, secrets) = (Image::read(), Secrets::make());
    for file in COMPOSE {
        let compose = Compose::read(file);
        let environment = compose.environment(&image);
        assert_fits(&secrets.configuration(&environment, "/run/secrets/"), &environment, file == COMPOSE[0]);
        let mounted: BTreeSet<&str> = texts(&compose.grantor()["secrets"]).into_iter().collect();
        assert_eq!(files_in(&environment, "/run/secrets/"), mounted, "{file}");
    }

    let environment: Environment = image.environment().into_iter().chain(pairs(&kubernetes("ConfigMap")["data"])).collect();
    assert_fits(&secrets.configuration(&environment, "/run/secrets/grantor/"), &environment, true);
    let head = text("docker/kubernetes.yaml");
    for secret in files_in(&environment, "/run/secrets/grantor/") {
        assert!(head.contains(&format!("--from-file={secret}")), "docker/kubernetes.yaml does not say how {secret} comes to be");
    }

    let environment = pairs_of(&unit("Environment"));
    let config = secrets.configuration(&environment, "%d/");
    assert_eq!(config.data_dir, Path::new("/var/lib").join(&unit("StateDirectory")[0]));
    assert!(matches!(config.master_key, MasterKeySource::Given(_)));
    let credentials = unit("LoadCredential");
    assert_eq!(credentials, ["master-key:/etc/grantor/master-key"]);
    assert_eq!(files_in(&environment, "%d/"), BTreeSet::from(["master-key"]));
}

fn assert_fits(config: &Config, environment: &Environment, is_on_postgres: bool) {
    let image = Image::read();
    assert_eq!(config.listen.port(), image.port(), "{environment:?}");
    assert_eq!(config.metrics.listen.unwrap().port(), METRICS);
    assert_eq!(matches!(config.database_url, DatabaseUrl::Postgres(_)), is_on_postgres);
    assert!(matches!(config.master_key, MasterKeySource::Given(_)), "the key is apart from the data");
    assert_eq!(config.issuer.as_str(), "https://id.example.com");
}

/// The files below a folder that an environment names.
fn files_in<'a>(environment: &'a Environment, folder: &str) -> BTreeSet<&'a str> {
    environment.values().filter_map(|value| value.strip_prefix(folder)).collect()
}

fn pairs_of(assignments: &[String]) -> Environment {
    assignments.iter().map(|said| said.split_once('=').unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_password_of_the_database_is_the_one_of_its_url() {
    let all = Secrets::make().all();
    let compose = Compose::read(COMPOSE[0]);
    let postgres = &compose.file["services"]["postgres"];
    let (user, database) = (&postgres["environment"]["POSTGRES_USER"], &postgres["environment"]["POSTGRES_DB"]);
    let expected = format!("postgres://{}:{}@postgres/{}\n", user.as_str().unwrap(), all["database-password"], database.as_str().unwrap());
    assert_eq!(all["database-url"], expected);
    assert_eq!(postgres["environment"]["POSTGRES_PASSWORD_FILE"], "/run/secrets/database-password");

    for file in COMPOSE {
        for (name, secret) in Compose::read(file).file["secrets"].as_object().unwrap() {
            assert_eq!(secret["file"], format!("secrets/{name}"), "{file}");
            assert!(all.contains_key(name), "docker/make-secrets does not make {name}");
        }
    }
}

/// Nothing that a key sealed can be read with another: a second run changes nothing.
#[test]
fn secrets_are_made_once_closed_to_others_and_kept() {
    let secrets = Secrets::make();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&secrets.directory()), 0o700);
    let first = secrets.all();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["database-password", "database-url", "master-key"]);
    for name in first.keys() {
        assert_eq!(mode(&secrets.directory().join(name)), 0o444, "another user reads it in the container");
    }
    assert_eq!(secrets.make_again().matches(": kept").count(), 3);
    assert_eq!(secrets.all(), first);
    assert_ne!(Secrets::make().all(), first);
    assert!(text(".gitignore").lines().any(|line| line == "/docker/secrets"));
}

#[test]
fn no_container_can_write_gains_rights_or_is_published_unasked() {
    for file in COMPOSE {
        let compose = Compose::read(file);
        for (name, service) in compose.services() {
            assert_eq!(service["read_only"], true, "{file}: {name}");
            assert_eq!(service["cap_drop"], json!(["ALL"]), "{file}: {name}");
            assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{file}: {name}");
            assert!(service.get("privileged").is_none() && service.get("cap_add").is_none(), "{file}: {name}");
            assert!(service["healthcheck"]["test"][0] == "CMD", "{file}: {name}");
        }
        let ports = texts(&compose.grantor()["ports"]);
        let published: Vec<String> = ports.iter().map(|port| compose.filled_in(port)).collect();
        assert_eq!(published, [format!("127.0.0.1:8080:{}", Image::read().port())], "{file}: on loopback alone, without the metrics");
        assert_eq!(compose.grantor()["healthcheck"]["test"], json!(["CMD", "grantor", "healthcheck"]));
    }
    let compose = Compose::read(COMPOSE[0]);
    let postgres = &compose.file["services"]["postgres"];
    assert_eq!((postgres.get("ports"), &postgres["networks"]), (None, &json!(["database"])));
    assert_eq!(compose.file["networks"]["database"]["internal"], true);
    assert_eq!(compose.grantor()["depends_on"]["postgres"]["condition"], "service_healthy");
    assert_eq!(postgres["user"], "postgres");
}

/// The part of the deployment that makes pods.
fn pod() -> Value {
    kubernetes("Deployment")["spec"]["template"]["spec"].take()
}

#[test]
fn no_pod_can_write_or_gains_rights() {
    let (pod, image) = (pod(), Image::read());
    let security = json!({
        "runAsNonRoot": true, "runAsUser": image.user(), "runAsGroup": image.user(), "fsGroup": image.user(),
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    assert_eq!(pod["securityContext"], security);
    let container = &pod["containers"][0];
    let security = json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } });
    assert_eq!(container["securityContext"], security);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(kubernetes("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    assert!(documents("docker/kubernetes.yaml").iter().all(|object| object["kind"] != "Secret"), "applying the file would replace the key");
}

/// Every name and number that two objects share.
#[test]
fn the_objects_of_kubernetes_find_one_another() {
    let (deployment, service, pod) = (kubernetes("Deployment"), kubernetes("Service"), pod());
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &kubernetes("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &kubernetes("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        &pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    for object in documents("docker/kubernetes.yaml").iter().filter(|object| object["kind"] != "Namespace") {
        assert_eq!(object["metadata"]["namespace"], kubernetes("Namespace")["metadata"]["name"]);
    }
    let container = &pod["containers"][0];
    let ports = json!([{ "name": "http", "containerPort": Image::read().port() }, { "name": "metrics", "containerPort": METRICS }]);
    assert_eq!(container["ports"], ports);
    assert_eq!(deployment["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"], METRICS.to_string());
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    let ingress = kubernetes("Ingress");
    let backend = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
    assert_eq!((&backend["name"], &backend["port"]["name"]), (&service["metadata"]["name"], &service["spec"]["ports"][0]["name"]));
    let issuer = kubernetes("ConfigMap")["data"]["GRANTOR_ISSUER"].take();
    assert_eq!(issuer, format!("https://{}", ingress["spec"]["rules"][0]["host"].as_str().unwrap()));
    assert_eq!(ingress["spec"]["tls"][0]["hosts"], json!([ingress["spec"]["rules"][0]["host"]]));
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], kubernetes("ConfigMap")["metadata"]["name"]);
    let volume = &pod["volumes"][0];
    let mount = json!([{ "name": volume["name"], "mountPath": "/run/secrets/grantor", "readOnly": true }]);
    assert_eq!(container["volumeMounts"], mount);
    assert!(text("docker/kubernetes.yaml").contains("defaultMode: 0440"), "by the group of the pod alone");
    assert!(deployment["spec"]["replicas"].as_i64() > kubernetes("PodDisruptionBudget")["spec"]["minAvailable"].as_i64());
}

#[test]
fn only_the_monitoring_reaches_the_metrics() {
    let rules = kubernetes("NetworkPolicy")["spec"]["ingress"].take();
    for rule in rules.as_array().unwrap() {
        let from = &rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        let expected = if from == "monitoring" { "metrics" } else { "http" };
        assert_eq!(rule["ports"], json!([{ "port": expected }]), "{from}");
        assert!(rule["from"].as_array().is_some_and(|from| from.len() == 1), "{rule}");
    }
    assert!(text("docker/prometheus/prometheus.yml").contains(&format!(":{METRICS}\"")));
    assert!(!kubernetes("Service").to_string().contains("metrics"));
}

/// Whoever stops it waits for the requests in progress.
#[test]
fn requests_have_the_time_to_end() {
    let environment = BTreeMap::from([("GRANTOR_ISSUER".to_owned(), "https://id.example.com".to_owned())]);
    let config = Config::from_sources(Sources { environment, ..Sources::default() }).unwrap();
    let shutdown = config.limits.shutdown_timeout.as_secs();
    for file in COMPOSE {
        assert!(seconds(Compose::read(file).grantor()["stop_grace_period"].as_str().unwrap()) >= shutdown + 10, "{file}");
    }
    assert!(seconds(&unit("TimeoutStopSec")[0]) >= shutdown + 10);
    let pod = pod();
    let pre_stop = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    assert!(pre_stop >= 5 && pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= pre_stop + shutdown + 10);
    // The pod's memory holds what its hashing threads take, and as much as the server does at rest, twice.
    let threads: u64 = pairs(&kubernetes("ConfigMap")["data"])["GRANTOR_PASSWORDS__HASHING_THREADS"].parse().unwrap();
    let limit = pod["containers"][0]["resources"]["limits"]["memory"].as_str().unwrap().trim_end_matches("Mi").parse::<u64>().unwrap();
    assert!(limit >= 2 * (threads * u64::from(config.passwords.argon2_memory_kib) / 1024 + 64), "{limit}");
}

/// Or the pods of a service that is called grantor, as every manual would call it, would not start, and nobody would know why.
#[test]
fn variables_that_kubernetes_makes_of_a_service_are_kept_away_and_told_as_such() {
    assert_eq!(pod()["enableServiceLinks"], false);
    let made = [
        ("GRANTOR_SERVICE_HOST", "10.96.0.12"),
        ("GRANTOR_SERVICE_PORT", "80"),
        ("GRANTOR_SERVICE_PORT_HTTP", "80"),
        ("GRANTOR_PORT", "tcp://10.96.0.12:80"),
        ("GRANTOR_PORT_80_TCP", "tcp://10.96.0.12:80"),
        ("GRANTOR_PORT_80_TCP_PROTO", "tcp"),
        ("GRANTOR_PORT_80_TCP_PORT", "80"),
        ("GRANTOR_METRICS_PORT_9464_UDP_ADDR", "10.96.0.12"),
    ];
    let told = |name: &str, value: &str| {
        let environment = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Config::from_sources(Sources { environment, ..Sources::default() }).unwrap_err().to_string()
    };
    for (name, value) in made {
        assert!(told(name, value).contains("say enableServiceLinks: false in the spec of the pod"), "{}", told(name, value));
    }
    for (name, value) in [("GRANTOR_PORT", "8080"), ("GRANTOR_REPORT_TCP", "1"), ("GRANTOR_ISUER", "tcp://x")] {
        assert!(!told(name, value).contains("Kubernetes"), "{}", told(name, value));
    }
}

#[test]
fn the_unit_leaves_the_server_its_data_alone() {
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("CapabilityBoundingSet", ""),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("StateDirectoryMode", "0700"),
        ("UMask", "0077"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictNamespaces", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        // A mistake in the configuration, which no second start mends.
        ("RestartPreventExitStatus", "2"),
    ] {
        assert_eq!(unit(key), [value], "{key}");
    }
    assert_eq!(unit("SystemCallFilter"), ["@system-service", "~@privileged @resources"]);

    // A command is the same user's, with the same data and the same key.
    let command = text("docker/grantor-command");
    let program = &unit("ExecStart")[0];
    assert!(command.contains(&format!("{} \"$@\"", program.strip_suffix(" serve").unwrap())));
    for key in
        ["DynamicUser", "User", "StateDirectory", "StateDirectoryMode", "WorkingDirectory", "UMask", "PrivateUsers", "LoadCredential"]
    {
        assert!(command.contains(&format!("--property={key}={} ", unit(key)[0])), "{key}");
    }
    for (name, value) in pairs_of(&unit("Environment")) {
        let said = value.strip_prefix("%d/").map_or_else(|| value.clone(), |file| format!("\"$credentials/{file}\""));
        assert!(command.contains(&format!("--setenv={name}={said} ")), "{name}");
    }

    // What the drop-ins of docs/operations.md add, a command gets while the file is there.
    let page = text("docs/operations.md");
    for (name, variable) in [("database-url", "GRANTOR_DATABASE_URL_FILE"), ("master-key-previous", "GRANTOR_MASTER_KEY_PREVIOUS_FILE")] {
        assert!(page.contains(&format!("LoadCredential={name}:/etc/grantor/{name}\nEnvironment={variable}=%d/{name}\n")), "{name}");
        assert!(command.contains(&format!("if [ -e /etc/grantor/{name} ]")), "{name}");
        assert!(command.contains(&format!("--property=LoadCredential={name}:/etc/grantor/{name}}}")), "{name}");
        assert!(command.contains(&format!("--setenv={variable}=\"$credentials/{name}\"}}")), "{name}");
    }
}

on_every_backend! {
    /// Where Kubernetes asks, the server answers.
    async fn the_probes_are_answered(server) {
        let pod = pod();
        for (probe, path) in [("startupProbe", "/health/live"), ("livenessProbe", "/health/live"), ("readinessProbe", "/health/ready")] {
            let request = &pod["containers"][0][probe]["httpGet"];
            assert_eq!((&request["path"], &request["port"]), (&json!(path), &json!("http")), "{probe}");
            server.get(path).await.assert_status(200);
        }
    }
}

/// With the program of these tests: what it loads is in the root where it looks for it, and nothing that could be run beside it.
#[test]
fn the_root_has_the_program_and_each_library_that_it_loads() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let make = |program: &str| Command::new(path("docker/make-root")).arg(program).arg(&root).output().unwrap();
    let made = make(env!("CARGO_BIN_EXE_grantor"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let loaded = Command::new("ldd").arg(env!("CARGO_BIN_EXE_grantor")).output().unwrap();
    let loaded = String::from_utf8(loaded.stdout).unwrap();
    let library = Regex::new(r"(/\S+\.so\S*) \(0x").unwrap();
    let libraries: BTreeSet<String> = library.captures_iter(&loaded).map(|found| found[1].to_owned()).collect();
    assert!(libraries.len() >= 2, "{loaded}");
    let mut files = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            assert!(!entry.file_type().unwrap().is_symlink(), "{:?} leads out of the root", entry.path());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                files.insert(format!("/{}", entry.path().strip_prefix(&root).unwrap().display()));
            }
        }
    }
    let can_run = |file: &&String| fs::metadata(root.join(&file[1..])).unwrap().permissions().mode() & 0o111 != 0;
    let expected: BTreeSet<String> = libraries.into_iter().chain(["/usr/local/bin/grantor".to_owned()]).collect();
    assert_eq!(files.iter().filter(can_run).cloned().collect::<BTreeSet<_>>(), expected);

    let again = make(env!("CARGO_BIN_EXE_grantor"));
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
}
