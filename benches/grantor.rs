//! Grantor under test: the release binary, set up through its own command line and pages as anybody would.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::http::{self, Connection};
use crate::load::{CodeFlow, Lane, Operation};
use crate::plan::IdTokenAlgorithm;
use crate::process::{Server, free_address};
use crate::sign_in::{self, PreparedSignIn};

pub const BINARY: &str = env!("CARGO_BIN_EXE_grantor");

const READY: &str = "/health/ready";
const AUTHORIZE: &str = "/oauth/authorize";
const TOKEN: &str = "/oauth/token";
const PASSWORD: &str = "correct horse battery staple";
const REDIRECT_URI: &str = "https://app.example.com/cb";
const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A running Grantor with its clients and as many people as there are connections.
pub struct Grantor {
    server: Option<Server>,
    settings: Settings,
    /// Signs people in.
    app: Client,
    /// The same with `openid`, by the algorithm of its ID tokens.
    openid: Vec<(IdTokenAlgorithm, Client)>,
    /// Acts for itself.
    machine: Client,
    people: Vec<Person>,
}

struct Settings {
    folder: PathBuf,
    address: std::net::SocketAddr,
    database_url: String,
    master_key: String,
}

struct Client {
    id: String,
    /// The header line of `client_secret_basic` (OAuth 2.1 §2.4.1).
    authorization: String,
}

struct Person {
    sign_in: PreparedSignIn,
    /// The header line of somebody who has signed in.
    cookie: String,
}

impl Grantor {
    /// Starts Grantor on an empty database and makes its clients.
    pub async fn start(folder: &Path, database_url: String) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let settings = Settings {
            folder: folder.to_owned(),
            address: free_address()?,
            database_url,
            master_key: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
        };
        let (server, _) = settings.serve().await?;
        let app = settings.app(&["--scope", "profile email offline_access"])?;
        let openid = [IdTokenAlgorithm::Rs256, IdTokenAlgorithm::Es256].into_iter().map(|algorithm| {
            let metadata = serde_json::json!({ "id_token_signed_response_alg": algorithm.as_str() }).to_string();
            Ok((algorithm, settings.app(&["--metadata", &metadata])?))
        });
        let openid = openid.collect::<anyhow::Result<_>>()?;
        let machine = settings.client(&["--grant-type", "client_credentials", "--scope", "reports:read"])?;
        Ok(Self { server: Some(server), settings, app, openid, machine, people: Vec::new() })
    }

    /// Ends Grantor by SIGTERM and starts it again on its database; tells how long it took to be ready.
    pub async fn restart(&mut self) -> anyhow::Result<Duration> {
        if let Some(server) = self.server.take() {
            server.stop().await?;
        }
        let (server, ready_after) = self.settings.serve().await?;
        self.server = Some(server);
        Ok(ready_after)
    }

    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.server()?.pid())
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.settings.address
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        self.server.as_ref().map(Server::log_tail).unwrap_or_default()
    }

    pub fn discovery(&self, connections: usize) -> Vec<Lane> {
        self.get("/.well-known/oauth-authorization-server", "\"issuer\"", connections)
    }

    pub fn jwks(&self, connections: usize) -> Vec<Lane> {
        self.get("/oauth/jwks", "\"keys\"", connections)
    }

    pub fn client_credentials(&self, connections: usize) -> Vec<Lane> {
        let request = self.client_credentials_request();
        self.fixed(&request, 200, "\"access_token\":\"", connections)
    }

    /// The bytes of a `client_credentials` answer's body.
    pub async fn client_credentials_size(&self) -> anyhow::Result<usize> {
        let mut connection = self.connection();
        let request = self.client_credentials_request();
        Ok(connection.exchange(&request).await?.expect(200)?.body.len())
    }

    /// Each connection rotates a chain of its own.
    pub async fn refresh(&mut self, connections: usize) -> anyhow::Result<Vec<Lane>> {
        self.sign_people_in(connections).await?;
        let mut lanes = Vec::new();
        for person in &self.people {
            let operation = Operation::Refresh {
                head: self.head(&self.app, TOKEN),
                prefix: "grant_type=refresh_token&refresh_token=".to_owned(),
                token: self.tokens(person).await?.1,
            };
            lanes.push(Lane::new(self.connection(), operation));
        }
        Ok(lanes)
    }

    /// Each connection introspects an access token of its own.
    pub async fn introspect(&mut self, connections: usize) -> anyhow::Result<Vec<Lane>> {
        self.sign_people_in(connections).await?;
        let mut lanes = Vec::new();
        for person in &self.people {
            let (access_token, _) = self.tokens(person).await?;
            let body = http::form([("token", access_token.as_str())]);
            let request = http::post(&self.head(&self.app, "/oauth/introspect"), &body);
            let operation = Operation::Fixed { request, status: 200, holds: "\"active\":true" };
            lanes.push(Lane::new(self.connection(), operation));
        }
        Ok(lanes)
    }

    /// Each connection is a browser whose person has signed in.
    pub async fn code_flow(&mut self, connections: usize) -> anyhow::Result<Vec<Lane>> {
        self.sign_people_in(connections).await?;
        Ok(self.code_flows(&self.app, "access_token"))
    }

    /// The same with `openid`: an ID token, too, leaves with each answer.
    pub async fn code_flow_openid(&mut self, connections: usize, algorithm: IdTokenAlgorithm) -> anyhow::Result<Vec<Lane>> {
        self.sign_people_in(connections).await?;
        let (_, client) = self.openid.iter().find(|(known, _)| *known == algorithm).context("no such client")?;
        Ok(self.code_flows(client, "id_token"))
    }

    fn code_flows(&self, client: &Client, member: &'static str) -> Vec<Lane> {
        let flow = |person: &Person| CodeFlow { member, ..self.code_flow_of(client, person) };
        self.people.iter().map(|person| Lane::new(self.connection(), Operation::CodeFlow(flow(person)))).collect()
    }

    /// Each connection posts the sign-in form of a person of its own.
    pub async fn sign_in(&mut self, connections: usize) -> anyhow::Result<Vec<Lane>> {
        self.sign_people_in(connections).await?;
        let lane = |person: &Person| {
            let request = person.sign_in.request.clone();
            Lane::new(self.connection(), Operation::Fixed { request, status: 303, holds: "set-cookie" })
        };
        Ok(self.people.iter().map(lane).collect())
    }

    fn server(&self) -> anyhow::Result<&Server> {
        self.server.as_ref().context("Grantor is not running")
    }

    fn connection(&self) -> Connection {
        Connection::new(self.settings.address)
    }

    fn get(&self, path: &str, holds: &'static str, connections: usize) -> Vec<Lane> {
        self.fixed(&http::get(self.settings.address, path, ""), 200, holds, connections)
    }

    fn fixed(&self, request: &[u8], status: u16, holds: &'static str, connections: usize) -> Vec<Lane> {
        let operation = || Operation::Fixed { request: request.to_vec(), status, holds };
        (0..connections).map(|_| Lane::new(self.connection(), operation())).collect()
    }

    fn head(&self, client: &Client, path: &str) -> String {
        http::post_head(self.settings.address, path, &client.authorization)
    }

    fn client_credentials_request(&self) -> Vec<u8> {
        let head = http::post_head(self.settings.address, TOKEN, &self.machine.authorization);
        http::post(&head, &http::form([("grant_type", "client_credentials"), ("scope", "reports:read")]))
    }

    fn authorization_request(client: &Client) -> String {
        let code_challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(CODE_VERIFIER));
        let query = http::form([
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", REDIRECT_URI),
            ("state", "af0ifjsldkj"),
            ("code_challenge", &code_challenge),
            ("code_challenge_method", "S256"),
        ]);
        format!("{AUTHORIZE}?{query}")
    }

    fn code_flow_of(&self, client: &Client, person: &Person) -> CodeFlow {
        let fixed = http::form([("grant_type", "authorization_code"), ("redirect_uri", REDIRECT_URI), ("code_verifier", CODE_VERIFIER)]);
        CodeFlow {
            authorize: http::get(self.settings.address, &Self::authorization_request(client), &person.cookie),
            head: self.head(client, TOKEN),
            prefix: format!("{fixed}&code="),
            member: "access_token",
        }
    }

    /// A new grant of this person: its access token and its refresh token.
    async fn tokens(&self, person: &Person) -> anyhow::Result<(String, String)> {
        let mut connection = self.connection();
        let response = self.code_flow_of(&self.app, person).perform(&mut connection).await?;
        Ok((response.member("access_token")?.to_owned(), response.member("refresh_token")?.to_owned()))
    }

    /// Makes the people that are missing, and signs them in.
    async fn sign_people_in(&mut self, count: usize) -> anyhow::Result<()> {
        for number in self.people.len()..count {
            let email = format!("person-{number}@example.com");
            let user = ["user", "create", "--email", &email, "--email-verified", "--password-stdin", "--json"];
            self.settings.run(&user, PASSWORD)?;
            let mut connection = self.connection();
            let request = Self::authorization_request(&self.app);
            let sign_in = PreparedSignIn::fetch(&mut connection, self.settings.address, &request, (&email, PASSWORD))
                .await
                .context("cannot get the sign-in form")?;
            let response = connection.exchange(&sign_in.request).await?.expect(303).context("cannot sign in")?;
            let cookie = sign_in::cookie_header(&response);
            self.people.push(Person { sign_in, cookie });
        }
        self.people.truncate(count);
        Ok(())
    }
}

impl Settings {
    async fn serve(&self) -> anyhow::Result<(Server, Duration)> {
        let began = Instant::now();
        let mut server = Server::start(self.command().arg("serve"), self.address, self.folder.join("log"))?;
        let ready_after = server.ready(READY, began).await?;
        Ok((server, ready_after))
    }

    /// The binary with these settings and no other.
    fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GRANTOR_") || name == "DATABASE_URL" {
                command.env_remove(name);
            }
        }
        command
            .current_dir(&self.folder)
            .env("GRANTOR_LISTEN", self.address.to_string())
            .env("GRANTOR_ISSUER", format!("http://{}", self.address))
            .env("GRANTOR_DATABASE_URL", &self.database_url)
            .env("GRANTOR_DATA_DIR", &self.folder)
            .env("GRANTOR_MASTER_KEY", &self.master_key)
            // One client here is thousands elsewhere. It is counted, and never refused.
            .env("GRANTOR_RATE_LIMIT__CLIENT", "1000000/1s");
        command
    }

    /// Runs a command of the binary; gives the JSON document that it printed.
    fn run(&self, arguments: &[&str], input: &str) -> anyhow::Result<Value> {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {BINARY}"))?;
        writeln!(child.stdin.take().context("no stdin")?, "{input}")?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`grantor {}`: {said}", arguments.join(" "));
        serde_json::from_slice(&output.stdout).with_context(|| format!("`grantor {}`", arguments.join(" ")))
    }

    /// A client of the operator's that signs people in.
    fn app(&self, arguments: &[&str]) -> anyhow::Result<Client> {
        let grant_types = ["--grant-type", "authorization_code", "--grant-type", "refresh_token"];
        self.client(&[&["--redirect-uri", REDIRECT_URI, "--confidential", "--first-party"], &grant_types[..], arguments].concat())
    }

    fn client(&self, arguments: &[&str]) -> anyhow::Result<Client> {
        let made = self.run(&[&["client", "create", "--name", "Benchmark", "--json"], arguments].concat(), "")?;
        let member = |name: &str| made[name].as_str().with_context(|| format!("no `{name}` in {made}"));
        let (id, secret) = (member("client_id")?, member("client_secret")?);
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let credentials = BASE64_STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
        Ok(Client { id: id.to_owned(), authorization: format!("Authorization: Basic {credentials}\r\n") })
    }
}
