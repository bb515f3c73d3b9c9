//! What `make fuzz` feeds with bytes, one function for each parser of what strangers send: whatever comes, it is read or refused, and what
//! is read is what was sent. A test replays the corpus.

#![expect(clippy::missing_panics_doc, reason = "a panic is what a fuzzer looks for")]

use std::{collections::BTreeSet, sync::LazyLock};

use axum::{body::Body, extract::Request};
use http::{HeaderValue, StatusCode, header::COOKIE};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::{
    client_auth::client_secret_basic,
    clock::Clock,
    config::{Config, Sources},
    jose::{ClientKeys, Jws},
    oauth::{
        Params, RedirectUri, Scope,
        client::{ApplicationType, ClientType},
        params, request_object, scope,
    },
    routes::Routes,
    server::Server,
};

/// A parser and the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every one of them.
pub const TARGETS: &[Target] = &[
    ("form", form),
    ("basic_auth", basic_auth),
    ("redirect_uri", redirect_uri),
    ("scope", scope_text),
    ("jwt", jwt),
    ("jwk_set", jwk_set),
    ("cookies", cookies),
];

/// A query or form: what is read is written and read as the same.
pub fn form(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let read = Params::parse(text);
    let _ = read.check();
    let written = params::encode(read.pairs().iter().map(|(name, value)| (name.as_str(), value.into())));
    assert_eq!(Params::parse(&written), read, "{text:?}");
    for (name, _) in read.pairs() {
        assert_eq!(read.is_repeated(name), read.all(name).count() > 1);
        assert_eq!(read.get(name), read.all(name).next());
    }
}

/// The value of `Authorization` at the token endpoint.
pub fn basic_auth(bytes: &[u8]) {
    let Ok(header) = HeaderValue::from_bytes(bytes) else { return };
    if client_secret_basic::credentials(&header).is_ok() {
        let scheme = bytes.get(..6).unwrap_or_default();
        assert!(scheme.eq_ignore_ascii_case(b"basic "), "{header:?}");
    }
}

/// A redirect URI that is registered is itself, and no other text is taken for it; nor for one that is registered already.
pub fn redirect_uri(bytes: &[u8]) {
    static REGISTERED: LazyLock<RedirectUri> =
        LazyLock::new(|| RedirectUri::register("http://127.0.0.1:8080/callback?a=b", ClientType::Public).expect("it is acceptable"));

    let Ok(text) = str::from_utf8(bytes) else { return };
    let taken = |requested: &str, kind| REGISTERED.accept(requested, kind).is_some();
    assert_eq!(taken(text, ApplicationType::Web), text == REGISTERED.as_str());
    if taken(text, ApplicationType::Native) {
        let port =
            text.strip_prefix("http://127.0.0.1").and_then(|rest| rest.strip_suffix("/callback?a=b")).expect("the same but for the port");
        assert!(port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()), "{text:?}");
    }
    let of_both = [ClientType::Public, ClientType::Confidential].map(|client_type| RedirectUri::register(text, client_type));
    for registered in of_both.iter().flatten() {
        assert_eq!(registered.as_str(), text);
        assert!(registered.accept(text, ApplicationType::Web).is_some());
        let address = registered.return_address();
        let with_query = url::Url::parse(&address.with_query("code=x")).expect("an address to return to");
        let plain = url::Url::parse(text).expect("what was registered");
        assert_eq!((with_query.scheme(), with_query.host(), with_query.port()), (plain.scheme(), plain.host(), plain.port()), "{text:?}");
        assert!(with_query.fragment().is_none() && with_query.username().is_empty() && with_query.password().is_none(), "{text:?}");
        assert!(["https", "http"].contains(&plain.scheme()) || plain.scheme().contains('.'), "{text:?}");
        let _ = (address.display_host(), address.is_claimed());
    }
}

/// A scope that is read is written and read as the same, and has tokens alone.
pub fn scope_text(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(read) = Scope::parse(text) else { return };
    assert_eq!(Scope::parse(&read.to_string()), Ok(read.clone()));
    assert!(read.tokens().all(scope::is_token), "{text:?}");
    assert_eq!(read.tokens().collect::<BTreeSet<_>>().len(), read.tokens().count(), "each once");
    assert!(read.is_within(&read) && read.limited_to(&scope::default()).is_within(&scope::default()));
}

/// A JWS that nobody signed verifies with no key.
pub fn jwt(bytes: &[u8]) {
    static KEYS: LazyLock<ClientKeys> = LazyLock::new(|| {
        // RFC 7515 appendix A.2 and A.3, RFC 8037 appendix A.2.
        let rsa = json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" });
        let elliptic = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let edwards = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        ClientKeys::of(&json!({ "keys": [rsa, elliptic, edwards] })).expect("the keys of the RFCs")
    });

    let Ok(text) = str::from_utf8(bytes) else { return };
    let is_unsigned = request_object::is_unsigned(text);
    let Ok(jws) = Jws::parse(text) else { return };
    assert!(!is_unsigned, "{text:?}");
    let _ = (jws.is_typed(&["jwt"]), jws.unverified_claims::<Map<String, Value>>());
    assert!(KEYS.verify::<Value>(&jws).is_err(), "{text:?}");
}

/// The keys of a client: whatever the set, a JWS that nobody signed does not verify.
pub fn jwk_set(bytes: &[u8]) {
    /// `{"alg":"ES256"}`, and so on for a key of each kind, with a signature of nobody.
    const UNSIGNED: [&str; 3] = ["eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", "eyJhbGciOiJFZERTQSJ9.e30.AAAA"];

    let Ok(keys) = ClientKeys::read(bytes) else { return };
    for token in UNSIGNED {
        let jws = Jws::parse(token).expect("it has the form");
        assert!(keys.verify::<Value>(&jws).is_err(), "{token}");
    }
}

/// Whatever the cookies, nobody is signed in, and the page of someone who is not is shown.
pub fn cookies(bytes: &[u8]) {
    static SERVER: LazyLock<(Runtime, Routes, tempfile::TempDir)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = [
            ("GRANTOR_DATABASE_URL", format!("sqlite:{}", dir.path().join("grantor.db").display())),
            ("GRANTOR_DATA_DIR", dir.path().display().to_string()),
        ];
        let environment = settings.map(|(key, value)| (key.to_owned(), value)).into();
        let config = Config::from_sources(Sources { environment, ..Default::default() }).expect("a configuration");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let server = runtime.block_on(Server::start(config, Clock::system())).expect("a server");
        (runtime, Routes::new(&server), dir)
    });

    let Ok(header) = HeaderValue::from_bytes(bytes) else { return };
    let request = Request::get("/account").header(COOKIE, header).body(Body::empty()).expect("a request");
    let (runtime, routes, _) = &*SERVER;
    let response = runtime.block_on(routes.clone().oneshot(request)).expect("an answer");
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{bytes:?}");
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// What `make fuzz` found to lead somewhere new, and what it began with.
    #[test]
    fn every_parser_stands_its_corpus() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        for (name, target) in TARGETS {
            let files = fs::read_dir(root.join("corpus").join(name)).expect("a corpus for each target");
            let mut count = 0;
            for file in files {
                target(&fs::read(file.expect("a file").path()).expect("its bytes"));
                count += 1;
            }
            assert!(count > 3, "{name} has {count} inputs: run 'make fuzz'");
        }
    }

    #[test]
    fn every_parser_has_a_program_that_fuzzes_it() {
        let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).expect("a manifest");
        for (name, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }
}
