//! A client that registers itself.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::{Answer, App, TestServer};

impl TestServer {
    /// Posts a document to the registration endpoint.
    pub async fn register_itself(&self, document: Value) -> Answer {
        self.send(json_request("POST", "/oauth/register", None, &document)).await
    }

    /// The same with a token that an operator made.
    pub async fn register_with(&self, token: &str, document: Value) -> Answer {
        self.send(json_request("POST", "/oauth/register", Some(token), &document)).await
    }

    /// A web app that registered itself with everything at its default.
    pub async fn self_registered(&self, extra: Value) -> App<'_> {
        let mut document = json!({ "redirect_uris": ["https://app.example/callback"], "client_name": "Self-made" });
        document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        App::of_registration(self, &self.register_itself(document).await)
    }
}

impl<'a> App<'a> {
    /// The client that an answer of the registration endpoint is about.
    #[track_caller]
    pub fn of_registration(server: &'a TestServer, answer: &Answer) -> Self {
        let registered = answer.assert_status(201).json();
        App {
            server,
            id: registered["client_id"].as_str().unwrap().to_owned(),
            secret: registered["client_secret"].as_str().map(str::to_owned),
            redirect_uri: registered["redirect_uris"][0].as_str().unwrap().to_owned(),
        }
    }
}

/// A request to the client configuration endpoint (RFC 7592 §2) of a registration.
pub async fn manage(server: &TestServer, method: &str, registration: &Value, document: &Value) -> Answer {
    let address = registration["registration_client_uri"].as_str().unwrap();
    let path = &address[address.find("/oauth/register/").unwrap()..];
    server.send(json_request(method, path, registration["registration_access_token"].as_str(), document)).await
}

/// What a client that changes something sends: what it got, without what it must not send.
pub fn changed(registration: &Value, member: &str, value: Value) -> Value {
    let mut document = registration.clone();
    let members = document.as_object_mut().unwrap();
    members.retain(|name, _| {
        !["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
            .contains(&name.as_str())
    });
    members.insert(member.to_owned(), value);
    document
}

/// A request with a JSON document, if there is one, and a bearer token, if there is one.
pub fn json_request(method: &str, path: &str, token: Option<&str>, document: &Value) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if document.is_null() {
        return request.body(Body::empty()).unwrap();
    }
    request.header("content-type", "application/json").body(Body::from(document.to_string())).unwrap()
}
